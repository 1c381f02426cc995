/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of jobs and models: what a user sees, under virtual time. */
#include "base/mem.h"
#include "sim/sim.h"

TEST(a_job_is_submitted_starts_and_completes)
{
	struct sim *s = sim_new();
	assert_int_equal(sim_submit(s, "a").state, JOB_QUEUED);
	sim_until_state(s, "a", JOB_RUNNING);
	sim_until_state(s, "a", JOB_COMPLETED);
	EXPECT_STARTS(s, "a", 1);
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_job_that_fails_says_why_and_is_not_retried_unasked)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_USER});
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_FAILED);
	EXPECT_WHY(s, "a", "user_error");
	EXPECT_STARTS(s, "a", 1);
	sim_free(s);
}

TEST(a_job_is_retried_until_it_works)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_USER, .fails = 2});
	sim_submit(s, "a", .max_retries = 5);
	sim_until_state(s, "a", JOB_COMPLETED);
	EXPECT_STARTS(s, "a", 3);
	sim_free(s);
}

TEST(a_job_is_retried_up_to_its_limit)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_LOST});
	sim_submit(s, "a", .max_retries = 2);
	sim_until_state(s, "a", JOB_FAILED);
	EXPECT_STARTS(s, "a", 3);
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_restart_neither_cuts_the_wait_before_a_retry_short_nor_begins_it_anew)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_USER, .fails = 1});
	sim_submit(s, "a",
		   .more =
		       "{\"retry\": {\"limit\": 1, \"backoff\": {\"initial\": \"10m\", \"max\": \"1h\"}}}");
	while (sim_get(s, NULL, "a").attempt < 1 || sim_get(s, NULL, "a").state != JOB_QUEUED)
		sim_step(s);
	for (int restart = 0; restart < 4; restart++) {
		sim_crash(s);
		sim_run(s, 60 * SEC);
		sim_start(s);
		sim_run(s, 60 * SEC);
		EXPECT_STATE(s, "a", JOB_QUEUED);
		EXPECT_STARTS(s, "a", 1);
	}
	sim_run(s, 240 * SEC); /* 12 of the 10 to 11 minutes */
	sim_until_state(s, "a", JOB_COMPLETED);
	EXPECT_STARTS(s, "a", 2);
	sim_free(s);
}

TEST(a_clock_that_jumped_back_makes_no_wait_longer)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_USER, .fails = 1});
	sim_submit(s, "a", .max_retries = 1);
	while (sim_get(s, NULL, "a").attempt < 1 || sim_get(s, NULL, "a").state != JOB_QUEUED)
		sim_step(s);
	sim_crash(s);
	s->wall_offset_ms -= 24 * 3600 * SEC;
	sim_start(s);
	sim_run(s, 30 * SEC);
	EXPECT_STARTS(s, "a", 2);
	sim_until_state(s, "a", JOB_COMPLETED);
	sim_free(s);
}

TEST(the_classes_that_are_retried_are_the_specifications)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_OUT_OF_MEMORY, .fails = 2});
	sim_submit(s, "a", .more = "{\"retry\": {\"limit\": 2, \"on\": [\"out_of_memory\"]}}");
	sim_plan_set(s, "b", (struct sim_plan){.run_ms = 100, .fail = FAIL_USER, .fails = 1});
	sim_submit(s, "b", .more = "{\"retry\": {\"limit\": 2, \"on\": [\"lost\"]}}");
	sim_until_state(s, "b", JOB_FAILED);
	EXPECT_STARTS(s, "b", 1);
	sim_until_state(s, "a", JOB_COMPLETED);
	EXPECT_STARTS(s, "a", 3);
	sim_free(s);
}

TEST(the_wait_between_attempts_grows_as_the_specification_says)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 0, .fail = FAIL_USER});
	sim_submit(s, "a",
		   .more = "{\"retry\": {\"limit\": 4, \"backoff\": {\"initial\": \"100s\", \"factor\": 3, "
			   "\"max\": \"400s\"}}}");
	int64_t begin = s->now_ms;
	sim_until_state(s, "a", JOB_FAILED);
	/* 100 + 300 + 400 + 400 seconds, a tenth more at most, and the attempts themselves */
	assert_in_range(s->now_ms - begin, 1200 * SEC, 1350 * SEC);
	EXPECT_STARTS(s, "a", 5);
	sim_free(s);
}

