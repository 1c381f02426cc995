/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's edges: tokens, lists, events, watches, times, shutdown. Lives of jobs are told in
 * tests/sim. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"
#include "sim/sim.h"

/* ---- tokens ---- */

struct keys {
	char good[STORE_TOKEN_MAX], expired[STORE_TOKEN_MAX], viewer[STORE_TOKEN_MAX];
};

static int make_keys(struct store_tx *tx, void *arg, struct err *err)
{
	struct keys *k = arg;
	struct key key = {.org = "default", .user = "ada", .role = ROLE_MEMBER};
	int r = store_user_insert(tx, "default", "ada", 0, err);
	store_key_make(&test_rng, &key, k->good);
	r = r < 0 ? r : store_key_insert(tx, &key, err);
	store_key_make(&test_rng, &key, k->expired);
	key.expires_ms = 1;
	r = r < 0 ? r : store_key_insert(tx, &key, err);
	store_key_make(&test_rng, &key, k->viewer);
	key.expires_ms = INT64_C(1900000000000);
	key.role = ROLE_VIEWER;
	return r < 0 ? r : store_key_insert(tx, &key, err);
}

TEST(tokens_are_told_apart)
{
	struct sim *s = sim_new();
	struct keys keys;
	struct err err = ERR_INIT;
	struct principal who;
	EXPECT_OK(store_run(s->store, make_keys, &keys, &err), &err);
	sim_crash(s);
	sim_start(s);
	EXPECT_OK(ctl_authenticate(s->ctl, keys.good, &who, &err), &err);
	assert_string_equal(who.org, "default");
	assert_string_equal(who.user, "ada");
	assert_int_equal(who.role, ROLE_MEMBER);
	EXPECT_OK(ctl_authenticate(s->ctl, keys.viewer, &who, &err), &err);
	assert_int_equal(who.role, ROLE_VIEWER);
	EXPECT_ERR(ctl_authenticate(s->ctl, keys.expired, &who, &err), ERR_UNAUTHENTICATED, &err,
		   "not valid");
	EXPECT_ERR(ctl_authenticate(s->ctl, "cml_kunknown_secret", &who, &err), ERR_UNAUTHENTICATED, &err,
		   "not valid");
	EXPECT_ERR(ctl_authenticate(s->ctl, "", &who, &err), ERR_UNAUTHENTICATED, &err, "not valid");
	/* Any other byte in the secret is refused. */
	for (size_t i = strlen(keys.good) - 40; i < strlen(keys.good); i++) {
		char bad[STORE_TOKEN_MAX];
		memcpy(bad, keys.good, sizeof(bad));
		bad[i] = bad[i] == 'x' ? 'y' : 'x';
		EXPECT_ERR(ctl_authenticate(s->ctl, bad, &who, &err), ERR_UNAUTHENTICATED, &err, "not valid");
	}
	sim_free(s);
}

/* ---- lists and events ---- */

struct seen {
	bool is_done, more;
	size_t count;
	int code;
	char text[2000];
};

static void on_jobs(void *arg, const struct job *const *jobs, size_t count, bool more, const struct err *err)
{
	struct seen *seen = arg;
	*seen = (struct seen){.is_done = true, .more = more, .count = count, .code = err->code};
	for (size_t i = 0; i < count; i++)
		snprintf(seen->text + strlen(seen->text), sizeof(seen->text) - strlen(seen->text), "%s=%s ",
			 jobs[i]->spec.name, job_state_word(jobs[i]->state));
}

static void on_events(void *arg, const struct event *events, size_t count, const struct err *err)
{
	struct seen *seen = arg;
	*seen = (struct seen){.is_done = true, .count = count, .code = err->code};
	for (size_t i = 0; i < count; i++)
		snprintf(seen->text + strlen(seen->text), sizeof(seen->text) - strlen(seen->text),
			 "%s:%s:%s ", events[i].type, events[i].reason, events[i].actor);
}

static void wait_for(struct sim *s, struct seen *seen)
{
	for (int i = 0; i < 10000 && !seen->is_done; i++)
		sim_step(s);
	assert_true(seen->is_done);
}

static struct seen list(struct sim *s, const char *org, struct ctl_list_query q)
{
	struct principal who;
	struct seen seen = {0};
	sim_principal(&who, org, ROLE_VIEWER);
	ctl_job_list(s->ctl, &who, &q, on_jobs, &seen);
	wait_for(s, &seen);
	return seen;
}

static struct seen events(struct sim *s, const char *org, const char *subject)
{
	struct principal who;
	struct seen seen = {0};
	sim_principal(&who, org, ROLE_VIEWER);
	ctl_events(s->ctl, &who, subject, 0, on_events, &seen);
	wait_for(s, &seen);
	return seen;
}

