/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head's reservation (EASY backfill, Lifka 1995, in nodes instead of one pool): what runs is taken away
 * in the order of its expected ends until the head fits; that is its time, and those are its nodes. When the
 * known ends are not enough, what runs without a known end is taken away as well; then there is no time, and
 * others start only beside the head's nodes.
 *
 * What overtook the head does not count as ending, except by its own limit: otherwise a row of small items
 * would hold the head's place for ever, each of them shown as about to end.
 */
#include <stdlib.h>
#include "sched/sched_int.h"

static void claim_add(struct sched *s, struct sched_node *n)
{
	if (s->claim_count == s->claim_cap) {
		s->claim_cap = s->claim_cap ? s->claim_cap * 2 : 8;
		s->claims = mem_realloc(s->claims, s->claim_cap * sizeof(*s->claims));
	}
	s->claims[s->claim_count++] = (struct claim){.node = n};
}

void claim_taken(struct sched *s, const struct shape *sh, const struct slots *slots)
{
	for (size_t i = 0; i < slots->count; i++) {
		const struct sched_slot *slot = &slots->a[i];
		claim_add(s, slot->node);
		s->claims[s->claim_count - 1].taken =
		    (struct resources){sh->want.cpu_milli * slot->tasks, sh->want.memory_bytes * slot->tasks,
				       sh->want.gpu * slot->tasks};
	}
}

void reservation_clear(struct sched *s)
{
	for (size_t i = 0; i < s->claim_count; i++) {
		struct claim *c = &s->claims[i];
		c->node->is_reserved = false;
		node_give(s, c->node, &c->taken, 1);
	}
	s->claim_count = 0;
	s->head = NULL;
	s->head_start_ms = -1;
}

static void release(struct sched *s, struct sched_item *item)
{
	item->is_released = true;
	item_release(s, item);
}

static void restore_all(struct sched *s)
{
	for (size_t i = 0; i < s->running_count; i++) {
		if (!s->running[i]->is_released)
			continue;
		s->running[i]->is_released = false;
		item_occupy(s, s->running[i]);
	}
}

int64_t stopping_end(const struct sched *s, int64_t now_ms)
{
	int64_t last = now_ms;
	for (size_t i = 0; i < s->running_count && s->stopping_count; i++)
		if (s->running[i]->state == SCHED_STOPPING && now_ms + item_grace(s->running[i]) > last)
			last = now_ms + item_grace(s->running[i]);
	return last;
}

/* It started behind this head, while it was the head. */
static bool has_overtaken(const struct sched_item *item, const struct sched_item *head)
{
	return item->is_backfilled && item->started_pass >= head->head_since && !item_before(item, head);
}

/* The ends of what runs, earliest first: of what overtook the head by its limit, of the rest by expectation.
 */
struct ends {
	struct sched *s;
	size_t at, overtaker_at, overtaker_count;
	struct sched_item **overtakers;
};

static int64_t latest_end(const struct sched_item *item)
{
	return item->limit_ms && !item->is_permanent ? item->started_ms + item->limit_ms : SCHED_NEVER;
}

static int by_latest_end(const void *pa, const void *pb)
{
	int64_t a = latest_end(*(struct sched_item *const *)pa),
		b = latest_end(*(struct sched_item *const *)pb);
	return a < b ? -1 : a > b;
}

static void ends_begin(struct ends *e, struct sched *s, const struct sched_item *head)
{
	*e = (struct ends){.s = s};
	for (size_t i = 0; i < s->running_count; i++)
		e->overtaker_count += has_overtaken(s->running[i], head);
	if (!e->overtaker_count)
		return;
	e->overtakers = mem_alloc(e->overtaker_count * sizeof(struct sched_item *));
	e->overtaker_count = 0;
	for (size_t i = 0; i < s->running_count; i++)
		if (has_overtaken(s->running[i], head))
			e->overtakers[e->overtaker_count++] = s->running[i];
	qsort(e->overtakers, e->overtaker_count, sizeof(struct sched_item *), by_latest_end);
}

static struct sched_item *ends_next(struct ends *e, const struct sched_item *head, int64_t *ret_ms)
{
	struct sched *s = e->s;
	while (e->at < s->running_count &&
	       (s->running[e->at]->is_released || has_overtaken(s->running[e->at], head)))
		e->at++;
	int64_t a = e->at < s->running_count ? s->running[e->at]->end_ms : SCHED_NEVER,
		b = e->overtaker_at < e->overtaker_count ? latest_end(e->overtakers[e->overtaker_at])
							 : SCHED_NEVER;
	if (a == SCHED_NEVER && b == SCHED_NEVER)
		return NULL;
	*ret_ms = a <= b ? a : b;
	return a <= b ? s->running[e->at++] : e->overtakers[e->overtaker_at++];
}

