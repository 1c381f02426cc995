/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about jobs that are there: cancel, delete, get; and what all calls share. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
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
	service_free(call->wish);
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

void job_id_of(const char *text, char ret[16])
{
	char hex[DIGEST_HEX_LEN + 1];
	struct rng rng;
	digest_of(text, strlen(text), hex);
	hex[16] = 0;
	rng_seed(&rng, strtoull(hex, NULL, 16));
	ret[0] = 'j';
	rng_id(&rng, ret + 1, 9);
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

const struct job *job_freshest(struct ctl *c, const struct job *row)
{
	struct ctl_job *cj = map_get(c->jobs, row->id);
	if (cj)
		want_refresh(&cj->want);
	return cj ? cj->job : row;
}

/* ---- cancel ---- */

static int find_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	return store_job_get(tx, call->who.org, call->id, &call->job, err);
}

/* A key remembers which job was meant: a name may be another job's by the time a request is repeated. */
static int find_once(struct store_tx *tx, struct ctl_call *call, struct err *err)
{
	char id[16];
	int r = call->has_key ? store_idempotency_find(tx, call->who.org, call->key, call->body_sha256,
						       call->now_ms, id, err)
			      : 0;
	if (r < 0)
		return r;
	call->replayed = r > 0;
	if (call->replayed)
		memcpy(call->id, id, sizeof(id));
	r = store_job_get(tx, call->who.org, call->id, &call->job, err);
	if (r >= 0 && call->has_key && !call->replayed)
		r = store_idempotency_insert(tx, call->who.org, call->key, call->body_sha256, call->job->id,
					     call->now_ms, err);
	return r;
}

static int cancel_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	return find_once(tx, CONTAINER_OF(op, struct ctl_call, op), err);
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
		call_answer(call, &(struct ctl_result){.job = call->job, .replayed = call->replayed}, NULL);
	} else {
		err_set(&late, ERR_STATE, "job '%s' has ended already (%s)", call->job->id,
			job_state_word(call->job->state));
		call_answer(call, NULL, &late);
	}
}

void ctl_job_cancel(struct ctl *c, const struct principal *who, const char *id,
		    const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, id, idem, done, arg);
	call->now_ms = ctl_wall(c);
	call->op.run = cancel_run;
	call->op.finish = cancel_finish;
	auth_may_change(who, &call->refusal);
	call_submit(c, call);
}

/* ---- delete ---- */

static int key_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	char id[16];
	return store_idempotency_find(tx, call->who.org, call->key, call->body_sha256, call->now_ms, id, err);
}

static void key_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	call_answer(call, &(struct ctl_result){.replayed = r > 0}, r < 0 ? err : NULL);
}

void ctl_key_check(struct ctl *c, const struct principal *who, const struct ctl_idempotency *idem,
		   ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, NULL, idem, done, arg);
	call->now_ms = ctl_wall(c);
	call->op.run = key_run;
	call->op.finish = key_finish;
	call_submit(c, call);
}

static int delete_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	int r = find_once(tx, call, err);
	if (r == -ERR_NOT_FOUND && call->replayed)
		return 0; /* it is gone: that was the wish */
	return r < 0 ? r : store_job_delete(tx, call->who.org, call->job->id, err);
}

static void delete_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	if (r < 0) {
		call_answer(call, NULL, err);
		return;
	}
	if (call->job)
		ctl_counts_of(op->ctl, call->who.org)->jobs[call->job->state]--;
	call_answer(call, &(struct ctl_result){.job = call->job, .replayed = call->replayed}, NULL);
}

void ctl_job_delete(struct ctl *c, const struct principal *who, const char *id,
		    const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, id, idem, done, arg);
	call->now_ms = ctl_wall(c);
	const struct job *waits = depend_who(c, id);
	call->op.run = delete_run;
	call->op.finish = delete_finish;
	if (waits && strcmp(waits->org, who->org) == 0)
		err_set(&call->refusal, ERR_STATE,
			"job '%s' (%s) starts after it; cancel that one first, or wait for it",
			waits->spec.name, waits->id);
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
