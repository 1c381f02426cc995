/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of the queue in a whole platform: quotas, borrowing, preemption, start times, deadlines,
 * explanations. */
#include <stdio.h>
#include "base/mem.h"
#include "base/unit.h"
#include "sim/sim.h"

static void quota(struct sim *s, const char *org, int64_t cores, bool borrow)
{
	struct quota q;
	quota_init(&q);
	q.purposes[PURPOSE_TRAINING].most.cpu_milli = cores * 1000;
	q.borrow = borrow;
	ctl_quota_set(s->ctl, org, &q);
}

static char *at(struct sim *s, const char *field, int64_t in_ms)
{
	char text[32];
	unit_format_time(clock_wall_ms(&s->clock) + in_ms, text);
	return mem_printf("{\"%s\": \"%s\"}", field, text);
}

struct asked {
	bool is_done;
	json_t *j;
	struct err err;
};

static void on_explained(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct asked *a = arg;
	a->is_done = true;
	a->err = *err;
	a->j = json_incref(result->explanation);
}

static json_t *explain(struct sim *s, const char *org, const char *name)
{
	struct asked a = {0};
	struct principal who;
	sim_principal(&who, org, ROLE_VIEWER);
	ctl_job_explain(s->ctl, &who, name, on_explained, &a);
	while (!a.is_done)
		assert_true(sim_step(s));
	EXPECT_STR("explain", a.err.msg, "");
	return a.j;
}

static int64_t expected_start(const json_t *e)
{
	const json_t *at_ms = json_object_get(e, "expected_start_ms");
	return json_is_integer(at_ms) ? json_integer_value(at_ms) : -1;
}

static void until_org_state(struct sim *s, const char *org, const char *name, enum job_state state)
{
	int64_t end = s->now_ms + 3600 * SEC;
	while (sim_get(s, org, name).state != (int)state && s->now_ms < end)
		sim_step(s);
	EXPECT_STR(name, job_state_word((enum job_state)sim_get(s, org, name).state), job_state_word(state));
}

TEST(what_was_borrowed_is_given_back_and_ends_well_later)
{
	struct sim *s = sim_new();
	quota(s, "default", 2, true);
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 300 * SEC});
	sim_plan_set(s, "b", (struct sim_plan){.run_ms = 200 * SEC});
	sim_submit(s, "a", .cpu_milli = 2000);
	sim_submit(s, "b", .cpu_milli = 2000);
	sim_until_state(s, "b", JOB_RUNNING);
	sim_run(s, 60 * SEC);
	sim_submit(s, "c", .org = "other", .cpu_milli = 2000);
	until_org_state(s, "other", "c", JOB_COMPLETED);
	sim_until_state(s, "b", JOB_COMPLETED); /* without a retry of its own */
	EXPECT_STARTS(s, "b", 2);
	assert_non_null(strstr(buf_str(&s->trace), "-1-main-0 preempted"));
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_preempted_job_is_found_again_after_a_crash)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "spot", (struct sim_plan){.run_ms = 100 * SEC, .ignores_stop = true});
	sim_submit(s, "spot", .cpu_milli = 4000, .priority = 10, .more = "{\"preemptible\": true}");
	sim_until_state(s, "spot", JOB_RUNNING);
	sim_run(s, 40 * SEC);
	sim_submit(s, "urgent", .cpu_milli = 4000, .priority = 90);
	sim_run(s, 2 * SEC);
	EXPECT_WHY(s, "urgent", "has been stopped");
	sim_crash(s);
	sim_start(s);
	sim_until_state(s, "urgent", JOB_COMPLETED);
	sim_until_state(s, "spot", JOB_COMPLETED);
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

/* Stopped for others three times, and every second attempt fails by itself. */
TEST(preemption_uses_up_no_retry)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "spot", (struct sim_plan){.run_ms = 100 * SEC, .fail = FAIL_USER, .fails = 4});
	sim_plan_set(s, "urgent", (struct sim_plan){.run_ms = SEC});
	sim_submit(s, "spot", .cpu_milli = 4000, .priority = 10, .max_retries = 1,
		   .more = "{\"preemptible\": true}");
	for (int64_t attempt = 1; attempt <= 3; attempt++) {
		while (sim_get(s, NULL, "spot").attempt < attempt)
			sim_step(s);
		sim_until_state(s, "spot", JOB_RUNNING);
		sim_run(s, 5 * SEC);
		sim_submit(s, "urgent", .cpu_milli = 4000, .priority = 90);
		sim_until_state(s, "urgent", JOB_COMPLETED);
		sim_crash(s); /* what was charged is in the row */
		sim_start(s);
	}
	sim_until_state(s, "spot", JOB_COMPLETED); /* the fourth fails by itself, the fifth does not */
	EXPECT_STARTS(s, "spot", 5);
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_quota_without_borrowing_is_the_end)
{
	struct sim *s = sim_new();
	quota(s, "default", 2, false);
	sim_submit(s, "a", .cpu_milli = 2000);
	sim_submit(s, "b", .cpu_milli = 1000);
	sim_until_state(s, "a", JOB_RUNNING);
	EXPECT_WHY(s, "b", "the quota of 'default' for training has 0 left of 2; held by a");
	EXPECT_INT("too large", sim_submit(s, "c", .cpu_milli = 3000).err.code, ERR_QUOTA);
	quota(s, "default", 3, false);
	sim_until_state(s, "b", JOB_RUNNING);
	struct quota q;
	struct quota_limit used[PURPOSE_COUNT];
	ctl_quota_get(s->ctl, "default", &q, used);
	assert_int_equal(q.purposes[PURPOSE_TRAINING].most.cpu_milli, 3000);
	assert_int_equal(used[PURPOSE_TRAINING].most.cpu_milli, 3000);
	assert_int_equal(used[PURPOSE_TRAINING].count, 2);
	sim_free(s);
}

