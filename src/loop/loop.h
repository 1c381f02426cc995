/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of a program: timers, file descriptors, child processes, signals, a worker pool. Made on
 * libuv, which no other room includes.
 *
 * Ideas: one thread runs the loop and everything that calls back runs there. What blocks goes to the pool by
 * loop_work(). Another thread reaches the loop only by loop_post(). All handles are owned by the loop's user
 * and must be freed before loop_free(); each may be freed inside its own callback.
 */
#ifndef LOOP_LOOP_H
#define LOOP_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/err.h"

struct loop;
struct loop_timer;
struct loop_fd;
struct loop_child;
struct loop_signal;
struct loop_dir;

int loop_new(struct loop **ret, struct err *err); /* also makes this process ignore SIGPIPE */
/* Waits for works that are under way and runs what was posted. NULL is fine. */
void loop_free(struct loop *l);
void loop_run(struct loop *l);	/* until loop_stop */
void loop_stop(struct loop *l); /* from a callback on the loop's thread */
/* For tests: handles what is ready, waits up to timeout_ms for something; false on time-out. Housekeeping of
 * the loop's own may end the wait early with true, so call it until what is waited for is there. */
bool loop_run_once(struct loop *l, int timeout_ms);

/* Calls fn(arg) on the loop's thread soon. Thread-safe, never drops, keeps the order per calling thread. */
void loop_post(struct loop *l, void (*fn)(void *arg), void *arg);

/* Runs work(arg) on a pool thread, then done(arg) (may be NULL) on the loop's thread. Order between works is
 * not defined. */
void loop_work(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg);

/* Timer: not running until set. repeat_ms 0 = once. */
struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg);
void loop_timer_set(struct loop_timer *t, int64_t after_ms, int64_t repeat_ms);
void loop_timer_clear(struct loop_timer *t);
void loop_timer_free(struct loop_timer *t); /* NULL is fine; allowed inside its own callback */

/* Watches fd (borrowed, must outlive the watch) for EPOLLIN / EPOLLOUT given as LOOP_READ | LOOP_WRITE, and
 * makes it non-blocking. One watch per descriptor. After an error fn gets both events and the watch is off
 * until set again. NULL on failure. */
enum { LOOP_READ = 1, LOOP_WRITE = 2 };
struct loop_fd *loop_fd_new(struct loop *l, int fd, int events, void (*fn)(void *arg, int events), void *arg,
			    struct err *err);
void loop_fd_set(struct loop_fd *w, int events);
void loop_fd_free(struct loop_fd *w);

/* Child process. argv[0] is searched in our PATH when it has no '/'. argv and env NULL-terminated (env NULL =
 * ours); fds: fds[i] becomes descriptor i of the child, -1 = /dev/null, as are 0 to 2 when fd_count is
 * smaller; every other descriptor is closed. No signal is blocked or ignored in the child. on_exit gets the
 * exit status and 0, or -1 and the signal; it may be NULL. With detached the child is a session leader and
 * outlives us; freeing the handle never kills, and on_exit is not called after it. */
struct loop_spawn {
	char *const *argv;
	char *const *env;
	const char *cwd;
	const int *fds;
	size_t fd_count;
	bool detached;
	void (*on_exit)(void *arg, int exit_code, int signal_number);
	void *arg;
};
int loop_child_new(struct loop *l, const struct loop_spawn *spawn, struct loop_child **ret, struct err *err);
pid_t loop_child_pid(const struct loop_child *c);
void loop_child_kill(struct loop_child *c, int signal_number);
void loop_child_free(struct loop_child *c);

struct loop_signal *loop_signal_new(struct loop *l, int signal_number, void (*fn)(void *arg), void *arg);
void loop_signal_free(struct loop_signal *s);

/* inotify on one folder (not below): fn gets the changed entry's name after create, rename into, close after
 * write, or delete. Events may be joined; name is NULL when unknown and everything should be read again (also
 * when the folder itself is moved or deleted). NULL on failure. */
struct loop_dir *loop_dir_new(struct loop *l, const char *path, void (*fn)(void *arg, const char *name),
			      void *arg, struct err *err);
void loop_dir_free(struct loop_dir *d);

#endif
