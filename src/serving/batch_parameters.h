/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of dynamic batching from a file of BatchingParameters (tensorflow_serving's
 * session_bundle_config.proto) in text. */
#ifndef SERVING_BATCH_PARAMETERS_H
#define SERVING_BATCH_PARAMETERS_H

#include "base/buf.h"
#include "serving/batch_queue.h"

#define BATCH_PARAMETERS_BYTES_MAX 65536

/* 'path' NULL or "": the original's usual values. 'threads' is what num_batch_threads is when it is not said.
 * ERR_INVALID names file, line and field. */
int batch_parameters_read(const char *path, int threads, struct batch_rules *ret, struct err *err);
int batch_parameters_parse(struct str text, int threads, struct batch_rules *ret, struct err *err);

#endif
