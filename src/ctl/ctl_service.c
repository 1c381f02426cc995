/* SPDX-License-Identifier: Apache-2.0 */
/* The mover of model services: started, kept alive with a growing pause between failures, stopped, deleted
 * when gone. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/unit.h"
#include "ctl/ctl_int.h"

struct service_move {
	struct ctl_op op;
	struct ctl_service *cs; /* loop's thread only */
	struct service after;	/* its specification is borrowed and not read */
	int64_t version_before;
	struct event event;
};

void service_dirty(struct ctl_service *cs)
{
	if (list_empty(&cs->dirty))
		list_append(&cs->ctl->dirty_services, &cs->dirty);
}

static void again_due(void *arg)
{
	service_dirty(arg);
}

static void notice_due(void *arg)
{
	notify_service(arg);
}

static void want_start(struct ctl_want *w)
{
	struct ctl_service *cs = CONTAINER_OF(w, struct ctl_service, want);
	snprintf(cs->service->reason, sizeof(cs->service->reason), "starting");
	cs->service->message[0] = 0;
	service_dirty(cs);
	ctl_pump(cs->ctl);
}

static void want_explain(struct ctl_want *w, const char *reason, const char *message)
{
	struct ctl_service *cs = CONTAINER_OF(w, struct ctl_service, want);
	if (strcmp(cs->service->reason, reason) == 0 && strcmp(cs->service->message, message) == 0)
		return;
	snprintf(cs->service->reason, sizeof(cs->service->reason), "%s", reason);
	snprintf(cs->service->message, sizeof(cs->service->message), "%s", message);
	notify_service_soon(cs);
}

static const struct ctl_want_ops want_ops = {.start = want_start, .explain = want_explain};

struct ctl_service *service_adopt(struct ctl *c, struct service *s)
{
	struct ctl_service *cs = MEM_NEW(struct ctl_service);
	cs->ctl = c;
	cs->service = s;
	list_init(&cs->dirty);
	list_init(&cs->waiters);
	cs->again = (struct ctl_timer){.fn = again_due, .arg = cs};
	cs->notice = (struct ctl_timer){.fn = notice_due, .arg = cs};
	map_set(c->services, s->id, cs);
	want_init(&cs->want, c, &want_ops);
	cs->want.item = (struct sched_item){.org = s->org,
					    .name = s->spec.name,
					    .purpose = PURPOSE_MODELS,
					    .want = s->spec.limits,
					    .priority = SCHED_PRIORITY_SERVICE,
					    .seq = s->seq,
					    .is_permanent = true};
	if (s->state == SERVICE_STARTING)
		cs->deadline_at_ms = ctl_now(c) + CTL_STARTING_MS;
	service_dirty(cs);
	return cs;
}

void service_drop(struct ctl_service *cs)
{
	struct ctl *c = cs->ctl;
	timer_clear(c, &cs->again);
	timer_clear(c, &cs->notice);
	want_move(&cs->want, WANT_NOWHERE);
	list_remove(&cs->dirty);
	map_delete(c->services, cs->service->id);
	service_free(cs->service);
	free(cs);
}

/* ---- the mover ---- */

static int move_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct service_move *m = CONTAINER_OF(op, struct service_move, op);
	if (m->after.state == SERVICE_DELETED)
		return store_service_delete(tx, m->after.id, err);
	int r = store_service_update(tx, &m->after, m->version_before, err);
	return r < 0 ? r : store_event_insert(tx, m->after.org, &m->event, err);
}

static void row_copy(struct service *to, const struct service *from)
{
	struct service_spec spec = to->spec;
	struct progress progress = to->progress;
	*to = *from;
	to->spec = spec;
	to->progress = progress;
}

static void task_of_attempt_dirty(struct ctl_service *cs, int64_t attempt)
{
	struct service at = {.attempt = attempt};
	char name[TASK_NAME_MAX + 1];
	memcpy(at.id, cs->service->id, sizeof(at.id));
	ctl_service_task_name(&at, name);
	struct ctl_task *t = task_find(cs->ctl, name);
	if (t)
		task_dirty(t);
}

static void answer_waiters(struct ctl_service *cs)
{
	struct ctl_result result = {.service = cs->service};
	waiters_answer(&cs->waiters, &result, NULL);
}

