/* SPDX-License-Identifier: Apache-2.0 */
/* One container on an event loop. */
#include "local/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "local/fd_drop.h"

#define CHUNK_BYTES 65536
#define RETRY_OUTPUT_MS 1000
#define RETRY_SIGNAL_MS 50
#define KILLS_PATIENT 10

struct sandbox {
	struct loop *loop;
	const struct container_spec *spec;
	struct sandbox_handlers handlers;
	pid_t pid;
	int pid_fd, output_fd;
	struct loop_fd *pid_watch, *output_watch;
	struct loop_timer *output_timer, *signal_timer, *kill_timer;
	char chunk[CHUNK_BYTES];
	size_t chunk_len;   /* refused output, offered again */
	int64_t kill_at_ms; /* monotonic; 0 = no stop asked for */
	int kills;
	bool dead; /* the container has ended and is cleaned up; output may be left in the pipe */
	struct container_result result;
};

static void finish(struct sandbox *s)
{
	loop_timer_clear(s->output_timer);
	loop_fd_free(s->output_watch);
	s->output_watch = NULL;
	s->handlers.ended(s->handlers.arg, &s->result);
}

/* Offers the pending chunk. false: refused; a timer tries again. */
static bool offer(struct sandbox *s)
{
	if (!s->chunk_len)
		return true;
	if (!s->handlers.output(s->handlers.arg, s->chunk, s->chunk_len)) {
		loop_fd_set(s->output_watch, 0);
		loop_timer_set(s->output_timer, RETRY_OUTPUT_MS, 0);
		return false;
	}
	s->chunk_len = 0;
	return true;
}

static void on_output(void *arg, int events)
{
	struct sandbox *s = arg;
	while (offer(s)) {
		ssize_t n = read(s->output_fd, s->chunk, sizeof(s->chunk));
		if (n < 0 && errno == EINTR)
			continue;
		if (n > 0) {
			s->chunk_len = (size_t)n;
			if (!s->dead) { /* one chunk a turn: timers and the wish to stop have their turn too
					 */
				offer(s);
				return;
			}
			continue;
		}
		if (s->dead)
			finish(s);
		else if (n == 0) /* all ends closed; the container's end comes by its own watch */
			loop_fd_set(s->output_watch, 0);
		return;
	}
}

static void on_output_again(void *arg)
{
	struct sandbox *s = arg;
	if (!s->dead)
		loop_fd_set(s->output_watch, LOOP_READ);
	on_output(s, LOOP_READ);
}

static void on_process_end(void *arg, int events)
{
	struct sandbox *s = arg;
	int status = -1;
	pid_t got;
	do
		got = waitpid(s->pid, &status, WNOHANG);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return;
	loop_fd_free(s->pid_watch);
	s->pid_watch = NULL;
	loop_timer_clear(s->signal_timer);
	loop_timer_clear(s->kill_timer);
	struct err err = ERR_INIT;
	if (container_result(s->spec, got < 0 ? -1 : status, &s->result, &err) < 0) {
		s->result = (struct container_result){.exit_code = -1, .memory_peak_bytes = -1};
		snprintf(s->result.message, sizeof(s->result.message), "%.300s", err.msg);
	}
	/* Also ends processes that still hold the pipe. */
	if (container_cleanup(s->spec->name, s->spec->folder, &err) < 0)
		log_warn("container.cleanup name=%s error=\"%s\"", s->spec->name, err.msg);
	s->dead = true;
	on_output(s, LOOP_READ);
}

static void on_signal_again(void *arg)
{
	struct sandbox *s = arg;
	struct err err = ERR_INIT;
	if (container_signal(s->spec->name, SIGTERM, &err) == -ERR_STATE)
		loop_timer_set(s->signal_timer, RETRY_SIGNAL_MS, 0);
}

static void on_kill(void *arg)
{
	struct sandbox *s = arg;
	struct err err = ERR_INIT;
	if (container_kill(s->spec->name, &err) < 0)
		log_warn("container.kill name=%s error=\"%s\"", s->spec->name, err.msg);
	if (s->kills++ >= KILLS_PATIENT &&
	    s->pid_watch) /* the container is gone, the runtime does not notice */
		kill(s->pid, SIGKILL);
	/* Until it is seen to be gone. */
	loop_timer_set(s->kill_timer, RETRY_OUTPUT_MS, 0);
}

void sandbox_stop(struct sandbox *s, int64_t grace_ms)
{
	if (s->dead || !s->pid_watch)
		return;
	int64_t kill_at_ms = clock_monotonic_ns() / 1000000 + grace_ms;
	if (s->kill_at_ms && s->kill_at_ms <= kill_at_ms)
		return;
	bool first = !s->kill_at_ms;
	s->kill_at_ms = kill_at_ms;
	loop_timer_set(s->kill_timer, grace_ms, 0);
	if (first)
		on_signal_again(s);
}

static int watch(struct sandbox *s, struct err *err)
{
	s->pid_fd = pidfd_open(s->pid, 0);
	if (s->pid_fd < 0)
		return err_sys(err, errno, "cannot watch process %d", (int)s->pid);
	s->pid_watch = loop_fd_new(s->loop, s->pid_fd, LOOP_READ, on_process_end, s, err);
	if (!s->pid_watch)
		return -err->code;
	s->output_watch = loop_fd_new(s->loop, s->output_fd, LOOP_READ, on_output, s, err);
	return s->output_watch ? 0 : -err->code;
}

static int start(struct sandbox *s, struct err *err)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	s->output_fd = ends[0];
	CLEANUP(fd) int write_end = ends[1];
	fcntl(write_end, F_SETPIPE_SZ,
	      1 << 20); /* a burst of output does not stop the program; refusal is fine */
	int r = fd_set_nonblock(s->output_fd, err);
	if (r == 0)
		r = container_cleanup(s->spec->name, s->spec->folder, err);
	if (r == 0)
		r = container_prepare(s->spec, err);
	if (r == 0)
		r = container_spawn(s->spec, write_end, &s->pid, err);
	return r < 0 ? r : watch(s, err);
}

int sandbox_start(struct loop *l, const struct container_spec *spec, const struct sandbox_handlers *handlers,
		  struct sandbox **ret, struct err *err)
{
	struct sandbox *s = MEM_NEW(struct sandbox);
	s->loop = l;
	s->spec = spec;
	s->handlers = *handlers;
	s->pid_fd = s->output_fd = -1;
	s->output_timer = loop_timer_new(l, on_output_again, s);
	s->signal_timer = loop_timer_new(l, on_signal_again, s);
	s->kill_timer = loop_timer_new(l, on_kill, s);
	int r = start(s, err);
	if (r < 0) {
		struct err ignored = ERR_INIT;
		container_cleanup(spec->name, spec->folder, &ignored);
		if (s->pid)
			waitpid(s->pid, NULL, 0);
		sandbox_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void sandbox_free(struct sandbox *s)
{
	if (!s)
		return;
	loop_fd_free(s->pid_watch);
	loop_fd_free(s->output_watch);
	loop_timer_free(s->output_timer);
	loop_timer_free(s->signal_timer);
	loop_timer_free(s->kill_timer);
	fd_drop(&s->pid_fd);
	fd_drop(&s->output_fd);
	free(s);
}