/* What is being stopped ends first. Where the head fits is in the scratch, taken. */
static bool fit_by_known_ends(struct sched *s, const struct shape *sh, const struct sched_item *head,
			      int64_t now_ms)
{
	struct ends ends;
	struct sched_item *item;
	int64_t end_ms;
	bool fits = false;
	for (size_t i = 0; i < s->running_count && s->stopping_count; i++)
		if (s->running[i]->state == SCHED_STOPPING)
			release(s, s->running[i]);
	s->head_start_ms = stopping_end(s, now_ms);
	if (s->stopping_count && place(s, sh, &s->scratch))
		return true;
	ends_begin(&ends, s, head);
	while (!fits && (item = ends_next(&ends, head, &end_ms))) {
		if (item->is_released)
			continue;
		release(s, item);
		if (end_ms > s->head_start_ms)
			s->head_start_ms = end_ms;
		fits = place(s, sh, &s->scratch);
	}
	free(ends.overtakers);
	if (!fits)
		s->head_start_ms = -1;
	return fits;
}

static bool fit_by_unknown_ends(struct sched *s, const struct shape *sh, const struct sched_item *head,
				bool with_overtakers)
{
	for (size_t i = 0; i < s->running_count; i++) {
		struct sched_item *item = s->running[i];
		if (!item->is_released && !item->is_permanent &&
		    (with_overtakers || !has_overtaken(item, head)))
			release(s, item);
	}
	return place(s, sh, &s->scratch);
}

bool reserve(struct sched *s, struct sched_item *head, int64_t now_ms)
{
	struct shape sh;
	bool has_room = true, keeps_room = true;
	if (!item_shape(s, head, &sh))
		return false;
	if (!head->head_since)
		head->head_since = s->pass_number;
	if (!fit_by_known_ends(s, &sh, head, now_ms) && !fit_by_unknown_ends(s, &sh, head, false)) {
		keeps_room = false;
		has_room = fit_by_unknown_ends(s, &sh, head, true);
	}
	for (size_t i = 0; i < s->scratch.count && has_room; i++) {
		struct sched_node *n = s->scratch.a[i].node;
		n->beside = keeps_room ? n->free : (struct resources){-1, -1, -1};
	}
	if (has_room)
		unplace(s, &sh, &s->scratch);
	restore_all(s);
	for (size_t i = 0; i < s->scratch.count && has_room; i++) {
		struct sched_node *n = s->scratch.a[i].node;
		n->is_reserved = true;
		claim_add(s, n);
		node_update(s, n);
	}
	if (has_room)
		s->head = head;
	return has_room;
}

/* Of what preempts nothing is hidden: it is taken for good. */
void reservation_show(struct sched *s, bool is_shown)
{
	for (size_t i = 0; i < s->claim_count; i++) {
		struct claim *c = &s->claims[i];
		if (c->taken.cpu_milli || c->taken.memory_bytes || c->taken.gpu)
			continue;
		c->node->is_reserved = is_shown;
		node_update(s, c->node);
	}
}

static bool ends_in_time(const struct sched *s, int64_t limit_ms, int64_t now_ms)
{
	return limit_ms && s->head_start_ms >= 0 && now_ms + limit_ms <= s->head_start_ms;
}

static bool place_on_reserved(struct sched *s, const struct shape *sh, struct slots *ret)
{
	reservation_show(s, false);
	bool fits = place(s, sh, ret);
	reservation_show(s, true);
	return fits;
}

bool place_would_fit_behind(struct sched *s, const struct shape *sh, int64_t limit_ms, int64_t now_ms)
{
	bool fits = place(s, sh, &s->scratch) ||
		    (ends_in_time(s, limit_ms, now_ms) && place_on_reserved(s, sh, &s->scratch));
	if (fits)
		unplace(s, sh, &s->scratch);
	return fits;
}

bool place_behind(struct sched *s, const struct shape *sh, int64_t limit_ms, int64_t now_ms,
		  struct slots *ret)
{
	if (!place(s, sh, ret))
		return ends_in_time(s, limit_ms, now_ms) && place_on_reserved(s, sh, ret);
	for (size_t i = 0; i < ret->count; i++) {
		struct sched_node *n = ret->a[i].node;
		if (!n->is_reserved)
			continue;
		for (int64_t k = 0; k < ret->a[i].tasks; k++)
			resources_sub(&n->beside, &sh->want);
		node_update(s, n);
	}
	return true;
}