TEST(lists_show_the_present_and_only_ones_own)
{
	struct sim *s = sim_new();
	sim_submit(s, "a");
	sim_submit(s, "b", .cpu_milli = 4000);
	sim_submit(s, "c", .org = "other");
	sim_until_state(s, "a", JOB_RUNNING);
	assert_string_equal(list(s, "default", (struct ctl_list_query){.state = -1, .limit = 10}).text,
			    "b=queued a=running ");
	assert_string_equal(
	    list(s, "default", (struct ctl_list_query){.state = -1, .name = "a", .limit = 10}).text,
	    "a=running ");
	assert_true(list(s, "default", (struct ctl_list_query){.state = -1, .limit = 1}).more);
	assert_int_equal(list(s, "other", (struct ctl_list_query){.state = -1, .limit = 10}).count, 1);
	assert_int_equal(list(s, "other", (struct ctl_list_query){.state = -1, .limit = 0}).code,
			 ERR_INVALID);
	sim_free(s);
}

TEST(every_move_is_an_event)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 1000, .fail = FAIL_USER});
	struct sim_request q = sim_submit(s, "a", .max_retries = 1);
	sim_until_state(s, "a", JOB_FAILED);
	assert_string_equal(events(s, "default", q.id).text,
			    "Normal:submitted:ada Normal:queued:controller Normal:starting:controller "
			    "Normal:running:controller "
			    "Warning:retry:controller Normal:starting:controller Normal:running:controller "
			    "Warning:failed:controller ");
	assert_int_equal(events(s, "other", q.id).code, ERR_NOT_FOUND);
	assert_int_equal(events(s, "default", "model/none").code, ERR_NOT_FOUND);
	sim_free(s);
}

/* ---- the attempt that runs ---- */

TEST(only_the_present_attempt_of_a_live_job_is_found)
{
	struct sim *s = sim_new();
	struct keys keys;
	struct err err = ERR_INIT;
	const struct job *job = NULL;
	enum role role;
	EXPECT_OK(store_run(s->store, make_keys, &keys, &err), &err);
	sim_crash(s);
	sim_start(s);
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 5 * SEC, .fail = FAIL_USER, .fails = 1});
	struct sim_request q = sim_submit(s, "a", .max_retries = 1);
	EXPECT_ERR(ctl_attempt_find(s->ctl, q.id, 0, &job, &role, &err), ERR_UNAUTHENTICATED, &err, "run");
	sim_until_state(s, "a", JOB_RUNNING);
	EXPECT_OK(ctl_attempt_find(s->ctl, q.id, 1, &job, &role, &err), &err);
	assert_string_equal(job->id, q.id);
	assert_int_equal(role, ROLE_ADMIN);
	EXPECT_ERR(ctl_attempt_find(s->ctl, q.id, 2, &job, &role, &err), ERR_UNAUTHENTICATED, &err, "run");
	EXPECT_ERR(ctl_attempt_find(s->ctl, "j999", 1, &job, &role, &err), ERR_UNAUTHENTICATED, &err, "run");
	/* Between the attempts there is none. */
	sim_until_state(s, "a", JOB_QUEUED);
	EXPECT_ERR(ctl_attempt_find(s->ctl, q.id, 1, &job, &role, &err), ERR_UNAUTHENTICATED, &err, "run");
	sim_until_state(s, "a", JOB_RUNNING);
	EXPECT_OK(ctl_attempt_find(s->ctl, q.id, 2, &job, &role, &err), &err);
	EXPECT_ERR(ctl_attempt_find(s->ctl, q.id, 1, &job, &role, &err), ERR_UNAUTHENTICATED, &err, "run");
	/* Another server finds the same. */
	sim_crash(s);
	sim_start(s);
	EXPECT_OK(ctl_attempt_find(s->ctl, q.id, 2, &job, &role, &err), &err);
	auth_drop_user(s->ctl, "default", "ada");
	EXPECT_ERR(ctl_attempt_find(s->ctl, q.id, 2, &job, &role, &err), ERR_UNAUTHENTICATED, &err, "gone");
	sim_until_state(s, "a", JOB_COMPLETED);
	EXPECT_ERR(ctl_attempt_find(s->ctl, q.id, 2, &job, &role, &err), ERR_UNAUTHENTICATED, &err, "run");
	sim_free(s);
}

/* ---- watches ---- */

struct watcher {
	struct ctl_watch *watch, *other;
	int calls;
	int64_t steps_seen;
};

static void on_change(void *arg, const struct job *job, const struct service *service)
{
	struct watcher *w = arg;
	w->calls++;
	if (job)
		w->steps_seen = job->progress.step;
}

