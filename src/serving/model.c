/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of models and the states of their versions. */
#include "serving/model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "serving/batcher.h"
#include "serving/model_life.h"

const char *version_state_word(enum version_state s)
{
	switch (s) {
#define VERSION_STATE_WORD(name, number, word)                                                               \
	case name:                                                                                           \
		return word;
		VERSION_STATE_TABLE(VERSION_STATE_WORD)
#undef VERSION_STATE_WORD
	}
	return "UNKNOWN";
}

static void model_free(void *p)
{
	struct model *m = p;

	for (size_t i = 0; i < m->version_count; i++)
		model_version_unref(m->versions[i]);
	model_set_labels(m, NULL, 0, true, NULL);
	free(m->base_path);
	free(m->name);
	free(m);
}

void registry_init(struct registry *r)
{
	*r = (struct registry){.models = map_new(model_free)};
}

void registry_done(struct registry *r)
{
	map_free(r->models);
	r->models = NULL;
}

struct model *registry_add(struct registry *r, const char *name)
{
	struct model *m = map_get(r->models, name);

	if (m)
		return m;
	m = MEM_NEW(struct model);
	m->name = mem_strdup(name);
	m->name_len = strlen(name);
	m->policy.latest = 1;
	map_set(r->models, name, m);
	return m;
}

void registry_remove(struct registry *r, struct model *m)
{
	r->last = NULL;
	map_delete(r->models, m->name);
}

struct model *registry_find(const struct registry *r, struct str name)
{
	char key[MODEL_NAME_MAX + 1];

	if (name.len == 0 || name.len > MODEL_NAME_MAX || memchr(name.data, 0, name.len))
		return NULL;
	memcpy(key, name.data, name.len);
	key[name.len] = 0;
	return map_get(r->models, key);
}

/* Forgets the oldest version that has ended and is not wanted. */
static bool forget_one(struct model *m)
{
	for (size_t i = m->version_count; i-- > 0;) {
		struct model_version *v = m->versions[i];
		if (v->state != VERSION_END || v->wanted || v->refs > 1)
			continue;
		memmove(&m->versions[i], &m->versions[i + 1],
			(--m->version_count - i) * sizeof(struct model_version *));
		model_version_unref(v);
		return true;
	}
	return false;
}

struct model_version *model_add_version(struct model *m, int64_t number, const char *path)
{
	struct model_version *v;
	size_t i = 0;

	if (m->version_count == MODEL_VERSIONS_MAX && !forget_one(m))
		return NULL;
	v = MEM_NEW(struct model_version);
	v->refs = 1;
	v->number = number;
	v->path = mem_strdup(path);
	v->state = VERSION_START;
	v->model_name = m->name;
	v->model = m;
	while (i < m->version_count && m->versions[i]->number > number)
		i++;
	memmove(&m->versions[i + 1], &m->versions[i],
		(m->version_count - i) * sizeof(struct model_version *));
	m->versions[i] = v;
	m->version_count++;
	return v;
}

struct model_version *model_find_version(const struct model *m, int64_t number)
{
	for (size_t i = 0; i < m->version_count; i++)
		if (m->versions[i]->number == number)
			return m->versions[i];
	return NULL;
}

int model_status_missing(const struct model_spec *spec, bool model_known, struct err *err)
{
	int len = (int)(spec->name.len > 200 ? 200 : spec->name.len);

	if (model_known && spec->has_version)
		return err_set(err, ERR_NOT_FOUND, "Could not find version %lld of model %.*s",
			       (long long)spec->version, len, spec->name.data);
	return err_set(err, ERR_NOT_FOUND, "Could not find any versions of model %.*s", len,
		       spec->name.data ? spec->name.data : "");
}

static bool model_is_ready(const struct model *m)
{
	for (size_t i = 0; i < m->version_count; i++)
		if (m->versions[i]->state == VERSION_AVAILABLE ||
		    (m->versions[i]->parked && m->versions[i]->wanted))
			return true;
	return !m->listed;
}

bool registry_is_ready(const struct registry *r)
{
	const char *name;
	void *model;

	for (size_t i = 0; map_next(r->models, &i, &name, &model);)
		if (!model_is_ready(model))
			return false;
	return !r->starting;
}

struct model_version *model_version_ref(struct model_version *v)
{
	v->refs++;
	return v;
}

void model_version_unref(struct model_version *v)
{
	if (--v->refs == 1 && v->state == VERSION_UNLOADING && v->life)
		model_life_unused(v);
	if (v->refs > 0)
		return;
	if (v->runtime)
		v->runtime->ops->unload(v->runtime);
	batch_lanes_free(v->lanes);
	free(v->path);
	free(v);
}

const struct signature_set *model_version_signatures(const struct model_version *v)
{
	static const struct signature_set none;

	return v->runtime ? v->runtime->ops->signatures(v->runtime) : &none;
}

static bool move_allowed(enum version_state from, enum version_state to)
{
	switch (from) {
	case VERSION_START:
		return to == VERSION_LOADING || to == VERSION_END;
	case VERSION_LOADING:
		return to == VERSION_AVAILABLE || to == VERSION_END || to == VERSION_START; /* parked again */
	case VERSION_AVAILABLE:
		return to == VERSION_UNLOADING;
	case VERSION_UNLOADING:
		return to == VERSION_END || to == VERSION_START; /* parked */
	case VERSION_END:
		return to == VERSION_START; /* wanted again, or its files have changed */
	default:
		return false;
	}
}

void model_version_move(struct model_version *v, enum version_state to)
{
	assert(move_allowed(v->state, to));
	assert(to != VERSION_AVAILABLE || v->runtime);
	log_debug("model.state model=%s version=%lld from=%s to=%s", v->model_name, (long long)v->number,
		  version_state_word(v->state), version_state_word(to));
	v->state = to;
}
