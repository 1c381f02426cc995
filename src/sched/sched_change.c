/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the user could change so that it would start at once. Each change is tried: the item, with that one
 * thing different and in the same place of the order, is judged as a pass would judge it. What was before it
 * could not start and still cannot, so that nothing else has to be tried.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/unit.h"
#include "sched/sched_words.h"

#define MIB (INT64_C(1) << 20)
#define SEC_MS 1000
#define CPU_LEAST 10 /* thousandths: the least that a specification may ask for */
#define PRIORITY_MOST 100

struct trial {
	struct sched *s;
	const struct sched_item *item;
	int64_t now_ms;
	struct sched_explanation *ret;
};

/* Whether a pass comes to 'item' before it comes to the head. */
static bool goes_before_head(struct sched *s, const struct sched_item *original,
			     const struct sched_item *item, bool is_owed)
{
	if (!s->head || s->head == original)
		return true;
	bool head_is_owed = quota_judge(s->head, NULL) == QUOTA_OWED;
	if (is_owed != head_is_owed)
		return is_owed;
	return item->priority > s->head->priority;
}

static bool would_start(const struct trial *t, const struct sched_item *changed)
{
	struct sched *s = t->s;
	struct shape sh;
	struct sched_item item = *changed;
	if (!item_shape(s, &item, &sh) || !user_may_run(&item))
		return false;
	quota_heads_complete(item.owner->org);
	struct sched_item **quota_head = &item.owner->org->pass[item.purpose].head, *kept = *quota_head;
	if (kept == t->item)
		*quota_head = NULL; /* it is not kept back for itself */
	enum quota_verdict v = quota_judge(&item, NULL);
	*quota_head = kept;
	if (v == QUOTA_OVER)
		return false;
	bool is_free = goes_before_head(s, t->item, &item, v == QUOTA_OWED);
	if (is_free)
		reservation_show(s, false);
	bool fits =
	    is_free ? place(s, &sh, &s->scratch) : place_would_fit_behind(s, &sh, item.limit_ms, t->now_ms);
	if (is_free && fits)
		unplace(s, &sh, &s->scratch);
	if (is_free)
		reservation_show(s, true);
	return fits;
}

__attribute__((format(printf, 4, 5))) static void offer(const struct trial *t, const char *field,
							int64_t value, const char *fmt, ...)
{
	struct sched_explanation *r = t->ret;
	if (r->change_count == SCHED_CHANGES_MAX)
		return;
	struct sched_change *c = &r->changes[r->change_count++];
	va_list ap;
	c->field = field;
	c->value = value;
	va_start(ap, fmt);
	vsnprintf(c->text, sizeof(c->text), fmt, ap);
	va_end(ap);
}

/* A smaller request: what the nodes have free, or have beside the head. */
static void try_smaller(const struct trial *t)
{
	static const int64_t least[] = {[KIND_GPU] = 0, [KIND_MEMORY] = MIB, [KIND_CPU] = CPU_LEAST};
	struct resources most[2], sum;
	struct shape sh;
	if (!item_shape(t->s, t->item, &sh))
		return;
	nodes_measure(t->s, sh.mask, &most[0], &sum);
	reservation_show(t->s, false);
	nodes_measure(t->s, sh.mask, &most[1], &sum);
	reservation_show(t->s, true);
	for (int k = 0; k < KIND_COUNT; k++) {
		for (size_t i = 2; i-- > 0;) { /* the greater one first */
			struct sched_item changed = *t->item;
			int64_t value = amount_of(&most[i], (enum resource_kind)k);
			value = k == KIND_MEMORY ? value / MIB * MIB : value;
			char text[64];
			if (value >= amount_of(&changed.want, (enum resource_kind)k) || value < least[k])
				continue;
			*amount_at(&changed.want, (enum resource_kind)k) = value;
			if (!would_start(t, &changed))
				continue;
			offer(t, kind_word((enum resource_kind)k), value, "ask for %s at most",
			      kind_format((enum resource_kind)k, value, text));
			break;
		}
	}
}

static void try_fewer_tasks(const struct trial *t)
{
	struct sched_item changed = *t->item;
	struct shape sh;
	if (item_tasks(&changed) == 1 || !item_shape(t->s, &changed, &sh))
		return;
	changed.tasks = place_most(t->s, &sh);
	if (changed.tasks > 0 && changed.tasks < sh.tasks && would_start(t, &changed))
		offer(t, "tasks", changed.tasks, "ask for %lld tasks at most", (long long)changed.tasks);
}

