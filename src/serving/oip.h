/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol, version 2 (KServe, Triton): its requests and replies in three texts.
 *
 *   oip_json_request.c   JSON, with or without binary tensors behind it  → struct oip_request
 *   oip_pb_request.c     inference.ModelInferRequest                     → struct oip_request
 *   oip_binary.c         elements as raw bytes, both directions
 *   oip_json_reply.c, oip_pb_reply.c                                     a finished prediction → reply
 *   oip_route.c          paths of the REST form
 *   oip_describe.c, oip_describe_pb.c   metadata, configuration, statistics, index
 *
 * protocol_oip_rest.c and protocol_oip_grpc.c join them with predict.h. */
#ifndef SERVING_OIP_H
#define SERVING_OIP_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "serving/predict.h"
#include "serving/rpc.h"
#include "serving/shared.h"
#include "serving/signature.h"
#include "serving/tensor.h"

#define OIP_TENSORS_MAX SIGNATURE_TENSORS_MAX /* inputs or outputs named in a request */
#define OIP_SERVER_NAME "cloudml-serving"
#define OIP_EXTENSIONS                                                                                       \
	{                                                                                                    \
		"binary_tensor_data", "model_configuration", "model_repository", "statistics"                \
	}

/* element type, its name, its number in inference.DataType of model configurations, field of
 * InferTensorContents (0: raw bytes only) */
#define OIP_DTYPE_TABLE(X)                                                                                   \
	X(DT_BOOL, "BOOL", 1, 1)                                                                             \
	X(DT_UINT8, "UINT8", 2, 4)                                                                           \
	X(DT_UINT16, "UINT16", 3, 4)                                                                         \
	X(DT_UINT32, "UINT32", 4, 4)                                                                         \
	X(DT_UINT64, "UINT64", 5, 5)                                                                         \
	X(DT_INT8, "INT8", 6, 2)                                                                             \
	X(DT_INT16, "INT16", 7, 2)                                                                           \
	X(DT_INT32, "INT32", 8, 2)                                                                           \
	X(DT_INT64, "INT64", 9, 3)                                                                           \
	X(DT_HALF, "FP16", 10, 0)                                                                            \
	X(DT_FLOAT, "FP32", 11, 6)                                                                           \
	X(DT_DOUBLE, "FP64", 12, 7)                                                                          \
	X(DT_STRING, "BYTES", 13, 8)                                                                         \
	X(DT_BFLOAT16, "BF16", 14, 0)

struct oip_dtype {
	enum dtype dtype;
	const char *name;
	int config_number;
	uint32_t contents_field;
};
const struct oip_dtype *oip_dtype_find(enum dtype dtype); /* NULL when the protocol has no word for it */
/* Finds the type by its name and sets the shape. ERR_INVALID, ERR_TOO_LARGE. */
int oip_tensor_shape(struct tensor *t, struct str datatype, int rank, const int64_t *dims, struct err *err);

/* A request in any form. Views into the request and memory of the arena. */
struct oip_request {
	struct str model_name, model_version; /* gRPC only */
	struct str id, signature;	      /* parameter "signature_name" */
	size_t input_count, output_count;
	struct named_tensor *inputs;
	struct str *outputs; /* names, as predict's filter */
	bool *output_binary; /* for each of them */
	bool binary_default; /* when none are named, and for those that do not say */
	bool raw;	     /* inputs came as raw bytes */
};

/* The elements of a tensor whose shape is set: a view where the bytes are aligned, else a copy in the arena.
 * Strings are a 4-byte length and bytes each. 'shared' is what the bytes lie in, may be NULL. ERR_INVALID. */
int oip_binary_read(struct str bytes, struct shared *shared, struct arena *arena, struct tensor *t,
		    struct err *err);
size_t oip_binary_size(const struct tensor *t);
void oip_binary_write(const struct tensor *t, struct buf *b);

/* Reads the JSON of an infer request; 'json' has a NUL behind its last byte, 'blobs' are the bytes of the
 * binary tensors. ERR_INVALID, ERR_TOO_LARGE, ERR_UNSUPPORTED. */
int oip_json_decode(struct str json, struct str blobs, struct arena *arena, struct oip_request *ret,
		    struct err *err);
/* The body of a REST request: 'header_length' is the value of Inference-Header-Content-Length, NULL when
 * absent. "0", the body is the one input of the signature, is the caller's to tell. */
int oip_body_decode(struct str body, const char *header_length, struct arena *arena, struct oip_request *ret,
		    struct err *err);
/* The body is the one input of the signature: its shape follows from the size. */
int oip_raw_decode(struct str body, const struct signature *s, struct arena *arena, struct oip_request *ret,
		   struct err *err);
/* Appends the reply and its binary tensors; *ret_json_len is the length of the JSON when there are any, else
 * 0. */
int oip_json_reply(const struct oip_request *request, const struct predict *p, struct buf *b,
		   size_t *ret_json_len, struct err *err);

/* Views into 'message', which lies in 'shared' (may be NULL). */
int oip_pb_decode(struct str message, struct shared *shared, struct arena *arena, struct oip_request *ret,
		  struct err *err);
/* For grpc_reader: where the first large raw tensor begins, 0 when that cannot be told. */
size_t oip_pb_payload(const void *head, size_t len);
/* Appends the fields of a ModelInferResponse: outputs raw when inputs were, else typed where possible. Large
 * ones go to *views (made when it is NULL; owned by the caller) instead of b, unless 'views' is NULL. */
int oip_pb_reply(const struct oip_request *request, struct predict *p, bool final_marker, struct buf *b,
		 struct rpc_views **views, struct err *err);
size_t oip_pb_reply_size(const struct oip_request *request, const struct predict *p);

#endif
