/* SPDX-License-Identifier: Apache-2.0 */
/* One pass: what is owed in order, then what borrows in order; what does not start is set aside. */
#include <string.h>
#include "sched/sched_int.h"

#define TRIES_MAX                                                                                            \
	16 /* items for which room could be neither made nor reserved, before the pass stops trying */
#define ROUNDS_MAX 8 /* until nothing overtakes any more */
#define TOLD_MAX 32  /* buckets of which a pass tells that they wait */

struct pass {
	struct sched *s;
	int64_t now_ms;
	bool is_borrowing, is_shut; /* is_shut: an organisation was passed by */
	size_t tests, tries, overtakers;
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

static bool may_lead(const struct sched_item *item)
{
	static const struct quota_limit nothing = {{0}, 0};
	const struct quota_limit *limit = &item->owner->org->quota.purposes[item->purpose];
	struct quota_limit needs = item_needs(item);
	return !limit_is_none(limit) && quota_fits(limit, &nothing, &needs, NULL);
}

static void quota_head(struct sched *s, struct sched_item *item)
{
	struct sched_org *org = item->owner->org;
	struct sched_item *running;
	if (org->pass[item->purpose].head || !may_lead(item))
		return;
	org->pass[item->purpose].head = item;
	LIST_EACH(running, &org->running, node)
	{
		if (running->purpose != item->purpose || item_before(running, item))
			continue;
		struct quota_limit needs = item_needs(running);
		quota_limit_add(&org->pass[item->purpose].behind, &needs, 1);
	}
	if (list_empty(&org->touched))
		list_append(&s->touched, &org->touched);
}

/* The first in the organisation's order that a pass would have tried, and that may lead its quota's queue. */
static struct sched_item *first_to_lead(const struct sched_org *org, int purpose)
{
	struct sched_item *first = NULL;
	struct org_level *ol;
	LIST_EACH(ol, &org->levels, of_org)
	{
		for (size_t i = 1; i <= ol->buckets.count; i++) {
			const struct sched_bucket *b = ol->buckets.a[i];
			struct sched_item *item = queue_first(&b->queue);
			bool leads = (int)item->purpose == purpose && !b->has_unknown_label &&
				     user_may_run(item) && may_lead(item);
			if (leads && (!first || item_before(item, first)))
				first = item;
			if (leads && i == 1) /* the heap's top: no other of this level is before it */
				break;
		}
	}
	return first;
}

void quota_heads_complete(struct sched_org *org)
{
	struct sched *s = org->sched;
	if (!s->is_cut || !org->is_limited || org->led_pass == s->pass_number)
		return;
	org->led_pass = s->pass_number;
	for (int p = 0; p < PURPOSE_COUNT; p++) {
		struct sched_item *first = org->pass[p].head ? NULL : first_to_lead(org, p);
		if (first)
			quota_head(s, first);
	}
}

/* Behind the first item that its quota holds back, others of the same quota start only beside what it needs:
 * a large one would wait for ever otherwise. */
enum quota_verdict quota_judge(const struct sched_item *item, int *ret_short)
{
	struct sched_org *org = item->owner->org;
	quota_heads_complete(org);
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
	item->is_borrowing =
	    !quota_fits(&org->quota.purposes[item->purpose], &org->used[item->purpose], &needs, NULL);
	item->is_backfilled = s->head != NULL;
	p->overtakers += item->is_backfilled;
	item_start(s, item, p->now_ms, &s->scratch);
	decision_add(s, item, SCHED_START);
}

static bool start_if_it_fits(struct pass *p, struct sched_item *item, const struct shape *sh)
{
	struct sched *s = p->s;
	bool fits =
	    s->head ? place_behind(s, sh, item->limit_ms, p->now_ms, &s->scratch) : place(s, sh, &s->scratch);
	if (fits)
		start(p, item);
	return fits;
}

/* Room is made for it, or kept. Its quota is kept for it as well: others of its organisation, behind it,
 * would take that otherwise. */
static void keep_room(struct pass *p, struct sched_item *item, enum quota_verdict v)
{
	struct sched *s = p->s;
	quota_head(s, item);
	if (s->head || p->tries >= TRIES_MAX)
		return;
	/* What may borrow stops nobody: it has its turn after all that is owed. */
	if (v != QUOTA_BORROWS && preempt_for(s, item, p->now_ms))
		return;
	bool may_reserve = v == QUOTA_OWED || (v == QUOTA_BORROWS && p->is_borrowing);
	p->tries += !may_reserve || !reserve(s, item, p->now_ms);
}

/* True when it has started. */
static bool try_item(struct pass *p, struct sched_item *item)
{
	struct shape sh = {.want = item->want, .tasks = item_tasks(item), .mask = item->bucket->mask};
	if (!user_may_run(item) || item->bucket->has_unknown_label)
		return false;
	enum quota_verdict v = quota_judge(item, NULL);
	if ((v == QUOTA_OWED || (v == QUOTA_BORROWS && p->is_borrowing)) && start_if_it_fits(p, item, &sh))
		return true;
	keep_room(p, item, v);
	return false;
}

/* ---- the sweeps ---- */

/* With a head, or when it was tried in vain often enough to have one, there is nothing left but to start; and
 * where no node has what any item wants, nothing can. The first that their quotas hold back are then found
 * when somebody asks (quota_heads_complete). */
static bool nothing_fits(const struct pass *p)
{
	const struct sched *s = p->s;
	struct resources most = s->tree.most[1];
	if (!s->head && p->tries < TRIES_MAX)
		return false;
	for (size_t i = 0; i < s->claim_count; i++)
		resources_most(&most, &s->claims[i].node->free);
	return !resources_fit(&s->least_want, &most);
}

/* All that waits of it is beyond its quotas, and looking at it would change nothing. */
static bool is_shut(const struct pass *p, const struct sched_org *org)
{
	struct quota_limit least = {p->s->least_want, 1};
	if ((p->is_borrowing && org->quota.borrow) || !org->is_limited ||
	    (!p->s->head && p->tries < TRIES_MAX))
		return false;
	for (int i = 0; i < PURPOSE_COUNT; i++)
		if (org->waiting[i] && quota_fits(&org->quota.purposes[i], &org->used[i], &least, NULL))
			return false;
	return true;
}

static void sweep_level(struct pass *p, struct level *l)
{
	struct sched_bucket *b;
	level_age(l);
	while (p->tests < SCHED_TESTS_MAX && !nothing_fits(p) && (b = level_top(l))) {
		if (is_shut(p, b->level->org)) {
			org_level_aside(b->level);
			list_append(&p->s->shut, &b->level->shut);
			p->is_shut = true;
			continue;
		}
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
		if (p->s->levels[i].orgs.count && !nothing_fits(p))
			sweep_level(p, &p->s->levels[i]);
}

/* Everything that its own quota holds back, and that may exceed it. */
static void back_those_that_borrow(struct pass *p)
{
	struct sched_bucket *b;
	struct org_level *ol;
	LIST_EACH(ol, &p->s->shut, shut)
	{
		if (ol->org->quota.borrow)
			org_level_back(ol);
	}
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
	s->again_ms = -1;
	s->is_cut = false;
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

/* Those that nobody looked at, for nothing can fit. */
static void tell_untested(struct sched *s, size_t told)
{
	for (size_t i = SCHED_LEVELS; i-- > 0;) {
		const struct level *l = &s->levels[i];
		for (size_t k = 1; k <= l->orgs.count; k++) {
			const struct org_level *ol = l->orgs.a[k];
			for (size_t j = 1; j <= ol->buckets.count; j++) {
				if (told++ >= TOLD_MAX)
					return;
				decision_add(
				    s, queue_first(&((const struct sched_bucket *)ol->buckets.a[j])->queue),
				    SCHED_WAIT);
			}
		}
	}
}

/* What overtakes moves the shares, and with them the order: another may be the head afterwards. */
static bool round_of(struct sched *s, int64_t now_ms, bool is_last)
{
	struct pass p = {.s = s, .now_ms = now_ms};
	struct sched_bucket *b;
	struct org_level *ol;
	size_t told = 0;
	begin(s, now_ms);
	least_want_refresh(s);
	sweep(&p);
	p.is_borrowing = true;
	back_those_that_borrow(&p);
	sweep(&p);
	bool is_settled = is_last || !p.overtakers;
	s->is_cut = nothing_fits(&p) || p.is_shut;
	LIST_EACH(ol, &s->shut, shut)
	{
		org_level_back(ol);
	}
	LIST_EACH(b, &s->aside, aside)
	{
		if (is_settled && told++ < TOLD_MAX)
			decision_add(s, queue_first(&b->queue), SCHED_WAIT);
	}
	if (is_settled)
		tell_untested(s, told);
	LIST_EACH(b, &s->aside, aside)
	{
		bucket_back(b);
	}
	return is_settled;
}

size_t sched_pass(struct sched *s, int64_t now_ms, const struct sched_decision **ret)
{
	s->decision_count = 0;
	for (int i = 1; !round_of(s, now_ms, i == ROUNDS_MAX); i++)
		;
	*ret = s->decisions;
	return s->decision_count;
}
