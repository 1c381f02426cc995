/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about model services: create, update, delete, get. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_service_int.h"

static const struct service *service_freshest(struct ctl *c, const struct service *row)
{
	struct ctl_service *cs = map_get(c->services, row->id);
	if (cs)
		service_refresh(cs);
	return cs ? cs->service : row;
}

/* ---- create ---- */

static int replay(struct store_tx *tx, struct ctl_call *call, const char *id, struct err *err)
{
	struct service *first = NULL;
	call->replayed = true;
	if (store_service_get(tx, call->who.org, id, &first, err) < 0)
		return err->code != ERR_NOT_FOUND ? -err->code
						  : err_set(err, ERR_CONFLICT,
							    "the model that was made with the idempotency "
							    "key '%s' was deleted; choose a new key",
							    call->key);
	service_free(call->service);
	call->service = first;
	return 0;
}

static int create_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct service *s = call->service;
	char id[16];
	int r = 0;
	if (call->has_key)
		r = store_idempotency_find(tx, s->org, call->key, call->body_sha256, s->created_ms, id, err);
	if (r != 0)
		return r < 0 ? r : replay(tx, call, id, err);
	r = store_service_insert(tx, s, err);
	if (r >= 0)
		r = store_event_insert(tx, s->org, &call->event, err);
	if (r >= 0 && call->has_key)
		r = store_idempotency_insert(tx, s->org, call->key, call->body_sha256, s->id, s->created_ms,
					     err);
	return r;
}

static void create_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct ctl *c = op->ctl;
	if (r < 0) {
		call_answer(call, NULL, err);
	} else if (call->replayed) {
		const struct service *s = service_freshest(c, call->service);
		call_answer(call, &(struct ctl_result){.service = s, .replayed = true}, NULL);
	} else {
		struct ctl_service *cs = service_adopt(c, STEAL(call->service));
		notify_service(cs); /* also refreshes it */
		call_answer(call, &(struct ctl_result){.service = cs->service}, NULL);
	}
}

int64_t service_count(struct ctl *c, const char *org)
{
	const char *key;
	void *value;
	int64_t count = 0;
	for (size_t i = 0; map_next(c->services, &i, &key, &value);)
		count += !strcmp(((struct ctl_service *)value)->service->org, org);
	return count;
}

/* Of a wish, new or changed; fills in the framework. */
static int spec_check(struct ctl *c, const struct principal *who, enum service_kind kind,
		      struct service_spec *spec, struct err *err)
{
	int r = auth_may_change(who, err);
	if (r >= 0 && (!spec->name || !spec->uri))
		r = err_set(err, ERR_INVALID, "a model needs a name and a uri (or a job)");
	if (r >= 0)
		r = check_bucket("uri", spec->uri, who->org, err);
	if (r < 0)
		return r;
	if (!spec->framework || !spec->framework[0]) {
		free(spec->framework);
		spec->framework = mem_strdup(kind == SERVICE_TENSORBOARD    ? "tensorboard"
					     : str_ends(spec->uri, ".onnx") ? "onnx"
									    : "tensorflow");
	}
	r = resolve_framework(c, &spec->framework, &spec->framework_version, err);
	if (r < 0)
		return r;
	struct sched_item one = {.org = who->org,
				 .purpose = ctl_service_purpose(kind),
				 .want = spec->limits,
				 .priority = SCHED_PRIORITY_SERVICE,
				 .is_permanent = true};
	ctl_nodes_update(c);
	return sched_check(c->sched, &one, err);
}

static void service_fill(struct ctl *c, const struct principal *who, enum service_kind kind,
			 struct service *s)
{
	s->id[0] = service_kind_letter(kind);
	rng_id(c->config.rng, s->id + 1, 9);
	memcpy(s->org, who->org, sizeof(s->org));
	memcpy(s->user, who->user, sizeof(s->user));
	s->state = SERVICE_STARTING;
	rollout_add(s, (size_t)s->spec.replicas);
	snprintf(s->reason, sizeof(s->reason), "submitted");
	s->created_ms = ctl_wall(c);
	s->deadline_ms = s->created_ms + CTL_STARTING_MS;
	s->progress = PROGRESS_NONE;
}