TEST(a_job_starts_at_its_time_also_over_a_restart)
{
	struct sim *s = sim_new();
	CLEANUP(free) char *later = at(s, "start_after", 100 * SEC);
	int64_t time_ms = s->now_ms + 100 * SEC;
	sim_submit(s, "later", .more = later);
	sim_run(s, 30 * SEC);
	EXPECT_WHY(s, "later", "starts no earlier than in 1m 9s");
	sim_crash(s);
	sim_start(s);
	sim_until_state(s, "later", JOB_STARTING);
	assert_true(s->now_ms >= time_ms && s->now_ms < time_ms + 2 * SEC);
	sim_until_state(s, "later", JOB_COMPLETED);
	sim_free(s);
}

TEST(a_job_that_cannot_end_before_its_deadline_fails_and_says_so)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "long", (struct sim_plan){.run_ms = 300 * SEC});
	sim_plan_set(s, "slow", (struct sim_plan){.run_ms = 300 * SEC});
	sim_submit(s, "long", .cpu_milli = 4000);
	sim_until_state(s, "long", JOB_RUNNING);
	CLEANUP(free) char *soon = at(s, "deadline", 100 * SEC), *later = at(s, "deadline", 400 * SEC);
	int64_t time_ms = s->now_ms;
	EXPECT_INT("at once", sim_submit(s, "never", .max_duration_ms = 200 * SEC, .more = soon).err.code,
		   ERR_INVALID);
	sim_submit(s, "late", .max_duration_ms = 50 * SEC, .more = soon);
	sim_submit(s, "slow", .more = later);
	until_org_state(s, "default", "late", JOB_FAILED);
	assert_true(s->now_ms >= time_ms + 49 * SEC && s->now_ms < time_ms + 55 * SEC);
	EXPECT_WHY(s, "late", "cannot end before its deadline");
	until_org_state(s, "default", "slow", JOB_FAILED); /* it runs, and is stopped at its deadline */
	EXPECT_STARTS(s, "slow", 1);
	assert_true(s->now_ms >= time_ms + 399 * SEC && s->now_ms < time_ms + 420 * SEC);
	sim_free(s);
}

TEST(a_users_queue_has_an_end)
{
	struct sim *s = sim_new();
	struct quota q;
	quota_init(&q);
	q.user_queued = 2;
	ctl_quota_set(s->ctl, "default", &q);
	sim_plan_set(s, "x", (struct sim_plan){.run_ms = 5 * SEC});
	assert_int_equal(sim_submit(s, "x").err.code, 0);
	assert_int_equal(sim_submit(s, "x").err.code, 0);
	struct sim_request third = sim_submit(s, "x");
	assert_int_equal(third.err.code, ERR_QUOTA);
	assert_non_null(strstr(third.err.msg, "has 2 unfinished jobs, and 2 are allowed"));
	assert_int_equal(sim_submit(s, "y", .org = "other").err.code, 0);
	sim_until_state(s, "x", JOB_COMPLETED);
	assert_int_equal(sim_submit(s, "x").err.code, 0);
	sim_free(s);
}

/* What the queue learned of a name is what the explanation goes by, and it comes true. */
TEST(the_expected_start_comes_from_the_history_and_comes_true)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "train", (struct sim_plan){.prepare_ms = 1000, .run_ms = 100 * SEC});
	for (int i = 0; i < 3; i++) {
		sim_submit(s, "train", .cpu_milli = 4000);
		sim_until_state(s, "train", JOB_COMPLETED);
	}
	sim_until_idle(s, 60 * SEC);
	sim_crash(s); /* the history is read again */
	sim_start(s);
	struct sim_request runs = sim_submit(s, "train", .cpu_milli = 4000);
	sim_until_state(s, "train", JOB_RUNNING);
	sim_submit(s, "next", .cpu_milli = 4000);
	sim_submit(s, "secret", .org = "other");
	sim_run(s, 10 * SEC);
	CLEANUP(json) json_t *other = explain(s, "other", "secret");
	assert_int_equal(sim_cancel(s, "other", "secret").err.code, 0);
	sim_run(s, SEC);
	CLEANUP(json) json_t *e = explain(s, "default", "next");
	EXPECT_STR("basis", json_string_value(json_object_get(e, "basis")), "history");
	EXPECT_STR("reason", json_string_value(json_object_get(e, "reason")), "insufficient_cpu");
	const json_t *holder = json_array_get(json_object_get(json_object_get(e, "held_by"), "own"), 0);
	EXPECT_STR("holder", json_string_value(json_object_get(holder, "id")), runs.id);
	CLEANUP(free) char *text = json_dumps(other, 0);
	assert_null(strstr(text, "train"));
	assert_null(strstr(text, runs.id));
	int64_t expected = expected_start(e);
	sim_until_state(s, "next", JOB_STARTING);
	int64_t late = clock_wall_ms(&s->clock) - expected;
	assert_true(late > -3 * SEC && late < 3 * SEC);
	sim_free(s);
}

TEST(nobody_explains_what_is_not_theirs)
{
	struct sim *s = sim_new();
	struct asked a = {0};
	struct principal who;
	sim_submit(s, "mine");
	sim_principal(&who, "other", ROLE_ADMIN);
	ctl_job_explain(s->ctl, &who, "mine", on_explained, &a);
	while (!a.is_done)
		assert_true(sim_step(s));
	assert_int_equal(a.err.code, ERR_NOT_FOUND);
	sim_free(s);
}
