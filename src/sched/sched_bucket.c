/* SPDX-License-Identifier: Apache-2.0 */
/* The order of what waits: levels by priority, in each the organisations by share, in each its buckets by
 * submission. */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/buf.h"
#include "sched/sched_int.h"

static bool bucket_before(const void *pa, const void *pb)
{
	const struct sched_bucket *a = pa, *b = pb;
	return queue_first(&a->queue)->seq < queue_first(&b->queue)->seq;
}

static int64_t first_seq(const struct org_level *ol)
{
	const struct sched_bucket *b = heap_top(&ol->buckets);
	return b ? queue_first(&b->queue)->seq : SCHED_NEVER;
}

static bool org_level_before(const void *pa, const void *pb)
{
	const struct org_level *a = pa, *b = pb;
	if (a->is_urgent != b->is_urgent)
		return a->is_urgent;
	if (a->org->share != b->org->share)
		return a->org->share < b->org->share;
	int64_t sa = first_seq(a), sb = first_seq(b);
	return sa != sb ? sa < sb : strcmp(a->org->name, b->org->name) < 0;
}

bool item_before(const struct sched_item *a, const struct sched_item *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->seq < b->seq;
}

void levels_init(struct sched *s)
{
	for (size_t i = 0; i < SCHED_LEVELS; i++) {
		heap_init(&s->levels[i].orgs, offsetof(struct org_level, slot), org_level_before);
		list_init(&s->levels[i].overtaken);
	}
}

static size_t level_index(int64_t priority)
{
	return priority < 0 ? 0 : priority >= SCHED_LEVELS ? SCHED_LEVELS - 1 : (size_t)priority;
}

static struct org_level *org_level_get(struct sched_org *org, struct level *l)
{
	struct org_level *ol;
	LIST_EACH(ol, &org->levels, of_org)
	{
		if (ol->level == l)
			return ol;
	}
	ol = MEM_NEW(struct org_level);
	ol->org = org;
	ol->level = l;
	ol->mark = l->starts;
	heap_init(&ol->buckets, offsetof(struct sched_bucket, slot), bucket_before);
	list_append(&org->levels, &ol->of_org);
	list_init(&ol->overtaken);
	list_init(&ol->shut);
	list_append(&l->overtaken, &ol->overtaken);
	return ol;
}

static void org_level_free(struct org_level *ol)
{
	list_remove(&ol->of_org);
	list_remove(&ol->overtaken);
	heap_remove(&ol->level->orgs, ol);
	heap_done(&ol->buckets);
	free(ol);
}

/* In the level's order exactly when a bucket of it is. */
static void org_level_update(struct org_level *ol)
{
	if (!ol->buckets.count)
		heap_remove(&ol->level->orgs, ol);
	else if (ol->slot)
		heap_fix(&ol->level->orgs, ol);
	else
		heap_push(&ol->level->orgs, ol);
}

bool shape_mask(const struct sched *s, char *const *labels, uint64_t *ret)
{
	*ret = 0;
	for (size_t i = 0; labels && labels[i]; i++) {
		size_t k = 0;
		while (k < s->label_count && strcmp(s->labels[k], labels[i]) != 0)
			k++;
		if (k == s->label_count)
			return false;
		*ret |= UINT64_C(1) << k;
	}
	return true;
}

static void bucket_key(const struct sched_item *item, struct buf *ret)
{
	buf_printf(ret, "%s\n%s\n%d %lld %lld %lld %lld %lld %lld %d", item->org, item->user,
		   (int)item->purpose, (long long)item->priority, (long long)item->want.cpu_milli,
		   (long long)item->want.memory_bytes, (long long)item->want.gpu, (long long)item_tasks(item),
		   (long long)item->limit_ms, item->is_permanent);
	for (size_t i = 0; item->labels && item->labels[i]; i++)
		buf_printf(ret, "\n%s", item->labels[i]);
}

static void lower(int64_t *least, int64_t value)
{
	*least = value < *least ? value : *least;
}

static void least_want_lower(struct sched *s, const struct resources *want)
{
	lower(&s->least_want.cpu_milli, want->cpu_milli);
	lower(&s->least_want.memory_bytes, want->memory_bytes);
	lower(&s->least_want.gpu, want->gpu);
}