void ctl_service_create(struct ctl *c, const struct principal *who, enum service_kind kind,
			const struct service_spec *spec, const struct ctl_idempotency *idem,
			ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, NULL, idem, done, arg);
	char subject[sizeof(call->event.subject)];
	call->op.run = create_run;
	call->op.finish = create_finish;
	call->service = service_new();
	service_spec_copy(spec, &call->service->spec);
	int r = spec_check(c, who, kind, &call->service->spec, &call->refusal);
	if (r >= 0 && service_count(c, who->org) >= CTL_SERVICES_MAX)
		r = err_set(&call->refusal, ERR_QUOTA, "organisation '%s' has %d models; delete some",
			    who->org, CTL_SERVICES_MAX);
	if (r >= 0) {
		service_fill(c, who, kind, call->service);
		snprintf(subject, sizeof(subject), "%s/%s", service_kind_word(kind),
			 call->service->spec.name);
		job_event_make(&call->event, subject, call->service->created_ms, "submitted", who->user,
			       "created by %s", who->user);
	}
	call_submit(c, call);
}

/* ---- update, delete, get ---- */

static int find_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	const char *word = service_kind_word(call->kind);
	int r = store_service_get(tx, call->who.org, call->id, &call->service, err);
	if (r < 0 && err->code != ERR_NOT_FOUND)
		return r;
	if (r >= 0 && service_kind_of(call->service) == call->kind)
		return 0;
	return err_set(err, ERR_NOT_FOUND, "there is no %s '%s'; run 'cloudml %s%s list'", word, call->id,
		       word, call->kind == SERVICE_MODEL ? "s" : "");
}

/* The noun, or that this very call was made before. */
static int find_or_replay_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	char id[sizeof(call->service->id)];
	int r = 0;
	if (call->has_key)
		r = store_idempotency_find(tx, call->who.org, call->key, call->body_sha256, call->now_ms, id,
					   err);
	if (r <= 0)
		return r < 0 ? r : find_run(tx, op, err);
	call->replayed = true;
	if (store_service_get(tx, call->who.org, id, &call->service, err) >= 0)
		return 0;
	if (err->code != ERR_NOT_FOUND)
		return -err->code;
	*err = ERR_INIT;
	struct service *gone = call->service = service_new();
	memcpy(gone->id, id, sizeof(id));
	memcpy(gone->org, call->who.org, sizeof(gone->org));
	gone->id[0] = service_kind_letter(call->kind);
	gone->spec.name = mem_strdup(call->id);
	gone->spec.uri = mem_strdup("");
	gone->state = SERVICE_DELETED;
	snprintf(gone->reason, sizeof(gone->reason), "deleted");
	return 0;
}

/* The live service; NULL when the call was answered. */
static struct ctl_service *found(struct ctl_call *call, int r, const struct err *err)
{
	struct ctl *c = call->op.ctl;
	if (r >= 0 && call->replayed) {
		const struct service *s = service_freshest(c, call->service);
		call_answer(call, &(struct ctl_result){.service = s, .replayed = true}, NULL);
		return NULL;
	}
	struct ctl_service *cs = r < 0 ? NULL : map_get(c->services, call->service->id);
	if (cs)
		return cs;
	struct err gone = ERR_INIT;
	err_set(&gone, ERR_NOT_FOUND, "there is no model '%s'; run 'cloudml models list'", call->id);
	call_answer(call, NULL, r < 0 ? err : &gone);
	return NULL;
}

static void keep_key(struct ctl_service_change *k, const struct ctl_call *call)
{
	if (!call->has_key)
		return;
	memcpy(k->key, call->key, sizeof(k->key));
	memcpy(k->body_sha256, call->body_sha256, sizeof(k->body_sha256));
}

