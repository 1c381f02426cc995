/* SPDX-License-Identifier: Apache-2.0 */
/* One unary gRPC call as the HTTP/2 transport hands it to a protocol. */
#ifndef SERVING_RPC_H
#define SERVING_RPC_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "serving/server.h"
#include "serving/shared.h"

struct rpc_call {
	struct server *server;
	struct str message;    /* the request; view into 'memory' */
	struct shared *memory; /* counted; the call holds one reference until it is answered */
	int64_t deadline_ns;   /* of the monotonic clock; INT64_MAX = none */
};

/* Exactly one of the two ends the call, at once or later; 'c' is gone afterwards. When the client has left
 * meanwhile the answer is dropped. */
void rpc_reply(struct rpc_call *c,
	       struct buf *takes_message); /* the buffer begins with GRPC_PREFIX_BYTES of room */
void rpc_fail(struct rpc_call *c, const struct err *err);

struct rpc_method {
	const char *path; /* "/package.Service/Method" */
	void (*handle)(struct rpc_call *c);
	size_t (*payload_offset)(const void *head, size_t len); /* see grpc_reader; may be NULL */
};
extern const struct rpc_method tfs_rpc_methods[]; /* end with path NULL */

/* Starts a reply: room for the prefix that rpc_reply fills in. */
static inline void rpc_reply_begin(struct buf *b)
{
	buf_add(b, "\0\0\0\0\0", 5);
}

#endif
