/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the HTTP/2 transport: connections (http2.c) and their streams (http2_stream.c). */
#ifndef SERVING_HTTP2_INT_H
#define SERVING_HTTP2_INT_H

#include <nghttp2/nghttp2.h>
#include "base/buf.h"
#include "base/list.h"
#include "net/grpc.h"
#include "serving/rpc.h"
#include "serving/server.h"

#define H2_STREAMS_MAX 256
#define H2_CONNECTION_WINDOW (8 << 20)
#define H2_OUT_HIGH ((size_t)256 * 1024) /* queued bytes past which no more frames are made */
#define H2_PATH_MAX 256

struct http2 {
	struct server *server;
	struct list connections;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	uint8_t *in; /* one read buffer for all connections */
};

struct h2_connection {
	struct list node;
	struct http2 *http2;
	struct loop_source source;
	struct loop_timer idle; /* due when the oldest unfinished request is too old */
	nghttp2_session *session;
	struct list streams;  /* all */
	struct list incoming; /* whose request is not complete, oldest first */
	struct buf out;
	size_t sent; /* of out */
	bool updating, draining;
};

struct h2_stream {
	struct list node, incoming_node;
	struct h2_connection *connection; /* NULL once the stream is closed */
	int32_t id;
	int64_t started_ns;
	bool is_post, is_grpc, unknown_encoding, gzip;
	bool running;  /* a protocol has the call */
	bool answered; /* further request bytes are dropped */
	bool failed_header;
	char path[H2_PATH_MAX];
	struct grpc_reader reader;
	int64_t counted_bytes; /* of server->request_bytes */
	struct rpc_call call;
	struct server *server;
	struct buf reply;
	size_t reply_sent;
};

void h2_stream_callbacks(nghttp2_session_callbacks *callbacks);
/* The connection goes away. Frees the stream unless a protocol still has its call. */
void h2_stream_detach(struct h2_stream *s);
/* Sends what waits and watches for what is possible now; may free the connection. */
void h2_connection_update(struct h2_connection *c);
/* Sets the timer of the oldest unfinished request. */
void h2_connection_watch(struct h2_connection *c);

#endif
