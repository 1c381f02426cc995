/* SPDX-License-Identifier: Apache-2.0 */
/* The loop itself, posts from other threads and the worker pool. */
#include "loop/loop_int.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include "base/mem.h"

void loop_note(struct loop *l)
{
	l->handled++;
	if (l->once)
		uv_stop(
		    &l->uv); /* its flag makes the poll time-out zero and is cleared when uv_run returns */
}

int loop_uv_error(struct err *err, int status, const char *what)
{
	return err_sys(err, -status, "%s", what);
}

static struct post *take_posts(struct loop *l)
{
	pthread_mutex_lock(&l->posts_lock);
	struct post *first = l->posts;
	l->posts = NULL;
	l->posts_end = &l->posts;
	pthread_mutex_unlock(&l->posts_lock);
	return first;
}

static void run_posts(struct loop *l)
{
	for (struct post *p = take_posts(l); p;) {
		struct post *next = p->next;
		loop_note(l);
		p->fn(p->arg);
		free(p);
		p = next;
	}
}

static void on_wake(uv_async_t *wake)
{
	run_posts(wake->data);
}

static void on_guard(uv_timer_t *guard)
{
	struct loop *l = guard->data;
	l->timed_out = true;
}

int loop_new(struct loop **ret, struct err *err)
{
	struct loop *l = MEM_NEW(struct loop);
	int r = uv_loop_init(&l->uv);
	if (r < 0) {
		free(l);
		return loop_uv_error(err, r, "cannot make an event loop");
	}
	r = uv_async_init(&l->uv, &l->wake, on_wake);
	if (r < 0) {
		uv_loop_close(&l->uv);
		free(l);
		return loop_uv_error(err, r, "cannot make an event loop");
	}
	uv_timer_init(&l->uv, &l->guard);
	l->wake.data = l->guard.data = l;
	pthread_mutex_init(&l->posts_lock, NULL);
	l->posts_end = &l->posts;
	list_init(&l->orphans);
	loop_dirs_init(l);
	signal(SIGPIPE, SIG_IGN);
	*ret = l;
	return 0;
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	loop_dirs_done(l);
	loop_children_done(l);
	uv_close((uv_handle_t *)&l->guard, NULL);
	uv_unref((uv_handle_t *)&l->wake);
	do { /* until works are done and what they and others posted has run */
		uv_run(&l->uv, UV_RUN_DEFAULT);
		run_posts(l);
	} while (l->posts || uv_loop_alive(&l->uv));
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	int r = uv_loop_close(&l->uv);
	assert(r == 0); /* else a user's handle was not freed */
	pthread_mutex_destroy(&l->posts_lock);
	free(l);
}

void loop_run(struct loop *l)
{
	uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
	uv_stop(&l->uv);
}

bool loop_run_once(struct loop *l, int timeout_ms)
{
	uint64_t before = l->handled;
	l->once = true;
	l->timed_out = false;
	if (timeout_ms > 0) {
		/* Repeats, because uv_run may find it due before it polls, and would then block without end.
		 */
		uv_update_time(&l->uv);
		uv_timer_start(&l->guard, on_guard, timeout_ms, timeout_ms);
	}
	uv_run(&l->uv, timeout_ms > 0 ? UV_RUN_ONCE : UV_RUN_NOWAIT);
	if (timeout_ms > 0)
		uv_timer_stop(&l->guard);
	l->once = false;
	return l->handled != before || (timeout_ms > 0 && !l->timed_out);
}

void loop_post(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct post *p = MEM_NEW(struct post);
	p->fn = fn;
	p->arg = arg;
	pthread_mutex_lock(&l->posts_lock);
	*l->posts_end = p;
	l->posts_end = &p->next;
	/* Under the lock: once the loop's thread has seen the post it may free the loop. */
	uv_async_send(&l->wake);
	pthread_mutex_unlock(&l->posts_lock);
}

struct work {
	uv_work_t uv;
	struct loop *loop;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static void on_work(uv_work_t *uv)
{
	struct work *w = CONTAINER_OF(uv, struct work, uv);
	w->work(w->arg);
}

static void on_work_done(uv_work_t *uv, int status)
{
	struct work *w = CONTAINER_OF(uv, struct work, uv);
	loop_note(w->loop);
	if (w->done)
		w->done(w->arg);
	free(w);
}

void loop_work(struct loop *l, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct work *w = MEM_NEW(struct work);
	w->loop = l;
	w->work = work;
	w->done = done;
	w->arg = arg;
	int r = uv_queue_work(&l->uv, &w->uv, on_work, on_work_done);
	assert(r == 0);
}
