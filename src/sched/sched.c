/* SPDX-License-Identifier: Apache-2.0 */
/* The index: what comes, what runs, what goes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "sched/sched_int.h"

static const char *const basis_words[] = {
#define WORD(code, word) word,
    SCHED_BASIS_TABLE(WORD)
#undef WORD
};
static const char *const why_words[] = {
#define WORD(code, word) word,
    SCHED_WHY_TABLE(WORD)
#undef WORD
};

const char *sched_basis_word(enum sched_basis b)
{
	return basis_words[b];
}

const char *sched_why_word(enum sched_why_code c)
{
	return why_words[c];
}

static bool later_before(const void *pa, const void *pb)
{
	const struct sched_item *a = pa, *b = pb;
	return a->not_before_ms != b->not_before_ms ? a->not_before_ms < b->not_before_ms : a->seq < b->seq;
}

struct sched *sched_new(void)
{
	struct sched *s = MEM_NEW(struct sched);
	s->again_ms = s->head_start_ms = -1;
	s->least_want = (struct resources){INT64_MAX, INT64_MAX, INT64_MAX};
	s->orgs = map_new(org_free);
	s->buckets = map_new(NULL);
	s->node_map = map_new(NULL);
	levels_init(s);
	heap_init(&s->later, offsetof(struct sched_item, later_slot), later_before);
	list_init(&s->aside);
	list_init(&s->touched);
	list_init(&s->shut);
	tree_rebuild(s);
	return s;
}

void sched_free(struct sched *s)
{
	const char *key;
	void *bucket;
	if (!s)
		return;
	for (size_t i = 0; i < s->running_count; i++)
		if (s->running[i]->slots != &s->running[i]->slot)
			free(s->running[i]->slots);
	for (size_t i = 0; map_next(s->buckets, &i, &key, &bucket);) {
		struct sched_bucket *b = bucket;
		for (size_t left = queue_count(&b->queue); left > 0; left--) /* with the last one it goes */
			bucket_leave(s, queue_first(&b->queue));
	}
	for (size_t i = 0; i < SCHED_LEVELS; i++)
		heap_done(&s->levels[i].orgs);
	heap_done(&s->later);
	nodes_free(s);
	map_free(s->buckets);
	map_free(s->node_map);
	map_free(s->orgs);
	for (size_t i = 0; i < s->label_count; i++)
		free(s->labels[i]);
	free(s->running);
	free(s->claims);
	free(s->decisions);
	free(s->scratch.a);
	free(s);
}

void sched_capacity(const struct sched *s, struct resources *ret)
{
	*ret = s->capacity;
}

void sched_used(const struct sched *s, struct resources *ret)
{
	*ret = s->used;
}

size_t sched_waiting(const struct sched *s)
{
	return s->waiting;
}

int64_t sched_next_ms(const struct sched *s)
{
	const struct sched_item *item = heap_top(&s->later);
	if (!item || (s->again_ms >= 0 && s->again_ms < item->not_before_ms))
		return s->again_ms;
	return item->not_before_ms;
}

void sched_quota_set(struct sched *s, const char *org, const struct quota *q)
{
	struct sched_org *o = org_get(s, org);
	bool is_limited = q->user_running != QUOTA_NONE;
	for (int p = 0; p < PURPOSE_COUNT; p++)
		is_limited |= !limit_is_none(&q->purposes[p]);
	s->limited_count += is_limited;
	s->limited_count -= o->is_limited;
	o->is_limited = is_limited;
	o->quota = *q;
	org_share_update(o);
}

const struct quota *sched_quota(struct sched *s, const char *org)
{
	return &org_get(s, org)->quota;
}

void sched_quota_used(struct sched *s, const char *org, struct quota_limit ret[PURPOSE_COUNT])
{
	memcpy(ret, org_get(s, org)->used, PURPOSE_COUNT * sizeof(*ret));
}

double sched_share(struct sched *s, const char *org)
{
	return org_get(s, org)->share;
}

/* ---- what runs, in order of its expected end ---- */

static bool ends_before(const struct sched_item *a, const struct sched_item *b)
{
	return a->end_ms != b->end_ms ? a->end_ms < b->end_ms : a->seq < b->seq;
}

