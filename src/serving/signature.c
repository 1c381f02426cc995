/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures: decoding from a MetaGraphDef, encoding, lookup, checking of inputs. */
#include "serving/signature.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/pb.h"

enum { /* field numbers of tensorflow/core/protobuf/meta_graph.proto and tensor_shape.proto */
       META_GRAPH_SIGNATURE_DEF = 5,
       MAP_KEY = 1,
       MAP_VALUE = 2,
       SIGNATURE_INPUTS = 1,
       SIGNATURE_OUTPUTS = 2,
       SIGNATURE_METHOD_NAME = 3,
       INFO_NAME = 1,
       INFO_DTYPE = 2,
       INFO_SHAPE = 3,
       SHAPE_DIM = 2,
       SHAPE_UNKNOWN_RANK = 3,
       DIM_SIZE = 1,
};

static const char *copy_text(struct arena *arena, struct str s)
{
	return arena_strndup(arena, s.data ? s.data : "", s.len);
}

static int decode_shape(struct str bytes, struct signature_tensor *t, struct err *err)
{
	struct pb p, q;
	struct pb_field f, g;

	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, SHAPE_UNKNOWN_RANK, PB_VARINT))
			t->unknown_rank = f.value != 0;
		if (!pb_is(&f, SHAPE_DIM, PB_BYTES))
			continue;
		if (t->rank == TENSOR_RANK_MAX)
			return err_set(err, ERR_INVALID, "signature has a tensor of more than %d dimensions",
				       TENSOR_RANK_MAX);
		t->dims[t->rank] = 0;
		pb_init_str(&q, f.bytes);
		while (pb_next(&q, &g))
			if (pb_is(&g, DIM_SIZE, PB_VARINT))
				t->dims[t->rank] = (int64_t)g.value < 0 ? -1 : (int64_t)g.value;
		if (pb_end(&q, "TensorShapeProto.Dim", err) < 0)
			return -err->code;
		t->rank++;
	}
	return pb_end(&p, "TensorShapeProto", err);
}

static int decode_info(struct str bytes, struct arena *arena, struct signature_tensor *t, struct err *err)
{
	struct pb p;
	struct pb_field f;
	const struct dtype_info *info;
	bool has_shape = false;
	int r;

	t->tensor_name = "";
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, INFO_NAME, PB_BYTES)) {
			t->tensor_name = copy_text(arena, f.bytes);
		} else if (pb_is(&f, INFO_DTYPE, PB_VARINT)) {
			info = dtype_info(f.value);
			t->dtype = info ? info->dtype : DT_INVALID;
			t->dtype_number = (int)f.value;
		} else if (pb_is(&f, INFO_SHAPE, PB_BYTES)) {
			has_shape = true;
			r = decode_shape(f.bytes, t, err);
			if (r < 0)
				return r;
		}
	}
	t->unknown_rank |= !has_shape;
	if (!t->tensor_name)
		return err_set(err, ERR_TOO_LARGE, "signatures of the model need too much memory");
	return pb_end(&p, "TensorInfo", err);
}

/* One map entry: key and the bytes of the value. */
static int decode_entry(struct str bytes, struct str *ret_key, struct str *ret_value, struct err *err)
{
	struct pb p;
	struct pb_field f;

	*ret_key = *ret_value = (struct str){"", 0};
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, MAP_KEY, PB_BYTES))
			*ret_key = f.bytes;
		else if (pb_is(&f, MAP_VALUE, PB_BYTES))
			*ret_value = f.bytes;
	}
	return pb_end(&p, "map entry", err);
}

static int compare_alias(const void *a, const void *b)
{
	return strcmp(((const struct signature_tensor *)a)->alias,
		      ((const struct signature_tensor *)b)->alias);
}

static int compare_name(const void *a, const void *b)
{
	return strcmp(((const struct signature *)a)->name, ((const struct signature *)b)->name);
}

/* Number of fields 'number' in a message. */
static size_t count_fields(struct str bytes, uint32_t number)
{
	struct pb p;
	struct pb_field f;
	size_t n = 0;

	pb_init_str(&p, bytes);
	while (pb_next(&p, &f))
		n += pb_is(&f, number, PB_BYTES);
	return n;
}

static int decode_tensors(struct str bytes, uint32_t number, struct arena *arena, size_t *ret_count,
			  struct signature_tensor **ret, struct err *err)
{
	size_t count = count_fields(bytes, number), n = 0;
	struct signature_tensor *items;
	struct str key, value;
	struct pb p;
	struct pb_field f;
	int r;

	if (count > SIGNATURE_TENSORS_MAX)
		return err_set(err, ERR_TOO_LARGE, "signature has more than %d tensors",
			       SIGNATURE_TENSORS_MAX);
	items = arena_try_alloc(arena, count ? count : 1, sizeof(*items));
	if (!items)
		return err_set(err, ERR_TOO_LARGE, "signatures of the model need too much memory");
	memset(items, 0, count * sizeof(*items));
	pb_init_str(&p, bytes);
	while (n < count && pb_next(&p, &f)) {
		if (!pb_is(&f, number, PB_BYTES))
			continue;
		r = decode_entry(f.bytes, &key, &value, err);
		if (r >= 0)
			r = decode_info(value, arena, &items[n], err);
		if (r < 0)
			return r;
		items[n].alias = copy_text(arena, key);
		if (!items[n++].alias)
			return err_set(err, ERR_TOO_LARGE, "signatures of the model need too much memory");
	}
	qsort(items, count, sizeof(*items), compare_alias);
	*ret_count = count;
	*ret = items;
	return 0;
}

