/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's events: what is submitted, starts, ends, is stopped, is lost. */
#include "sim/cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

static const char *const orgs[] = {"ada", "bob", "cyd", "dan"};

static int64_t below(struct cluster *c, int64_t n)
{
	return n > 0 ? (int64_t)rng_below(&c->rng, (uint64_t)n) : 0;
}

const char *cluster_org(int i)
{
	return orgs[i];
}

void cluster_break(struct cluster *c, const char *fmt, ...)
{
	va_list ap;
	if (c->broken[0])
		return;
	int len = snprintf(c->broken, sizeof(c->broken), "at %lld s: ", (long long)(c->now_ms / SEC));
	va_start(ap, fmt);
	vsnprintf(c->broken + len, sizeof(c->broken) - (size_t)len, fmt, ap);
	va_end(ap);
}

static void node_set(struct cluster *c, struct cluster_node *n)
{
	struct err err = ERR_INIT;
	n->is_up = true;
	if (sched_node_set(c->s, n->name, &n->capacity, n->labels[0] ? n->labels : NULL, &err) < 0)
		cluster_break(c, "node: %s", err.msg);
}

void cluster_change_quota(struct cluster *c)
{
	int i = (int)below(c, c->o.orgs);
	struct quota *q = &c->quotas[i];
	quota_init(q);
	q->borrow = c->o.borrowing && below(c, 2);
	if (below(c, 3))
		q->purposes[PURPOSE_TRAINING].most.cpu_milli = 1000 * (1 + below(c, 12));
	if (below(c, 3) == 0)
		q->purposes[PURPOSE_TRAINING].count = 1 + below(c, 6);
	if (below(c, 4) == 0)
		q->user_running = 1 + below(c, 4);
	q->weight = below(c, 3) ? QUOTA_WEIGHT : 50 + below(c, 200);
	sched_quota_set(c->s, orgs[i], q);
}

struct cluster *cluster_new(uint64_t seed, struct cluster_options o)
{
	static char ssd[] = "disk=ssd";
	struct cluster *c = MEM_NEW(struct cluster);
	c->o = o;
	c->s = sched_new();
	c->now_ms = 1000 * SEC;
	rng_seed(&c->rng, seed);
	for (int i = 0; i < o.nodes; i++) {
		struct cluster_node *n = &c->nodes[i];
		snprintf(n->name, sizeof(n->name), "n%d", i);
		n->capacity = o.whole_node ? (struct resources){4000, 8 * GIB, 0}
					   : (struct resources){1000 * (2 + below(c, 7)),
								GIB * (4 + below(c, 13)), i % 3 ? 0 : 2};
		n->labels[0] = !o.whole_node && below(c, 3) == 0 ? ssd : NULL;
		node_set(c, n);
	}
	for (int i = 0; i < o.orgs; i++)
		quota_init(&c->quotas[i]);
	for (int i = 0; i < o.orgs && o.quotas; i++)
		cluster_change_quota(c);
	return c;
}

void cluster_free(struct cluster *c)
{
	sched_free(c->s);
	free(c);
}

/* ---- submission ---- */

static struct work *work_free_slot(struct cluster *c)
{
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		if (!c->work[i].is_here)
			return &c->work[i];
	return NULL;
}

struct work *cluster_submit_like(struct cluster *c, int org, struct sched_item like, int64_t true_ms)
{
	struct work *w = work_free_slot(c);
	if (!w)
		return NULL;
	memset(w, 0, sizeof(*w));
	w->is_here = true;
	w->true_ms = true_ms;
	w->promise_ms = w->bound_ms = -1;
	w->item = like;
	w->item.org = orgs[org];
	w->item.seq = ++c->seq;
	w->item.name = w->name;
	snprintf(w->name, sizeof(w->name), "w%lld", (long long)w->item.seq);
	sched_add(c->s, &w->item);
	return w;
}

static void know(struct cluster *c, struct sched_item *item, int64_t true_ms)
{
	if (c->o.knowledge == KNOWS_EXACTLY)
		item->estimate_ms = true_ms;
	else if (c->o.knowledge == KNOWS_MOST)
		item->estimate_ms = true_ms + below(c, true_ms);
	else if (c->o.knowledge == KNOWS_ROUGHLY && below(c, 3))
		item->estimate_ms = 1 + below(c, 2 * true_ms);
	item->basis = item->estimate_ms ? SCHED_BASIS_HISTORY : SCHED_BASIS_NONE;
	if (c->o.knowledge != KNOWS_NOTHING && below(c, 2))
		item->limit_ms = true_ms + below(c, true_ms);
	if (item->limit_ms && item->estimate_ms > item->limit_ms)
		item->estimate_ms = item->limit_ms;
}

