/* SPDX-License-Identifier: Apache-2.0 */
/* What a container is for: running things, and saying what became of them. */
#include <sys/socket.h>
#include <unistd.h>
#include "e2e/container/trial.h"

TEST(a_script_runs_and_its_end_is_recorded)
{
	struct trial t;
	trial_run(&t, "echo hello; pwd; id -u; id -un; hostname; cat /etc/resolv.conf");
	EXPECT_PRINTS(&t, "hello\n/work\n1000\ncloudml\n");
	EXPECT_PRINTS(&t, t.name);
	assert_true(t.result.ran);
	assert_true(t.result.ended);
	assert_string_equal(t.result.stage, "");
	assert_int_equal(t.result.exit_code, 0);
	assert_string_equal(t.result.message, "");
	assert_true(t.result.memory_peak_bytes > 0);
	trial_done(&t);
}

TEST(a_failing_script_is_reported_with_its_status)
{
	struct trial t;
	trial_run(&t, "exit 7");
	assert_string_equal(t.result.stage, "run");
	assert_int_equal(t.result.exit_code, 7);
	assert_int_equal(t.result.exit_signal, 0);
	assert_string_equal(t.result.message, "stage 'run' exited with status 7");
	trial_done(&t);
}
