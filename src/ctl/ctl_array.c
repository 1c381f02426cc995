/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays: one row whose elements are made as they come up, in the order of their indexes. How many are made
 * and how many are in each state is kept beside the row by the transactions that make and move elements; what
 * comes next is read from there, so that a server that dies between any two steps neither loses nor doubles
 * an element.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_int.h"

#define AHEAD 16      /* elements that wait in the queue, beside those that run */
#define BIRTHS_MAX 64 /* in one transaction */

struct births {
	struct ctl_op op;
	struct ctl_job *cj; /* loop's thread only */
	char array[16];
	struct job *jobs[BIRTHS_MAX]; /* owned */
	size_t count;
};

int64_t array_live(const struct job *job)
{
	int64_t live = 0;
	for (int s = 0; s < JOB_STATE_COUNT; s++)
		live += job_state_is_terminal((enum job_state)s) ? 0 : job->elements.by_state[s];
	return live;
}

/* ---- births ---- */

/* NAME-INDEX, with as much of the name as there is room for. */
static void element_name(const struct job *array, int64_t index, char ret[CORE_NAME_MAX + 1])
{
	char tail[24];
	int len = snprintf(tail, sizeof(tail), "-%lld", (long long)index);
	int room = CORE_NAME_MAX - len;
	int n = snprintf(ret, CORE_NAME_MAX + 1, "%.*s", room, array->spec.name);
	while (n > 0 && ret[n - 1] == '-')
		n--;
	memcpy(ret + n, tail, (size_t)len + 1);
}

static struct job *element_make(struct ctl *c, const struct job *array, int64_t index)
{
	struct principal who = {0};
	struct job *job = job_new();
	char text[64], name[CORE_NAME_MAX + 1];
	memcpy(who.org, array->org, sizeof(who.org));
	memcpy(who.user, array->user, sizeof(who.user));
	job_spec_copy(&array->spec, &job->spec);
	job->spec.array = (struct job_array){0};
	strings_free(job->spec.after);
	job->spec.after = NULL;
	element_name(array, index, name);
	free(job->spec.name);
	job->spec.name = mem_strdup(name);
	snprintf(text, sizeof(text), "%s/%lld", array->id, (long long)index);
	job_id_of(text, job->id);
	memcpy(job->array_id, array->id, sizeof(job->array_id));
	job->array_index = index;
	job_fill(c, &who, job);
	return job;
}

static int births_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct births *b = CONTAINER_OF(op, struct births, op);
	int r = 0;
	for (size_t i = 0; r >= 0 && i < b->count; i++)
		r = store_job_insert(tx, b->jobs[i], err);
	return r;
}

static void births_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct births *b = CONTAINER_OF(op, struct births, op);
	struct ctl_job *cj = b->cj;
	FP("ctl.array.durable");
	cj->busy = false;
	if (r < 0) {
		log_warn("array.births_failed array=%s error=\"%s\"", b->array, err->msg);
		cj->not_before_ms = ctl_now(op->ctl) + ctl_backoff(op->ctl, 1);
		timer_set_earlier(op->ctl, &cj->again, cj->not_before_ms);
		return;
	}
	for (size_t i = 0; i < b->count; i++) {
		struct job *job = STEAL(b->jobs[i]);
		cj->job->elements.made++;
		cj->job->elements.by_state[job->state]++;
		job_born(op->ctl, job);
	}
	array_show(cj);
	job_dirty(cj);
}

static void births_release(struct ctl_op *op)
{
	struct births *b = CONTAINER_OF(op, struct births, op);
	for (size_t i = 0; i < b->count; i++)
		job_free(b->jobs[i]);
	free(b);
}

/* How many may be made now. One that has nothing alive may always make one, so that no quota stops it for
 * ever.
 */
static int64_t births_due(struct ctl_job *cj)
{
	struct ctl *c = cj->ctl;
	const struct job *job = cj->job;
	struct err full = ERR_INIT;
	int64_t live = array_live(job), due = job->spec.array.count - job->elements.made;
	int64_t room = AHEAD - job->elements.by_state[JOB_QUEUED];
	if (job->spec.array.max_running && room > job->spec.array.max_running - live)
		room = job->spec.array.max_running - live;
	due = due < room ? due : room;
	due = due < BIRTHS_MAX ? due : BIRTHS_MAX;
	while (due > 0 && quota_check(c, job->org, job->user, due, &full) < 0)
		due--;
	cj->is_short = full.code != 0;
	return due < 1 && live == 0 && job->elements.made < job->spec.array.count ? 1 : due;
}

