/* SPDX-License-Identifier: Apache-2.0 */
/* TensorProto (tensorflow/core/framework/tensor.proto) to and from nested JSON lists, for the predict client.
 */
#ifndef CLIENT_TENSOR_JSON_H
#define CLIENT_TENSOR_JSON_H

#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"

#define TENSOR_RANK_MAX 16
#define TENSOR_ELEMENTS_MAX (16 << 20)

/* Appends the fields of a TensorProto of the dtype ("DT_FLOAT", …) made of a value, a list, lists of lists …
 * All lists of one level must have one length: ERR_INVALID names the level. */
int tensor_json_encode(const json_t *value, const char *dtype, struct buf *ret, struct err *err);
/* The reverse, for a whole TensorProto. Strings that are not UTF-8 become {"b64": …}. Returns owned. */
int tensor_json_decode(struct str message, json_t **ret, struct err *err);

#endif
