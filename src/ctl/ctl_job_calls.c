/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about jobs that change something: submit, cancel, delete. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "core/uri.h"
#include "ctl/ctl_int.h"
#include "ctl/ctl_call.h"

/* ---- the common part ---- */

void call_answer(struct ctl_call *call, const struct ctl_result *result, const struct err *err)
{
	static const struct err none = ERR_INIT;
	static const struct ctl_result nothing = {0};
	ctl_done_fn *done = STEAL(call->done);
	if (done)
		done(call->arg, result ? result : &nothing, err ? err : &none);
}

static void call_abandon(struct ctl_op *op, const struct err *err)
{
	call_answer(CONTAINER_OF(op, struct ctl_call, op), NULL, err);
}

static void call_release(struct ctl_op *op)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	job_free(call->job);
	service_free(call->service);
	free(call);
}

struct ctl_call *call_new(const struct principal *who, const char *id, const struct ctl_idempotency *idem,
			  ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = MEM_NEW(struct ctl_call);
	call->op.abandon = call_abandon;
	call->op.release = call_release;
	call->who = *who;
	call->done = done;
	call->arg = arg;
	if (id && strlen(id) > CORE_NAME_MAX)
		err_set(&call->refusal, ERR_NOT_FOUND, "there is no '%.80s…'; the name is too long", id);
	else if (id)
		snprintf(call->id, sizeof(call->id), "%s", id);
	if (idem && idem->key) {
		call->has_key = true;
		/* One byte more than allowed is kept, so that the store refuses what is too long. */
		snprintf(call->key, sizeof(call->key), "%s", idem->key);
		snprintf(call->body_sha256, sizeof(call->body_sha256), "%s", idem->body_sha256);
	}
	return call;
}

static int call_run_refusal(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	*err = CONTAINER_OF(op, struct ctl_call, op)->refusal;
	return -err->code;
}

static void call_finish_refusal(struct ctl_op *op, int r, const struct err *err)
{
	call_answer(CONTAINER_OF(op, struct ctl_call, op), NULL, err);
}

void call_submit(struct ctl *c, struct ctl_call *call)
{
	if (call->refusal.code) {
		call->op.run = call_run_refusal;
		call->op.finish = call_finish_refusal;
	}
	ctl_op_submit(c, &call->op);
}

int check_bucket(const char *what, const char *uri, const char *org, struct err *err)
{
	struct uri u;
	int r = uri_parse(uri, &u, err);
	if (r < 0)
		return err_wrap(err, "%s", what);
	if (strcmp(u.bucket, org) != 0)
		return err_set(err, ERR_NOT_FOUND, "%s '%.200s' leaves the organisation; use fds://%s/…",
			       what, uri, org);
	return 0;
}

/* Fills in the version that the catalogue has for it. */
int resolve_framework(struct ctl *c, char **name, char **version, struct err *err)
{
	const struct framework *f = catalogue_find(c->config.catalogue, *name, *version, err);
	if (!f)
		return -err->code;
	free(*version);
	*version = mem_strdup(f->version);
	return 0;
}

/* ---- submit ---- */

static int submit_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct job *job = call->job;
	char id[16];
	if (call->has_key) {
		int r = store_idempotency_find(tx, job->org, call->key, call->body_sha256, job->created_ms,
					       id, err);
		if (r < 0)
			return r;
		if (r > 0) {
			struct job *first = NULL;
			call->replayed = true;
			if (store_job_get(tx, job->org, id, &first, err) < 0)
				return err->code != ERR_NOT_FOUND
					   ? -err->code
					   : err_set(err, ERR_CONFLICT,
						     "the job that was made with the idempotency key '%s' "
						     "was deleted; choose a new key",
						     call->key);
			job_free(job);
			call->job = first;
			return 0;
		}
	}
	int r = store_job_insert(tx, job, err);
	if (r >= 0)
		r = store_event_insert(tx, job->org, &call->event, err);
	if (r >= 0 && call->has_key)
		r = store_idempotency_insert(tx, job->org, call->key, call->body_sha256, job->id,
					     job->created_ms, err);
	return r;
}

/* What is held in memory knows more (progress, why it waits) and is never older than a row just read. */
static const struct job *job_freshest(struct ctl *c, const struct job *row)
{
	const struct ctl_job *cj = map_get(c->jobs, row->id);
	return cj ? cj->job : row;
}

static void submit_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct ctl *c = op->ctl;
	if (r < 0) {
		call_answer(call, NULL, err);
		return;
	}
	if (!call->replayed) {
		struct ctl_job *cj = job_adopt(c, STEAL(call->job));
		ctl_counts_of(c, cj->job->org)->jobs[cj->job->state]++;
		notify_job(cj);
		call_answer(call, &(struct ctl_result){.job = cj->job}, NULL);
		return;
	}
	call_answer(call, &(struct ctl_result){.job = job_freshest(c, call->job), .replayed = true}, NULL);
}

