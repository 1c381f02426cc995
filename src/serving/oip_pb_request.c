/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of inference.ModelInferRequest. */
#include <string.h>
#include "net/pb.h"
#include "serving/copies.h"
#include "serving/oip.h"
#include "serving/oip_pb_int.h"
#include "serving/payload.h"

struct decoder {
	struct str message;
	struct shared *shared;
	struct arena *arena;
	struct oip_request *request;
	size_t raw_count;
	struct str *raw;
};
/* One InferInputTensor before its elements are read. */
struct input {
	struct str name, datatype, contents;
	bool has_contents;
	int rank;
	int64_t dims[TENSOR_RANK_MAX];
};

static int read_entry(struct str bytes, struct str *key, struct str *value, struct err *err)
{
	struct pb p;
	struct pb_field f;

	*key = *value = (struct str){"", 0};
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, ENTRY_KEY, PB_BYTES))
			pb_text(&p, &f, key);
		else if (pb_is(&f, ENTRY_VALUE, PB_BYTES))
			*value = f.bytes;
	}
	return pb_end(&p, "parameters", err);
}

/* What a parameter of a tensor asks for that is not offered. */
static int check_tensor_parameter(struct str bytes, struct err *err)
{
	struct str key, value;
	struct pb p;
	struct pb_field f;
	int r = read_entry(bytes, &key, &value, err);

	if (r < 0)
		return r;
	if (str_eq(key, "shared_memory_region"))
		return err_set(err, ERR_UNSUPPORTED,
			       "shared memory is not offered; send the data in the request");
	if (!str_eq(key, "classification"))
		return 0;
	pb_init_str(&p, value);
	while (pb_next(&p, &f))
		if (pb_is(&f, PARAMETER_INT64, PB_VARINT) && f.value > 0)
			return err_set(err, ERR_UNSUPPORTED, "parameter 'classification' is not offered");
	return pb_end(&p, "InferParameter", err);
}

static int read_parameter(struct decoder *d, struct str bytes, struct err *err)
{
	struct str key, value;
	struct pb p;
	struct pb_field f;
	int r = read_entry(bytes, &key, &value, err);

	if (r < 0 || !str_eq(key, "signature_name"))
		return r;
	pb_init_str(&p, value);
	while (pb_next(&p, &f))
		if (pb_is(&f, PARAMETER_STRING, PB_BYTES))
			pb_text(&p, &f, &d->request->signature);
	return pb_end(&p, "InferParameter", err);
}

static int add_dim(struct input *in, uint64_t v, struct err *err)
{
	if (in->rank == TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "shape of more than %d dimensions", TENSOR_RANK_MAX);
	in->dims[in->rank++] = (int64_t)v;
	return 0;
}

static int read_shape(const struct pb_field *f, struct input *in, struct err *err)
{
	struct pb p;
	uint64_t v;
	int r = 0;

	if (f->wire == PB_VARINT)
		return add_dim(in, f->value, err);
	if (f->wire != PB_BYTES)
		return 0;
	pb_init_str(&p, f->bytes);
	while (r >= 0 && pb_item_varint(&p, &v))
		r = add_dim(in, v, err);
	return r < 0 ? r : pb_end(&p, "shape", err);
}

static int read_input(struct str bytes, struct input *in, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r = 0;

	*in = (struct input){.name = {"", 0}};
	pb_init_str(&p, bytes);
	while (r >= 0 && pb_next(&p, &f)) {
		if (pb_is(&f, INFER_TENSOR_NAME, PB_BYTES)) {
			pb_text(&p, &f, &in->name);
		} else if (pb_is(&f, INFER_TENSOR_DATATYPE, PB_BYTES)) {
			pb_text(&p, &f, &in->datatype);
		} else if (f.number == INFER_TENSOR_SHAPE) {
			r = read_shape(&f, in, err);
		} else if (pb_is(&f, INFER_TENSOR_PARAMETERS, PB_BYTES)) {
			r = check_tensor_parameter(f.bytes, err);
		} else if (pb_is(&f, INFER_TENSOR_CONTENTS, PB_BYTES)) {
			in->contents = f.bytes;
			in->has_contents = true;
		}
	}
	return r < 0 ? r : pb_end(&p, "InferInputTensor", err);
}

