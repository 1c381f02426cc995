/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of models, from text and from the wire. */
#include <stdlib.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/model_config.h"
#include "unit/test.h"

static const char whole[] =
    "model_config_list {\n"
    "  config { name: 'a' base_path: '/a' model_platform: 'tensorflow' }\n"
    "  config { name: 'b' base_path: '/b' model_version_policy { latest { num_versions: 3 } } }\n"
    "  config { name: 'c' base_path: '/c' model_version_policy: { all {} }\n"
    "    version_weights { key: 1 value: 900 } version_weights { key: 2 value: 100 } }\n"
    "  config { name: 'd' base_path: '/d' model_version_policy { specific { versions: [4, 2] } }\n"
    "    version_labels { key: 'stable' value: 2 } version_labels { key: 'new' value: 4 }\n"
    "    logging_config { log_collector_config { type: 'x' } } }\n"
    "}\n";

/* What was read, in one line. */
static void describe(const struct model_config_list *l, struct buf *b)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct model_config *c = l->items[i];
		buf_printf(b, "%s=%s,%s,%d:%lld", c->name, c->base_path, c->platform, c->policy.kind,
			   (long long)c->policy.latest);
		for (size_t k = 0; k < c->policy.count; k++)
			buf_printf(b, " v%lld", (long long)c->policy.versions[k]);
		for (size_t k = 0; k < c->label_count; k++)
			buf_printf(b, " %s=%lld", c->labels[k].name, (long long)c->labels[k].version);
		for (size_t k = 0; k < c->weight_count; k++)
			buf_printf(b, " w%lld=%d", (long long)c->weights[k].version, c->weights[k].per_mille);
		buf_addc(b, '\n');
	}
}

static const char expected[] = "a=/a,tensorflow,0:1\n"
			       "b=/b,,0:3\n"
			       "c=/c,,1:1 w1=900 w2=100\n"
			       "d=/d,,2:1 v4 v2 stable=2 new=4\n";

TEST(a_configuration_is_read_from_text)
{
	CLEANUP(model_config_list) struct model_config_list *l = model_config_list_new();
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;

	EXPECT_OK(model_config_read_text(str_from(whole), l, &err), &err);
	describe(l, &b);
	EXPECT_STR("whole", buf_str(&b), expected);
}

static void add_entry(struct buf *b, uint32_t field, const char *label, int64_t version, int64_t value)
{
	struct pb_mark entry = pb_begin(b, field, 0);

	if (label)
		pb_add_string(b, 1, label);
	else
		pb_add_varint(b, 1, (uint64_t)version);
	pb_add_varint(b, 2, (uint64_t)value);
	pb_close(b, entry);
}

static struct pb_mark begin_config(struct buf *b, const char *name)
{
	struct pb_mark config = pb_begin(b, 1, 0);
	char path[8] = "/";

	strcpy(path + 1, name);
	pb_add_string(b, 1, name);
	pb_add_string(b, 2, path);
	return config;
}

static void encode_whole(struct buf *b)
{
	struct pb_mark list = pb_begin(b, 1, 0), config = begin_config(b, "a"), policy, inner;

	pb_add_string(b, 4, "tensorflow");
	pb_close(b, config);
	config = begin_config(b, "b");
	policy = pb_begin(b, 7, 0);
	inner = pb_begin(b, 100, 0);
	pb_add_varint(b, 1, 3);
	pb_close(b, inner);
	pb_close(b, policy);
	pb_close(b, config);
	config = begin_config(b, "c");
	policy = pb_begin(b, 7, 0);
	pb_close(b, pb_begin(b, 101, 0));
	pb_close(b, policy);
	add_entry(b, 1000, NULL, 1, 900);
	add_entry(b, 1000, NULL, 2, 100);
	pb_close(b, config);
	config = begin_config(b, "d");
	policy = pb_begin(b, 7, 0);
	inner = pb_begin(b, 102, 0);
	pb_add_bytes(b, 1, "\4\2", 2);
	pb_close(b, inner);
	pb_close(b, policy);
	add_entry(b, 8, "stable", 0, 2);
	add_entry(b, 8, "new", 0, 4);
	pb_close(b, config);
	pb_close(b, list);
}

TEST(a_configuration_is_read_from_the_wire)
{
	CLEANUP(model_config_list) struct model_config_list *l = model_config_list_new();
	CLEANUP(buf) struct buf b = BUF_INIT, message = BUF_INIT;
	struct err err = ERR_INIT;

	encode_whole(&message);
	EXPECT_OK(model_config_read_pb((struct str){message.data, message.len}, l, &err), &err);
	describe(l, &b);
	EXPECT_STR("whole", buf_str(&b), expected);
}

TEST(what_makes_no_sense_is_refused)
{
	static const struct {
		const char *text;
		int code;
		const char *why;
	} rows[] = {
	    {"improper", ERR_INVALID, "line 1"},
	    {"model_config_list { config { nam: 'a' } }", ERR_INVALID, "'nam' is unknown"},
	    {"model_config_list { config { base_path: '/a' } }", ERR_INVALID,
	     "model 1 of the list has no name"},
	    {"model_config_list { config { name: 'a' } }", ERR_INVALID, "'a' has no base_path"},
	    {"model_config_list { config { name: 'a' base_path: 'x' } config { name: 'a' base_path: 'y' } }",
	     ERR_INVALID, "two models are named 'a'"},
	    {"model_config_list { config { name: 'a' base_path: 'x' model_platform: 'caffe' } }",
	     ERR_UNSUPPORTED, "caffe"},
	    {"model_config_list { config { name: 'a' base_path: 'x' model_version_policy { specific {} } } }",
	     ERR_INVALID, "no specific versions"},
	    {"model_config_list { config { name: 'a' base_path: 'x' version_weights { key: 1 value: 5 } } }",
	     ERR_INVALID, "sum up to 5"},
	    {"model_config_list { config { name: 'a' base_path: 'x' version_weights { key: 1 value: 1001 } } "
	     "}",
	     ERR_INVALID, "from 0 to 1000"},
	    {"custom_model_config { }", ERR_UNSUPPORTED, "custom"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(model_config_list) struct model_config_list *l = model_config_list_new();
		struct err err = ERR_INIT;
		EXPECT_ERR(model_config_read_text(str_from(rows[i].text), l, &err), rows[i].code, &err,
			   rows[i].why);
	}
}
