/* SPDX-License-Identifier: Apache-2.0 */
/* Timers. */
#include "loop/loop_int.h"

#include <stdlib.h>
#include "base/mem.h"

struct loop_timer {
	uv_timer_t uv;
	struct loop *loop;
	void (*fn)(void *arg);
	void *arg;
};

static void on_timer(uv_timer_t *uv)
{
	struct loop_timer *t = CONTAINER_OF(uv, struct loop_timer, uv);
	loop_note(t->loop);
	t->fn(t->arg);
}

struct loop_timer *loop_timer_new(struct loop *l, void (*fn)(void *arg), void *arg)
{
	struct loop_timer *t = MEM_NEW(struct loop_timer);
	t->loop = l;
	t->fn = fn;
	t->arg = arg;
	uv_timer_init(&l->uv, &t->uv);
	return t;
}

void loop_timer_set(struct loop_timer *t, int64_t after_ms, int64_t repeat_ms)
{
	/* libuv counts from when this turn began; a callback that took long would make the timer early. */
	uv_update_time(&t->loop->uv);
	uv_timer_start(&t->uv, on_timer, after_ms > 0 ? after_ms : 0, repeat_ms > 0 ? repeat_ms : 0);
}

void loop_timer_clear(struct loop_timer *t)
{
	uv_timer_stop(&t->uv);
}

static void on_close(uv_handle_t *h)
{
	free(CONTAINER_OF(h, struct loop_timer, uv));
}

void loop_timer_free(struct loop_timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->uv, on_close);
}