/* Does the number of a contents field fit the element type? */
static bool fits(enum dtype dtype, uint64_t v)
{
	int64_t s = (int64_t)v;

	switch (dtype) {
	case DT_INT8:
		return s >= INT8_MIN && s <= INT8_MAX;
	case DT_INT16:
		return s >= INT16_MIN && s <= INT16_MAX;
	case DT_INT32:
		return s >= INT32_MIN && s <= INT32_MAX;
	case DT_UINT8:
		return v <= UINT8_MAX;
	case DT_UINT16:
		return v <= UINT16_MAX;
	case DT_UINT32:
		return v <= UINT32_MAX;
	default:
		return true;
	}
}

struct taker {
	const struct dtype_info *info;
	char *to;
	size_t count, n;
};

static int take_varint(struct taker *k, uint64_t v, struct err *err)
{
	if (!fits(k->info->dtype, v))
		return err_set(err, ERR_INVALID, "value %lld does not fit its datatype", (long long)v);
	if (k->info->dtype == DT_BOOL)
		v = v != 0;
	if (k->n < k->count)
		memcpy(k->to + k->n * k->info->size, &v, k->info->size); /* little-endian */
	k->n++;
	return 0;
}

/* One occurrence of the contents field, packed or not. Counts past the end, stores nothing there. */
static int take_numbers(struct taker *k, const struct pb_field *f, struct err *err)
{
	size_t size = k->info->size, room = (k->count - (k->n < k->count ? k->n : k->count)) * size;
	bool fixed = k->info->dtype == DT_FLOAT || k->info->dtype == DT_DOUBLE;
	struct pb p;
	uint64_t v;
	int r = 0;

	if (f->wire == PB_VARINT)
		return fixed ? err_set(err, ERR_INVALID, "malformed contents")
			     : take_varint(k, f->value, err);
	if (f->wire == PB_BYTES && !fixed) {
		pb_init_str(&p, f->bytes);
		while (r >= 0 && pb_item_varint(&p, &v))
			r = take_varint(k, v, err);
		return r < 0 ? r : pb_end(&p, "contents", err);
	}
	if (f->wire == PB_BYTES) {
		if (f->bytes.len % size != 0)
			return err_set(err, ERR_INVALID, "malformed contents: cut off");
		memcpy(k->to + (k->count * size - room), f->bytes.data,
		       f->bytes.len < room ? f->bytes.len : room);
		copies_count(COPY_IN, f->bytes.len < room ? f->bytes.len : room);
		k->n += f->bytes.len / size;
		return 0;
	}
	if (!fixed || f->wire != (size == 8 ? PB_FIXED64 : PB_FIXED32))
		return err_set(err, ERR_INVALID, "malformed contents");
	if (room > 0)
		memcpy(k->to + k->n * size, &f->value, size);
	k->n++;
	return 0;
}

/* The one occurrence of packed floats that is the whole tensor can be viewed. */
static bool view_floats(struct decoder *d, const struct pb_field *f, struct tensor *t)
{
	size_t size = dtype_info((uint64_t)t->dtype)->size;

	if ((t->dtype != DT_FLOAT && t->dtype != DT_DOUBLE) || f->wire != PB_BYTES ||
	    f->bytes.len != t->bytes || t->bytes == 0 || (uintptr_t)f->bytes.data % size != 0)
		return false;
	t->data = f->bytes.data;
	t->shared = d->shared;
	return true;
}

static int count_mismatch(size_t n, const struct tensor *t, struct err *err)
{
	return err_set(err, ERR_INVALID, "has %zu values, its shape needs %zu", n, t->count);
}

static int wrong_field(const struct oip_dtype *type, struct err *err)
{
	if (type->contents_field == 0)
		return err_set(err, ERR_INVALID, "datatype %s needs raw_input_contents", type->name);
	return err_set(err, ERR_INVALID, "values of datatype %s are in the wrong field of contents",
		       type->name);
}

static int read_typed_numbers(struct decoder *d, struct str contents, const struct oip_dtype *type,
			      struct tensor *t, struct err *err)
{
	struct taker k = {.info = dtype_info((uint64_t)t->dtype), .count = t->count};
	struct pb p;
	struct pb_field f;
	int r = 0;

