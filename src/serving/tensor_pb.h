/* SPDX-License-Identifier: Apache-2.0 */
/* tensorflow.TensorProto to and from tensors. */
#ifndef SERVING_TENSOR_PB_H
#define SERVING_TENSOR_PB_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "serving/tensor.h"

/* Decodes a TensorProto. The elements are a view into 'bytes' when they are contiguous there and aligned to
 * their size; otherwise a copy in the arena. Rules as TensorFlow's own: tensor_content wins over typed fields
 * and must have the exact size; of typed values the last one repeats, none at all means zeros, surplus values
 * are ignored. Borrows 'bytes' until the tensor is no longer used; they lie in 'shared' (may be NULL).
 * ERR_INVALID, ERR_TOO_LARGE. */
int tensor_pb_decode(struct str bytes, struct shared *shared, struct arena *arena, struct tensor *ret,
		     struct err *err);

/* Appends the body of a TensorProto: typed fields, or tensor_content when as_content is true. */
void tensor_pb_encode(const struct tensor *t, bool as_content, struct buf *b);
/* The same up to the elements, which follow as they lie in memory (t->data, t->bytes): only when
 * tensor_pb_is_plain. */
void tensor_pb_encode_head(const struct tensor *t, bool as_content, struct buf *b);
bool tensor_pb_is_plain(const struct tensor *t, bool as_content);
/* What tensor_pb_encode will append; a guess for integers and strings that costs at most one move when wrong.
 */
size_t tensor_pb_size(const struct tensor *t);

#endif
