/* SPDX-License-Identifier: Apache-2.0 */
/* Which version a request means: numbers, labels, weights. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/model.h"

/* Consecutive requests take slots of a thousand in steps of a prime: every thousand takes each slot once, and
 * a share of a tenth is asked about every tenth time instead of a hundred times in a row. */
#define WEIGHT_STEP 617

static const struct model_label *find_label(const struct model *m, struct str name)
{
	for (size_t i = 0; i < m->label_count; i++)
		if (str_eq(name, m->labels[i].name))
			return &m->labels[i];
	return NULL;
}

static bool is_usable(const struct model_version *v)
{
	return v->state == VERSION_AVAILABLE;
}

/* Not in memory, but on its way as soon as a request asks, or because one did. */
static bool may_come(const struct model_version *v)
{
	return v->wanted && v->parked &&
	       (v->state == VERSION_START || v->state == VERSION_LOADING || v->state == VERSION_UNLOADING);
}

/* By the weights, when there are any and their version can serve; else NULL. */
static struct model_version *choose_weighted(struct model *m)
{
	int slot = (int)(m->requests++ * WEIGHT_STEP % MODEL_WEIGHTS_SUM);

	for (size_t i = 0; i < m->weight_count; i++) {
		slot -= m->weights[i].per_mille;
		if (slot >= 0)
			continue;
		struct model_version *v = model_find_version(m, m->weights[i].version);
		return v && (is_usable(v) || may_come(v)) ? v : NULL;
	}
	return NULL;
}

static struct model_version *choose_newest(const struct model *m)
{
	struct model_version *coming = NULL;

	for (size_t i = 0; i < m->version_count; i++) {
		struct model_version *v = m->versions[i];
		if (is_usable(v))
			return v;
		if (!coming && may_come(v))
			coming = v;
	}
	return coming;
}

static int not_found(const struct model_spec *spec, bool has_version, int64_t version, struct err *err)
{
	int name_len = (int)(spec->name.len > 200 ? 200 : spec->name.len);

	if (has_version)
		return err_set(err, ERR_NOT_FOUND, "Servable not found for request: Specific(%.*s, %lld)",
			       name_len, spec->name.data, (long long)version);
	return err_set(err, ERR_NOT_FOUND, "Servable not found for request: Latest(%.*s)", name_len,
		       spec->name.data);
}

static int demand(struct registry *r, struct model_version *v, const struct model_spec *spec, struct err *err)
{
	int rc = r->on_demand ? r->on_demand(r, v, err) : 0;

	if (rc < 0)
		return rc;
	if (v && v->err.code)
		return err_set(err, ERR_UNAVAILABLE, "model '%.100s' does not load: %s", v->model_name,
			       v->err.msg);
	return err_set(err, ERR_UNAVAILABLE, "model '%.*s' is being loaded; try again",
		       (int)(spec->name.len > 200 ? 200 : spec->name.len), spec->name.data);
}

static struct model *find_recent(struct registry *r, struct str name)
{
	struct model *m = r->last;

	if (m && m->name_len == name.len && memcmp(m->name, name.data, name.len) == 0)
		return m;
	m = registry_find(r, name);
	if (m)
		r->last = m;
	return m;
}

int registry_resolve(struct registry *r, const struct model_spec *spec, struct model_version **ret,
		     struct err *err)
{
	struct model *m = find_recent(r, spec->name);
	bool has_version = spec->has_version;
	int64_t version = spec->version;
	struct model_version *v = NULL;

	if (spec->name.len == 0)
		return err_set(err, ERR_INVALID, "no model named: model_spec.name is empty");
	if (r->starting && r->on_demand)
		return demand(r, NULL, spec, err);
	if (m && spec->label.len > 0) {
		const struct model_label *label = find_label(m, spec->label);
		if (!label)
			return err_set(err, ERR_INVALID, "Unrecognized servable version label: %.*s",
				       (int)(spec->label.len > 200 ? 200 : spec->label.len),
				       spec->label.data);
		has_version = true;
		version = label->version;
	}
	if (m && has_version)
		v = model_find_version(m, version);
	else if (m && m->weight_count > 0)
		v = choose_weighted(m);
	if (m && !v && !has_version)
		v = choose_newest(m);
	if (v && may_come(v))
		return demand(r, v, spec, err);
	if (!v || !is_usable(v))
		return not_found(spec, has_version, version, err);
	v->used = ++r->uses;
	*ret = model_version_ref(v);
	return 0;
}

bool model_spec_matches(const struct model_spec *spec, const struct model *m, const struct model_version *v)
{
	const struct model_label *label = spec->label.len > 0 ? find_label(m, spec->label) : NULL;

	if (spec->label.len > 0)
		return label && label->version == v->number;
	return !spec->has_version || spec->version == v->number;
}

static int check_label(const struct model *m, const struct model_label *label, bool may_come_later,
		       struct err *err)
{
	const struct model_version *v = model_find_version(m, label->version);
	const struct model_label *old = find_label(m, str_from(label->name));

	if (v && (is_usable(v) || may_come(v)))
		return 0;
	if (may_come_later && (!old || old->version == label->version))
		return 0;
	return err_set(
	    err, ERR_STATE,
	    "Request to assign label to version %lld of model %.200s, which is not currently available for "
	    "inference",
	    (long long)label->version, m->name);
}

int model_set_labels(struct model *m, const struct model_label *labels, size_t count, bool may_come_later,
		     struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		int r = check_label(m, &labels[i], may_come_later, err);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < m->label_count; i++)
		free((char *)m->labels[i].name);
	m->label_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct model_label *same = (struct model_label *)find_label(m, str_from(labels[i].name));
		if (same) /* the last one wins, as in any protobuf map */
			same->version = labels[i].version;
		else
			m->labels[m->label_count++] =
			    (struct model_label){mem_strdup(labels[i].name), labels[i].version};
	}
	return 0;
}

int model_set_weights(struct model *m, const struct model_weight *weights, size_t count, struct err *err)
{
	int r = model_weights_check(weights, count, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		const struct model_version *v = model_find_version(m, weights[i].version);
		if (!v || !(is_usable(v) || may_come(v)))
			return err_set(
			    err, ERR_STATE,
			    "version %lld of model '%.200s' is not available, it can have no weight",
			    (long long)weights[i].version, m->name);
	}
	if (count > 0)
		memcpy(m->weights, weights, count * sizeof(*weights));
	m->weight_count = count;
	m->requests = 0;
	return 0;
}
