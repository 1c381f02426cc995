/* SPDX-License-Identifier: Apache-2.0 */
/* The mover of model services: rows in memory, moves, delete, and what an advance looks at in which order.
 * What happens to one replica is in ctl_replica.c, which replicas there should be in ctl_rollout.c. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl_service_int.h"
#include "store/store_usage.h"

void service_dirty(struct ctl_service *cs)
{
	if (list_empty(&cs->dirty))
		list_append(&cs->ctl->dirty_services, &cs->dirty);
}

enum purpose ctl_service_purpose(enum service_kind kind)
{
	return kind == SERVICE_MODEL ? PURPOSE_MODELS : PURPOSE_DEVELOPMENT;
}

static void again_due(void *arg)
{
	service_dirty(arg);
}

static void notice_due(void *arg)
{
	notify_service(arg);
}

/* ---- in memory ---- */

static void replica_forget(struct ctl_replica *cr)
{
	want_move(&cr->want, WANT_NOWHERE);
	cr->attempt = 0;
}

static void replica_sync(struct ctl_replica *cr, const struct service *s, const struct replica *r)
{
	struct ctl *c = cr->cs->ctl;
	cr->want.item.org = s->org; /* views of what has just taken the place of another */
	cr->want.item.name = s->spec.name;
	if (cr->attempt == r->attempt)
		return;
	if (!cr->attempt) { /* a new one in this slot */
		const struct service_spec *spec = service_spec_of(s, r->release);
		cr->want.item.want = spec ? spec->limits : s->spec.limits;
		cr->want.item.purpose = ctl_service_purpose(service_kind_of(s));
		cr->want.item.priority = SCHED_PRIORITY_SERVICE;
		cr->want.item.seq = s->seq;
		cr->want.item.is_permanent = true;
		cr->failures = cr->not_before_ms = 0;
	}
	cr->attempt = r->attempt;
	cr->launched = false;
	cr->refusals = cr->running_at_ms = cr->ready_at_ms = cr->asked_weights_ms = 0;
	cr->deadline_at_ms = ctl_now(c) + CTL_STARTING_MS;
}

/* What is kept of each replica, in step with the row. */
static void replicas_sync(struct ctl_service *cs)
{
	const struct service *s = cs->service;
	bool used[SERVICE_SLOTS_MAX] = {false};
	for (size_t i = 0; i < s->replica_count; i++) {
		used[s->replicas[i].slot] = true;
		replica_sync(&cs->replicas[s->replicas[i].slot], s, &s->replicas[i]);
	}
	for (size_t slot = 0; slot < SERVICE_SLOTS_MAX; slot++)
		if (!used[slot] && cs->replicas[slot].attempt)
			replica_forget(&cs->replicas[slot]);
}

struct ctl_service *service_adopt(struct ctl *c, struct service *s)
{
	struct ctl_service *cs = MEM_NEW(struct ctl_service);
	cs->ctl = c;
	cs->service = s;
	list_init(&cs->dirty);
	list_init(&cs->waiters);
	list_init(&cs->updates);
	cs->again = (struct ctl_timer){.fn = again_due, .arg = cs};
	cs->notice = (struct ctl_timer){.fn = notice_due, .arg = cs};
	for (size_t i = 0; i < SERVICE_SLOTS_MAX; i++) {
		cs->replicas[i].cs = cs;
		want_init(&cs->replicas[i].want, c, &replica_want_ops);
	}
	map_set(c->services, s->id, cs);
	replicas_sync(cs);
	service_dirty(cs);
	return cs;
}

void service_drop(struct ctl_service *cs)
{
	struct ctl *c = cs->ctl;
	timer_clear(c, &cs->again);
	timer_clear(c, &cs->notice);
	for (size_t i = 0; i < SERVICE_SLOTS_MAX; i++)
		want_move(&cs->replicas[i].want, WANT_NOWHERE);
	list_remove(&cs->dirty);
	service_change_free(cs->deletion);
	map_delete(c->services, cs->service->id);
	service_free(cs->service);
	free(cs);
}

/* ---- the mover ---- */

