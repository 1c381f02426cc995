/* SPDX-License-Identifier: Apache-2.0 */
/* Submission: checks, then one transaction that makes row, events and key, for one job or for a batch. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_int.h"

/* ---- what one and many share ---- */

int submit_check(struct ctl *c, const struct principal *who, struct job_spec *spec, int64_t more,
		 struct err *err)
{
	struct resources capacity;
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
	c->config.backend->ops->capacity(c->config.backend, &capacity);
	return sched_check(&spec->limits, &capacity, err);
}

/* Everything but the id, which must be there. */
void job_fill(struct ctl *c, const struct principal *who, struct job *job)
{
	memcpy(job->org, who->org, sizeof(job->org));
	memcpy(job->user, who->user, sizeof(job->user));
	job->state = JOB_QUEUED;
	snprintf(job->reason, sizeof(job->reason), "queued");
	snprintf(job->message, sizeof(job->message), "waits for its turn");
	job->created_ms = job->queued_ms = ctl_wall(c);
	if (job->spec.queue_timeout_ms)
		job->deadline_ms = job->created_ms + job->spec.queue_timeout_ms;
	snprintf(job->output_uri, sizeof(job->output_uri), "fds://%s/jobs/%s/output/", job->org, job->id);
}

/* A job is born with its whole history so far. On the database thread. */
int job_birth(struct store_tx *tx, struct job *job, struct err *err)
{
	struct event e;
	int r = store_job_insert(tx, job, err);
	if (r < 0)
		return r;
	job_event_make(&e, job->id, job->created_ms, "submitted", job->user, "submitted by %s", job->user);
	r = store_event_insert_first(tx, job->org, &e, err);
	if (r < 0 || job->state != JOB_QUEUED)
		return r;
	job_event_make(&e, job->id, job->created_ms, "queued", "controller", "%s", job->message);
	return store_event_insert_first(tx, job->org, &e, err);
}

struct ctl_job *job_born(struct ctl *c, struct job *job)
{
	struct ctl_job *cj = job_adopt(c, job);
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
	r = job_birth(tx, job, err);
	if (r >= 0 && call->has_key)
		r = store_idempotency_insert(tx, job->org, call->key, call->body_sha256, job->id,
					     job->created_ms, err);
	return r;
}

static void submit_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct ctl *c = op->ctl;
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

/* ---- many ---- */

struct batch_call {
	struct ctl_op op;
	struct principal who;
	bool has_key, replayed;
	char key[STORE_IDEMPOTENCY_KEY_MAX + 2], body_sha256[65];
	char id[16]; /* of the batch; the ids of its jobs follow from it */
	int64_t now_ms;
	struct err refusal;
	struct ctl_batch_item *items; /* owned */
	struct job **jobs;	      /* owned; NULL where the item was refused */
	size_t count;
	ctl_batch_fn *done;
	void *arg;
};

/* Ids that follow from the batch's: a repeated request finds its jobs again without a list of them. */
static void batch_job_id(const char *batch, size_t index, char ret[16])
{
	char text[64], hex[DIGEST_HEX_LEN + 1];
	struct rng rng;
	snprintf(text, sizeof(text), "%s/%zu", batch, index);
	digest_of(text, strlen(text), hex);
	hex[16] = 0;
	rng_seed(&rng, strtoull(hex, NULL, 16));
	ret[0] = 'j';
	rng_id(&rng, ret + 1, 9);
}

static void batch_answer(struct batch_call *b, const struct err *err)
{
	static const struct err none = ERR_INIT;
	struct ctl_batch_result result = {.items = b->items, .count = b->count, .replayed = b->replayed};
	ctl_batch_fn *done = STEAL(b->done);
	if (done)
		done(b->arg, &result, err ? err : &none);
}

static void batch_abandon(struct ctl_op *op, const struct err *err)
{
	batch_answer(CONTAINER_OF(op, struct batch_call, op), err);
}

static void batch_release(struct ctl_op *op)
{
	struct batch_call *b = CONTAINER_OF(op, struct batch_call, op);
	for (size_t i = 0; i < b->count; i++)
		job_free(b->jobs[i]);
	free(b->jobs);
	free(b->items);
	free(b);
}

static void item_take(struct ctl_batch_item *item, const struct job *job)
{
	memcpy(item->id, job->id, sizeof(item->id));
	snprintf(item->name, sizeof(item->name), "%s", job->spec.name);
	item->state = job->state;
	item->err = ERR_INIT;
}

