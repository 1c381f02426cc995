/* SPDX-License-Identifier: Apache-2.0 */
/* Crons: the mover of their rows, and their calls. A tick is one transaction: the row's next tick, the job,
 * the event. The job's id follows from cron and tick, so that a tick never makes two. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/unit.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_int.h"

#define LOOK_MS 60000 /* the wall clock may jump: looked at so often at least */
#define LATE_MS 60000 /* a tick that is older was missed */

struct ctl_cron {
	struct ctl *ctl;
	struct cron *cron;
	struct cron_schedule schedule;
	struct ctl_timer due;
	struct list pending; /* of cron_op.queued, while 'busy' is on its way */
	bool busy;
};

enum cron_step { STEP_MAKE, STEP_TICK, STEP_CHANGE };

struct cron_op {
	struct ctl_op op;
	struct list queued;
	enum cron_step step;
	enum ctl_cron_change what;
	struct ctl_cron *cc; /* loop's thread only; NULL of STEP_MAKE */
	struct cron *made;   /* owned, of STEP_MAKE */
	struct cron after;   /* its job is borrowed and not read */
	int64_t version_before, now_ms;
	struct job *job; /* owned; of a tick; NULL = none */
	char replaces[16];
	struct event event;
	char user[CORE_NAME_MAX + 1], org[CORE_NAME_MAX + 1];
	bool has_key, replayed;
	char key[STORE_IDEMPOTENCY_KEY_MAX + 2], body_sha256[65], first_id[16];
	struct err refusal;
	ctl_done_fn *done;
	void *arg;
};

static void answer(struct cron_op *o, const struct cron *cron, const struct err *err)
{
	static const struct err none = ERR_INIT;
	struct ctl_result result = {.cron = cron, .replayed = o->replayed};
	ctl_done_fn *done = STEAL(o->done);
	if (done)
		done(o->arg, &result, err ? err : &none);
}

static void op_abandon(struct ctl_op *op, const struct err *err)
{
	answer(CONTAINER_OF(op, struct cron_op, op), NULL, err);
}

static void op_free(struct cron_op *o)
{
	cron_free(o->made);
	job_free(o->job);
	free(o);
}

static void op_release(struct ctl_op *op)
{
	op_free(CONTAINER_OF(op, struct cron_op, op));
}

/* ---- on the database thread ---- */

static int step_run(struct store_tx *tx, struct cron_op *o, struct err *err)
{
	if (o->step == STEP_MAKE)
		return store_cron_insert(tx, o->made, err);
	if (o->step == STEP_CHANGE && o->what == CTL_CRON_DELETE)
		return store_cron_delete(tx, &o->after, err);
	int r = store_cron_update(tx, &o->after, o->version_before, err);
	if (r >= 0 && o->job)
		r = depend_resolve(tx, o->job, err);
	if (r >= 0 && o->job)
		r = store_job_insert(tx, o->job, err);
	return r;
}

static int op_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct cron_op *o = CONTAINER_OF(op, struct cron_op, op);
	if (o->refusal.code) {
		*err = o->refusal;
		return -err->code;
	}
	int r = o->has_key
		    ? store_idempotency_find(tx, o->org, o->key, o->body_sha256, o->now_ms, o->first_id, err)
		    : 0;
	o->replayed = r > 0;
	if (r != 0)
		return r < 0 ? r : 0;
	r = step_run(tx, o, err);
	if (r >= 0 && o->event.subject[0])
		r = store_event_insert(tx, o->org, &o->event, err);
	if (r >= 0 && o->has_key)
		r = store_idempotency_insert(tx, o->org, o->key, o->body_sha256,
					     o->made ? o->made->id : o->after.id, o->now_ms, err);
	return r;
}

