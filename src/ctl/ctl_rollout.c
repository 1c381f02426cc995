/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which replicas a service should have: more or fewer, and from one release to the next without a gap.
 *
 * An update adds one replica of the new release, and when it is ready lets one of the old ones drain, and so
 * on; so there are never fewer ready replicas than before or than are wished, whichever is less. A new
 * release that does not become ready ends the update: the previous specification is the wish again, and the
 * same walk brings everything back. All of it is derived from the row, so a restart in the middle goes on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl_service_int.h"

/* ---- updates ---- */

struct ctl_service_change *service_change_new(void)
{
	struct ctl_service_change *k = MEM_NEW(struct ctl_service_change);
	list_init(&k->node);
	service_spec_init(&k->spec);
	return k;
}

void service_change_free(struct ctl_service_change *k)
{
	if (!k)
		return;
	service_spec_done(&k->spec);
	free(k);
}

void service_change_answer(struct ctl_service_change *k, const struct service *s, const struct err *err)
{
	static const struct err none = ERR_INIT;
	if (k->done)
		k->done(k->arg, &(struct ctl_result){.service = s}, err ? err : &none);
	service_change_free(k);
}

void service_updates_refuse(struct ctl_service *cs, int code, const char *why)
{
	while (!list_empty(&cs->updates)) {
		struct ctl_service_change *k = LIST_ENTRY(cs->updates.next, struct ctl_service_change, node);
		struct err err = ERR_INIT;
		list_remove(&k->node);
		err_set(&err, code, "model '%s' is %s; %s", cs->service->spec.name,
			service_state_word(cs->service->state), why);
		service_change_answer(k, NULL, &err);
	}
}

void service_abandon(struct ctl_service *cs, const struct err *err)
{
	while (!list_empty(&cs->updates)) {
		struct ctl_service_change *k = LIST_ENTRY(cs->updates.next, struct ctl_service_change, node);
		list_remove(&k->node);
		service_change_answer(k, NULL, err);
	}
	service_change_free(cs->deletion);
	cs->deletion = NULL;
}

static void spec_set(struct service_spec *to, const struct service_spec *from)
{
	service_spec_done(to);
	service_spec_init(to);
	service_spec_copy(from, to);
}

static void previous_drop(struct service *s)
{
	if (s->previous)
		service_spec_done(s->previous);
	free(s->previous);
	s->previous = NULL;
	s->previous_release = 0;
}

/* Only what has served can serve again. */
static void previous_keep(struct service *s)
{
	bool served = false;
	for (size_t i = 0; i < s->replica_count; i++)
		served = served || (s->replicas[i].release == s->release && s->replicas[i].ready_ms);
	if (s->previous || !served)
		return;
	s->previous = MEM_NEW(struct service_spec);
	service_spec_init(s->previous);
	service_spec_copy(&s->spec, s->previous);
	s->previous_release = s->release;
}

static void wish(struct service *s, const struct service_spec *spec)
{
	s->revision++;
	if (!service_spec_same_release(&s->spec, spec)) {
		bool is_back = s->previous && service_spec_same_release(s->previous, spec);
		if (is_back) {
			s->release = s->previous_release;
			previous_drop(s);
		} else {
			previous_keep(s);
			s->release = s->revision;
		}
	}
	spec_set(&s->spec, spec);
}

static void describe_wish(const struct service *s, char *ret, size_t cap)
{
	const struct service_spec *p = &s->spec;
	snprintf(ret, cap, "revision %lld: %lld replica%s of %.200s%s%s", (long long)s->revision,
		 (long long)p->replicas, p->replicas == 1 ? "" : "s", p->uri ? p->uri : "",
		 p->weights && *p->weights ? ", weights " : "", p->weights ? p->weights : "");
}

bool rollout_take_update(struct ctl_service *cs)
{
	if (list_empty(&cs->updates))
		return false;
	struct ctl_service_change *k = LIST_ENTRY(cs->updates.next, struct ctl_service_change, node);
	list_remove(&k->node);
	if (k->base_revision != cs->service->revision) {
		struct err err = ERR_INIT;
		err_set(&err, ERR_CONFLICT,
			"model '%s' was updated meanwhile (revision %lld); look at it and "
			"try again",
			cs->service->spec.name, (long long)cs->service->revision);
		service_update_overtaken(cs, k, &err);
		service_dirty(cs);
		return false;
	}
	struct service_move *m = service_move_begin(cs, "updating", "");
	struct service *s = m->after;
	wish(s, &k->spec);
	s->update = (struct service_update){
	    .state = UPDATE_ROLLING, .revision = s->revision, .started_ms = ctl_wall(cs->ctl)};
	describe_wish(s, m->event.message, sizeof(m->event.message));
	m->change = k;
	service_move_commit(m, k->user);
	return true;
}

static void update_end(struct ctl_service *cs, struct service *s, enum service_update_state state,
		       const char *message)
{
	s->update.state = state;
	s->update.ended_ms = ctl_wall(cs->ctl);
	snprintf(s->update.message, sizeof(s->update.message), "%s", message);
}

void rollout_fail(struct ctl_service *cs, const char *why)
{
	char text[400];
	int64_t broken = cs->service->release;
	snprintf(text, sizeof(text), "revision %lld does not work, the one before serves on: %.250s",
		 (long long)cs->service->update.revision, why);
	struct service_move *m = service_move_begin(cs, "update-failed", text);
	struct service *s = m->after;
	spec_set(&s->spec, s->previous);
	s->release = s->previous_release;
	previous_drop(s);
	update_end(cs, s, UPDATE_FAILED, text);
	for (size_t i = 0; i < s->replica_count; i++)
		if (s->replicas[i].release == broken && !s->replicas[i].ready_ms)
			s->replicas[i].draining = true;
	service_move_commit(m, "controller");
}

