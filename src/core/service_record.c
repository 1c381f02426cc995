/* SPDX-License-Identifier: Apache-2.0 */
/* The model service's record: releases, replicas, the update that goes on; as a row and as the API's Model.
 */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "core/field.h"
#include "core/service.h"

static const char *const update_words[] = {
#define WORD(state, word) word,
    SERVICE_UPDATE_TABLE(WORD)
#undef WORD
	NULL};

/* ---- weights ---- */

static int bad_weights(const char *text, struct err *err)
{
	return err_set(
	    err, ERR_INVALID,
	    "weights '%.100s' are not of the form 1=900,2=100: at most %d versions, once each, and "
	    "the sum 1000",
	    text, SERVICE_VERSIONS_MAX);
}

/* Digits only; -1 when there are none or too many. */
static int64_t take_number(const char **at)
{
	size_t digits = strspn(*at, "0123456789");
	if (!digits || digits > 18)
		return -1;
	int64_t n = strtoll(*at, NULL, 10);
	*at += digits;
	return n;
}

int service_weights_parse(const char *text, struct service_weight ret[SERVICE_VERSIONS_MAX], struct err *err)
{
	int count = 0;
	int64_t sum = 0;
	if (!text || !*text)
		return 0;
	for (const char *at = text;; at++) {
		int64_t version = take_number(&at);
		if (version < 0 || *at++ != '=' || count == SERVICE_VERSIONS_MAX)
			return bad_weights(text, err);
		int64_t per_mille = take_number(&at);
		if (per_mille < 0 || per_mille > 1000)
			return bad_weights(text, err);
		for (int i = 0; i < count; i++)
			if (ret[i].version == version)
				return bad_weights(text, err);
		ret[count++] = (struct service_weight){version, per_mille};
		sum += per_mille;
		if (!*at)
			break;
		if (*at != ',')
			return bad_weights(text, err);
	}
	return sum == 1000 ? count : bad_weights(text, err);
}

bool service_weights_same_versions(const char *a, const char *b)
{
	struct service_weight of_a[SERVICE_VERSIONS_MAX], of_b[SERVICE_VERSIONS_MAX];
	int count = service_weights_parse(a, of_a, NULL);
	if (count < 0 || count != service_weights_parse(b, of_b, NULL))
		return false;
	for (int i = 0, found; i < count; i++) {
		for (found = 0; found < count && of_b[found].version != of_a[i].version; found++)
			;
		if (found == count)
			return false;
	}
	return true;
}

/* ---- releases ---- */

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

bool service_spec_same_release(const struct service_spec *a, const struct service_spec *b)
{
	return same_text(a->uri, b->uri) && same_text(a->framework, b->framework) &&
	       same_text(a->framework_version, b->framework_version) &&
	       a->model_version == b->model_version && a->limits.cpu_milli == b->limits.cpu_milli &&
	       a->limits.memory_bytes == b->limits.memory_bytes && a->limits.gpu == b->limits.gpu &&
	       a->startup_grace_ms == b->startup_grace_ms && a->health_interval_ms == b->health_interval_ms &&
	       a->health_failures == b->health_failures &&
	       service_weights_same_versions(a->weights, b->weights);
}

const struct service_spec *service_spec_of(const struct service *s, int64_t release)
{
	if (release == s->release)
		return &s->spec;
	return s->previous && release == s->previous_release ? s->previous : NULL;
}

size_t service_ready_count(const struct service *s)
{
	size_t count = 0;
	for (size_t i = 0; i < s->replica_count; i++)
		count += s->replicas[i].state && !strcmp(s->replicas[i].state, "ready");
	return count;
}

/* ---- the record ---- */

struct service *service_new(void)
{
	struct service *s = MEM_NEW(struct service);
	service_spec_init(&s->spec);
	s->revision = s->release = 1;
	s->progress = PROGRESS_NONE;
	return s;
}

struct service *service_copy(const struct service *from)
{
	struct service *s = MEM_NEW(struct service);
	*s = *from;
	service_spec_init(&s->spec);
	service_spec_copy(&from->spec, &s->spec);
	if (from->previous) {
		s->previous = MEM_NEW(struct service_spec);
		service_spec_init(s->previous);
		service_spec_copy(from->previous, s->previous);
	}
	return s;
}

void service_free(struct service *s)
{
	if (!s)
		return;
	service_spec_done(&s->spec);
	if (s->previous)
		service_spec_done(s->previous);
	free(s->previous);
	free(s);
}

static json_t *update_format(const struct service_update *u)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:o}", "state", update_words[u->state], "revision",
			 (json_int_t)u->revision, "started_ms", (json_int_t)u->started_ms, "ended_ms",
			 (json_int_t)u->ended_ms, "message", field_text_json(u->message));
}

json_t *service_rollout_format(const struct service *s)
{
	json_t *replicas = json_array();
	for (size_t i = 0; i < s->replica_count; i++) {
		const struct replica *r = &s->replicas[i];
		json_array_append_new(
		    replicas, json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "slot", (json_int_t)r->slot,
					"attempt", (json_int_t)r->attempt, "release", (json_int_t)r->release,
					"restarts", (json_int_t)r->restarts, "ready_ms",
					(json_int_t)r->ready_ms, "draining", r->draining));
	}
	json_t *j =
	    json_pack("{s:I, s:I, s:o, s:o}", "revision", (json_int_t)s->revision, "release",
		      (json_int_t)s->release, "update", update_format(&s->update), "replicas", replicas);
	if (s->previous) {
		json_object_set_new(j, "previous", service_spec_format(s->previous));
		json_object_set_new(j, "previous_release", json_integer(s->previous_release));
	}
	return j;
}

