/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors to and from JSON, in the row and column forms of TensorFlow Serving's REST API. */
#ifndef SERVING_JSON_TENSOR_H
#define SERVING_JSON_TENSOR_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "serving/json_text.h"
#include "serving/signature.h"
#include "serving/tensor.h"

/* What a predict body says before its signature is known. Views into the body. */
struct json_predict_head {
	struct str body;
	struct str signature; /* "" when absent */
	struct str values;    /* the text of "instances" or "inputs" */
	bool rows;	      /* "instances" */
	size_t scalars;	      /* upper bound of the elements in 'values' */
};
/* Passes once over the whole body and checks its syntax, but for that of lists of numbers. ERR_INVALID. */
int json_predict_scan(struct str body, struct arena *arena, struct json_predict_head *ret, struct err *err);

/* Reads the values as inputs of the signature: *ret_inputs has *ret_count == s->input_count elements, in the
 * arena or views into the body. ERR_INVALID, ERR_TOO_LARGE. */
int json_predict_inputs(const struct json_predict_head *head, const struct signature *s, struct arena *arena,
			struct named_tensor **ret_inputs, size_t *ret_count, struct err *err);

/* Appends {"predictions": …} or {"outputs": …}. Rows need one common first dimension: ERR_INVALID. */
int json_predict_write(bool rows, const struct signature *s, const size_t *output_index,
		       const struct tensor *outputs, size_t output_count, struct buf *b, struct err *err);

/* Appends the elements as one list, without nesting. Not for complex numbers. */
void json_write_flat(struct buf *b, const struct tensor *t);

/* Shortest text that reads back as the same number; "2.0", "1e+20", NaN, -Infinity. */
void json_write_float(struct buf *b, float v);
void json_write_double(struct buf *b, double v);

#endif
