/* SPDX-License-Identifier: Apache-2.0 */
/* Stories of jobs with several tasks: all start or none, one end for all, never half of one. */
#include "base/mem.h"
#include "sim/sim.h"

static size_t alive(struct sim *s)
{
	size_t count = 0;
	const char *name;
	void *value;
	for (size_t i = 0; map_next(s->tasks, &i, &name, &value);)
		count += ((struct sim_task *)value)->is_alive;
	return count;
}

static void end_settled(struct sim *s)
{
	sim_until_idle(s, 3600 * SEC);
	sim_check_settled(s);
	sim_free(s);
}

TEST(a_gang_starts_together_and_completes_when_all_have)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "g", (struct sim_plan){.prepare_ms = 1000, .run_ms = 10 * SEC});
	sim_submit(s, "g", .tasks = 3);
	sim_until_state(s, "g", JOB_RUNNING);
	assert_int_equal(alive(s), 3);
	assert_int_equal(s->in_use.cpu_milli, 3000);
	sim_until_state(s, "g", JOB_COMPLETED);
	EXPECT_STARTS(s, "g", 3);
	end_settled(s);
}

TEST(a_gang_that_does_not_fit_whole_does_not_start_at_all)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "holder", (struct sim_plan){.run_ms = 60 * SEC});
	sim_submit(s, "holder", .cpu_milli = 2000);
	sim_until_state(s, "holder", JOB_RUNNING);
	sim_submit(s, "g", .tasks = 3);
	sim_run(s, 30 * SEC);
	assert_int_equal(alive(s), 1);
	EXPECT_STATE(s, "g", JOB_QUEUED);
	EXPECT_WHY(s, "g", "3");
	sim_until_state(s, "g", JOB_COMPLETED);
	struct sim_request q = sim_submit(s, "never", .tasks = 5);
	assert_int_equal(q.err.code, ERR_INVALID);
	assert_non_null(strstr(q.err.msg, "ask for 4 at most"));
	end_settled(s);
}

TEST(one_task_that_fails_stops_the_others_and_the_gang_starts_again_as_one)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "g",
		     (struct sim_plan){.run_ms = 5 * SEC, .fail = FAIL_USER, .fails = 1, .bad_task = 1});
	sim_submit(s, "g", .tasks = 3, .max_retries = 1);
	sim_until_state(s, "g", JOB_RUNNING);
	sim_until_state(s, "g", JOB_QUEUED);
	EXPECT_WHY(s, "g", "task 1: ended by plan: user_error");
	sim_until_state(s, "g", JOB_COMPLETED);
	assert_int_equal(sim_get(s, "default", "g").attempt, 2);
	EXPECT_STARTS(s, "g", 6);
	end_settled(s);
}

TEST(a_gang_without_retries_fails_for_the_reason_of_its_task)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "g", (struct sim_plan){.run_ms = 5 * SEC, .fail = FAIL_OUT_OF_MEMORY, .bad_task = 2});
	sim_submit(s, "g", .tasks = 3);
	sim_until_state(s, "g", JOB_FAILED);
	EXPECT_STR("reason", sim_get(s, "default", "g").reason, "out_of_memory");
	EXPECT_WHY(s, "g", "task 2: ");
	end_settled(s);
}

TEST(a_cancel_ends_every_task)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "g", (struct sim_plan){.run_ms = -1, .ignores_stop = true});
	sim_submit(s, "g", .tasks = 4);
	sim_until_state(s, "g", JOB_RUNNING);
	assert_int_equal(sim_cancel(s, "default", "g").err.code, 0);
	sim_until_state(s, "g", JOB_CANCELLED);
	assert_int_equal(alive(s), 0);
	end_settled(s);
}

TEST(a_task_that_cannot_be_launched_takes_the_launched_ones_with_it)
{
	struct sim *s = sim_new();
	sim_plan_set(
	    s, "g",
	    (struct sim_plan){.run_ms = -1, .refuse = 1, .refuse_code = ERR_NOT_FOUND, .bad_task = 2});
	sim_submit(s, "g", .tasks = 4);
	sim_until_state(s, "g", JOB_FAILED);
	EXPECT_STR("reason", sim_get(s, "default", "g").reason, "environment");
	EXPECT_WHY(s, "g", "refused by plan");
	assert_int_equal(alive(s), 0);
	EXPECT_STARTS(s, "g", 2);
	end_settled(s);
}

TEST(a_full_disk_between_two_launches_delays_the_rest_of_the_gang)
{
	struct sim *s = sim_new();
	sim_plan_set(
	    s, "g",
	    (struct sim_plan){.run_ms = 60 * SEC, .refuse = 3, .refuse_code = ERR_DISK_FULL, .bad_task = 1});
	sim_submit(s, "g", .tasks = 3);
	sim_until_state(s, "g", JOB_COMPLETED);
	assert_int_equal(sim_get(s, "default", "g").attempt, 1);
	EXPECT_STARTS(s, "g", 3);
	end_settled(s);
}