static void try_time_limit(const struct trial *t)
{
	struct sched_item changed = *t->item;
	char text[32];
	if (t->s->head_start_ms < 0)
		return;
	changed.limit_ms = (t->s->head_start_ms - t->now_ms) / SEC_MS * SEC_MS;
	if (changed.limit_ms <= 0 || (t->item->limit_ms && changed.limit_ms >= t->item->limit_ms) ||
	    !would_start(t, &changed))
		return;
	unit_format_duration(changed.limit_ms, text);
	offer(t, "max_duration", changed.limit_ms,
	      "set max_duration to %s at most, so that it ends before '%s'", text,
	      t->ret->why.head ? t->ret->why.head->name : "what goes first");
}

static void try_priority(const struct trial *t)
{
	struct sched_item changed = *t->item;
	if (!t->s->head || t->s->head == t->item || t->s->head->priority >= PRIORITY_MOST)
		return;
	changed.priority = t->s->head->priority + 1;
	if (changed.priority > t->item->priority && would_start(t, &changed))
		offer(t, "priority", changed.priority, "raise the priority to %lld",
		      (long long)changed.priority);
}

static void try_any_node(const struct trial *t)
{
	struct sched_item changed = *t->item;
	if (!changed.labels || !changed.labels[0])
		return;
	changed.labels = NULL;
	if (would_start(t, &changed))
		offer(t, "node_labels", 0, "leave node_labels out");
}

static void try_now(const struct trial *t)
{
	if (t->item->state == SCHED_LATER && would_start(t, t->item))
		offer(t, "start_after", 0, "leave start_after out");
}

/* Were the limit raised, other users' work would come first. */
static bool others_are_limited(const struct sched_item *item)
{
	const struct sched_org *org = item->owner->org;
	const char *name;
	void *user;
	for (size_t i = 0; map_next(org->users, &i, &name, &user);)
		if (user != item->owner && ((struct sched_user *)user)->running >= org->quota.user_running)
			return true;
	return false;
}

/* Limits of the organisation, each raised by itself: that is for an administrator. */
static void try_quota(const struct trial *t)
{
	static const char *const fields[PURPOSE_COUNT][4] = {
	    {"quota.training.cpu", "quota.training.memory", "quota.training.gpu", "quota.training.count"},
	    {"quota.models.cpu", "quota.models.memory", "quota.models.gpu", "quota.models.count"},
	    {"quota.development.cpu", "quota.development.memory", "quota.development.gpu",
	     "quota.development.count"}};
	struct sched_org *org = t->item->owner->org;
	struct quota kept = org->quota;
	struct quota_limit needs = item_needs(t->item), *limit = &org->quota.purposes[t->item->purpose];
	int64_t *values[] = {&limit->most.cpu_milli, &limit->most.memory_bytes, &limit->most.gpu,
			     &limit->count};
	if (t->ret->ahead_own)
		return; /* those before it would take it */
	for (int i = 0; i < 4; i++) {
		int64_t value = quota_limit_of(&org->used[t->item->purpose], i) + quota_limit_of(&needs, i);
		if (*values[i] == QUOTA_NONE || *values[i] >= value)
			continue;
		*values[i] = value;
		if (would_start(t, t->item))
			offer(t, fields[t->item->purpose][i], value,
			      "an administrator raises the organisation's quota");
		org->quota = kept;
	}
	if (!user_may_run(t->item) && !others_are_limited(t->item)) {
		org->quota.user_running = t->item->owner->running + 1;
		if (would_start(t, t->item))
			offer(t, "quota.user_running", org->quota.user_running,
			      "an administrator lets one user run more jobs");
		org->quota = kept;
	}
}

void find_changes(struct sched *s, const struct sched_item *item, int64_t now_ms,
		  struct sched_explanation *ret)
{
	static void (*const trials[])(const struct trial *t) = {
	    try_now, try_smaller, try_fewer_tasks, try_time_limit, try_priority, try_any_node, try_quota};
	struct trial t = {.s = s, .item = item, .now_ms = now_ms, .ret = ret};
	if (ret->why.code == SCHED_WHY_PREEMPTING || ret->why.code == SCHED_WHY_TURN)
		return;							   /* it starts anyway */
	size_t count = item->state == SCHED_LATER ? 1 : ARRAY_LEN(trials); /* its time is the reason */
	for (size_t i = 0; i < count; i++)
		trials[i](&t);
}
