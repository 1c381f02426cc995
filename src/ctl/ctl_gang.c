/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tasks of a job's attempt: launched all together, stopped together when one of them ends badly, and one
 * end for all. What comes next is read from the row and from what is known of each task, so that a server
 * that dies between two launches completes the gang, or ends it, when it is back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl_int.h"

/* A task that is stopped because another one failed. Not cancelled: nobody cancelled the job, and a server
 * that only finds the stopped ones must not say so. */
#define STOPPED_WITH_GANG FAIL_LOST

struct gang {
	int64_t size, missing, alive, running, done; /* running: or ended well */
	bool is_lost;				     /* one was there and left nothing */
	const struct ctl_task *first, *cause;	     /* cause: ended badly, and tells the most */
	int64_t cause_index;
};

static struct ctl_task *task_at(const struct ctl_job *cj, int64_t index)
{
	char name[TASK_NAME_MAX + 1];
	ctl_job_task_name(cj->job, 0, index, name);
	return task_find(cj->ctl, name);
}

static int64_t size_of(const struct ctl_job *cj)
{
	return cj->job->spec.tasks > 1 ? cj->job->spec.tasks : 1;
}

static bool is_alive(const struct ctl_task *t)
{
	return t->status.phase != TASK_EXITED && t->status.phase != TASK_LOST;
}

/* What tells the most about why a gang ended: the others often fail because one of them did. Of two alike the
 * one that ended first. */
static int rank(const struct ctl_task *t)
{
	if (t->status.phase == TASK_EXITED && t->status.fail == STOPPED_WITH_GANG)
		return 0;
	return t->status.phase == TASK_EXITED && t->status.fail == FAIL_USER ? 1 : 2;
}

static void look_at(struct gang *g, const struct ctl_task *t, int64_t index)
{
	if (index == 0)
		g->first = t;
	if (is_alive(t)) {
		g->alive++;
		g->running += t->status.phase != TASK_PREPARING;
	} else if (t->status.phase == TASK_EXITED && t->status.fail == FAIL_NONE) {
		g->done++;
		g->running++;
	} else if (!g->cause || rank(t) > rank(g->cause) ||
		   (rank(t) == rank(g->cause) && t->ended < g->cause->ended)) {
		g->cause = t;
		g->cause_index = index;
	}
}

static void gang_look(const struct ctl_job *cj, struct gang *ret)
{
	*ret = (struct gang){.size = size_of(cj)};
	for (int64_t i = 0; i < ret->size; i++) {
		const struct ctl_task *t = task_at(cj, i);
		if (t)
			look_at(ret, t, i);
		else
			ret->is_lost |= cj->job->state == JOB_RUNNING || i < cj->launched;
		ret->missing += !t;
	}
}

void gang_dirty(struct ctl_job *cj)
{
	for (int64_t i = 0; i < size_of(cj); i++) {
		struct ctl_task *t = task_at(cj, i);
		if (t)
			task_dirty(t);
	}
}

void gang_forget(struct ctl_job *cj)
{
	cj->launched = 0;
	cj->refusals = 0;
	free(cj->refusal);
	cj->refusal = NULL;
}

static void gang_stop(struct ctl_job *cj, enum fail_class why)
{
	for (int64_t i = 0; i < size_of(cj); i++) {
		struct ctl_task *t = task_at(cj, i);
		if (t && is_alive(t))
			task_stop_within(t, why, cj->job->spec.grace_period_ms);
	}
}

/* ---- the beginning ---- */

static void gang_refused(struct ctl_job *cj, int64_t index, const struct err *err)
{
	struct ctl *c = cj->ctl;
	log_warn("job.launch_refused job=%s attempt=%lld task=%lld error=\"%s\"", cj->job->id,
		 (long long)cj->job->attempt, (long long)index, err->msg);
	bool may_pass = err->code == ERR_DISK_FULL || err->code == ERR_UNAVAILABLE || err->code == ERR_LIMIT;
	if (may_pass && ctl_now(c) < cj->deadline_at_ms) {
		cj->not_before_ms = ctl_now(c) + ctl_backoff(c, ++cj->refusals);
		snprintf(cj->job->message, sizeof(cj->job->message), "%s", err->msg);
		timer_set_earlier(c, &cj->again, cj->not_before_ms);
		notify_job_soon(cj);
		return;
	}
	bool is_users =
	    err->code == ERR_UNSUPPORTED || err->code == ERR_NOT_FOUND || err->code == ERR_INVALID;
	cj->refused = is_users ? FAIL_ENVIRONMENT : FAIL_PLATFORM;
	cj->refusal = mem_strdup(err->msg);
	job_dirty(cj); /* those that were launched before it end first */
}

