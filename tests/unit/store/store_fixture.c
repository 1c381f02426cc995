/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the store share. */
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "unit/store/postgres_fixture.h"
#include "unit/store/store_fixture.h"

const char *fixture_path(const char *name)
{
	static char path[512];
	snprintf(path, sizeof(path), "%s/%s", test_dir(), name);
	return path;
}

static int make_org(struct store_tx *tx, void *arg, struct err *err)
{
	int r = store_org_insert(tx, "default", 1, err);
	return r == -ERR_EXISTS ? 0 : r;
}

bool fixture_is_postgres(void)
{
	const char *name = getenv("TEST_STORE");
	return name && !strcmp(name, "postgresql");
}

const char *fixture_schema(const char *path)
{
	static char schema[64];
	static int fresh;
	const char *name = strrchr(path, '/');
	if (strcmp(path, ":memory:") == 0)
		snprintf(schema, sizeof(schema), "fresh_%d", ++fresh);
	else
		snprintf(schema, sizeof(schema), "%s", name ? name + 1 : path);
	for (char *c = schema; *c; c++)
		if (*c == '.' || *c == '-')
			*c = '_';
	return schema;
}

const struct store_config *fixture_config(const char *path, struct loop *loop)
{
	static struct store_config config;
	static char url[400];
	config = (struct store_config){.path = path, .loop = loop};
	if (fixture_is_postgres()) {
		postgres_schema(fixture_schema(path), url, sizeof(url));
		config.database = url;
	}
	return &config;
}

struct store *fixture_open(const char *path)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	EXPECT_OK(store_open(fixture_config(path, NULL), &s, &err), &err);
	EXPECT_OK(store_run(s, make_org, NULL, &err), &err);
	return s;
}

struct job *fixture_job(const char *id, const char *name)
{
	struct job *job = job_new();
	char *command[] = {(char *)"true", (char *)"--x", NULL};
	snprintf(job->id, sizeof(job->id), "%s", id);
	snprintf(job->org, sizeof(job->org), "default");
	snprintf(job->user, sizeof(job->user), "ada");
	free(job->spec.name);
	job->spec.name = mem_strdup(name);
	job->spec.command = strings_copy(command);
	job->state = JOB_SUBMITTED;
	job->exit_code = -1;
	job->created_ms = 1000;
	return job;
}

int fixture_insert_fn(struct store_tx *tx, void *id, struct err *err)
{
	CLEANUP(job) struct job *job = fixture_job(id, "a");
	return store_job_insert(tx, job, err);
}

int fixture_insert(struct store *s, const char *id, struct err *err)
{
	return store_run(s, fixture_insert_fn, (void *)(uintptr_t)id, err);
}

static int has_fn(struct store_tx *tx, void *id, struct err *err)
{
	CLEANUP(job) struct job *job = NULL;
	int r = store_job_get(tx, "default", id, &job, err);
	return r == -ERR_NOT_FOUND ? 0 : r < 0 ? r : 1;
}

int fixture_has(struct store *s, const char *id)
{
	struct err err = ERR_INIT;
	int r = store_run(s, has_fn, (void *)(uintptr_t)id, &err);
	EXPECT_OK(r, &err);
	return r;
}

static int check_fn(struct store_tx *tx, void *arg, struct err *err)
{
	return store_check(tx, err);
}

int fixture_check(struct store *s, struct err *err)
{
	return store_run(s, check_fn, NULL, err);
}