static size_t updates_waiting(const struct ctl_service *cs)
{
	size_t count = 0;
	for (const struct list *l = cs->updates.next; l != &cs->updates; l = l->next)
		count++;
	return count;
}

static void update_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct ctl_service *cs = found(call, r, err);
	if (!cs)
		return;
	if (updates_waiting(cs) >= CTL_SERVICE_UPDATES_MAX) {
		struct err full = ERR_INIT;
		err_set(&full, ERR_LIMIT, "%d updates of model '%s' wait already; try again later",
			CTL_SERVICE_UPDATES_MAX, cs->service->spec.name);
		call_answer(call, NULL, &full);
		return;
	}
	struct ctl_service_change *k = service_change_new();
	service_spec_copy(&call->wish->spec, &k->spec);
	k->base_revision = call->wish->revision;
	memcpy(k->user, call->who.user, sizeof(k->user));
	keep_key(k, call);
	k->done = STEAL(call->done);
	k->arg = call->arg;
	list_append(&cs->updates, &k->node);
	service_dirty(cs);
}

void ctl_service_update(struct ctl *c, const struct principal *who, const char *name,
			const struct service_spec *spec, int64_t base_revision,
			const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, name, idem, done, arg);
	call->op.run = find_or_replay_run;
	call->op.finish = update_finish;
	call->now_ms = ctl_wall(c);
	call->wish = service_new();
	service_spec_copy(spec, &call->wish->spec);
	call->wish->revision = base_revision;
	spec_check(c, who, SERVICE_MODEL, &call->wish->spec, &call->refusal);
	call_submit(c, call);
}

static void overtaken_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	if (r < 0 || !call->replayed)
		call_answer(call, NULL, r < 0 ? err : &call->overtaken);
	else
		found(call, r, err);
}

void service_update_overtaken(struct ctl_service *cs, struct ctl_service_change *k, const struct err *err)
{
	struct principal who = {.role = ROLE_MEMBER};
	struct ctl_idempotency idem = {k->key, k->body_sha256};
	if (!k->key[0]) {
		service_change_answer(k, NULL, err);
		return;
	}
	memcpy(who.org, cs->service->org, sizeof(who.org));
	memcpy(who.user, k->user, sizeof(who.user));
	struct ctl_call *call = call_new(&who, cs->service->spec.name, &idem, STEAL(k->done), k->arg);
	call->op.run = find_or_replay_run;
	call->op.finish = overtaken_finish;
	call->now_ms = ctl_wall(cs->ctl);
	call->overtaken = *err;
	service_change_free(k);
	call_submit(cs->ctl, call);
}

static void delete_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct ctl_service *cs = found(call, r, err);
	if (!cs)
		return;
	if (call->has_key && !cs->deletion) {
		cs->deletion = service_change_new();
		keep_key(cs->deletion, call);
	}
	waiter_add(&cs->waiters, call->who.user, STEAL(call->done), call->arg);
	service_dirty(cs);
}

void ctl_service_delete(struct ctl *c, const struct principal *who, enum service_kind kind, const char *name,
			const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, name, idem, done, arg);
	call->kind = kind;
	call->op.run = find_or_replay_run;
	call->op.finish = delete_finish;
	call->now_ms = ctl_wall(c);
	auth_may_change(who, &call->refusal);
	call_submit(c, call);
}

static void get_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	if (r < 0)
		call_answer(call, NULL, err);
	else
		call_answer(call, &(struct ctl_result){.service = service_freshest(op->ctl, call->service)},
			    NULL);
}

void ctl_service_get(struct ctl *c, const struct principal *who, enum service_kind kind, const char *name,
		     ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, name, NULL, done, arg);
	call->kind = kind;
	call->op.run = find_run;
	call->op.finish = get_finish;
	call_submit(c, call);
}