/* Of a cron that is not there: only a key may know more. */
static int replay_only_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct cron_op *o = CONTAINER_OF(op, struct cron_op, op);
	int r = store_idempotency_find(tx, o->org, o->key, o->body_sha256, o->now_ms, o->first_id, err);
	o->replayed = r > 0;
	return r != 0 ? (r < 0 ? r : 0)
		      : err_set(err, ERR_NOT_FOUND, "there is no cron '%s'; run 'cloudml cron list'",
				o->after.name);
}

/* ---- in memory ---- */

static void cron_due(void *arg);
static void op_begin(struct cron_op *o);

static void cron_arm(struct ctl_cron *cc)
{
	int64_t left = cc->cron->next_ms - ctl_wall(cc->ctl);
	timer_clear(cc->ctl, &cc->due);
	if (!cc->cron->paused)
		timer_set(cc->ctl, &cc->due,
			  ctl_now(cc->ctl) + (left < 0	       ? 0
					      : left > LOOK_MS ? LOOK_MS
							       : left));
}

static struct ctl_cron *cron_adopt(struct ctl *c, struct cron *cron)
{
	struct ctl_cron *cc = MEM_NEW(struct ctl_cron);
	struct err err = ERR_INIT;
	cc->ctl = c;
	cc->cron = cron;
	cc->due = (struct ctl_timer){.fn = cron_due, .arg = cc};
	list_init(&cc->pending);
	if (cron_schedule_parse(cron->schedule, &cc->schedule, &err) < 0)
		cron->paused = true; /* was checked when it was made */
	map_set(c->crons, cron->id, cc);
	cron_arm(cc);
	return cc;
}

static void cron_drop(struct ctl_cron *cc)
{
	struct cron_op *o;
	struct err gone = ERR_INIT;
	err_set(&gone, ERR_NOT_FOUND, "there is no cron '%s' any more", cc->cron->name);
	LIST_EACH(o, &cc->pending, queued)
	{
		list_remove(&o->queued);
		answer(o, NULL, &gone);
		op_free(o);
	}
	timer_clear(cc->ctl, &cc->due);
	map_delete(cc->ctl->crons, cc->cron->id);
	cron_free(cc->cron);
	free(cc);
}

static void adopt_each(void *arg, struct cron *cron)
{
	cron_adopt(arg, cron);
}

int crons_load(struct store_tx *tx, struct ctl *c, struct err *err)
{
	return store_cron_each(tx, adopt_each, c, err);
}

/* One that is on its way to the store is left to its answer: its row is gone, so it changes nothing. */
void crons_forget(struct ctl *c, const char *org)
{
	const char *id;
	void *value;
	for (size_t i = 0; map_next(c->crons, &i, &id, &value);) {
		struct ctl_cron *cc = value;
		if (strcmp(cc->cron->org, org) == 0 && !cc->busy)
			cron_drop(cc);
	}
}

void crons_free(struct ctl *c)
{
	const char *id;
	void *value;
	for (size_t i = 0; map_next(c->crons, &i, &id, &value);)
		cron_drop(value);
}

static struct ctl_cron *find(struct ctl *c, const char *org, const char *name)
{
	const char *id;
	void *value;
	for (size_t i = 0; map_next(c->crons, &i, &id, &value);) {
		struct cron *cron = ((struct ctl_cron *)value)->cron;
		if (strcmp(cron->org, org) == 0 &&
		    (strcmp(cron->name, name) == 0 || strcmp(cron->id, name) == 0))
			return value;
	}
	return NULL;
}

/* ---- after the commit ---- */

static void nobody(void *arg, const struct ctl_result *result, const struct err *err)
{
}

static void replaced(struct ctl *c, struct cron_op *o)
{
	struct principal who = {.role = ROLE_MEMBER};
	memcpy(who.org, o->org, sizeof(who.org));
	memcpy(who.user, o->user, sizeof(who.user));
	if (o->replaces[0])
		ctl_job_cancel(c, &who, o->replaces, NULL, nobody, NULL);
}

