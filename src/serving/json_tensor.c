/* SPDX-License-Identifier: Apache-2.0 */
/* JSON values to tensors: one value, however nested, appended to the elements gathered so far. */
#include <limits.h>
#include <math.h>
#include <string.h>
#include "serving/base64.h"
#include "serving/json_tensor_int.h"

int json_builder_init(struct json_builder *b, enum dtype dtype, const char *alias, size_t expected,
		      struct arena *arena, struct err *err)
{
	const struct dtype_info *info = dtype_info((uint64_t)dtype);

	*b = (struct json_builder){.dtype = dtype, .alias = alias, .arena = arena, .rank = -1};
	if (!dtype_in_json(dtype))
		return err_set(err, ERR_UNSUPPORTED,
			       "input '%s' has type %s, which JSON cannot hold; use gRPC", alias,
			       dtype_word(dtype));
	b->size = info->size ? info->size : sizeof(struct str);
	b->cap = expected ? expected : 1;
	b->data = arena_try_alloc(arena, b->cap, b->size);
	if (!b->data)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	return 0;
}

static int builder_room(struct json_builder *b, struct err *err)
{
	char *grown;

	if (b->count < b->cap)
		return 0;
	grown = arena_try_alloc(b->arena, b->cap * 2, b->size);
	if (!grown)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	memcpy(grown, b->data, b->count * b->size);
	b->data = grown;
	b->cap *= 2;
	return 0;
}

static int type_error(struct json_text *j, const struct json_builder *b, struct err *err)
{
	const char *end = j->pos;

	json_text_peek(j);
	for (end = j->pos; end < j->end && end - j->pos < 40 && !strchr(",]} \n", *end); end++)
		;
	return err_set(err, ERR_INVALID, "JSON Value: %.*s of input '%s' is not of expected type: %s",
		       (int)(end - j->pos), j->pos, b->alias, dtype_word(b->dtype));
}

static int64_t integer_min(enum dtype dtype)
{
	switch (dtype) {
	case DT_INT8:
		return INT8_MIN;
	case DT_INT16:
		return INT16_MIN;
	case DT_INT32:
		return INT32_MIN;
	case DT_INT64:
		return INT64_MIN;
	default:
		return 0;
	}
}

static uint64_t integer_max(const struct json_builder *b)
{
	unsigned bits = (unsigned)b->size * 8;
	bool is_signed = integer_min(b->dtype) < 0;

	return UINT64_MAX >> (64 - bits + is_signed);
}

static int append_integer(struct json_text *j, struct json_builder *b, struct err *err)
{
	const char *start = j->pos;
	struct json_number n;
	int r = json_text_number(j, &n, err);
	uint64_t limit, v;

	if (r < 0)
		return r;
	limit = n.negative ? (uint64_t)0 - (uint64_t)integer_min(b->dtype) : integer_max(b);
	if (!n.integral || n.whole > limit) {
		j->pos = start;
		return type_error(j, b, err);
	}
	v = n.negative ? (uint64_t)0 - n.whole : n.whole;
	memcpy(b->data + b->count * b->size, &v, b->size); /* little-endian: the low bytes come first */
	b->count++;
	return 0;
}

static int append_real(struct json_text *j, struct json_builder *b, struct err *err)
{
	struct json_number n;
	int r = json_text_number(j, &n, err);

	if (r < 0)
		return r;
	switch (b->dtype) {
	case DT_FLOAT:
		((float *)b->data)[b->count] = (float)n.value;
		break;
	case DT_DOUBLE:
		((double *)b->data)[b->count] = n.value;
		break;
	case DT_HALF:
		((uint16_t *)b->data)[b->count] = dtype_half_from_float((float)n.value);
		break;
	default:
		((uint16_t *)b->data)[b->count] = dtype_bfloat16_from_float((float)n.value);
		break;
	}
	b->count++;
	return 0;
}

