/* SPDX-License-Identifier: Apache-2.0 */
/* Items in order of submission. New ones come at the end and leave at the front; what is removed in between
 * leaves a hole, and holes are taken out when they are more than half. */
#include <stdlib.h>
#include <string.h>
#include "sched/sched_int.h"

/* The first entry whose seq is not less. */
static size_t lower_bound(const struct queue *q, int64_t seq)
{
	size_t low = q->head, high = q->tail;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (q->a[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void compact(struct queue *q)
{
	size_t to = 0;
	for (size_t i = q->head; i < q->tail; i++)
		if (q->a[i].item)
			q->a[to++] = q->a[i];
	q->head = q->holes = 0;
	q->tail = to;
}

static void make_room(struct queue *q)
{
	if (q->tail < q->cap)
		return;
	if (q->head + q->holes > q->cap / 2) {
		compact(q);
		return;
	}
	q->cap = q->cap ? q->cap * 2 : 4;
	q->a = mem_realloc(q->a, q->cap * sizeof(*q->a));
}

void queue_insert(struct queue *q, struct sched_item *item)
{
	struct queue_entry e = {item->seq, item};
	if (q->tail == q->head || q->a[q->tail - 1].seq <= item->seq) {
		make_room(q);
		q->a[q->tail++] = e;
		return;
	}
	size_t at = lower_bound(q, item->seq);
	if (q->head && at - q->head < q->tail - at) { /* the front is nearer */
		memmove(&q->a[q->head - 1], &q->a[q->head], (at - q->head) * sizeof(*q->a));
		q->head--;
		q->a[at - 1] = e;
		return;
	}
	make_room(q);
	at = lower_bound(q, item->seq);
	memmove(&q->a[at + 1], &q->a[at], (q->tail - at) * sizeof(*q->a));
	q->tail++;
	q->a[at] = e;
}

void queue_remove(struct queue *q, const struct sched_item *item)
{
	size_t at = lower_bound(q, item->seq);
	while (q->a[at].item != item)
		at++;
	q->a[at].item = NULL;
	q->holes++;
	for (; q->head < q->tail && !q->a[q->head].item; q->head++)
		q->holes--;
	for (; q->tail > q->head && !q->a[q->tail - 1].item; q->tail--)
		q->holes--;
	if (q->head == q->tail)
		q->head = q->tail = 0;
	else if (q->holes > 64 && q->holes > queue_count(q))
		compact(q);
}