/* From time to time only: that it is too low costs a look at buckets that do not fit. */
void least_want_refresh(struct sched *s)
{
	const char *key;
	void *bucket;
	if (!s->least_is_old || s->pass_number % 64)
		return;
	s->least_is_old = false;
	s->least_want = (struct resources){INT64_MAX, INT64_MAX, INT64_MAX};
	for (size_t i = 0; map_next(s->buckets, &i, &key, &bucket);)
		least_want_lower(s, &queue_first(&((struct sched_bucket *)bucket)->queue)->want);
}

static struct sched_bucket *bucket_get(struct sched *s, const struct sched_item *item)
{
	CLEANUP(buf) struct buf key = BUF_INIT;
	bucket_key(item, &key);
	struct sched_bucket *b = map_get(s->buckets, key.data);
	if (b)
		return b;
	b = MEM_NEW(struct sched_bucket);
	b->level = org_level_get(item->owner->org, &s->levels[level_index(item->priority)]);
	b->level->count++;
	b->labels = item->labels ? strings_copy(item->labels) : NULL;
	b->has_unknown_label = !shape_mask(s, b->labels, &b->mask);
	list_init(&b->aside);
	b->key = mem_strdup(key.data);
	map_set(s->buckets, b->key, b);
	least_want_lower(s, &item->want);
	return b;
}

static void bucket_free(struct sched *s, struct sched_bucket *b)
{
	struct org_level *ol = b->level;
	list_remove(&b->aside);
	heap_remove(&ol->buckets, b);
	if (--ol->count)
		org_level_update(ol);
	else
		org_level_free(ol);
	map_delete(s->buckets, b->key);
	s->least_is_old = true;
	strings_free(b->labels);
	free(b->queue.a);
	free(b->key);
	free(b);
}

void bucket_join(struct sched *s, struct sched_item *item)
{
	struct sched_bucket *b = bucket_get(s, item);
	item->bucket = b;
	item->state = SCHED_WAITING;
	b->level->level->items++;
	b->level->org->waiting[item->purpose]++;
	queue_insert(&b->queue, item);
	if (!list_empty(&b->aside))
		return;
	if (b->slot)
		heap_fix(&b->level->buckets, b);
	else
		heap_push(&b->level->buckets, b);
	org_level_update(b->level);
}

void bucket_leave(struct sched *s, struct sched_item *item)
{
	struct sched_bucket *b = item->bucket;
	item->bucket = NULL;
	b->level->level->items--;
	b->level->org->waiting[item->purpose]--;
	queue_remove(&b->queue, item);
	if (!queue_count(&b->queue)) {
		bucket_free(s, b);
		return;
	}
	heap_fix(&b->level->buckets, b);
	heap_fix(&b->level->level->orgs, b->level);
}

void bucket_aside(struct sched_bucket *b)
{
	heap_remove(&b->level->buckets, b);
	org_level_update(b->level);
}

void bucket_back(struct sched_bucket *b)
{
	list_remove(&b->aside);
	heap_push(&b->level->buckets, b);
	org_level_update(b->level);
}

void org_level_aside(struct org_level *ol)
{
	heap_remove(&ol->level->orgs, ol);
}

void org_level_back(struct org_level *ol)
{
	list_remove(&ol->shut);
	org_level_update(ol);
}

struct sched_bucket *level_top(struct level *l)
{
	const struct org_level *ol = heap_top(&l->orgs);
	return ol ? heap_top(&ol->buckets) : NULL;
}

/* Fair share is not for ever: who was overtaken too often goes next. */
void level_age(struct level *l)
{
	struct org_level *ol;
	LIST_EACH(ol, &l->overtaken, overtaken)
	{
		if (l->starts - ol->mark < SCHED_OVERTAKEN_MAX)
			return;
		list_remove(&ol->overtaken);
		ol->is_urgent = true;
		heap_fix(&l->orgs, ol);
	}
}

void level_started(struct org_level *ol)
{
	ol->level->starts++;
	ol->mark = ol->level->starts;
	ol->is_urgent = false;
	list_remove(&ol->overtaken);
	list_append(&ol->level->overtaken, &ol->overtaken);
	heap_fix(&ol->level->orgs, ol);
}