/* {"b64": "…"} */
static int take_b64(struct json_text *j, struct json_builder *b, struct str *ret, struct err *err)
{
	struct str key, text;
	char *bytes;
	long len;
	int r;

	if (!json_text_take(j, '{'))
		return type_error(j, b, err);
	r = json_text_string(j, b->arena, &key, err);
	if (r < 0)
		return r;
	if (!str_eq(key, "b64") || !json_text_take(j, ':'))
		return err_set(err, ERR_INVALID, "input '%s': an object can only be {\"b64\": \"…\"}",
			       b->alias);
	r = json_text_string(j, b->arena, &text, err);
	if (r < 0)
		return r;
	if (!json_text_take(j, '}'))
		return err_set(err, ERR_INVALID, "input '%s': b64 must be the single key of its object",
			       b->alias);
	bytes = arena_try_alloc(b->arena, text.len / 4 * 3 + 3, 1);
	if (!bytes)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	len = base64_decode(text, bytes);
	if (len < 0)
		return err_set(err, ERR_INVALID, "input '%s': malformed base64 string", b->alias);
	*ret = (struct str){bytes, (size_t)len};
	return 0;
}

static int append_string(struct json_text *j, int c, struct json_builder *b, struct err *err)
{
	struct str *to = (struct str *)b->data + b->count;
	int r;

	if (c == '{')
		r = take_b64(j, b, to, err);
	else if (c == '"')
		r = json_text_string(j, b->arena, to, err);
	else
		r = type_error(j, b, err);
	b->count += r >= 0;
	return r;
}

static int append_scalar(struct json_text *j, int c, struct json_builder *b, struct err *err)
{
	bool is_true;
	int r = builder_room(b, err);

	if (r < 0)
		return r;
	if (b->dtype == DT_STRING)
		return append_string(j, c, b, err);
	if (b->dtype == DT_BOOL) {
		is_true = json_text_take_word(j, "true");
		if (!is_true && !json_text_take_word(j, "false"))
			return type_error(j, b, err);
		((uint8_t *)b->data)[b->count++] = is_true;
		return 0;
	}
	if (c != '-' && c != 'N' && c != 'I' && (c < '0' || c > '9'))
		return type_error(j, b, err);
	if (b->dtype == DT_FLOAT || b->dtype == DT_DOUBLE || b->dtype == DT_HALF || b->dtype == DT_BFLOAT16)
		return append_real(j, b, err);
	return append_integer(j, b, err);
}

/* Where the reading of one nested value stands. */
struct nesting {
	int depth;			 /* open lists */
	int leaf;			 /* depth at which scalars are, -1 = not seen yet */
	int64_t counts[TENSOR_RANK_MAX]; /* elements so far in each open list */
	int64_t dims[TENSOR_RANK_MAX];	 /* -1 = no list of that level closed yet */
};

static int set_leaf(struct nesting *n, int depth, const struct json_builder *b, struct err *err)
{
	if (n->leaf >= 0 && n->leaf != depth)
		return err_set(err, ERR_INVALID,
			       "input '%s': values at level %d and at level %d; all must be nested alike",
			       b->alias, n->leaf, depth);
	n->leaf = depth;
	return 0;
}

static int close_list(struct nesting *n, const struct json_builder *b, struct err *err)
{
	int level = --n->depth;

	if (n->dims[level] >= 0 && n->dims[level] != n->counts[level])
		return err_set(
		    err, ERR_INVALID,
		    "input '%s': lists of %lld and of %lld elements at level %d; a tensor has equal lists",
		    b->alias, (long long)n->dims[level], (long long)n->counts[level], level);
	n->dims[level] = n->counts[level];
	return 0;
}

