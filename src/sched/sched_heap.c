/* SPDX-License-Identifier: Apache-2.0 */
/* A binary heap of pointers whose keys may change in place. */
#include <stdlib.h>
#include "sched/sched_int.h"

static size_t *slot_of(const struct heap *h, void *x)
{
	return (size_t *)(void *)((char *)x + h->slot_offset);
}

static void put(struct heap *h, size_t slot, void *x)
{
	h->a[slot] = x;
	*slot_of(h, x) = slot;
}

static void sift_up(struct heap *h, size_t slot, void *x)
{
	for (; slot > 1 && h->before(x, h->a[slot / 2]); slot /= 2)
		put(h, slot, h->a[slot / 2]);
	put(h, slot, x);
}

static void sift_down(struct heap *h, size_t slot, void *x)
{
	for (size_t child; (child = slot * 2) <= h->count; slot = child) {
		if (child < h->count && h->before(h->a[child + 1], h->a[child]))
			child++;
		if (!h->before(h->a[child], x))
			break;
		put(h, slot, h->a[child]);
	}
	put(h, slot, x);
}

void heap_init(struct heap *h, size_t slot_offset, bool (*before)(const void *, const void *))
{
	*h = (struct heap){.slot_offset = slot_offset, .before = before};
}

void heap_done(struct heap *h)
{
	free(h->a);
	h->a = NULL;
	h->count = h->cap = 0;
}

void heap_push(struct heap *h, void *x)
{
	if (h->count + 1 >= h->cap) {
		h->cap = h->cap ? h->cap * 2 : 8;
		h->a = mem_realloc(h->a, h->cap * sizeof(*h->a));
	}
	sift_up(h, ++h->count, x);
}

void heap_fix(struct heap *h, void *x)
{
	size_t slot = *slot_of(h, x);
	if (!slot)
		return;
	if (slot > 1 && h->before(x, h->a[slot / 2]))
		sift_up(h, slot, x);
	else
		sift_down(h, slot, x);
}

void heap_remove(struct heap *h, void *x)
{
	size_t slot = *slot_of(h, x);
	if (!slot)
		return;
	*slot_of(h, x) = 0;
	void *last = h->a[h->count--];
	if (last == x)
		return;
	put(h, slot, last);
	heap_fix(h, last);
}
