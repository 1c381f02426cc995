/* SPDX-License-Identifier: Apache-2.0 */
/* One pass: what is owed in order, then what borrows in order; what does not start is set aside. */
#include <string.h>
#include "sched/sched_int.h"

#define TRIES_MAX                                                                                            \
	16 /* items for which room could be neither made nor reserved, before the pass stops trying */
#define TOLD_MAX 256 /* buckets of which a pass tells that they wait */

struct pass {
	struct sched *s;
	int64_t now_ms;
	bool is_borrowing;
	size_t tests, tries;
};

void decision_add(struct sched *s, struct sched_item *item, enum sched_verb verb)
{
	if (s->decision_count == s->decision_cap) {
		s->decision_cap = s->decision_cap ? s->decision_cap * 2 : 64;
		s->decisions = mem_realloc(s->decisions, s->decision_cap * sizeof(*s->decisions));
	}
	s->decisions[s->decision_count++] = (struct sched_decision){item, verb};
}

/* ---- quotas ---- */

/* Behind the first item that its quota holds back, others of the same quota start only beside what it needs:
 * a large one would wait for ever otherwise. */
enum quota_verdict quota_judge(const struct sched_item *item, int *ret_short)
{
	const struct sched_org *org = item->owner->org;
	const struct quota_limit *limit = &org->quota.purposes[item->purpose];
	const struct sched_item *head = org->pass[item->purpose].head;
	struct quota_limit needs = item_needs(item);
	bool fits = quota_fits(limit, &org->used[item->purpose], &needs, ret_short);
	if (fits && head && head != item) {
		struct quota_limit used = item_needs(head);
		quota_limit_add(&used, &org->pass[item->purpose].behind, 1);
		fits = quota_fits(limit, &used, &needs, ret_short);
	}
	if (fits)
		return QUOTA_OWED;
	/* What does not end by itself would never give back. */
	return org->quota.borrow && !item->is_permanent ? QUOTA_BORROWS : QUOTA_OVER;
}

static void quota_head(struct pass *p, struct sched_item *item)
{
	static const struct quota_limit nothing = {{0}, 0};
	struct sched_org *org = item->owner->org;
	struct quota_limit needs = item_needs(item);
	struct sched_item *running;
	if (org->pass[item->purpose].head ||
	    !quota_fits(&org->quota.purposes[item->purpose], &nothing, &needs, NULL))
		return;
	org->pass[item->purpose].head = item;
	LIST_EACH(running, &org->running, node)
	{
		if (running->purpose != item->purpose || item_before(running, item))
			continue;
		needs = item_needs(running);
		quota_limit_add(&org->pass[item->purpose].behind, &needs, 1);
	}
	if (list_empty(&org->touched))
		list_append(&p->s->touched, &org->touched);
}

bool user_may_run(const struct sched_item *item)
{
	int64_t most = item->owner->org->quota.user_running;
	return item->purpose != PURPOSE_TRAINING || most == QUOTA_NONE || item->owner->running < most;
}

/* ---- one item ---- */

static void start(struct pass *p, struct sched_item *item)
{
	struct sched *s = p->s;
	struct sched_org *org = item->owner->org;
	struct quota_limit needs = item_needs(item);
	level_started(item->bucket->level);
	if (org->pass[item->purpose].head == item)
		org->pass[item->purpose].head = NULL;
	else if (org->pass[item->purpose].head)
		quota_limit_add(&org->pass[item->purpose].behind, &needs, 1);
	bucket_leave(s, item);
	s->waiting--;
	item->is_backfilled = s->head != NULL;
	item_start(s, item, p->now_ms, &s->scratch);
	decision_add(s, item, SCHED_START);
}

/* True when it has started. */
static bool try_item(struct pass *p, struct sched_item *item)
{
	struct sched *s = p->s;
	struct shape sh = {.want = item->want, .tasks = item_tasks(item), .mask = item->bucket->mask};
	if (!user_may_run(item) || item->bucket->has_unknown_label)
		return false;
	bool is_owed = quota_judge(item, NULL) == QUOTA_OWED;
	if (!is_owed && !p->is_borrowing) {
		quota_head(p, item);
		if (!s->head && p->tries < TRIES_MAX)
			p->tries += !preempt_for(s, item, p->now_ms);
		return false;
	}
	if (s->head) {
		if (!place_behind(s, &sh, item->limit_ms, p->now_ms, &s->scratch))
			return false;
		start(p, item);
		return true;
	}
	if (place(s, &sh, &s->scratch)) {
		start(p, item);
		return true;
	}
	if (p->tries >= TRIES_MAX || (is_owed && preempt_for(s, item, p->now_ms)))
		return false;
	p->tries += !reserve(s, item, p->now_ms);
	return false;
}

/* ---- the sweeps ---- */

static void sweep_level(struct pass *p, struct level *l)
{
	struct sched_bucket *b;
	level_age(l);
	while (p->tests < SCHED_TESTS_MAX && (b = level_top(l))) {
		if (try_item(p, queue_first(&b->queue)))
			continue;
		p->tests++;
		bucket_aside(b);
		list_append(&p->s->aside, &b->aside);
	}
}

static void sweep(struct pass *p)
{
	for (size_t i = SCHED_LEVELS; i-- > 0;)
		if (p->s->levels[i].orgs.count)
			sweep_level(p, &p->s->levels[i]);
}

/* Everything that its own quota holds back, and that may exceed it. */
static void back_those_that_borrow(struct pass *p)
{
	struct sched_bucket *b;
	LIST_EACH(b, &p->s->aside, aside)
	{
		const struct sched_item *item = queue_first(&b->queue);
		if (item->claimed != p->s->pass_number && quota_judge(item, NULL) == QUOTA_BORROWS)
			bucket_back(b);
	}
}

static void begin(struct sched *s, int64_t now_ms)
{
	struct sched_org *org;
	struct sched_item *item;
	reservation_clear(s);
	s->decision_count = 0;
	s->pass_number++;
	LIST_EACH(org, &s->touched, touched)
	{
		list_remove(&org->touched);
		memset(org->pass, 0, sizeof(org->pass));
	}
	while ((item = heap_top(&s->later)) && item->not_before_ms <= now_ms) {
		heap_remove(&s->later, item);
		bucket_join(s, item);
	}
}

size_t sched_pass(struct sched *s, int64_t now_ms, const struct sched_decision **ret)
{
	struct pass p = {.s = s, .now_ms = now_ms};
	struct sched_bucket *b;
	size_t told = 0;
	begin(s, now_ms);
	sweep(&p);
	p.is_borrowing = true;
	back_those_that_borrow(&p);
	sweep(&p);
	LIST_EACH(b, &s->aside, aside)
	{
		bucket_back(b);
		if (told++ < TOLD_MAX)
			decision_add(s, queue_first(&b->queue), SCHED_WAIT);
	}
	*ret = s->decisions;
	return s->decision_count;
}