static int move_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct service_move *m = CONTAINER_OF(op, struct service_move, op);
	const struct ctl_service_change *k = m->change;
	bool gone = m->after->state == SERVICE_DELETED;
	int r = store_usage_service(tx, m->after, m->event.time_ms, err);
	if (r >= 0 && gone)
		r = store_usage_forget(tx, m->after->id, err);
	if (r < 0 || gone)
		return r < 0 ? r : store_service_delete(tx, m->after->id, err);
	r = store_service_update(tx, m->after, m->version_before, err);
	if (r >= 0)
		r = store_event_insert(tx, m->after->org, &m->event, err);
	if (r >= 0 && k && k->key[0])
		r = store_idempotency_insert(tx, m->after->org, k->key, k->body_sha256, m->after->id,
					     m->event.time_ms, err);
	return r;
}

static void task_of_attempt_dirty(struct ctl_service *cs, const struct replica *r)
{
	char name[TASK_NAME_MAX + 1];
	ctl_service_task_name(cs->service, r, name);
	struct ctl_task *t = task_find(cs->ctl, name);
	if (t)
		task_dirty(t);
}

static void answer_waiters(struct ctl_service *cs)
{
	struct ctl_result result = {.service = cs->service};
	waiters_answer(&cs->waiters, &result, NULL);
}

static void move_apply(struct ctl_service *cs, struct service_move *m)
{
	struct service *before = cs->service;
	enum service_state was = before->state;
	cs->service = STEAL(m->after);
	struct service *s = cs->service;
	s->progress = was == s->state ? before->progress : PROGRESS_NONE;
	log_info("model.move model=%s name=%s org=%s from=%s to=%s revision=%lld replicas=%zu reason=%s",
		 s->id, s->spec.name, s->org, service_state_word(was), service_state_word(s->state),
		 (long long)s->revision, s->replica_count, m->event.reason);
	replicas_sync(cs);
	for (size_t i = 0; i < before->replica_count; i++)
		task_of_attempt_dirty(cs, &before->replicas[i]);
	service_free(before);
	if (s->state == SERVICE_STOPPING || s->state == SERVICE_DELETED)
		answer_waiters(cs);
	if (m->change)
		service_change_answer(STEAL(m->change), cs->service, NULL);
	service_dirty(cs);
	notify_service(cs);
	bool gone = s->state == SERVICE_DELETED;
	if (gone || s->state == SERVICE_FAILED) {
		struct backend *b = cs->ctl->config.backend;
		if (b->ops->forget)
			b->ops->forget(b, s->id);
	}
	if (!gone)
		return;
	ctl_want_schedule(cs->ctl);
	service_updates_refuse(cs, ERR_NOT_FOUND, "the model was deleted");
	service_drop(cs);
}

static void move_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct service_move *m = CONTAINER_OF(op, struct service_move, op);
	struct ctl_service *cs = m->cs;
	cs->busy = false;
	if (r >= 0) {
		move_apply(cs, m);
		return;
	}
	log_warn("model.move_failed model=%s reason=%s error=\"%s\"", cs->service->id, m->event.reason,
		 err->msg);
	waiters_answer(&cs->waiters, NULL, err);
	if (m->change)
		service_change_answer(STEAL(m->change), NULL, err);
	timer_set_earlier(cs->ctl, &cs->again, ctl_now(cs->ctl) + ctl_backoff(cs->ctl, 1));
}

static void move_abandon(struct ctl_op *op, const struct err *err)
{
	struct service_move *m = CONTAINER_OF(op, struct service_move, op);
	if (m->change && m->change->done) {
		ctl_done_fn *done = STEAL(m->change->done);
		done(m->change->arg, &(struct ctl_result){0}, err);
	}
}

static void move_release(struct ctl_op *op)
{
	struct service_move *m = CONTAINER_OF(op, struct service_move, op);
	service_free(m->after);
	service_change_free(m->change);
	free(m);
}

struct service_move *service_move_begin(struct ctl_service *cs, const char *reason, const char *message)
{
	struct service_move *m = MEM_NEW(struct service_move);
	m->op = (struct ctl_op){
	    .run = move_run, .finish = move_finish, .abandon = move_abandon, .release = move_release};
	m->cs = cs;
	m->after = service_copy(cs->service);
	m->version_before = cs->service->version;
	m->after->version++;
	snprintf(m->event.reason, sizeof(m->event.reason), "%s", reason);
	snprintf(m->event.message, sizeof(m->event.message), "%s", message);
	return m;
}

