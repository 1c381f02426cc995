/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: migrations, refusals, the first start. */
#include <stdio.h>
#include <sqlite3.h>
#include <unistd.h>
#include "base/mem.h"
#include "store/store_int.h"
#include "unit/store/postgres_fixture.h"
#include "unit/store/store_fixture.h"

/* Past the store, in the words of the database at hand. */
static void run_sql(const char *path, const char *sqlite_sql, const char *postgres_sql_text)
{
	sqlite3 *db = NULL;
	if (fixture_is_postgres()) {
		char sql[400];
		const char *schema = fixture_schema(path);
		snprintf(sql, sizeof(sql), "CREATE SCHEMA IF NOT EXISTS %s; SET search_path = %s; %s", schema,
			 schema, postgres_sql_text);
		postgres_sql(sql);
		return;
	}
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sqlite_sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

TEST(a_fresh_store_is_migrated_and_sound)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("fresh.db"));
	struct store *s = fixture_open(path);
	EXPECT_OK(fixture_check(s, &err), &err);
	store_close(s);
	s = fixture_open(path);
	EXPECT_OK(fixture_check(s, &err), &err);
	store_close(s);
}

/* What each schema can hold is put into it by statements of its time. */
static int fill_older(struct store_tx *tx, void *schema, struct err *err)
{
	static const char *const rows[] = {
	    [1] = "INSERT INTO orgs(name, created_ms) VALUES('old', 1); INSERT INTO users(org, name, "
		  "created_ms) "
		  "VALUES('old', 'ada', 2); INSERT INTO keys(id, org, user, role, secret_sha256, created_ms, "
		  "expires_ms) VALUES('k1', 'old', 'ada', 'member', 'x', 3, 0)",
	    [2] = "INSERT INTO jobs(id, org, user, name, spec, state, reason, message, version, attempt, "
		  "cancel_requested, created_ms, queued_ms, started_ms, running_ms, ended_ms, deadline_ms, "
		  "exit_code, exit_signal, fail, output_uri) VALUES('j1', 'old', 'ada', 'a', "
		  "'{\"name\":\"a\",\"command\":[\"true\"]}', 'completed', '', '', 3, 1, 0, 1, 2, 3, 4, 5, "
		  "0, 0, 0, "
		  "'none', ''), ('j2', 'old', 'ada', 'b', '{\"name\":\"b\",\"command\":[\"true\"]}', "
		  "'queued', '', "
		  "'', 3, 2, 0, 1, 2, 3, 4, 0, 0, -1, 0, 'none', ''); INSERT INTO job_counts(org, state, "
		  "count) "
		  "VALUES('old', 'completed', 1), ('old', 'queued', 1); "
		  "INSERT INTO events(org, subject, time_ms, type, reason, message, actor) VALUES('old', "
		  "'j1', 7, "
		  "'Normal', 'submitted', 'submitted by ada', 'ada')",
	    [3] = "INSERT INTO services(id, org, user, name, spec, state, reason, message, version, attempt, "
		  "created_ms, ready_ms, deadline_ms, restarts, address) VALUES('m1', 'old', 'ada', 'm', "
		  "'{\"name\":\"m\",\"uri\":\"fds://old/m/\"}', 'ready', '', '', 1, 1, 1, 2, 0, 0, '')",
	};
	int r = 0;
	for (size_t i = 1; i < ARRAY_LEN(rows) && i <= (uintptr_t)schema && r >= 0; i++)
		r = tx->ops->script(tx, rows[i], err);
	return r;
}

static int read_older(struct store_tx *tx, void *schema, struct err *err)
{
	struct key key;
	EXPECT_OK(store_key_find(tx, "k1", &key, err), err);
	assert_string_equal(key.user, "ada");
	assert_int_equal(key.role, ROLE_MEMBER);
	CLEANUP(job) struct job *job = NULL, *waits = NULL;
	struct store_events events = {0};
	if ((uintptr_t)schema >= 2) {
		EXPECT_OK(store_job_get(tx, "old", "j1", &job, err), err);
		assert_int_equal(job->ended_ms, 5);
		EXPECT_OK(store_event_list(tx, "old", "j1", 0, 10, &events, err), err);
		assert_int_equal(events.count, 1);
		assert_int_equal(events.items[0].time_ms, 7);
		store_events_done(&events);
		EXPECT_OK(store_job_get(tx, "old", "j2", &waits, err), err);
		assert_int_equal(waits->charged, (uintptr_t)schema < 12 ? 2 : 0);
	}
	CLEANUP(service) struct service *service = NULL;
	if ((uintptr_t)schema >= 3) {
		EXPECT_OK(store_service_get(tx, "old", "m", &service, err), err);
		assert_int_equal(service->state, SERVICE_READY);
	}
	return store_check(tx, err);
}

