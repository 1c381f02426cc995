/* SPDX-License-Identifier: Apache-2.0 */
/* Several servers on one PostgreSQL, and connections that break. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "unit/store/postgres_fixture.h"
#include "unit/store/store_fixture.h"

#define ADDRESS "127.0.0.1:4711"

static struct store_config config_of(const char *name)
{
	static char url[400];
	struct store_config config = *fixture_config(name, NULL);
	snprintf(url, sizeof(url), "%s", config.database);
	config.database = url;
	config.address = ADDRESS;
	return config;
}

static struct store *open_holder(const struct store_config *config)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	EXPECT_OK(store_open(config, &s, &err), &err);
	return s;
}

static int make_org(struct store_tx *tx, void *arg, struct err *err)
{
	int r = store_org_insert(tx, "default", 1, err);
	return r == -ERR_EXISTS ? 0 : r;
}

static void in_schema(const char *name, const char *sql)
{
	CLEANUP(free) char *text = mem_printf("SET search_path = %s; %s", name, sql);
	postgres_sql(text);
}

TEST(the_second_server_is_told_who_has_the_database)
{
	struct err err = ERR_INIT;
	struct store *second = NULL;
	char address[STORE_ADDRESS_MAX];
	struct store_config config = config_of("second");
	EXPECT_OK(store_lease_look(&config, address, &err), &err);
	assert_string_equal(address, "");
	struct store *s = open_holder(&config);
	EXPECT_ERR(store_open(&config, &second, &err), ERR_CONFLICT, &err, "in use");
	EXPECT_OK(store_lease_look(&config, address, &err), &err);
	assert_string_equal(address, ADDRESS);
	store_close(s);
	EXPECT_OK(store_lease_look(&config, address, &err), &err);
	assert_string_equal(address, "");
	store_close(open_holder(&config));
}

TEST(a_broken_connection_fails_one_transaction_and_is_made_anew)
{
	struct err err = ERR_INIT;
	struct store_config config = config_of("broken");
	struct store *s = open_holder(&config);
	EXPECT_OK(store_run(s, make_org, NULL, &err), &err);
	EXPECT_OK(fixture_insert(s, "jbefore", &err), &err);
	for (int i = 0; i < 3; i++) {
		char id[16];
		snprintf(id, sizeof(id), "jlost%d", i);
		postgres_break_connections();
		EXPECT_ERR(fixture_insert(s, id, &err), ERR_UNAVAILABLE, &err, "was lost");
		EXPECT_OK(fixture_insert(s, id, &err), &err);
	}
	assert_false(store_has_failed(s, NULL));
	assert_int_equal(fixture_has(s, "jbefore"), 1);
	EXPECT_OK(fixture_check(s, &err), &err);
	store_close(s);
}

TEST(a_server_that_was_replaced_writes_nothing_more)
{
	struct err err = ERR_INIT;
	struct store_config config = config_of("replaced");
	struct store *old = open_holder(&config);
	EXPECT_OK(store_run(old, make_org, NULL, &err), &err);
	postgres_break_connections();
	struct store *new = open_holder(&config);
	EXPECT_OK(fixture_insert(new, "jnew", &err), &err);
	EXPECT_ERR(fixture_insert(old, "jold", &err), ERR_UNAVAILABLE, &err, "was lost");
	EXPECT_ERR(fixture_insert(old, "jold", &err), ERR_STATE, &err, "taken the database");
	EXPECT_ERR(fixture_insert(old, "jold", &err), ERR_UNAVAILABLE, &err, "over meanwhile");
	assert_true(store_has_failed(old, NULL));
	assert_int_equal(fixture_has(new, "jold"), 0);
	store_close(new);
	store_close(old);
	/* Also when the other one has gone again. */
	old = open_holder(&config);
	postgres_break_connections();
	store_close(open_holder(&config));
	EXPECT_ERR(fixture_insert(old, "jlate", &err), ERR_UNAVAILABLE, &err, "was lost");
	EXPECT_ERR(fixture_insert(old, "jlate", &err), ERR_STATE, &err, "taken the database");
	store_close(old);
}

TEST(a_server_that_hangs_is_replaced)
{
	struct err err = ERR_INIT;
	char address[STORE_ADDRESS_MAX];
	struct store *second = NULL;
	struct store_config config = config_of("hangs");
	struct store *s = open_holder(&config);
	EXPECT_OK(store_run(s, make_org, NULL, &err), &err);
	in_schema("hangs", "UPDATE lease SET renewed_ms = renewed_ms - 60000");
	store_lease_renew(s);
	while (store_pump(s))
		;
	EXPECT_OK(store_lease_look(&config, address, &err), &err);
	EXPECT_ERR(store_open(&config, &second, &err), ERR_CONFLICT, &err, "in use"); /* it has renewed */
	in_schema("hangs", "UPDATE lease SET renewed_ms = renewed_ms - 60000");
	EXPECT_OK(store_lease_look(&config, address, &err), &err);
	second = open_holder(&config);
	EXPECT_ERR(fixture_insert(s, "jhung", &err), ERR_UNAVAILABLE, &err, "was lost");
	EXPECT_ERR(fixture_insert(s, "jhung", &err), ERR_STATE, &err, "taken the database");
	assert_int_equal(fixture_has(second, "jhung"), 0);
	store_close(second);
	store_close(s);
}

/* A deferred trigger ends the session while it commits. */
TEST(a_connection_that_breaks_during_a_commit_stops_the_store)
{
	struct err err = ERR_INIT;
	struct store_config config = config_of("commits");
	struct store *s = open_holder(&config);
	EXPECT_OK(store_run(s, make_org, NULL, &err), &err);
	in_schema(
	    "commits",
	    "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM "
	    "pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10); RETURN NULL; END $$; CREATE "
	    "CONSTRAINT TRIGGER die AFTER INSERT ON jobs DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE "
	    "FUNCTION die()");
	EXPECT_ERR(fixture_insert(s, "jcommit", &err), ERR_IO, &err, "whose outcome is unknown");
	EXPECT_ERR(fixture_insert(s, "jafter", &err), ERR_UNAVAILABLE, &err, "stopped after a failed write");
	assert_true(store_has_failed(s, NULL));
	store_close(s);
	in_schema("commits", "DROP TRIGGER die ON jobs");
	s = open_holder(&config);
	assert_int_equal(fixture_has(s, "jafter"), 0);
	EXPECT_OK(fixture_check(s, &err), &err);
	store_close(s);
}
