/* SPDX-License-Identifier: Apache-2.0 */
/* The body of a REST predict request: row form ("instances") and column form ("inputs"). */
#include <string.h>
#include "serving/json_tensor_int.h"

static int scan_member(struct json_text *j, struct str key, struct arena *arena,
		       struct json_predict_head *head, struct err *err)
{
	bool rows = str_eq(key, "instances"), columns = str_eq(key, "inputs");
	size_t scalars = 0;
	const char *start;
	int r;

	if (str_eq(key, "signature_name")) {
		if (json_text_peek(j) != '"')
			return err_set(err, ERR_INVALID, "'signature_name' key must be a string value.");
		return json_text_string(j, arena, &head->signature, err);
	}
	json_text_peek(j);
	start = j->pos;
	r = (rows || columns) && json_text_skip_list(j, &scalars) ? 0 : json_text_skip(j, &scalars, err);
	if (r < 0 || (!rows && !columns))
		return r;
	if (head->values.data)
		return err_set(
		    err, ERR_INVALID,
		    "Not formatted correctly: expecting exactly one of the keys 'instances' and 'inputs'.");
	head->values = (struct str){start, (size_t)(j->pos - start)};
	head->rows = rows;
	head->scalars = scalars;
	return 0;
}

int json_predict_scan(struct str body, struct arena *arena, struct json_predict_head *ret, struct err *err)
{
	struct json_text j;
	struct str key;
	int r;

	*ret = (struct json_predict_head){.body = body, .signature = {"", 0}};
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
			r = scan_member(&j, key, arena, ret, err);
		if (r < 0)
			return r;
		more = json_text_take(&j, ',');
		if (!more && !json_text_take(&j, '}'))
			return json_text_fail(&j, err, "Missing a comma or } after an object member.");
	}
	if (json_text_peek(&j) != 0 || j.pos != j.end)
		return json_text_fail(&j, err, "The document root must not be followed by other values.");
	if (!ret->values.data)
		return err_set(err, ERR_INVALID, "Missing 'inputs' or 'instances' key");
	return 0;
}

/* Is the value at j an object {"b64": …}? Does not consume. */
static bool is_b64(struct json_text j)
{
	return json_text_take(&j, '{') && json_text_take_word(&j, "\"b64\"") && json_text_take(&j, ':');
}

/* {"alias": value, …} with every input exactly once. */
static int read_named(struct json_text *j, const struct signature *s, struct arena *arena,
		      struct json_builder *builders, struct err *err)
{
	size_t before[SIGNATURE_TENSORS_MAX], seen = 0;
	struct str key;
	int r, index;

	for (size_t i = 0; i < s->input_count; i++)
		before[i] = builders[i].values;
	if (!json_text_take(j, '{'))
		return json_text_fail(j, err, "An object of named inputs is missing");
	for (bool more = !json_text_take(j, '}'); more; seen++) {
		r = json_text_string(j, arena, &key, err);
		if (r >= 0 && !json_text_take(j, ':'))
			r = json_text_fail(j, err, "Missing a colon after a name of object member.");
		if (r < 0)
			return r;
		index = signature_input_index(s, key);
		if (index < 0)
			return err_set(err, ERR_INVALID, "'%.*s' is no input of signature '%s'",
				       (int)(key.len > 100 ? 100 : key.len), key.data, s->name);
		if (builders[index].values != before[index])
			return err_set(err, ERR_INVALID, "input '%s' is there twice", s->inputs[index].alias);
		r = json_builder_value(&builders[index], j, err);
		if (r < 0)
			return r;
		more = json_text_take(j, ',');
		if (!more && !json_text_take(j, '}'))
			return json_text_fail(j, err, "Missing a comma or } after an object member.");
	}
	if (seen == s->input_count)
		return 0;
	for (size_t i = 0; i < s->input_count; i++)
		if (builders[i].values == before[i])
			return err_set(err, ERR_INVALID, "input '%s' is missing", s->inputs[i].alias);
	return err_set(err, ERR_INVALID, "inputs are missing");
}

static int read_rows(struct json_text *j, const struct signature *s, struct arena *arena,
		     struct json_builder *builders, struct err *err)
{
	int named = -1, r;

	if (!json_text_take(j, '['))
		return err_set(err, ERR_INVALID, "Request 'instances' must be a list/array");
	if (json_text_take(j, ']'))
		return err_set(err, ERR_INVALID, "No instances to process; 'instances' is empty");
	do {
		int is_named = json_text_peek(j) == '{' && !is_b64(*j);
		if (named >= 0 && named != is_named)
			return err_set(
			    err, ERR_INVALID,
			    "instances must be all plain values or all objects, not a mix of both");
		named = is_named;
		if (!named && s->input_count != 1)
			return err_set(err, ERR_INVALID,
				       "instances is a plain list, but expecting list of objects as multiple "
				       "input tensors "
				       "required as per tensorinfo_map");
		r = named ? read_named(j, s, arena, builders, err) : json_builder_value(&builders[0], j, err);
		if (r < 0)
			return r;
	} while (json_text_take(j, ','));
	return json_text_take(j, ']')
		   ? 0
		   : json_text_fail(j, err, "Missing a comma or ] after an array element.");
}

static int read_columns(struct json_text *j, const struct signature *s, struct arena *arena,
			struct json_builder *builders, struct err *err)
{
	if (json_text_peek(j) == '{' && !is_b64(*j))
		return read_named(j, s, arena, builders, err);
	if (s->input_count != 1)
		return err_set(err, ERR_INVALID,
			       "inputs is a plain value/list, but expecting an object as multiple input "
			       "tensors required as "
			       "per tensorinfo_map");
	return json_builder_value(&builders[0], j, err);
}

int json_predict_inputs(const struct json_predict_head *head, const struct signature *s, struct arena *arena,
			struct named_tensor **ret_inputs, size_t *ret_count, struct err *err)
{
	struct json_builder *builders = arena_try_alloc(arena, s->input_count + 1, sizeof(*builders));
	struct named_tensor *inputs = arena_try_alloc(arena, s->input_count + 1, sizeof(*inputs));
	struct json_text j;
	int r = 0;

	if (!builders || !inputs)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	for (size_t i = 0; i < s->input_count && r >= 0; i++)
		r = json_builder_init(&builders[i], s->inputs[i].dtype, s->inputs[i].alias,
				      head->scalars / s->input_count + 1, arena, err);
	if (r < 0)
		return r;
	json_text_init(&j, head->values);
	r = head->rows ? read_rows(&j, s, arena, builders, err) : read_columns(&j, s, arena, builders, err);
	if (r < 0)
		r = json_text_recheck(head->body, head->values, err);
	for (size_t i = 0; i < s->input_count && r >= 0; i++)
		r = json_builder_end(&builders[i], head->rows, &inputs[i], err);
	*ret_inputs = inputs;
	*ret_count = s->input_count;
	return r;
}
