/* SPDX-License-Identifier: Apache-2.0 */
/* The one event loop of cloudml-serving: epoll, timers, and jobs on worker threads.
 *
 * Everything but the 'run' of a job happens on the loop's thread, so nothing above it needs a lock. A file
 * descriptor may be an epoll descriptor itself (libmicrohttpd's). */
#ifndef SERVING_SERVER_LOOP_H
#define SERVING_SERVER_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/list.h"

struct server_loop;

/* Embedded in whoever wants events. Must stay until server_loop_remove. */
struct loop_source {
	int fd;
	uint32_t events; /* EPOLLIN … as registered */
	void (*on_event)(struct loop_source *s,
			 uint32_t events); /* may remove and free any source, itself included */
	bool removed;
};

/* One-shot. Must stay until it fired or was stopped. */
struct loop_timer {
	int64_t due_ns; /* of the monotonic clock */
	size_t place;	/* in the heap, 1 and up; 0 = not running */
	void (*on_timer)(struct loop_timer *t);
};

/* Work for a thread. Must stay until done was called. */
struct loop_job {
	struct list node;
	void (*run)(struct loop_job *j);  /* on a worker thread; may block */
	void (*done)(struct loop_job *j); /* afterwards on the loop's thread; may free j */
};

int server_loop_new(int workers, struct server_loop **ret, struct err *err);
void server_loop_free(struct server_loop *l); /* waits for jobs that run; their done is not called any more */
/* Until server_loop_stop. 'before_wait' (may be NULL) is called before each wait; it may shorten the wait by
 * returning a number of milliseconds >= 0 (-1: no wish). */
void server_loop_run(struct server_loop *l, int (*before_wait)(void *arg), void *arg);
void server_loop_stop(struct server_loop *l);

int server_loop_add(struct server_loop *l, struct loop_source *s, uint32_t events, struct err *err);
void server_loop_change(struct server_loop *l, struct loop_source *s, uint32_t events);
void server_loop_remove(struct server_loop *l,
			struct loop_source *s); /* does not close; safe when not added */

void server_loop_timer_start(struct server_loop *l, struct loop_timer *t, int64_t due_ns); /* restarts */
void server_loop_timer_stop(struct server_loop *l, struct loop_timer *t);

void server_loop_submit(struct server_loop *l, struct loop_job *j);
int server_loop_pending(const struct server_loop *l); /* jobs submitted whose done was not called yet */

#endif
