/* SPDX-License-Identifier: Apache-2.0 */
/* One replica of a model service: placed, launched, seen to be ready, replaced when it ends or hangs. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/unit.h"
#include "ctl/ctl_service_int.h"

static struct ctl_replica *replica_of(struct ctl_service *cs, const struct replica *r)
{
	return &cs->replicas[r->slot];
}

static struct ctl_task *replica_task(const struct ctl_service *cs, const struct replica *r)
{
	char name[TASK_NAME_MAX + 1];
	ctl_service_task_name(cs->service, r, name);
	return task_find(cs->ctl, name);
}

bool replica_is_ready(const struct ctl_service *cs, const struct replica *r)
{
	const struct ctl_task *t = replica_task(cs, r);
	return r->ready_ms && !r->draining && t && t->status.phase == TASK_READY && !t->status.unhealthy;
}

/* ---- for people ---- */

static const char *kind_word(const struct ctl_service *cs)
{
	return service_kind_word(service_kind_of(cs->service));
}

static const char *state_word(const struct ctl_service *cs, const struct replica *r)
{
	const struct ctl_task *t = replica_task(cs, r);
	if (r->draining || cs->service->state == SERVICE_STOPPING)
		return "draining";
	if (t && t->status.phase == TASK_READY)
		return t->status.unhealthy ? "unhealthy" : "ready";
	if (t && t->status.phase < TASK_READY)
		return "starting";
	if (r->restarts && ctl_now(cs->ctl) < cs->replicas[r->slot].not_before_ms)
		return "restarting";
	return "waiting";
}

/* A word for each replica, from what is known now. */
void service_refresh(struct ctl_service *cs)
{
	struct service *s = cs->service;
	for (size_t i = 0; i < s->replica_count; i++) {
		struct replica *r = &s->replicas[i];
		const struct ctl_replica *cr = replica_of(cs, r);
		const struct ctl_task *t = replica_task(cs, r);
		bool starts = t && t->status.phase < TASK_READY;
		r->state = state_word(cs, r);
		snprintf(r->message, sizeof(r->message), "%.199s",
			 t && t->status.unhealthy ? t->status.message
			 : starts		  ? t->status.progress.text
			 : t			  ? ""
						  : cr->message);
	}
}

/* ---- its place ---- */

static void want_start(struct ctl_want *w)
{
	struct ctl_replica *cr = CONTAINER_OF(w, struct ctl_replica, want);
	struct service *s = cr->cs->service;
	cr->message[0] = 0;
	if (s->state == SERVICE_STARTING) {
		snprintf(s->reason, sizeof(s->reason), "starting");
		s->message[0] = 0;
	}
	service_dirty(cr->cs);
	ctl_pump(cr->cs->ctl);
}

static void explain(struct ctl_replica *cr, const char *reason, const char *message)
{
	struct service *s = cr->cs->service;
	if (!strcmp(cr->message, message))
		return;
	snprintf(cr->message, sizeof(cr->message), "%.199s", message);
	if (s->state == SERVICE_STARTING) {
		snprintf(s->reason, sizeof(s->reason), "%s", reason);
		snprintf(s->message, sizeof(s->message), "%s", message);
	}
	notify_service_soon(cr->cs);
}

static void want_explain(struct ctl_want *w, const char *reason, const char *message)
{
	explain(CONTAINER_OF(w, struct ctl_replica, want), reason, message);
}

const struct ctl_want_ops replica_want_ops = {.start = want_start, .explain = want_explain};

/* ---- the end of an attempt ---- */

static void give_up(struct ctl_service *cs, const char *reason, const char *message)
{
	char text[400];
	snprintf(text, sizeof(text), "%.300s; delete the %s and create it again", message, kind_word(cs));
	service_move_to(cs, SERVICE_FAILED, reason, text, "controller");
}

static bool others_serve(const struct ctl_service *cs, const struct replica *except)
{
	const struct service *s = cs->service;
	for (size_t i = 0; i < s->replica_count; i++)
		if (&s->replicas[i] != except && replica_is_ready(cs, &s->replicas[i]))
			return true;
	return false;
}

static void restart(struct ctl_service *cs, size_t i, const char *reason, const char *why)
{
	struct ctl_replica *cr = replica_of(cs, &cs->service->replicas[i]);
	int64_t backoff = ctl_backoff(cs->ctl, cr->failures);
	char wait[32], text[480];
	unit_format_duration(backoff, wait);
	cr->not_before_ms = ctl_now(cs->ctl) + backoff;
	snprintf(text, sizeof(text), "replica %lld: %s: %.300s; starts again in %s",
		 (long long)cs->service->replicas[i].slot, reason, why, wait);
	snprintf(cr->message, sizeof(cr->message), "%.199s", text);
	struct service_move *m = service_move_begin(cs, "restarting", text);
	m->after->replicas[i].attempt = ++m->after->attempt;
	m->after->replicas[i].restarts++;
	m->after->replicas[i].ready_ms = 0;
	m->after->restarts++;
	service_move_commit(m, "controller");
}

