/* SPDX-License-Identifier: Apache-2.0 */
/* Wants and the scheduler's index in step; its decisions become starts, stops and reasons. The status page's
 * sums. */
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl_int.h"

void want_init(struct ctl_want *w, struct ctl *c, const struct ctl_want_ops *ops)
{
	*w = (struct ctl_want){.ctl = c, .ops = ops};
}

/* The scheduler keeps what it was told until it is told to forget it. */
static void item_take(struct ctl_want *w)
{
	memset(w->name, 0, sizeof(w->name));
	memcpy(w->name, w->item.name, strnlen(w->item.name, CORE_NAME_MAX));
	w->live = w->item;
	w->live.name = w->name;
	if (!w->live.user)
		w->live.user = "";
}

void want_move(struct ctl_want *w, enum want_place to)
{
	struct ctl *c = w->ctl;
	if (w->place == to)
		return;
	if (w->place == WANT_PLACED || to == WANT_WAITS)
		ctl_want_schedule(c);
	if (w->place != WANT_NOWHERE)
		sched_remove(c->sched, &w->live);
	w->place = to;
	if (to == WANT_NOWHERE)
		return;
	item_take(w);
	if (to == WANT_WAITS)
		sched_add(c->sched, &w->live);
	else
		sched_run(c->sched, &w->live, w->item.started_ms ? w->item.started_ms : ctl_now(c), NULL);
}

static struct ctl_want *want_of(struct sched_item *item)
{
	return CONTAINER_OF(item, struct ctl_want, live);
}

void want_refresh(struct ctl_want *w)
{
	struct sched_why why;
	if (w->place != WANT_WAITS)
		return;
	sched_why(w->ctl->sched, &w->live, ctl_now(w->ctl), &why);
	w->ops->explain(w, sched_why_word(why.code), why.message);
}

void ctl_nodes_update(struct ctl *c)
{
	struct resources capacity;
	struct backend *b = c->config.backend;
	struct err err = ERR_INIT;
	b->ops->capacity(b, &capacity);
	char *const *labels = b->ops->labels ? b->ops->labels(b) : NULL;
	if (sched_node_set(c->sched, CTL_NODE, &capacity, labels, &err) < 0)
		log_warn("schedule.node node=%s error=\"%s\"", CTL_NODE, err.msg);
}

static void decision_apply(struct ctl_want *w, enum sched_verb verb)
{
	if (verb == SCHED_START) {
		w->place = WANT_PLACED; /* counted from the decision on */
		w->ops->start(w);
	} else if (verb == SCHED_PREEMPT) {
		log_info("schedule.preempt org=%s name=%s", w->live.org, w->name);
		w->ops->preempt(w);
	} else {
		want_refresh(w);
	}
}

void ctl_schedule(struct ctl *c)
{
	const struct sched_decision *decisions;
	ctl_nodes_update(c);
	size_t count = sched_pass(c->sched, ctl_now(c), &decisions);
	for (size_t i = 0; i < count; i++)
		decision_apply(want_of(decisions[i].item), decisions[i].verb);
	int64_t next = sched_next_ms(c->sched);
	if (next >= 0)
		timer_set_earlier(c, &c->schedule, next);
}

void ctl_status(struct ctl *c, const char *org, struct ctl_status *ret)
{
	const char *key;
	void *value;
	*ret = (struct ctl_status){0};
	ctl_nodes_update(c);
	sched_capacity(c->sched, &ret->capacity);
	sched_used(c->sched, &ret->used);
	memcpy(ret->jobs_by_state, ctl_counts_of(c, org)->jobs, sizeof(ret->jobs_by_state));
	for (size_t i = 0; map_next(c->services, &i, &key, &value);) {
		const struct service *service = ((struct ctl_service *)value)->service;
		if (service_kind_of(service) == SERVICE_MODEL && strcmp(service->org, org) == 0)
			ret->services_by_state[service->state]++;
	}
}
