/* SPDX-License-Identifier: Apache-2.0 */
/* One table of dtypes serves both directions. */
#include <stdlib.h>
#include <string.h>
#include <nettle/base64.h>
#include "base/mem.h"
#include "client/tensor_json.h"
#include "net/pb.h"

enum kind { KIND_FLOAT, KIND_INT, KIND_UINT, KIND_BOOL, KIND_STRING };
/* field: where typed values stand in a TensorProto; size: bytes of one in tensor_content */
static const struct dtype {
	const char *name;
	int number, field, size;
	enum kind kind;
} dtypes[] = {
    {"DT_FLOAT", 1, 5, 4, KIND_FLOAT},	 {"DT_DOUBLE", 2, 6, 8, KIND_FLOAT},
    {"DT_INT32", 3, 7, 4, KIND_INT},	 {"DT_UINT8", 4, 7, 1, KIND_UINT},
    {"DT_INT16", 5, 7, 2, KIND_INT},	 {"DT_INT8", 6, 7, 1, KIND_INT},
    {"DT_STRING", 7, 8, 0, KIND_STRING}, {"DT_INT64", 9, 10, 8, KIND_INT},
    {"DT_BOOL", 10, 11, 1, KIND_BOOL},	 {"DT_UINT16", 17, 7, 2, KIND_UINT},
    {"DT_UINT32", 22, 16, 4, KIND_UINT}, {"DT_UINT64", 23, 17, 8, KIND_UINT},
};

struct shape {
	int64_t dims[TENSOR_RANK_MAX];
	int rank;
};

static int infer_shape(const json_t *value, struct shape *s, struct err *err)
{
	for (s->rank = 0; json_is_array(value); value = json_array_get(value, 0)) {
		if (s->rank >= TENSOR_RANK_MAX)
			return err_set(err, ERR_INVALID, "lists nest deeper than %d", TENSOR_RANK_MAX);
		s->dims[s->rank++] = (int64_t)json_array_size(value);
		if (!json_array_size(value))
			return 0;
	}
	return 0;
}

static int add_element(const json_t *value, const struct dtype *d, struct buf *content, struct buf *proto,
		       struct err *err)
{
	if (d->kind == KIND_STRING) {
		if (!json_is_string(value))
			return err_set(err, ERR_INVALID, "expected text for %s", d->name);
		pb_add_bytes(proto, 8, json_string_value(value), json_string_length(value));
		return 0;
	}
	if (!json_is_number(value) && !(d->kind == KIND_BOOL && json_is_boolean(value)))
		return err_set(err, ERR_INVALID, "expected a number for %s", d->name);
	double real = json_number_value(value);
	float single = (float)real;
	int64_t whole = json_is_integer(value) ? json_integer_value(value)
			: json_is_true(value)  ? 1
					       : (int64_t)real;
	if (d->kind == KIND_FLOAT)
		buf_add(content, d->size == 4 ? (const void *)&single : (const void *)&real, (size_t)d->size);
	else
		buf_add(content, &whole, (size_t)d->size); /* little-endian: the low bytes come first */
	return 0;
}