TEST(a_job_that_is_not_started_in_time_fails_and_says_what_it_waited_for)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "holder", (struct sim_plan){.run_ms = -1});
	sim_submit(s, "holder", .cpu_milli = 4000);
	sim_until_state(s, "holder", JOB_RUNNING);
	sim_submit(s, "a", .cpu_milli = 4000, .more = "{\"queue_timeout\": \"30s\", \"max_retries\": 3}");
	int64_t begin = s->now_ms;
	sim_until_state(s, "a", JOB_FAILED);
	assert_in_range(s->now_ms - begin, 29 * SEC, 31 * SEC);
	EXPECT_WHY(s, "a", "queue_timeout of 30s");
	EXPECT_WHY(s, "a", "holder");
	EXPECT_STARTS(s, "a", 0);
	sim_submit(s, "b", .cpu_milli = 4000, .more = "{\"queue_timeout\": \"1h\"}");
	sim_run(s, 1800 * SEC);
	sim_crash(s);
	sim_start(s);
	sim_until_state(s, "b", JOB_FAILED);
	assert_in_range(s->now_ms - begin, 3600 * SEC, 3700 * SEC);
	sim_free(s);
}

TEST(a_job_starts_after_the_jobs_it_names_also_over_a_restart)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "first", (struct sim_plan){.run_ms = 60 * SEC});
	sim_plan_set(s, "second", (struct sim_plan){.run_ms = 120 * SEC, .fail = FAIL_USER});
	struct sim_request first = sim_submit(s, "first");
	sim_submit(s, "second");
	sim_until_state(s, "first", JOB_RUNNING);
	struct sim_request a = sim_submit(s, "a", .more = "{\"after\": [\"first\", \"second:any\"]}");
	assert_int_equal(a.state, JOB_SUBMITTED);
	EXPECT_STR("reason", a.reason, "dependency");
	EXPECT_WHY(s, "a", "waits for the end of job 'first'");
	EXPECT_WHY(s, "a", "and of 1 more");
	sim_until_state(s, "first", JOB_COMPLETED);
	sim_crash(s);
	sim_start(s);
	sim_run(s, 10 * SEC);
	EXPECT_STATE(s, "a", JOB_SUBMITTED);
	assert_int_equal(sim_delete(s, "default", first.id).err.code, ERR_STATE);
	sim_until_state(s, "second", JOB_FAILED);
	sim_until_state(s, "a", JOB_COMPLETED);
	assert_int_equal(sim_delete(s, "default", first.id).err.code, 0);
	EXPECT_STARTS(s, "a", 1);
	sim_free(s);
}

TEST(an_end_that_was_not_waited_for_ends_the_dependents_too)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "first", (struct sim_plan){.run_ms = 60 * SEC, .fail = FAIL_USER});
	struct sim_request first = sim_submit(s, "first");
	sim_submit(s, "needs", .more = "{\"after\": [\"first:ok\"]}");
	sim_submit(s, "needs-too", .more = "{\"after\": [\"needs\"]}");
	sim_submit(s, "clean-up", .more = "{\"after\": [\"first:failed\", \"needs:any\"]}");
	struct sim_request refused = sim_delete(s, "default", first.id);
	assert_int_equal(refused.err.code, ERR_STATE);
	sim_until_state(s, "needs", JOB_FAILED);
	EXPECT_WHY(s, "needs", "after job 'first'");
	EXPECT_WHY(s, "needs", "that job is failed");
	sim_until_state(s, "needs-too", JOB_FAILED);
	sim_until_state(s, "clean-up", JOB_COMPLETED);
	EXPECT_STARTS(s, "needs", 0);
	struct sim_request late = sim_submit(s, "late", .more = "{\"after\": [\"first\"]}");
	assert_int_equal(late.err.code, ERR_STATE);
	late = sim_submit(s, "late", .more = "{\"after\": [\"nobody\"]}");
	assert_int_equal(late.err.code, ERR_INVALID);
	late = sim_submit(s, "late", .org = "other", .more = "{\"after\": [\"first:any\"]}");
	assert_int_equal(late.err.code, ERR_INVALID);
	assert_int_equal(sim_submit(s, "at-once", .more = "{\"after\": [\"first:any\"]}").state, JOB_QUEUED);
	sim_free(s);
}

