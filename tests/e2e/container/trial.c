/* SPDX-License-Identifier: Apache-2.0 */
/* Running a container and looking at what is left. */
#include "e2e/container/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"

#define TRIALS_MAX 64
#define WAIT_MS 120000 /* a hang is a failure, not a wait for ever */

static char *environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/work",
			      "LANG=C.UTF-8", "TMPDIR=/tmp", NULL};

__attribute__((constructor)) static void skip_unless_possible(void)
{
	struct runtime r;
	struct err err = ERR_INIT;
	if (runtime_detect(&r, &err) >= 0)
		return;
	fprintf(stderr, "skipped: %s\n", err.msg);
	exit(77);
}

/* A test that fails leaves its container running: the program's end takes it along. */
static char running[TRIALS_MAX][64];

static void clean_up(void)
{
	for (size_t i = 0; i < TRIALS_MAX; i++)
		if (*running[i])
			container_cleanup(running[i], NULL, NULL);
}

static void remember(const struct trial *t, int number, bool runs)
{
	if (number == 1 && runs)
		atexit(clean_up);
	assert_true(number < TRIALS_MAX);
	memcpy(running[number], runs ? t->name : "", runs ? sizeof(t->name) : 1);
}

void trial_init(struct trial *t, const char *script)
{
	static int count;
	struct runtime runtime;
	*t = (struct trial){.output = -1, .pid = -1};
	assert_true(runtime_detect(&runtime, NULL) >= 0);
	path_format(t->name, sizeof(t->name), "test-%s-%d-%d", runtime.name, (int)getpid(), ++count);
	t->number = count;
	remember(t, count, true);
	t->folder = test_dir();
	path_format(t->work, sizeof(t->work), "%s/work", t->folder);
	assert_int_equal(mkdir(t->work, 0755), 0);
	assert_int_equal(chown(t->work, TRIAL_UID_BASE + CONTAINER_UID, TRIAL_UID_BASE + CONTAINER_UID), 0);
	t->script[0] = "/bin/sh";
	t->script[1] = "-c";
	t->script[2] = (char *)script;
	t->stage = (struct container_stage){.name = "run", .argv = t->script, .cwd = "/work"};
	t->mount = (struct container_mount){t->work, "/work", true};
	t->spec = (struct container_spec){.name = t->name,
					  .folder = t->folder,
					  .stages = &t->stage,
					  .stage_count = 1,
					  .env = environment,
					  .mounts = &t->mount,
					  .mount_count = 1,
					  .limits = {.cpu_milli = 1000, .memory_bytes = 128 << 20},
					  .max_processes = 64,
					  .network = NETWORK_NONE,
					  .uid_base = TRIAL_UID_BASE,
					  .grace_ms = 10000};
}

void trial_start(struct trial *t)
{
	int pair[2];
	struct err err = ERR_INIT;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	EXPECT_OK(container_prepare(&t->spec, &err), &err);
	EXPECT_OK(container_spawn(&t->spec, pair[1], &t->pid, &err), &err);
	close(pair[1]);
	t->output = pair[0];
}

/* Appends what comes; false at the end of the output. */
static bool read_some(struct trial *t)
{
	char data[4096];
	struct pollfd p = {.fd = t->output, .events = POLLIN};
	int ready = poll(&p, 1, WAIT_MS);
	if (ready == 0)
		fail_msg("container '%s' is silent; it printed: %s", t->name, buf_str(&t->text));
	ssize_t n = read(t->output, data, sizeof(data));
	assert_true(n >= 0);
	buf_add(&t->text, data, (size_t)n);
	return n > 0;
}

void trial_read_until(struct trial *t, const char *word)
{
	while (!strstr(buf_str(&t->text), word))
		if (!read_some(t))
			fail_msg("container '%s' ended without printing '%s': %s", t->name, word,
				 buf_str(&t->text));
}

void trial_wait(struct trial *t)
{
	int status = 0;
	struct err err = ERR_INIT;
	while (read_some(t))
		continue;
	while (waitpid(t->pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	EXPECT_OK(container_result(&t->spec, status, &t->result, &err), &err);
	if (getenv("TEST_VERBOSE"))
		print_message("%s: stage '%s' code %d signal %d: %s\n%s\n", t->name, t->result.stage,
			      t->result.exit_code, t->result.exit_signal, t->result.message,
			      buf_str(&t->text));
}

void trial_run(struct trial *t, const char *script)
{
	trial_init(t, script);
	trial_start(t);
	trial_wait(t);
}

void trial_done(struct trial *t)
{
	struct err err = ERR_INIT;
	char path[512];
	char **left = NULL;
	EXPECT_OK(container_cleanup(t->name, t->folder, &err), &err);
	EXPECT_OK(container_cleanup(t->name, t->folder, &err), &err);
	path_format(path, sizeof(path), "%s/bundle", t->folder);
	assert_int_not_equal(access(path, F_OK), 0);
	EXPECT_OK(container_list(&left, &err), &err);
	for (char **name = left; *name; name++)
		assert_string_not_equal(*name, t->name);
	strings_free(left);
	remember(t, t->number, false);
	if (t->output >= 0)
		close(t->output);
	buf_done(&t->text);
}

void trial_expect_prints(const struct trial *t, const char *part, const char *file, int line)
{
	if (strstr(buf_str(&t->text), part))
		return;
	print_error("expected '%s' in the output of '%s' (%s), got: %s\n", part, t->name, t->result.message,
		    buf_str(&t->text));
	_fail(file, line);
}