static size_t running_find(const struct sched *s, const struct sched_item *item)
{
	size_t low = 0, high = s->running_count;
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (ends_before(s->running[mid], item))
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void running_insert(struct sched *s, struct sched_item *item)
{
	if (s->running_count == s->running_cap) {
		s->running_cap = s->running_cap ? s->running_cap * 2 : 64;
		s->running = mem_realloc(s->running, s->running_cap * sizeof(struct sched_item *));
	}
	size_t at = running_find(s, item);
	memmove(&s->running[at + 1], &s->running[at], (s->running_count - at) * sizeof(struct sched_item *));
	s->running[at] = item;
	s->running_count++;
}

static void running_remove(struct sched *s, const struct sched_item *item)
{
	size_t at = running_find(s, item);
	while (s->running[at] != item) /* several may end at once, with one seq */
		at++;
	s->running_count--;
	memmove(&s->running[at], &s->running[at + 1], (s->running_count - at) * sizeof(struct sched_item *));
}

/* ---- items ---- */

static int64_t expected_end(const struct sched_item *item)
{
	int64_t length = item->estimate_ms ? item->estimate_ms : item->limit_ms;
	return item->is_permanent || !length ? SCHED_NEVER : item->started_ms + length;
}

/* Its slots are taken already. */
void item_start(struct sched *s, struct sched_item *item, int64_t now_ms, const struct slots *slots)
{
	item->state = SCHED_RUNNING;
	item->started_ms = now_ms;
	item->started_pass = s->pass_number;
	item->end_ms = expected_end(item);
	item->slot_count = slots->count;
	item->slots = &item->slot;
	if (slots->count > 1)
		item->slots = mem_alloc(slots->count * sizeof(*item->slots));
	memcpy(item->slots, slots->a, slots->count * sizeof(*item->slots));
	list_append(&item->owner->org->running, &item->node);
	running_insert(s, item);
	s->preemptible_count += item->is_preemptible;
	org_use(item->owner->org, item, 1);
}

static void item_prepare(struct sched *s, struct sched_item *item)
{
	assert(item->state == SCHED_OUT);
	item->owner = user_get(org_get(s, item->org), item->user);
	item->bucket = NULL;
	item->later_slot = 0;
	item->is_backfilled = item->is_borrowing = item->is_released = false;
	item->claimed = item->head_since = 0;
	list_init(&item->node);
}

void sched_add(struct sched *s, struct sched_item *item)
{
	item_prepare(s, item);
	s->waiting++;
	if (item->not_before_ms > 0) {
		item->state = SCHED_LATER;
		heap_push(&s->later, item);
	} else {
		bucket_join(s, item);
	}
}

void sched_run(struct sched *s, struct sched_item *item, int64_t started_ms, const char *node)
{
	struct shape sh;
	struct sched_node *n = node ? map_get(s->node_map, node) : NULL;
	bool has_shape = item_shape(s, item, &sh);
	item_prepare(s, item);
	reservation_clear(s);
	s->scratch.count = 0;
	if (n || !has_shape || !place(s, &sh, &s->scratch)) {
		if (!n && s->node_count)
			n = s->nodes[0];
		if (n) {
			slots_add(&s->scratch, n, sh.tasks);
			node_take(s, n, &sh.want, sh.tasks);
		}
	}
	item_start(s, item, started_ms, &s->scratch);
}

void sched_remove(struct sched *s, struct sched_item *item)
{
	if (item->state == SCHED_OUT)
		return;
	if (s->head == item)
		reservation_clear(s);
	if (item->state == SCHED_LATER) {
		heap_remove(&s->later, item);
		s->waiting--;
	} else if (item->state == SCHED_WAITING) {
		if (item->owner->org->pass[item->purpose].head == item)
			item->owner->org->pass[item->purpose].head = NULL;
		bucket_leave(s, item);
		s->waiting--;
	} else {
		s->stopping_count -= item->state == SCHED_STOPPING;
		s->preemptible_count -= item->is_preemptible;
		running_remove(s, item);
		list_remove(&item->node);
		item_release(s, item);
		org_use(item->owner->org, item, -1);
		if (item->slots != &item->slot)
			free(item->slots);
		item->slots = NULL;
		item->slot_count = 0;
	}
	item->state = SCHED_OUT;
}
