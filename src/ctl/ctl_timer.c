/* SPDX-License-Identifier: Apache-2.0 */
/* Times at which something becomes dirty: a binary heap. */
#include <assert.h>
#include "base/mem.h"
#include "ctl/ctl_int.h"

static void heap_put(struct ctl *c, size_t slot, struct ctl_timer *t)
{
	c->heap[slot] = t;
	t->slot = slot;
}

static void heap_up(struct ctl *c, size_t slot, struct ctl_timer *t)
{
	for (; slot > 1 && c->heap[slot / 2]->at_ms > t->at_ms; slot /= 2)
		heap_put(c, slot, c->heap[slot / 2]);
	heap_put(c, slot, t);
}

static void heap_down(struct ctl *c, size_t slot, struct ctl_timer *t)
{
	for (size_t child; (child = slot * 2) <= c->heap_count; slot = child) {
		if (child < c->heap_count && c->heap[child + 1]->at_ms < c->heap[child]->at_ms)
			child++;
		if (c->heap[child]->at_ms >= t->at_ms)
			break;
		heap_put(c, slot, c->heap[child]);
	}
	heap_put(c, slot, t);
}

void timer_clear(struct ctl *c, struct ctl_timer *t)
{
	size_t slot = t->slot;
	if (!slot)
		return;
	t->slot = 0;
	struct ctl_timer *last = c->heap[c->heap_count--];
	if (last == t)
		return;
	if (slot > 1 && c->heap[slot / 2]->at_ms > last->at_ms)
		heap_up(c, slot, last);
	else
		heap_down(c, slot, last);
}

void timer_set(struct ctl *c, struct ctl_timer *t, int64_t at_ms)
{
	timer_clear(c, t);
	t->at_ms = at_ms;
	if (++c->heap_count >= c->heap_cap) {
		c->heap_cap = c->heap_cap ? c->heap_cap * 2 : 64;
		c->heap = mem_realloc(c->heap, c->heap_cap * sizeof(*c->heap));
	}
	heap_up(c, c->heap_count, t);
}

void timer_set_earlier(struct ctl *c, struct ctl_timer *t, int64_t at_ms)
{
	if (!t->slot || t->at_ms > at_ms)
		timer_set(c, t, at_ms);
}

void timers_run(struct ctl *c, int64_t now_ms)
{
	while (c->heap_count && c->heap[1]->at_ms <= now_ms) {
		struct ctl_timer *t = c->heap[1];
		timer_clear(c, t);
		t->fn(t->arg);
	}
}
