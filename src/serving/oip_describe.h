/* SPDX-License-Identifier: Apache-2.0 */
/* What the Open Inference Protocol tells about models: metadata, configuration, statistics and the index of
 * the repository, in JSON (oip_describe.c) and in Protocol Buffers (oip_describe_pb.c). */
#ifndef SERVING_OIP_DESCRIBE_H
#define SERVING_OIP_DESCRIBE_H

#include "base/buf.h"
#include "serving/model.h"
#include "serving/server.h"

/* The signature that is described: the default one, else the first; NULL when there is none. */
const struct signature *oip_described_signature(const struct model_version *v);
const char *oip_platform(const struct model_version *v); /* "tensorflow_savedmodel", "onnxruntime_onnx" */
const char *oip_backend(const struct model_version *v);
const char *oip_datatype(const struct signature_tensor *t); /* "FP32" */
int oip_config_datatype(const struct signature_tensor *t);  /* inference.DataType; 0 when it has no number */
/* The shape as it is told: unknown ranks are one unknown dimension. Returns the rank. */
int oip_shape(const struct signature_tensor *t, int64_t *ret_dims);

/* One row of the index of the repository: a version, or a model without any. */
struct oip_index_row {
	const char *model;
	const struct model_version *version; /* NULL: the model has none */
	const char *state, *reason;
};
/* *model and *version are positions, both start at 0. False at the end. */
bool oip_index_next(const struct registry *r, size_t *model, size_t *version, struct oip_index_row *ret);

/* JSON */
void oip_write_server(struct buf *b);
void oip_write_models(const struct registry *r, struct buf *b);
void oip_write_metadata(const struct model *m, const struct model_version *v, struct buf *b);
void oip_write_config(const struct model_version *v, struct buf *b);
void oip_write_index(const struct registry *r, bool only_ready, struct buf *b);
/* Of all models, or of 'only' (NULL = all) in all versions or one. */
void oip_write_stats(const struct registry *r, const struct model_spec *only, struct buf *b);
bool oip_stats_wanted(const struct oip_index_row *row, const struct model_spec *only);

/* Protocol Buffers: the fields of ServerMetadataResponse and so on. */
void oip_encode_server(struct buf *b);
void oip_encode_metadata(const struct model *m, const struct model_version *v, struct buf *b);
void oip_encode_config(const struct model_version *v, struct buf *b);
void oip_encode_index(const struct registry *r, bool only_ready, struct buf *b);
void oip_encode_stats(const struct registry *r, const struct model_spec *only, struct buf *b);

#endif