TEST(a_job_that_waits_for_another_can_be_cancelled_and_has_its_time)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "first", (struct sim_plan){.run_ms = -1});
	sim_submit(s, "first");
	sim_submit(s, "a", .more = "{\"after\": [\"first\"]}");
	sim_submit(s, "b", .more = "{\"after\": [\"first\"], \"queue_timeout\": \"90s\"}");
	sim_submit(s, "c", .more = "{\"after\": [\"first:failed\"]}");
	assert_int_equal(sim_cancel(s, "default", "a").state, JOB_CANCELLED);
	sim_until_state(s, "b", JOB_FAILED);
	EXPECT_WHY(s, "b", "queue_timeout");
	sim_cancel(s, "default", "first");
	sim_until_state(s, "c", JOB_COMPLETED);
	sim_free(s);
}

TEST(out_of_memory_is_not_retried)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_OUT_OF_MEMORY});
	sim_submit(s, "a", .max_retries = 5);
	sim_until_state(s, "a", JOB_FAILED);
	EXPECT_STR("reason", sim_get(s, NULL, "a").reason, "out_of_memory");
	EXPECT_STARTS(s, "a", 1);
	sim_free(s);
}

TEST(an_output_that_the_quota_keeps_out_fails_the_job_and_is_not_retried)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_QUOTA});
	sim_submit(s, "a", .max_retries = 5);
	sim_until_state(s, "a", JOB_FAILED);
	EXPECT_STR("reason", sim_get(s, NULL, "a").reason, "quota");
	EXPECT_WHY(s, "a", "ended by plan: quota");
	EXPECT_STARTS(s, "a", 1);
	sim_free(s);
}

TEST(a_cancelled_job_still_says_what_the_quota_kept_out)
{
	struct sim *s = sim_new();
	const char *name;
	void *task;
	size_t i = 0;
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = -1, .ignores_stop = true});
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_RUNNING);
	assert_int_equal(sim_cancel(s, NULL, "a").state, JOB_RUNNING);
	assert_true(map_next(s->tasks, &i, &name, &task));
	world_kill(s, task, FAIL_QUOTA);
	sim_until_state(s, "a", JOB_CANCELLED);
	EXPECT_STR("reason", sim_get(s, NULL, "a").reason, "cancelled");
	EXPECT_WHY(s, "a", "ended by plan: quota");
	sim_free(s);
}

/* The server dies after every possible number of events and comes back; the job must end once. */
TEST(a_restart_at_any_point_completes_the_job_once)
{
	for (size_t point = 0; point < 60; point++) {
		struct sim *s = sim_new(.seed = point + 1);
		struct sim_request first, again;
		sim_submit_begin(s, "a", (struct sim_submit_options){.role = ROLE_MEMBER, .key = "k"},
				 &first);
		for (size_t i = 0; i < point; i++)
			sim_step(s);
		sim_crash(s);
		sim_start(s);
		again = sim_submit(s, "a", .key = "k");
		assert_int_equal(again.err.code, 0);
		if (first.is_done && !first.err.code)
			assert_string_equal(first.id, again.id);
		sim_until_state(s, "a", JOB_COMPLETED);
		EXPECT_STARTS(s, "a", 1);
		sim_until_idle(s, 600 * SEC);
		sim_check_settled(s);
		sim_free(s);
	}
}

static void step_until(struct sim *s, const char *what)
{
	for (int i = 0; i < 1000 && !strstr(buf_str(&s->trace), what); i++)
		sim_step(s);
	if (!strstr(buf_str(&s->trace), what))
		fail_msg("'%s' did not happen", what);
}