/* ---- which replicas there are ---- */

struct census {
	size_t fresh, fresh_ready; /* of the present release */
	size_t old;		   /* of another one */
	size_t useless;		   /* of another one, never ready, and nobody wants them again */
	bool weights_set;
};

static struct census census_take(const struct ctl_service *cs)
{
	const struct service *s = cs->service;
	const char *weights = s->spec.weights ? s->spec.weights : "";
	struct census n = {.weights_set = true};
	for (size_t i = 0; i < s->replica_count; i++) {
		const struct replica *r = &s->replicas[i];
		char name[TASK_NAME_MAX + 1];
		if (r->draining)
			continue;
		ctl_service_task_name(s, r, name);
		const struct ctl_task *t = task_find(cs->ctl, name);
		if (r->release != s->release) {
			n.old++;
			n.useless += !r->ready_ms && !service_spec_of(s, r->release);
			continue;
		}
		n.fresh++;
		n.fresh_ready += replica_is_ready(cs, r);
		if (cs->ctl->config.backend->ops->set_weights && t && strcmp(t->status.weights, weights))
			n.weights_set = false;
	}
	return n;
}

static bool is_useless(const struct service *s, const struct replica *r)
{
	return !r->draining && r->release != s->release && !r->ready_ms && !service_spec_of(s, r->release);
}

static void drain_useless(struct ctl_service *cs)
{
	struct service_move *m =
	    service_move_begin(cs, "draining", "replicas of a release that never served are ended");
	for (size_t i = 0; i < m->after->replica_count; i++)
		if (is_useless(m->after, &m->after->replicas[i]))
			m->after->replicas[i].draining = true;
	service_move_commit(m, "controller");
}

/* One that does not serve goes before one that does, then the newest place. */
static void drain_one(struct ctl_service *cs, bool of_old, const char *why)
{
	const struct service *s = cs->service;
	const struct replica *best = NULL;
	bool best_ready = false;
	char text[160];
	for (size_t i = 0; i < s->replica_count; i++) {
		const struct replica *r = &s->replicas[i];
		bool ready = replica_is_ready(cs, r);
		if (r->draining || (r->release != s->release) != of_old)
			continue;
		if (!best || (best_ready && !ready) || (best_ready == ready && r->slot > best->slot)) {
			best = r;
			best_ready = ready;
		}
	}
	snprintf(text, sizeof(text), "replica %lld (release %lld) takes no new connections and ends: %s",
		 (long long)best->slot, (long long)best->release, why);
	struct service_move *m = service_move_begin(cs, "draining", text);
	m->after->replicas[best - s->replicas].draining = true;
	service_move_commit(m, "controller");
}

static int64_t free_slot(const struct service *s)
{
	for (int64_t slot = 0; slot < SERVICE_SLOTS_MAX; slot++) {
		size_t i = 0;
		while (i < s->replica_count && s->replicas[i].slot != slot)
			i++;
		if (i == s->replica_count)
			return slot;
	}
	return -1;
}

void rollout_add(struct service *s, size_t count)
{
	for (; count && s->replica_count < SERVICE_SLOTS_MAX; count--) {
		struct replica r = {.slot = free_slot(s), .attempt = ++s->attempt, .release = s->release};
		s->replicas[s->replica_count++] = r;
	}
}

static bool add(struct ctl_service *cs, size_t count)
{
	char text[100];
	if (cs->service->replica_count == SERVICE_SLOTS_MAX)
		return false; /* those that end make room */
	snprintf(text, sizeof(text), "%zu more replica%s of release %lld", count, count == 1 ? "" : "s",
		 (long long)cs->service->release);
	struct service_move *m = service_move_begin(cs, "scaling", text);
	rollout_add(m->after, count);
	service_move_commit(m, "controller");
	return true;
}

static void finish(struct ctl_service *cs)
{
	char text[100];
	snprintf(text, sizeof(text), "revision %lld is in force", (long long)cs->service->update.revision);
	struct service_move *m = service_move_begin(cs, "updated", text);
	previous_drop(m->after);
	update_end(cs, m->after, UPDATE_DONE, "");
	service_move_commit(m, "controller");
}

/* ---- what comes next ---- */

static size_t most(size_t a, size_t b)
{
	return a > b ? a : b;
}

void rollout_advance(struct ctl_service *cs)
{
	const struct service *s = cs->service;
	struct census n = census_take(cs);
	size_t wished = (size_t)s->spec.replicas;
	size_t starting = n.fresh - n.fresh_ready;
	size_t missing = wished > n.fresh ? wished - n.fresh : 0;
	size_t before = most(wished, s->previous ? (size_t)s->previous->replicas : n.old);
	if (n.useless) {
		drain_useless(cs);
	} else if (n.fresh > wished) {
		drain_one(cs, false, "fewer replicas are wished");
	} else if (missing && !n.old) {
		add(cs, missing);
	} else if (missing && !starting && n.fresh + n.old < before + 1 && add(cs, 1)) {
		return;
	} else if (n.old && n.fresh_ready && n.old + n.fresh_ready > wished) {
		drain_one(cs, true, "another release takes its place");
	} else if (s->update.state == UPDATE_ROLLING && !n.old && !missing && n.fresh_ready == wished &&
		   n.weights_set) {
		finish(cs);
	}
}