/* At every place where the server can die, the launches of the gang among them. */
TEST(a_server_that_dies_anywhere_completes_the_gang_once)
{
	size_t deaths = 0;
	for (int64_t n = 1; n <= 24; n++) {
		struct sim *s = sim_new(.attach_ms = 500);
		sim_plan_set(s, "g", (struct sim_plan){.run_ms = 5 * SEC});
		sim_submit(s, "g", .tasks = 4);
		s->dies_in = n;
		sim_run(s, 120 * SEC);
		deaths += s->deaths;
		s->dies_in = 0;
		sim_until_state(s, "g", JOB_COMPLETED);
		assert_int_equal(sim_get(s, "default", "g").attempt, 1);
		EXPECT_STARTS(s, "g", 4);
		end_settled(s);
	}
	assert_true(deaths >= 10);
}

TEST(a_server_that_dies_finds_all_tasks_of_a_gang_again)
{
	struct sim *s = sim_new(.attach_ms = 1000);
	sim_plan_set(s, "g", (struct sim_plan){.run_ms = 30 * SEC});
	sim_submit(s, "g", .tasks = 4);
	sim_until_state(s, "g", JOB_RUNNING);
	sim_crash(s);
	sim_run(s, 10 * SEC);
	assert_int_equal(alive(s), 4);
	sim_start(s);
	sim_until_state(s, "g", JOB_COMPLETED);
	EXPECT_STARTS(s, "g", 4);
	end_settled(s);
}

TEST(a_cancel_of_a_gang_that_was_half_launched_leaves_nothing)
{
	for (int64_t n = 1; n <= 12; n++) {
		struct sim *s = sim_new(.attach_ms = 500);
		sim_plan_set(s, "g", (struct sim_plan){.run_ms = 5 * SEC});
		struct sim_request q = sim_submit(s, "g", .tasks = 4);
		s->dies_in = n;
		sim_run(s, 1 * SEC);
		sim_cancel_begin(s, "default", q.id);
		sim_run(s, 60 * SEC);
		s->dies_in = 0;
		sim_until_idle(s, 3600 * SEC);
		assert_int_equal(alive(s), 0);
		assert_true(job_state_is_terminal((enum job_state)sim_get(s, "default", "g").state));
		end_settled(s);
	}
}

TEST(a_reboot_loses_all_tasks_and_the_gang_starts_again)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "g", (struct sim_plan){.run_ms = 30 * SEC});
	sim_submit(s, "g", .tasks = 3, .max_retries = 1);
	sim_until_state(s, "g", JOB_RUNNING);
	sim_reboot(s);
	sim_start(s);
	sim_until_state(s, "g", JOB_COMPLETED);
	assert_int_equal(sim_get(s, "default", "g").attempt, 2);
	EXPECT_STARTS(s, "g", 6);
	end_settled(s);
}

/* What is stopped with the others is no cancellation, whatever the next server finds first. */
TEST(a_server_that_dies_while_a_gang_is_stopped_still_knows_why)
{
	for (int64_t ms = 0; ms <= 6000; ms += 500) {
		struct sim *s = sim_new();
		sim_plan_set(s, "g",
			     (struct sim_plan){
				 .run_ms = 5 * SEC, .fail = FAIL_USER, .bad_task = 1, .ignores_stop = true});
		sim_submit(s, "g", .tasks = 3);
		sim_until_state(s, "g", JOB_RUNNING);
		sim_run(s, 4 * SEC + ms);
		sim_crash(s);
		sim_run(s, 20 * SEC);
		sim_start(s);
		sim_until_state(s, "g", JOB_FAILED);
		EXPECT_STR("reason", sim_get(s, "default", "g").reason, "user_error");
		end_settled(s);
	}
}

TEST(a_server_that_only_finds_stopped_tasks_does_not_call_it_a_cancellation)
{
	size_t failed = 0;
	for (int64_t ms = 0; ms <= 12000; ms += 500) {
		struct sim *s = sim_new(.seed = 3);
		sim_plan_set(s, "g",
			     (struct sim_plan){.run_ms = 60 * SEC,
					       .refuse = 1,
					       .refuse_code = ERR_NOT_FOUND,
					       .bad_task = 2,
					       .ignores_stop = true});
		sim_submit(s, "g", .tasks = 3);
		sim_run(s, ms);
		sim_crash(s);
		sim_run(s, 20 * SEC);
		sim_start(s);
		sim_until_idle(s, 3600 * SEC);
		struct sim_request q = sim_get(s, "default", "g");
		assert_int_not_equal(q.state, JOB_CANCELLED);
		assert_true(job_state_is_terminal((enum job_state)q.state));
		failed += strcmp(q.reason, "lost") == 0;
		end_settled(s);
	}
	assert_true(failed > 0);
}

TEST(the_preemption_of_a_gang_stops_all_of_it)
{
	struct sim *s = sim_new();
	sim_plan_set(s, "g", (struct sim_plan){.run_ms = 200 * SEC});
	sim_submit(s, "g", .tasks = 4, .priority = 10, .more = "{\"preemptible\": true}");
	sim_until_state(s, "g", JOB_RUNNING);
	sim_run(s, 60 * SEC);
	sim_submit(s, "urgent", .cpu_milli = 1000, .priority = 90);
	sim_until_state(s, "urgent", JOB_RUNNING);
	assert_int_equal(alive(s), 1);
	EXPECT_STATE(s, "g", JOB_QUEUED);
	sim_until_state(s, "g", JOB_COMPLETED);
	assert_int_equal(sim_get(s, "default", "g").attempt, 2);
	end_settled(s);
}