/* PostgreSQL keeps the lock of a session that was closed until its process has ended. */
static int open_again(const char *path, struct store **ret, struct err *err)
{
	int r;
	do {
		*err = ERR_INIT;
		r = store_open(fixture_config(path, NULL), ret, err);
	} while (r == -ERR_CONFLICT && fixture_is_postgres());
	return r;
}

TEST(a_store_of_any_older_schema_is_brought_forward_with_what_is_in_it)
{
	for (int schema = 1; schema < schema_version(); schema++) {
		struct err err = ERR_INIT;
		struct store *s = NULL;
		char name[32];
		void *arg = (void *)(uintptr_t)schema;
		snprintf(name, sizeof(name), "older-%d.db", schema);
		CLEANUP(free) char *path = mem_strdup(fixture_path(name));
		EXPECT_OK(store_open_at(fixture_config(path, NULL), schema, &s, &err), &err);
		EXPECT_OK(store_run(s, fill_older, arg, &err), &err);
		store_close(s);
		EXPECT_OK(open_again(path, &s, &err), &err);
		EXPECT_OK(store_run(s, read_older, arg, &err), &err);
		store_close(s);
		EXPECT_OK(open_again(path, &s, &err), &err); /* and only once */
		store_close(s);
	}
}

TEST(a_store_of_a_newer_program_is_refused)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("newer.db"));
	store_close(fixture_open(path));
	run_sql(path, "PRAGMA user_version = 99", "UPDATE cloudml_schema SET version = 99");
	EXPECT_ERR(store_open(fixture_config(path, NULL), &s, &err), ERR_UNSUPPORTED, &err,
		   "written by a newer cloudml (schema 99");
}

TEST(the_database_of_another_program_is_refused)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("foreign.db"));
	run_sql(path, "CREATE TABLE t(x)", "CREATE TABLE t(x text)");
	EXPECT_ERR(store_open(fixture_config(path, NULL), &s, &err), ERR_CORRUPT, &err, "another program");
}

TEST(a_file_that_is_no_database_is_refused)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	if (fixture_is_postgres())
		SKIP("about files");
	CLEANUP(free) char *path = mem_strdup(fixture_path("text.db"));
	CLEANUP(file) FILE *f = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", f);
	fflush(f);
	EXPECT_ERR(store_open(fixture_config(path, NULL), &s, &err), ERR_CORRUPT, &err, "not a database");
}

TEST(a_store_is_opened_by_one_at_a_time)
{
	struct store *second = NULL;
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("busy.db"));
	struct store *s = fixture_open(path);
	EXPECT_ERR(store_open(fixture_config(path, NULL), &second, &err), ERR_CONFLICT, &err, "in use");
	store_close(s);
}

static int find_key(struct store_tx *tx, void *key, struct err *err)
{
	char id[STORE_KEY_ID_MAX + 1];
	snprintf(id, sizeof(id), "%s", ((struct key *)key)->id);
	return store_key_find(tx, id, key, err);
}

TEST(the_first_start_makes_one_token_and_the_second_none)
{
	struct err err = ERR_INIT;
	char token[STORE_TOKEN_MAX], again[STORE_TOKEN_MAX], sha256[65];
	struct key key = {0};
	struct store *s = NULL;
	EXPECT_OK(store_open(fixture_config(":memory:", NULL), &s, &err), &err);
	assert_int_equal(store_bootstrap(s, &test_rng, 5, token, &err), 1);
	assert_int_equal(store_bootstrap(s, &test_rng, 6, again, &err), 0);
	assert_string_equal(again, "");
	EXPECT_OK(store_token_parse(token, key.id, sha256, &err), &err);
	EXPECT_OK(store_run(s, find_key, &key, &err), &err);
	assert_string_equal(key.secret_sha256, sha256);
	assert_string_equal(key.org, "default");
	assert_string_equal(key.user, "root");
	assert_int_equal(key.role, ROLE_ADMIN);
	assert_null(strstr(token, key.secret_sha256));
	store_close(s);
}

TEST(tokens_of_another_shape_are_refused)
{
	static const char *const tokens[] = {"",       "cml_",	       "cml_k",
					     "cml_k_", "cml__secret",  "xml_k_s",
					     "k_s",    "CML_k_secret", "cml_0123456789abcdef_secret"};
	char id[STORE_KEY_ID_MAX + 1], sha256[65], longest[200];
	for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
		struct err err = ERR_INIT;
		EXPECT_ERR(store_token_parse(tokens[i], id, sha256, &err), ERR_UNAUTHENTICATED, &err,
			   "not valid");
	}
	memset(longest, 'a', sizeof(longest) - 1);
	memcpy(longest, "cml_k_", 6);
	longest[sizeof(longest) - 1] = 0;
	struct err err = ERR_INIT;
	EXPECT_ERR(store_token_parse(longest, id, sha256, &err), ERR_UNAUTHENTICATED, &err, "not valid");
}
