/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cloudml-init: process 1 of a container. Runs the stages of its plan one after another, passes signals on,
 * buries orphans, and writes the record (docs/formats/init-plan.md). Static, C library only, so that it runs
 * on any root.
 *
 * It has the same user id as the stages and no capability, and is not dumpable: they can neither trace it nor
 * open its descriptors, and the kernel ignores signals to process 1 that it does not wait for, SIGKILL among
 * them.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "main/init_plan.h"

#define EXIT_INTERNAL 70
#define OOM_RECHECK_MS 10
#define OOM_RECHECKS 100
#define KILL_AGAIN_MS 50
#define BALLAST_BYTES (1024 * 1024)

static struct {
	struct init_plan plan;
	sigset_t signals;
	int signal_fd;
	pid_t stage;	      /* running now; 0 = none */
	int stage_status;     /* wait status of the last one */
	bool stopped, killed; /* SIGTERM came; the grace time ran out */
	int64_t kill_at_ms;   /* monotonic; 0 = no deadline */
	long oom_kills;
	int oom_rechecks;
	void *ballast; /* memory to fall back on when the container has used up all of its own; NULL = given
			  back */
} init;

static int64_t now_ms(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

__attribute__((format(printf, 1, 2))) static void record(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 32, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(line) - 32)
		return;
	n += snprintf(line + n, 32, " %lld\n", (long long)now_ms(CLOCK_REALTIME));
	ssize_t w;
	do
		w = write(init.plan.record, line, (size_t)n);
	while (w < 0 && errno == EINTR);
}

static void complain(const char *what, const char *subject, const char *why)
{
	dprintf(2, "cloudml-init: %s '%s': %s\n", what, subject, why);
}

/* The number behind 'key' in a small kernel file, or the file's only number when key is NULL; -1 when
 * unknown. */
static long long read_number(int fd, const char *key)
{
	char text[512];
	if (fd < 0)
		return -1;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return -1;
	text[n] = 0;
	char *at = text;
	if (key) {
		at = strstr(text, key);
		if (!at)
			return -1;
		at += strlen(key);
	}
	return strtoll(at, NULL, 10);
}

static void ballast_take(void)
{
	void *p = mmap(NULL, BALLAST_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	init.ballast = p == MAP_FAILED ? NULL : p;
	/* Our own code must not have to be read in again at the limit. Refused where RLIMIT_MEMLOCK is small:
	 * no harm. */
	mlockall(MCL_CURRENT);
}

/* At the memory limit even the record needs a page that is not there (files in /tmp outlive their writers),
 * and the next victim would be us. */
static void ballast_drop(void)
{
	if (init.ballast)
		munmap(init.ballast, BALLAST_BYTES);
	init.ballast = NULL;
}

static void kill_all(void)
{
	/* Everything in our process namespace but ourselves. */
	kill(-1, SIGKILL);
}

/* Version 1 control groups kill one process at the limit; a container without one of its processes is no use.
 */
static void oom_check(void)
{
	long kills = (long)read_number(init.plan.oom, "\noom_kill ");
	if (kills <= init.oom_kills)
		return;
	ballast_drop();
	init.oom_kills = kills;
	init.oom_rechecks = 0;
	kill_all();
}

static void on_oom_event(void)
{
	uint64_t count;
	ballast_drop();
	if (read(init.plan.event, &count, sizeof(count)) == (ssize_t)sizeof(count))
		/* The event comes before the kill is counted. */
		init.oom_rechecks = OOM_RECHECKS;
	oom_check();
}

static void reap(void)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != init.stage)
			continue;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			ballast_drop();
		init.stage = 0;
		init.stage_status = status;
	}
}

static void forward(int signal_number)
{
	if (init.stage > 0 && kill(-init.stage, signal_number) < 0)
		kill(init.stage, signal_number);
}

static void on_signal(void)
{
	struct signalfd_siginfo info;
	while (read(init.signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGCHLD) {
			reap();
			continue;
		}
		if (info.ssi_signo == SIGTERM && !init.stopped) {
			init.stopped = true;
			init.kill_at_ms = now_ms(CLOCK_MONOTONIC) + init.plan.grace_ms;
		}
		forward((int)info.ssi_signo);
	}
}

static int wait_ms(void)
{
	int64_t wait = -1;
	if (init.kill_at_ms) {
		wait = init.kill_at_ms - now_ms(CLOCK_MONOTONIC);
		wait = wait < 0 ? 0 : wait;
	}
	if (init.oom_rechecks && (wait < 0 || wait > OOM_RECHECK_MS))
		wait = OOM_RECHECK_MS;
	return (int)(wait > 3600000 ? 3600000 : wait);
}

/* Waits for one thing and handles it. True when 'fd' (may be -1) can be read. */
static bool turn(int fd)
{
	struct pollfd p[3] = {
	    {.fd = init.signal_fd, .events = POLLIN},
	    {.fd = init.plan.event, .events = POLLIN},
	    {.fd = fd, .events = POLLIN},
	};
	if (poll(p, 3, wait_ms()) < 0)
		return false;
	if (p[0].revents)
		on_signal();
	if (p[1].revents & POLLIN)
		on_oom_event();
	else if (p[1].revents)
		init.plan.event = -1;
	if (init.oom_rechecks) {
		init.oom_rechecks--;
		oom_check();
	}
	if (init.kill_at_ms && now_ms(CLOCK_MONOTONIC) >= init.kill_at_ms) {
		init.killed = init.killed || init.stage > 0;
		kill_all();
		init.kill_at_ms = now_ms(CLOCK_MONOTONIC) + KILL_AGAIN_MS;
	}
	return p[2].revents != 0;
}