static void move_apply(struct ctl_service *cs, const struct service_move *m)
{
	struct service *s = cs->service;
	enum service_state before = s->state;
	int64_t attempt_before = s->attempt;
	row_copy(s, &m->after);
	log_info("model.move model=%s name=%s org=%s from=%s to=%s attempt=%lld reason=%s", s->id,
		 s->spec.name, s->org, service_state_word(before), service_state_word(s->state),
		 (long long)s->attempt, s->reason);
	if (s->attempt != attempt_before) {
		cs->launched = false;
		cs->refusals = 0;
	}
	if (s->state == SERVICE_STARTING)
		cs->deadline_at_ms = ctl_now(cs->ctl) + CTL_STARTING_MS;
	if (s->state == SERVICE_READY)
		cs->ready_at_ms = ctl_now(cs->ctl);
	if (before != s->state)
		s->progress = PROGRESS_NONE;
	if (s->state == SERVICE_STOPPING || s->state == SERVICE_DELETED)
		answer_waiters(cs);
	task_of_attempt_dirty(cs, attempt_before);
	service_dirty(cs);
	notify_service(cs);
	if (s->state == SERVICE_DELETED)
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
	log_warn("model.move_failed model=%s to=%s error=\"%s\"", cs->service->id,
		 service_state_word(m->after.state), err->msg);
	waiters_answer(&cs->waiters, NULL, err);
	timer_set_earlier(cs->ctl, &cs->again, ctl_now(cs->ctl) + ctl_backoff(cs->ctl, 1));
}

static void move_release(struct ctl_op *op)
{
	free(CONTAINER_OF(op, struct service_move, op));
}

static struct service_move *move_begin(struct ctl_service *cs, enum service_state to, const char *reason,
				       const char *message)
{
	struct service_move *m = MEM_NEW(struct service_move);
	assert(to == cs->service->state || service_state_may_move(cs->service->state, to));
	m->op = (struct ctl_op){.run = move_run, .finish = move_finish, .release = move_release};
	m->cs = cs;
	m->after = *cs->service;
	m->version_before = cs->service->version;
	m->after.version++;
	m->after.state = to;
	m->after.deadline_ms = to == SERVICE_STARTING ? ctl_wall(cs->ctl) + CTL_STARTING_MS : 0;
	snprintf(m->after.reason, sizeof(m->after.reason), "%s", reason);
	snprintf(m->after.message, sizeof(m->after.message), "%s", message);
	return m;
}

static void move_commit(struct service_move *m, const char *actor)
{
	struct ctl_service *cs = m->cs;
	char subject[sizeof(m->event.subject)];
	snprintf(subject, sizeof(subject), "model/%s", cs->service->spec.name);
	job_event_make(&m->event, subject, ctl_wall(cs->ctl), m->after.reason, actor, "%s",
		       m->after.message[0] ? m->after.message : m->after.reason);
	cs->busy = true;
	timer_clear(cs->ctl, &cs->again);
	ctl_op_submit(cs->ctl, &m->op);
}

/* ---- what comes next ---- */

static void give_up(struct ctl_service *cs, const char *reason, const char *message)
{
	char text[400];
	snprintf(text, sizeof(text), "%.300s; delete the model and create it again", message);
	move_commit(move_begin(cs, SERVICE_FAILED, reason, text), "controller");
}

/* The replica ended: another one after a pause, unless it cannot work or failed too often. */
static void replica_ended(struct ctl_service *cs, enum fail_class fail, const char *why)
{
	int64_t now = ctl_now(cs->ctl);
	char wait[32], text[480];
	if (cs->service->state == SERVICE_READY && now >= cs->ready_at_ms + CTL_SERVICE_STEADY_MS)
		cs->failures = 0;
	if (fail == FAIL_ENVIRONMENT) {
		give_up(cs, "environment", why);
		return;
	}
	if (++cs->failures > CTL_SERVICE_FAILURES_MAX) {
		snprintf(text, sizeof(text), "failed %lld times in a row, last: %.300s",
			 (long long)cs->failures, why);
		give_up(cs, fail_word(fail), text);
		return;
	}
	int64_t backoff = ctl_backoff(cs->ctl, cs->failures);
	unit_format_duration(backoff, wait);
	cs->not_before_ms = now + backoff;
	snprintf(text, sizeof(text), "the model server ended (%s): %.300s; starts again in %s",
		 fail_word(fail), why, wait);
	struct service_move *m = move_begin(cs, SERVICE_STARTING, "restarting", text);
	m->after.attempt++;
	m->after.restarts++;
	move_commit(m, "controller");
}

