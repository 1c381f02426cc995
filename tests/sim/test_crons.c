/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of crons: one job a tick, whatever happens to the server. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "sim/sim.h"

#define MINUTE (60 * SEC)

static struct cron *wish(const char *name, const char *schedule, enum cron_overlap overlap,
			 enum cron_missed missed)
{
	struct err err = ERR_INIT;
	CLEANUP(json)
	json_t *j = json_pack("{s:s, s:s, s:{s:[s,s], s:s, s:s}}", "name", name, "schedule", schedule, "job",
			      "command", "workload", name, "name", name, "memory", "1G");
	struct cron *c = cron_new();
	EXPECT_OK(cron_parse(j, c, &err), &err);
	c->overlap = (int)overlap;
	c->missed = (int)missed;
	return c;
}

static void on_done(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct sim_request *q = arg;
	q->is_done = true;
	q->err = *err;
	q->replayed = result->replayed;
	if (result->cron)
		snprintf(q->id, sizeof(q->id), "%s", result->cron->id);
}

static struct sim_request wait_for(struct sim *s, struct sim_request *q)
{
	while (!q->is_done)
		sim_step(s);
	return *q;
}

static struct sim_request make(struct sim *s, const char *key, struct cron *cron)
{
	struct principal who;
	struct sim_request q = {0};
	struct ctl_idempotency idem = {.key = key, .body_sha256 = "x"};
	sim_principal(&who, "default", ROLE_MEMBER);
	ctl_cron_create(s->ctl, &who, cron, &idem, on_done, &q);
	return wait_for(s, &q);
}

static struct sim_request change(struct sim *s, const char *name, enum ctl_cron_change what, const char *key)
{
	struct principal who;
	struct sim_request q = {0};
	struct ctl_idempotency idem = {.key = key, .body_sha256 = "y"};
	sim_principal(&who, "default", ROLE_MEMBER);
	ctl_cron_change(s->ctl, &who, name, what, &idem, on_done, &q);
	return wait_for(s, &q);
}

struct count {
	bool is_done;
	size_t jobs, events;
	char reasons[4000];
};

static void on_jobs(void *arg, const struct job *const *jobs, size_t count, bool more, const struct err *err)
{
	struct count *n = arg;
	n->is_done = true;
	n->jobs = count;
	for (size_t i = 0; i < count; i++)
		for (size_t k = i + 1; k < count; k++)
			assert_string_not_equal(jobs[i]->id, jobs[k]->id);
}

static size_t jobs_of(struct sim *s, const char *name)
{
	struct principal who;
	struct count n = {0};
	struct ctl_list_query q = {.state = -1, .name = name, .limit = 1000};
	sim_principal(&who, "default", ROLE_MEMBER);
	ctl_job_list(s->ctl, &who, &q, on_jobs, &n);
	while (!n.is_done)
		sim_step(s);
	return n.jobs;
}

static void on_events(void *arg, const struct event *events, size_t count, const struct err *err)
{
	struct count *n = arg;
	n->is_done = true;
	n->events = count;
	for (size_t i = 0; i < count && strlen(n->reasons) < sizeof(n->reasons) - 40; i++)
		snprintf(n->reasons + strlen(n->reasons), 34, "%s ", events[i].reason);
}

static struct count events_of(struct sim *s, const char *subject)
{
	struct principal who;
	struct count n = {0};
	sim_principal(&who, "default", ROLE_MEMBER);
	ctl_events(s->ctl, &who, subject, 0, on_events, &n);
	while (!n.is_done)
		sim_step(s);
	return n;
}

