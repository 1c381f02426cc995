/* SPDX-License-Identifier: Apache-2.0 */
/* Opening: migrations, refusals, the first start. */
#include <stdio.h>
#include <sqlite3.h>
#include <unistd.h>
#include "base/mem.h"
#include "unit/store/store_fixture.h"

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
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

TEST(a_store_of_an_older_schema_is_brought_forward)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("old.db"));
	store_close(fixture_open(path));
	/* As schema 2 was: without services. */
	run_sql(path, "DROP TABLE services; PRAGMA user_version = 2");
	struct store *s = fixture_open(path);
	EXPECT_OK(fixture_check(s, &err), &err);
	store_close(s);
}

TEST(a_store_of_a_newer_program_is_refused)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("newer.db"));
	store_close(fixture_open(path));
	run_sql(path, "PRAGMA user_version = 99");
	EXPECT_ERR(store_open(&(struct store_config){.path = path}, &s, &err), ERR_UNSUPPORTED, &err,
		   "written by a newer cloudml (schema 99");
}

TEST(the_database_of_another_program_is_refused)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("foreign.db"));
	run_sql(path, "CREATE TABLE t(x)");
	EXPECT_ERR(store_open(&(struct store_config){.path = path}, &s, &err), ERR_CORRUPT, &err,
		   "another program");
}

TEST(a_file_that_is_no_database_is_refused)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("text.db"));
	CLEANUP(file) FILE *f = fopen(path, "w");
	for (int i = 0; i < 1000; i++)
		fputs("this is no database\n", f);
	fflush(f);
	EXPECT_ERR(store_open(&(struct store_config){.path = path}, &s, &err), ERR_CORRUPT, &err,
		   "not a database");
}

TEST(a_store_is_opened_by_one_at_a_time)
{
	struct store *second = NULL;
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("busy.db"));
	struct store *s = fixture_open(path);
	EXPECT_ERR(store_open(&(struct store_config){.path = path}, &second, &err), ERR_CONFLICT, &err,
		   "in use");
	store_close(s);
}

static int find_key(struct store_tx *tx, void *key, struct err *err)
{
	char id[STORE_KEY_ID_MAX + 1];
	snprintf(id, sizeof(id), "%s", ((struct store_key *)key)->id);
	return store_key_find(tx, id, key, err);
}

TEST(the_first_start_makes_one_token_and_the_second_none)
{
	struct err err = ERR_INIT;
	char token[STORE_TOKEN_MAX], again[STORE_TOKEN_MAX], sha256[65];
	struct store_key key = {0};
	struct store *s = NULL;
	EXPECT_OK(store_open(&(struct store_config){.path = ":memory:"}, &s, &err), &err);
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
