/* SPDX-License-Identifier: Apache-2.0 */
/* What waits, in the order in which a pass would look at it, were there always room: for positions and
 * forecasts. A walk changes nothing; the shares that grow on the way are its own. */
#include <stdlib.h>
#include <string.h>
#include "sched/sched_words.h"

struct bucket_cursor {
	const struct sched_bucket *bucket;
	size_t at, slot;
};
struct org_cursor {
	struct sched_org *org;
	bool is_urgent;
	struct heap buckets;
	size_t slot;
};
enum wait_class { WAIT_OWED, WAIT_BORROWS, WAIT_OVER, WAIT_STUCK };

struct walk {
	struct sched *s;
	const struct sched_item *like;
	enum wait_class wanted;
	bool (*fn)(void *arg, const struct sched_item *item);
	void *arg;
	bool is_over;
};

static enum wait_class class_of(const struct sched *s, const struct sched_item *item)
{
	uint64_t mask;
	if (!user_may_run(item) || !shape_mask(s, item->labels, &mask))
		return WAIT_STUCK;
	if (item->claimed && item->claimed == s->pass_number)
		return WAIT_OWED;
	enum quota_verdict v = quota_judge(item, NULL);
	return v == QUOTA_OWED ? WAIT_OWED : v == QUOTA_BORROWS ? WAIT_BORROWS : WAIT_OVER;
}

/* What is held back by its own limits stands in a queue of its own. */
static bool is_in_queue(const struct walk *w, const struct sched_item *first)
{
	if (class_of(w->s, first) != w->wanted)
		return false;
	if (w->wanted == WAIT_OVER)
		return first->owner->org == w->like->owner->org && first->purpose == w->like->purpose;
	return w->wanted != WAIT_STUCK || first->owner == w->like->owner;
}

static int64_t cursor_seq(const struct bucket_cursor *c)
{
	return c->bucket->queue.a[c->at].seq;
}

static bool bucket_cursor_before(const void *pa, const void *pb)
{
	return cursor_seq(pa) < cursor_seq(pb);
}

static bool org_cursor_before(const void *pa, const void *pb)
{
	const struct org_cursor *a = pa, *b = pb;
	if (a->is_urgent != b->is_urgent)
		return a->is_urgent;
	if (a->org->walk_share != b->org->walk_share)
		return a->org->walk_share < b->org->walk_share;
	int64_t sa = cursor_seq(heap_top(&a->buckets)), sb = cursor_seq(heap_top(&b->buckets));
	return sa != sb ? sa < sb : strcmp(a->org->name, b->org->name) < 0;
}

/* One item further; false at the end of the bucket. */
static bool cursor_next(struct bucket_cursor *c)
{
	const struct queue *q = &c->bucket->queue;
	do
		c->at++;
	while (c->at < q->tail && !q->a[c->at].item);
	return c->at < q->tail;
}

static void step(struct walk *w, struct heap *orgs)
{
	struct org_cursor *oc = heap_top(orgs);
	struct bucket_cursor *bc = heap_top(&oc->buckets);
	const struct sched_item *item = bc->bucket->queue.a[bc->at].item;
	struct quota_limit needs = item_needs(item);
	if (!w->fn(w->arg, item)) {
		w->is_over = true;
		return;
	}
	resources_add(&oc->org->walk_used, &needs.most);
	oc->org->walk_share = org_share(oc->org, &oc->org->walk_used);
	oc->is_urgent = false;
	if (cursor_next(bc))
		heap_fix(&oc->buckets, bc);
	else
		heap_remove(&oc->buckets, bc);
	if (oc->buckets.count)
		heap_fix(orgs, oc);
	else
		heap_remove(orgs, oc);
}

static void walk_level(struct walk *w, const struct level *l)
{
	struct heap orgs;
	size_t bucket_count = 0, used = 0;
	heap_init(&orgs, offsetof(struct org_cursor, slot), org_cursor_before);
	for (size_t i = 1; i <= l->orgs.count; i++)
		bucket_count += ((const struct org_level *)l->orgs.a[i])->buckets.count;
	struct org_cursor *ocs = mem_alloc(l->orgs.count * sizeof(*ocs) + 1);
	struct bucket_cursor *bcs = mem_alloc(bucket_count * sizeof(*bcs) + 1);
	for (size_t i = 0; i < l->orgs.count; i++) {
		const struct org_level *ol = l->orgs.a[i + 1];
		ocs[i] = (struct org_cursor){.org = ol->org, .is_urgent = ol->is_urgent};
		heap_init(&ocs[i].buckets, offsetof(struct bucket_cursor, slot), bucket_cursor_before);
		for (size_t k = 1; k <= ol->buckets.count; k++) {
			const struct sched_bucket *b = ol->buckets.a[k];
			if (!is_in_queue(w, queue_first(&b->queue)))
				continue;
			bcs[used] = (struct bucket_cursor){.bucket = b, .at = b->queue.head};
			heap_push(&ocs[i].buckets, &bcs[used++]);
		}
		if (ocs[i].buckets.count)
			heap_push(&orgs, &ocs[i]);
	}
	while (!w->is_over && orgs.count)
		step(w, &orgs);
	for (size_t i = 0; i < l->orgs.count; i++)
		heap_done(&ocs[i].buckets);
	heap_done(&orgs);
	free(ocs);
	free(bcs);
}

static void walk_all(struct walk *w)
{
	for (size_t i = SCHED_LEVELS; i-- > 0 && !w->is_over;)
		if (w->s->levels[i].orgs.count)
			walk_level(w, &w->s->levels[i]);
}

void order_walk(struct sched *s, const struct sched_item *like,
		bool (*fn)(void *arg, const struct sched_item *item), void *arg)
{
	struct walk w = {.s = s, .like = like, .fn = fn, .arg = arg};
	enum wait_class own = class_of(s, like);
	const char *name;
	void *org;
	for (size_t i = 0; map_next(s->orgs, &i, &name, &org);) {
		((struct sched_org *)org)->walk_used = ((struct sched_org *)org)->used_all;
		((struct sched_org *)org)->walk_share = ((struct sched_org *)org)->share;
	}
	w.wanted = own == WAIT_BORROWS ? WAIT_OWED : own;
	walk_all(&w);
	if (own != WAIT_BORROWS || w.is_over)
		return;
	w.wanted = WAIT_BORROWS;
	walk_all(&w);
}
