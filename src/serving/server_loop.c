/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop on epoll, see server_loop.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "serving/server_loop_int.h"

#define EVENTS_PER_WAIT 128
#define NS_PER_MS 1000000

static void wake_event(struct loop_source *s, uint32_t events)
{
	worker_pool_finish(CONTAINER_OF(s, struct worker_pool, wake));
}

int server_loop_new(int workers, struct server_loop **ret, struct err *err)
{
	struct server_loop *l = MEM_NEW(struct server_loop);
	int r;

	l->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (l->epoll < 0) {
		r = err_sys(err, errno, "cannot create the event loop");
		free(l);
		return r;
	}
	r = worker_pool_init(&l->pool, workers, err);
	if (r >= 0) {
		l->pool.wake.on_event = wake_event;
		r = server_loop_add(l, &l->pool.wake, EPOLLIN, err);
		if (r < 0)
			worker_pool_done(&l->pool);
	}
	if (r < 0) {
		close(l->epoll);
		free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void server_loop_free(struct server_loop *l)
{
	if (!l)
		return;
	worker_pool_done(&l->pool);
	close(l->epoll);
	free(l->heap);
	free(l);
}

int server_loop_add(struct server_loop *l, struct loop_source *s, uint32_t events, struct err *err)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	s->events = events;
	s->removed = false;
	if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, s->fd, &e) < 0)
		return err_sys(err, errno, "cannot watch a descriptor");
	return 0;
}

void server_loop_change(struct server_loop *l, struct loop_source *s, uint32_t events)
{
	struct epoll_event e = {.events = events, .data.ptr = s};

	if (s->events == events)
		return;
	s->events = events;
	epoll_ctl(l->epoll, EPOLL_CTL_MOD, s->fd, &e);
}

/* Events of this source that epoll already returned must not be delivered: the source may be gone by then. */
static void forget_events(struct server_loop *l, struct loop_source *s)
{
	for (int i = 0; i < l->ready_count; i++)
		if (l->ready[i].data.ptr == s)
			l->ready[i].data.ptr = NULL;
}

void server_loop_remove(struct server_loop *l, struct loop_source *s)
{
	epoll_ctl(l->epoll, EPOLL_CTL_DEL, s->fd, NULL);
	forget_events(l, s);
	s->removed = true;
}

static void heap_put(struct server_loop *l, size_t place, struct loop_timer *t)
{
	l->heap[place] = t;
	t->place = place;
}

static void heap_up(struct server_loop *l, struct loop_timer *t)
{
	size_t place = t->place;

	for (; place > 1 && l->heap[place / 2]->due_ns > t->due_ns; place /= 2)
		heap_put(l, place, l->heap[place / 2]);
	heap_put(l, place, t);
}

static void heap_down(struct server_loop *l, struct loop_timer *t)
{
	size_t place = t->place, child;

	for (; (child = place * 2) <= l->heap_count; place = child) {
		if (child < l->heap_count && l->heap[child + 1]->due_ns < l->heap[child]->due_ns)
			child++;
		if (l->heap[child]->due_ns >= t->due_ns)
			break;
		heap_put(l, place, l->heap[child]);
	}
	heap_put(l, place, t);
}

void server_loop_timer_start(struct server_loop *l, struct loop_timer *t, int64_t due_ns)
{
	server_loop_timer_stop(l, t);
	t->due_ns = due_ns;
	if (l->heap_count + 2 > l->heap_cap) {
		l->heap_cap = l->heap_cap ? l->heap_cap * 2 : 64;
		l->heap = mem_realloc(l->heap, l->heap_cap * sizeof(struct loop_timer *));
	}
	heap_put(l, ++l->heap_count, t);
	heap_up(l, t);
}

void server_loop_timer_stop(struct server_loop *l, struct loop_timer *t)
{
	struct loop_timer *last;

	if (t->place == 0)
		return;
	last = l->heap[l->heap_count--];
	if (last != t) {
		heap_put(l, t->place, last);
		heap_down(l, last);
		heap_up(l, last);
	}
	t->place = 0;
}

static void run_timers(struct server_loop *l)
{
	int64_t now = l->heap_count ? clock_monotonic_ns() : 0;

	while (l->heap_count > 0 && l->heap[1]->due_ns <= now) {
		struct loop_timer *t = l->heap[1];
		server_loop_timer_stop(l, t);
		t->on_timer(t);
	}
}

static int wait_ms(struct server_loop *l, int wish_ms)
{
	int64_t left_ms;

	if (l->heap_count == 0)
		return wish_ms;
	left_ms = (l->heap[1]->due_ns - clock_monotonic_ns() + NS_PER_MS - 1) / NS_PER_MS;
	if (left_ms < 0)
		left_ms = 0;
	if (left_ms > 60000)
		left_ms = 60000;
	return wish_ms >= 0 && wish_ms < left_ms ? wish_ms : (int)left_ms;
}

void server_loop_run(struct server_loop *l, int (*before_wait)(void *arg), void *arg)
{
	struct epoll_event ready[EVENTS_PER_WAIT];

	l->stopped = false;
	l->ready = ready;
	while (!l->stopped) {
		int wish = before_wait ? before_wait(arg) : -1;
		if (l->stopped)
			break;
		int n = epoll_wait(l->epoll, ready, EVENTS_PER_WAIT, wait_ms(l, wish));
		l->ready_count = n > 0 ? n : 0;
		for (int i = 0; i < l->ready_count; i++) {
			struct loop_source *s = ready[i].data.ptr;
			if (s)
				s->on_event(s, ready[i].events);
		}
		l->ready_count = 0;
		run_timers(l);
	}
	l->ready = NULL;
}

void server_loop_stop(struct server_loop *l)
{
	l->stopped = true;
}

void server_loop_submit(struct server_loop *l, struct loop_job *j)
{
	worker_pool_submit(&l->pool, j);
}

int server_loop_pending(const struct server_loop *l)
{
	return l->pool.pending;
}
