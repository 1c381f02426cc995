/* SPDX-License-Identifier: Apache-2.0 */
/* Failpoints: once, at the wanted time, by whoever holds the token. */
#include "base/failpoint.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "unit/test.h"

#ifdef CLOUDML_FAILPOINTS
static int run_child(const char *rule)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setenv("CLOUDML_FAILPOINT", rule, 1);
		for (int i = 0; i < 3; i++) {
			FP("test.other");
			FP("test.here");
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(a_failpoint_ends_the_process_once)
{
	char token[300], rule[400];
	snprintf(token, sizeof(token), "%s/token", test_dir());
	snprintf(rule, sizeof(rule), "test.here:3:%s", token);
	close(open(token, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(run_child(rule), SIGKILL);
	assert_int_equal(access(token, F_OK), -1);
	assert_int_equal(run_child(rule), 0); /* the token is gone */
}

TEST(a_failpoint_that_is_not_reached_so_often_does_nothing)
{
	char token[300], rule[400];
	snprintf(token, sizeof(token), "%s/token", test_dir());
	close(open(token, O_CREAT | O_WRONLY, 0600));
	snprintf(rule, sizeof(rule), "test.here:4:%s", token);
	assert_int_equal(run_child(rule), 0);
	snprintf(rule, sizeof(rule), "test.elsewhere:1:%s", token);
	assert_int_equal(run_child(rule), 0);
	assert_int_equal(run_child("nonsense"), 0);
	assert_int_equal(access(token, F_OK), 0);
}
#else
TEST(there_are_none_in_this_build)
{
	FP("test.here");
}
#endif
