/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of several requests as one, and the answers apart again. */
#ifndef SERVING_BATCH_TENSOR_H
#define SERVING_BATCH_TENSOR_H

#include "serving/tensor.h"

/* Puts the rows of parts[0], parts[1] … into one tensor of 'rows' rows. Rows that are missing repeat the
 * first. Other dimensions may differ: each grows to the largest, filled with the first element of its part.
 * On success *ret is owned (tensor_done); strings stay views of the parts' bytes. ERR_INVALID when rank or
 * type differ, ERR_TOO_LARGE past bytes_max, ERR_NO_MEMORY. */
int batch_join(const struct tensor *const *parts, size_t count, int64_t rows, size_t bytes_max,
	       struct tensor *ret, struct err *err);

/* Several tensors whose rows are handed out to several owners. */
struct batch_share {
	struct shared shared;
	size_t count;
	struct tensor items[];
};
/* Takes the tensors; one reference. */
struct batch_share *batch_share_new(const struct tensor *takes_items, size_t count);
/* Row 'first' and the following of item i, without a copy. *ret holds a reference of its own (tensor_done).
 */
void batch_share_rows(struct batch_share *s, size_t i, int64_t first, int64_t rows, struct tensor *ret);
/* A view of some rows; belongs to nobody. */
void batch_rows(const struct tensor *t, int64_t first, int64_t rows, struct tensor *ret);

#endif
