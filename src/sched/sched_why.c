/* SPDX-License-Identifier: Apache-2.0 */
/* Why something waits: judged against what is free, reserved and used since the last pass. */
#include <string.h>
#include "sched/sched_int.h"
#include "sched/sched_words.h"

static const enum sched_why_code short_codes[] = {SCHED_WHY_GPU, SCHED_WHY_MEMORY, SCHED_WHY_CPU};
static const enum sched_why_code quota_codes[] = {SCHED_WHY_QUOTA_CPU, SCHED_WHY_QUOTA_MEMORY,
						  SCHED_WHY_QUOTA_GPU, SCHED_WHY_QUOTA_COUNT};

int64_t amount_of(const struct resources *r, enum resource_kind k)
{
	return k == KIND_GPU ? r->gpu : k == KIND_MEMORY ? r->memory_bytes : r->cpu_milli;
}

void nodes_measure(const struct sched *s, uint64_t mask, struct resources *ret_most,
		   struct resources *ret_sum)
{
	*ret_most = *ret_sum = (struct resources){0};
	for (size_t i = 0; i < s->node_count; i++) {
		const struct sched_node *n = s->nodes[i];
		struct resources u = node_usable(n);
		if (n->is_gone || (n->mask & mask) != mask)
			continue;
		for (int k = 0; k < KIND_COUNT; k++) {
			int64_t have = amount_of(&u, (enum resource_kind)k);
			if (have > amount_of(ret_most, (enum resource_kind)k))
				*amount_at(ret_most, (enum resource_kind)k) = have;
			if (have > 0)
				*amount_at(ret_sum, (enum resource_kind)k) += have;
		}
	}
}

/* ---- who holds it ---- */

static bool holds(const struct sched_item *r, const struct sched_item *item, const struct sched_why *w)
{
	switch (w->code) {
	case SCHED_WHY_CPU:
		return r->want.cpu_milli > 0;
	case SCHED_WHY_MEMORY:
		return r->want.memory_bytes > 0;
	case SCHED_WHY_GPU:
		return r->want.gpu > 0;
	case SCHED_WHY_NODES:
		return true;
	case SCHED_WHY_QUOTA_GPU:
		return r->owner->org == item->owner->org && r->purpose == item->purpose && r->want.gpu > 0;
	case SCHED_WHY_QUOTA_CPU:
	case SCHED_WHY_QUOTA_MEMORY:
	case SCHED_WHY_QUOTA_COUNT:
		return r->owner->org == item->owner->org && r->purpose == item->purpose;
	case SCHED_WHY_USER:
		return r->owner == item->owner && r->purpose == item->purpose;
	case SCHED_WHY_PREEMPTING:
		return r->state == SCHED_STOPPING;
	default:
		return false;
	}
}

static int64_t held_amount(const struct sched_item *r, enum sched_why_code code)
{
	int64_t n = item_tasks(r);
	return code == SCHED_WHY_CPU	  ? r->want.cpu_milli * n
	       : code == SCHED_WHY_MEMORY ? r->want.memory_bytes * n
	       : code == SCHED_WHY_GPU	  ? r->want.gpu * n
					  : n;
}

/* In the order in which they are expected to end. */
static void find_holders(const struct sched *s, const struct sched_item *item, struct sched_why *w)
{
	for (size_t i = 0; i < s->running_count; i++) {
		const struct sched_item *r = s->running[i];
		if (!holds(r, item, w))
			continue;
		if (r->owner->org != item->owner->org)
			w->held_by_others += held_amount(r, w->code);
		else if (w->holder_count < SCHED_HOLDERS_MAX)
			w->holders[w->holder_count++] = r;
		else
			w->holders_more++;
	}
}

/* ---- what is short ---- */

static void set(struct sched_why *w, enum sched_why_code code, int64_t want, int64_t have, int64_t limit)
{
	w->code = code;
	w->want = want;
	w->have = have < 0 ? 0 : have;
	w->limit = limit;
}

/* First what one task lacks, then what all of them lack, then that it is scattered. */
static void short_of_capacity(struct sched *s, const struct shape *sh, struct sched_why *w)
{
	struct resources most, sum;
	nodes_measure(s, sh->mask, &most, &sum);
	for (int k = 0; k < KIND_COUNT; k++) {
		int64_t want = amount_of(&sh->want, (enum resource_kind)k),
			have = amount_of(&most, (enum resource_kind)k);
		if (want > have) {
			set(w, short_codes[k], want, have, 0);
			return;
		}
	}
	for (int k = 0; k < KIND_COUNT; k++) {
		int64_t want = amount_of(&sh->want, (enum resource_kind)k) * sh->tasks,
			have = amount_of(&sum, (enum resource_kind)k);
		if (want > have) {
			set(w, short_codes[k], want, have, 0);
			return;
		}
	}
	set(w, SCHED_WHY_NODES, sh->tasks, place_most(s, sh), 0);
}

static void short_of_quota(const struct sched_item *item, int which, struct sched_why *w)
{
	const struct sched_org *org = item->owner->org;
	struct quota_limit needs = item_needs(item);
	int64_t limit = quota_limit_of(&org->quota.purposes[item->purpose], which);
	set(w, quota_codes[which], quota_limit_of(&needs, which),
	    limit - quota_limit_of(&org->used[item->purpose], which), limit);
	if (w->have >= w->want) /* kept for the first in the quota's queue */
		w->head = org->pass[item->purpose].head;
}

static bool places(struct sched *s, const struct shape *sh)
{
	if (!place(s, sh, &s->scratch))
		return false;
	unplace(s, sh, &s->scratch);
	return true;
}

static void judge(struct sched *s, const struct sched_item *item, struct sched_why *w)
{
	struct shape sh;
	int which = 0;
	if (item->state == SCHED_LATER) {
		w->code = SCHED_WHY_LATER;
	} else if (item->claimed && item->claimed == s->pass_number) {
		w->code = SCHED_WHY_PREEMPTING;
	} else if (!item_shape(s, item, &sh)) {
		w->code = SCHED_WHY_LABELS;
	} else if (!user_may_run(item)) {
		set(w, SCHED_WHY_USER, 1, 0, item->owner->org->quota.user_running);
	} else if (quota_judge(item, &which) == QUOTA_OVER) {
		short_of_quota(item, which, w);
	} else {
		bool behind = s->head && s->head != item, fits = !behind || places(s, &sh);
		reservation_show(s, false);
		if (!places(s, &sh))
			short_of_capacity(s, &sh, w);
		else if (fits)
			w->code = SCHED_WHY_TURN;
		else
			w->code = SCHED_WHY_RESERVED;
		reservation_show(s, true);
		if (w->code == SCHED_WHY_RESERVED)
			w->head = s->head;
	}
}

void sched_why(struct sched *s, const struct sched_item *item, int64_t now_ms, struct sched_why *ret)
{
	*ret = (struct sched_why){.code = SCHED_WHY_TURN};
	if (item->state != SCHED_LATER && item->state != SCHED_WAITING)
		return;
	judge(s, item, ret);
	find_holders(s, item, ret);
	if (ret->head && ret->head->owner->org != item->owner->org)
		ret->head = NULL;
	why_text(s, item, now_ms, ret);
}
