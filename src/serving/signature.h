/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures: the named entry points of a model with their inputs and outputs. */
#ifndef SERVING_SIGNATURE_H
#define SERVING_SIGNATURE_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "serving/tensor.h"

#define SIGNATURE_DEFAULT "serving_default"
#define SIGNATURE_MAX 256	  /* signatures of one model */
#define SIGNATURE_TENSORS_MAX 256 /* inputs or outputs of one signature */
#define SIGNATURE_METHOD_PREDICT "tensorflow/serving/predict"

struct signature_tensor {
	const char *alias;	 /* what clients say */
	const char *tensor_name; /* what the graph says: "op:0" */
	enum dtype dtype;	 /* DT_INVALID: a type we do not know (resources, variants) */
	int dtype_number;	 /* as the model says it */
	bool unknown_rank;
	int rank;
	int64_t dims[TENSOR_RANK_MAX]; /* -1 = unknown */
};

/* Inputs and outputs are in the order of their aliases (TensorFlow) or in the model's own (ONNX). */
struct signature {
	const char *name;
	const char *method_name;
	size_t input_count, output_count;
	struct signature_tensor *inputs, *outputs;
	void *runtime; /* the runtime's, set after decoding; NULL when the runtime cannot run it */
	struct str
	    description; /* the SignatureDef as the model holds it, in the arena; empty when there is none */
};
struct signature_set {
	size_t count;
	struct signature *items; /* sorted by name when they come from a map */
};

/* Reads signature_def of a serialized MetaGraphDef (field 5) into the arena; skips everything else. */
int signature_decode(const void *meta_graph, size_t len, struct arena *arena, struct signature_set *ret,
		     struct err *err);
/* Appends the body of a tensorflow.SignatureDef message: the model's own, whole, when there is one. */
void signature_encode(const struct signature *s, struct buf *b);

/* NULL when absent; "" means SIGNATURE_DEFAULT. */
const struct signature *signature_find(const struct signature_set *set, struct str name);
int signature_input_index(const struct signature *s, struct str alias);	 /* -1 when absent */
int signature_output_index(const struct signature *s, struct str alias); /* -1 when absent */
/* Type and shape of what was sent against what the signature wants: ERR_INVALID. */
int signature_check_input(const struct signature_tensor *want, const struct tensor *sent, struct err *err);

#endif
