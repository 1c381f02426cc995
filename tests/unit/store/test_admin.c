/* SPDX-License-Identifier: Apache-2.0 */
/* Organisations, users, keys and the audit: rows, pages, and how an organisation goes. */
#include <stdio.h>
#include "base/json.h"
#include "base/mem.h"
#include "store/store_admin.h"
#include "store/store_int.h"
#include "unit/store/store_fixture.h"

static void user_named(struct user *u, const char *org, const char *name, enum role role)
{
	*u = (struct user){.role = role, .created_ms = 7};
	snprintf(u->org, sizeof(u->org), "%s", org);
	snprintf(u->name, sizeof(u->name), "%s", name);
}

static int add_key(struct store_tx *tx, const char *org, const char *user, char ret_id[KEY_ID_MAX + 1],
		   struct err *err)
{
	char token[STORE_TOKEN_MAX];
	struct key k = {.role = ROLE_MEMBER, .created_ms = 5, .note = "for \xc3\xa9tudes"};
	snprintf(k.org, sizeof(k.org), "%s", org);
	snprintf(k.user, sizeof(k.user), "%s", user);
	store_key_make(&test_rng, &k, token);
	snprintf(ret_id, KEY_ID_MAX + 1, "%s", k.id);
	return store_key_insert(tx, &k, err);
}

static int users_and_keys(struct store_tx *tx, void *arg, struct err *err)
{
	struct user u, found;
	struct key k;
	struct store_users users = {0};
	struct store_keys keys = {0};
	char ids[3][KEY_ID_MAX + 1];
	struct err missing = ERR_INIT;
	for (int i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof(name), "u%d", i);
		user_named(&u, "default", name, ROLE_MEMBER);
		EXPECT_OK(store_user_put(tx, &u, err), err);
	}
	EXPECT_ERR(store_user_put(tx, &u, &missing), ERR_EXISTS, &missing, "'u4' exists already");
	u.role = ROLE_ADMIN;
	u.is_platform = true;
	EXPECT_OK(store_user_update(tx, &u, err), err);
	EXPECT_OK(store_user_get(tx, "default", "u4", &found, err), err);
	assert_true(found.is_platform && found.role == ROLE_ADMIN && found.created_ms == 7);
	EXPECT_ERR(store_user_get(tx, "other", "u4", &found, &missing), ERR_NOT_FOUND, &missing, "'u4'");

	EXPECT_OK(store_user_list(tx, "default", "u0", 3, &users, err), err);
	assert_int_equal(users.count, 3);
	assert_true(users.more);
	assert_string_equal(users.items[0].name, "u1");
	store_users_done(&users);
	EXPECT_OK(store_user_list(tx, "default", "u1", 3, &users, err), err);
	assert_int_equal(users.count, 3);
	assert_false(users.more);
	store_users_done(&users);

	EXPECT_OK(add_key(tx, "default", "u1", ids[0], err), err);
	EXPECT_OK(add_key(tx, "default", "u1", ids[1], err), err);
	EXPECT_OK(add_key(tx, "default", "u2", ids[2], err), err);
	EXPECT_OK(store_key_get(tx, "default", "u1", ids[0], &k, err), err);
	assert_string_equal(k.note, "for \xc3\xa9tudes");
	EXPECT_ERR(store_key_get(tx, "default", "u2", ids[0], &k, &missing), ERR_NOT_FOUND, &missing,
		   "no key");
	EXPECT_ERR(store_key_get(tx, "other", NULL, ids[0], &k, &missing), ERR_NOT_FOUND, &missing, "no key");
	EXPECT_OK(store_key_list(tx, "default", NULL, NULL, 1000, &keys, err), err);
	assert_int_equal(keys.count, 3);
	store_keys_done(&keys);
	EXPECT_OK(store_user_delete(tx, "default", "u1", err), err);
	EXPECT_OK(store_key_list(tx, "default", NULL, NULL, 1000, &keys, err), err);
	assert_int_equal(keys.count, 1);
	assert_string_equal(keys.items[0].id, ids[2]);
	store_keys_done(&keys);
	EXPECT_ERR(store_user_delete(tx, "default", "u1", &missing), ERR_NOT_FOUND, &missing, "'u1'");
	return 0;
}