static int add_level(const json_t *value, const struct shape *s, int level, const struct dtype *d,
		     struct buf *content, struct buf *proto, struct err *err)
{
	size_t i;
	const json_t *item;
	if (level == s->rank)
		return json_is_array(value)
			   ? err_set(err, ERR_INVALID, "lists of different depth at level %d", level)
			   : add_element(value, d, content, proto, err);
	if (!json_is_array(value) || (int64_t)json_array_size(value) != s->dims[level])
		return err_set(err, ERR_INVALID, "lists of different length at level %d", level);
	json_array_foreach(value, i, item)
	{
		int r = add_level(item, s, level + 1, d, content, proto, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int tensor_json_encode(const json_t *value, const char *dtype, struct buf *ret, struct err *err)
{
	const struct dtype *d = NULL;
	struct shape s;
	CLEANUP(buf) struct buf content = BUF_INIT, strings = BUF_INIT;
	for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
		if (!strcmp(dtypes[i].name, dtype))
			d = &dtypes[i];
	if (!d)
		return err_set(err, ERR_UNSUPPORTED, "the command line cannot send %s", dtype);
	int r = infer_shape(value, &s, err);
	if (r >= 0)
		r = add_level(value, &s, 0, d, &content, &strings, err);
	if (r < 0)
		return r;
	pb_add_varint(ret, 1, (uint64_t)d->number);
	struct pb_mark shape = pb_begin(ret, 2, (size_t)s.rank * 4);
	for (int i = 0; i < s.rank; i++) {
		struct pb_mark dim = pb_begin(ret, 2, 2);
		pb_add_varint(ret, 1, (uint64_t)s.dims[i]);
		pb_close(ret, dim);
	}
	pb_close(ret, shape);
	if (content.len)
		pb_add_bytes(ret, 4, content.data, content.len);
	buf_add(ret, strings.data, strings.len);
	return 0;
}

static int decode_shape(struct str bytes, struct shape *s, int64_t *count, struct err *err)
{
	struct pb p, dim;
	struct pb_field f, size;
	pb_init_str(&p, bytes);
	*count = 1;
	while (pb_next(&p, &f)) {
		if (!pb_is(&f, 2, PB_BYTES))
			continue;
		int64_t n = 0;
		pb_init_str(&dim, f.bytes);
		while (pb_next(&dim, &size))
			if (pb_is(&size, 1, PB_VARINT))
				n = (int64_t)size.value;
		if (s->rank >= TENSOR_RANK_MAX || n < 0 || (n && *count > TENSOR_ELEMENTS_MAX / n))
			return err_set(err, ERR_TOO_LARGE, "the answer's tensor is too large to print");
		s->dims[s->rank++] = n;
		*count *= n;
	}
	return pb_end(&p, "tensor shape", err);
}

static json_t *number(const struct dtype *d, const void *data)
{
	uint64_t bits = 0;
	memcpy(&bits, data, (size_t)d->size);
	if (d->kind == KIND_FLOAT) {
		float single;
		double real;
		memcpy(&single, data, sizeof(single));
		memcpy(&real, &bits, sizeof(real));
		return json_real(d->size == 4 ? (double)single : real);
	}
	if (d->kind == KIND_BOOL)
		return json_boolean(bits);
	int unused = 64 - 8 * d->size;
	return json_integer(d->kind == KIND_INT ? (int64_t)(bits << unused) >> unused : (int64_t)bits);
}

static json_t *text(struct str s)
{
	json_t *j = json_stringn(s.data, s.len);
	if (j)
		return j;
	CLEANUP(free) char *b64 = mem_alloc(BASE64_ENCODE_RAW_LENGTH(s.len) + 1);
	base64_encode_raw(b64, s.len, (const uint8_t *)s.data);
	return json_pack("{s:s}", "b64", b64);
}

/* Typed values: packed or one by one. Appends to the flat list. */
static void add_typed(const struct dtype *d, const struct pb_field *f, json_t *flat)
{
	struct pb items;
	uint64_t v;
	if (d->kind == KIND_STRING) {
		json_array_append_new(flat, text(f->bytes));
	} else if (f->wire != PB_BYTES) {
		v = f->value;
		json_array_append_new(flat, number(d, &v));
	} else if (d->kind == KIND_FLOAT) {
		for (size_t i = 0; i + (size_t)d->size <= f->bytes.len; i += (size_t)d->size)
			json_array_append_new(flat, number(d, f->bytes.data + i));
	} else {
		pb_init_str(&items, f->bytes);
		while (pb_item_varint(&items, &v))
			json_array_append_new(flat, number(d, &v));
	}
}

static json_t *nest(const json_t *flat, const struct shape *s, int level, size_t *pos)
{
	if (level == s->rank)
		return json_incref(json_array_get(flat, (*pos)++));
	json_t *list = json_array();
	for (int64_t i = 0; i < s->dims[level]; i++)
		json_array_append_new(list, nest(flat, s, level + 1, pos));
	return list;
}

int tensor_json_decode(struct str message, json_t **ret, struct err *err)
{
	struct pb p;
	struct pb_field f;
	struct shape s = {.rank = 0};
	struct str content = {0};
	const struct dtype *d = NULL;
	int64_t count = 1;
	CLEANUP(json) json_t *flat = json_array();
	pb_init_str(&p, message);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, 1, PB_VARINT)) {
			for (size_t i = 0; i < ARRAY_LEN(dtypes); i++)
				if (dtypes[i].number == (int)f.value)
					d = &dtypes[i];
		} else if (pb_is(&f, 2, PB_BYTES)) {
			int r = decode_shape(f.bytes, &s, &count, err);
			if (r < 0)
				return r;
		} else if (pb_is(&f, 4, PB_BYTES)) {
			content = f.bytes;
		} else if (d && f.number == (uint32_t)d->field &&
			   json_array_size(flat) < TENSOR_ELEMENTS_MAX) {
			add_typed(d, &f, flat);
		}
	}
	int r = pb_end(&p, "tensor", err);
	if (r < 0)
		return r;
	if (!d)
		return err_set(err, ERR_UNSUPPORTED,
			       "the answer has a type that the command line cannot print");
	for (size_t i = 0; d->size && i + (size_t)d->size <= content.len; i += (size_t)d->size)
		json_array_append_new(flat, number(d, content.data + i));
	if (json_array_size(flat) == 1 && count > 1) /* one value stands for all */
		for (int64_t i = 1; i < count; i++)
			json_array_append(flat, json_array_get(flat, 0));
	if ((int64_t)json_array_size(flat) != count)
		return err_set(err, ERR_INVALID, "the answer's tensor has %zu values for %lld places",
			       json_array_size(flat), (long long)count);
	size_t pos = 0;
	*ret = nest(flat, &s, 0, &pos);
	return 0;
}
