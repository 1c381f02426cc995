/* SPDX-License-Identifier: Apache-2.0 */
/* Infer replies in JSON, with binary tensors behind the JSON where the client wants them. */
#include "base/utf8.h"
#include "serving/json_tensor.h"
#include "serving/oip.h"

static bool is_binary(const struct oip_request *q, size_t i)
{
	return q->output_count > 0 ? q->output_binary[i] : q->binary_default;
}

static int check_text(const struct tensor *t, const char *alias, struct err *err)
{
	for (size_t i = 0; t->dtype == DT_STRING && i < t->count; i++)
		if (!utf8_is(t->strings[i]))
			return err_set(err, ERR_INVALID,
				       "output '%s' holds bytes that are no text; ask for binary_data",
				       alias);
	return 0;
}

static int write_output(const struct signature_tensor *s, const struct tensor *t, bool binary, struct buf *b,
			struct err *err)
{
	const struct oip_dtype *type = oip_dtype_find(t->dtype);

	if (!type)
		return err_set(err, ERR_UNSUPPORTED,
			       "output '%s' has type %s, which this protocol has no word for", s->alias,
			       dtype_word(t->dtype));
	buf_adds(b, "{\"name\":");
	json_text_write_string(b, str_from(s->alias));
	buf_printf(b, ",\"datatype\":\"%s\",\"shape\":[", type->name);
	for (int i = 0; i < t->rank; i++)
		buf_printf(b, "%s%lld", i ? "," : "", (long long)t->dims[i]);
	if (binary) {
		buf_printf(b, "],\"parameters\":{\"binary_data_size\":%zu}}", oip_binary_size(t));
		return 0;
	}
	if (check_text(t, s->alias, err) < 0)
		return -err->code;
	buf_adds(b, "],\"data\":");
	json_write_flat(b, t);
	buf_addc(b, '}');
	return 0;
}

int oip_json_reply(const struct oip_request *request, const struct predict *p, struct buf *b,
		   size_t *ret_json_len, struct err *err)
{
	size_t start = b->len, blobs = 0;
	bool any = false;
	int r;

	buf_addc(b, '{');
	if (request->id.len > 0) {
		buf_adds(b, "\"id\":");
		json_text_write_string(b, request->id);
		buf_addc(b, ',');
	}
	buf_adds(b, "\"model_name\":");
	json_text_write_string(b, str_from(p->version->model_name));
	buf_printf(b, ",\"model_version\":\"%lld\",\"outputs\":[", (long long)p->version->number);
	for (size_t i = 0; i < p->output_count; i++) {
		bool binary = is_binary(request, i);
		buf_adds(b, i ? "," : "");
		r = write_output(&p->signature->outputs[p->output_index[i]], &p->outputs[i], binary, b, err);
		if (r < 0)
			return r;
		any |= binary;
		blobs += binary ? oip_binary_size(&p->outputs[i]) : 0;
	}
	buf_adds(b, "]}");
	*ret_json_len = any ? b->len - start : 0;
	buf_reserve(b, blobs);
	for (size_t i = 0; i < p->output_count; i++)
		if (is_binary(request, i))
			oip_binary_write(&p->outputs[i], b);
	return 0;
}