/* While it lives, a service is ready as long as one of its replicas is. */
static void state_of_replicas(struct service *s, const char *reason, const char *message)
{
	bool ready = false;
	for (size_t i = 0; i < s->replica_count; i++)
		ready = ready || (s->replicas[i].ready_ms && !s->replicas[i].draining);
	if (!ready || s->state != SERVICE_READY) {
		snprintf(s->reason, sizeof(s->reason), "%s", ready ? "ready" : reason);
		snprintf(s->message, sizeof(s->message), "%s", ready ? "" : message);
	}
	s->state = ready ? SERVICE_READY : SERVICE_STARTING;
}

static bool is_good(const char *reason)
{
	static const char *const bad[] = {"restarting", "update-failed", "replica-lost"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (!strcmp(reason, bad[i]))
			return false;
	return true;
}

void service_move_commit(struct service_move *m, const char *actor)
{
	struct ctl_service *cs = m->cs;
	struct service *s = m->after;
	struct event *e = &m->event;
	if (s->state == SERVICE_STARTING || s->state == SERVICE_READY)
		state_of_replicas(s, e->reason, e->message);
	assert(s->state == cs->service->state || service_state_may_move(cs->service->state, s->state));
	s->deadline_ms = s->state == SERVICE_STARTING ? ctl_wall(cs->ctl) + CTL_STARTING_MS : 0;
	snprintf(e->subject, sizeof(e->subject), "%s/%s", service_kind_word(service_kind_of(s)),
		 s->spec.name);
	snprintf(e->type, sizeof(e->type), "%s",
		 s->state == SERVICE_FAILED || !is_good(e->reason) ? "Warning" : "Normal");
	snprintf(e->actor, sizeof(e->actor), "%s", actor);
	e->time_ms = ctl_wall(cs->ctl);
	if (!e->message[0])
		snprintf(e->message, sizeof(e->message), "%s", e->reason);
	cs->busy = true;
	timer_clear(cs->ctl, &cs->again);
	ctl_op_submit(cs->ctl, &m->op);
}

void service_move_to(struct ctl_service *cs, enum service_state to, const char *reason, const char *message,
		     const char *actor)
{
	struct service_move *m = service_move_begin(cs, reason, message);
	m->after->state = to;
	snprintf(m->after->reason, sizeof(m->after->reason), "%s", reason);
	snprintf(m->after->message, sizeof(m->after->message), "%s", message);
	service_move_commit(m, actor);
}

/* ---- what comes next ---- */

static void advance_failed(struct ctl_service *cs)
{
	for (size_t i = 0; i < SERVICE_SLOTS_MAX; i++)
		if (!cs->tasks_of[i])
			want_move(&cs->replicas[i].want, WANT_NOWHERE);
}

/* True when the wish to delete has made a move. */
static bool advance_delete_wish(struct ctl_service *cs)
{
	char text[100];
	struct ctl_waiter *first = LIST_ENTRY(cs->waiters.next, struct ctl_waiter, node);
	if (cs->service->state == SERVICE_STOPPING) {
		answer_waiters(cs);
		return false;
	}
	snprintf(text, sizeof(text), "deleted by %s", first->user);
	for (size_t i = 0; i < SERVICE_SLOTS_MAX; i++)
		if (cs->replicas[i].want.place == WANT_WAITS)
			want_move(&cs->replicas[i].want, WANT_NOWHERE);
	struct service_move *m = service_move_begin(cs, "stopping", text);
	m->after->state = SERVICE_STOPPING;
	snprintf(m->after->reason, sizeof(m->after->reason), "stopping");
	snprintf(m->after->message, sizeof(m->after->message), "%s", text);
	m->change = STEAL(cs->deletion);
	service_move_commit(m, first->user);
	return true;
}

void service_advance(struct ctl_service *cs)
{
	if (cs->busy)
		return;
	if (!list_empty(&cs->waiters) && advance_delete_wish(cs))
		return;
	enum service_state state = cs->service->state;
	if (state == SERVICE_STOPPING || state == SERVICE_FAILED)
		service_updates_refuse(cs, ERR_STATE, "delete it and create it again");
	if (state == SERVICE_STOPPING) {
		if (cs->ctl->attached && !cs->tasks)
			service_move_to(cs, SERVICE_DELETED, "deleted", "", "controller");
		return;
	}
	if (state == SERVICE_FAILED) {
		advance_failed(cs);
		return;
	}
	if (rollout_take_update(cs) || !cs->ctl->attached)
		return;
	for (size_t i = 0; i < cs->service->replica_count; i++)
		if (replica_advance(cs, i))
			return;
	rollout_advance(cs);
}
