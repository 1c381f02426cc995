/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's books against the scheduler: nothing here asks the scheduler what it should be. */
#include <stdlib.h>
#include <string.h>
#include "sim/cluster.h"

static int64_t tasks_of(const struct work *w)
{
	return w->item.tasks > 0 ? w->item.tasks : 1;
}

static void add_times(struct resources *sum, const struct resources *r, int64_t n)
{
	sum->cpu_milli += r->cpu_milli * n;
	sum->memory_bytes += r->memory_bytes * n;
	sum->gpu += r->gpu * n;
}

void cluster_used(const struct cluster *c, const char *org, enum purpose p, struct quota_limit *ret)
{
	*ret = (struct quota_limit){{0}, 0};
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++) {
		const struct work *w = &c->work[i];
		if (!w->runs || strcmp(w->item.org, org) != 0 || w->item.purpose != p)
			continue;
		add_times(&ret->most, &w->item.want, tasks_of(w));
		ret->count += tasks_of(w);
	}
}

/* 0 or greater: how far it is beyond the limit; -1 = within. */
static bool is_beyond(const struct quota_limit *limit, const struct quota_limit *used)
{
	return (limit->most.cpu_milli >= 0 && used->most.cpu_milli > limit->most.cpu_milli) ||
	       (limit->most.memory_bytes >= 0 && used->most.memory_bytes > limit->most.memory_bytes) ||
	       (limit->most.gpu >= 0 && used->most.gpu > limit->most.gpu) ||
	       (limit->count >= 0 && used->count > limit->count);
}

static int org_index(const struct cluster *c, const char *org)
{
	for (int i = 0; i < c->o.orgs; i++)
		if (strcmp(cluster_org(i), org) == 0)
			return i;
	abort();
}

static int64_t user_running(const struct cluster *c, const struct work *like)
{
	int64_t n = 0;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		n += c->work[i].runs && strcmp(c->work[i].item.org, like->item.org) == 0 &&
		     strcmp(c->work[i].item.user, like->item.user) == 0;
	return n;
}

void cluster_check_start(struct cluster *c, const struct work *w)
{
	struct quota_limit used;
	const struct quota *q = &c->quotas[org_index(c, w->item.org)];
	int64_t tasks = 0;
	for (size_t i = 0; i < w->item.slot_count; i++)
		tasks += w->item.slots[i].tasks;
	if (tasks != tasks_of(w))
		cluster_break(c, "%s runs with %lld of %lld tasks", w->name, (long long)tasks,
			      (long long)tasks_of(w));
	if (w->item.not_before_ms > c->now_ms)
		cluster_break(c, "%s starts before its time", w->name);
	cluster_used(c, w->item.org, w->item.purpose, &used);
	if (!q->borrow && is_beyond(&q->purposes[w->item.purpose], &used))
		cluster_break(c, "%s started beyond the quota of %s", w->name, w->item.org);
	if (q->user_running >= 0 && user_running(c, w) > q->user_running)
		cluster_break(c, "%s started beyond the limit of its user", w->name);
	if (w->promise_ms >= 0 && c->now_ms > w->promise_ms)
		cluster_break(c, "%s was promised %lld s", w->name, (long long)(w->promise_ms / SEC));
	if (w->bound_ms >= 0 && c->now_ms > w->bound_ms)
		cluster_break(c, "%s waited for more than what ran when it became the head (%lld s)", w->name,
			      (long long)(w->bound_ms / SEC));
}

/* Borrowed: its organisation is beyond its quota. Or it agreed to it, and something more important waits. */
void cluster_check_stop(struct cluster *c, const struct work *w)
{
	struct quota_limit used;
	bool has_greater = false;
	if (c->now_ms < w->item.started_ms + SCHED_STEADY_MS)
		cluster_break(c, "%s is stopped when it has only just started", w->name);
	cluster_used(c, w->item.org, w->item.purpose, &used);
	if (is_beyond(&c->quotas[org_index(c, w->item.org)].purposes[w->item.purpose], &used))
		return;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
		has_greater |=
		    c->work[i].is_here && !c->work[i].runs && c->work[i].item.priority > w->item.priority;
	if (!w->item.is_preemptible || !has_greater)
		cluster_break(c, "%s is stopped without a right", w->name);
}

static void check_nodes(struct cluster *c)
{
	for (int i = 0; i < c->o.nodes; i++) {
		const struct cluster_node *n = &c->nodes[i];
		struct resources used = {0};
		for (size_t k = 0; k < CLUSTER_WORK_MAX; k++) {
			const struct work *w = &c->work[k];
			for (size_t j = 0; j < w->item.slot_count && w->runs; j++) {
				const struct sched_slot *slot = &w->item.slots[j];
				if (strcmp(sched_node_name(slot->node), n->name) != 0)
					continue;
				add_times(&used, &w->item.want, slot->tasks);
				if (!n->is_up)
					cluster_break(c, "%s runs on %s, which is gone", w->name, n->name);
				if (w->item.labels && !n->labels[0])
					cluster_break(c, "%s runs on %s, which has not its label", w->name,
						      n->name);
			}
		}
		if (!resources_fit(&used, &n->capacity))
			cluster_break(c, "%s is filled beyond its capacity", n->name);
	}
}

static void check_books(struct cluster *c)
{
	struct quota_limit used, told[PURPOSE_COUNT];
	for (int i = 0; i < c->o.orgs; i++) {
		cluster_used(c, cluster_org(i), PURPOSE_TRAINING, &used);
		sched_quota_used(c->s, cluster_org(i), told);
		if (memcmp(&used, &told[PURPOSE_TRAINING], sizeof(used)) != 0)
			cluster_break(c, "the use of %s is told wrongly", cluster_org(i));
	}
	if (cluster_waiting(c) != sched_waiting(c->s))
		cluster_break(c, "%zu wait, %zu are told", cluster_waiting(c), sched_waiting(c->s));
}

