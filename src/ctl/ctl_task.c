/* SPDX-License-Identifier: Apache-2.0 */
/* Observations: what is known of every task, and what is done with those that nobody wants. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/failpoint.h"
#include "base/log.h"
#include "base/buf.h"
#include "base/mem.h"
#include "ctl/ctl_int.h"

static void again_due(void *arg)
{
	task_dirty(arg);
}

struct ctl_task *task_find(struct ctl *c, const char *name)
{
	return map_get(c->tasks, name);
}

void task_dirty(struct ctl_task *t)
{
	if (list_empty(&t->dirty))
		list_append(&t->ctl->dirty_tasks, &t->dirty);
}

static void owner_dirty(struct ctl *c, const char *owner, const char *name, int tasks_by)
{
	struct ctl_job *cj = map_get(c->jobs, owner);
	struct ctl_service *cs = map_get(c->services, owner);
	if (cj) {
		cj->tasks += (size_t)tasks_by;
		job_dirty(cj);
	} else if (cs) {
		int64_t slot = ctl_service_task_slot(name);
		cs->tasks += (size_t)tasks_by;
		if (slot >= 0)
			cs->tasks_of[slot] += (size_t)tasks_by;
		service_dirty(cs);
	}
}

struct ctl_task *task_know(struct ctl *c, const char *name, const char *owner, enum task_kind kind,
			   int64_t attempt)
{
	struct ctl_task *t = task_find(c, name);
	if (t)
		return t;
	t = MEM_NEW(struct ctl_task);
	t->ctl = c;
	t->status = (struct task_status){
	    .kind = kind, .attempt = attempt, .phase = TASK_PREPARING, .progress = PROGRESS_NONE};
	snprintf(t->status.name, sizeof(t->status.name), "%s", name);
	snprintf(t->status.owner, sizeof(t->status.owner), "%s", owner);
	t->again = (struct ctl_timer){.fn = again_due, .arg = t};
	list_init(&t->dirty);
	map_set(c->tasks, name, t);
	owner_dirty(c, owner, name, 1);
	return t;
}

void task_drop(void *task)
{
	struct ctl_task *t = task;
	timer_clear(t->ctl, &t->again);
	list_remove(&t->dirty);
	map_delete(t->ctl->tasks, t->status.name);
	free(t);
}

/* Asked again from time to time until it is seen to be done. */
static bool may_ask(struct ctl_task *t, bool is_removal)
{
	int64_t now = ctl_now(t->ctl);
	timer_set_earlier(t->ctl, &t->again, now + CTL_REPEAT_MS);
	if (t->asked_ms && t->asked_removal == is_removal && now < t->asked_ms + CTL_REPEAT_MS)
		return false;
	t->asked_ms = now ? now : 1;
	t->asked_removal = is_removal;
	return true;
}

void task_stop_within(struct ctl_task *t, enum fail_class why, int64_t grace_ms)
{
	struct backend *b = t->ctl->config.backend;
	struct err err = ERR_INIT;
	FP("ctl.stop.before");
	if (may_ask(t, false) && b->ops->stop(b, t->status.name, why, grace_ms, &err) < 0)
		log_warn("task.stop task=%s error=\"%s\"", t->status.name, err.msg);
}

void task_stop(struct ctl_task *t, enum fail_class why)
{
	task_stop_within(t, why, CTL_STOP_GRACE_MS);
}

static void task_remove(struct ctl_task *t)
{
	struct backend *b = t->ctl->config.backend;
	struct err err = ERR_INIT;
	FP("ctl.remove.before");
	if (may_ask(t, true) && b->ops->remove(b, t->status.name, &err) < 0)
		log_warn("task.remove task=%s error=\"%s\"", t->status.name, err.msg);
}

static bool is_terminal(const struct ctl_task *t)
{
	return t->status.phase == TASK_EXITED || t->status.phase == TASK_LOST;
}

