/* SPDX-License-Identifier: Apache-2.0 */
/* Accounting: sums by day and user, what still runs, replicas of services, and questions about single jobs.
 */
#include <stdio.h>
#include "base/mem.h"
#include "store/store_admin.h"
#include "store/store_usage.h"
#include "unit/store/store_fixture.h"

#define HOUR (3600 * INT64_C(1000))
#define GIB (INT64_C(1) << 30)
#define DAY(n) ((n)*USAGE_DAY_MS)

static int start(struct store_tx *tx, const char *owner, int64_t attempt, const char *user, int64_t at_ms,
		 struct err *err)
{
	struct usage_attempt a = {.owner = owner,
				  .attempt = attempt,
				  .org = "default",
				  .user = user,
				  .kind = USAGE_KIND_JOB,
				  .name = "train",
				  .held = {2500, 3 * GIB, 1},
				  .started_ms = at_ms};
	return store_usage_start(tx, &a, err);
}

static struct usage_rows ask(struct store_tx *tx, struct usage_query q)
{
	struct err err = ERR_INIT;
	struct usage_rows rows = {0};
	q.org = q.org ? q.org : "default";
	q.limit = q.limit ? q.limit : 1000;
	EXPECT_OK(store_usage_query(tx, &q, &rows, &err), &err);
	return rows;
}

static void expect_sum(const struct usage *u, int64_t hours, int64_t attempts, int64_t running)
{
	assert_int_equal(u->cpu_milli_ms, 2500 * hours * HOUR);
	assert_int_equal(u->memory_mib_ms, 3072 * hours * HOUR);
	assert_int_equal(u->gpu_ms, hours * HOUR);
	assert_int_equal(u->attempts, attempts);
	assert_int_equal(u->running, running);
}

static int by_days_and_users(struct store_tx *tx, void *arg, struct err *err)
{
	/* 22:00 on day 10 to 03:00 on day 12; again by somebody else within day 12, and one that runs. */
	EXPECT_OK(start(tx, "j1", 1, "ada", DAY(10) + 22 * HOUR, err), err);
	EXPECT_OK(start(tx, "j1", 1, "ada", DAY(11), err), err); /* told twice: the first holds */
	EXPECT_OK(store_usage_stop(tx, "j1", 1, DAY(12) + 3 * HOUR, err), err);
	EXPECT_OK(store_usage_stop(tx, "j1", 1, DAY(19), err), err);
	EXPECT_OK(start(tx, "j2", 1, "bob", DAY(12), err), err);
	EXPECT_OK(store_usage_stop(tx, "j2", 1, DAY(12) + 4 * HOUR, err), err);
	EXPECT_OK(start(tx, "j2", 2, "bob", DAY(12) + 20 * HOUR, err), err);

	struct usage_query q = {.first_day = 0, .last_day = 100, .now_ms = DAY(13) + HOUR};
	struct usage_rows rows = ask(tx, q);
	assert_int_equal(rows.count, 1);
	expect_sum(&rows.items[0].sum, 29 + 4 + 5, 2, 1);
	usage_rows_done(&rows);

	q.by = USAGE_BY_DAY;
	rows = ask(tx, q);
	assert_int_equal(rows.count, 4);
	static const int64_t hours[] = {2, 24, 3 + 4 + 4, 1}, attempts[] = {0, 0, 2, 0},
			     running[] = {0, 0, 0, 1};
	for (size_t i = 0; i < rows.count; i++) {
		assert_int_equal(rows.items[i].day, 10 + (int64_t)i);
		expect_sum(&rows.items[i].sum, hours[i], attempts[i], running[i]);
	}
	usage_rows_done(&rows);

	q.by = USAGE_BY_USER;
	rows = ask(tx, q);
	assert_int_equal(rows.count, 2);
	assert_string_equal(rows.items[0].user, "ada");
	expect_sum(&rows.items[0].sum, 29, 1, 0);
	expect_sum(&rows.items[1].sum, 9, 1, 1);
	usage_rows_done(&rows);

	q = (struct usage_query){.user = "bob", .first_day = 12, .last_day = 12, .now_ms = DAY(13) + HOUR};
	rows = ask(tx, q);
	assert_int_equal(rows.count, 1);
	expect_sum(&rows.items[0].sum, 8, 1, 0); /* what runs on is counted on its last day */
	usage_rows_done(&rows);

	q = (struct usage_query){.owner = "j2", .last_day = 100, .now_ms = DAY(13) + HOUR};
	rows = ask(tx, q);
	expect_sum(&rows.items[0].sum, 9, 1, 1);
	usage_rows_done(&rows);
	q.org = "other";
	assert_int_equal(ask(tx, q).count, 0);

	q = (struct usage_query){.by = USAGE_BY_JOB, .last_day = 100, .now_ms = DAY(13) + HOUR};
	rows = ask(tx, q);
	assert_int_equal(rows.count, 2);
	assert_string_equal(rows.items[0].owner, "j2");
	assert_string_equal(rows.items[0].name, "train");
	expect_sum(&rows.items[0].sum, 9, 1, 1);
	usage_rows_done(&rows);
	q.limit = 2;
	rows = ask(tx, q);
	assert_true(rows.more);
	usage_rows_done(&rows);

	/* What a job leaves stays when its record goes. */
	EXPECT_OK(store_usage_forget(tx, "j1", err), err);
	rows = ask(tx, (struct usage_query){.last_day = 100, .now_ms = DAY(13) + HOUR});
	expect_sum(&rows.items[0].sum, 38, 2, 1);
	usage_rows_done(&rows);
	return 0;
}