static struct work *first_waiting(struct cluster *c)
{
	struct work *first = NULL;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++) {
		struct work *w = &c->work[i];
		if (w->is_here && !w->runs && w->item.state == SCHED_WAITING &&
		    (!first || w->item.priority > first->item.priority ||
		     (w->item.priority == first->item.priority && w->item.seq < first->item.seq)))
			first = w;
	}
	return first;
}

/* Where there is one order for all and nothing is lost, the first that waits is the head. */
static void check_head(struct cluster *c)
{
	struct sched_explanation e;
	struct work *head = first_waiting(c);
	bool is_simple = c->o.orgs == 1 && !c->o.quotas && !c->o.priorities && !c->o.losses && !c->o.later;
	if (!is_simple || !head)
		return;
	if (c->o.knowledge == KNOWS_NOTHING && head->bound_ms < 0) {
		for (size_t i = 0; i < CLUSTER_WORK_MAX; i++)
			if (c->work[i].runs && c->work[i].end_at_ms > head->bound_ms)
				head->bound_ms = c->work[i].end_at_ms;
	}
	if (c->o.knowledge != KNOWS_EXACTLY && c->o.knowledge != KNOWS_MOST)
		return;
	sched_explain(c->s, &head->item, c->now_ms, &e);
	if (e.position != 1)
		cluster_break(c, "%s is the first, and told to be number %lld", head->name,
			      (long long)e.position);
	if (!e.is_latest)
		cluster_break(c, "%s is the head, and nothing is promised", head->name);
	if (head->promise_ms >= 0 && e.start_ms > head->promise_ms)
		cluster_break(c, "%s was promised %lld s, now %lld s", head->name,
			      (long long)(head->promise_ms / SEC), (long long)(e.start_ms / SEC));
	head->promise_ms = e.start_ms;
	c->promises++;
}

void cluster_check(struct cluster *c)
{
	check_nodes(c);
	check_books(c);
	check_head(c);
}

/* ---- what is said of something that waits ---- */

/* The most that is free on one node that has the label. */
static struct resources most_free(const struct cluster *c, const struct work *like)
{
	struct resources most = {0};
	for (int i = 0; i < c->o.nodes; i++) {
		struct resources have = c->nodes[i].capacity;
		if (!c->nodes[i].is_up || (like->item.labels && !c->nodes[i].labels[0]))
			continue;
		for (size_t k = 0; k < CLUSTER_WORK_MAX; k++)
			for (size_t j = 0; c->work[k].runs && j < c->work[k].item.slot_count; j++)
				if (!strcmp(sched_node_name(c->work[k].item.slots[j].node), c->nodes[i].name))
					add_times(&have, &c->work[k].item.want,
						  -c->work[k].item.slots[j].tasks);
		most.cpu_milli = have.cpu_milli > most.cpu_milli ? have.cpu_milli : most.cpu_milli;
		most.memory_bytes =
		    have.memory_bytes > most.memory_bytes ? have.memory_bytes : most.memory_bytes;
		most.gpu = have.gpu > most.gpu ? have.gpu : most.gpu;
	}
	return most;
}

static void check_short(struct cluster *c, const struct work *w, const struct sched_why *why)
{
	struct resources most = most_free(c, w);
	struct quota_limit used;
	const struct quota_limit *limit = &c->quotas[org_index(c, w->item.org)].purposes[w->item.purpose];
	cluster_used(c, w->item.org, w->item.purpose, &used);
	int64_t free_now = why->code == SCHED_WHY_CPU	   ? most.cpu_milli
			   : why->code == SCHED_WHY_MEMORY ? most.memory_bytes
			   : why->code == SCHED_WHY_GPU	   ? most.gpu
							   : -1;
	if (free_now >= 0 && !c->stops && tasks_of(w) == 1 && why->have != free_now)
		cluster_break(c, "%s: '%s', but %lld is free", w->name, why->message, (long long)free_now);
	if (free_now >= 0 && why->want <= why->have)
		cluster_break(c, "%s is short of what is there: '%s'", w->name, why->message);
	if (why->code == SCHED_WHY_QUOTA_CPU && limit->most.cpu_milli - used.most.cpu_milli > 0 &&
	    why->have != limit->most.cpu_milli - used.most.cpu_milli)
		cluster_break(c, "%s: '%s' is not what is left of the quota", w->name, why->message);
	if (why->code == SCHED_WHY_QUOTA_COUNT && limit->count - used.count > 0 &&
	    why->have != limit->count - used.count)
		cluster_break(c, "%s: '%s' is not what is left of the quota", w->name, why->message);
}

void cluster_check_explanation(struct cluster *c, struct work *w, const struct sched_explanation *e)
{
	if (!e->why.message[0])
		cluster_break(c, "%s waits without a reason", w->name);
	for (size_t i = 0; i < e->why.holder_count; i++) {
		const struct sched_item *h = e->why.holders[i];
		if (strcmp(h->org, w->item.org) != 0 ||
		    (h->state != SCHED_RUNNING && h->state != SCHED_STOPPING))
			cluster_break(c, "%s names a holder that is not its organisation's or does not run",
				      w->name);
	}
	if ((w->item.state == SCHED_WAITING) != (e->position > 0))
		cluster_break(c, "%s stands at %lld", w->name, (long long)e->position);
	if (e->start_ms >= 0 && e->start_ms < c->now_ms)
		cluster_break(c, "%s is expected in the past", w->name);
	check_short(c, w, &e->why);
}
