/* SPDX-License-Identifier: Apache-2.0 */
/* What is told about models, and how it is told in JSON. */
#include "serving/oip_describe.h"

#include <string.h>
#include "base/mem.h"
#include "serving/json_text.h"
#include "serving/oip.h"

const struct signature *oip_described_signature(const struct model_version *v)
{
	const struct signature_set *set = model_version_signatures(v);
	const struct signature *s = signature_find(set, STR(SIGNATURE_DEFAULT));

	return s ? s : set->count > 0 ? &set->items[0] : NULL;
}

/* name of the runtime, platform and backend in the words of the protocol */
static const char *const platforms[][3] = {
    {"tensorflow", "tensorflow_savedmodel", "tensorflow"},
    {"onnx", "onnxruntime_onnx", "onnxruntime"},
    {"python", "python", "python"},
};

static const char *runtime_word(const struct model_version *v, int which)
{
	const char *name = v->runtime ? v->runtime->ops->name : "";

	for (size_t i = 0; i < ARRAY_LEN(platforms); i++)
		if (strcmp(platforms[i][0], name) == 0)
			return platforms[i][which];
	return name;
}

const char *oip_platform(const struct model_version *v)
{
	return runtime_word(v, 1);
}

const char *oip_backend(const struct model_version *v)
{
	return runtime_word(v, 2);
}

const char *oip_datatype(const struct signature_tensor *t)
{
	const struct oip_dtype *type = oip_dtype_find(t->dtype);

	return type ? type->name : "INVALID";
}

int oip_config_datatype(const struct signature_tensor *t)
{
	const struct oip_dtype *type = oip_dtype_find(t->dtype);

	return type ? type->config_number : 0;
}

int oip_shape(const struct signature_tensor *t, int64_t *ret_dims)
{
	if (t->unknown_rank) {
		ret_dims[0] = -1;
		return 1;
	}
	memcpy(ret_dims, t->dims, (size_t)t->rank * sizeof(*ret_dims));
	return t->rank;
}

static void state_of(const struct model_version *v, struct oip_index_row *row)
{
	row->reason = v->err.code ? v->err.msg : "";
	if (v->parked && v->state != VERSION_AVAILABLE) {
		row->state = "UNAVAILABLE";
		row->reason = v->err.code ? v->err.msg : "loaded by its first request";
		return;
	}
	switch (v->state) {
	case VERSION_AVAILABLE:
		row->state = "READY";
		break;
	case VERSION_START:
	case VERSION_LOADING:
		row->state = "LOADING";
		break;
	case VERSION_UNLOADING:
		row->state = "UNLOADING";
		break;
	default:
		row->state = "UNAVAILABLE";
		row->reason = v->err.code ? v->err.msg : "unloaded";
		break;
	}
}

bool oip_index_next(const struct registry *r, size_t *model, size_t *version, struct oip_index_row *ret)
{
	size_t pos = *model, start = *version;
	const char *name;
	void *value;

	if (!map_next(r->models, &pos, &name, &value))
		return false;
	const struct model *m = value;
	*ret = (struct oip_index_row){.model = name, .state = "UNAVAILABLE", .reason = m->err.msg};
	if (!ret->reason[0])
		ret->reason = m->listed ? "no version" : "unloaded";
	if (start < m->version_count) {
		ret->version = m->versions[start];
		state_of(ret->version, ret);
	}
	*version = start + 1;
	if (*version >= m->version_count) {
		*version = 0;
		*model = pos;
	}
	return true;
}

void oip_write_server(struct buf *b)
{
	static const char *const extensions[] = OIP_EXTENSIONS;

	buf_adds(b, "{\"name\":\"" OIP_SERVER_NAME "\",\"version\":\"" CLOUDML_VERSION "\",\"extensions\":[");
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
		buf_printf(b, "%s\"%s\"", i ? "," : "", extensions[i]);
	buf_adds(b, "]}");
}

void oip_write_models(const struct registry *r, struct buf *b)
{
	const char *name;
	void *model;
	bool more = false;

	buf_adds(b, "{\"models\":[");
	for (size_t i = 0; map_next(r->models, &i, &name, &model);) {
		if (!((struct model *)model)->listed)
			continue;
		buf_adds(b, more ? "," : "");
		json_text_write_string(b, str_from(name));
		more = true;
	}
	buf_adds(b, "]}");
}

static void write_dims(const struct signature_tensor *t, struct buf *b)
{
	int64_t dims[TENSOR_RANK_MAX];
	int rank = oip_shape(t, dims);

	for (int i = 0; i < rank; i++)
		buf_printf(b, "%s%lld", i ? "," : "", (long long)dims[i]);
}

static void write_tensors(const struct signature_tensor *items, size_t count, const char *type_key,
			  const char *type_prefix, const char *shape_key, struct buf *b)
{
	for (size_t i = 0; i < count; i++) {
		const char *type = oip_datatype(&items[i]);
		if (type_prefix[0] && items[i].dtype == DT_STRING)
			type = "STRING";
		buf_adds(b, i ? ",{\"name\":" : "{\"name\":");
		json_text_write_string(b, str_from(items[i].alias));
		buf_printf(b, ",\"%s\":\"%s%s\",\"%s\":[", type_key, type_prefix, type, shape_key);
		write_dims(&items[i], b);
		buf_adds(b, "]}");
	}
}