struct work *cluster_submit(struct cluster *c)
{
	static char ssd[] = "disk=ssd";
	static char *const labels[] = {ssd, NULL};
	static const char *const users[] = {"eve", "fay"};
	int64_t true_ms = SEC * (1 + below(c, 100));
	struct err err = ERR_INIT;
	struct sched_item item = {.user = users[below(c, 2)],
				  .purpose = PURPOSE_TRAINING,
				  .want = {500 * (1 + below(c, 8)), GIB * (1 + below(c, 6)), 0},
				  .priority = c->o.priorities ? 25 * below(c, 4) : 50,
				  .org = orgs[0]};
	if (c->o.whole_node)
		item.want = (struct resources){4000, GIB, 0};
	else if (below(c, 6) == 0)
		item.want.gpu = 1 + below(c, 2);
	if (c->o.gangs && below(c, 3) == 0)
		item.tasks = 2 + below(c, 3);
	if (!c->o.whole_node && c->o.gangs && below(c, 8) == 0)
		item.labels = labels;
	if (c->o.preemptible)
		item.is_preemptible = below(c, 3) == 0;
	if (c->o.later && below(c, 8) == 0)
		item.not_before_ms = c->now_ms + SEC * below(c, 60);
	know(c, &item, true_ms);
	int org = (int)below(c, c->o.orgs);
	item.org = orgs[org];
	return sched_check(c->s, &item, &err) < 0 ? NULL : cluster_submit_like(c, org, item, true_ms);
}

/* ---- a pass ---- */

static struct work *work_of(struct sched_item *item)
{
	return CONTAINER_OF(item, struct work, item);
}

static void started(struct cluster *c, struct work *w)
{
	if (w->runs)
		cluster_break(c, "%s starts while it runs", w->name);
	w->runs = true;
	w->starts++;
	w->end_at_ms = c->now_ms + w->true_ms;
	w->order = (int64_t)++c->starts;
	cluster_check_start(c, w);
}

static void stopped(struct cluster *c, struct work *w)
{
	if (!w->runs || w->stopped_at_ms)
		cluster_break(c, "%s is stopped while it does not run", w->name);
	cluster_check_stop(c, w);
	w->stopped_at_ms = c->now_ms + 1 + below(c, SCHED_GRACE_MS);
	w->stops++;
	c->stops++;
}

/* Those that are stopped are judged by what ran when the pass began. */
void cluster_pass(struct cluster *c)
{
	const struct sched_decision *d;
	size_t n = sched_pass(c->s, c->now_ms, &d);
	c->passes++;
	for (size_t i = 0; i < n; i++)
		if (d[i].verb == SCHED_PREEMPT)
			stopped(c, work_of(d[i].item));
	for (size_t i = 0; i < n; i++)
		if (d[i].verb == SCHED_START)
			started(c, work_of(d[i].item));
	cluster_check(c);
}

/* ---- ends ---- */

static void work_gone(struct cluster *c, struct work *w, bool comes_back)
{
	sched_remove(c->s, &w->item);
	w->runs = false;
	w->stopped_at_ms = 0;
	w->promise_ms = w->bound_ms = -1;
	w->is_here = comes_back;
	if (comes_back)
		sched_add(c->s, &w->item);
	else
		c->ends++;
}

static int64_t work_next(const struct work *w)
{
	if (!w->is_here)
		return INT64_MAX;
	if (!w->runs)
		return w->item.state == SCHED_LATER ? w->item.not_before_ms : INT64_MAX;
	return w->stopped_at_ms && w->stopped_at_ms < w->end_at_ms ? w->stopped_at_ms : w->end_at_ms;
}

bool cluster_wait(struct cluster *c)
{
	struct work *next = NULL;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		if (!next || work_next(&c->work[i]) < work_next(next))
			next = &c->work[i];
	if (work_next(next) == INT64_MAX)
		return false;
	if (work_next(next) > c->now_ms)
		c->now_ms = work_next(next);
	if (next->runs)
		work_gone(c, next, next->stopped_at_ms && next->stopped_at_ms < next->end_at_ms);
	return true;
}

static bool is_on(const struct work *w, const char *node)
{
	for (size_t i = 0; i < w->item.slot_count; i++)
		if (strcmp(sched_node_name(w->item.slots[i].node), node) == 0)
			return true;
	return false;
}

void cluster_lose_node(struct cluster *c)
{
	struct cluster_node *n = &c->nodes[below(c, c->o.nodes)];
	if (!n->is_up) {
		node_set(c, n);
		return;
	}
	n->is_up = false;
	sched_node_remove(c->s, n->name);
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		if (c->work[i].runs && is_on(&c->work[i], n->name))
			work_gone(c, &c->work[i], true);
}