TEST(a_crash_between_commit_and_launch_launches_the_same_attempt)
{
	struct sim *s = sim_new();
	sim_submit(s, "a");
	step_until(s, " queued 0 ");
	/* Commits go on one by one; the one that carries the intent is not delivered. */
	while (store_queued(s->store) == 0)
		sim_step(s);
	store_pump_commit(s->store);
	sim_crash(s);
	assert_null(strstr(buf_str(&s->trace), "launch"));
	sim_start(s);
	assert_int_equal(sim_get(s, NULL, "a").state, JOB_STARTING);
	sim_until_state(s, "a", JOB_COMPLETED);
	assert_int_equal(sim_get(s, NULL, "a").attempt, 1);
	EXPECT_STARTS(s, "a", 1);
	sim_free(s);
}

TEST(a_crash_between_launch_and_observation_adopts_the_task)
{
	struct sim *s = sim_new();
	sim_submit(s, "a");
	step_until(s, "launch");
	sim_crash(s);
	assert_null(strstr(buf_str(&s->trace), "report"));
	sim_start(s);
	sim_until_state(s, "a", JOB_COMPLETED);
	EXPECT_STARTS(s, "a", 1);
	sim_free(s);
}

TEST(a_job_that_ended_while_the_server_was_away_is_completed)
{
	struct sim *s = sim_new();
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_RUNNING);
	sim_crash(s);
	sim_run(s, 60 * SEC);
	sim_start(s);
	sim_until_state(s, "a", JOB_COMPLETED);
	EXPECT_STARTS(s, "a", 1);
	sim_free(s);
}

TEST(nothing_starts_before_the_machine_has_reported)
{
	struct sim *s = sim_new(.attach_ms = 60000);
	sim_submit(s, "a");
	sim_run(s, 30 * SEC);
	assert_null(strstr(buf_str(&s->trace), "launch"));
	assert_false(s->is_ready);
	sim_until_state(s, "a", JOB_COMPLETED);
	assert_true(s->is_ready);
	sim_free(s);
}

TEST(a_reboot_of_the_machine_loses_the_task_and_the_retry_saves_the_job)
{
	struct sim *s = sim_new();
	sim_submit(s, "a", .max_retries = 1);
	sim_submit(s, "b");
	sim_until_state(s, "a", JOB_RUNNING);
	sim_until_state(s, "b", JOB_RUNNING);
	sim_reboot(s);
	sim_start(s);
	sim_until_state(s, "a", JOB_COMPLETED);
	sim_until_state(s, "b", JOB_FAILED);
	EXPECT_STR("reason", sim_get(s, NULL, "b").reason, "lost");
	EXPECT_STARTS(s, "a", 2);
	sim_free(s);
}

TEST(a_task_without_an_owner_is_stopped_and_removed)
{
	struct sim *s = sim_new();
	struct task_spec t;
	char *command[] = {(char *)"workload", (char *)"x", NULL};
	struct err err = ERR_INIT;
	sim_run(s, 5 * SEC);
	sim_crash(s);
	task_spec_init(&t);
	snprintf(t.name, sizeof(t.name), "jstranger-1-main-0");
	snprintf(t.owner, sizeof(t.owner), "jstranger");
	t.attempt = 1;
	t.command = strings_copy(command);
	EXPECT_OK(s->backend.ops->launch(&s->backend, &t, &err), &err);
	task_spec_done(&t);
	sim_start(s);
	sim_until_idle(s, 600 * SEC);
	assert_int_equal(map_count(s->tasks), 0);
	assert_non_null(strstr(buf_str(&s->trace), "die jstranger-1-main-0 exited cancelled"));
	sim_free(s);
}

TEST(a_running_job_whose_task_left_no_trace_is_lost)
{
	struct sim *s = sim_new();
	struct sim_request q = sim_submit(s, "a");
	sim_until_state(s, "a", JOB_RUNNING);
	sim_reboot(s);
	char name[TASK_NAME_MAX + 1];
	snprintf(name, sizeof(name), "%s-1-main-0", q.id);
	assert_true(map_delete(s->tasks, name)); /* the disk was wiped, too */
	sim_start(s);
	sim_until_state(s, "a", JOB_FAILED);
	EXPECT_STR("reason", sim_get(s, NULL, "a").reason, "lost");
	EXPECT_STARTS(s, "a", 1);
	sim_free(s);
}

