/* SPDX-License-Identifier: Apache-2.0 */
/* tensorflow.serving.PredictRequest and PredictResponse to and from a prediction. */
#ifndef SERVING_PREDICT_PB_H
#define SERVING_PREDICT_PB_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "serving/model.h"
#include "serving/shared.h"
#include "serving/tensor.h"

#define PREDICT_INPUTS_MAX SIGNATURE_TENSORS_MAX
#define PREDICT_FILTER_MAX SIGNATURE_TENSORS_MAX

struct predict_request {
	struct model_spec spec;
	size_t input_count, filter_count;
	struct named_tensor *inputs; /* in the arena */
	struct str *filter;
};

/* Views into 'message' (which lies in 'shared', NULL when it is not counted) and memory of the arena. */
int predict_pb_decode(struct str message, struct shared *shared, struct arena *arena,
		      struct predict_request *ret, struct err *err);
/* For grpc_reader: where the elements of the first big tensor begin in a request whose first 'len' bytes are
 * 'head'; 0 when that cannot be told. */
size_t predict_pb_payload(const void *head, size_t len);
int model_spec_decode(struct str bytes, struct model_spec *ret, struct err *err);
/* Appends field 'field': a ModelSpec with the resolved version and signature. */
void model_spec_encode(struct buf *b, uint32_t field, const struct model_version *v, const char *signature);

#endif
