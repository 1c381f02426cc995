/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up: requests that a model brings along and that run before it serves.
 *
 * <version>/assets.extra/tf_serving_warmup_requests is a TFRecord file of tensorflow.serving.PredictionLog.
 */
#ifndef SERVING_WARMUP_H
#define SERVING_WARMUP_H

#include "base/err.h"
#include "serving/runtime.h"
#include "serving/serving.h"

#define WARMUP_RECORDS_MAX 1000

/* Runs all records of the model at 'path'; without a file it does nothing. On a load thread. Errors name the
 * record. */
int warmup_run(struct runtime_model *m, const char *path, const struct serving_options *o, struct err *err);
/* The same for the bytes of such a file: *ret_count is how many records were begun, memory_max what one of
 * them may take. */
int warmup_run_records(struct runtime_model *m, struct str file, size_t memory_max, int *ret_count,
		       struct err *err);

#endif