/* Somebody starts an old attempt again behind our back: the fencing token tells it apart. */
TEST(a_task_of_a_stale_attempt_is_stopped_and_changes_nothing)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100 * SEC, .fail = FAIL_LOST, .fails = 1});
	struct sim_request q = sim_submit(s, "a", .max_retries = 1);
	while (sim_get(s, NULL, "a").attempt < 2 || sim_get(s, NULL, "a").state != JOB_RUNNING)
		sim_step(s);
	struct task_status stale = {
	    .kind = TASK_JOB, .attempt = 1, .phase = TASK_RUNNING, .progress = PROGRESS_NONE};
	snprintf(stale.name, sizeof(stale.name), "%s-1-main-0", q.id);
	snprintf(stale.owner, sizeof(stale.owner), "%s", q.id);
	s->observer.task_changed(s->observer.arg, &stale);
	char stop[160];
	snprintf(stop, sizeof(stop), "stop %s cancelled", stale.name);
	assert_non_null(strstr(buf_str(&s->trace), stop));
	stale.phase = TASK_EXITED;
	stale.fail = FAIL_OUT_OF_MEMORY;
	s->observer.task_changed(s->observer.arg, &stale);
	EXPECT_STATE(s, "a", JOB_RUNNING);
	s->observer.task_removed(s->observer.arg, stale.name);
	sim_until_state(s, "a", JOB_COMPLETED);
	sim_free(s);
}

TEST(a_queued_job_is_cancelled_at_once)
{
	struct sim *s = sim_new();
	sim_submit(s, "big", .cpu_milli = 4000);
	sim_until_state(s, "big", JOB_RUNNING);
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_QUEUED);
	assert_int_equal(sim_cancel(s, NULL, "a").state, JOB_CANCELLED);
	EXPECT_STARTS(s, "a", 0);
	sim_free(s);
}

TEST(a_job_can_be_cancelled_after_any_number_of_events)
{
	for (size_t point = 0; point < 60; point++) {
		struct sim *s = sim_new(.seed = point + 1);
		sim_plan_set(s, "a",
			     (struct sim_plan){.prepare_ms = 500, .run_ms = -1, .ignores_stop = point % 2});
		sim_submit(s, "a", .max_retries = 3);
		for (size_t i = 0; i < point; i++)
			sim_step(s);
		assert_int_equal(sim_cancel(s, NULL, "a").err.code, 0);
		sim_until_state(s, "a", JOB_CANCELLED);
		assert_int_equal(sim_cancel(s, NULL, "a").state, JOB_CANCELLED);
		sim_until_idle(s, 600 * SEC);
		sim_check_settled(s);
		sim_free(s);
	}
}

TEST(a_cancel_is_remembered_over_a_restart)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = -1, .ignores_stop = true});
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_RUNNING);
	assert_int_equal(sim_cancel(s, NULL, "a").state, JOB_RUNNING);
	sim_crash(s);
	sim_start(s);
	sim_until_state(s, "a", JOB_CANCELLED);
	sim_free(s);
}

TEST(a_finished_job_cannot_be_cancelled_but_deleted)
{
	struct sim *s = sim_new();
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_RUNNING);
	EXPECT_INT("delete", sim_delete(s, NULL, sim_get(s, NULL, "a").id).err.code, ERR_STATE);
	sim_until_state(s, "a", JOB_COMPLETED);
	EXPECT_INT("cancel", sim_cancel(s, NULL, "a").err.code, ERR_STATE);
	EXPECT_INT("delete", sim_delete(s, NULL, "a").err.code, 0);
	EXPECT_INT("get", sim_get(s, NULL, "a").err.code, ERR_NOT_FOUND);
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_job_that_runs_too_long_is_stopped)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = -1});
	sim_submit(s, "a", .max_duration_ms = 10 * SEC, .max_retries = 3);
	sim_until_state(s, "a", JOB_FAILED);
	EXPECT_STR("reason", sim_get(s, NULL, "a").reason, "timeout");
	sim_free(s);
}