	/* Every element takes a byte at least: a shape that promises more costs nothing. */
	if (t->count > contents.len)
		return count_mismatch(0, t, err);
	pb_init_str(&p, contents);
	while (r >= 0 && pb_next(&p, &f)) {
		if (f.number > CONTENTS_FIELD_MAX)
			continue;
		if (f.number != type->contents_field)
			return wrong_field(type, err);
		if (k.n == 0 && view_floats(d, &f, t)) {
			k.n = t->count;
			continue;
		}
		if (!k.to) {
			const void *viewed = k.n > 0 ? t->data : NULL;
			k.to = tensor_alloc(t, d->arena, err);
			if (!k.to)
				return -err->code;
			if (viewed)
				memcpy(k.to, viewed, t->bytes);
			copies_count(COPY_IN, viewed ? t->bytes : 0);
			t->shared = NULL;
		}
		r = take_numbers(&k, &f, err);
	}
	if (r < 0)
		return r;
	if (!t->data && !tensor_alloc(t, d->arena, err))
		return -err->code;
	if (k.n != t->count)
		return count_mismatch(k.n, t, err);
	return pb_end(&p, "InferTensorContents", err);
}

static int read_typed_strings(struct decoder *d, struct str contents, const struct oip_dtype *type,
			      struct tensor *t, struct err *err)
{
	struct str *to;
	struct pb p;
	struct pb_field f;
	size_t n = 0;

	if (t->count > contents.len)
		return count_mismatch(0, t, err);
	to = tensor_alloc(t, d->arena, err);
	if (!to)
		return -err->code;
	pb_init_str(&p, contents);
	while (pb_next(&p, &f)) {
		if (f.number > CONTENTS_FIELD_MAX)
			continue;
		if (!pb_is(&f, type->contents_field, PB_BYTES))
			return wrong_field(type, err);
		if (n < t->count)
			to[n] = f.bytes;
		n++;
	}
	if (n != t->count)
		return count_mismatch(n, t, err);
	return pb_end(&p, "InferTensorContents", err);
}

static int read_elements(struct decoder *d, const struct input *in, size_t i, struct tensor *t,
			 struct err *err)
{
	const struct oip_dtype *type;
	int r = oip_tensor_shape(t, in->datatype, in->rank, in->dims, err);

	if (r < 0)
		return r;
	if (d->raw_count > 0)
		return oip_binary_read(d->raw[i], d->shared, d->arena, t, err);
	type = oip_dtype_find(t->dtype);
	if (t->dtype == DT_STRING)
		return read_typed_strings(d, in->contents, type, t, err);
	return read_typed_numbers(d, in->contents, type, t, err);
}

static int decode_input(struct decoder *d, struct str bytes, size_t i, struct named_tensor *to,
			struct err *err)
{
	struct input in;
	int r = read_input(bytes, &in, err);

	*to = (struct named_tensor){.name = in.name};
	if (r >= 0 && in.has_contents && d->raw_count > 0)
		r = err_set(err, ERR_INVALID, "contents and raw_input_contents must not be mixed");
	if (r >= 0)
		r = read_elements(d, &in, i, &to->tensor, err);
	if (r >= 0)
		return 0;
	return err_wrap(err, "input '%.*s'", (int)(in.name.len > 60 ? 60 : in.name.len), in.name.data);
}

static int decode_output(struct str bytes, struct str *ret_name, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r = 0;

	*ret_name = (struct str){"", 0};
	pb_init_str(&p, bytes);
	while (r >= 0 && pb_next(&p, &f)) {
		if (pb_is(&f, INFER_TENSOR_NAME, PB_BYTES))
			pb_text(&p, &f, ret_name);
		else if (pb_is(&f, INFER_OUTPUT_PARAMETERS, PB_BYTES))
			r = check_tensor_parameter(f.bytes, err);
	}
	return r < 0 ? r : pb_end(&p, "InferRequestedOutputTensor", err);
}