static int64_t integer(const json_t *j, const char *key)
{
	return json_integer_value(json_object_get(j, key));
}

static void update_parse(const json_t *j, struct service_update *u)
{
	const char *word = json_string_value(json_object_get(j, "state"));
	const char *message = json_string_value(json_object_get(j, "message"));
	for (unsigned i = 0; word && update_words[i]; i++)
		if (!strcmp(word, update_words[i]))
			u->state = (enum service_update_state)i;
	u->revision = integer(j, "revision");
	u->started_ms = integer(j, "started_ms");
	u->ended_ms = integer(j, "ended_ms");
	snprintf(u->message, sizeof(u->message), "%s", message ? message : "");
}

static void first_rollout(struct service *s)
{
	s->revision = s->release = 1;
	s->replicas[0] = (struct replica){.attempt = s->attempt, .release = 1, .ready_ms = s->ready_ms};
	s->replica_count = 1;
}

int service_rollout_parse(const json_t *j, struct service *s, struct err *err)
{
	const json_t *replicas = json_object_get(j, "replicas"), *r;
	const json_t *previous = json_object_get(j, "previous");
	size_t i;
	if (!j) {
		first_rollout(s);
		return 0;
	}
	s->revision = integer(j, "revision");
	s->release = integer(j, "release");
	if (s->release < 1 || s->revision < s->release || json_array_size(replicas) > SERVICE_SLOTS_MAX)
		return err_set(err, ERR_CORRUPT, "the replicas of model '%s' cannot be read", s->id);
	update_parse(json_object_get(j, "update"), &s->update);
	json_array_foreach(replicas, i, r)
	{
		s->replicas[s->replica_count++] =
		    (struct replica){.slot = integer(r, "slot"),
				     .attempt = integer(r, "attempt"),
				     .release = integer(r, "release"),
				     .restarts = integer(r, "restarts"),
				     .ready_ms = integer(r, "ready_ms"),
				     .draining = json_is_true(json_object_get(r, "draining"))};
	}
	if (!previous)
		return 0;
	s->previous_release = integer(j, "previous_release");
	s->previous = MEM_NEW(struct service_spec);
	service_spec_init(s->previous);
	return service_spec_parse(previous, s->previous, err);
}

static json_t *replicas_format(const struct service *s)
{
	json_t *list = json_array();
	for (size_t i = 0; i < s->replica_count; i++) {
		const struct replica *r = &s->replicas[i];
		json_array_append_new(
		    list,
		    json_pack("{s:I, s:s, s:I, s:I, s:I, s:I, s:o}", "replica", (json_int_t)r->slot, "state",
			      r->state ? r->state : "starting", "attempt", (json_int_t)r->attempt, "release",
			      (json_int_t)r->release, "restarts", (json_int_t)r->restarts, "ready_ms",
			      (json_int_t)r->ready_ms, "message", field_text_json(r->message)));
	}
	return list;
}

static json_t *tensorboard_format(const struct service *s)
{
	json_t *j =
	    json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I}", "id", s->id, "name",
		      s->spec.name, "org", s->org, "user", s->user, "state", service_state_word(s->state),
		      "reason", s->reason, "message", field_text_json(s->message), "attempt",
		      (json_int_t)s->attempt, "restarts", (json_int_t)s->restarts, "created_ms",
		      (json_int_t)s->created_ms, "ready_ms", (json_int_t)s->ready_ms);
	json_object_set_new(j, "path", json_sprintf("/tensorboard/%s/", s->spec.name));
	json_object_set_new(j, "progress", progress_format(&s->progress));
	json_object_set_new(j, "uri", json_string(s->spec.uri));
	json_object_set_new(j, "cpu", json_real((double)s->spec.limits.cpu_milli / 1000));
	json_object_set_new(j, "memory", json_integer(s->spec.limits.memory_bytes));
	return j;
}

json_t *service_format(const struct service *s)
{
	if (service_kind_of(s) == SERVICE_TENSORBOARD)
		return tensorboard_format(s);
	const char *name = s->spec.name ? s->spec.name : "";
	json_t *j = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:I, s:s}", "id", s->id, "name", name,
	    "org", s->org, "user", s->user, "state", service_state_word(s->state), "reason", s->reason,
	    "message", field_text_json(s->message), "version", (json_int_t)s->version, "attempt",
	    (json_int_t)s->attempt, "restarts", (json_int_t)s->restarts, "created_ms",
	    (json_int_t)s->created_ms, "ready_ms", (json_int_t)s->ready_ms, "address", s->address);
	bool addressed = s->address[0];
	json_object_set_new(j, "http_url",
			    addressed ? json_sprintf("http://%s/v1/models/%s", s->address, name)
				      : json_null());
	json_object_set_new(j, "grpc_address", addressed ? json_string(s->address) : json_null());
	json_object_set_new(j, "progress", progress_format(&s->progress));
	json_object_set_new(j, "revision", json_integer(s->revision));
	json_object_set_new(j, "release", json_integer(s->release));
	json_object_set_new(j, "replicas_ready", json_integer((json_int_t)service_ready_count(s)));
	json_object_set_new(j, "replicas", replicas_format(s));
	json_object_set_new(j, "update", update_format(&s->update));
	json_object_set_new(j, "spec", service_spec_format(&s->spec));
	return j;
}