TEST(a_refused_launch_fails_the_job_with_its_message)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.refuse = 1, .refuse_code = ERR_UNSUPPORTED});
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_FAILED);
	EXPECT_WHY(s, "a", "refused by plan");
	EXPECT_STR("reason", sim_get(s, NULL, "a").reason, "environment");
	sim_free(s);
}

TEST(a_full_disk_at_launch_is_waited_out)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .refuse = 4, .refuse_code = ERR_DISK_FULL});
	sim_submit(s, "a");
	sim_until_state(s, "a", JOB_COMPLETED);
	assert_int_equal(sim_get(s, NULL, "a").attempt, 1);
	sim_free(s);
}

TEST(jobs_start_in_order_of_priority_then_submission)
{
	struct sim *s = sim_new();
	const char *const order[] = {"urgent", "second", "third", "last"};
	sim_submit(s, "first", .cpu_milli = 4000);
	sim_until_state(s, "first", JOB_RUNNING);
	sim_submit(s, "last", .cpu_milli = 4000, .priority = 1);
	sim_submit(s, "second", .cpu_milli = 4000);
	sim_submit(s, "third", .cpu_milli = 4000);
	sim_submit(s, "urgent", .cpu_milli = 4000, .priority = 100);
	sim_until_state(s, "last", JOB_COMPLETED);
	const char *at = buf_str(&s->trace);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		char launch[64];
		snprintf(launch, sizeof(launch), "launch %s-1", sim_get(s, NULL, order[i]).id);
		at = strstr(at, launch);
		if (!at)
			fail_msg("'%s' did not start in its turn", order[i]);
	}
	sim_free(s);
}

TEST(small_jobs_overtake_but_do_not_starve_a_large_one)
{
	struct sim *s = sim_new();
	char name[16];
	sim_submit(s, "one", .memory_bytes = 4 * GIB);
	sim_until_state(s, "one", JOB_RUNNING);
	sim_submit(s, "large", .memory_bytes = 7 * GIB);
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "small-%d", i);
		sim_submit(s, name, .memory_bytes = GIB);
	}
	sim_run(s, 3 * SEC);
	EXPECT_STATE(s, "small-0", JOB_RUNNING);
	EXPECT_STATE(s, "small-1", JOB_QUEUED);
	EXPECT_WHY(s, "large", "needs 7 GiB memory, 3 GiB free; held by one, small-0");
	EXPECT_WHY(s, "small-1", "would delay 'large'");
	sim_until_state(s, "one", JOB_COMPLETED);
	sim_until_state(s, "large", JOB_RUNNING);
	sim_until_idle(s, 3600 * SEC);
	assert_true(s->peak.memory_bytes <= 8 * GIB);
	sim_check_settled(s);
	sim_free(s);
}

TEST(what_is_larger_than_the_machine_is_refused)
{
	struct sim *s = sim_new();
	struct sim_request q = sim_submit(s, "a", .memory_bytes = 64 * GIB);
	EXPECT_ERR(-q.err.code, ERR_INVALID, &q.err,
		   "memory 64 GiB is more than this machine has for jobs (8 GiB)");
	q = sim_submit(s, "a", .gpu = 1);
	EXPECT_ERR(-q.err.code, ERR_INVALID, &q.err, "no GPU");
	q = sim_submit(s, "a", .framework = "tensorflwo");
	EXPECT_ERR(-q.err.code, ERR_NOT_FOUND, &q.err, "tensorflow");
	q = sim_submit(s, "a", .package = "fds://other/packages/x.tar.gz");
	EXPECT_ERR(-q.err.code, ERR_NOT_FOUND, &q.err, "leaves the organisation");
	q = sim_submit_with(s, "a", (struct sim_submit_options){.role = ROLE_VIEWER});
	EXPECT_ERR(-q.err.code, ERR_DENIED, &q.err, "may only look");
	sim_free(s);
}

