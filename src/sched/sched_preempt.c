/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is stopped so that something within its quota can start: what others run beyond their quota, and what
 * agreed to be stopped for a higher priority. The least important first, of those the latest started, for it
 * has the least to lose; nobody is stopped in vain, and nobody for a need that is being met already.
 */
#include <stdlib.h>
#include "sched/sched_int.h"

struct hunt {
	struct sched *s;
	struct sched_item *item;
	struct shape shape;
	int64_t now_ms;
	bool is_owed; /* as it is: then it may take back what was borrowed */
	struct sched_item **victims;
	size_t count;
};

static struct quota_limit *used_of(struct sched_item *item)
{
	return &item->owner->org->used[item->purpose];
}

/* Takes a running item out of the account, or puts it back. */
static void spare(struct hunt *h, struct sched_item *v, bool is_spared)
{
	struct quota_limit needs = item_needs(v);
	v->is_released = !is_spared;
	quota_limit_add(used_of(v), &needs, is_spared ? 1 : -1);
	if (is_spared)
		item_occupy(h->s, v);
	else
		item_release(h->s, v);
}

static bool fits(struct hunt *h)
{
	return quota_judge(h->item, NULL) == QUOTA_OWED && place(h->s, &h->shape, &h->s->scratch);
}

/* Its organisation is beyond its quota, and it is what started beyond it; or that alone does not explain it,
 * for the quota was lowered since. */
static bool is_borrowed(struct sched_item *v)
{
	static const struct quota_limit nothing = {{0}, 0};
	const struct quota_limit *limit = &v->owner->org->quota.purposes[v->purpose];
	struct quota_limit used = *used_of(v);
	struct sched_item *other;
	if (quota_fits(limit, &nothing, &used, NULL))
		return false;
	if (v->is_borrowing)
		return true;
	LIST_EACH(other, &v->owner->org->running, node)
	{
		if (!other->is_borrowing || other->purpose != v->purpose || other->is_released)
			continue;
		struct quota_limit needs = item_needs(other);
		quota_limit_add(&used, &needs, -1);
	}
	return !quota_fits(limit, &nothing, &used, NULL);
}

/* What has only just started is left alone; the need is looked at again when it is no longer young. */
static bool is_young(const struct hunt *h, const struct sched_item *v)
{
	int64_t old_ms = v->started_ms + SCHED_STEADY_MS;
	if (h->now_ms >= old_ms)
		return false;
	if (h->s->again_ms < 0 || h->s->again_ms > old_ms)
		h->s->again_ms = old_ms;
	return true;
}

static bool may_stop(const struct hunt *h, struct sched_item *v)
{
	if (v->state != SCHED_RUNNING || v->is_released || v->is_permanent || is_young(h, v))
		return false;
	if (v->is_preemptible && v->priority < h->item->priority)
		return true;
	bool is_own = v->owner->org == h->item->owner->org && v->purpose == h->item->purpose;
	return h->is_owed && !is_own && is_borrowed(v);
}

static int dearer(const void *pa, const void *pb)
{
	const struct sched_item *a = *(struct sched_item *const *)pa, *b = *(struct sched_item *const *)pb;
	if (a->priority != b->priority)
		return a->priority < b->priority ? -1 : 1;
	if (a->started_ms != b->started_ms)
		return a->started_ms > b->started_ms ? -1 : 1;
	return a->seq > b->seq ? -1 : a->seq < b->seq;
}

static void gather(struct hunt *h)
{
	h->victims = mem_alloc((h->s->running_count + 1) * sizeof(struct sched_item *));
	for (size_t i = 0; i < h->s->running_count; i++)
		if (may_stop(h, h->s->running[i]))
			h->victims[h->count++] = h->s->running[i];
	qsort(h->victims, h->count, sizeof(*h->victims), dearer);
}

/* Stops one after the other until it fits; 'count' is then those that were needed for that. */
static bool stop_until_it_fits(struct hunt *h)
{
	size_t kept = 0;
	for (size_t i = 0; i < h->count; i++) {
		if (!may_stop(h, h->victims[i]))
			continue; /* its organisation is within its quota by now */
		h->victims[kept++] = h->victims[i];
		spare(h, h->victims[kept - 1], false);
		if (fits(h)) {
			h->count = kept;
			return true;
		}
	}
	h->count = kept;
	return false;
}

/* The dearest first: whoever is not needed after all goes on. It stays placed. */
static void spare_the_needless(struct hunt *h)
{
	for (size_t i = h->count; i-- > 0;) {
		unplace(h->s, &h->shape, &h->s->scratch);
		spare(h, h->victims[i], true);
		if (fits(h)) {
			h->victims[i] = NULL;
			continue;
		}
		spare(h, h->victims[i], false);
		fits(h); /* as before */
	}
}

static void release_stopping(struct hunt *h, bool is_spared)
{
	for (size_t i = 0; i < h->s->running_count && h->s->stopping_count; i++)
		if (h->s->running[i]->state == SCHED_STOPPING && h->s->running[i]->is_released == is_spared)
			spare(h, h->s->running[i], is_spared);
}

static void stop_victims(struct hunt *h)
{
	struct sched *s = h->s;
	for (size_t i = 0; i < h->count; i++) {
		struct sched_item *v = h->victims[i];
		if (!v)
			continue;
		spare(h, v, true); /* it holds what it has until it is gone */
		v->state = SCHED_STOPPING;
		s->stopping_count++;
		decision_add(s, v, SCHED_PREEMPT);
	}
}

int preempt_for(struct sched *s, struct sched_item *item, int64_t now_ms)
{
	struct hunt h = {.s = s, .item = item, .now_ms = now_ms};
	if (!s->stopping_count && !s->over_count && !s->preemptible_count)
		return 0;
	if (!item_shape(s, item, &h.shape))
		return 0;
	h.is_owed = quota_judge(item, NULL) == QUOTA_OWED;
	release_stopping(&h, false);
	bool has_room = s->stopping_count && fits(&h);
	if (!has_room) {
		gather(&h);
		has_room = stop_until_it_fits(&h);
		if (has_room)
			spare_the_needless(&h);
		else
			for (size_t i = 0; i < h.count; i++)
				spare(&h, h.victims[i], true);
	}
	if (has_room) {
		stop_victims(&h);
		claim_taken(s, &h.shape, &s->scratch);
		item->claimed = s->pass_number;
	}
	release_stopping(&h, true);
	free(h.victims);
	return has_room;
}