static void step_apply(struct ctl *c, struct cron_op *o)
{
	struct ctl_cron *cc = o->cc;
	if (o->step == STEP_MAKE) {
		cc = cron_adopt(c, STEAL(o->made));
		answer(o, cc->cron, NULL);
		return;
	}
	if (o->step == STEP_CHANGE && o->what == CTL_CRON_DELETE) {
		answer(o, NULL, NULL);
		cron_drop(cc);
		return;
	}
	struct job_spec spec = cc->cron->job;
	*cc->cron = o->after;
	cc->cron->job = spec;
	if (o->job) {
		job_born(c, STEAL(o->job));
		replaced(c, o);
	}
	cron_arm(cc);
	answer(o, cc->cron, NULL);
}

static void replay_apply(struct ctl *c, struct cron_op *o)
{
	struct ctl_cron *cc = map_get(c->crons, o->first_id);
	struct err err = ERR_INIT;
	if (!cc && o->step == STEP_MAKE)
		err_set(&err, ERR_CONFLICT,
			"the cron that was made with the idempotency key '%s' was deleted; choose a new key",
			o->key);
	answer(o, cc ? cc->cron : NULL, &err);
}

static void op_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct cron_op *o = CONTAINER_OF(op, struct cron_op, op);
	struct ctl *c = op->ctl;
	struct ctl_cron *cc = o->cc;
	char id[16] = "";
	FP("ctl.cron.durable");
	if (cc) {
		cc->busy = false;
		memcpy(id, cc->cron->id, sizeof(id));
	}
	if (r < 0) {
		if (o->step == STEP_TICK) {
			log_warn("cron.tick cron=%s error=\"%s\"", id, err->msg);
			timer_set(c, &cc->due, ctl_now(c) + ctl_backoff(c, 5));
		}
		answer(o, NULL, err);
	} else if (o->replayed) {
		replay_apply(c, o);
	} else {
		step_apply(c, o);
	}
	cc = id[0] ? map_get(c->crons, id) : NULL; /* it may be gone */
	if (cc && !cc->busy && !list_empty(&cc->pending)) {
		struct cron_op *next = LIST_ENTRY(cc->pending.next, struct cron_op, queued);
		list_remove(&next->queued);
		op_begin(next);
	}
}

/* ---- ticks ---- */

static void event_make(struct cron_op *o, const char *reason, const char *actor, const char *message)
{
	char subject[CORE_NAME_MAX + 8];
	snprintf(subject, sizeof(subject), "cron/%s", o->made ? o->made->name : o->after.name);
	job_event_make(&o->event, subject, o->now_ms, reason, actor, "%s", message);
}

static void tick_job_id(const struct cron *cron, int64_t tick_ms, char ret[16])
{
	char text[64], hex[DIGEST_HEX_LEN + 1];
	struct rng rng;
	snprintf(text, sizeof(text), "%s@%lld", cron->id, (long long)tick_ms);
	digest_of(text, strlen(text), hex);
	hex[16] = 0;
	rng_seed(&rng, strtoull(hex, NULL, 16));
	ret[0] = 'j';
	rng_id(&rng, ret + 1, 9);
}

static int tick_job(struct cron_op *o, int64_t tick_ms, struct err *err)
{
	struct ctl *c = o->cc->ctl;
	struct cron *cron = o->cc->cron;
	struct principal who = {.role = ROLE_MEMBER};
	memcpy(who.org, cron->org, sizeof(who.org));
	memcpy(who.user, cron->user, sizeof(who.user));
	struct job *job = job_new();
	job_spec_copy(&cron->job, &job->spec);
	int r = submit_check(c, &who, &job->spec, 0, err);
	if (r < 0) {
		job_free(job);
		return r;
	}
	tick_job_id(cron, tick_ms, job->id);
	job_fill(c, &who, job);
	o->job = job;
	memcpy(o->after.last_job, job->id, sizeof(o->after.last_job));
	o->after.last_ms = tick_ms;
	return 0;
}

