/* SPDX-License-Identifier: Apache-2.0 */
/* The signature that Python workers describe, see python_signature.h. */
#include "serving/python_signature.h"

#include <stdlib.h>
#include <string.h>
#include "base/json.h"

#define TEXT_MAX ((size_t)1 << 20)
#define NAME_MAX_BYTES 1000

static int parse_shape(const json_t *shape, struct signature_tensor *t, struct err *err)
{
	t->unknown_rank = !shape;
	if (!shape)
		return 0;
	t->rank = (int)json_array_size(shape);
	for (int i = 0; i < t->rank; i++) {
		const json_t *size = json_array_get(shape, (size_t)i);
		t->dims[i] = json_is_integer(size) ? (int64_t)json_integer_value(size) : -2;
		if (t->dims[i] < -1)
			return err_set(err, ERR_INVALID, "shape of '%s' is not a list of sizes", t->alias);
	}
	return 0;
}

static int parse_tensor(const json_t *item, struct arena *arena, struct signature_tensor *t, struct err *err)
{
	CLEANUP(free) char *name = NULL;
	struct json_reader reader;
	const json_t *shape;
	int64_t dtype = 0;
	int r;

	json_reader_begin(&reader, item, "a tensor of the signature");
	json_get_string(&reader, "name", NAME_MAX_BYTES, &name);
	json_get_int(&reader, "dtype", 1, INT32_MAX, &dtype);
	shape = json_get_array(&reader, "shape", TENSOR_RANK_MAX);
	r = json_reader_end(&reader, err);
	if (r < 0)
		return r;
	if (!name || !*name)
		return err_set(err, ERR_INVALID, "a tensor of the signature has no name");
	if (!dtype_info((uint64_t)dtype))
		return err_set(err, ERR_INVALID, "element type of '%s' is not supported", name);
	t->alias = t->tensor_name = arena_strndup(arena, name, strlen(name));
	if (!t->alias)
		return err_set(err, ERR_TOO_LARGE, "the signature needs too much memory");
	t->dtype = (enum dtype)dtype;
	t->dtype_number = (int)dtype;
	return parse_shape(shape, t, err);
}

static int parse_tensors(const json_t *items, const char *what, struct arena *arena,
			 struct signature_tensor **ret, size_t *ret_count, struct err *err)
{
	size_t count = json_array_size(items);
	struct signature_tensor *tensors;
	int r = 0;

	if (count == 0)
		return err_set(err, ERR_INVALID, "the signature has no %s", what);
	tensors = arena_try_alloc(arena, count, sizeof(*tensors));
	if (!tensors)
		return err_set(err, ERR_TOO_LARGE, "the signature needs too much memory");
	memset(tensors, 0, count * sizeof(*tensors));
	for (size_t i = 0; i < count && r >= 0; i++) {
		r = parse_tensor(json_array_get(items, i), arena, &tensors[i], err);
		for (size_t k = 0; k < i && r >= 0; k++)
			if (strcmp(tensors[k].alias, tensors[i].alias) == 0)
				r = err_set(err, ERR_INVALID, "'%s' appears twice in %s", tensors[i].alias,
					    what);
	}
	*ret = tensors;
	*ret_count = count;
	return r;
}

int python_signature_parse(struct str text, struct arena *arena, struct signature *ret, struct err *err)
{
	CLEANUP(json) json_t *root = NULL;
	const json_t *inputs, *outputs;
	struct json_reader reader;
	int r = json_parse(text.data, text.len, TEXT_MAX, &root, err);

	if (r < 0)
		return r;
	json_reader_begin(&reader, root, "the signature");
	inputs = json_get_array(&reader, "inputs", SIGNATURE_TENSORS_MAX);
	outputs = json_get_array(&reader, "outputs", SIGNATURE_TENSORS_MAX);
	r = json_reader_end(&reader, err);
	*ret = (struct signature){.name = SIGNATURE_DEFAULT, .method_name = SIGNATURE_METHOD_PREDICT};
	if (r >= 0)
		r = parse_tensors(inputs, "inputs", arena, &ret->inputs, &ret->input_count, err);
	if (r >= 0)
		r = parse_tensors(outputs, "outputs", arena, &ret->outputs, &ret->output_count, err);
	return r;
}
