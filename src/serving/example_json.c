/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a REST classify or regress request to serialized examples. */
#include <string.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/base64.h"
#include "serving/example.h"
#include "serving/json_text.h"

/* tensorflow/core/example/feature.proto; the numbers of the lists are those of the oneof. */
enum {
	EXAMPLE_FEATURES = 1,
	FEATURES_FEATURE = 1,
	MAP_KEY = 1,
	MAP_VALUE = 2,
	FEATURE_NONE = 0,
	FEATURE_BYTES = 1,
	FEATURE_FLOAT = 2,
	FEATURE_INT64 = 3,
	LIST_VALUE = 1,
};

/* One feature while its values are written. */
struct feature {
	struct str name;
	int kind; /* FEATURE_NONE until the first value */
	struct pb_mark list, packed;
};

static int name_len(const struct feature *f)
{
	return f->name.len > 100 ? 100 : (int)f->name.len;
}

/* The first value decides what the list holds. */
static int want_kind(struct feature *f, int kind, struct buf *b, struct err *err)
{
	static const char *const words[] = {"", "bytes", "float", "int64"};

	if (f->kind == kind)
		return 0;
	if (f->kind != FEATURE_NONE)
		return err_set(err, ERR_INVALID,
			       "Unexpected element type in feature: %.*s expecting type: %s", name_len(f),
			       f->name.data, words[f->kind]);
	f->kind = kind;
	f->list = pb_begin(b, (uint32_t)kind, 0);
	if (kind != FEATURE_BYTES)
		f->packed = pb_begin(b, LIST_VALUE, 0);
	return 0;
}

static int unexpected(const struct feature *f, const char *type, struct err *err)
{
	return err_set(err, ERR_INVALID, "Feature: %.*s has element with unexpected JSON type: %s",
		       name_len(f), f->name.data, type);
}

static int add_b64(struct json_text *j, struct feature *f, struct arena *arena, struct buf *b,
		   struct err *err)
{
	struct str key, text;
	char *bytes;
	long len;
	int r;

	json_text_take(j, '{');
	if (json_text_peek(j) != '"')
		return unexpected(f, "Object", err);
	r = json_text_string(j, arena, &key, err);
	if (r < 0)
		return r;
	if (!str_eq(key, "b64") || !json_text_take(j, ':') || json_text_peek(j) != '"')
		return unexpected(f, "Object", err);
	r = json_text_string(j, arena, &text, err);
	if (r < 0)
		return r;
	if (!json_text_take(j, '}'))
		return unexpected(f, "Object", err);
	bytes = arena_try_alloc(arena, text.len / 4 * 3 + 3, 1);
	if (!bytes)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	len = base64_decode(text, bytes);
	if (len < 0)
		return err_set(err, ERR_INVALID, "Feature: %.*s: malformed base64 string", name_len(f),
			       f->name.data);
	r = want_kind(f, FEATURE_BYTES, b, err);
	if (r >= 0)
		pb_add_bytes(b, LIST_VALUE, bytes, (size_t)len);
	return r;
}

static int add_number(struct json_text *j, struct feature *f, struct buf *b, struct err *err)
{
	struct json_number n;
	float value;
	uint32_t bits;
	int r = json_text_number(j, &n, err);

	if (r < 0)
		return r;
	if (!n.integral) {
		value = (float)n.value;
		memcpy(&bits, &value, sizeof(bits)); /* little-endian, as tensor.h demands */
		r = want_kind(f, FEATURE_FLOAT, b, err);
		if (r >= 0)
			buf_add(b, &bits, sizeof(bits));
		return r;
	}
	if (n.whole > (n.negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX))
		return err_set(err, ERR_INVALID, "Feature: %.*s has uint64 element. Only int64 is supported.",
			       name_len(f), f->name.data);
	r = want_kind(f, FEATURE_INT64, b, err);
	if (r >= 0)
		pb_add_raw_varint(b, n.negative ? (uint64_t)0 - n.whole : n.whole);
	return r;
}

static int add_value(struct json_text *j, struct feature *f, struct arena *arena, struct buf *b,
		     struct err *err)
{
	int c = json_text_peek(j), r;
	struct str text;
	bool is_true;

	switch (c) {
	case '"':
		r = json_text_string(j, arena, &text, err);
		if (r >= 0)
			r = want_kind(f, FEATURE_BYTES, b, err);
		if (r >= 0)
			pb_add_str(b, LIST_VALUE, text);
		return r;
	case '{':
		return add_b64(j, f, arena, b, err);
	case '[':
		return unexpected(f, "Array", err);
	case 'n':
		return unexpected(f, "Null", err);
	case 't':
	case 'f':
		is_true = json_text_take_word(j, "true");
		if (!is_true && !json_text_take_word(j, "false"))
			return json_text_fail(j, err, "Invalid value.");
		r = want_kind(f, FEATURE_INT64, b, err);
		if (r >= 0)
			pb_add_raw_varint(b, is_true);
		return r;
	default:
		return add_number(j, f, b, err);
	}
}

static int add_values(struct json_text *j, struct feature *f, struct arena *arena, struct buf *b,
		      struct err *err)
{
	int r;

	if (!json_text_take(j, '['))
		return add_value(j, f, arena, b, err);
	if (json_text_take(j, ']'))
		return 0;
	do {
		r = add_value(j, f, arena, b, err);
		if (r < 0)
			return r;
	} while (json_text_take(j, ','));
	return json_text_take(j, ']')
		   ? 0
		   : json_text_fail(j, err, "Missing a comma or ] after an array element.");
}

/* One entry of the map: the name is known, the values follow. */
static int add_feature(struct json_text *j, struct str name, struct arena *arena, struct buf *b,
		       struct err *err)
{
	struct feature f = {.name = name};
	struct pb_mark entry = pb_begin(b, FEATURES_FEATURE, 0), value;
	int r;