static void tick_prepare(struct cron_op *o)
{
	struct ctl_cron *cc = o->cc;
	struct ctl_job *before = map_get(cc->ctl->jobs, cc->cron->last_job);
	int64_t tick = cc->cron->next_ms;
	bool is_late = o->now_ms - tick > LATE_MS;
	char when[32], message[400];
	struct err err = ERR_INIT;
	unit_format_time(tick, when);
	o->after.next_ms = cron_schedule_next(&cc->schedule, o->now_ms > tick ? o->now_ms : tick);
	if (is_late && cc->cron->missed == CRON_DROP) {
		snprintf(message, sizeof(message), "the tick of %s passed while no server ran", when);
		event_make(o, "missed", "controller", message);
	} else if (before && cc->cron->overlap == CRON_SKIP) {
		snprintf(message, sizeof(message),
			 "no job for the tick of %s: job %s of the one before still lives", when,
			 before->job->id);
		event_make(o, "skipped", "controller", message);
	} else if (tick_job(o, tick, &err) < 0) {
		snprintf(message, sizeof(message), "no job for the tick of %s: %.300s", when, err.msg);
		event_make(o, "refused", "controller", message);
	} else {
		if (before && cc->cron->overlap == CRON_REPLACE)
			memcpy(o->replaces, before->job->id, sizeof(o->replaces));
		snprintf(message, sizeof(message), "job %s for the tick of %s", o->job->id, when);
		event_make(o, "submitted", "controller", message);
	}
}

static void cron_due(void *arg)
{
	struct ctl_cron *cc = arg;
	struct ctl *c = cc->ctl;
	if (cc->busy || cc->cron->paused || !map_get(c->orgs, cc->cron->org) ||
	    map_get(c->purges, cc->cron->org))
		return;
	if (!c->attached || ctl_wall(c) < cc->cron->next_ms) {
		int64_t left = cc->cron->next_ms - ctl_wall(c);
		timer_set(c, &cc->due, ctl_now(c) + (left < 1000 ? 1000 : left > LOOK_MS ? LOOK_MS : left));
		return;
	}
	struct cron_op *o = MEM_NEW(struct cron_op);
	o->step = STEP_TICK;
	o->cc = cc;
	op_begin(o);
}

/* ---- calls ---- */

static void change_prepare(struct cron_op *o)
{
	static const char *const words[] = {"paused", "resumed", "deleted"};
	bool was_paused = o->after.paused;
	char message[CORE_NAME_MAX + 40];
	if (o->what == CTL_CRON_DELETE)
		return;
	o->after.paused = o->what == CTL_CRON_PAUSE;
	if (was_paused && !o->after.paused) /* what passed meanwhile was not wanted */
		o->after.next_ms = cron_schedule_next(&o->cc->schedule, o->now_ms);
	snprintf(message, sizeof(message), "%s by %s", words[o->what], o->user);
	event_make(o, words[o->what], o->user, message);
}

/* One step at a time: it is made of the row as the step before left it. */
static void op_begin(struct cron_op *o)
{
	struct ctl_cron *cc = o->cc;
	if (cc->busy) {
		list_append(&cc->pending, &o->queued);
		return;
	}
	cc->busy = true;
	o->op =
	    (struct ctl_op){.run = op_run, .finish = op_finish, .abandon = op_abandon, .release = op_release};
	o->now_ms = ctl_wall(cc->ctl);
	o->after = *cc->cron;
	o->version_before = cc->cron->version;
	o->after.version++;
	memcpy(o->org, cc->cron->org, sizeof(o->org));
	if (o->step == STEP_TICK) {
		memcpy(o->user, cc->cron->user, sizeof(o->user));
		tick_prepare(o);
	} else {
		change_prepare(o);
	}
	ctl_op_submit(cc->ctl, &o->op);
}

