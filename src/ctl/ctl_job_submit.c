/* SPDX-License-Identifier: Apache-2.0 */
/* Submission of a job: checks, then one transaction that makes row, events and key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/failpoint.h"
#include "base/mem.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_int.h"

/* ---- what one and many share ---- */

/* Now or when what runs has ended, before its deadline. */
static int check_can_start(struct ctl *c, const struct principal *who, const struct job_spec *s,
			   struct err *err)
{
	struct sched_item item = {.org = who->org,
				  .user = who->user,
				  .name = s->name,
				  .labels = s->node_labels,
				  .purpose = PURPOSE_TRAINING,
				  .want = s->limits,
				  .tasks = s->tasks};
	int64_t earliest = ctl_wall(c);
	if (s->start_after_ms > earliest)
		earliest = s->start_after_ms;
	if (s->deadline_ms && earliest + s->max_duration_ms >= s->deadline_ms)
		return err_set(
		    err, ERR_INVALID,
		    "deadline: it could not end before its deadline even if it started at once; give it "
		    "more time");
	ctl_nodes_update(c);
	return sched_check(c->sched, &item, err);
}

int submit_check(struct ctl *c, const struct principal *who, struct job_spec *spec, int64_t more,
		 struct err *err)
{
	const struct ctl_counts *counts = ctl_counts_of(c, who->org);
	int64_t live = counts->jobs[JOB_SUBMITTED] + counts->jobs[JOB_QUEUED] + counts->jobs[JOB_STARTING] +
		       counts->jobs[JOB_RUNNING] + more;
	int r = auth_may_change(who, err);
	if (r >= 0 && live >= CTL_LIVE_JOBS_MAX)
		r = err_set(err, ERR_QUOTA,
			    "organisation '%s' has %lld unfinished jobs; wait for some to end", who->org,
			    (long long)live);
	if (r >= 0 && spec->package)
		r = check_bucket("package", spec->package, who->org, err);
	if (r >= 0)
		r = resolve_framework(c, &spec->framework, &spec->framework_version, err);
	if (r < 0)
		return r;
	r = quota_check(c, who->org, who->user, more + 1, err);
	return r < 0 ? r : check_can_start(c, who, spec, err);
}

/* Everything but the id, which must be there. */
void job_fill(struct ctl *c, const struct principal *who, struct job *job)
{
	memcpy(job->org, who->org, sizeof(job->org));
	memcpy(job->user, who->user, sizeof(job->user));
	job->state = JOB_QUEUED;
	snprintf(job->reason, sizeof(job->reason), "queued");
	snprintf(job->message, sizeof(job->message), JOB_BIRTH_MESSAGE);
	job->created_ms = job->queued_ms = ctl_wall(c);
	if (job->spec.queue_timeout_ms)
		job->deadline_ms = job->created_ms + job->spec.queue_timeout_ms;
	snprintf(job->output_uri, sizeof(job->output_uri), "fds://%s/jobs/%s/output/", job->org, job->id);
}

struct ctl_job *job_born(struct ctl *c, struct job *job)
{
	struct ctl_job *cj = job_adopt(c, job);
	struct err err = ERR_INIT;
	if (job->state == JOB_SUBMITTED)
		depend_begin(cj, NULL, &err);
	ctl_counts_of(c, job->org)->jobs[job->state]++;
	notify_job(cj);
	return cj;
}

/* ---- one ---- */

static int replay_run(struct store_tx *tx, struct ctl_call *call, const char *id, struct err *err)
{
	struct job *first = NULL;
	call->replayed = true;
	if (store_job_get(tx, call->who.org, id, &first, err) < 0)
		return err->code != ERR_NOT_FOUND ? -err->code
						  : err_set(err, ERR_CONFLICT,
							    "the job that was made with the idempotency key "
							    "'%s' was deleted; choose a new key",
							    call->key);
	job_free(call->job);
	call->job = first;
	return 0;
}

static int submit_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct job *job = call->job;
	char id[16];
	int r = 0;
	if (call->has_key)
		r = store_idempotency_find(tx, job->org, call->key, call->body_sha256, job->created_ms, id,
					   err);
	if (r != 0)
		return r < 0 ? r : replay_run(tx, call, id, err);
	r = depend_resolve(tx, job, err);
	if (r >= 0)
		r = store_job_insert(tx, job, err);
	if (r >= 0 && call->has_key)
		r = store_idempotency_insert(tx, job->org, call->key, call->body_sha256, job->id,
					     job->created_ms, err);
	return r;
}

static void submit_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct ctl *c = op->ctl;
	FP("ctl.submit.durable");
	if (r < 0)
		call_answer(call, NULL, err);
	else if (call->replayed)
		call_answer(call, &(struct ctl_result){.job = job_freshest(c, call->job), .replayed = true},
			    NULL);
	else
		call_answer(call, &(struct ctl_result){.job = job_born(c, STEAL(call->job))->job}, NULL);
}

void ctl_job_submit(struct ctl *c, const struct principal *who, const struct job_spec *spec,
		    const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, NULL, idem, done, arg);
	struct job *job = call->job = job_new();
	call->op.run = submit_run;
	call->op.finish = submit_finish;
	job->id[0] = 'j';
	rng_id(c->config.rng, job->id + 1, 9);
	if (job_spec_copy(spec, &job->spec) < 0)
		err_set(&call->refusal, ERR_NO_MEMORY, "the job's specification does not fit into memory");
	else if (submit_check(c, who, &job->spec, 0, &call->refusal) >= 0)
		job_fill(c, who, job);
	call_submit(c, call);
}