/* What was made the first time is found by its id; what was refused then is refused again. */
static int batch_replay(struct store_tx *tx, struct batch_call *b, const char *id, struct err *err)
{
	b->replayed = true;
	for (size_t i = 0; i < b->count; i++) {
		struct ctl_batch_item *item = &b->items[i];
		CLEANUP(job) struct job *first = NULL;
		char job_id[16];
		batch_job_id(id, i, job_id);
		int r = store_job_get(tx, b->who.org, job_id, &first, err);
		if (r < 0 && err->code != ERR_NOT_FOUND)
			return r;
		if (r >= 0)
			item_take(item, first);
		else if (!item->err.code)
			err_set(&item->err, ERR_CONFLICT,
				"this job was refused or deleted since the first request with the key '%s'; "
				"choose a new key",
				b->key);
	}
	*err = ERR_INIT;
	return 0;
}

static int batch_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct batch_call *b = CONTAINER_OF(op, struct batch_call, op);
	char first[16];
	int r = 0;
	if (b->refusal.code) {
		*err = b->refusal;
		return -err->code;
	}
	if (b->has_key)
		r = store_idempotency_find(tx, b->who.org, b->key, b->body_sha256, b->now_ms, first, err);
	if (r != 0)
		return r < 0 ? r : batch_replay(tx, b, first, err);
	for (size_t i = 0; r >= 0 && i < b->count; i++)
		if (b->jobs[i])
			r = job_birth(tx, b->jobs[i], err);
	if (r >= 0 && b->has_key)
		r = store_idempotency_insert(tx, b->who.org, b->key, b->body_sha256, b->id, b->now_ms, err);
	return r;
}

static void batch_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct batch_call *b = CONTAINER_OF(op, struct batch_call, op);
	if (r < 0) {
		batch_answer(b, err);
		return;
	}
	for (size_t i = 0; !b->replayed && i < b->count; i++) {
		if (!b->jobs[i])
			continue;
		item_take(&b->items[i], b->jobs[i]);
		job_born(op->ctl, STEAL(b->jobs[i]));
	}
	batch_answer(b, NULL);
}

static void batch_fill(struct ctl *c, struct batch_call *b, struct job **jobs)
{
	int64_t accepted = 0;
	for (size_t i = 0; i < b->count; i++) {
		struct job *job = STEAL(jobs[i]);
		struct ctl_batch_item *item = &b->items[i];
		if (!job)
			continue;
		if (submit_check(c, &b->who, &job->spec, accepted, &item->err) < 0) {
			job_free(job);
			continue;
		}
		accepted++;
		batch_job_id(b->id, i, job->id);
		job_fill(c, &b->who, job);
		b->jobs[i] = job;
	}
}

void ctl_job_submit_batch(struct ctl *c, const struct principal *who, struct job **jobs,
			  const struct err *refusals, size_t count, const struct ctl_idempotency *idem,
			  ctl_batch_fn *done, void *arg)
{
	struct batch_call *b = MEM_NEW(struct batch_call);
	b->op = (struct ctl_op){
	    .run = batch_run, .finish = batch_finish, .abandon = batch_abandon, .release = batch_release};
	b->who = *who;
	b->done = done;
	b->arg = arg;
	b->now_ms = ctl_wall(c);
	b->id[0] = 'b';
	rng_id(c->config.rng, b->id + 1, 9);
	if (idem && idem->key) {
		b->has_key = true;
		snprintf(b->key, sizeof(b->key), "%s", idem->key);
		snprintf(b->body_sha256, sizeof(b->body_sha256), "%s", idem->body_sha256);
	}
	b->count = count;
	b->items = mem_alloc((count ? count : 1) * sizeof(*b->items));
	b->jobs = mem_alloc((count ? count : 1) * sizeof(*b->jobs));
	for (size_t i = 0; i < count; i++)
		b->items[i].err = refusals[i];
	if (count < 1 || count > CTL_BATCH_MAX)
		err_set(&b->refusal, ERR_INVALID, "the batch has %zu jobs; it may have 1 to %d", count,
			CTL_BATCH_MAX);
	if (auth_may_change(who, &b->refusal) >= 0)
		batch_fill(c, b, jobs);
	for (size_t i = 0; i < count; i++)
		job_free(STEAL(jobs[i]));
	ctl_op_submit(c, &b->op);
}
