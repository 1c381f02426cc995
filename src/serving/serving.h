/* SPDX-License-Identifier: Apache-2.0 */
/* cloudml-serving: the model server, one process per replica of a model service.
 *
 * The life of a prediction, in reading order:
 *   server.c          listening socket; the first bytes of a connection choose HTTP/2 or HTTP/1
 *   http2.c, http1.c  the two transports; rpc.h and http.h are what they hand to protocols
 *   protocol_*.c      tables of methods and routes: TensorFlow Serving's gRPC and REST
 *   predict.c         name → version → signature, checks, inline or on a worker
 *   runtime_*.c       the libraries that compute, opened at run time
 * Below: tensor.h (views of elements), tensor_pb.h and json_tensor.h (their two texts), model.h (registry),
 * server_loop.h (epoll, timers, workers).
 *
 * Invariants: all state belongs to the loop's thread, workers see one request each. A request's memory is one
 * arena plus the message it came in. Whatever a stranger sizes has a limit here or beside its parser. The
 * process opens no connection, writes no file, and must never link OpenSSL, libcurl or protobuf: TensorFlow
 * exports their symbols. */
#ifndef SERVING_SERVING_H
#define SERVING_SERVING_H

#include <stdint.h>
#include "base/err.h"

struct serving_options {
	const char *address; /* numeric IPv4 or IPv6 */
	int port;	     /* 0: any free one; ignored when listen_fd >= 0 */
	int listen_fd;	     /* inherited listening socket, -1 = none; taken */
	int ready_fd;	     /* gets one line of JSON when the model is loaded or failed, -1 = none; taken */
	const char *model_name, *model_base_path;
	int64_t model_version;	   /* -1: the highest folder, or 1 */
	const char *runtime_path;  /* Python environment with tensorflow or onnxruntime; may be NULL */
	int threads;		   /* for one run of a model */
	int workers;		   /* models that run at the same time beside the loop */
	int64_t message_bytes_max; /* of one gRPC message, compressed or not */
	int64_t json_bytes_max;	   /* of one REST body */
	int64_t request_bytes_max; /* of all requests in flight together */
	int connections_max;
	int64_t header_timeout_ms; /* from the first byte to the end of the headers; absolute */
	int64_t body_timeout_ms;   /* from the end of the headers to the end of the body; absolute */
	int64_t drain_ms;	   /* after SIGTERM, for requests in flight */
};

void serving_options_init(struct serving_options *o);
/* Serves until SIGTERM or SIGINT; 0 after a drained end. Borrows options. Blocks those signals in the
 * process. */
int serving_run(const struct serving_options *o, struct err *err);

#endif
