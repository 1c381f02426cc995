/* SPDX-License-Identifier: Apache-2.0 */
/* ModelServerConfig in text. */
#include <stdint.h>
#include "serving/model_config.h"
#include "serving/text_proto.h"

/* What a message's fields are handed to. 'opened' is true for a message, which must be read to its end. */
struct config_reader {
	struct text_proto text;
	struct model_config_list *list;
	struct model_config *config; /* being read */
	struct {
		const char *label;
		int64_t key, value;
	} entry; /* of a map */
};
typedef int (*read_field)(struct config_reader *r, const struct text_proto_field *f, bool opened,
			  struct err *err);

static int read_message(struct config_reader *r, read_field field, struct err *err)
{
	struct text_proto_field f;
	int event;

	while ((event = text_proto_next(&r->text, &f, err)) == TEXT_PROTO_VALUE || event == TEXT_PROTO_OPEN) {
		int result = field(r, &f, event == TEXT_PROTO_OPEN, err);
		if (result < 0)
			return result;
	}
	return event < 0 ? event : 0;
}

static int unknown(struct config_reader *r, const struct text_proto_field *f, struct err *err)
{
	return text_proto_fail(&r->text, f, "is unknown here", err);
}

static int read_latest(struct config_reader *r, const struct text_proto_field *f, bool opened,
		       struct err *err)
{
	if (opened || !str_eq(f->name, "num_versions"))
		return unknown(r, f, err);
	int result = text_proto_int(&r->text, f, 0, UINT32_MAX, &r->config->policy.latest, err);
	if (r->config->policy.latest == 0)
		r->config->policy.latest = 1;
	return result;
}

static int read_specific(struct config_reader *r, const struct text_proto_field *f, bool opened,
			 struct err *err)
{
	struct version_policy *p = &r->config->policy;

	if (opened || !str_eq(f->name, "versions"))
		return unknown(r, f, err);
	if (p->count == MODEL_VERSIONS_MAX)
		return text_proto_fail(&r->text, f, "names too many versions", err);
	return text_proto_int(&r->text, f, 0, INT64_MAX, &p->versions[p->count++], err);
}

static int read_policy(struct config_reader *r, const struct text_proto_field *f, bool opened,
		       struct err *err)
{
	struct version_policy *p = &r->config->policy;

	if (!opened)
		return unknown(r, f, err);
	p->count = 0;
	if (str_eq(f->name, "latest")) {
		p->kind = VERSIONS_LATEST;
		p->latest = 1;
		return read_message(r, read_latest, err);
	}
	if (str_eq(f->name, "specific")) {
		p->kind = VERSIONS_SPECIFIC;
		return read_message(r, read_specific, err);
	}
	if (!str_eq(f->name, "all"))
		return unknown(r, f, err);
	p->kind = VERSIONS_ALL;
	return text_proto_skip(&r->text, err);
}

static int read_label(struct config_reader *r, const struct text_proto_field *f, bool opened, struct err *err)
{
	if (!opened && str_eq(f->name, "key"))
		return text_proto_string(&r->text, f, MODEL_LABEL_MAX, &r->entry.label, err);
	if (!opened && str_eq(f->name, "value"))
		return text_proto_int(&r->text, f, INT64_MIN, INT64_MAX, &r->entry.value, err);
	return unknown(r, f, err);
}

static int read_weight(struct config_reader *r, const struct text_proto_field *f, bool opened,
		       struct err *err)
{
	if (!opened && str_eq(f->name, "key"))
		return text_proto_int(&r->text, f, 0, INT64_MAX, &r->entry.key, err);
	if (!opened && str_eq(f->name, "value"))
		return text_proto_int(&r->text, f, 0, MODEL_WEIGHTS_SUM, &r->entry.value, err);
	return unknown(r, f, err);
}

static int add_label(struct config_reader *r, const struct text_proto_field *f, struct err *err)
{
	struct model_config *c = r->config;
	int result;

	r->entry.label = "";
	r->entry.value = 0;
	result = read_message(r, read_label, err);
	if (result >= 0 && c->label_count == MODEL_LABELS_MAX)
		return text_proto_fail(&r->text, f, "is there too often", err);
	if (result >= 0)
		c->labels[c->label_count++] = (struct model_label){r->entry.label, r->entry.value};
	return result;
}

static int add_weight(struct config_reader *r, const struct text_proto_field *f, struct err *err)
{
	struct model_config *c = r->config;
	int result;

	r->entry.key = r->entry.value = 0;
	result = read_message(r, read_weight, err);
	if (result >= 0 && c->weight_count == MODEL_VERSIONS_MAX)
		return text_proto_fail(&r->text, f, "is there too often", err);
	if (result >= 0)
		c->weights[c->weight_count++] = (struct model_weight){r->entry.key, (int)r->entry.value};
	return result;
}

static int read_model(struct config_reader *r, const struct text_proto_field *f, bool opened, struct err *err)
{
	struct model_config *c = r->config;

	if (!opened && str_eq(f->name, "name"))
		return text_proto_string(&r->text, f, MODEL_NAME_MAX, &c->name, err);
	if (!opened && str_eq(f->name, "base_path"))
		return text_proto_string(&r->text, f, MODEL_PATH_MAX, &c->base_path, err);
	if (!opened && str_eq(f->name, "model_platform"))
		return text_proto_string(&r->text, f, MODEL_NAME_MAX, &c->platform, err);
	if (!opened && str_eq(f->name, "model_type"))
		return 0; /* superseded by model_platform */
	if (opened && str_eq(f->name, "model_version_policy"))
		return read_message(r, read_policy, err);
	if (opened && str_eq(f->name, "version_labels"))
		return add_label(r, f, err);
	if (opened && str_eq(f->name, "version_weights"))
		return add_weight(r, f, err);
	if (opened && (str_eq(f->name, "logging_config") || str_eq(f->name, "logging_configs")))
		return text_proto_skip(&r->text, err); /* requests are not logged */
	return unknown(r, f, err);
}

static int read_list(struct config_reader *r, const struct text_proto_field *f, bool opened, struct err *err)
{
	if (!opened || !str_eq(f->name, "config"))
		return unknown(r, f, err);
	r->config = model_config_add(r->list, err);
	return r->config ? read_message(r, read_model, err) : -err->code;
}

static int read_server(struct config_reader *r, const struct text_proto_field *f, bool opened,
		       struct err *err)
{
	if (opened && str_eq(f->name, "model_config_list"))
		return read_message(r, read_list, err);
	if (opened && str_eq(f->name, "custom_model_config"))
		return err_set(err, ERR_UNSUPPORTED, "custom model configurations are not supported");
	return unknown(r, f, err);
}

int model_config_read_text(struct str text, struct model_config_list *l, struct err *err)
{
	struct config_reader reader = {.list = l};
	int r = text_proto_init(&reader.text, text, &l->arena, err);

	if (r >= 0)
		r = read_message(&reader, read_server, err);
	return r < 0 ? r : model_config_check(l, err);
}
