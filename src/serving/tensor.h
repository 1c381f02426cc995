/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors as the model server hands them around: an element type, a shape, and a view of contiguous elements.
 *
 * Elements lie in C order and in the machine's byte order (little-endian; checked at build time), which is
 * also the order on the wire: a tensor decoded from a request is a view into the request's bytes whenever
 * they are contiguous and aligned, and a tensor that a runtime returns is a view into the runtime's memory
 * until tensor_done. Invariants: count is the product of dims, bytes = count * element size (strings: 0),
 * both within the limits below. */
#ifndef SERVING_TENSOR_H
#define SERVING_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "serving/dtype.h"
#include "serving/shared.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are sent as they lie in memory");

#define TENSOR_RANK_MAX 32
#define TENSOR_BYTES_MAX ((size_t)2 << 30) /* of one tensor; strings count 16 bytes an element */
#define TENSOR_COUNT_MAX ((size_t)1 << 31)

struct tensor {
	enum dtype dtype;
	int rank;
	int64_t dims[TENSOR_RANK_MAX];
	size_t count, bytes;
	union {
		const void *data;	   /* numbers */
		const struct str *strings; /* DT_STRING: count views */
	};
	struct shared *shared; /* borrowed: what 'data' lies in, when that memory is counted; else NULL */
	void *owner;	       /* released by tensor_done; NULL when somebody else's memory is viewed */
	void (*release)(void *owner);
};

struct named_tensor {
	struct str name;
	struct tensor tensor;
};

/* Sets element type and shape, and count and bytes from them. ERR_INVALID on a negative dimension, a rank
 * above TENSOR_RANK_MAX or an unknown type; ERR_TOO_LARGE past the limits. Does not touch the elements. */
int tensor_set_shape(struct tensor *t, enum dtype dtype, int rank, const int64_t *dims, struct err *err);
/* Memory for the elements from the arena, not zeroed. Call after tensor_set_shape; what is returned is
 * t->data without const. NULL with err set (ERR_TOO_LARGE) past the arena's limit. */
void *tensor_alloc(struct tensor *t, struct arena *arena, struct err *err);
void tensor_done(struct tensor *t);

/* "[2,3]" */
void tensor_format_shape(int rank, const int64_t *dims, char *ret, size_t cap);

#endif
