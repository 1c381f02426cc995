/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the HTTP/2 transport: connections (http2.c), their streams (http2_stream.c), and streams of many
 * messages (http2_flow.c). */
#ifndef SERVING_HTTP2_INT_H
#define SERVING_HTTP2_INT_H

#include <nghttp2/nghttp2.h>
#include "base/buf.h"
#include "base/list.h"
#include "net/grpc.h"
#include "serving/out_queue.h"
#include "serving/rpc.h"
#include "serving/server.h"

#define H2_STREAMS_MAX 256
#define H2_CONNECTION_WINDOW (8 << 20)
#define H2_OUT_HIGH ((size_t)256 * 1024) /* queued bytes past which no more frames are made */
#define H2_PATH_MAX 256
#define H2_HEADER_BYTES_MAX ((size_t)16 * 1024) /* of a request, as RFC 9113 (6.5.2) counts them */
#define H2_RESET_BURST 200
#define H2_RESETS_PER_SECOND 50

struct http2 {
	struct server *server;
	struct list connections;
	struct list answered; /* connections with answers to send when the loop's turn ends */
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	uint8_t *in; /* one read buffer for all connections */
};

struct h2_connection {
	struct list node, answered_node;
	struct http2 *http2;
	struct loop_source source;
	struct loop_timer idle; /* due when the oldest unfinished request or answer is too old */
	nghttp2_session *session;
	struct list streams;  /* all */
	struct list incoming; /* whose request is not complete, oldest first */
	struct list outgoing; /* with an answer, the one whose client has taken nothing for longest first */
	int64_t resets,
	    resets_ns; /* that the client's mistakes made us send, forgotten with time; when counted */
	struct out_queue out;
	bool updating, draining;
};

/* The bytes of a message, alive as long as somebody counts on them. */
struct h2_message {
	struct shared shared;
	struct grpc_reader reader;
	char *inflated; /* owned; NULL when the message came as it is */
};

struct h2_stream {
	struct list node, incoming_node, outgoing_node;
	struct h2_connection *connection; /* NULL once the stream is closed */
	int32_t id;
	int64_t started_ns;
	int64_t taken_ns; /* when the client last took some of the answer */
	size_t header_bytes;
	bool is_post, is_head, is_grpc, unknown_encoding, gzip;
	bool running;  /* a protocol has the call */
	bool answered; /* further request bytes are dropped */
	bool failed_header;
	char path[H2_PATH_MAX];
	const struct rpc_method *method; /* NULL when unknown, or headers are not complete */
	struct grpc_reader reader;
	int64_t counted_bytes; /* of server->request_bytes */
	struct rpc_call call;
	struct held_call held;
	struct server *server;
	struct buf reply;
	struct rpc_views *views; /* what goes between the bytes of 'reply'; may be NULL */
	size_t view;		 /* the first that has not gone out, and how much of it has */
	size_t view_sent, reply_sent;

	/* Of a call of many messages; 'begun' says that it is one. */
	bool begun, ended, half_closed, responded, deferred, pumping, on_hold;
	bool end_received; /* the client has closed its side */
	struct rpc_stream flow;
	struct buf in; /* bytes that have come; those from in_used on were not looked at yet */
	size_t in_used;
	struct err end;
};

void h2_stream_callbacks(nghttp2_session_callbacks *callbacks);
/* Makes what s->reader has read a message of its own, decompressed when need be. *ret holds one reference.
 * ERR_TOO_LARGE, ERR_INVALID, ERR_INTERNAL; the reader is empty again in any case. */
int h2_message_take(struct h2_stream *s, struct h2_message **ret, struct str *ret_bytes, struct err *err);
void h2_stream_count(struct h2_stream *s, int64_t bytes); /* of server->request_bytes */
void h2_stream_taken(struct h2_stream *s); /* the client took some of the answer, or there is a new one */
/* An answer without a message: headers and trailers in one. err->code may be 0. */
void h2_stream_fail(struct h2_stream *s, const struct err *err);

/* Calls of many messages. */
void h2_flow_begin(struct h2_stream *s); /* headers are there, s->method is set */
void h2_flow_data(struct h2_stream *s, const void *data, size_t len);
void h2_flow_end_received(struct h2_stream *s);
void h2_flow_sent(struct h2_stream *s); /* some of s->reply has gone out */
void h2_flow_drain(struct h2_stream *s);

/* The connection goes away. Frees the stream unless a protocol still has its call. */
void h2_stream_detach(struct h2_stream *s);
/* Sends what waits and watches for what is possible now; may free the connection. */
void h2_connection_update(struct h2_connection *c);
void h2_connection_update_soon(struct h2_connection *c); /* at the end of the loop's turn; frees nothing */
/* Sets the timer of the oldest unfinished request. */
void h2_connection_watch(struct h2_connection *c);

#endif