static void births_begin(struct ctl_job *cj, int64_t count)
{
	struct births *b = MEM_NEW(struct births);
	b->op = (struct ctl_op){.run = births_run, .finish = births_finish, .release = births_release};
	b->cj = cj;
	memcpy(b->array, cj->job->id, sizeof(b->array));
	for (int64_t i = 0; i < count; i++)
		b->jobs[b->count++] = element_make(cj->ctl, cj->job, cj->job->elements.made + i);
	cj->busy = true;
	FP("ctl.array.before");
	ctl_op_submit(cj->ctl, &b->op);
}

/* ---- what people see ---- */

void array_show(struct ctl_job *cj)
{
	const struct job_elements *e = &cj->job->elements;
	struct progress *p = &cj->job->progress;
	int64_t count = cj->job->spec.array.count, ended = e->made - array_live(cj->job);
	int64_t runs = e->by_state[JOB_RUNNING] + e->by_state[JOB_STARTING];
	*p = PROGRESS_NONE;
	snprintf(p->phase, sizeof(p->phase), "running");
	p->step = ended;
	p->total = count;
	p->percent = 100.0 * (double)ended / (double)count;
	snprintf(p->text, sizeof(p->text), "%lld of %lld elements ended, %lld failed, %lld run",
		 (long long)ended, (long long)count, (long long)e->by_state[JOB_FAILED], (long long)runs);
	notify_job_soon(cj);
}

/* ---- elements ---- */

void array_join(struct ctl_job *cj)
{
	struct ctl_job *array = cj->job->array_id[0] ? map_get(cj->ctl->jobs, cj->job->array_id) : NULL;
	if (array)
		list_append(&array->elements, &cj->in_array);
}

void array_tell(struct ctl_job *cj, enum job_state before)
{
	struct ctl_job *array = cj->job->array_id[0] ? map_get(cj->ctl->jobs, cj->job->array_id) : NULL;
	if (!array || before == cj->job->state)
		return;
	array->job->elements.by_state[before]--;
	array->job->elements.by_state[cj->job->state]++;
	array_show(array);
	job_dirty(array);
}

/* A job of the organisation has ended: what was short of a quota may go on. */
void arrays_wake(struct ctl *c, const char *org)
{
	struct ctl_job *array;
	LIST_EACH(array, &c->arrays, by_array)
	{
		if (array->is_short && strcmp(array->job->org, org) == 0)
			job_dirty(array);
	}
}

static void nobody(void *arg, const struct ctl_result *result, const struct err *err)
{
}

static void cancel_elements(struct ctl_job *cj)
{
	struct ctl_job *e;
	LIST_EACH(e, &cj->elements, in_array)
	{
		if (e->job->cancel_requested || !list_empty(&e->waiters))
			continue;
		waiter_add(&e->waiters, cj->job->user, nobody, NULL);
		job_dirty(e);
	}
}

/* ---- the end ---- */

/* One that was cancelled, whole or in part, has not completed; one with a failed element has failed. */
static void end_of(const struct job *job, struct task_status *ret)
{
	const struct job_elements *e = &job->elements;
	int64_t failed = e->by_state[JOB_FAILED], cancelled = e->by_state[JOB_CANCELLED];
	*ret = (struct task_status){.exit_code = 0, .fail = FAIL_NONE};
	if (job->cancel_requested || (!failed && cancelled)) {
		ret->fail = FAIL_CANCELLED;
		ret->exit_code = -1;
		snprintf(ret->message, sizeof(ret->message), "%lld of %lld elements were cancelled",
			 (long long)(cancelled + job->spec.array.count - e->made),
			 (long long)job->spec.array.count);
	} else if (failed) {
		ret->fail = FAIL_ELEMENTS;
		ret->exit_code = 1;
		snprintf(ret->message, sizeof(ret->message),
			 "%lld of %lld elements failed; see 'cloudml jobs list --array %s --state failed'",
			 (long long)failed, (long long)job->spec.array.count, job->id);
	}
}

void array_advance(struct ctl_job *cj)
{
	struct ctl *c = cj->ctl;
	struct job *job = cj->job;
	struct task_status end;
	int64_t live = array_live(job), due;
	if (!c->attached)
		return;
	if (ctl_now(c) < cj->not_before_ms) {
		timer_set_earlier(c, &cj->again, cj->not_before_ms);
		return;
	}
	if (job->cancel_requested)
		cancel_elements(cj);
	bool is_made = job->cancel_requested || job->elements.made == job->spec.array.count;
	if (job->state == JOB_QUEUED) {
		job_array_move(cj, JOB_STARTING, "starting", "its elements are being made");
	} else if (is_made && live == 0) {
		end_of(job, &end);
		job_array_end(cj, &end);
	} else if (job->state == JOB_STARTING && job->elements.made > job->elements.by_state[JOB_QUEUED]) {
		job_array_move(cj, JOB_RUNNING, "running", "");
	} else if (!is_made && (due = births_due(cj)) > 0) {
		births_begin(cj, due);
	}
}