/* Runs of plain numbers inside a list, as many as are there. The caller goes on with what comes next. */
static int append_reals(struct json_text *j, struct json_builder *b, struct nesting *n, struct err *err)
{
	size_t taken;
	int r = builder_room(b, err);

	if (r < 0 || n->depth == 0 || (b->dtype != DT_FLOAT && b->dtype != DT_DOUBLE))
		return r;
	taken = json_text_reals(j, b->dtype == DT_FLOAT, b->data + b->count * b->size, b->cap - b->count);
	b->count += taken;
	n->counts[n->depth - 1] += (int64_t)taken;
	return taken > 0;
}

/* Behind a value: 1 when another one follows, 0 when all lists are closed. */
static int after_value(struct json_text *j, struct nesting *n, const struct json_builder *b, struct err *err)
{
	int r;

	while (n->depth > 0) {
		n->counts[n->depth - 1]++;
		if (json_text_take(j, ','))
			return 1;
		if (!json_text_take(j, ']'))
			return json_text_fail(j, err, "Missing a comma or ] after an array element.");
		r = close_list(n, b, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int open_list(struct json_text *j, struct nesting *n, const struct json_builder *b, struct err *err)
{
	if (n->depth == TENSOR_RANK_MAX)
		return err_set(err, ERR_INVALID, "input '%s': more than %d levels of lists", b->alias,
			       TENSOR_RANK_MAX);
	j->pos++;
	n->counts[n->depth++] = 0;
	return 0;
}

/* One value; its shape goes to n->dims, its rank to n->leaf. */
static int read_nested(struct json_text *j, struct json_builder *b, struct nesting *n, struct err *err)
{
	int r;

	*n = (struct nesting){.leaf = -1};
	for (int i = 0; i < TENSOR_RANK_MAX; i++)
		n->dims[i] = -1;
	do {
		int c = json_text_peek(j);
		if (c == '[') {
			r = open_list(j, n, b, err);
			if (r < 0)
				return r;
			if (json_text_peek(j) != ']') {
				r = 1;
				continue;
			}
			j->pos++; /* an empty list */
			r = set_leaf(n, n->depth, b, err);
			if (r >= 0)
				r = close_list(n, b, err);
		} else {
			r = set_leaf(n, n->depth, b, err);
			if (r >= 0)
				r = append_reals(j, b, n, err);
			if (r == 1)
				continue;
			if (r >= 0)
				r = append_scalar(j, c, b, err);
		}
		if (r >= 0)
			r = after_value(j, n, b, err);
	} while (r == 1);
	return r;
}

int json_builder_value(struct json_builder *b, struct json_text *j, struct err *err)
{
	struct nesting n;
	char before[128], now[128];
	int r = read_nested(j, b, &n, err);

	if (r < 0)
		return r;
	if (b->rank < 0) {
		b->rank = n.leaf;
		memcpy(b->dims, n.dims, sizeof(b->dims));
	}
	b->values++;
	if (b->rank == n.leaf && memcmp(b->dims, n.dims, (size_t)b->rank * sizeof(b->dims[0])) == 0)
		return 0;
	tensor_format_shape(b->rank, b->dims, before, sizeof(before));
	tensor_format_shape(n.leaf, n.dims, now, sizeof(now));
	return err_set(err, ERR_INVALID, "input '%s': instance %zu has shape %s, the ones before have %s",
		       b->alias, b->values - 1, now, before);
}

int json_builder_end(struct json_builder *b, bool rows, struct named_tensor *ret, struct err *err)
{
	int64_t dims[TENSOR_RANK_MAX + 1];
	int rank = b->rank < 0 ? 0 : b->rank, r;

	if (rows) {
		dims[0] = (int64_t)b->values;
		memcpy(dims + 1, b->dims, (size_t)rank * sizeof(dims[0]));
		rank++;
	} else {
		memcpy(dims, b->dims, (size_t)rank * sizeof(dims[0]));
	}
	*ret = (struct named_tensor){.name = str_from(b->alias)};
	r = tensor_set_shape(&ret->tensor, b->dtype, rank, dims, err);
	if (r < 0)
		return err_wrap(err, "input '%s'", b->alias);
	ret->tensor.data = b->data;
	return 0;
}