void cluster_bring_back(struct cluster *c)
{
	for (int i = 0; i < c->o.nodes; i++)
		if (!c->nodes[i].is_up)
			node_set(c, &c->nodes[i]);
}

void cluster_cancel(struct cluster *c)
{
	struct work *w = &c->work[below(c, CLUSTER_WORK_MAX)];
	if (w->is_here)
		work_gone(c, w, false);
}

size_t cluster_waiting(const struct cluster *c)
{
	size_t n = 0;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		n += c->work[i].is_here && !c->work[i].runs;
	return n;
}

size_t cluster_waiting_of(const struct cluster *c, int org)
{
	size_t n = 0;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		n += c->work[i].is_here && !c->work[i].runs && strcmp(c->work[i].item.org, orgs[org]) == 0;
	return n;
}

size_t cluster_running(const struct cluster *c)
{
	size_t n = 0;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		n += c->work[i].runs;
	return n;
}

/* ---- explanations ---- */

static struct quota *quota_of(struct cluster *c, const char *org)
{
	for (int i = 0; i < c->o.orgs; i++)
		if (strcmp(orgs[i], org) == 0)
			return &c->quotas[i];
	return NULL;
}

/* What goes before the head takes promises back. */
static void raise_priority(struct cluster *c, struct work *w, int64_t priority)
{
	w->item.priority = priority;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		c->work[i].promise_ms = c->work[i].bound_ms = -1;
}

/* Does what the explanation proposes: then it must start in the next pass. */
static void change_apply(struct cluster *c, struct work *w, const struct sched_change *ch)
{
	struct quota *q = quota_of(c, w->item.org);
	sched_remove(c->s, &w->item);
	if (strcmp(ch->field, "cpu") == 0)
		w->item.want.cpu_milli = ch->value;
	else if (strcmp(ch->field, "memory") == 0)
		w->item.want.memory_bytes = ch->value;
	else if (strcmp(ch->field, "gpu") == 0)
		w->item.want.gpu = ch->value;
	else if (strcmp(ch->field, "tasks") == 0)
		w->item.tasks = ch->value;
	else if (strcmp(ch->field, "priority") == 0)
		raise_priority(c, w, ch->value);
	else if (strcmp(ch->field, "max_duration") == 0)
		w->item.limit_ms = ch->value;
	else if (strcmp(ch->field, "node_labels") == 0)
		w->item.labels = NULL;
	else if (strcmp(ch->field, "start_after") == 0)
		w->item.not_before_ms = 0;
	else if (strcmp(ch->field, "quota.training.cpu") == 0)
		q->purposes[PURPOSE_TRAINING].most.cpu_milli = ch->value;
	else if (strcmp(ch->field, "quota.training.count") == 0)
		q->purposes[PURPOSE_TRAINING].count = ch->value;
	else if (strcmp(ch->field, "quota.user_running") == 0)
		q->user_running = ch->value;
	else
		cluster_break(c, "a change of '%s'", ch->field);
	sched_quota_set(c->s, w->item.org, q);
	if (w->item.limit_ms && w->true_ms > w->item.limit_ms)
		w->true_ms = w->item.limit_ms; /* it is stopped then */
	if (w->item.estimate_ms > w->item.limit_ms && w->item.limit_ms)
		w->item.estimate_ms = w->item.limit_ms;
	sched_add(c->s, &w->item);
}

static struct work *some_waiting(struct cluster *c)
{
	size_t first = (size_t)below(c, CLUSTER_WORK_MAX);
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++) {
		struct work *w = &c->work[(first + i) % CLUSTER_WORK_MAX];
		if (w->is_here && !w->runs)
			return w;
	}
	return NULL;
}

void cluster_explain(struct cluster *c)
{
	struct sched_explanation e;
	struct work *w = some_waiting(c);
	if (!w)
		return;
	sched_explain(c->s, &w->item, c->now_ms, &e);
	c->explained++;
	cluster_check_explanation(c, w, &e);
	if (!e.change_count || c->broken[0])
		return;
	struct sched_change ch = e.changes[below(c, (int64_t)e.change_count)];
	change_apply(c, w, &ch);
	c->changes_tried++;
	cluster_pass(c);
	if (w->runs)
		return;
	struct sched_why now;
	sched_why(c->s, &w->item, c->now_ms, &now);
	cluster_break(c, "%s was told (%s) that with %s %lld it would start at once, and now: %s", w->name,
		      e.why.message, ch.field, (long long)ch.value, now.message);
}