static void gang_launch(struct ctl_job *cj)
{
	struct ctl *c = cj->ctl;
	struct err err = ERR_INIT;
	if (ctl_now(c) < cj->not_before_ms) {
		timer_set_earlier(c, &cj->again, cj->not_before_ms);
		return;
	}
	for (int64_t i = 0; i < size_of(cj); i++) {
		char name[TASK_NAME_MAX + 1];
		ctl_job_task_name(cj->job, 0, i, name);
		if (!task_find(c, name)) {
			FP("ctl.launch.before");
			if (launch_job(c, cj->job, i, &err) < 0) {
				gang_refused(cj, i, &err);
				return;
			}
			FP("ctl.launch.after");
			task_know(c, name, cj->job->id, TASK_JOB, cj->job->attempt);
		}
		cj->launched = i + 1;
	}
}

/* ---- the end ---- */

static void end_by_cause(struct ctl_job *cj, const struct gang *g)
{
	struct task_status end = g->cause->status;
	const char *said = end.message;
	char which[32] = "";
	if (end.phase == TASK_LOST && !said[0])
		said = "the task vanished: the machine or its supervisor died";
	if (g->size > 1)
		snprintf(which, sizeof(which), "task %lld: ", (long long)g->cause_index);
	CLEANUP(free) char *message = mem_printf("%s%s", which, said);
	if (end.phase == TASK_LOST) {
		job_end_without_task(cj, FAIL_LOST, message);
		return;
	}
	snprintf(end.message, sizeof(end.message), "%s", message);
	job_end_attempt(cj, &end);
}

/* None lives any more. */
static void gang_end(struct ctl_job *cj, const struct gang *g)
{
	if (g->cause && rank(g->cause) > 0)
		end_by_cause(cj, g);
	else if (cj->refusal)
		job_end_without_task(cj, cj->refused, cj->refusal);
	else if (g->is_lost)
		job_end_without_task(cj, FAIL_LOST, "the task is gone and left no record of its end");
	else if (g->cause)
		end_by_cause(cj, g);
	else
		job_end_without_task(cj, FAIL_CANCELLED, "");
}

/* Why its tasks are stopped although none has failed; FAIL_NONE = they go on. */
static enum fail_class stop_wanted(struct ctl_job *cj)
{
	if (cj->job->cancel_requested)
		return FAIL_CANCELLED;
	if (cj->deadline_at_ms && ctl_now(cj->ctl) >= cj->deadline_at_ms)
		return FAIL_TIMEOUT;
	return cj->preempted == cj->job->attempt ? FAIL_PREEMPTED : FAIL_NONE;
}

void gang_advance(struct ctl_job *cj)
{
	struct gang g;
	gang_look(cj, &g);
	enum fail_class stop = stop_wanted(cj);
	bool has_failed = g.cause || g.is_lost || cj->refusal || (g.missing && cj->job->cancel_requested);
	if (g.missing && !cj->ctl->attached)
		return;
	if (g.done == g.size) {
		job_end_attempt(cj, &g.first->status);
	} else if (has_failed && !g.alive) {
		gang_end(cj, &g);
	} else if (has_failed) {
		gang_stop(cj, stop == FAIL_NONE ? STOPPED_WITH_GANG : stop);
	} else if (g.missing && (!g.alive || stop == FAIL_NONE)) {
		gang_launch(cj);
	} else if (cj->job->state == JOB_STARTING && g.running == g.size) {
		job_run(cj);
	} else {
		if (stop != FAIL_NONE)
			gang_stop(cj, stop);
		if (cj->deadline_at_ms && ctl_now(cj->ctl) < cj->deadline_at_ms)
			timer_set_earlier(cj->ctl, &cj->again, cj->deadline_at_ms);
	}
}
