/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the JSON form of tensors: gathering the elements of one input. */
#ifndef SERVING_JSON_TENSOR_INT_H
#define SERVING_JSON_TENSOR_INT_H

#include "serving/json_tensor.h"

struct json_builder {
	enum dtype dtype;
	const char *alias;
	struct arena *arena;
	size_t size; /* of an element; strings are views */
	char *data;
	size_t count, cap;
	size_t values; /* whole values read: the rows */
	int rank;      /* of each value, -1 = none read yet */
	int64_t dims[TENSOR_RANK_MAX];
};
int json_builder_init(struct json_builder *b, enum dtype dtype, const char *alias, size_t expected,
		      struct arena *arena, struct err *err);
int json_builder_value(struct json_builder *b, struct json_text *j, struct err *err);
/* Row form: the number of values becomes the first dimension. */
int json_builder_end(struct json_builder *b, bool rows, struct named_tensor *ret, struct err *err);

#endif
