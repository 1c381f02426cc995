/* SPDX-License-Identifier: Apache-2.0 */
/* ModelServerConfig on the wire (tensorflow_serving/config/model_server_config.proto). */
#include <stdint.h>
#include <string.h>
#include "base/utf8.h"
#include "net/pb.h"
#include "serving/model_config.h"

enum {
	SERVER_LIST = 1,
	SERVER_CUSTOM = 2,
	LIST_CONFIG = 1,
	CONFIG_NAME = 1,
	CONFIG_BASE_PATH = 2,
	CONFIG_PLATFORM = 4,
	CONFIG_POLICY = 7,
	CONFIG_LABELS = 8,
	CONFIG_WEIGHTS = 1000,
	POLICY_LATEST = 100,
	POLICY_ALL = 101,
	POLICY_SPECIFIC = 102,
	POLICY_VALUE = 1,
	MAP_KEY = 1,
	MAP_VALUE = 2,
};

static int copy_text(struct model_config_list *l, struct str from, size_t max, const char *what,
		     const char **ret, struct err *err)
{
	if (from.len > max || memchr(from.data, 0, from.len))
		return err_set(err, ERR_INVALID, "%s is longer than %zu bytes or holds a NUL", what, max);
	if (!utf8_is(from))
		return err_set(err, ERR_INVALID, "malformed %s: a string that is no UTF-8", what);
	*ret = arena_strndup(&l->arena, from.data, from.len);
	return *ret ? 0 : err_set(err, ERR_TOO_LARGE, "the configuration needs more memory than it may use");
}

static int add_version(struct version_policy *p, uint64_t version, struct err *err)
{
	if (p->count == MODEL_VERSIONS_MAX)
		return err_set(err, ERR_INVALID, "more than %d specific versions", MODEL_VERSIONS_MAX);
	p->versions[p->count++] = (int64_t)version;
	return 0;
}

static int read_specific(struct str bytes, struct version_policy *ret, struct err *err)
{
	struct pb p, packed;
	struct pb_field f;
	uint64_t version;
	int r = 0;

	pb_init_str(&p, bytes);
	while (r >= 0 && pb_next(&p, &f)) {
		if (pb_is(&f, POLICY_VALUE, PB_VARINT))
			r = add_version(ret, f.value, err);
		if (!pb_is(&f, POLICY_VALUE, PB_BYTES))
			continue;
		pb_init_str(&packed, f.bytes);
		while (r >= 0 && pb_item_varint(&packed, &version))
			r = add_version(ret, version, err);
		if (r >= 0)
			r = pb_end(&packed, "versions", err);
	}
	return r < 0 ? r : pb_end(&p, "Specific", err);
}

static int read_latest(struct str bytes, struct version_policy *ret, struct err *err)
{
	struct pb p;
	struct pb_field f;

	ret->latest = 0;
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f))
		if (pb_is(&f, POLICY_VALUE, PB_VARINT))
			ret->latest = (int64_t)(uint32_t)f.value;
	if (ret->latest == 0)
		ret->latest = 1; /* left out: one */
	return pb_end(&p, "Latest", err);
}

static int read_policy(struct str bytes, struct version_policy *ret, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r = 0;

	pb_init_str(&p, bytes);
	while (r >= 0 && pb_next(&p, &f)) { /* one of: the last one counts */
		if (f.wire != PB_BYTES || f.number < POLICY_LATEST || f.number > POLICY_SPECIFIC)
			continue;
		ret->count = 0;
		ret->kind = f.number == POLICY_LATEST ? VERSIONS_LATEST
			    : f.number == POLICY_ALL  ? VERSIONS_ALL
						      : VERSIONS_SPECIFIC;
		if (ret->kind == VERSIONS_LATEST)
			r = read_latest(f.bytes, ret, err);
		else if (ret->kind == VERSIONS_SPECIFIC)
			r = read_specific(f.bytes, ret, err);
	}
	return r < 0 ? r : pb_end(&p, "ServableVersionPolicy", err);
}

/* The entry of a map whose key is a text or a number and whose value is a number. */
static int read_entry(struct str bytes, struct str *ret_text, int64_t *ret_key, int64_t *ret_value,
		      struct err *err)
{
	struct pb p;
	struct pb_field f;