static struct cron_op *call_of(struct ctl *c, const struct principal *who, const struct ctl_idempotency *idem,
			       ctl_done_fn *done, void *arg)
{
	struct cron_op *o = MEM_NEW(struct cron_op);
	o->op =
	    (struct ctl_op){.run = op_run, .finish = op_finish, .abandon = op_abandon, .release = op_release};
	list_init(&o->queued);
	o->now_ms = ctl_wall(c);
	memcpy(o->org, who->org, sizeof(o->org));
	memcpy(o->user, who->user, sizeof(o->user));
	if (idem && idem->key) {
		o->has_key = true;
		snprintf(o->key, sizeof(o->key), "%s", idem->key);
		snprintf(o->body_sha256, sizeof(o->body_sha256), "%s", idem->body_sha256);
	}
	o->done = done;
	o->arg = arg;
	auth_may_change(who, &o->refusal);
	return o;
}

static void make_check(struct ctl *c, const struct principal *who, struct cron *cron, struct err *err)
{
	struct cron_schedule schedule;
	CLEANUP(free) const struct cron **all = NULL;
	CLEANUP(job) struct job *trial = job_new();
	size_t count;
	all = ctl_cron_list(c, who->org, &count);
	job_spec_copy(&cron->job, &trial->spec); /* its versions are resolved anew at each tick */
	if (count >= CTL_CRONS_MAX)
		err_set(err, ERR_QUOTA, "organisation '%s' has %d crons; delete some", who->org,
			CTL_CRONS_MAX);
	else if (cron_schedule_parse(cron->schedule, &schedule, err) >= 0 &&
		 submit_check(c, who, &trial->spec, 0, err) >= 0)
		cron->next_ms = cron_schedule_next(&schedule, cron->created_ms);
}

void ctl_cron_create(struct ctl *c, const struct principal *who, struct cron *cron,
		     const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg)
{
	struct cron_op *o = call_of(c, who, idem, done, arg);
	char message[CORE_NAME_MAX + 40];
	o->step = STEP_MAKE;
	o->made = cron;
	cron->id[0] = 'c';
	rng_id(c->config.rng, cron->id + 1, 9);
	memcpy(cron->org, who->org, sizeof(cron->org));
	memcpy(cron->user, who->user, sizeof(cron->user));
	cron->created_ms = o->now_ms;
	if (!o->refusal.code)
		make_check(c, who, cron, &o->refusal);
	snprintf(message, sizeof(message), "made by %s", who->user);
	event_make(o, "created", who->user, message);
	ctl_op_submit(c, &o->op);
}

void ctl_cron_change(struct ctl *c, const struct principal *who, const char *name, enum ctl_cron_change what,
		     const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg)
{
	struct cron_op *o = call_of(c, who, idem, done, arg);
	struct ctl_cron *cc = find(c, who->org, name);
	o->step = STEP_CHANGE;
	o->what = what;
	if (cc && !o->refusal.code) {
		o->cc = cc;
		op_begin(o);
		return;
	}
	/* Its key may know that it was there. */
	if (!o->refusal.code && !o->has_key)
		err_set(&o->refusal, ERR_NOT_FOUND, "there is no cron '%.80s'; run 'cloudml cron list'",
			name);
	snprintf(o->after.name, sizeof(o->after.name), "%.63s", name);
	o->op.run = o->refusal.code ? op_run : replay_only_run;
	ctl_op_submit(c, &o->op);
}

const struct cron *ctl_cron_find(struct ctl *c, const char *org, const char *name)
{
	struct ctl_cron *cc = find(c, org, name);
	return cc ? cc->cron : NULL;
}

const struct cron **ctl_cron_list(struct ctl *c, const char *org, size_t *ret_count)
{
	const struct cron **all = mem_alloc((map_count(c->crons) + 1) * sizeof(struct cron *));
	const char *id;
	void *value;
	*ret_count = 0;
	for (size_t i = 0; map_next(c->crons, &i, &id, &value);)
		if (strcmp(((struct ctl_cron *)value)->cron->org, org) == 0)
			all[(*ret_count)++] = ((struct ctl_cron *)value)->cron;
	return all;
}