void oip_write_metadata(const struct model *m, const struct model_version *v, struct buf *b)
{
	const struct signature *s = oip_described_signature(v);
	bool more = false;

	buf_adds(b, "{\"name\":");
	json_text_write_string(b, str_from(v->model_name));
	buf_adds(b, ",\"versions\":[");
	for (size_t i = m->version_count; i-- > 0;) { /* oldest first */
		if (m->versions[i]->state != VERSION_AVAILABLE)
			continue;
		buf_printf(b, "%s\"%lld\"", more ? "," : "", (long long)m->versions[i]->number);
		more = true;
	}
	buf_printf(b, "],\"platform\":\"%s\",\"inputs\":[", oip_platform(v));
	if (s)
		write_tensors(s->inputs, s->input_count, "datatype", "", "shape", b);
	buf_adds(b, "],\"outputs\":[");
	if (s)
		write_tensors(s->outputs, s->output_count, "datatype", "", "shape", b);
	buf_adds(b, "]}");
}

void oip_write_config(const struct model_version *v, struct buf *b)
{
	const struct signature *s = oip_described_signature(v);

	buf_adds(b, "{\"name\":");
	json_text_write_string(b, str_from(v->model_name));
	buf_printf(b, ",\"platform\":\"%s\",\"backend\":\"%s\",\"max_batch_size\":0,\"input\":[",
		   oip_platform(v), oip_backend(v));
	if (s)
		write_tensors(s->inputs, s->input_count, "data_type", "TYPE_", "dims", b);
	buf_adds(b, "],\"output\":[");
	if (s)
		write_tensors(s->outputs, s->output_count, "data_type", "TYPE_", "dims", b);
	buf_adds(b, "]}");
}

void oip_write_index(const struct registry *r, bool only_ready, struct buf *b)
{
	size_t model = 0, version = 0;
	struct oip_index_row row;
	bool more = false;

	buf_addc(b, '[');
	while (oip_index_next(r, &model, &version, &row)) {
		if (only_ready && strcmp(row.state, "READY") != 0)
			continue;
		buf_adds(b, more ? ",{\"name\":" : "{\"name\":");
		json_text_write_string(b, str_from(row.model));
		if (row.version)
			buf_printf(b, ",\"version\":\"%lld\"", (long long)row.version->number);
		buf_printf(b, ",\"state\":\"%s\",\"reason\":", row.state);
		json_text_write_string(b, str_from(row.reason));
		buf_addc(b, '}');
		more = true;
	}
	buf_addc(b, ']');
}

static void write_duration(const char *key, uint64_t count, uint64_t ns, struct buf *b)
{
	buf_printf(b, "%s\"%s\":{\"count\":%llu,\"ns\":%llu}", b->data[b->len - 1] == '{' ? "" : ",", key,
		   (unsigned long long)count, (unsigned long long)ns);
}

static void write_version_stats(const struct model_version *v, struct buf *b)
{
	const struct model_stats *s = &v->stats;

	buf_adds(b, "{\"name\":");
	json_text_write_string(b, str_from(v->model_name));
	buf_printf(b,
		   ",\"version\":\"%lld\",\"last_inference\":%llu,\"inference_count\":%llu,"
		   "\"execution_count\":%llu,\"inference_stats\":{",
		   (long long)v->number, (unsigned long long)s->last_ms,
		   (unsigned long long)s->inference_count, (unsigned long long)s->execution_count);
	write_duration("success", s->success_count, s->success_ns, b);
	write_duration("fail", s->fail_count, s->fail_ns, b);
	write_duration("queue", s->success_count, s->queue_ns, b);
	write_duration("compute_input", s->success_count, s->input_ns, b);
	write_duration("compute_infer", s->success_count, s->infer_ns, b);
	write_duration("compute_output", s->success_count, s->output_ns, b);
	write_duration("cache_hit", 0, 0, b);
	write_duration("cache_miss", 0, 0, b);
	buf_adds(b, "},\"batch_stats\":[],\"memory_usage\":[],\"response_stats\":{}}");
}

bool oip_stats_wanted(const struct oip_index_row *row, const struct model_spec *only)
{
	if (!row->version || row->version->state != VERSION_AVAILABLE)
		return false;
	return !only || (str_eq(only->name, row->model) &&
			 (!only->has_version || only->version == row->version->number));
}

void oip_write_stats(const struct registry *r, const struct model_spec *only, struct buf *b)
{
	size_t model = 0, version = 0;
	struct oip_index_row row;
	bool more = false;

	buf_adds(b, "{\"model_stats\":[");
	while (oip_index_next(r, &model, &version, &row)) {
		if (!oip_stats_wanted(&row, only))
			continue;
		buf_adds(b, more ? "," : "");
		write_version_stats(row.version, b);
		more = true;
	}
	buf_adds(b, "]}");
}