TEST(organisations_do_not_see_each_other)
{
	struct sim *s = sim_new();
	struct sim_request q = sim_submit(s, "secret", .cpu_milli = 4000);
	sim_until_state(s, "secret", JOB_RUNNING);
	EXPECT_INT("get by id", sim_get(s, "other", q.id).err.code, ERR_NOT_FOUND);
	EXPECT_INT("get by name", sim_get(s, "other", "secret").err.code, ERR_NOT_FOUND);
	EXPECT_INT("cancel", sim_cancel(s, "other", q.id).err.code, ERR_NOT_FOUND);
	EXPECT_INT("delete", sim_delete(s, "other", q.id).err.code, ERR_NOT_FOUND);
	sim_submit(s, "theirs", .org = "other");
	sim_run(s, 2 * SEC);
	struct sim_request why = sim_get(s, "other", "theirs");
	assert_int_equal(why.state, JOB_QUEUED);
	assert_non_null(strstr(why.message, "held by other work"));
	assert_null(strstr(why.message, "secret"));
	EXPECT_STATE(s, "secret", JOB_RUNNING);
	sim_free(s);
}

TEST(an_idempotency_key_gives_the_same_job_again)
{
	struct sim *s = sim_new();
	struct sim_request first = sim_submit(s, "a", .key = "k1"), other;
	struct sim_request again = sim_submit(s, "a", .key = "k1");
	assert_string_equal(first.id, again.id);
	assert_false(first.replayed);
	assert_true(again.replayed);
	other = sim_submit(s, "a", .key = "k1", .body = "different");
	EXPECT_ERR(-other.err.code, ERR_CONFLICT, &other.err, "another request");
	other = sim_submit(s, "a", .key = "k1", .org = "other");
	assert_int_equal(other.err.code, 0);
	assert_string_not_equal(first.id, other.id);
	sim_run(s, 8 * 24 * 3600 * SEC);
	again = sim_submit(s, "a", .key = "k1");
	assert_false(again.replayed);
	sim_free(s);
}

TEST(a_model_becomes_ready_and_keeps_its_address_over_restarts)
{
	struct sim *s = sim_new();
	char before[64], after[64];
	assert_int_equal(sim_model_create(s, NULL, "m").state, SERVICE_STARTING);
	EXPECT_INT("twice", sim_model_create(s, NULL, "m").err.code, ERR_EXISTS);
	sim_until_model(s, "m", SERVICE_READY);
	sim_model_get(s, NULL, "m", before);
	assert_true(strncmp(before, "127.0.0.1:18", 12) == 0);
	sim_crash(s);
	sim_start(s);
	sim_run(s, 10 * SEC);
	assert_int_equal(sim_model_get(s, NULL, "m", after).attempt, 1);
	sim_reboot(s);
	sim_start(s);
	sim_until_model(s, "m", SERVICE_STARTING);
	sim_until_model(s, "m", SERVICE_READY);
	assert_int_equal(sim_model_get(s, NULL, "m", after).attempt, 2);
	assert_string_equal(before, after);
	assert_int_equal(sim_model_delete(s, NULL, "m").state, SERVICE_STOPPING);
	sim_until_idle(s, 600 * SEC);
	EXPECT_INT("get", sim_model_get(s, NULL, "m", NULL).err.code, ERR_NOT_FOUND);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_model_that_always_ends_is_given_up)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "m", (struct sim_plan){.run_ms = 100, .fail = FAIL_USER});
	sim_model_create(s, NULL, "m");
	sim_until_model(s, "m", SERVICE_FAILED);
	assert_non_null(strstr(sim_model_get(s, NULL, "m", NULL).message, "in a row"));
	EXPECT_INT("starts", sim_marks_of(s, sim_model_get(s, NULL, "m", NULL).id)->starts, 6);
	sim_model_delete(s, NULL, "m");
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_model_counts_against_the_machine_and_goes_before_jobs)
{
	struct sim *s = sim_new(.cpu_milli = 2000);
	sim_submit(s, "a", .cpu_milli = 2000);
	sim_until_state(s, "a", JOB_RUNNING);
	sim_submit(s, "b", .cpu_milli = 2000);
	sim_model_create(s, NULL, "m");
	sim_run(s, SEC);
	assert_non_null(strstr(sim_model_get(s, NULL, "m", NULL).message, "held by a"));
	sim_until_model(s, "m", SERVICE_READY);
	sim_run(s, 60 * SEC);
	EXPECT_STATE(s, "b", JOB_QUEUED);
	sim_model_delete(s, NULL, "m");
	sim_until_state(s, "b", JOB_COMPLETED);
	sim_free(s);
}

