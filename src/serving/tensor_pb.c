/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of tensorflow.TensorProto, see tensor_pb.h. */
#include "serving/copies.h"
#include "serving/tensor_pb.h"

#include <string.h>
#include "net/pb.h"
#include "serving/tensor_pb_int.h"

struct decoder {
	struct str bytes, content;
	struct shared *shared;
	const struct dtype_info *info;
	uint64_t dtype_number;
	int rank;
	int64_t dims[TENSOR_RANK_MAX];
	size_t chunks;	 /* occurrences of the typed field */
	struct str only; /* the bytes of the last packed occurrence */
	bool packed;	 /* all occurrences were packed */
};

static int decode_dims(struct decoder *d, struct str bytes, struct err *err)
{
	struct pb p, q;
	struct pb_field f, g;
	bool unknown = false;
	int r;

	d->rank = 0;
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, SHAPE_UNKNOWN_RANK, PB_VARINT))
			unknown = f.value != 0;
		if (!pb_is(&f, SHAPE_DIM, PB_BYTES))
			continue;
		if (d->rank == TENSOR_RANK_MAX)
			return err_set(err, ERR_INVALID, "tensor of more than %d dimensions",
				       TENSOR_RANK_MAX);
		d->dims[d->rank] = 0;
		pb_init_str(&q, f.bytes);
		while (pb_next(&q, &g))
			if (pb_is(&g, DIM_SIZE, PB_VARINT))
				d->dims[d->rank] = (int64_t)g.value;
		r = pb_end(&q, "TensorShapeProto.Dim", err);
		if (r < 0)
			return r;
		d->rank++;
	}
	if (unknown)
		return err_set(err, ERR_INVALID, "tensor has an unknown shape");
	return pb_end(&p, "TensorShapeProto", err);
}

static int decode_head(struct decoder *d, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r;

	pb_init_str(&p, d->bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, TENSOR_DTYPE, PB_VARINT))
			d->dtype_number = f.value;
		else if (pb_is(&f, TENSOR_CONTENT, PB_BYTES))
			d->content = f.bytes;
		else if (pb_is(&f, TENSOR_SHAPE, PB_BYTES)) {
			r = decode_dims(d, f.bytes, err);
			if (r < 0)
				return r;
		}
	}
	d->info = dtype_info(d->dtype_number);
	if (!d->info)
		return err_set(err, ERR_INVALID, "tensor has element type %llu, which is not supported",
			       (unsigned long long)d->dtype_number);
	return pb_end(&p, "TensorProto", err);
}

/* Finds out how the typed field lies in the message. */
static void survey_typed(struct decoder *d)
{
	struct pb p;
	struct pb_field f;

	d->packed = true;
	pb_init_str(&p, d->bytes);
	while (pb_next(&p, &f)) {
		if (f.number != d->info->field)
			continue;
		d->chunks++;
		d->packed &= f.wire == PB_BYTES;
		d->only = f.bytes;
	}
}

static bool is_aligned(const void *p, size_t size)
{
	return (uintptr_t)p % (size > 8 ? 8 : size) == 0;
}

static int content_strings(struct decoder *d, struct arena *arena, struct tensor *t, struct err *err)
{
	struct str *to = tensor_alloc(t, arena, err);
	struct pb lengths;
	size_t used = 0;
	uint64_t len;

	if (!to)
		return -err->code;
	pb_init_str(&lengths, d->content); /* all lengths first, then all bytes */
	for (size_t i = 0; i < t->count; i++) {
		if (!pb_item_varint(&lengths, &len))
			return err_set(err, ERR_INVALID, "tensor_content holds too few strings");
		to[i].len = (size_t)len;
	}
	for (size_t i = 0; i < t->count; i++) {
		if (to[i].len > (size_t)(lengths.end - lengths.pos) - used)
			return err_set(err, ERR_INVALID, "tensor_content holds a string cut off");
		to[i].data = (const char *)lengths.pos + used;
		used += to[i].len;
	}
	return 0;
}

static int from_content(struct decoder *d, struct arena *arena, struct tensor *t, struct err *err)
{
	void *copy;

	if (t->dtype == DT_STRING)
		return content_strings(d, arena, t, err);
	if (d->content.len != t->bytes)
		return err_set(err, ERR_INVALID, "tensor_content has %zu bytes, type and shape need %zu",
			       d->content.len, t->bytes);
	t->data = d->content.data;
	if (is_aligned(t->data, d->info->size)) {
		t->shared = d->shared;
		return 0;
	}
	copy = tensor_alloc(t, arena, err);
	if (!copy)
		return -err->code;
	memcpy(copy, d->content.data, t->bytes);
	copies_count(COPY_IN, t->bytes);
	return 0;
}