	*ret_text = (struct str){"", 0};
	*ret_key = *ret_value = 0;
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, MAP_KEY, PB_BYTES))
			*ret_text = f.bytes;
		else if (pb_is(&f, MAP_KEY, PB_VARINT))
			*ret_key = (int64_t)f.value;
		else if (pb_is(&f, MAP_VALUE, PB_VARINT))
			*ret_value = (int64_t)f.value;
	}
	return pb_end(&p, "map entry", err);
}

static int add_label(struct str bytes, struct model_config_list *l, struct model_config *c, struct err *err)
{
	struct model_label *label = &c->labels[c->label_count];
	struct str text;
	int64_t unused;
	int r;

	if (c->label_count == MODEL_LABELS_MAX)
		return err_set(err, ERR_INVALID, "more than %d labels", MODEL_LABELS_MAX);
	r = read_entry(bytes, &text, &unused, &label->version, err);
	if (r >= 0)
		r = copy_text(l, text, MODEL_LABEL_MAX, "label", &label->name, err);
	if (r >= 0)
		c->label_count++;
	return r;
}

static int add_weight(struct str bytes, struct model_config *c, struct err *err)
{
	struct model_weight *weight = &c->weights[c->weight_count];
	struct str unused;
	int64_t value = 0;
	int r;

	if (c->weight_count == MODEL_VERSIONS_MAX)
		return err_set(err, ERR_INVALID, "more than %d weights", MODEL_VERSIONS_MAX);
	r = read_entry(bytes, &unused, &weight->version, &value, err);
	if (r < 0)
		return r;
	weight->per_mille = value < 0 || value > MODEL_WEIGHTS_SUM ? -1 : (int)value;
	c->weight_count++;
	return 0;
}

static int read_config_field(const struct pb_field *f, struct model_config_list *l, struct model_config *c,
			     struct err *err)
{
	if (f->wire != PB_BYTES)
		return 0;
	switch (f->number) {
	case CONFIG_NAME:
		return copy_text(l, f->bytes, MODEL_NAME_MAX, "name", &c->name, err);
	case CONFIG_BASE_PATH:
		return copy_text(l, f->bytes, MODEL_PATH_MAX, "base_path", &c->base_path, err);
	case CONFIG_PLATFORM:
		return copy_text(l, f->bytes, MODEL_NAME_MAX, "model_platform", &c->platform, err);
	case CONFIG_POLICY:
		return read_policy(f->bytes, &c->policy, err);
	case CONFIG_LABELS:
		return add_label(f->bytes, l, c, err);
	case CONFIG_WEIGHTS:
		return add_weight(f->bytes, c, err);
	default:
		return 0;
	}
}

static int read_config(struct str bytes, struct model_config_list *l, struct err *err)
{
	struct model_config *c = model_config_add(l, err);
	struct pb p;
	struct pb_field f;
	int r = c ? 0 : -err->code;

	pb_init_str(&p, bytes);
	while (r >= 0 && pb_next(&p, &f))
		r = read_config_field(&f, l, c, err);
	return r < 0 ? r : pb_end(&p, "ModelConfig", err);
}

static int read_list(struct str bytes, struct model_config_list *l, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r = 0;

	pb_init_str(&p, bytes);
	while (r >= 0 && pb_next(&p, &f))
		if (pb_is(&f, LIST_CONFIG, PB_BYTES))
			r = read_config(f.bytes, l, err);
	return r < 0 ? r : pb_end(&p, "ModelConfigList", err);
}

int model_config_read_pb(struct str message, struct model_config_list *l, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r = 0;

	pb_init_str(&p, message);
	while (r >= 0 && pb_next(&p, &f)) {
		if (pb_is(&f, SERVER_LIST, PB_BYTES))
			r = read_list(f.bytes, l, err);
		else if (pb_is(&f, SERVER_CUSTOM, PB_BYTES))
			r = err_set(err, ERR_UNSUPPORTED, "custom model configurations are not supported");
	}
	if (r >= 0)
		r = pb_end(&p, "ModelServerConfig", err);
	return r < 0 ? r : model_config_check(l, err);
}