TEST(users_and_their_keys_come_and_go_together)
{
	struct err err = ERR_INIT;
	struct store *s = fixture_open(":memory:");
	EXPECT_OK(store_run(s, users_and_keys, NULL, &err), &err);
	store_close(s);
}

static int audit(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_events l = {0};
	for (int i = 1; i <= 5; i++) {
		struct event e = {.time_ms = i * INT64_C(1000), .type = "Normal", .reason = "user_created"};
		snprintf(e.subject, sizeof(e.subject), "user/u%d", i);
		snprintf(e.actor, sizeof(e.actor), "root");
		EXPECT_OK(store_audit_insert(tx, i == 3 ? "other" : "default", &e, err), err);
	}
	EXPECT_OK(store_audit_list(tx, "default", 0, 3, &l, err), err);
	assert_int_equal(l.count, 3);
	assert_string_equal(l.items[0].subject, "user/u5");
	assert_string_equal(l.items[2].subject, "user/u2");
	int64_t before = l.items[2].seq;
	store_events_done(&l);
	EXPECT_OK(store_audit_list(tx, "default", before, 3, &l, err), err);
	assert_int_equal(l.count, 1);
	assert_string_equal(l.items[0].subject, "user/u1");
	store_events_done(&l);
	assert_int_equal(store_audit_expire(tx, 2000 + STORE_AUDIT_KEPT_MS, err), 2);
	return 0;
}

TEST(the_audit_is_told_newest_first_and_by_organisation)
{
	struct err err = ERR_INIT;
	struct store *s = fixture_open(":memory:");
	EXPECT_OK(store_run(s, audit, NULL, &err), &err);
	store_close(s);
}

/* ---- how an organisation goes ---- */

#define JOBS 450 /* more than two parts */

static int fill_org(struct store_tx *tx, void *arg, struct err *err)
{
	const char *org = arg;
	char id[KEY_ID_MAX + 1];
	struct user u;
	if (strcmp(org, "default") != 0)
		EXPECT_OK(store_org_insert(tx, org, 1, err), err);
	user_named(&u, org, "ada", ROLE_ADMIN);
	EXPECT_OK(store_user_put(tx, &u, err), err);
	EXPECT_OK(add_key(tx, org, "ada", id, err), err);
	for (int i = 0; i < JOBS; i++) {
		char name[16];
		snprintf(name, sizeof(name), "j%.1s%d", org, i);
		CLEANUP(job) struct job *job = fixture_job(name, "gone");
		snprintf(job->org, sizeof(job->org), "%s", org);
		EXPECT_OK(store_job_insert(tx, job, err), err);
		struct event e = {.type = "Normal"};
		snprintf(e.subject, sizeof(e.subject), "%s", name);
		EXPECT_OK(store_event_insert(tx, org, &e, err), err);
		job->state = JOB_STARTING;
		job->attempt = 1;
		job->started_ms = 8;
		job->version = 2;
		EXPECT_OK(store_job_update(tx, job, 1, err), err);
		job->state = JOB_CANCELLED;
		job->ended_ms = 9;
		job->version = 3;
		EXPECT_OK(store_job_update(tx, job, 2, err), err);
	}
	CLEANUP(json)
	json_t *wish = json_pack("{s:s, s:s, s:{s:[s]}}", "name", "nightly", "schedule", "0 3 * * *", "job",
				 "command", "true");
	struct cron *cron = cron_new();
	EXPECT_OK(cron_parse(wish, cron, err), err);
	snprintf(cron->id, sizeof(cron->id), "c%.8s", org);
	snprintf(cron->org, sizeof(cron->org), "%s", org);
	snprintf(cron->user, sizeof(cron->user), "ada");
	EXPECT_OK(store_cron_insert(tx, cron, err), err);
	cron_free(cron);
	struct event e = {.type = "Normal", .subject = "org/x"};
	EXPECT_OK(store_audit_insert(tx, org, &e, err), err);
	return store_idempotency_insert(tx, org, "k", "sha", "id", 1, err);
}