TEST(attempts_are_summed_by_day_and_user)
{
	struct err err = ERR_INIT;
	struct store *s = fixture_open(":memory:");
	EXPECT_OK(store_run(s, by_days_and_users, NULL, &err), &err);
	store_close(s);
}

static int clocks(struct store_tx *tx, void *arg, struct err *err)
{
	EXPECT_OK(start(tx, "j1", 1, "ada", DAY(10) + HOUR, err), err);
	EXPECT_OK(store_usage_stop(tx, "j1", 1, DAY(9), err), err);
	struct usage_rows rows = ask(tx, (struct usage_query){.last_day = 100, .now_ms = DAY(9)});
	assert_int_equal(rows.count, 1);
	expect_sum(&rows.items[0].sum, 0, 1, 0);
	usage_rows_done(&rows);
	EXPECT_OK(start(tx, "j2", 1, "ada", DAY(10), err), err);
	rows = ask(tx, (struct usage_query){.last_day = 100, .now_ms = DAY(9)});
	expect_sum(&rows.items[0].sum, 0, 1, 1);
	usage_rows_done(&rows);
	return 0;
}

TEST(a_clock_that_was_set_back_takes_nothing_away)
{
	struct err err = ERR_INIT;
	struct store *s = fixture_open(":memory:");
	EXPECT_OK(store_run(s, clocks, NULL, &err), &err);
	store_close(s);
}

static struct usage model_sum(struct store_tx *tx, int64_t now_ms)
{
	struct usage_rows rows = ask(tx, (struct usage_query){.last_day = 100, .now_ms = now_ms});
	struct usage u = rows.count ? rows.items[0].sum : (struct usage){0};
	usage_rows_done(&rows);
	return u;
}

static int replicas(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(service) struct service *s = service_new();
	snprintf(s->id, sizeof(s->id), "m1");
	snprintf(s->org, sizeof(s->org), "default");
	snprintf(s->user, sizeof(s->user), "ada");
	s->spec.name = mem_strdup("digits");
	s->spec.limits = (struct resources){1000, GIB, 0};
	s->state = SERVICE_READY;
	s->replica_count = 2;
	s->replicas[0] = (struct replica){.slot = 0, .attempt = 1, .ready_ms = DAY(5)};
	s->replicas[1] = (struct replica){.slot = 1, .attempt = 2};
	EXPECT_OK(store_usage_service(tx, s, DAY(5), err), err);
	assert_int_equal(model_sum(tx, DAY(5) + HOUR).cpu_milli_ms, 1000 * HOUR);
	s->replicas[1].ready_ms = DAY(5) + HOUR;
	EXPECT_OK(store_usage_service(tx, s, DAY(5) + HOUR, err), err);
	assert_int_equal(model_sum(tx, DAY(5) + 3 * HOUR).cpu_milli_ms, 1000 * 5 * HOUR);
	assert_int_equal(model_sum(tx, DAY(5) + 3 * HOUR).running, 2);
	/* The first restarts: another attempt in its place, which is not ready yet. */
	s->replicas[0].attempt = 3;
	s->replicas[0].ready_ms = 0;
	EXPECT_OK(store_usage_service(tx, s, DAY(5) + 4 * HOUR, err), err);
	assert_int_equal(model_sum(tx, DAY(5) + 6 * HOUR).cpu_milli_ms, 1000 * (4 + 5) * HOUR);
	s->state = SERVICE_DELETED;
	EXPECT_OK(store_usage_service(tx, s, DAY(5) + 6 * HOUR, err), err);
	struct usage end = model_sum(tx, DAY(90));
	assert_int_equal(end.cpu_milli_ms, 1000 * 9 * HOUR);
	assert_int_equal(end.attempts, 2);
	assert_int_equal(end.running, 0);
	return 0;
}

TEST(replicas_count_from_ready_to_their_end)
{
	struct err err = ERR_INIT;
	struct store *s = fixture_open(":memory:");
	EXPECT_OK(store_run(s, replicas, NULL, &err), &err);
	store_close(s);
}