static int read_head(struct decoder *d, struct err *err)
{
	struct oip_request *q = d->request;
	struct pb p;
	struct pb_field f;
	int r = 0;

	pb_init_str(&p, d->message);
	while (r >= 0 && pb_next(&p, &f)) {
		if (f.wire != PB_BYTES)
			continue;
		if (f.number == INFER_MODEL_NAME)
			pb_text(&p, &f, &q->model_name);
		else if (f.number == INFER_MODEL_VERSION)
			pb_text(&p, &f, &q->model_version);
		else if (f.number == INFER_ID)
			pb_text(&p, &f, &q->id);
		else if (f.number == INFER_PARAMETERS)
			r = read_parameter(d, f.bytes, err);
		q->input_count += f.number == INFER_REQUEST_INPUTS;
		q->output_count += f.number == INFER_REQUEST_OUTPUTS;
		d->raw_count += f.number == INFER_REQUEST_RAW;
	}
	return r < 0 ? r : pb_end(&p, "ModelInferRequest", err);
}

static int check_counts(struct decoder *d, struct err *err)
{
	const struct oip_request *q = d->request;

	if (q->input_count > OIP_TENSORS_MAX || q->output_count > OIP_TENSORS_MAX)
		return err_set(err, ERR_INVALID, "more than %d inputs or outputs", OIP_TENSORS_MAX);
	if (d->raw_count > 0 && d->raw_count != q->input_count)
		return err_set(err, ERR_INVALID, "%zu raw_input_contents for %zu inputs", d->raw_count,
			       q->input_count);
	return 0;
}

/* Arrays for what was counted. The raw contents come first: they follow the inputs in the message. */
static int make_arrays(struct decoder *d, struct err *err)
{
	struct oip_request *q = d->request;
	struct pb p;
	struct pb_field f;
	size_t n = 0;

	q->inputs = arena_try_alloc(d->arena, q->input_count + 1, sizeof(*q->inputs));
	q->outputs = arena_try_alloc(d->arena, q->output_count + 1, sizeof(*q->outputs));
	d->raw = arena_try_alloc(d->arena, d->raw_count + 1, sizeof(*d->raw));
	if (!q->inputs || !q->outputs || !d->raw)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	pb_init_str(&p, d->message);
	while (pb_next(&p, &f))
		if (pb_is(&f, INFER_REQUEST_RAW, PB_BYTES))
			d->raw[n++] = f.bytes;
	return 0;
}

int oip_pb_decode(struct str message, struct shared *shared, struct arena *arena, struct oip_request *ret,
		  struct err *err)
{
	struct decoder d = {.message = message, .shared = shared, .arena = arena, .request = ret};
	size_t inputs = 0, outputs = 0;
	struct pb p;
	struct pb_field f;
	int r;

	*ret = (struct oip_request){.model_name = {"", 0}};
	r = read_head(&d, err);
	if (r >= 0)
		r = check_counts(&d, err);
	if (r >= 0)
		r = make_arrays(&d, err);
	ret->raw = d.raw_count > 0;
	pb_init_str(&p, message);
	while (r >= 0 && pb_next(&p, &f)) {
		if (pb_is(&f, INFER_REQUEST_INPUTS, PB_BYTES)) {
			r = decode_input(&d, f.bytes, inputs, &ret->inputs[inputs], err);
			inputs++;
		} else if (pb_is(&f, INFER_REQUEST_OUTPUTS, PB_BYTES)) {
			r = decode_output(f.bytes, &ret->outputs[outputs++], err);
		}
	}
	return r;
}

/* Raw elements, or floats of an input's contents. */
static enum payload_step payload_step(int level, uint64_t field)
{
	switch (level) {
	case 0:
		return field == INFER_REQUEST_RAW      ? PAYLOAD_ELEMENTS
		       : field == INFER_REQUEST_INPUTS ? PAYLOAD_INSIDE
						       : PAYLOAD_NOTHING;
	case 1:
		return field == INFER_TENSOR_CONTENTS ? PAYLOAD_INSIDE : PAYLOAD_NOTHING;
	default:
		return field == CONTENTS_FP32 || field == CONTENTS_FP64 ? PAYLOAD_ELEMENTS : PAYLOAD_NOTHING;
	}
}

size_t oip_pb_payload(const void *head, size_t len)
{
	return payload_find(head, len, payload_step);
}
