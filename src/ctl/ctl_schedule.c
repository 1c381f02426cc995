/* SPDX-License-Identifier: Apache-2.0 */
/* From memory to a snapshot for sched, and from its decisions to moves and reasons; the status page's sums.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_int.h"

struct snapshot {
	struct sched_item *running, queued[SCHED_DEPTH];
	size_t running_count, running_cap, queued_count;
	struct ctl_job *jobs[SCHED_DEPTH];	   /* of queued[], or */
	struct ctl_service *services[SCHED_DEPTH]; /* this one */
	struct sched_decision decisions[SCHED_DEPTH];
};

static struct sched_item job_item(const struct ctl_job *cj)
{
	const struct job *job = cj->job;
	return (struct sched_item){.org = job->org,
				   .name = job->spec.name,
				   .want = job->spec.limits,
				   .priority = job->spec.priority,
				   .seq = job->seq};
}

static struct sched_item service_item(const struct ctl_service *cs)
{
	const struct service *s = cs->service;
	return (struct sched_item){.org = s->org,
				   .name = s->spec.name,
				   .want = s->spec.limits,
				   .priority = SCHED_PRIORITY_SERVICE,
				   .seq = s->seq,
				   .is_permanent = true};
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
	struct ctl_job *cj;
	struct ctl_service *cs;
	LIST_EACH(cj, &c->placed, place)
	{
		add_running(s, job_item(cj));
	}
	LIST_EACH(cs, &c->services_placed, place)
	{
		add_running(s, service_item(cs));
	}
	LIST_EACH(cs, &c->services_waiting, place)
	{
		if (s->queued_count == SCHED_DEPTH)
			return;
		s->services[s->queued_count] = cs;
		s->queued[s->queued_count++] = service_item(cs);
	}
	for (size_t i = CTL_PRIORITIES; i-- > 0;) {
		LIST_EACH(cj, &c->queue[i], place)
		{
			if (s->queued_count == SCHED_DEPTH)
				return;
			s->jobs[s->queued_count] = cj;
			s->queued[s->queued_count++] = job_item(cj);
		}
	}
}

static bool explain(char *reason, size_t reason_cap, char *message, size_t message_cap,
		    const struct sched_decision *d)
{
	if (strcmp(reason, d->reason) == 0 && strcmp(message, d->message) == 0)
		return false;
	snprintf(reason, reason_cap, "%s", d->reason);
	snprintf(message, message_cap, "%s", d->message);
	return true;
}

/* Why something waits is kept in memory only: it changes with everything that starts or ends. */
static void decision_apply(struct snapshot *s, size_t i)
{
	const struct sched_decision *d = &s->decisions[i];
	if (s->jobs[i]) {
		struct job *job = s->jobs[i]->job;
		if (d->start)
			job_start(s->jobs[i]);
		else if (explain(job->reason, sizeof(job->reason), job->message, sizeof(job->message), d))
			notify_job_soon(s->jobs[i]);
	} else {
		struct service *service = s->services[i]->service;
		if (d->start)
			service_start(s->services[i]);
		else if (explain(service->reason, sizeof(service->reason), service->message,
				 sizeof(service->message), d))
			notify_service_soon(s->services[i]);
	}
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
		decision_apply(s, i);
	free(s->running);
	free(s);
}

void ctl_status(struct ctl *c, const char *org, struct ctl_status *ret)
{
	struct ctl_job *cj;
	struct ctl_service *cs;
	const char *key;
	void *value;
	*ret = (struct ctl_status){0};
	c->config.backend->ops->capacity(c->config.backend, &ret->capacity);
	LIST_EACH(cj, &c->placed, place)
	{
		resources_add(&ret->used, &cj->job->spec.limits);
	}
	LIST_EACH(cs, &c->services_placed, place)
	{
		resources_add(&ret->used, &cs->service->spec.limits);
	}
	memcpy(ret->jobs_by_state, ctl_counts_of(c, org)->jobs, sizeof(ret->jobs_by_state));
	for (size_t i = 0; map_next(c->services, &i, &key, &value);) {
		const struct service *service = ((struct ctl_service *)value)->service;
		if (strcmp(service->org, org) == 0)
			ret->services_by_state[service->state]++;
	}
}
