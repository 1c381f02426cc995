/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the store share. */
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "store/store_int.h"
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

/* What may read a whole table, each with its reason; everything else finds its rows by an index. */
static const char *const scans[] = {
    "SCAN jobs USING INDEX jobs_live", /* live jobs only: read at the start of a server */
    "SCAN services",		       /* services that exist: read at the start of a server */
    "SCAN keys",		       /* at the start of a server, into its memory */
    "SCAN job_counts",		       /* a row for each organisation and state */
    "SCAN orgs",		       /* the first start */
    "SCAN sqlite_master",	       /* is it ours, at the start */
    "SCAN CONSTANT ROW",	       /* no table at all */
};

static bool is_allowed(const char *plan)
{
	if (strncmp(plan, "SCAN", 4) != 0)
		return true;
	for (size_t i = 0; i < ARRAY_LEN(scans); i++)
		if (strcmp(plan, scans[i]) == 0)
			return true;
	return false;
}

static void check_plan(struct store_tx *tx, const char *sql)
{
	struct err err = ERR_INIT;
	struct sql_stmt *st = NULL;
	CLEANUP(free) char *explain = mem_printf("EXPLAIN QUERY PLAN %s", sql);
	EXPECT_OK(tx->ops->prepare(tx, explain, "", &st, &err), &err);
	while (tx->ops->step(st, &err) > 0) {
		size_t len;
		const char *plan = tx->ops->column_text(st, 3, &len);
		if (!is_allowed(plan))
			fail_msg("'%s' reads a whole table (%s): give it an index, or a kept counter, or a "
				 "place in "
				 "scans[]",
				 sql, plan);
	}
	tx->ops->finalize(st);
}

/* Every statement that the test has used until now, but for those of store_check, which has to see
 * everything. */
static void check_plans(struct store_tx *tx)
{
	const char *sql;
	void *st;
	for (size_t i = 0; !fixture_is_postgres() && map_next(tx->statements, &i, &sql, &st);)
		if (!strstr(sql, "EXCEPT") && !strstr(sql, "NOT EXISTS") && strncmp(sql, "PRAGMA", 6) != 0 &&
		    !strstr(sql, "pragma_"))
			check_plan(tx, sql);
}

static int check_fn(struct store_tx *tx, void *arg, struct err *err)
{
	check_plans(tx);
	return store_check(tx, err);
}

int fixture_check(struct store *s, struct err *err)
{
	return store_run(s, check_fn, NULL, err);
}