static int submit_check(struct ctl *c, const struct principal *who, struct job *job, struct err *err)
{
	struct resources capacity;
	const struct ctl_counts *counts = ctl_counts_of(c, who->org);
	int64_t live = counts->jobs[JOB_SUBMITTED] + counts->jobs[JOB_QUEUED] + counts->jobs[JOB_STARTING] +
		       counts->jobs[JOB_RUNNING];
	int r = auth_may_change(who, err);
	if (r >= 0 && live >= CTL_LIVE_JOBS_MAX)
		r = err_set(err, ERR_QUOTA,
			    "organisation '%s' has %lld unfinished jobs; wait for some to end", who->org,
			    (long long)live);
	if (r >= 0 && job->spec.package)
		r = check_bucket("package", job->spec.package, who->org, err);
	if (r >= 0)
		r = resolve_framework(c, &job->spec.framework, &job->spec.framework_version, err);
	if (r < 0)
		return r;
	c->config.backend->ops->capacity(c->config.backend, &capacity);
	return sched_check(&job->spec.limits, &capacity, err);
}

static void job_fill(struct ctl *c, const struct principal *who, struct job *job)
{
	job->id[0] = 'j';
	rng_id(c->config.rng, job->id + 1, 9);
	memcpy(job->org, who->org, sizeof(job->org));
	memcpy(job->user, who->user, sizeof(job->user));
	job->state = JOB_SUBMITTED;
	snprintf(job->reason, sizeof(job->reason), "submitted");
	job->created_ms = ctl_wall(c);
	job->deadline_ms = job->created_ms + CTL_SUBMITTED_MS;
	job->exit_code = -1;
	job->progress = PROGRESS_NONE;
	snprintf(job->output_uri, sizeof(job->output_uri), "fds://%s/jobs/%s/output/", job->org, job->id);
}

void ctl_job_submit(struct ctl *c, const struct principal *who, const struct job_spec *spec,
		    const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, NULL, idem, done, arg);
	call->op.run = submit_run;
	call->op.finish = submit_finish;
	call->job = job_new();
	if (job_spec_copy(spec, &call->job->spec) < 0)
		err_set(&call->refusal, ERR_NO_MEMORY, "the job's specification does not fit into memory");
	else if (submit_check(c, who, call->job, &call->refusal) >= 0)
		job_fill(c, who, call->job);
	job_event_make(&call->event, call->job->id, call->job->created_ms, "submitted", who->user,
		       "submitted by %s", who->user);
	call_submit(c, call);
}

/* ---- cancel ---- */

static int find_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	return store_job_get(tx, call->who.org, call->id, &call->job, err);
}

static void cancel_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct err late = ERR_INIT;
	if (r < 0) {
		call_answer(call, NULL, err);
		return;
	}
	struct ctl_job *cj = map_get(op->ctl->jobs, call->job->id);
	if (cj) {
		waiter_add(&cj->waiters, call->who.user, STEAL(call->done), call->arg);
		job_dirty(cj);
	} else if (call->job->state == JOB_CANCELLED) {
		call_answer(call, &(struct ctl_result){.job = call->job}, NULL);
	} else {
		err_set(&late, ERR_STATE, "job '%s' has ended already (%s)", call->job->id,
			job_state_word(call->job->state));
		call_answer(call, NULL, &late);
	}
}

void ctl_job_cancel(struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, id, NULL, done, arg);
	call->op.run = find_run;
	call->op.finish = cancel_finish;
	auth_may_change(who, &call->refusal);
	call_submit(c, call);
}

/* ---- delete ---- */

static int delete_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	int r = store_job_get(tx, call->who.org, call->id, &call->job, err);
	return r < 0 ? r : store_job_delete(tx, call->who.org, call->job->id, err);
}

static void delete_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	if (r < 0) {
		call_answer(call, NULL, err);
		return;
	}
	ctl_counts_of(op->ctl, call->who.org)->jobs[call->job->state]--;
	call_answer(call, &(struct ctl_result){.job = call->job}, NULL);
}

void ctl_job_delete(struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, id, NULL, done, arg);
	call->op.run = delete_run;
	call->op.finish = delete_finish;
	auth_may_change(who, &call->refusal);
	call_submit(c, call);
}

/* ---- get ---- */

static void get_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	if (r < 0)
		call_answer(call, NULL, err);
	else
		call_answer(call, &(struct ctl_result){.job = job_freshest(op->ctl, call->job)}, NULL);
}

void ctl_job_get(struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, id, NULL, done, arg);
	call->op.run = find_run;
	call->op.finish = get_finish;
	call_submit(c, call);
}
