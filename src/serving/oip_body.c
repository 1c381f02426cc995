/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of infer requests over HTTP: JSON, JSON with binary tensors behind it, or one raw tensor. */
#include <stdio.h>
#include <string.h>
#include "serving/oip.h"

static int parse_length(const char *text, size_t body_len, size_t *ret, struct err *err)
{
	size_t v = 0;
	const char *p = text;

	for (; *p >= '0' && *p <= '9' && v <= body_len; p++)
		v = v * 10 + (size_t)(*p - '0');
	if (p == text || (*p && (*p < '0' || *p > '9')))
		return err_set(err, ERR_INVALID,
			       "Inference-Header-Content-Length is '%.40s', a length is expected", text);
	if (v > body_len)
		return err_set(err, ERR_INVALID,
			       "Inference-Header-Content-Length is %.40s, the body has %zu bytes", text,
			       body_len);
	*ret = v;
	return 0;
}

int oip_body_decode(struct str body, const char *header_length, struct arena *arena, struct oip_request *ret,
		    struct err *err)
{
	size_t len = body.len;
	char *json;
	int r;

	if (!header_length)
		return oip_json_decode(body, (struct str){body.data + len, 0}, arena, ret, err);
	r = parse_length(header_length, body.len, &len, err);
	if (r < 0)
		return r;
	json = arena_try_alloc(arena, len + 1, 1); /* with the NUL that the reader of JSON wants */
	if (!json)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	memcpy(json, body.data, len);
	json[len] = 0;
	return oip_json_decode((struct str){json, len}, (struct str){body.data + len, body.len - len}, arena,
			       ret, err);
}

/* Fills in the one unknown dimension so that the elements make 'count'. */
static int guess_shape(const struct signature_tensor *want, size_t count, int64_t *dims, struct err *err)
{
	size_t known = 1;
	int open = -1;

	for (int i = 0; i < want->rank; i++) {
		dims[i] = want->dims[i];
		if (dims[i] >= 0 && __builtin_mul_overflow(known, (size_t)dims[i], &known))
			return err_set(err, ERR_TOO_LARGE, "the signature's shape is too large");
		if (dims[i] < 0 && open >= 0)
			dims[i] = 1; /* the first unknown one takes what there is */
		else if (dims[i] < 0)
			open = i;
	}
	if (open >= 0 && known > 0 && count % known == 0)
		dims[open] = (int64_t)(count / known);
	else if (open >= 0 || known != count)
		return err_set(err, ERR_INVALID, "%zu elements do not fill the signature's shape", count);
	return 0;
}

int oip_raw_decode(struct str body, const struct signature *s, struct arena *arena, struct oip_request *ret,
		   struct err *err)
{
	const struct signature_tensor *want = &s->inputs[0];
	const struct dtype_info *info;
	int64_t dims[TENSOR_RANK_MAX] = {0};
	struct tensor *t;
	size_t count;
	int r;

	*ret = (struct oip_request){.binary_default = true, .raw = true, .input_count = 1};
	if (s->input_count != 1)
		return err_set(err, ERR_INVALID, "a raw body needs a model with one input, this one has %zu",
			       s->input_count);
	info = dtype_info((uint64_t)want->dtype);
	if (!info || want->unknown_rank)
		return err_set(err, ERR_INVALID, "a raw body needs an input of known type and rank");
	if (info->size > 0 && body.len % info->size != 0)
		return err_set(err, ERR_INVALID, "%zu bytes are no whole number of elements of %zu bytes",
			       body.len, info->size);
	count = info->size ? body.len / info->size : 1;
	ret->inputs = arena_try_alloc(arena, 1, sizeof(*ret->inputs));
	if (!ret->inputs)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	*ret->inputs = (struct named_tensor){.name = str_from(want->alias)};
	t = &ret->inputs->tensor;
	r = guess_shape(want, count, dims, err);
	if (r >= 0)
		r = tensor_set_shape(t, want->dtype, want->rank, dims, err);
	if (r < 0)
		return r;
	if (want->dtype != DT_STRING)
		return oip_binary_read(body, NULL, arena, t, err);
	struct str *to = tensor_alloc(t, arena, err); /* the body is one string */
	if (!to)
		return -err->code;
	*to = body;
	return 0;
}
