/* SPDX-License-Identifier: Apache-2.0 */
/* Many jobs in one transaction: each is made or refused by itself, all of it is repeated by one key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/mem.h"
#include "ctl/ctl_batch.h"
#include "ctl/ctl_call.h"

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
	int born[JOB_STATE_COUNT];
	const struct job *last; /* the one before, in the transaction; its specification as text */
	struct buf last_text;
	size_t *order, ordered; /* of jobs[]: each behind those it waits for */
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
	free(b->order);
	buf_done(&b->last_text);
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

/* A dependency that cannot be is the job's own fault; only the store's failures are everybody's. */
static int batch_birth(struct store_tx *tx, struct batch_call *b, size_t i, struct err *err)
{
	struct ctl_batch_item *item = &b->items[i];
	if (depend_resolve(tx, b->jobs[i], &item->err) >= 0) {
		b->born[b->jobs[i]->state]++;
		if (!b->last || !job_spec_equal(&b->last->spec, &b->jobs[i]->spec))
			buf_clear(&b->last_text);
		b->last = b->jobs[i];
		return store_job_insert_uncounted(tx, b->jobs[i], &b->last_text, err);
	}
	if (item->err.code != ERR_INVALID && item->err.code != ERR_STATE) {
		*err = item->err;
		return -err->code;
	}
	job_free(STEAL(b->jobs[i]));
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
	for (size_t i = 0; r >= 0 && i < b->ordered; i++)
		r = batch_birth(tx, b, b->order[i], err);
	for (int state = 0; r >= 0 && state < JOB_STATE_COUNT; state++)
		r = store_jobs_count(tx, b->who.org, (enum job_state)state, b->born[state], err);
	if (r >= 0 && b->has_key)
		r = store_idempotency_insert(tx, b->who.org, b->key, b->body_sha256, b->id, b->now_ms, err);
	return r;
}

static void batch_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct batch_call *b = CONTAINER_OF(op, struct batch_call, op);
	FP("ctl.batch.durable");
	if (r < 0) {
		batch_answer(b, err);
		return;
	}
	for (size_t n = 0; !b->replayed && n < b->ordered; n++) {
		size_t i = b->order[n];
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
	struct map *names = batch_names(jobs, b->count);
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
	b->ordered = batch_order(b->jobs, b->items, b->count, names, b->order);
	map_free(names);
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
	b->order = mem_alloc((count ? count : 1) * sizeof(*b->order));
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