/* How many rows of the organisation each table has that has a column for it: "table=n …". SQLite only. */
static int rows_of(struct store_tx *tx, void *arg, struct err *err)
{
	struct buf *ret = arg;
	char names[64][64];
	size_t count = 0;
	struct sql_stmt *st;
	int r = sql_query(
	    tx, &st, err,
	    "SELECT m.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND "
	    "c.name = 'org' ORDER BY m.name",
	    "");
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0 && count < ARRAY_LEN(names))
		sql_text(st, 0, names[count++], sizeof(names[0]));
	for (size_t i = 0; r >= 0 && i < count; i++) {
		CLEANUP(free) char *sql = mem_printf("SELECT count(*) FROM %s WHERE org = 'other'", names[i]);
		int64_t rows = 0;
		r = sql_int(tx, &rows, err, sql, "");
		buf_printf(ret, "%s%s=%s", i ? " " : "", names[i], rows ? "some" : "none");
	}
	return r < 0 ? r : 0;
}

static int purge(struct store_tx *tx, void *arg, struct err *err)
{
	return store_org_purge(tx, arg, err);
}

static int count_jobs(struct store_tx *tx, void *arg, struct err *err)
{
	int64_t jobs = 0;
	int r = store_org_jobs(tx, arg, &jobs, err);
	return r < 0 ? r : (int)jobs;
}

static int has_org(struct store_tx *tx, void *arg, struct err *err)
{
	struct org o;
	return store_org_get(tx, arg, &o, err);
}

TEST(an_organisation_goes_in_parts_and_takes_nothing_of_another)
{
	struct err err = ERR_INIT;
	struct store *s = fixture_open(":memory:");
	EXPECT_OK(store_run(s, fill_org, (void *)"default", &err), &err);
	EXPECT_OK(store_run(s, fill_org, (void *)"other", &err), &err);
	CLEANUP(buf) struct buf before = BUF_INIT;
	CLEANUP(buf) struct buf after = BUF_INIT;
	if (!fixture_is_postgres()) { /* a new table: fill it here, and empty it in store_org_purge */
		EXPECT_OK(store_run(s, rows_of, &before, &err), &err);
		assert_string_equal(
		    buf_str(&before),
		    "attempts=some audit=some crons=some events=some idempotency=some job_counts=some "
		    "jobs=some keys=some services=none usage_days=some users=some");
	}
	int parts = 1;
	for (int r; (r = store_run(s, purge, (void *)"other", &err)) != 0; parts++) {
		assert_int_equal(r, 1);
		EXPECT_OK(fixture_check(s, &err), &err);
	}
	assert_int_equal(parts, JOBS / 200 + 1);
	if (!fixture_is_postgres()) {
		EXPECT_OK(store_run(s, rows_of, &after, &err), &err);
		assert_null(strstr(buf_str(&after), "some"));
	}
	EXPECT_ERR(store_run(s, has_org, (void *)"other", &err), ERR_NOT_FOUND, &err, "'other'");
	assert_int_equal(store_run(s, count_jobs, (void *)"other", &err), 0);
	assert_int_equal(store_run(s, count_jobs, (void *)"default", &err), JOBS);
	EXPECT_OK(fixture_check(s, &err), &err);
	/* The name is free again, for an organisation that knows nothing of the first. */
	EXPECT_OK(store_run(s, fill_org, (void *)"other", &err), &err);
	store_close(s);
}