TEST(each_tick_makes_one_job_over_restarts)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 1000});
	assert_int_equal(make(s, "k", wish("a", "* * * * *", CRON_SKIP, CRON_ONCE)).err.code, 0);
	int64_t begin = s->now_ms;
	for (int i = 0; i < 30; i++) {
		sim_run(s, MINUTE + 700);
		if (i % 3 == 0) { /* between any two of its steps */
			for (int n = 0; n < i; n++)
				sim_step(s);
			store_pump_commit(s->store);
			sim_crash(s);
			sim_start(s);
		}
	}
	int64_t minutes = (s->now_ms - begin) / MINUTE;
	assert_in_range((int64_t)jobs_of(s, "a"), minutes - 1, minutes + 1);
	assert_int_equal(change(s, "a", CTL_CRON_DELETE, "d").err.code, 0);
	sim_until_idle(s, 3600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(what_passed_while_no_server_ran_is_made_up_for_once_or_dropped)
{
	static const struct {
		enum cron_missed missed;
		size_t jobs;
	} rows[] = {{CRON_ONCE, 1}, {CRON_DROP, 0}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sim *s = sim_new();
		make(s, "k", wish("a", "0 * * * *", CRON_ALLOW, rows[i].missed));
		sim_crash(s);
		sim_run(s, 5 * 60 * MINUTE + MINUTE * 10);
		sim_start(s);
		sim_run(s, MINUTE * 2);
		assert_int_equal(jobs_of(s, "a"), rows[i].jobs);
		sim_run(s, 60 * MINUTE);
		assert_int_equal(jobs_of(s, "a"), rows[i].jobs + 1);
		sim_free(s);
	}
}

TEST(a_tick_while_the_job_before_lives_is_skipped_or_not)
{
	static const struct {
		enum cron_overlap overlap;
		size_t jobs;
		const char *reason;
	} rows[] = {{CRON_SKIP, 1, "skipped"},
		    {CRON_ALLOW, 4, "submitted submitted"},
		    {CRON_REPLACE, 4, "submitted"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sim *s = sim_new();
		sim_plan_set(s, "a", (struct sim_plan){.run_ms = -1});
		make(s, "k", wish("a", "*/10 * * * *", rows[i].overlap, CRON_ONCE));
		sim_run(s, 40 * MINUTE);
		assert_int_equal(jobs_of(s, "a"), rows[i].jobs);
		assert_non_null(strstr(events_of(s, "cron/a").reasons, rows[i].reason));
		if (rows[i].overlap == CRON_REPLACE)
			assert_int_equal(s->in_use.cpu_milli, 1000); /* one of them lives */
		sim_free(s);
	}
}

TEST(a_cron_is_paused_resumed_and_deleted_once_by_a_key)
{
	struct sim *s = sim_new();
	struct sim_request first = make(s, "k", wish("a", "* * * * *", CRON_ALLOW, CRON_ONCE));
	struct sim_request again = make(s, "k", wish("a", "* * * * *", CRON_ALLOW, CRON_ONCE));
	assert_true(again.replayed);
	assert_string_equal(again.id, first.id);
	assert_int_equal(make(s, "other", wish("a", "@daily", CRON_ALLOW, CRON_ONCE)).err.code, ERR_EXISTS);
	change(s, "a", CTL_CRON_PAUSE, "p");
	sim_run(s, 10 * MINUTE);
	assert_int_equal(jobs_of(s, "a"), 0);
	change(s, "a", CTL_CRON_RESUME, "r");
	sim_run(s, 2 * MINUTE);
	assert_in_range(jobs_of(s, "a"), 1, 2); /* not what passed meanwhile */
	assert_non_null(strstr(events_of(s, "cron/a").reasons, "created paused resumed submitted"));
	assert_int_equal(change(s, "a", CTL_CRON_DELETE, "d").err.code, 0);
	again = change(s, "a", CTL_CRON_DELETE, "d");
	assert_int_equal(again.err.code, 0);
	assert_true(again.replayed);
	assert_int_equal(change(s, "a", CTL_CRON_DELETE, "e").err.code, ERR_NOT_FOUND);
	assert_int_equal(make(s, "k", wish("a", "* * * * *", CRON_ALLOW, CRON_ONCE)).err.code, ERR_CONFLICT);
	sim_free(s);
}

TEST(a_jump_of_the_wall_clock_makes_no_tick_twice)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 1000});
	make(s, "k", wish("a", "*/5 * * * *", CRON_SKIP, CRON_ONCE));
	sim_run(s, 30 * MINUTE);
	size_t before = jobs_of(s, "a");
	s->wall_offset_ms -= 20 * MINUTE;
	sim_run(s, 15 * MINUTE);
	assert_int_equal(jobs_of(s, "a"), before);
	sim_run(s, 15 * MINUTE);
	assert_in_range(jobs_of(s, "a"), before + 1, before + 3);
	sim_free(s);
}
