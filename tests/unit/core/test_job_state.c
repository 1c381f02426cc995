/* SPDX-License-Identifier: Apache-2.0 */
/* States of jobs and services, failure classes. */
#include "unit/test.h"

#include "base/mem.h"
#include "core/service.h"
#include "core/task.h"

TEST(words_of_states_parse_back)
{
	struct err err = ERR_INIT;
	for (int i = 0; i < JOB_STATE_COUNT; i++) {
		enum job_state s;
		EXPECT_OK(job_state_parse(job_state_word((enum job_state)i), &s, &err), &err);
		assert_int_equal(s, i);
	}
	for (int i = 0; i < SERVICE_STATE_COUNT; i++) {
		enum service_state s;
		EXPECT_OK(service_state_parse(service_state_word((enum service_state)i), &s, &err), &err);
		assert_int_equal(s, i);
	}
	for (int i = 0; i < FAIL_COUNT; i++) {
		enum fail_class c;
		assert_int_equal(fail_parse(fail_word((enum fail_class)i), &c), 0);
		assert_int_equal(c, i);
	}
	enum job_state s;
	enum fail_class c;
	EXPECT_ERR(job_state_parse("done", &s, &err), ERR_INVALID, &err, "completed");
	assert_int_equal(fail_parse("bad luck", &c), -1);
	assert_string_equal(task_phase_word(TASK_LOST), "lost");
}

TEST(nothing_leaves_a_terminal_state_and_no_state_moves_to_itself)
{
	for (int from = 0; from < JOB_STATE_COUNT; from++)
		for (int to = 0; to < JOB_STATE_COUNT; to++)
			if (from == to || job_state_is_terminal((enum job_state)from))
				assert_false(job_state_may_move((enum job_state)from, (enum job_state)to));
	for (int to = 0; to < SERVICE_STATE_COUNT; to++)
		assert_false(service_state_may_move(SERVICE_DELETED, (enum service_state)to));
}

TEST(every_live_job_can_fail_and_be_cancelled)
{
	for (int from = 0; from < JOB_STATE_COUNT; from++) {
		if (job_state_is_terminal((enum job_state)from))
			continue;
		assert_true(job_state_may_move((enum job_state)from, JOB_FAILED));
		assert_true(job_state_may_move((enum job_state)from, JOB_CANCELLED));
		assert_false(job_state_may_move((enum job_state)from, JOB_SUBMITTED));
	}
}

TEST(a_job_runs_only_after_it_was_queued_and_started)
{
	assert_false(job_state_may_move(JOB_SUBMITTED, JOB_STARTING));
	assert_false(job_state_may_move(JOB_SUBMITTED, JOB_COMPLETED));
	assert_false(job_state_may_move(JOB_QUEUED, JOB_RUNNING));
	assert_false(job_state_may_move(JOB_QUEUED, JOB_COMPLETED));
	assert_true(job_state_may_move(JOB_SUBMITTED, JOB_QUEUED));
	assert_true(job_state_may_move(JOB_QUEUED, JOB_STARTING));
	assert_true(job_state_may_move(JOB_STARTING, JOB_RUNNING));
	assert_true(job_state_may_move(JOB_RUNNING, JOB_QUEUED)); /* retry */
}

TEST(a_service_is_deleted_only_after_it_stopped_or_failed)
{
	assert_false(service_state_may_move(SERVICE_READY, SERVICE_DELETED));
	assert_false(service_state_may_move(SERVICE_STARTING, SERVICE_DELETED));
	assert_true(service_state_may_move(SERVICE_STOPPING, SERVICE_DELETED));
	assert_true(service_state_may_move(SERVICE_READY, SERVICE_STARTING)); /* restart */
	assert_false(service_state_may_move(SERVICE_FAILED, SERVICE_READY));
}
