/* SPDX-License-Identifier: Apache-2.0 */
/* Models as the Open Inference Protocol finds and changes them. */
#include "serving/oip_repository.h"

#include <string.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/json_text.h"
#include "serving/oip_pb_int.h"

#define SHOWN_MAX 200 /* bytes of a stranger's name in a message */

bool oip_server_ready(const struct server *s)
{
	return !s->draining && registry_is_ready(&s->registry);
}

static int shown(struct str s)
{
	return (int)(s.len > SHOWN_MAX ? SHOWN_MAX : s.len);
}

static int missing(const struct server *s, const struct model_spec *spec, struct err *err)
{
	const struct model *m = registry_find(&s->registry, spec->name);

	if (!m)
		return err_set(err, ERR_NOT_FOUND, "model '%.*s' is not found", shown(spec->name),
			       spec->name.data);
	if (!m->listed)
		return err_set(err, ERR_NOT_FOUND, "model '%s' is not found: it was unloaded", m->name);
	if (!spec->has_version)
		return err_set(err, ERR_UNAVAILABLE, "model '%s' has no version that is ready", m->name);
	if (!model_find_version(m, spec->version))
		return err_set(err, ERR_NOT_FOUND, "version %lld of model '%s' is not found",
			       (long long)spec->version, m->name);
	return err_set(err, ERR_UNAVAILABLE, "version %lld of model '%s' is not ready",
		       (long long)spec->version, m->name);
}

int oip_model_ready(const struct server *s, const struct model_spec *spec, struct err *err)
{
	const struct model *m = registry_find(&s->registry, spec->name);

	for (size_t i = 0; m && i < m->version_count; i++) {
		const struct model_version *v = m->versions[i];
		bool asked = !spec->has_version || v->number == spec->version;
		if (asked && (v->state == VERSION_AVAILABLE || (v->wanted && v->parked)))
			return 0;
	}
	return missing(s, spec, err);
}

int oip_resolve(struct server *s, const struct model_spec *spec, struct model_version **ret, struct err *err)
{
	int r;

	if (spec->name.len == 0)
		return err_set(err, ERR_INVALID, "the model's name is empty");
	r = registry_resolve(&s->registry, spec, ret, err);
	return r == -ERR_NOT_FOUND ? missing(s, spec, err) : r;
}

void oip_explain(const struct predict *p, struct err *err)
{
	if (err->code == ERR_NOT_FOUND && !p->version)
		missing(p->server, &p->spec, err);
	else if (err->code == ERR_STATE && p->version && !p->signature)
		err_set(err, ERR_INVALID, "model '%s' has no signature '%.*s'", p->version->model_name,
			shown(p->spec.signature), p->spec.signature.data ? p->spec.signature.data : "");
}

/* Parameters that would say what is loaded, instead of which model of the configuration. */
static int check_parameter(struct str key, struct err *err)
{
	static const char file[] = "file:";
	bool is_file = key.len >= sizeof(file) - 1 && memcmp(key.data, file, sizeof(file) - 1) == 0;

	if (!is_file && !str_eq(key, "config"))
		return 0;
	return err_set(err, ERR_UNSUPPORTED,
		       "parameter '%.*s' is not offered: models are loaded from their folders", shown(key),
		       key.data);
}

static int check_parameters(struct json_text *j, struct arena *arena, struct err *err)
{
	bool first = true, dependents;
	struct str key;
	int r;

	while ((r = json_text_member(j, &first, arena, &key, err)) > 0) {
		r = check_parameter(key, err);
		if (r >= 0)
			r = str_eq(key, "unload_dependents") ? json_text_bool(j, &dependents, err)
							     : json_text_skip(j, NULL, err);
		if (r < 0)
			break;
	}
	return r;
}

int oip_change_parameters_json(struct str body, struct err *err)
{
	struct arena arena = ARENA_INIT(65536);
	bool first = true;
	struct json_text j;
	struct str key;
	int r = 0;

	json_text_init(&j, body);
	if (body.len == 0)
		return 0;
	while (r >= 0 && (r = json_text_member(&j, &first, &arena, &key, err)) > 0) {
		if (!str_eq(key, "parameters"))
			r = json_text_skip(&j, NULL, err);
		else
			r = check_parameters(&j, &arena, err);
	}
	arena_done(&arena);
	return r < 0 ? r : json_text_end(&j, err);
}

int oip_change_parameters_pb(struct str entry, struct err *err)
{
	struct str key = {"", 0}, value = {"", 0};
	struct pb p;
	struct pb_field f;
	int r;

	pb_init_str(&p, entry);
	while (pb_next(&p, &f))
		if (pb_is(&f, ENTRY_KEY, PB_BYTES))
			pb_text(&p, &f, &key);
		else if (pb_is(&f, ENTRY_VALUE, PB_BYTES))
			value = f.bytes;
	r = pb_end(&p, "parameters", err);
	if (r >= 0)
		r = check_parameter(key, err);
	if (r < 0)
		return r;
	pb_init_str(&p, value); /* not used, but part of the message */
	while (pb_next(&p, &f))
		;
	return pb_end(&p, "ModelRepositoryParameter", err);
}
