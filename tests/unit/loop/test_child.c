/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes. */
#include "unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "loop/loop.h"

struct child {
	struct loop *loop;
	struct loop_child *handle;
	int calls, code, signal_number;
	bool free_in_callback;
};

static void on_exit_of_child(void *arg, int code, int signal_number)
{
	struct child *c = arg;
	c->calls++;
	c->code = code;
	c->signal_number = signal_number;
	if (c->free_in_callback)
		loop_child_free(STEAL(c->handle));
}

static void wait_for(struct child *c)
{
	while (c->calls == 0)
		loop_run_once(c->loop, 1000);
}

static struct child new_child(void)
{
	struct err err = ERR_INIT;
	struct child c = {0};
	EXPECT_OK(loop_new(&c.loop, &err), &err);
	return c;
}

static void start(struct child *c, struct loop_spawn spawn, const char *script)
{
	struct err err = ERR_INIT;
	char *const argv[] = {"sh", "-c", (char *)script, NULL};
	spawn.argv = argv;
	spawn.on_exit = on_exit_of_child;
	spawn.arg = c;
	EXPECT_OK(loop_child_new(c->loop, &spawn, &c->handle, &err), &err);
}

static void end(struct child *c)
{
	loop_child_free(c->handle);
	loop_free(c->loop);
}

TEST(the_exit_status_of_a_child_is_reported)
{
	struct child c = new_child();
	start(&c, (struct loop_spawn){0}, "exit 7");
	assert_true(loop_child_pid(c.handle) > 0);
	wait_for(&c);
	assert_int_equal(c.code, 7);
	assert_int_equal(c.signal_number, 0);
	end(&c);
}

TEST(the_signal_that_ended_a_child_is_reported)
{
	struct child c = new_child();
	start(&c, (struct loop_spawn){0}, "exec sleep 1000");
	loop_child_kill(c.handle, SIGTERM);
	wait_for(&c);
	assert_int_equal(c.code, -1);
	assert_int_equal(c.signal_number, SIGTERM);
	loop_child_kill(c.handle, SIGTERM); /* harmless: it has ended */
	end(&c);
}

TEST(a_program_that_is_not_there_is_an_error_and_no_child)
{
	struct err err = ERR_INIT;
	struct child c = new_child();
	char *const argv[] = {"/no/such/program", NULL};
	struct loop_spawn spawn = {.argv = argv};
	EXPECT_ERR(loop_child_new(c.loop, &spawn, &c.handle, &err), ERR_NOT_FOUND, &err, "/no/such/program");
	assert_null(c.handle);
	end(&c);
}

/* Runs 'script' with its descriptor 'target' as a pipe and gives what it wrote there. */
static char *output_of(struct loop_spawn spawn, const char *script, size_t target, int *fds)
{
	struct err err = ERR_INIT;
	struct child c = new_child();
	int pipe_fds[2];
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	fds[target] = pipe_fds[1];
	spawn.fds = fds;
	spawn.fd_count = target + 1;
	start(&c, spawn, script);
	close(pipe_fds[1]);
	struct buf out = BUF_INIT;
	EXPECT_OK(fd_read_all(pipe_fds[0], 65536, &out, &err), &err);
	close(pipe_fds[0]);
	wait_for(&c);
	assert_int_equal(c.code, 0);
	end(&c);
	return buf_steal(&out);
}

TEST(a_child_gets_the_descriptors_it_was_given_and_no_others)
{
	int leaky = open("/dev/zero", O_RDONLY); /* without O_CLOEXEC */
	int fds[] = {-1, -1, -1, -1};
	CLEANUP(free) char *out = output_of((struct loop_spawn){0}, "ls -l /proc/self/fd >&3", 3, fds);
	assert_null(strstr(out, "/dev/zero"));
	assert_non_null(strstr(out, "0 -> /dev/null"));
	assert_non_null(strstr(out, "3 -> pipe:"));
	close(leaky);
}

TEST(descriptors_may_be_exchanged)
{
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), full = open("/dev/full", O_WRONLY | O_CLOEXEC);
	int low = zero < full ? zero : full, high = zero < full ? full : zero;
	int fds[64];
	assert_true(high + 1 < 64);
	for (int i = 0; i <= high; i++)
		fds[i] = -1;
	fds[low] = high;
	fds[high] = low;
	CLEANUP(free)
	char *script = mem_printf("readlink /proc/self/fd/%d /proc/self/fd/%d >&%d", zero, full, high + 1);
	CLEANUP(free) char *out = output_of((struct loop_spawn){0}, script, high + 1, fds);
	assert_string_equal(out, "/dev/full\n/dev/zero\n");
	close(zero);
	close(full);
}

TEST(a_child_gets_its_folder_and_its_environment)
{
	const char *dir = test_dir();
	char *const env[] = {"COLOUR=blue", "PATH=/usr/bin:/bin", NULL};
	int fds[] = {-1, -1};
	CLEANUP(free)
	char *out = output_of((struct loop_spawn){.cwd = dir, .env = env},
			      "pwd; echo $COLOUR; env | grep -c HOME || :", 1, fds);
	CLEANUP(free) char *expected = mem_printf("%s\nblue\n0\n", dir);
	assert_string_equal(out, expected);
}

TEST(a_child_starts_with_default_signals)
{
	signal(SIGPIPE, SIG_IGN);
	int fds[] = {-1, -1};
	CLEANUP(free) char *out = output_of((struct loop_spawn){0}, "grep SigIgn /proc/self/status", 1, fds);
	/* glibc leaves its two internal signals (32 and 33) ignored. */
	assert_int_equal(strtoull(out + strlen("SigIgn:"), NULL, 16) & ~0x180000000ULL, 0);
}

TEST(a_detached_child_leads_a_session)
{
	int fds[] = {-1, -1};
	CLEANUP(free)
	char *out = output_of((struct loop_spawn){.detached = true},
			      "set -- $(cat /proc/$$/stat); echo $(($1 - $6))", 1, fds);
	assert_string_equal(out, "0\n");
}

TEST(a_handle_may_be_freed_in_its_callback)
{
	struct child c = new_child();
	c.free_in_callback = true;
	start(&c, (struct loop_spawn){0}, "exit 0");
	wait_for(&c);
	assert_null(c.handle);
	end(&c);
}

TEST(a_child_whose_handle_is_freed_lives_on_and_leaves_no_zombie)
{
	struct child c = new_child();
	start(&c, (struct loop_spawn){0}, "exec sleep 1000");
	pid_t pid = loop_child_pid(c.handle);
	loop_child_free(STEAL(c.handle));
	loop_run_once(c.loop, 5);
	assert_int_equal(kill(pid, 0), 0);
	kill(pid, SIGKILL);
	while (kill(pid, 0) == 0)
		loop_run_once(c.loop, 1000);
	assert_int_equal(errno, ESRCH);
	assert_int_equal(c.calls, 0);
	end(&c);
}

TEST(a_loop_may_go_while_a_freed_child_runs)
{
	struct child c = new_child();
	start(&c, (struct loop_spawn){0}, "exec sleep 1000");
	pid_t pid = loop_child_pid(c.handle);
	end(&c);
	assert_int_equal(kill(pid, SIGKILL), 0);
}
