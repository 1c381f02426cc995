/* SPDX-License-Identifier: Apache-2.0 */
/* Encoding of inference.ModelInferResponse. */
#include <stdio.h>
#include <string.h>
#include "net/pb.h"
#include "serving/copies.h"
#include "serving/oip.h"
#include "serving/oip_pb_int.h"

#define FINAL_MARKER "triton_final_response"

/* Typed contents cannot hold 16-bit floats, and raw and typed must not mix. */
static bool all_typed(const struct oip_request *q, const struct predict *p)
{
	bool typed = !q->raw && q->input_count > 0;

	for (size_t i = 0; i < p->output_count && typed; i++)
		typed = oip_dtype_find(p->outputs[i].dtype)->contents_field != 0;
	return typed;
}

static uint64_t element(const struct tensor *t, size_t i)
{
	switch (t->dtype) {
	case DT_INT8:
		return (uint64_t)((const int8_t *)t->data)[i];
	case DT_BOOL:
	case DT_UINT8:
		return ((const uint8_t *)t->data)[i];
	case DT_INT16:
		return (uint64_t)((const int16_t *)t->data)[i];
	case DT_UINT16:
		return ((const uint16_t *)t->data)[i];
	case DT_INT32:
		return (uint64_t)((const int32_t *)t->data)[i];
	case DT_UINT32:
		return ((const uint32_t *)t->data)[i];
	default:
		return ((const uint64_t *)t->data)[i];
	}
}

static void write_contents(const struct tensor *t, uint32_t field, bool viewed, struct buf *b)
{
	struct pb_mark contents = pb_begin(b, INFER_TENSOR_CONTENTS, t->bytes + 8), packed;

	if (viewed) {
		pb_add_tag(b, field, PB_BYTES);
		pb_add_raw_varint(b, t->bytes);
		pb_close_before(b, contents, t->bytes);
		return;
	}

	if (t->dtype == DT_STRING) {
		for (size_t i = 0; i < t->count; i++)
			pb_add_str(b, field, t->strings[i]);
	} else if (t->dtype == DT_FLOAT || t->dtype == DT_DOUBLE) {
		pb_add_bytes(b, field, t->data ? t->data : "", t->bytes);
		copies_count(COPY_OUT, t->bytes);
	} else {
		packed = pb_begin(b, field, t->count);
		for (size_t i = 0; i < t->count; i++)
			pb_add_raw_varint(b, element(t, i));
		pb_close(b, packed);
	}
	pb_close(b, contents);
}

/* The elements of output i follow what b holds now. */
static void add_view(struct predict *p, size_t i, const struct buf *b, struct rpc_views **views)
{
	if (!*views)
		*views = rpc_views_new(p->output_count);
	rpc_views_add(*views, b, &p->outputs[i]);
}

static void write_output(struct predict *p, size_t i, bool typed, struct buf *b, struct rpc_views **views)
{
	const struct signature_tensor *s = &p->signature->outputs[p->output_index[i]];
	struct tensor *t = &p->outputs[i];
	bool viewed =
	    typed && views && (t->dtype == DT_FLOAT || t->dtype == DT_DOUBLE) && predict_may_view(p, i);
	const struct oip_dtype *type = oip_dtype_find(t->dtype);
	struct pb_mark output = pb_begin(b, INFER_REPLY_OUTPUTS, typed ? t->bytes + 64 : 0), shape;

	pb_add_string(b, INFER_TENSOR_NAME, s->alias);
	pb_add_string(b, INFER_TENSOR_DATATYPE, type->name);
	shape = pb_begin(b, INFER_TENSOR_SHAPE, 0);
	for (int k = 0; k < t->rank; k++)
		pb_add_raw_varint(b, (uint64_t)t->dims[k]);
	pb_close(b, shape);
	if (typed)
		write_contents(t, type->contents_field, viewed, b);
	pb_close_before(b, output, viewed ? t->bytes : 0);
	if (viewed)
		add_view(p, i, b, views);
}

static void write_final_marker(struct buf *b)
{
	struct pb_mark entry = pb_begin(b, INFER_PARAMETERS, 0), value;

	pb_add_string(b, ENTRY_KEY, FINAL_MARKER);
	value = pb_begin(b, ENTRY_VALUE, 0);
	pb_add_varint(b, PARAMETER_BOOL, 1);
	pb_close(b, value);
	pb_close(b, entry);
}

static void write_raw(struct predict *p, size_t i, struct buf *b, struct rpc_views **views)
{
	size_t size = oip_binary_size(&p->outputs[i]);
	bool viewed = views && predict_may_view(p, i);

	buf_reserve(b, (viewed ? 0 : size) + 16);
	pb_add_tag(b, INFER_REPLY_RAW, PB_BYTES);
	pb_add_raw_varint(b, size);
	if (viewed)
		add_view(p, i, b, views);
	else
		oip_binary_write(&p->outputs[i], b);
}

size_t oip_pb_reply_size(const struct oip_request *request, const struct predict *p)
{
	size_t size = 256;

	for (size_t i = 0; i < p->output_count; i++)
		size += oip_binary_size(&p->outputs[i]) + 512 +
			(request->raw ? 0 : p->outputs[i].count * PB_VARINT_MAX_BYTES);
	return size;
}

int oip_pb_reply(const struct oip_request *request, struct predict *p, bool final_marker, struct buf *b,
		 struct rpc_views **views, struct err *err)
{
	char version[24];
	bool typed;

	for (size_t i = 0; i < p->output_count; i++)
		if (!oip_dtype_find(p->outputs[i].dtype))
			return err_set(err, ERR_UNSUPPORTED,
				       "output '%s' has type %s, which this protocol has no word for",
				       p->signature->outputs[p->output_index[i]].alias,
				       dtype_word(p->outputs[i].dtype));
	typed = all_typed(request, p);
	snprintf(version, sizeof(version), "%lld", (long long)p->version->number);
	pb_add_string(b, INFER_MODEL_NAME, p->version->model_name);
	pb_add_string(b, INFER_MODEL_VERSION, version);
	pb_add_str(b, INFER_ID, request->id);
	if (final_marker)
		write_final_marker(b);
	for (size_t i = 0; i < p->output_count; i++)
		write_output(p, i, typed, b, views);
	for (size_t i = 0; i < p->output_count && !typed; i++)
		write_raw(p, i, b, views);
	return 0;
}