static int decode_one(struct str bytes, struct arena *arena, struct signature *s, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r;

	char *copy = arena_try_alloc(arena, bytes.len + 1, 1);

	if (!copy)
		return err_set(err, ERR_TOO_LARGE, "signatures of the model need too much memory");
	memcpy(copy, bytes.data, bytes.len);
	s->description = (struct str){copy, bytes.len};
	s->method_name = "";
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f))
		if (pb_is(&f, SIGNATURE_METHOD_NAME, PB_BYTES))
			s->method_name = copy_text(arena, f.bytes);
	r = pb_end(&p, "SignatureDef", err);
	if (r >= 0)
		r = decode_tensors(bytes, SIGNATURE_INPUTS, arena, &s->input_count, &s->inputs, err);
	if (r >= 0)
		r = decode_tensors(bytes, SIGNATURE_OUTPUTS, arena, &s->output_count, &s->outputs, err);
	return r;
}

int signature_decode(const void *meta_graph, size_t len, struct arena *arena, struct signature_set *ret,
		     struct err *err)
{
	struct str bytes = {meta_graph, len}, key, value;
	size_t count = count_fields(bytes, META_GRAPH_SIGNATURE_DEF);
	struct signature *items;
	struct pb p;
	struct pb_field f;
	int r;

	*ret = (struct signature_set){0};
	if (count > SIGNATURE_MAX)
		return err_set(err, ERR_TOO_LARGE, "model has more than %d signatures", SIGNATURE_MAX);
	items = arena_try_alloc(arena, count ? count : 1, sizeof(*items));
	if (!items)
		return err_set(err, ERR_TOO_LARGE, "signatures of the model need too much memory");
	memset(items, 0, count * sizeof(*items));
	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		if (!pb_is(&f, META_GRAPH_SIGNATURE_DEF, PB_BYTES))
			continue;
		r = decode_entry(f.bytes, &key, &value, err);
		if (r >= 0)
			r = decode_one(value, arena, &items[ret->count], err);
		if (r < 0)
			return r;
		items[ret->count].name = copy_text(arena, key);
		if (!items[ret->count].name || !items[ret->count].method_name)
			return err_set(err, ERR_TOO_LARGE, "signatures of the model need too much memory");
		ret->count++;
	}
	qsort(items, ret->count, sizeof(*items), compare_name);
	ret->items = items;
	return pb_end(&p, "MetaGraphDef", err);
}

static void encode_shape(const struct signature_tensor *t, struct buf *b)
{
	struct pb_mark shape = pb_begin(b, INFO_SHAPE, 0), dim;

	for (int i = 0; i < t->rank; i++) {
		dim = pb_begin(b, SHAPE_DIM, 0);
		pb_add_varint(b, DIM_SIZE, (uint64_t)t->dims[i]);
		pb_close(b, dim);
	}
	if (t->unknown_rank)
		pb_add_varint(b, SHAPE_UNKNOWN_RANK, 1);
	pb_close(b, shape);
}

static void encode_tensors(const struct signature_tensor *items, size_t count, uint32_t field, struct buf *b)
{
	for (size_t i = 0; i < count; i++) {
		struct pb_mark entry = pb_begin(b, field, 0), info;
		pb_add_string(b, MAP_KEY, items[i].alias);
		info = pb_begin(b, MAP_VALUE, 0);
		pb_add_string(b, INFO_NAME, items[i].tensor_name);
		pb_add_varint(b, INFO_DTYPE, (uint64_t)items[i].dtype_number);
		encode_shape(&items[i], b);
		pb_close(b, info);
		pb_close(b, entry);
	}
}

void signature_encode(const struct signature *s, struct buf *b)
{
	if (s->description.len > 0) {
		buf_add(b, s->description.data, s->description.len);
		return;
	}
	encode_tensors(s->inputs, s->input_count, SIGNATURE_INPUTS, b);
	encode_tensors(s->outputs, s->output_count, SIGNATURE_OUTPUTS, b);
	pb_add_string(b, SIGNATURE_METHOD_NAME, s->method_name);
}

const struct signature *signature_find(const struct signature_set *set, struct str name)
{
	if (name.len == 0)
		name = STR(SIGNATURE_DEFAULT);
	for (size_t i = 0; i < set->count; i++)
		if (str_eq(name, set->items[i].name))
			return &set->items[i];
	return NULL;
}

static int find_alias(const struct signature_tensor *items, size_t count, struct str alias)
{
	for (size_t i = 0; i < count; i++)
		if (str_eq(alias, items[i].alias))
			return (int)i;
	return -1;
}

int signature_input_index(const struct signature *s, struct str alias)
{
	return find_alias(s->inputs, s->input_count, alias);
}

int signature_output_index(const struct signature *s, struct str alias)
{
	return find_alias(s->outputs, s->output_count, alias);
}

int signature_check_input(const struct signature_tensor *want, const struct tensor *sent, struct err *err)
{
	char sent_shape[128], want_shape[128];
	bool fits;

	if (want->dtype != sent->dtype)
		return err_set(err, ERR_INVALID, "input '%s' expects elements of type %s but %s was sent",
			       want->alias, dtype_word(want->dtype), dtype_word(sent->dtype));
	fits = want->unknown_rank || want->rank == sent->rank;
	for (int i = 0; fits && !want->unknown_rank && i < want->rank; i++)
		fits = want->dims[i] < 0 || want->dims[i] == sent->dims[i];
	if (fits)
		return 0;
	tensor_format_shape(sent->rank, sent->dims, sent_shape, sizeof(sent_shape));
	tensor_format_shape(want->rank, want->dims, want_shape, sizeof(want_shape));
	return err_set(err, ERR_INVALID,
		       "input '%s' has shape %s, the model's signature wants %s (-1 is any size)",
		       want->alias, sent_shape, want_shape);
}