static const struct replica *replica_of_task(const struct ctl_service *cs, const struct ctl_task *t)
{
	for (size_t i = 0; i < cs->service->replica_count; i++)
		if (cs->service->replicas[i].attempt == t->status.attempt)
			return &cs->service->replicas[i];
	return NULL;
}

/* By the durable rows only: a task is wanted as long as the move that ends its attempt is not committed. */
static bool is_wanted(const struct ctl_task *t)
{
	const struct ctl_job *cj = map_get(t->ctl->jobs, t->status.owner);
	const struct ctl_service *cs = map_get(t->ctl->services, t->status.owner);
	if (cj)
		return cj->job->attempt == t->status.attempt &&
		       (cj->job->state == JOB_STARTING || cj->job->state == JOB_RUNNING);
	const struct replica *r = cs ? replica_of_task(cs, t) : NULL;
	return r && !r->draining &&
	       (cs->service->state == SERVICE_STARTING || cs->service->state == SERVICE_READY);
}

/* Nobody waits for a job that is cancelled; a replica that goes finishes what it was asked. */
static int64_t grace_of(const struct ctl_task *t)
{
	const struct ctl_service *cs = map_get(t->ctl->services, t->status.owner);
	const struct replica *r = cs ? replica_of_task(cs, t) : NULL;
	if (r && r->draining && cs->service->state != SERVICE_STOPPING)
		return CTL_DRAIN_MS;
	return t->status.unhealthy ? CTL_HUNG_GRACE_MS : CTL_STOP_GRACE_MS;
}

void task_advance(struct ctl_task *t)
{
	if (is_wanted(t))
		owner_dirty(t->ctl, t->status.owner, t->status.name, 0);
	else if (is_terminal(t))
		task_remove(t);
	else
		task_stop_within(t, FAIL_CANCELLED, grace_of(t));
}

/* ---- the observer ---- */

static void take_progress(struct ctl *c, const struct task_status *status)
{
	struct ctl_job *cj = map_get(c->jobs, status->owner);
	struct ctl_service *cs = map_get(c->services, status->owner);
	/* Of a gang the first task's counts. */
	if (cj && cj->job->attempt == status->attempt && str_ends(status->name, "-0")) {
		cj->job->progress = status->progress;
		notify_job_soon(cj);
	} else if (cs) {
		if (cs->service->state == SERVICE_STARTING)
			cs->service->progress = status->progress;
		notify_service_soon(cs);
	}
}

static void on_changed(void *arg, const struct task_status *status)
{
	struct ctl *c = arg;
	struct ctl_task *t = task_know(c, status->name, status->owner, status->kind, status->attempt);
	if (status->phase < t->status.phase || is_terminal(t))
		return; /* only forward */
	t->status = *status;
	if (is_terminal(t))
		t->ended = ++c->ends;
	if (!is_terminal(t) && is_wanted(t))
		take_progress(c, status);
	task_dirty(t);
	ctl_pump(c);
}

static void on_removed(void *arg, const char *name)
{
	struct ctl *c = arg;
	struct ctl_task *t = task_find(c, name);
	if (!t)
		return;
	char owner[sizeof(t->status.owner)];
	memcpy(owner, t->status.owner, sizeof(owner));
	task_drop(t); /* 'name' is the backend's */
	owner_dirty(c, owner, name, -1);
	ctl_pump(c);
}

static void on_attached(void *arg)
{
	struct ctl *c = arg;
	const char *key;
	void *value;
	if (c->attached)
		return;
	c->attached = true;
	log_info("ctl.attached tasks=%zu jobs=%zu models=%zu", map_count(c->tasks), map_count(c->jobs),
		 map_count(c->services));
	for (size_t i = 0; map_next(c->jobs, &i, &key, &value);)
		job_dirty(value);
	for (size_t i = 0; map_next(c->services, &i, &key, &value);)
		service_dirty(value);
	ctl_want_schedule(c);
	ctl_pump(c);
}

const struct backend_observer ctl_observer = {
    .task_changed = on_changed,
    .task_removed = on_removed,
    .attached = on_attached,
};
