/* SPDX-License-Identifier: Apache-2.0 */
/* What is made of an end: class and sentence. */
#include "unit/test.h"

#include <signal.h>
#include "base/mem.h"
#include "local/exit_record.h"

static char *train[] = {"python", "train.py", NULL};

static struct task_spec job(void)
{
	struct task_spec s = {
	    .kind = TASK_JOB, .command = train, .max_duration_ms = 600000, .hang_timeout_ms = 300000};
	s.limits.memory_bytes = (int64_t)512 << 20;
	return s;
}

static struct container_result ended(const char *stage, int code, int signal_number)
{
	struct container_result r = {
	    .ran = true, .ended = true, .exit_code = code, .exit_signal = signal_number};
	strncpy(r.stage, stage, sizeof(r.stage) - 1);
	return r;
}

struct row {
	const char *name;
	struct container_result result;
	bool stop;
	enum fail_class why;
	const char *last_line, *serve_error;
	enum fail_class fail;
	int exit_code;
	const char *message, *without; /* the latter must not be in it */
};

static void check(const struct row *row, const struct task_spec *spec)
{
	struct task_exit e;
	const struct exit_facts f = {.spec = spec,
				     .result = &row->result,
				     .stop_wanted = row->stop,
				     .why = row->why,
				     .last_line = row->last_line ? row->last_line : "",
				     .serve_error = row->serve_error};
	exit_record_make(&f, &e);
	EXPECT_INT(row->name, e.fail, row->fail);
	EXPECT_INT(row->name, e.exit_code, row->exit_code);
	if (!strstr(e.message, row->message))
		fail_msg("%s: '%s' is not in '%s'", row->name, row->message, e.message);
	if (row->without && strstr(e.message, row->without))
		fail_msg("%s: '%s' is in '%s'", row->name, row->without, e.message);
}

TEST(ends_of_jobs_are_classed_and_explained)
{
	struct container_result oom = ended("run", -1, SIGKILL), never = {.message = "no such runtime"};
	struct container_result cancelled = ended("run", -1, SIGTERM), killed = ended("run", -1, SIGKILL);
	struct container_result vanished = {.ran = true, .message = "it is gone"};
	oom.out_of_memory = true;
	cancelled.stopped = true;
	killed.ended = false;
	const struct row rows[] = {
	    {"success", ended("", 0, 0), .fail = FAIL_NONE, .message = ""},
	    {"stop came too late", ended("", 0, 0), true, FAIL_CANCELLED, .fail = FAIL_NONE, .message = ""},
	    {"status", ended("run", 1, 0), .last_line = "ValueError: x", .fail = FAIL_USER, .exit_code = 1,
	     .message = "python train.py exited with status 1; the last line was 'ValueError: x'"},
	    {"silent", ended("run", 3, 0), .last_line = "cloudml: unpacked 2 entries, 172 B",
	     .fail = FAIL_USER, .exit_code = 3, .message = "python train.py exited with status 3",
	     .without = "unpacked"},
	    {"signal", ended("run", -1, SIGSEGV), .fail = FAIL_USER, .exit_code = -1,
	     .message = "was ended by signal 11 (Segmentation fault)"},
	    {"not found", ended("run", 127, 0), .fail = FAIL_USER, .exit_code = 127,
	     .message = "was not found"},
	    {"memory", oom, .fail = FAIL_OUT_OF_MEMORY, .exit_code = -1,
	     .message = "the job used its limit of 512 MiB; run it again with --memory 1G"},
	    {"never ran", never, .fail = FAIL_PLATFORM, .exit_code = -1, .message = "no such runtime"},
	    {"vanished", vanished, .fail = FAIL_LOST, .message = "killed from outside"},
	    {"cancelled", cancelled, true, FAIL_CANCELLED, .fail = FAIL_CANCELLED, .exit_code = -1,
	     .message = "cancelled"},
	    {"cancelled hard", killed, true, FAIL_CANCELLED, .fail = FAIL_CANCELLED, .exit_code = -1,
	     .message = "was killed"},
	    {"hung", cancelled, true, FAIL_HUNG, .fail = FAIL_HUNG, .exit_code = -1,
	     .message = "hung: no output and no use of the processor for 5m; look at the last lines of the "
			"log, or run it "
			"again with a longer hang_timeout"},
	    {"timeout", cancelled, true, FAIL_TIMEOUT, .fail = FAIL_TIMEOUT, .exit_code = -1,
	     .message = "longer than its limit of 10m"},
	    {"package", ended("check", 1, 0),
	     .last_line = "cloudml: the package has no module 'x'; it has: y", .fail = FAIL_ENVIRONMENT,
	     .exit_code = 1, .message = "the package has no module 'x'; it has: y"},
	    {"prepare", ended("prepare", 2, 0), .fail = FAIL_USER, .exit_code = 2,
	     .message = "the prepare command exited with status 2"},
	};
	struct task_spec spec = job();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(&rows[i], &spec);
}

TEST(a_model_that_cannot_be_served_says_why_and_one_that_ends_has_failed)
{
	const struct row rows[] = {
	    {"error", ended("serve", 1, 0), .serve_error = "no saved_model.pb", .fail = FAIL_ENVIRONMENT,
	     .exit_code = 1, .message = "the model cannot be served: no saved_model.pb"},
	    {"ends", ended("serve", 3, 0), .fail = FAIL_USER, .exit_code = 3,
	     .message = "the model server exited with status 3"},
	};
	struct task_spec spec = job();
	spec.kind = TASK_MODEL;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		check(&rows[i], &spec);
}

TEST(errors_before_the_container_are_the_users_or_ours)
{
	struct task_exit e;
	struct err err = ERR_INIT;
	err_set(&err, ERR_BACKEND, "no version of x");
	exit_record_of_err(&err, false, FAIL_NONE, &e);
	assert_int_equal(e.fail, FAIL_ENVIRONMENT);
	err_set(&err, ERR_DISK_FULL, "the disk is full");
	exit_record_of_err(&err, false, FAIL_NONE, &e);
	assert_int_equal(e.fail, FAIL_PLATFORM);
	err_set(&err, ERR_CANCELLED, "stopped");
	exit_record_of_err(&err, true, FAIL_PREEMPTED, &e);
	assert_int_equal(e.fail, FAIL_PREEMPTED);
}