/* Of a release that nobody wants again: it is not started once more. */
static void let_go(struct ctl_service *cs, size_t i, const char *why)
{
	char text[480];
	snprintf(text, sizeof(text),
		 "replica %lld of release %lld has ended and is not wanted any more: %.300s",
		 (long long)cs->service->replicas[i].slot, (long long)cs->service->replicas[i].release, why);
	struct service_move *m = service_move_begin(cs, "replica-lost", text);
	m->after->replicas[i].draining = true;
	service_move_commit(m, "controller");
}

static bool is_final(enum fail_class fail)
{
	return fail == FAIL_ENVIRONMENT || fail == FAIL_OUT_OF_MEMORY || fail == FAIL_TIMEOUT;
}

/* An attempt has ended, or must: another one after a pause; or the update that brought it has failed, or the
 * whole service. */
static void replica_ended(struct ctl_service *cs, size_t i, enum fail_class fail, const char *reason,
			  const char *why)
{
	const struct service *s = cs->service;
	const struct replica *r = &s->replicas[i];
	struct ctl_replica *cr = replica_of(cs, r);
	char text[480];
	if (!service_spec_of(s, r->release)) {
		let_go(cs, i, why);
		return;
	}
	if (r->ready_ms && ctl_now(cs->ctl) >= cr->ready_at_ms + CTL_SERVICE_STEADY_MS)
		cr->failures = 0;
	cr->failures++;
	bool is_new = s->previous && r->release == s->release && !r->ready_ms;
	if (is_new && (is_final(fail) || cr->failures > CTL_UPDATE_FAILURES_MAX)) {
		rollout_fail(cs, why);
	} else if (is_new || s->previous || others_serve(cs, r)) {
		restart(cs, i, reason, why);
	} else if (fail == FAIL_ENVIRONMENT) {
		give_up(cs, "environment", why);
	} else if (cr->failures > CTL_SERVICE_FAILURES_MAX) {
		snprintf(text, sizeof(text), "failed %lld times in a row, last: %.300s",
			 (long long)cr->failures, why);
		give_up(cs, fail_word(fail), text);
	} else {
		restart(cs, i, reason, why);
	}
}

/* ---- launch ---- */

static bool launch(struct ctl_service *cs, size_t i)
{
	struct ctl *c = cs->ctl;
	struct replica *r = &cs->service->replicas[i];
	struct ctl_replica *cr = replica_of(cs, r);
	struct err err = ERR_INIT;
	if (!service_spec_of(cs->service, r->release)) {
		let_go(cs, i, "it was never started");
		return true;
	}
	if (launch_service(c, cs->service, r, &err) >= 0) {
		char name[TASK_NAME_MAX + 1];
		ctl_service_task_name(cs->service, r, name);
		cr->launched = true;
		cr->message[0] = 0;
		task_know(c, name, cs->service->id, ctl_service_task_kind(cs->service), r->attempt);
		return false;
	}
	log_warn("model.launch_refused model=%s replica=%lld error=\"%s\"", cs->service->id,
		 (long long)r->slot, err.msg);
	if (err.code == ERR_DISK_FULL || err.code == ERR_UNAVAILABLE || err.code == ERR_LIMIT) {
		cr->not_before_ms = ctl_now(c) + ctl_backoff(c, ++cr->refusals);
		explain(cr, "starting", err.msg);
		timer_set_earlier(c, &cs->again, cr->not_before_ms);
		return false;
	}
	bool is_users = err.code == ERR_UNSUPPORTED || err.code == ERR_NOT_FOUND || err.code == ERR_INVALID;
	replica_ended(cs, i, is_users ? FAIL_ENVIRONMENT : FAIL_PLATFORM, "it could not be launched",
		      err.msg);
	return true;
}

static bool advance_no_task(struct ctl_service *cs, size_t i)
{
	struct ctl *c = cs->ctl;
	const struct replica *r = &cs->service->replicas[i];
	struct ctl_replica *cr = replica_of(cs, r);
	if (r->ready_ms || cr->launched) {
		replica_ended(cs, i, FAIL_LOST, "lost", "its task is gone and left no record of its end");
		return true;
	}
	if (cs->tasks_of[r->slot])
		return false; /* the one before is being removed; its removal comes back here */
	if (ctl_now(c) < cr->not_before_ms) {
		timer_set_earlier(c, &cs->again, cr->not_before_ms);
	} else if (cr->want.place == WANT_PLACED) {
		return launch(cs, i);
	} else {
		want_move(&cr->want, WANT_WAITS);
	}
	return false;
}

/* ---- with a task ---- */

static void become_ready(struct ctl_service *cs, size_t i, const struct task_status *status)
{
	char text[160];
	const struct replica *r = &cs->service->replicas[i];
	snprintf(text, sizeof(text), "replica %lld is ready (release %lld, attempt %lld)", (long long)r->slot,
		 (long long)r->release, (long long)r->attempt);
	struct service_move *m = service_move_begin(cs, "ready", text);
	m->after->replicas[i].ready_ms = ctl_wall(cs->ctl);
	if (cs->service->state != SERVICE_READY)
		m->after->ready_ms = m->after->replicas[i].ready_ms;
	if (status->port)
		snprintf(m->after->address, sizeof(m->after->address), "%s:%d", cs->ctl->config.bind_address,
			 status->port);
	service_move_commit(m, "controller");
}