TEST(progress_is_told_at_most_five_times_a_second)
{
	struct sim *s = sim_new();
	struct watcher w = {0};
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = -1});
	struct sim_request q = sim_submit(s, "a");
	sim_until_state(s, "a", JOB_RUNNING);
	sim_run(s, SEC);
	w.watch = ctl_watch_new(s->ctl, "default", on_change, &w);
	struct task_status status = {
	    .kind = TASK_JOB, .attempt = 1, .phase = TASK_RUNNING, .progress = PROGRESS_NONE};
	snprintf(status.name, sizeof(status.name), "%s-1-main-0", q.id);
	snprintf(status.owner, sizeof(status.owner), "%s", q.id);
	for (int i = 1; i <= 1000; i++) {
		status.progress.step = i;
		s->observer.task_changed(s->observer.arg, &status);
		sim_run(s, 1);
	}
	sim_run(s, SEC);
	assert_true(w.calls >= 5 && w.calls <= 7);
	assert_int_equal(w.steps_seen, 1000);
	ctl_watch_free(w.watch);
	sim_free(s);
}

static void on_change_free_other(void *arg, const struct job *job, const struct service *service)
{
	struct watcher *w = arg;
	w->calls++;
	ctl_watch_free(STEAL(w->other));
	ctl_watch_free(STEAL(w->watch));
}

TEST(a_watch_may_free_itself_and_the_next_one)
{
	struct sim *s = sim_new();
	struct watcher w = {0}, next = {0};
	w.watch = ctl_watch_new(s->ctl, "default", on_change_free_other, &w);
	w.other = ctl_watch_new(s->ctl, "default", on_change, &next);
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_COMPLETED);
	assert_int_equal(w.calls, 1);
	assert_int_equal(next.calls, 0);
	sim_free(s);
}

/* ---- status, shutdown, times ---- */

TEST(status_counts_what_there_is)
{
	struct sim *s = sim_new();
	struct ctl_status status;
	sim_submit(s, "a", .cpu_milli = 3000);
	sim_submit(s, "b", .cpu_milli = 3000);
	sim_until_state(s, "a", JOB_RUNNING);
	ctl_status(s->ctl, "default", &status);
	assert_int_equal(status.capacity.cpu_milli, 4000);
	assert_int_equal(status.used.cpu_milli, 3000);
	assert_int_equal(status.jobs_by_state[JOB_RUNNING], 1);
	assert_int_equal(status.jobs_by_state[JOB_QUEUED], 1);
	sim_until_state(s, "b", JOB_COMPLETED);
	sim_delete(s, NULL, "a");
	for (int i = 0; i < 2; i++) {
		ctl_status(s->ctl, "default", &status);
		assert_int_equal(status.jobs_by_state[JOB_COMPLETED], 1);
		assert_int_equal(status.jobs_by_state[JOB_RUNNING], 0);
		sim_crash(s);
		sim_start(s);
	}
	sim_free(s);
}

TEST(whoever_waits_at_shutdown_is_answered)
{
	struct sim *s = sim_new();
	struct sim_request q;
	sim_submit_begin(s, "a", (struct sim_submit_options){.role = ROLE_MEMBER}, &q);
	sim_crash(s);
	assert_true(q.is_done);
	assert_int_equal(q.err.code, ERR_CANCELLED);
	sim_start(s);
	sim_free(s);
}

struct fired {
	int64_t *now, last;
	int count;
	struct ctl_timer timer;
};

static void on_fire(void *arg)
{
	struct fired *f = arg;
	assert_int_equal(f->timer.at_ms, *f->now);
	f->count++;
}

TEST(timers_fire_once_in_order_of_time)
{
	enum { COUNT = 500 };
	struct ctl c = {0};
	int64_t now = 0;
	int fired = 0;
	struct fired *all = mem_alloc(sizeof(*all) * COUNT);
	for (int i = 0; i < COUNT; i++) {
		all[i].now = &now;
		all[i].timer = (struct ctl_timer){.fn = on_fire, .arg = &all[i]};
		timer_set(&c, &all[i].timer, 1 + (int64_t)rng_below(&test_rng, 300));
	}
	for (int i = 0; i < COUNT; i += 3)
		timer_clear(&c, &all[i].timer);
	for (int i = 1; i < COUNT; i += 3)
		timer_set(&c, &all[i].timer, 1 + (int64_t)rng_below(&test_rng, 300));
	for (int i = 2; i < COUNT; i += 3)
		timer_set_earlier(&c, &all[i].timer, 400);
	for (now = 1; now <= 400; now++)
		timers_run(&c, now);
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(all[i].count, i % 3 != 0);
		fired += all[i].count;
	}
	assert_int_equal(fired, COUNT - (COUNT + 2) / 3);
	assert_int_equal(c.heap_count, 0);
	free(c.heap);
	free(all);
}
