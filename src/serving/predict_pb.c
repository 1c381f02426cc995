/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of tensorflow.serving.PredictRequest (tensorflow_serving/apis/predict.proto, model.proto). */
#include "serving/predict_pb.h"

#include <string.h>
#include "net/pb.h"
#include "serving/payload.h"
#include "serving/tensor_pb.h"
#include "serving/tensor_pb_int.h"

enum {
	REQUEST_SPEC = 1,
	REQUEST_INPUTS = 2,
	REQUEST_FILTER = 3,
	MAP_KEY = 1,
	MAP_VALUE = 2,
	SPEC_NAME = 1,
	SPEC_VERSION = 2,
	SPEC_SIGNATURE = 3,
	SPEC_LABEL = 4,
	WRAPPED_VALUE = 1,
};

static int decode_int64_value(struct str bytes, int64_t *ret, struct err *err)
{
	struct pb p;
	struct pb_field f;

	*ret = 0;
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f))
		if (pb_is(&f, WRAPPED_VALUE, PB_VARINT))
			*ret = (int64_t)f.value;
	return pb_end(&p, "Int64Value", err);
}

int model_spec_decode(struct str bytes, struct model_spec *ret, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r;

	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, SPEC_NAME, PB_BYTES)) {
			pb_text(&p, &f, &ret->name);
		} else if (pb_is(&f, SPEC_SIGNATURE, PB_BYTES)) {
			pb_text(&p, &f, &ret->signature);
		} else if (pb_is(&f, SPEC_LABEL, PB_BYTES)) { /* one of: the last one counts */
			pb_text(&p, &f, &ret->label);
			ret->has_version = false;
		} else if (pb_is(&f, SPEC_VERSION, PB_BYTES)) {
			ret->label = (struct str){0};
			ret->has_version = true;
			r = decode_int64_value(f.bytes, &ret->version, err);
			if (r < 0)
				return r;
		}
	}
	return pb_end(&p, "ModelSpec", err);
}

static int decode_input(struct str bytes, struct shared *shared, struct arena *arena,
			struct named_tensor *ret, struct err *err)
{
	struct pb p;
	struct pb_field f;
	struct str value = {"", 0};
	int r;

	ret->name = (struct str){"", 0};
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, MAP_KEY, PB_BYTES))
			pb_text(&p, &f, &ret->name);
		else if (pb_is(&f, MAP_VALUE, PB_BYTES))
			value = f.bytes;
	}
	r = pb_end(&p, "inputs", err);
	if (r >= 0)
		r = tensor_pb_decode(value, shared, arena, &ret->tensor, err);
	if (r < 0)
		return err_wrap(err, "input '%.*s'", (int)(ret->name.len > 100 ? 100 : ret->name.len),
				ret->name.data);
	return 0;
}

static int count_request(struct str message, struct predict_request *ret, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r = 0;

	pb_init_str(&p, message);
	while (r >= 0 && pb_next(&p, &f)) {
		ret->input_count += pb_is(&f, REQUEST_INPUTS, PB_BYTES);
		ret->filter_count += pb_is(&f, REQUEST_FILTER, PB_BYTES);
		if (pb_is(&f, REQUEST_SPEC, PB_BYTES))
			r = model_spec_decode(f.bytes, &ret->spec, err);
	}
	if (r < 0)
		return r;
	if (ret->input_count > PREDICT_INPUTS_MAX || ret->filter_count > PREDICT_FILTER_MAX)
		return err_set(err, ERR_INVALID, "more than %d inputs or outputs named", PREDICT_INPUTS_MAX);
	return pb_end(&p, "PredictRequest", err);
}

int predict_pb_decode(struct str message, struct shared *shared, struct arena *arena,
		      struct predict_request *ret, struct err *err)
{
	struct pb p;
	struct pb_field f;
	size_t inputs = 0, filters = 0;
	int r;

	*ret = (struct predict_request){0};
	r = count_request(message, ret, err);
	if (r < 0)
		return r;
	ret->inputs = arena_try_alloc(arena, ret->input_count + 1, sizeof(*ret->inputs));
	ret->filter = arena_try_alloc(arena, ret->filter_count + 1, sizeof(*ret->filter));
	if (!ret->inputs || !ret->filter)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	pb_init_str(&p, message);
	while (r >= 0 && pb_next(&p, &f)) {
		if (pb_is(&f, REQUEST_INPUTS, PB_BYTES))
			r = decode_input(f.bytes, shared, arena, &ret->inputs[inputs++], err);
		else if (pb_is(&f, REQUEST_FILTER, PB_BYTES))
			pb_text(&p, &f, &ret->filter[filters++]);
	}
	return r < 0 ? r : pb_end(&p, "PredictRequest", err);
}

void model_spec_encode(struct buf *b, uint32_t field, const struct model_version *v, const char *signature)
{
	struct pb_mark spec = pb_begin(b, field, 0), version;

	pb_add_string(b, SPEC_NAME, v->model_name);
	version = pb_begin(b, SPEC_VERSION, 0);
	pb_add_varint(b, WRAPPED_VALUE, (uint64_t)v->number);
	pb_close(b, version);
	if (signature)
		pb_add_string(b, SPEC_SIGNATURE, signature);
	pb_close(b, spec);
}

/* Request, map entry, tensor. */
static enum payload_step payload_step(int level, uint64_t field)
{
	switch (level) {
	case 0:
		return field == REQUEST_INPUTS ? PAYLOAD_INSIDE : PAYLOAD_NOTHING;
	case 1:
		return field == MAP_VALUE ? PAYLOAD_INSIDE : PAYLOAD_NOTHING;
	default:
		return field == TENSOR_CONTENT || field == 5 || field == 6 || field == 9 || field == 12
			   ? PAYLOAD_ELEMENTS
			   : PAYLOAD_NOTHING;
	}
}

size_t predict_pb_payload(const void *head, size_t len)
{
	return payload_find(head, len, payload_step);
}
