/* SPDX-License-Identifier: Apache-2.0 */
/* Reads of many: lists of jobs and services, events of one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "ctl/ctl_int.h"

#define EVENTS_MAX 1000

struct list_call {
	struct ctl_op op;
	char org[CORE_NAME_MAX + 1];
	char name[CORE_NAME_MAX + 8]; /* of the query, or the subject of events */
	char array[CORE_NAME_MAX + 1];
	struct store_list_query query;
	int64_t after;
	struct err refusal;
	struct store_jobs jobs;
	struct store_services services;
	struct store_events events;
	ctl_jobs_fn *on_jobs;
	ctl_services_fn *on_services;
	ctl_events_fn *on_events;
	void *arg;
};

static void answer(struct list_call *l, const struct err *err)
{
	static const struct err none = ERR_INIT;
	err = err ? err : &none;
	if (l->on_jobs)
		l->on_jobs(l->arg, (const struct job *const *)l->jobs.items, l->jobs.count, l->jobs.more,
			   err);
	if (l->on_services)
		l->on_services(l->arg, (const struct service *const *)l->services.items, l->services.count,
			       l->services.more, err);
	if (l->on_events)
		l->on_events(l->arg, l->events.items, l->events.count, err);
	l->on_jobs = NULL;
	l->on_services = NULL;
	l->on_events = NULL;
}

static void release(struct ctl_op *op)
{
	struct list_call *l = CONTAINER_OF(op, struct list_call, op);
	store_jobs_done(&l->jobs);
	store_services_done(&l->services);
	store_events_done(&l->events);
	free(l);
}

/* On the way out nothing of the result is touched: the database's thread may be filling it. */
static void abandon(struct ctl_op *op, const struct err *err)
{
	struct list_call *l = CONTAINER_OF(op, struct list_call, op);
	struct list_call empty = {
	    .on_jobs = l->on_jobs, .on_services = l->on_services, .on_events = l->on_events, .arg = l->arg};
	answer(&empty, err);
}

/* Rows of what is live give way to what memory knows of it: progress, why it waits. */
static void refresh_jobs(struct ctl *c, struct store_jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++) {
		struct ctl_job *cj = map_get(c->jobs, jobs->items[i]->id);
		if (!cj)
			continue;
		want_refresh(&cj->want);
		struct job_spec spec = jobs->items[i]->spec;
		*jobs->items[i] = *cj->job;
		jobs->items[i]->spec = spec;
	}
}

static void refresh_services(struct ctl *c, struct store_services *services)
{
	for (size_t i = 0; i < services->count; i++) {
		struct ctl_service *cs = map_get(c->services, services->items[i]->id);
		if (!cs)
			continue;
		service_refresh(cs);
		service_free(services->items[i]);
		services->items[i] = service_copy(cs->service);
	}
}

static void finish(struct ctl_op *op, int r, const struct err *err)
{
	struct list_call *l = CONTAINER_OF(op, struct list_call, op);
	refresh_jobs(op->ctl, &l->jobs);
	refresh_services(op->ctl, &l->services);
	answer(l, r < 0 ? err : NULL);
}

static struct list_call *list_new(const struct principal *who, void *arg)
{
	struct list_call *l = MEM_NEW(struct list_call);
	l->op.finish = finish;
	l->op.abandon = abandon;
	l->op.release = release;
	memcpy(l->org, who->org, sizeof(l->org));
	l->arg = arg;
	return l;
}

static void take_name(struct list_call *l, const char *name)
{
	if (strlen(name) >= sizeof(l->name))
		err_set(&l->refusal, ERR_INVALID, "the name '%.80s…' is too long; at most %d characters",
			name, CORE_NAME_MAX);
	snprintf(l->name, sizeof(l->name), "%s", name);
}

static void take_query(struct list_call *l, const struct ctl_list_query *q)
{
	l->query = (struct store_list_query){.org = l->org,
					     .state = q->state,
					     .kind = q->kind,
					     .before_seq = q->before_seq,
					     .limit = q->limit};
	if (q->limit < 1 || q->limit > 1000)
		err_set(&l->refusal, ERR_INVALID, "limit %lld is out of range; use 1 to 1000",
			(long long)q->limit);
	if (q->name) {
		take_name(l, q->name);
		l->query.name = l->name;
	}
}

static int refused(const struct list_call *l, struct err *err)
{
	if (l->refusal.code)
		*err = l->refusal;
	return -l->refusal.code;
}

static int jobs_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct list_call *l = CONTAINER_OF(op, struct list_call, op);
	CLEANUP(job) struct job *array = NULL;
	int r = refused(l, err);
	if (r >= 0 && l->array[0])
		r = store_job_get(tx, l->org, l->array, &array, err);
	if (array && !array->spec.array.count)
		r = err_set(err, ERR_INVALID, "job '%s' is no array", l->array);
	l->query.array = array ? array->id : NULL;
	return r < 0 ? r : store_job_list(tx, &l->query, &l->jobs, err);
}

void ctl_job_list(struct ctl *c, const struct principal *who, const struct ctl_list_query *q,
		  ctl_jobs_fn *done, void *arg)
{
	struct list_call *l = list_new(who, arg);
	l->op.run = jobs_run;
	l->on_jobs = done;
	take_query(l, q);
	if (q->array && strlen(q->array) > CORE_NAME_MAX)
		err_set(&l->refusal, ERR_NOT_FOUND, "there is no array '%.80s…'; the name is too long",
			q->array);
	snprintf(l->array, sizeof(l->array), "%.*s", CORE_NAME_MAX, q->array ? q->array : "");
	ctl_op_submit(c, &l->op);
}

static int services_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct list_call *l = CONTAINER_OF(op, struct list_call, op);
	int r = refused(l, err);
	return r < 0 ? r : store_service_list(tx, &l->query, &l->services, err);
}

void ctl_service_list(struct ctl *c, const struct principal *who, const struct ctl_list_query *q,
		      ctl_services_fn *done, void *arg)
{
	struct list_call *l = list_new(who, arg);
	l->op.run = services_run;
	l->on_services = done;
	take_query(l, q);
	ctl_op_submit(c, &l->op);
}

/* The subject has to exist: "not there" and "not yours" answer alike. */
static int events_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct list_call *l = CONTAINER_OF(op, struct list_call, op);
	CLEANUP(job) struct job *job = NULL;
	CLEANUP(service) struct service *service = NULL;
	const char *subject = l->name;
	int r = refused(l, err);
	if (r < 0)
		return r;
	if (str_starts(subject, "model/") || str_starts(subject, "tensorboard/")) {
		r = store_service_get(tx, l->org, strchr(subject, '/') + 1, &service, err);
	} else if (str_starts(subject, "cron/")) {
		if (!store_cron_exists(tx, l->org, subject + strlen("cron/"), err) && !err->code)
			err_set(err, ERR_NOT_FOUND, "there is no cron '%s'; run 'cloudml cron list'",
				subject + strlen("cron/"));
		r = -err->code;
	} else {
		r = store_job_get(tx, l->org, subject, &job, err);
		subject = r < 0 ? subject : job->id;
	}
	return r < 0 ? r : store_event_list(tx, l->org, subject, l->after, EVENTS_MAX, &l->events, err);
}

void ctl_events(struct ctl *c, const struct principal *who, const char *subject, int64_t after,
		ctl_events_fn *done, void *arg)
{
	struct list_call *l = list_new(who, arg);
	l->op.run = events_run;
	l->on_events = done;
	l->after = after;
	take_name(l, subject);
	ctl_op_submit(c, &l->op);
}