/* Asked for again from time to time until the task reports that they are in force. */
static void want_weights(struct ctl_service *cs, const struct replica *r, struct ctl_task *t)
{
	const struct service_spec *spec = service_spec_of(cs->service, r->release);
	struct ctl_replica *cr = replica_of(cs, r);
	struct backend *b = cs->ctl->config.backend;
	int64_t now = ctl_now(cs->ctl);
	struct err err = ERR_INIT;
	const char *weights = spec && spec->weights ? spec->weights : "";
	if (!spec || !b->ops->set_weights || !strcmp(t->status.weights, weights))
		return;
	if (cr->asked_weights_ms && now < cr->asked_weights_ms + CTL_REPEAT_MS &&
	    !strcmp(cr->asked_weights, weights))
		return;
	cr->asked_weights_ms = now ? now : 1;
	snprintf(cr->asked_weights, sizeof(cr->asked_weights), "%s", weights);
	timer_set_earlier(cs->ctl, &cs->again, now + CTL_REPEAT_MS);
	if (b->ops->set_weights(b, t->status.name, weights, &err) < 0)
		log_warn("model.weights task=%s error=\"%s\"", t->status.name, err.msg);
}

static bool advance_starting(struct ctl_service *cs, size_t i, struct ctl_task *t)
{
	const struct replica *r = &cs->service->replicas[i];
	const struct service_spec *spec = service_spec_of(cs->service, r->release);
	struct ctl_replica *cr = replica_of(cs, r);
	int64_t now = ctl_now(cs->ctl);
	char grace[32], text[160];
	if (t->status.phase < TASK_RUNNING) {
		if (now >= cr->deadline_at_ms)
			task_stop(t, FAIL_TIMEOUT);
		else
			timer_set_earlier(cs->ctl, &cs->again, cr->deadline_at_ms);
		return false;
	}
	int64_t grace_ms = spec ? spec->startup_grace_ms : CTL_STARTING_MS;
	if (!cr->running_at_ms)
		cr->running_at_ms = now;
	if (now < cr->running_at_ms + grace_ms) {
		timer_set_earlier(cs->ctl, &cs->again, cr->running_at_ms + grace_ms);
		return false;
	}
	unit_format_duration(grace_ms, grace);
	snprintf(text, sizeof(text), "the %s was not ready within %s%s", kind_word(cs), grace,
		 service_kind_of(cs->service) == SERVICE_MODEL ? "; startup_grace gives it longer" : "");
	replica_ended(cs, i, FAIL_TIMEOUT, "too slow", text);
	return true;
}

static bool advance_with_task(struct ctl_service *cs, size_t i, struct ctl_task *t)
{
	const struct task_status *status = &t->status;
	const struct replica *r = &cs->service->replicas[i];
	struct ctl_replica *cr = replica_of(cs, r);
	want_move(&cr->want, WANT_PLACED);
	if (status->phase == TASK_EXITED) {
		char reason[64];
		enum fail_class fail = status->fail == FAIL_NONE ? FAIL_USER : status->fail;
		snprintf(reason, sizeof(reason), "the %s server ended (%s)", kind_word(cs), fail_word(fail));
		replica_ended(cs, i, fail, reason,
			      status->message[0] ? status->message : "the server ended by itself");
	} else if (status->phase == TASK_LOST) {
		replica_ended(cs, i, FAIL_LOST, "lost",
			      "its task vanished: the machine or its supervisor died");
	} else if (status->phase != TASK_READY) {
		return advance_starting(cs, i, t);
	} else if (status->unhealthy) {
		replica_ended(cs, i, FAIL_PLATFORM, "unhealthy", status->message);
	} else if (!r->ready_ms) {
		become_ready(cs, i, status);
	} else {
		if (!cr->ready_at_ms)
			cr->ready_at_ms = ctl_now(cs->ctl);
		want_weights(cs, r, t);
		return false;
	}
	return true;
}

static bool advance_draining(struct ctl_service *cs, size_t i)
{
	const struct replica *r = &cs->service->replicas[i];
	char text[100];
	if (cs->tasks_of[r->slot] || replica_task(cs, r))
		return false;
	snprintf(text, sizeof(text), "replica %lld (release %lld) is gone", (long long)r->slot,
		 (long long)r->release);
	struct service_move *m = service_move_begin(cs, "replica-gone", text);
	struct service *s = m->after;
	memmove(&s->replicas[i], &s->replicas[i + 1], (--s->replica_count - i) * sizeof(s->replicas[0]));
	service_move_commit(m, "controller");
	return true;
}

bool replica_advance(struct ctl_service *cs, size_t i)
{
	const struct replica *r = &cs->service->replicas[i];
	if (r->draining)
		return advance_draining(cs, i);
	struct ctl_task *t = replica_task(cs, r);
	return t ? advance_with_task(cs, i, t) : advance_no_task(cs, i);
}
