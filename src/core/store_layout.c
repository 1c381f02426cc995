/* SPDX-License-Identifier: Apache-2.0 */
/* Where the things of a job lie in the store, and what its program may write there. */
#include "core/store_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

void store_job_uri(const char *org, const char *id, const char *what, char ret[STORE_JOB_URI_MAX])
{
	snprintf(ret, STORE_JOB_URI_MAX, "fds://%s/jobs/%s/%s", org, id, what);
}

void store_task_key(const char *id, const char *what, int64_t attempt, int64_t task, const char *extension,
		    char ret[STORE_TASK_KEY_MAX])
{
	char which[24] = "";
	if (task > 0)
		snprintf(which, sizeof(which), "-%lld", (long long)task);
	snprintf(ret, STORE_TASK_KEY_MAX, "jobs/%s/%s/%lld%s.%s", id, what, (long long)attempt, which,
		 extension);
}

void store_job_key(const char *id, int64_t attempt, char ret[STORE_JOB_KEY_MAX])
{
	snprintf(ret, STORE_JOB_KEY_MAX, "job.%s.%lld", id, (long long)attempt);
}

bool store_job_key_parse(const char *key, char ret_id[16], int64_t *ret_attempt)
{
	char again[STORE_JOB_KEY_MAX];
	const char *dot = strncmp(key, "job.", 4) == 0 ? strchr(key + 4, '.') : NULL;
	size_t len = dot ? (size_t)(dot - key) - 4 : 0;
	if (len == 0 || len > 15)
		return false;
	memcpy(ret_id, key + 4, len);
	ret_id[len] = '\0';
	*ret_attempt = strtoll(dot + 1, NULL, 10);
	store_job_key(ret_id, *ret_attempt, again);
	return *ret_attempt > 0 && strcmp(again, key) == 0;
}

char **store_job_writes(const struct job *job)
{
	static const char *const own[] = {STORE_JOB_OUTPUT, STORE_JOB_CHECKPOINTS, STORE_JOB_TENSORBOARD};
	size_t named = strings_count(job->spec.store.write);
	char **ret = mem_alloc((ARRAY_LEN(own) + named + 1) * sizeof(*ret)), uri[STORE_JOB_URI_MAX];
	for (size_t i = 0; i < ARRAY_LEN(own); i++) {
		store_job_uri(job->org, job->id, own[i], uri);
		ret[i] = mem_strdup(uri);
	}
	for (size_t i = 0; i < named; i++)
		ret[ARRAY_LEN(own) + i] = mem_strdup(job->spec.store.write[i]);
	ret[ARRAY_LEN(own) + named] = NULL;
	return ret;
}

/* "models" covers models and models/a, not models-of-others; "models/" all that begins so. */
bool store_address_covers(const char *address, const char *bucket, const char *key)
{
	const char *rest = strstr(address, "://");
	if (!rest || !*bucket || !*key)
		return false;
	rest += 3;
	size_t len = strcspn(rest, "/");
	if (strlen(bucket) != len || strncmp(rest, bucket, len) != 0)
		return false;
	const char *prefix = rest[len] ? rest + len + 1 : "";
	len = strlen(prefix);
	if (strncmp(key, prefix, len) != 0)
		return false;
	return len == 0 || prefix[len - 1] == '/' || key[len] == '\0' || key[len] == '/';
}
