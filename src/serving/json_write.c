/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors as JSON: rows ("predictions") and columns ("outputs"). */
#include <inttypes.h>
#include <string.h>
#include "base/utf8.h"
#include "serving/base64.h"
#include "serving/float_text.h"
#include "serving/json_tensor.h"

void json_write_float(struct buf *b, float v)
{
	char text[FLOAT_TEXT_MAX];

	buf_add(b, text, float_text(v, text));
}

void json_write_double(struct buf *b, double v)
{
	char text[FLOAT_TEXT_MAX];

	buf_add(b, text, double_text(v, text));
}

static void write_string(struct buf *b, const char *alias, struct str s)
{
	/* Outputs that say so, and bytes that are no text, which JSON could not carry. */
	if (str_ends(alias, "_bytes") || !utf8_is(s)) {
		buf_adds(b, "{\"b64\":\"");
		base64_encode(b, s);
		buf_adds(b, "\"}");
		return;
	}
	json_text_write_string(b, s);
}

static void write_element(struct buf *b, const char *alias, const struct tensor *t, size_t i)
{
	switch (t->dtype) {
	case DT_FLOAT:
		json_write_float(b, ((const float *)t->data)[i]);
		break;
	case DT_DOUBLE:
		json_write_double(b, ((const double *)t->data)[i]);
		break;
	case DT_HALF:
		json_write_float(b, dtype_half_to_float(((const uint16_t *)t->data)[i]));
		break;
	case DT_BFLOAT16:
		json_write_float(b, dtype_bfloat16_to_float(((const uint16_t *)t->data)[i]));
		break;
	case DT_BOOL:
		buf_adds(b, ((const uint8_t *)t->data)[i] ? "true" : "false");
		break;
	case DT_STRING:
		write_string(b, alias, t->strings[i]);
		break;
	case DT_INT8:
		buf_printf(b, "%d", ((const int8_t *)t->data)[i]);
		break;
	case DT_UINT8:
		buf_printf(b, "%u", ((const uint8_t *)t->data)[i]);
		break;
	case DT_INT16:
		buf_printf(b, "%d", ((const int16_t *)t->data)[i]);
		break;
	case DT_UINT16:
		buf_printf(b, "%u", ((const uint16_t *)t->data)[i]);
		break;
	case DT_INT32:
		buf_printf(b, "%" PRId32, ((const int32_t *)t->data)[i]);
		break;
	case DT_UINT32:
		buf_printf(b, "%" PRIu32, ((const uint32_t *)t->data)[i]);
		break;
	case DT_INT64:
		buf_printf(b, "%" PRId64, ((const int64_t *)t->data)[i]);
		break;
	default:
		buf_printf(b, "%" PRIu64, ((const uint64_t *)t->data)[i]);
		break;
	}
}

/* The elements from 'first' on, nested by the dimensions from 'level' on. */
static void write_nested(struct buf *b, const char *alias, const struct tensor *t, int level, size_t first)
{
	int64_t index[TENSOR_RANK_MAX] = {0};
	int depth = level;
	size_t i = first;

	for (;;) {
		while (depth < t->rank) { /* open lists down to the elements */
			buf_addc(b, '[');
			if (t->dims[depth] == 0)
				break;
			index[depth++] = 0;
		}
		if (depth == t->rank)
			write_element(b, alias, t, i++);
		else
			buf_addc(b, ']'); /* an empty list is a value */
		for (;;) {
			if (depth == level)
				return;
			if (++index[depth - 1] < t->dims[depth - 1])
				break;
			buf_addc(b, ']');
			depth--;
		}
		buf_addc(b, ',');
	}
}

void json_write_flat(struct buf *b, const struct tensor *t)
{
	struct tensor flat = *t;

	flat.rank = 1;
	flat.dims[0] = (int64_t)t->count;
	write_nested(b, "", &flat, 0, 0);
}

static int check_outputs(bool rows, const struct signature *s, const size_t *output_index,
			 const struct tensor *outputs, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		const char *alias = s->outputs[output_index[i]].alias;
		if (!dtype_in_json(outputs[i].dtype))
			return err_set(err, ERR_UNSUPPORTED,
				       "output '%s' has type %s, which JSON cannot hold; use gRPC", alias,
				       dtype_word(outputs[i].dtype));
		if (rows && outputs[i].rank == 0)
			return err_set(err, ERR_INVALID,
				       "Tensor name: %s has no shape information; use 'inputs' instead of "
				       "'instances'",
				       alias);
		if (rows && outputs[i].dims[0] != outputs[0].dims[0])
			return err_set(err, ERR_INVALID,
				       "Tensor name: %s has inconsistent batch size: %lld expecting: %lld",
				       alias, (long long)outputs[i].dims[0], (long long)outputs[0].dims[0]);
	}
	return 0;
}

static void write_rows(const struct signature *s, const size_t *output_index, const struct tensor *outputs,
		       size_t count, struct buf *b)
{
	int64_t n = count ? outputs[0].dims[0] : 0;

	buf_adds(b, "{\"predictions\":[");
	for (int64_t row = 0; row < n; row++) {
		buf_adds(b, row ? "," : "");
		buf_adds(b, count > 1 ? "{" : "");
		for (size_t i = 0; i < count; i++) {
			const char *alias = s->outputs[output_index[i]].alias;
			if (count > 1) {
				buf_adds(b, i ? "," : "");
				json_text_write_string(b, str_from(alias));
				buf_addc(b, ':');
			}
			write_nested(b, alias, &outputs[i], 1, outputs[i].count / (size_t)n * (size_t)row);
		}
		buf_adds(b, count > 1 ? "}" : "");
	}
	buf_adds(b, "]}");
}

static void write_columns(const struct signature *s, const size_t *output_index, const struct tensor *outputs,
			  size_t count, struct buf *b)
{
	buf_adds(b, "{\"outputs\":");
	buf_adds(b, count > 1 ? "{" : "");
	for (size_t i = 0; i < count; i++) {
		const char *alias = s->outputs[output_index[i]].alias;
		if (count > 1) {
			buf_adds(b, i ? "," : "");
			json_text_write_string(b, str_from(alias));
			buf_addc(b, ':');
		}
		write_nested(b, alias, &outputs[i], 0, 0);
	}
	buf_adds(b, count > 1 ? "}}" : "}");
}

int json_predict_write(bool rows, const struct signature *s, const size_t *output_index,
		       const struct tensor *outputs, size_t output_count, struct buf *b, struct err *err)
{
	int r = check_outputs(rows, s, output_index, outputs, output_count, err);

	if (r < 0)
		return r;
	if (rows)
		write_rows(s, output_index, outputs, output_count, b);
	else
		write_columns(s, output_index, outputs, output_count, b);
	return 0;
}
