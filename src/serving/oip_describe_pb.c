/* SPDX-License-Identifier: Apache-2.0 */
/* What is told about models in Protocol Buffers (proto/inference/inference.proto). */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/oip.h"
#include "serving/oip_describe.h"

enum {
	SERVER_NAME = 1,
	SERVER_VERSION = 2,
	SERVER_EXTENSIONS = 3,
	METADATA_NAME = 1,
	METADATA_VERSIONS = 2,
	METADATA_PLATFORM = 3,
	METADATA_INPUTS = 4,
	METADATA_OUTPUTS = 5,
	TENSOR_NAME = 1,
	TENSOR_DATATYPE = 2,
	TENSOR_SHAPE = 3,
	CONFIG = 1,
	CONFIG_NAME = 1,
	CONFIG_PLATFORM = 2,
	CONFIG_INPUT = 5,
	CONFIG_OUTPUT = 6,
	CONFIG_BACKEND = 17,
	CONFIG_INPUT_DIMS = 4,
	CONFIG_OUTPUT_DIMS = 3,
	INDEX_MODELS = 1,
	INDEX_NAME = 1,
	INDEX_VERSION = 2,
	INDEX_STATE = 3,
	INDEX_REASON = 4,
	STATS_MODELS = 1,
	STATS_NAME = 1,
	STATS_VERSION = 2,
	STATS_LAST = 3,
	STATS_INFERENCES = 4,
	STATS_EXECUTIONS = 5,
	STATS_TIMES = 6,
};

static void add_number(struct buf *b, uint32_t field, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)number);
	pb_add_string(b, field, text);
}

void oip_encode_server(struct buf *b)
{
	static const char *const extensions[] = OIP_EXTENSIONS;

	pb_add_string(b, SERVER_NAME, OIP_SERVER_NAME);
	pb_add_string(b, SERVER_VERSION, CLOUDML_VERSION);
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
		pb_add_string(b, SERVER_EXTENSIONS, extensions[i]);
}

static void encode_shape(const struct signature_tensor *t, uint32_t field, struct buf *b)
{
	int64_t dims[TENSOR_RANK_MAX];
	int rank = oip_shape(t, dims);
	struct pb_mark packed = pb_begin(b, field, 0);

	for (int i = 0; i < rank; i++)
		pb_add_raw_varint(b, (uint64_t)dims[i]);
	pb_close(b, packed);
}

static void encode_tensors(const struct signature_tensor *items, size_t count, uint32_t field, struct buf *b)
{
	for (size_t i = 0; i < count; i++) {
		struct pb_mark tensor = pb_begin(b, field, 0);
		pb_add_string(b, TENSOR_NAME, items[i].alias);
		pb_add_string(b, TENSOR_DATATYPE, oip_datatype(&items[i]));
		encode_shape(&items[i], TENSOR_SHAPE, b);
		pb_close(b, tensor);
	}
}

void oip_encode_metadata(const struct model *m, const struct model_version *v, struct buf *b)
{
	const struct signature *s = oip_described_signature(v);

	pb_add_string(b, METADATA_NAME, v->model_name);
	for (size_t i = m->version_count; i-- > 0;)
		if (m->versions[i]->state == VERSION_AVAILABLE)
			add_number(b, METADATA_VERSIONS, m->versions[i]->number);
	pb_add_string(b, METADATA_PLATFORM, oip_platform(v));
	if (!s)
		return;
	encode_tensors(s->inputs, s->input_count, METADATA_INPUTS, b);
	encode_tensors(s->outputs, s->output_count, METADATA_OUTPUTS, b);
}

static void encode_config_tensors(const struct signature_tensor *items, size_t count, uint32_t field,
				  uint32_t dims_field, struct buf *b)
{
	for (size_t i = 0; i < count; i++) {
		struct pb_mark tensor = pb_begin(b, field, 0);
		pb_add_string(b, TENSOR_NAME, items[i].alias);
		pb_add_varint(b, TENSOR_DATATYPE, (uint64_t)oip_config_datatype(&items[i]));
		encode_shape(&items[i], dims_field, b);
		pb_close(b, tensor);
	}
}

void oip_encode_config(const struct model_version *v, struct buf *b)
{
	const struct signature *s = oip_described_signature(v);
	struct pb_mark config = pb_begin(b, CONFIG, 512);

	pb_add_string(b, CONFIG_NAME, v->model_name);
	pb_add_string(b, CONFIG_PLATFORM, oip_platform(v));
	pb_add_string(b, CONFIG_BACKEND, oip_backend(v));
	if (s) {
		encode_config_tensors(s->inputs, s->input_count, CONFIG_INPUT, CONFIG_INPUT_DIMS, b);
		encode_config_tensors(s->outputs, s->output_count, CONFIG_OUTPUT, CONFIG_OUTPUT_DIMS, b);
	}
	pb_close(b, config);
}

void oip_encode_index(const struct registry *r, bool only_ready, struct buf *b)
{
	size_t model = 0, version = 0;
	struct oip_index_row row;

	while (oip_index_next(r, &model, &version, &row)) {
		if (only_ready && strcmp(row.state, "READY") != 0)
			continue;
		struct pb_mark entry = pb_begin(b, INDEX_MODELS, 0);
		pb_add_string(b, INDEX_NAME, row.model);
		if (row.version)
			add_number(b, INDEX_VERSION, row.version->number);
		pb_add_string(b, INDEX_STATE, row.state);
		pb_add_string(b, INDEX_REASON, row.reason);
		pb_close(b, entry);
	}
}

static void encode_duration(uint32_t field, uint64_t count, uint64_t ns, struct buf *b)
{
	struct pb_mark duration = pb_begin(b, field, 0);

	pb_add_varint(b, 1, count);
	pb_add_varint(b, 2, ns);
	pb_close(b, duration);
}

static void encode_version_stats(const struct model_version *v, struct buf *b)
{
	const struct model_stats *s = &v->stats;
	struct pb_mark entry = pb_begin(b, STATS_MODELS, 0), times;

	pb_add_string(b, STATS_NAME, v->model_name);
	add_number(b, STATS_VERSION, v->number);
	pb_add_varint(b, STATS_LAST, s->last_ms);
	pb_add_varint(b, STATS_INFERENCES, s->inference_count);
	pb_add_varint(b, STATS_EXECUTIONS, s->execution_count);
	times = pb_begin(b, STATS_TIMES, 0);
	encode_duration(1, s->success_count, s->success_ns, b);
	encode_duration(2, s->fail_count, s->fail_ns, b);
	encode_duration(3, s->success_count, s->queue_ns, b);
	encode_duration(4, s->success_count, s->input_ns, b);
	encode_duration(5, s->success_count, s->infer_ns, b);
	encode_duration(6, s->success_count, s->output_ns, b);
	pb_close(b, times);
	pb_close(b, entry);
}

void oip_encode_stats(const struct registry *r, const struct model_spec *only, struct buf *b)
{
	size_t model = 0, version = 0;
	struct oip_index_row row;

	while (oip_index_next(r, &model, &version, &row))
		if (oip_stats_wanted(&row, only))
			encode_version_stats(row.version, b);
}
