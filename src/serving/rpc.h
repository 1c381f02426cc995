/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC calls as the HTTP/2 transport hands them to a protocol: unary ones (rpc_call), and those with any
 * number of messages in both directions (rpc_stream). */
#ifndef SERVING_RPC_H
#define SERVING_RPC_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "serving/server.h"
#include "serving/shared.h"
#include "serving/tensor.h"

struct rpc_call {
	struct server *server;
	struct str message;    /* the request; view into 'memory' */
	struct shared *memory; /* counted; the call holds one reference until it is answered */
	int64_t deadline_ns;   /* of the monotonic clock; INT64_MAX = none */
	/* Both the handler's. 'cancel' may be NULL; it is called when the client leaves before the answer,
	 * and may end the call. */
	void (*cancel)(struct rpc_call *c);
	void *user;
};

/* Exactly one of the two ends the call, at once or later; 'c' is gone afterwards. When the client has left
 * meanwhile the answer is dropped. */
void rpc_reply(struct rpc_call *c,
	       struct buf *takes_message); /* the buffer begins with GRPC_PREFIX_BYTES of room */
void rpc_fail(struct rpc_call *c, const struct err *err);

/* Tensors of an answer that are sent from where they lie. */
struct rpc_view {
	size_t at; /* how many bytes of the message's buffer go before it */
	const void *data;
	size_t len;
	struct tensor tensor; /* released when it is sent, or will never be */
};
struct rpc_views {
	struct shared shared;
	size_t count;
	struct rpc_view items[];
};
struct rpc_views *rpc_views_new(size_t max); /* empty; one reference is the caller's */
#define RPC_VIEW_MIN 4096 /* smaller tensors are copied faster than they are kept track of */
/* The tensor's elements follow what b holds now; the tensor is taken. */
void rpc_views_add(struct rpc_views *views, const struct buf *b, struct tensor *takes_tensor);
/* rpc_reply with views between the bytes of the buffer, in their order; NULL = none. Takes the reference. */
void rpc_reply_views(struct rpc_call *c, struct buf *takes_message, struct rpc_views *takes_views);

/* A call of many messages. The transport reads on only while the client takes what was sent, so a handler
 * may answer each message at once, however many come. Ends by rpc_stream_end or when the client leaves; the
 * last thing that happens is ops->gone. */
struct rpc_stream {
	struct server *server;
	const struct rpc_stream_ops *ops;
	void *user; /* the handler's own, NULL at first */
};
struct rpc_stream_ops {
	/* Required. One message; 'memory' holds its bytes (shared_ref to keep them). Not called any more
	 * after rpc_stream_end. */
	void (*message)(struct rpc_stream *s, struct str message, struct shared *memory);
	/* Required. The client sends nothing more. */
	void (*half_close)(struct rpc_stream *s);
	/* Optional. The server shuts down; without it the stream is ended as UNAVAILABLE. */
	void (*drain)(struct rpc_stream *s);
	/* Optional. The stream does not exist any more: release 'user'. */
	void (*gone)(struct rpc_stream *s);
};
/* The buffer begins as rpc_reply_begin makes it. Ignored after rpc_stream_end. */
void rpc_stream_send(struct rpc_stream *s, struct buf *takes_message);
/* What was sent before goes out first. err NULL = OK. */
void rpc_stream_end(struct rpc_stream *s, const struct err *err);

/* While held, no further message is handed over (but for the one that is being handed over now): for handlers
 * that answer later. */
void rpc_stream_hold(struct rpc_stream *s, bool hold);

/* Exactly one of 'handle' and 'stream' is set. */
struct rpc_method {
	const char *path; /* "/package.Service/Method" */
	void (*handle)(struct rpc_call *c);
	size_t (*payload_offset)(const void *head, size_t len); /* see grpc_reader; may be NULL */
	const struct rpc_stream_ops *stream;
};
/* Each table ends with path NULL; a new one is named in rpc_methods.c. */
extern const struct rpc_method tfs_rpc_methods[], tfs_inference_rpc_methods[], health_rpc_methods[],
    reflection_rpc_methods[], oip_rpc_methods[];
const struct rpc_method *rpc_method_find(const char *path); /* NULL when absent */
/* The tables one after the other, for reflection; *pos starts at 0; NULL at the end. */
const struct rpc_method *rpc_method_next(size_t *pos);
void tfs_handle_reload(struct rpc_call *c);

/* Starts a reply: room for the prefix that rpc_reply fills in. */
static inline void rpc_reply_begin(struct buf *b)
{
	buf_add(b, "\0\0\0\0\0", 5);
}

#endif