TEST(a_jump_of_the_wall_clock_kills_nothing)
{
	struct sim *s = sim_new();
	sim_submit(s, "a", .max_duration_ms = 60 * SEC);
	sim_until_state(s, "a", JOB_RUNNING);
	s->wall_offset_ms = 100 * 24 * 3600 * SEC;
	sim_crash(s);
	sim_start(s);
	sim_until_state(s, "a", JOB_COMPLETED);
	sim_free(s);
}

static int64_t count_alive(struct sim *s)
{
	int64_t alive = 0;
	const char *name;
	void *value;
	for (size_t i = 0; map_next(s->tasks, &i, &name, &value);)
		alive += ((struct sim_task *)value)->is_alive;
	return alive;
}

TEST(an_array_makes_its_elements_as_they_come_up)
{
	struct sim *s = sim_new();
	int64_t most = 0;
	sim_plan_set(s, "a", (struct sim_plan){.prepare_ms = 100, .run_ms = SEC});
	struct sim_request q = sim_submit(s, "a", .cpu_milli = 100, .memory_bytes = GIB / 8,
					  .more = "{\"array\": {\"count\": 40, \"max_running\": 3}}");
	sim_note_told(s, q.id);
	while (!job_state_is_terminal((enum job_state)sim_get(s, NULL, q.id).state)) {
		int64_t live = count_alive(s);
		most = live > most ? live : most;
		sim_step(s);
	}
	EXPECT_STATE(s, "a", JOB_COMPLETED);
	EXPECT_STATE(s, "a-0", JOB_COMPLETED);
	EXPECT_STATE(s, "a-39", JOB_COMPLETED);
	EXPECT_INT("a-40", sim_get(s, NULL, "a-40").err.code, ERR_NOT_FOUND);
	assert_int_equal(most, 3);
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(an_array_fails_when_an_element_does_and_its_followers_know)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = 100, .fail = FAIL_USER});
	struct sim_request q = sim_submit(s, "a", .more = "{\"array\": {\"count\": 5}}");
	sim_note_told(s, q.id);
	sim_submit(s, "ok", .more = "{\"after\": [\"a\"]}");
	sim_submit(s, "any", .more = "{\"after\": [\"a:any\"]}");
	sim_until_state(s, "a", JOB_FAILED);
	EXPECT_WHY(s, "a", "5 of 5 elements failed");
	sim_until_state(s, "any", JOB_COMPLETED);
	sim_until_state(s, "ok", JOB_FAILED);
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_cancel_of_an_array_reaches_every_element_over_a_restart)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "a", (struct sim_plan){.run_ms = -1});
	struct sim_request q =
	    sim_submit(s, "a", .more = "{\"array\": {\"count\": 100000, \"max_running\": 4}}");
	sim_note_told(s, q.id);
	sim_until_state(s, "a-0", JOB_RUNNING);
	assert_int_equal(sim_cancel(s, NULL, "a").err.code, 0);
	sim_crash(s);
	sim_start(s);
	sim_until_state(s, "a", JOB_CANCELLED);
	EXPECT_STATE(s, "a-3", JOB_CANCELLED);
	EXPECT_INT("a-4", sim_get(s, NULL, "a-4").err.code, ERR_NOT_FOUND);
	EXPECT_INT("delete", sim_delete(s, NULL, "a").err.code, ERR_STATE); /* it has elements */
	sim_until_idle(s, 600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}