	pb_add_str(b, MAP_KEY, name);
	value = pb_begin(b, MAP_VALUE, 0);
	r = add_values(j, &f, arena, b, err);
	if (f.kind == FEATURE_FLOAT || f.kind == FEATURE_INT64)
		pb_close(b, f.packed);
	if (f.kind != FEATURE_NONE)
		pb_close(b, f.list);
	pb_close(b, value);
	pb_close(b, entry);
	return r;
}

/* {feature: value, …} */
static int add_example(struct json_text *j, struct arena *arena, struct buf *b, struct err *err)
{
	struct pb_mark features;
	struct str name;
	int r;

	if (!json_text_take(j, '{'))
		return err_set(err, ERR_INVALID, "Example must be JSON object but got something else");
	features = pb_begin(b, EXAMPLE_FEATURES, 0);
	for (bool more = !json_text_take(j, '}'); more;) {
		r = json_text_string(j, arena, &name, err);
		if (r >= 0 && !json_text_take(j, ':'))
			r = json_text_fail(j, err, "Missing a colon after a name of object member.");
		if (r >= 0)
			r = add_feature(j, name, arena, b, err);
		if (r < 0)
			return r;
		more = json_text_take(j, ',');
		if (!more && !json_text_take(j, '}'))
			return json_text_fail(j, err, "Missing a comma or } after an object member.");
	}
	pb_close(b, features);
	return 0;
}

/* The texts of the members, before anything is decoded: the context may come last. */
struct members {
	struct str context, examples;
};

static int scan_member(struct json_text *j, struct str key, struct arena *arena, struct members *m,
		       struct example_body *ret, struct err *err)
{
	struct str *to = str_eq(key, "context") ? &m->context : str_eq(key, "examples") ? &m->examples : NULL;
	const char *start;
	int r;

	if (str_eq(key, "signature_name")) {
		if (json_text_peek(j) != '"')
			return err_set(err, ERR_INVALID, "'signature_name' key must be a string value.");
		return json_text_string(j, arena, &ret->signature, err);
	}
	json_text_peek(j);
	start = j->pos;
	r = json_text_skip(j, NULL, err);
	if (r >= 0 && to)
		*to = (struct str){start, (size_t)(j->pos - start)};
	return r;
}

static int scan(struct str body, struct arena *arena, struct members *m, struct example_body *ret,
		struct err *err)
{
	struct json_text j;
	struct str key;
	int r;

	json_text_init(&j, body);
	if (json_text_peek(&j) == 0)
		return err_set(err, ERR_INVALID, "JSON Parse error: The document is empty");
	if (!json_text_take(&j, '{'))
		return err_set(err, ERR_INVALID, "JSON Value is not of expected type: object");
	for (bool more = !json_text_take(&j, '}'); more;) {
		r = json_text_string(&j, arena, &key, err);
		if (r >= 0 && !json_text_take(&j, ':'))
			r = json_text_fail(&j, err, "Missing a colon after a name of object member.");
		if (r >= 0)
			r = scan_member(&j, key, arena, m, ret, err);
		if (r < 0)
			return r;
		more = json_text_take(&j, ',');
		if (!more && !json_text_take(&j, '}'))
			return json_text_fail(&j, err, "Missing a comma or } after an object member.");
	}
	if (json_text_peek(&j) != 0 || j.pos != j.end)
		return json_text_fail(&j, err, "The document root must not be followed by other values.");
	return 0;
}

static int keep(struct example_list *list, size_t *cap, struct str example, struct arena *arena,
		struct err *err)
{
	struct str *grown;
	char *copy = arena_try_alloc(arena, example.len + 1, 1);

	if (copy)
		memcpy(copy, example.data, example.len);
	if (copy && list->count == *cap) {
		*cap = *cap ? *cap * 2 : 16;
		grown = arena_try_alloc(arena, *cap, sizeof(*grown));
		if (grown && list->count > 0)
			memcpy(grown, list->items, list->count * sizeof(*grown));
		list->items = grown;
	}
	if (!copy || !list->items)
		return err_set(err, ERR_TOO_LARGE, "the examples need more memory than one request may use");
	list->items[list->count++] = (struct str){copy, example.len};
	return 0;
}

static int read_examples(struct json_text *j, size_t context_len, struct buf *b, struct arena *arena,
			 struct example_list *list, struct err *err)
{
	size_t cap = 0;
	int r;

	if (!json_text_take(j, '['))
		return err_set(err, ERR_INVALID, "Expecting 'examples' value to be an list/array");
	if (json_text_take(j, ']'))
		return err_set(err, ERR_INVALID, "'examples' value is an empty array");
	do {
		b->len = context_len;
		r = add_example(j, arena, b, err);
		if (r >= 0)
			r = keep(list, &cap, (struct str){b->data, b->len}, arena, err);
		if (r < 0)
			return r;
	} while (json_text_take(j, ','));
	return 0;
}

int example_json_read(struct str body, struct arena *arena, struct example_body *ret, struct err *err)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct members m = {{0}, {0}};
	struct json_text j;
	int r;

	*ret = (struct example_body){.signature = {"", 0}};
	r = scan(body, arena, &m, ret, err);
	if (r < 0)
		return r;
	if (m.context.data) {
		json_text_init(&j, m.context);
		r = add_example(&j, arena, &b, err);
		if (r < 0)
			return r;
	}
	if (!m.examples.data)
		return err_set(
		    err, ERR_INVALID,
		    "When method is classify or regress, key 'examples' is expected and was not found");
	json_text_init(&j, m.examples);
	return read_examples(&j, b.len, &b, arena, &ret->examples, err);
}
