/* SPDX-License-Identifier: Apache-2.0 */
/* Watches: who hears of changes, and how often of progress. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_int.h"

struct ctl_watch *ctl_watch_new(struct ctl *c, const char *org, ctl_watch_fn *fn, void *arg)
{
	struct ctl_watch *w = MEM_NEW(struct ctl_watch);
	snprintf(w->org, sizeof(w->org), "%s", org);
	w->fn = fn;
	w->arg = arg;
	w->ctl = c;
	list_append(&c->watches, &w->node);
	return w;
}

void ctl_watch_free(struct ctl_watch *w)
{
	if (!w)
		return;
	/* A watch may be freed from inside any watch's call. */
	if (w->ctl->watch_next == &w->node)
		w->ctl->watch_next = w->node.next;
	list_remove(&w->node);
	free(w);
}

static void notify(struct ctl *c, const char *org, const struct job *job, const struct service *service)
{
	for (struct list *at = c->watches.next; at != &c->watches; at = c->watch_next) {
		struct ctl_watch *w = LIST_ENTRY(at, struct ctl_watch, node);
		c->watch_next = at->next;
		if (strcmp(w->org, org) == 0)
			w->fn(w->arg, job, service);
	}
	c->watch_next = NULL;
}

void notify_job(struct ctl_job *cj)
{
	timer_clear(cj->ctl, &cj->notice);
	cj->notified_ms = ctl_now(cj->ctl);
	notify(cj->ctl, cj->job->org, cj->job, NULL);
}

void notify_job_soon(struct ctl_job *cj)
{
	int64_t due = cj->notified_ms + CTL_PROGRESS_MS;
	timer_set_earlier(cj->ctl, &cj->notice, due);
}

void notify_service(struct ctl_service *cs)
{
	timer_clear(cs->ctl, &cs->notice);
	cs->notified_ms = ctl_now(cs->ctl);
	service_refresh(cs);
	notify(cs->ctl, cs->service->org, NULL, cs->service);
}

void notify_service_soon(struct ctl_service *cs)
{
	int64_t due = cs->notified_ms + CTL_PROGRESS_MS;
	timer_set_earlier(cs->ctl, &cs->notice, due);
}