/* In the child: nothing of ours must be left when it becomes readable for others. */
static void stage_exec(const struct init_stage *s)
{
	setsid();
	syscall(SYS_close_range, 3 + init.plan.fds, ~0u, 0);
	prctl(PR_SET_DUMPABLE, 1);
	/* Rather a stage than us when memory ends. */
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, "500", 3) < 0)
			errno = 0;
		close(fd);
	}
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (*s->cwd && chdir(s->cwd) < 0) {
		complain("cannot enter folder", s->cwd, strerror(errno));
		_exit(126);
	}
	execvp(s->argv[0], s->argv);
	int why = errno;
	complain("cannot run", s->argv[0], strerror(why));
	_exit(why == ENOENT ? 127 : 126);
}

/* Returns the wait status. */
static int stage_run(const struct init_stage *s)
{
	record("stage %s start", s->name);
	pid_t pid = fork();
	if (pid == 0)
		stage_exec(s);
	if (pid < 0) {
		complain("cannot start stage", s->name, strerror(errno));
		return EXIT_INTERNAL << 8;
	}
	init.stage = pid;
	while (init.stage)
		turn(-1);
	oom_check();
	return init.stage_status;
}

/* True when the network is there (or none is waited for). */
static bool gate_wait(void)
{
	char byte;
	if (init.plan.gate < 0)
		return true;
	while (!turn(init.plan.gate))
		if (init.stopped)
			return true;
	bool open = read(init.plan.gate, &byte, 1) == 1;
	close(init.plan.gate);
	return open;
}

static int finish(const char *stage, int code, int signal_number)
{
	/* Whatever the stages left behind dies before the last numbers are read. */
	kill_all();
	record("end %s %d %d %ld %lld %d %d", stage, code, signal_number,
	       init.plan.oom < 0 ? -1L : init.oom_kills, read_number(init.plan.peak, NULL), init.stopped,
	       init.killed);
	return signal_number ? 128 + signal_number : code;
}

static int run_stages(void)
{
	const char *failed = "-";
	int code = 0, signal_number = 0;
	if (!gate_wait()) {
		complain("cannot start", "network", "the user-mode network ended before it was ready");
		return finish("network", EXIT_INTERNAL, 0);
	}
	for (size_t i = 0; i < init.plan.stage_count; i++) {
		const struct init_stage *s = &init.plan.stages[i];
		if (init.killed || init.oom_kills > 0)
			break;
		if ((init.stopped || code || signal_number) && !s->always)
			continue;
		int status = stage_run(s);
		int c = WIFSIGNALED(status) ? -1 : WEXITSTATUS(status),
		    n = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
		record("stage %s exit %d %d", s->name, c, n);
		if ((c || n) && !code && !signal_number) {
			failed = s->name;
			code = c;
			signal_number = n;
		}
	}
	return finish(failed, code, signal_number);
}

static const char *plan_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return strerror(errno);
	char *data = malloc(INIT_PLAN_BYTES_MAX + 1);
	size_t len = 0;
	while (data && len <= INIT_PLAN_BYTES_MAX) {
		ssize_t n = read(fd, data + len, INIT_PLAN_BYTES_MAX + 1 - len);
		if (n < 0)
			return strerror(errno);
		if (n == 0)
			break;
		len += (size_t)n;
	}
	close(fd);
	if (!data)
		return "no memory";
	char *fitting = realloc(data, len + 1);
	data = fitting ? fitting : data;
	return len > INIT_PLAN_BYTES_MAX ? "the plan is too long" : init_plan_parse(data, len, &init.plan);
}

int main(int argc, char **argv)
{
	/* Before anything else: nobody of our user id may look into us. */
	prctl(PR_SET_DUMPABLE, 0);
	if (argc != 2) {
		dprintf(2, "usage: cloudml-init PLAN\n");
		return 2;
	}
	const char *wrong = plan_read(argv[1]);
	if (wrong) {
		complain("cannot read plan", argv[1], wrong);
		return EXIT_INTERNAL;
	}
	const int waited[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGCHLD};
	sigemptyset(&init.signals);
	for (size_t i = 0; i < sizeof(waited) / sizeof(waited[0]); i++)
		sigaddset(&init.signals, waited[i]);
	sigprocmask(SIG_SETMASK, &init.signals, NULL);
	init.signal_fd = signalfd(-1, &init.signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (init.signal_fd < 0) {
		complain("cannot wait for", "signals", strerror(errno));
		return EXIT_INTERNAL;
	}
	int null = open("/dev/null", O_RDWR);
	if (null > 0) {
		dup2(null, 0);
		close(null);
	}
	ballast_take();
	/* Who sends signals looks for this name: from here on none is lost. */
	prctl(PR_SET_NAME, "cloudml-init");
	record("init");
	return run_stages();
}
