/* SPDX-License-Identifier: Apache-2.0 */
/* cloudml-serving: the model server, one process per replica of a model service.
 *
 * The life of a prediction, in reading order:
 *   listener.c, listener_sniff.c   the first bytes of a connection choose TLS, HTTP/2 or HTTP/1
 *   tls.c, tls_keys.c   TLS in front of both
 *   http2.c, http1.c  the two transports; rpc.h and http.h are what they hand to protocols
 *   http2_flow.c      gRPC calls of many messages, at the pace at which answers are taken
 *   rpc_methods.c, http_handle.c   which protocol a call is for
 *   protocol_*.c      tables of methods and routes: TensorFlow Serving's gRPC and REST
 *   inference.c       classify and regress as predictions on serialized examples
 *   health.c, reflection.c, metrics.c, page.c   what tools and people ask the server about itself
 *   model_config.c, model_reload.c, model_life.c   which models, and how versions come and go
 *   server_hold.c     calls that wait for a model
 *   predict.c         name → version → signature, checks, inline or on a worker
 *   runtime_*.c       the libraries that compute, opened at run time
 *   payload.c, out_queue.c    how a large tensor is copied once on its way in and not on its way out;
 * copies.h counts Below: tensor.h (views of elements), tensor_pb.h and json_tensor.h (their two texts),
 * model.h (registry), server_loop.h (epoll, timers, workers).
 *
 * Invariants: all state belongs to the loop's thread, workers see one request each. A request's memory is one
 * arena plus the message it came in. Whatever a stranger sizes has a limit here or beside its parser. The
 * process opens no connection, writes no file, and must never link OpenSSL, libcurl or protobuf: TensorFlow
 * exports their symbols. */
#ifndef SERVING_SERVING_H
#define SERVING_SERVING_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"

struct serving_options {
	const char *address;	 /* numeric IPv4 or IPv6 */
	int port;		 /* 0: any free one; ignored when listen_fd >= 0 */
	int rest_port;		 /* a second port that speaks the same protocols; 0 = none */
	const char *socket_path; /* Unix socket beside the ports; NULL = none */
	int socket_mode;	 /* permissions of its file; -1: as the process makes files */
	int listen_fd;		 /* inherited listening socket, -1 = none; taken */
	/* TLS on all of these: an SSLConfig in text, or files in PEM; NULL = none. See tls_files.h. */
	const char *ssl_config_file, *tls_cert, *tls_key, *tls_client_ca;
	bool plain_rest; /* rest_port goes without it */
	/* An inherited listening socket of this process alone, -1 = none; taken. Everything is answered on it
	 * from the start on; then the others accept only from when the models are loaded, so that processes
	 * may share one socket. */
	int control_fd;
	int ready_fd; /* gets one line of JSON when the models are loaded or one failed, -1 = none; taken */

	/* Which models: one by name and folder, or those of a file. */
	const char *model_name, *model_base_path;
	int64_t model_version;	       /* -1: the newest folder, followed; else this one only */
	const char *model_config_file; /* ModelServerConfig in text; NULL = none */
	int model_config_poll_s;       /* seconds between looks at that file; 0 = read once */
	int folder_poll_s;	       /* seconds between looks at the models' folders; 0 = once */
	int load_retries;	       /* -1: 5, and none for what is loaded at the start */
	int64_t load_retry_us;
	int load_threads;
	bool labels_before_versions; /* a new label may name a version that is not available */
	bool lazy_load;		     /* load a version when the first request asks for it */
	int64_t model_memory_bytes;  /* of all loaded models, by the size of their files; 0 = no limit */
	bool warm_up;		     /* run the records a model brings before it serves */

	const char *runtime_path; /* Python environment with tensorflow or onnxruntime; may be NULL */
	bool onnx_cuda;		  /* ONNX models run on a CUDA device */
	int onnx_cuda_device;
	bool cors;			    /* REST answers pages of other sites */
	const char *monitoring_config_file; /* MonitoringConfig in text; NULL = the usual path */
	int threads;			    /* for one run of a model */
	bool batching;			    /* requests that wait at the same time run as one */
	const char *batching_file;	    /* BatchingParameters in text; NULL = the usual values */
	int inter_threads;		    /* operations of one run at the same time, TensorFlow only */
	int python_processes;		    /* of one model that Python computes; 0 = default */
	int64_t python_ring_bytes;	    /* for inputs and outputs of one of its runs; 0 = default */
	int64_t python_timeout_ms;	    /* of one of its runs; 0 = default */
	int workers;			    /* models that run at the same time beside the loop */
	bool health_service;		    /* grpc.health.v1 is answered */
	bool tensor_content;		    /* outputs as tensor_content instead of typed fields */
	int64_t rest_timeout_ms;	    /* of one REST prediction */
	int64_t message_bytes_max;	    /* of one gRPC message, compressed or not */
	int64_t json_bytes_max;		    /* of one REST body */
	int64_t request_bytes_max;	    /* of all requests in flight together */
	int connections_max;
	int64_t header_timeout_ms; /* from the first byte to the end of the headers; absolute */
	int64_t body_timeout_ms;   /* from the end of the headers to the end of the body; absolute */
	int64_t drain_ms;	   /* after SIGTERM, for requests in flight */
	int64_t drain_idle_ms;	   /* of that, for clients to leave connections that are idle */
};

void serving_options_init(struct serving_options *o);
/* Serves until SIGTERM or SIGINT; 0 after a drained end. Borrows options. Blocks those signals in the
 * process. */
int serving_run(const struct serving_options *o, struct err *err);

#endif
