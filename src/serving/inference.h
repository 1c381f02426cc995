/* SPDX-License-Identifier: Apache-2.0 */
/* Classification and regression: predictions whose one input is a list of serialized examples and whose
 * outputs have fixed names. The rules are those of signatures with the method names below. */
#ifndef SERVING_INFERENCE_H
#define SERVING_INFERENCE_H

#include "base/buf.h"
#include "base/err.h"
#include "serving/example.h"
#include "serving/predict.h"

enum inference_kind { INFERENCE_CLASSIFY, INFERENCE_REGRESS };

#define INFERENCE_METHOD_CLASSIFY "tensorflow/serving/classify"
#define INFERENCE_METHOD_REGRESS "tensorflow/serving/regress"

/* Results of one prediction; views of its outputs. */
struct inference_result {
	enum inference_kind kind;
	size_t examples, classes; /* a regression has one value an example */
	const struct str *labels; /* NULL when the signature gives none */
	const float *scores;	  /* of a regression: its values; NULL when there are none */
};

/* Makes the examples the input of a resolved prediction. ERR_INVALID or ERR_STATE when its signature is of
 * another method or has other tensors. Keeps the examples until the prediction is freed. */
int inference_prepare(struct predict *p, enum inference_kind kind, const struct example_list *examples,
		      struct err *err);
/* Reads the outputs of a prediction that has succeeded: ERR_INVALID when type or shape are not right. */
int inference_read(const struct predict *p, enum inference_kind kind, struct inference_result *ret,
		   struct err *err);

/* Appends the body of a ClassificationResult or RegressionResult. */
void inference_encode(const struct inference_result *result, struct buf *b);
/* Appends {"results": …}: lists of [label, score], or values. */
void inference_write_json(const struct inference_result *result, struct buf *b);

#endif