static void launch(struct ctl_service *cs)
{
	struct ctl *c = cs->ctl;
	struct err err = ERR_INIT;
	if (launch_service(c, cs->service, &err) >= 0) {
		char name[TASK_NAME_MAX + 1];
		ctl_service_task_name(cs->service, name);
		cs->launched = true;
		task_know(c, name, cs->service->id, TASK_MODEL, cs->service->attempt);
		return;
	}
	log_warn("model.launch_refused model=%s error=\"%s\"", cs->service->id, err.msg);
	if (err.code == ERR_DISK_FULL || err.code == ERR_UNAVAILABLE || err.code == ERR_LIMIT) {
		cs->not_before_ms = ctl_now(c) + ctl_backoff(c, ++cs->refusals);
		snprintf(cs->service->message, sizeof(cs->service->message), "%s", err.msg);
		timer_set_earlier(c, &cs->again, cs->not_before_ms);
		notify_service_soon(cs);
		return;
	}
	bool is_users = err.code == ERR_UNSUPPORTED || err.code == ERR_NOT_FOUND || err.code == ERR_INVALID;
	replica_ended(cs, is_users ? FAIL_ENVIRONMENT : FAIL_PLATFORM, err.msg);
}

static void advance_no_task(struct ctl_service *cs)
{
	struct ctl *c = cs->ctl;
	if (!c->attached)
		return;
	if (cs->service->state == SERVICE_READY || cs->launched) {
		replica_ended(cs, FAIL_LOST, "its task is gone and left no record of its end");
	} else if (cs->tasks) {
		return; /* the last replica is being removed; its removal comes back here */
	} else if (ctl_now(c) < cs->not_before_ms) {
		timer_set_earlier(c, &cs->again, cs->not_before_ms);
	} else if (cs->want.place == WANT_PLACED) {
		launch(cs);
	} else {
		want_move(&cs->want, WANT_WAITS);
	}
}

static void become_ready(struct ctl_service *cs, const struct task_status *status)
{
	char address[sizeof(cs->service->address)];
	snprintf(address, sizeof(address), "%s:%d", cs->ctl->config.bind_address, status->port);
	if (cs->service->state == SERVICE_READY && strcmp(address, cs->service->address) == 0)
		return;
	struct service_move *m = move_begin(cs, SERVICE_READY, "ready", "");
	m->after.ready_ms = ctl_wall(cs->ctl);
	memcpy(m->after.address, address, sizeof(address));
	move_commit(m, "controller");
}

static void advance_with_task(struct ctl_service *cs, struct ctl_task *t)
{
	const struct task_status *status = &t->status;
	want_move(&cs->want, WANT_PLACED);
	if (status->phase == TASK_EXITED) {
		replica_ended(cs, status->fail == FAIL_NONE ? FAIL_USER : status->fail,
			      status->message[0] ? status->message : "the model server ended by itself");
	} else if (status->phase == TASK_LOST) {
		replica_ended(cs, FAIL_LOST, "its task vanished: the machine or its supervisor died");
	} else if (status->phase == TASK_READY) {
		become_ready(cs, status);
	} else if (cs->service->state == SERVICE_STARTING && cs->deadline_at_ms) {
		if (ctl_now(cs->ctl) >= cs->deadline_at_ms)
			task_stop(t, FAIL_TIMEOUT);
		else
			timer_set_earlier(cs->ctl, &cs->again, cs->deadline_at_ms);
	}
}

static void advance_delete(struct ctl_service *cs)
{
	if (cs->ctl->attached && !cs->tasks)
		move_commit(move_begin(cs, SERVICE_DELETED, "deleted", ""), "controller");
}

void service_advance(struct ctl_service *cs)
{
	if (cs->busy)
		return;
	enum service_state state = cs->service->state;
	if (!list_empty(&cs->waiters)) {
		struct ctl_waiter *first = LIST_ENTRY(cs->waiters.next, struct ctl_waiter, node);
		if (state != SERVICE_STOPPING) {
			char text[100];
			snprintf(text, sizeof(text), "deleted by %s", first->user);
			if (cs->want.place == WANT_WAITS)
				want_move(&cs->want, WANT_NOWHERE);
			move_commit(move_begin(cs, SERVICE_STOPPING, "stopping", text), first->user);
			return;
		}
		answer_waiters(cs);
	}
	if (state == SERVICE_STOPPING) {
		advance_delete(cs);
		return;
	}
	if (state == SERVICE_FAILED) {
		if (!cs->tasks)
			want_move(&cs->want, WANT_NOWHERE);
		return;
	}
	char name[TASK_NAME_MAX + 1];
	ctl_service_task_name(cs->service, name);
	struct ctl_task *t = task_find(cs->ctl, name);
	if (t)
		advance_with_task(cs, t);
	else
		advance_no_task(cs);
}