static void store_varint(const struct dtype_info *info, void *to, size_t i, uint64_t v)
{
	switch (info->size) {
	case 1:
		((uint8_t *)to)[i] = info->dtype == DT_BOOL ? v != 0 : (uint8_t)v;
		break;
	case 2:
		((uint16_t *)to)[i] = (uint16_t)v;
		break;
	case 4:
		((uint32_t *)to)[i] = (uint32_t)v;
		break;
	default:
		((uint64_t *)to)[i] = v;
		break;
	}
}

/* Copies one occurrence of the typed field to element *n on; stops at 'count' elements. */
static int take_typed(const struct dtype_info *info, const struct pb_field *f, void *to, size_t count,
		      size_t *n, struct err *err)
{
	size_t scalar = info->coding == CODING_RAW						 ? 1
			: info->coding == CODING_FIXED64 || info->coding == CODING_FIXED64_PAIRS ? 8
												 : 4;
	size_t room = (count - *n) * scalar;
	struct pb p;
	uint64_t v;

	if (info->coding == CODING_VARINT) {
		if (f->wire == PB_VARINT && *n < count)
			store_varint(info, to, (*n)++, f->value);
		if (f->wire != PB_BYTES)
			return 0;
		pb_init_str(&p, f->bytes);
		while (*n < count && pb_item_varint(&p, &v))
			store_varint(info, to, (*n)++, v);
		return pb_end(&p, "packed numbers", err);
	}
	if (f->wire == PB_BYTES) {
		if (f->bytes.len % scalar != 0)
			return err_set(err, ERR_INVALID, "malformed packed numbers: cut off");
		size_t take = f->bytes.len < room ? f->bytes.len : room;
		memcpy((char *)to + *n * scalar, f->bytes.data, take);
		copies_count(COPY_IN, take);
		*n += take / scalar;
	} else if (scalar > 1 && f->wire == (scalar == 8 ? PB_FIXED64 : PB_FIXED32) && *n < count) {
		memcpy((char *)to + (*n)++ * scalar, &f->value, scalar);
	}
	return 0;
}

/* The last element repeats up to 'count'. */
static void repeat_last(void *to, size_t size, size_t n, size_t count)
{
	char *bytes = to;

	if (n == 0) {
		memset(to, 0, size * count);
		return;
	}
	for (; n < count; n++)
		memcpy(bytes + n * size, bytes + (n - 1) * size, size);
}

static int from_numbers(struct decoder *d, struct arena *arena, struct tensor *t, struct err *err)
{
	bool pairs = d->info->coding == CODING_FIXED32_PAIRS || d->info->coding == CODING_FIXED64_PAIRS;
	size_t n = 0, count = pairs ? t->count * 2 : t->count;
	struct pb p;
	struct pb_field f;
	void *to;
	int r;

	if (d->info->coding != CODING_VARINT && d->chunks == 1 && d->packed && d->only.len == t->bytes &&
	    is_aligned(d->only.data, d->info->size)) {
		t->data = d->only.data;
		t->shared = d->shared;
		return 0;
	}
	to = tensor_alloc(t, arena, err);
	if (!to)
		return -err->code;
	pb_init_str(&p, d->bytes);
	while (pb_next(&p, &f)) {
		r = f.number == d->info->field ? take_typed(d->info, &f, to, count, &n, err) : 0;
		if (r < 0)
			return r;
	}
	if (pairs && n % 2 != 0)
		return err_set(err, ERR_INVALID, "complex values need pairs of numbers");
	repeat_last(to, d->info->size, pairs ? n / 2 : n, t->count);
	return 0;
}

static int from_strings(struct decoder *d, struct arena *arena, struct tensor *t, struct err *err)
{
	struct str *to = tensor_alloc(t, arena, err);
	struct pb p;
	struct pb_field f;
	size_t n = 0;

	if (!to)
		return -err->code;
	pb_init_str(&p, d->bytes);
	while (n < t->count && pb_next(&p, &f))
		if (pb_is(&f, d->info->field, PB_BYTES))
			to[n++] = f.bytes;
	for (; n < t->count; n++)
		to[n] = n > 0 ? to[n - 1] : (struct str){"", 0};
	return 0;
}

int tensor_pb_decode(struct str bytes, struct shared *shared, struct arena *arena, struct tensor *ret,
		     struct err *err)
{
	struct decoder d = {.bytes = bytes, .shared = shared};
	int r = decode_head(&d, err);

	*ret = (struct tensor){0};
	if (r >= 0)
		r = tensor_set_shape(ret, d.info->dtype, d.rank, d.dims, err);
	if (r < 0)
		return r;
	if (d.content.len > 0)
		return from_content(&d, arena, ret, err);
	if (d.info->dtype == DT_STRING)
		return from_strings(&d, arena, ret, err);
	survey_typed(&d);
	return from_numbers(&d, arena, ret, err);
}
