/* SPDX-License-Identifier: Apache-2.0 */
/* From what waits and what is placed to a snapshot for sched, and from its decisions to starts and reasons;
 * the status page's sums. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_int.h"

struct snapshot {
	struct sched_item *running, queued[SCHED_DEPTH];
	size_t running_count, running_cap, queued_count;
	struct ctl_want *wants[SCHED_DEPTH];
	struct sched_decision decisions[SCHED_DEPTH];
};

void want_init(struct ctl_want *w, struct ctl *c, const struct ctl_want_ops *ops)
{
	*w = (struct ctl_want){.ctl = c, .ops = ops};
	list_init(&w->node);
}

/* In order of submission; what comes back from a retry is older than most. */
static void queue_insert(struct ctl_want *w)
{
	int64_t priority = w->item.priority;
	priority = priority < 0 ? 0 : priority >= CTL_PRIORITIES ? CTL_PRIORITIES - 1 : priority;
	struct list *queue = &w->ctl->waiting[priority], *at = queue->prev;
	while (at != queue && LIST_ENTRY(at, struct ctl_want, node)->item.seq > w->item.seq)
		at = at->prev;
	list_append(at->next, &w->node);
}

void want_move(struct ctl_want *w, enum want_place to)
{
	if (w->place == to)
		return;
	if (w->place == WANT_PLACED || to == WANT_WAITS)
		ctl_want_schedule(w->ctl);
	list_remove(&w->node);
	w->place = to;
	if (to == WANT_WAITS)
		queue_insert(w);
	else if (to == WANT_PLACED)
		list_append(&w->ctl->placed, &w->node);
}

static void add_running(struct snapshot *s, struct sched_item item)
{
	if (s->running_count == s->running_cap) {
		s->running_cap = s->running_cap ? s->running_cap * 2 : 64;
		s->running = mem_realloc(s->running, s->running_cap * sizeof(*s->running));
	}
	s->running[s->running_count++] = item;
}

static void snapshot_fill(struct ctl *c, struct snapshot *s)
{
	struct ctl_want *w;
	LIST_EACH(w, &c->placed, node)
	{
		add_running(s, w->item);
	}
	for (size_t i = CTL_PRIORITIES; i-- > 0;) {
		LIST_EACH(w, &c->waiting[i], node)
		{
			if (s->queued_count == SCHED_DEPTH)
				return;
			s->wants[s->queued_count] = w;
			s->queued[s->queued_count++] = w->item;
		}
	}
}

static void decision_apply(struct ctl_want *w, const struct sched_decision *d)
{
	if (!d->start) {
		w->ops->explain(w, d->reason, d->message);
		return;
	}
	want_move(w, WANT_PLACED); /* counted from the decision on */
	w->ops->start(w);
}

void ctl_schedule(struct ctl *c)
{
	struct snapshot *s = MEM_NEW(struct snapshot);
	struct sched_snapshot view = {0};
	c->config.backend->ops->capacity(c->config.backend, &view.capacity);
	snapshot_fill(c, s);
	view.running = s->running;
	view.running_count = s->running_count;
	view.queued = s->queued;
	view.queued_count = s->queued_count;
	sched_decide(&view, s->decisions);
	for (size_t i = 0; i < s->queued_count; i++)
		decision_apply(s->wants[i], &s->decisions[i]);
	free(s->running);
	free(s);
}

void ctl_status(struct ctl *c, const char *org, struct ctl_status *ret)
{
	struct ctl_want *w;
	const char *key;
	void *value;
	*ret = (struct ctl_status){0};
	c->config.backend->ops->capacity(c->config.backend, &ret->capacity);
	LIST_EACH(w, &c->placed, node)
	{
		resources_add(&ret->used, &w->item.want);
	}
	memcpy(ret->jobs_by_state, ctl_counts_of(c, org)->jobs, sizeof(ret->jobs_by_state));
	for (size_t i = 0; map_next(c->services, &i, &key, &value);) {
		const struct service *service = ((struct ctl_service *)value)->service;
		if (strcmp(service->org, org) == 0)
			ret->services_by_state[service->state]++;
	}
}
