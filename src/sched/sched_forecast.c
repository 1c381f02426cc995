/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When something will start: what runs ends as expected, what waits before it starts strictly in order. That
 * is what happens when nothing new comes, every estimate holds and nothing can be put in between; for the
 * head it is the time of its reservation. An end that nobody knows ends the forecast.
 */
#include <stdlib.h>
#include <string.h>
#include "sched/sched_words.h"

struct ending {
	int64_t end_ms;
	const struct sched_item *item;
	enum sched_basis basis;
	struct slots slots; /* of what started in the forecast; else the item's own */
	bool is_real;
	size_t slot;
};

struct oracle {
	struct sched *s;
	struct heap endings;
	const struct sched_item **ended; /* of what really runs: back into the account afterwards */
	size_t ended_count;
	int64_t now_ms;
	struct forecast *ret;
};

static bool ending_before(const void *pa, const void *pb)
{
	const struct ending *a = pa, *b = pb;
	return a->end_ms != b->end_ms ? a->end_ms < b->end_ms : a->item->seq < b->item->seq;
}

static void ending_add(struct oracle *o, const struct sched_item *item, int64_t started_ms, bool is_real,
		       const struct slots *slots)
{
	int64_t length = item->estimate_ms ? item->estimate_ms : item->limit_ms;
	struct ending *e = MEM_NEW(struct ending);
	e->item = item;
	e->is_real = is_real;
	e->basis = item->estimate_ms ? item->basis : SCHED_BASIS_LIMIT;
	e->end_ms = item->is_permanent || !length ? SCHED_NEVER : started_ms + length;
	if (item->state == SCHED_STOPPING && is_real) {
		e->end_ms = o->now_ms + item_grace(item);
		e->basis = SCHED_BASIS_LIMIT;
	}
	for (size_t i = 0; slots && i < slots->count; i++)
		slots_add(&e->slots, slots->a[i].node, slots->a[i].tasks);
	heap_push(&o->endings, e);
}

static void account(const struct sched_item *item, int sign)
{
	struct quota_limit needs = item_needs(item);
	quota_limit_add(&item->owner->org->used[item->purpose], &needs, sign);
	if (item->purpose == PURPOSE_TRAINING)
		item->owner->running += sign;
}

/* What is within its quota now keeps to it; what borrows already does not ask again. */
static bool may_start(const struct sched_item *item)
{
	const struct sched_org *org = item->owner->org;
	struct quota_limit needs = item_needs(item);
	return user_may_run(item) &&
	       (org->quota.borrow ||
		quota_fits(&org->quota.purposes[item->purpose], &org->used[item->purpose], &needs, NULL));
}

/* The next end; false when nobody knows it. */
static bool wait_for_end(struct oracle *o)
{
	struct ending *e = heap_top(&o->endings);
	if (!e || e->end_ms == SCHED_NEVER)
		return false;
	heap_remove(&o->endings, e);
	if (e->end_ms > o->now_ms)
		o->now_ms = e->end_ms;
	const struct sched_slot *a = e->is_real ? e->item->slots : e->slots.a;
	size_t count = e->is_real ? e->item->slot_count : e->slots.count;
	for (size_t i = 0; i < count; i++)
		node_give(o->s, a[i].node, &e->item->want, a[i].tasks);
	account(e->item, -1);
	if (e->is_real)
		o->ended[o->ended_count++] = e->item;
	if (e->basis > o->ret->basis)
		o->ret->basis = e->basis;
	o->ret->freed_by = e->item;
	o->ret->freed_ms = o->now_ms;
	free(e->slots.a);
	free(e);
	return true;
}

static bool start_one(struct oracle *o, const struct sched_item *item)
{
	struct shape sh;
	if (!item_shape(o->s, item, &sh))
		return false;
	while (!may_start(item) || !place(o->s, &sh, &o->s->scratch))
		if (!wait_for_end(o))
			return false;
	account(item, 1);
	ending_add(o, item, o->now_ms, false, &o->s->scratch);
	return true;
}

static void endings_free(struct oracle *o)
{
	for (size_t i = 0; i < o->ended_count; i++)
		account(o->ended[i], 1);
	free(o->ended);
	for (size_t i = 1; i <= o->endings.count; i++) {
		struct ending *e = o->endings.a[i];
		if (!e->is_real)
			account(e->item, -1);
		free(e->slots.a);
		free(e);
	}
	heap_done(&o->endings);
}

void forecast(struct sched *s, const struct sched_item *const *items, size_t count, int64_t now_ms,
	      struct forecast *ret)
{
	struct oracle o = {.s = s, .now_ms = now_ms, .ret = ret};
	struct resources *before = mem_alloc((s->node_count + 1) * sizeof(*before));
	bool is_known = true;
	*ret = (struct forecast){.start_ms = -1, .freed_ms = -1};
	o.ended = mem_alloc((s->running_count + 1) * sizeof(struct sched_item *));
	heap_init(&o.endings, offsetof(struct ending, slot), ending_before);
	reservation_show(s, false);
	for (size_t i = 0; i < s->claim_count; i++)
		node_give(s, s->claims[i].node, &s->claims[i].taken, 1);
	for (size_t i = 0; i < s->node_count; i++)
		before[i] = s->nodes[i]->free;
	for (size_t i = 0; i < s->running_count; i++)
		ending_add(&o, s->running[i], s->running[i]->started_ms, true, NULL);
	for (size_t i = 0; i < count && is_known; i++)
		is_known = start_one(&o, items[i]);
	if (is_known)
		ret->start_ms = o.now_ms;
	else
		*ret = (struct forecast){.start_ms = -1, .freed_ms = -1};
	endings_free(&o);
	for (size_t i = 0; i < s->node_count; i++)
		s->nodes[i]->free = before[i];
	tree_rebuild(s);
	for (size_t i = 0; i < s->claim_count; i++) {
		struct resources none = {0};
		resources_sub(&none, &s->claims[i].taken);
		node_give(s, s->claims[i].node, &none, 1);
	}
	reservation_show(s, true);
	free(before);
}
