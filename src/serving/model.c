/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of models and the states of their versions. */
#include "serving/model.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "serving/batcher.h"

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
	free(m->name);
	free(m);
}

void registry_init(struct registry *r)
{
	r->models = map_new(model_free);
}

void registry_done(struct registry *r)
{
	map_free(r->models);
	r->models = NULL;
}

int registry_add(struct registry *r, const char *name, int64_t number, const char *path,
		 struct model_version **ret, struct err *err)
{
	struct model *m;
	struct model_version *v;

	if (map_get(r->models, name))
		return err_set(err, ERR_EXISTS, "model '%s' is there already", name);
	m = MEM_NEW(struct model);
	m->name = mem_strdup(name);
	v = MEM_NEW(struct model_version);
	v->refs = 1;
	v->number = number;
	v->path = mem_strdup(path);
	v->state = VERSION_START;
	v->model_name = m->name;
	m->versions[m->version_count++] = v;
	map_set(r->models, name, m);
	*ret = v;
	return 0;
}

struct model *registry_find(const struct registry *r, struct str name)
{
	CLEANUP(free) char *key = NULL;

	if (name.len == 0 || name.len > 1024 || memchr(name.data, 0, name.len))
		return NULL;
	key = mem_strndup(name.data, name.len);
	return map_get(r->models, key);
}

static struct model_version *find_available(const struct model *m, const struct model_spec *spec)
{
	for (size_t i = 0; i < m->version_count; i++) {
		struct model_version *v = m->versions[i];
		if (v->state == VERSION_AVAILABLE && (!spec->has_version || v->number == spec->version))
			return v;
	}
	return NULL;
}

int registry_resolve(const struct registry *r, const struct model_spec *spec, struct model_version **ret,
		     struct err *err)
{
	const struct model *m = registry_find(r, spec->name);
	struct model_version *v;
	int name_len = (int)(spec->name.len > 200 ? 200 : spec->name.len);

	if (spec->name.len == 0)
		return err_set(err, ERR_INVALID, "no model named: model_spec.name is empty");
	if (m && spec->label.len > 0)
		return err_set(err, ERR_INVALID, "Unrecognized servable version label: %.*s",
			       (int)(spec->label.len > 200 ? 200 : spec->label.len), spec->label.data);
	v = m ? find_available(m, spec) : NULL;
	if (v) {
		*ret = model_version_ref(v);
		return 0;
	}
	if (spec->has_version)
		return err_set(err, ERR_NOT_FOUND, "Servable not found for request: Specific(%.*s, %lld)",
			       name_len, spec->name.data, (long long)spec->version);
	return err_set(err, ERR_NOT_FOUND, "Servable not found for request: Latest(%.*s)", name_len,
		       spec->name.data);
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

bool registry_is_ready(const struct registry *r)
{
	static const struct model_spec any;
	const char *name;
	void *model;

	for (size_t i = 0; map_next(r->models, &i, &name, &model);)
		if (!find_available(model, &any))
			return false;
	return true;
}

struct model_version *model_version_ref(struct model_version *v)
{
	v->refs++;
	return v;
}

void model_version_unref(struct model_version *v)
{
	if (--v->refs > 0)
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
		return to == VERSION_LOADING;
	case VERSION_LOADING:
		return to == VERSION_AVAILABLE || to == VERSION_END;
	case VERSION_AVAILABLE:
		return to == VERSION_UNLOADING;
	case VERSION_UNLOADING:
		return to == VERSION_END;
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
