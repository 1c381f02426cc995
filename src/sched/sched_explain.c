/* SPDX-License-Identifier: Apache-2.0 */
/* The whole explanation: place in the order, expected start and its basis, what makes the room, what would
 * help. */
#include <stdlib.h>
#include <string.h>
#include "sched/sched_words.h"

#define FORECAST_ITEMS_MAX 2000 /* before an item; behind more nobody can tell */

struct line {
	const struct sched_item *item;
	const struct sched_item **before;
	size_t count;
	int64_t own;
	bool is_found;
};

static bool line_step(void *arg, const struct sched_item *item)
{
	struct line *l = arg;
	l->is_found = item == l->item;
	if (l->is_found || l->count == SCHED_POSITION_MAX)
		return false;
	if (l->count < FORECAST_ITEMS_MAX)
		l->before[l->count] = item;
	l->count++;
	l->own += item->owner->org == l->item->owner->org;
	return true;
}

/* Only what does not end by itself is in the way: were all the rest gone, it would still not fit. */
static bool is_blocked_for_good(struct sched *s, const struct sched_item *item)
{
	struct shape sh;
	if (!item_shape(s, item, &sh))
		return true;
	reservation_show(s, false);
	for (size_t i = 0; i < s->running_count; i++)
		if (!s->running[i]->is_permanent)
			item_release(s, s->running[i]);
	bool fits = place(s, &sh, &s->scratch);
	if (fits)
		unplace(s, &sh, &s->scratch);
	for (size_t i = 0; i < s->running_count; i++)
		if (!s->running[i]->is_permanent)
			item_occupy(s, s->running[i]);
	reservation_show(s, true);
	return !fits;
}

static bool is_about_capacity(enum sched_why_code c)
{
	return c == SCHED_WHY_CPU || c == SCHED_WHY_MEMORY || c == SCHED_WHY_GPU || c == SCHED_WHY_NODES;
}

static void expect_start(struct sched *s, const struct sched_item *item, int64_t now_ms, const struct line *l,
			 struct sched_explanation *ret)
{
	struct forecast f;
	ret->start_ms = ret->freed_ms = -1;
	if (ret->why.code == SCHED_WHY_LATER) {
		ret->start_ms = item->not_before_ms;
		return;
	}
	if (ret->why.code == SCHED_WHY_PREEMPTING) {
		ret->start_ms = stopping_end(s, now_ms);
		ret->basis = SCHED_BASIS_LIMIT;
		return;
	}
	if (!l->is_found || l->count >= FORECAST_ITEMS_MAX)
		return;
	l->before[l->count] = item;
	forecast(s, l->before, l->count + 1, now_ms, &f);
	ret->start_ms = f.start_ms;
	ret->basis = f.basis;
	ret->freed_ms = f.freed_ms;
	if (f.freed_by && f.freed_by->owner->org == item->owner->org)
		ret->freed_by = f.freed_by;
	ret->is_latest = item == s->head && s->head_start_ms >= 0 && ret->start_ms >= 0;
	if (ret->is_latest)
		ret->start_ms = s->head_start_ms;
}

void sched_explain(struct sched *s, const struct sched_item *item, int64_t now_ms,
		   struct sched_explanation *ret)
{
	struct line l = {.item = item};
	memset(ret, 0, sizeof(*ret));
	ret->start_ms = ret->freed_ms = -1;
	sched_why(s, item, now_ms, &ret->why);
	if (item->state != SCHED_WAITING && item->state != SCHED_LATER)
		return;
	l.before = mem_alloc((FORECAST_ITEMS_MAX + 1) * sizeof(struct sched_item *));
	if (item->state == SCHED_WAITING) {
		order_walk(s, item, line_step, &l);
		ret->position = (int64_t)l.count + 1;
		ret->position_is_least = !l.is_found;
		ret->ahead_own = l.own;
	}
	ret->is_borrowing = quota_judge(item, NULL) == QUOTA_BORROWS;
	ret->why.is_permanent = is_about_capacity(ret->why.code) && is_blocked_for_good(s, item);
	expect_start(s, item, now_ms, &l, ret);
	find_changes(s, item, now_ms, ret);
	free(l.before);
}
