/* SPDX-License-Identifier: Apache-2.0 */
/* How long work of a name took, from the decision to the end: the median of the last runs that completed.
 * Kept in memory; read again from the store at the start. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_int.h"

#define RUNS 9		/* of one name */
#define NAMES_MAX 20000 /* the oldest go */
#define LOADED_MAX 500	/* newest completed jobs of each organisation */

struct history {
	int64_t ms[RUNS];
	size_t count, next;
};

static void make_key(const char *org, const char *name, char ret[2 * CORE_NAME_MAX + 2])
{
	snprintf(ret, 2 * CORE_NAME_MAX + 2, "%.*s\n%.*s", CORE_NAME_MAX, org, CORE_NAME_MAX, name);
}

void history_add(struct ctl *c, const char *org, const char *name, int64_t ms)
{
	char key[2 * CORE_NAME_MAX + 2];
	const char *oldest;
	void *value;
	make_key(org, name, key);
	struct history *h = map_get(c->history, key);
	if (ms <= 0)
		return;
	if (!h) {
		size_t first = 0;
		if (map_count(c->history) >= NAMES_MAX && map_next(c->history, &first, &oldest, &value))
			map_delete(c->history, oldest);
		h = MEM_NEW(struct history);
		map_set(c->history, key, h);
	}
	h->ms[h->next] = ms;
	h->next = (h->next + 1) % RUNS;
	h->count += h->count < RUNS;
}

static int by_length(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

int64_t history_median(struct ctl *c, const char *org, const char *name)
{
	char key[2 * CORE_NAME_MAX + 2];
	int64_t sorted[RUNS];
	make_key(org, name, key);
	const struct history *h = map_get(c->history, key);
	if (!h)
		return 0;
	memcpy(sorted, h->ms, h->count * sizeof(*sorted));
	qsort(sorted, h->count, sizeof(*sorted), by_length);
	return sorted[h->count / 2];
}

static void load_org(struct store_tx *tx, struct ctl *c, const char *org, int *ret_status, struct err *err)
{
	struct store_jobs jobs = {0};
	struct store_list_query q = {.org = org, .state = JOB_COMPLETED, .limit = LOADED_MAX};
	*ret_status = store_job_list(tx, &q, &jobs, err);
	for (size_t i = jobs.count; i-- > 0;) { /* oldest first */
		const struct job *job = jobs.items[i];
		if (!job->spec.array.count)
			history_add(c, org, job->spec.name, job->ended_ms - job->started_ms);
	}
	store_jobs_done(&jobs);
}

int history_load(struct store_tx *tx, struct ctl *c, struct err *err)
{
	const char *org;
	void *counts;
	int status = 0;
	for (size_t i = 0; status >= 0 && map_next(c->counts, &i, &org, &counts);)
		if (((const struct ctl_counts *)counts)->jobs[JOB_COMPLETED])
			load_org(tx, c, org, &status, err);
	return status;
}
