/* SPDX-License-Identifier: Apache-2.0 */
/* A small client for services of this platform: one call, one connection, whole bodies, everything limited.
 */
#ifndef NET_HTTP_CLIENT_H
#define NET_HTTP_CLIENT_H

#include "base/list.h"
#include "loop/loop.h"
#include "net/http_message.h"

struct http_call {
	const char *method;
	const char *address;	  /* "127.0.0.1:18500"; numeric */
	const char *path;	  /* clean, encoded */
	const char *content_type; /* NULL = none */
	const void *body;
	size_t body_len;
	size_t answer_max_bytes;
	int64_t timeout_ms; /* of the whole call */
	struct list *among; /* kept until it is done: of http_client_end; NULL = none */
};
/* Exactly once: response (its body may be stolen) or err->code != 0: ERR_UNAVAILABLE (nobody listens),
 * ERR_TIMEOUT, ERR_BACKEND, ERR_TOO_LARGE. Never from inside of the call. */
typedef void http_call_done_fn(void *arg, struct http_response *response, const struct err *err);
/* Borrows the call (copies what it needs). */
void http_client_call(struct loop *loop, const struct http_call *call, http_call_done_fn *done, void *arg);
/* The same on a connection that is there; call->address is its name in the headers and in messages. Takes fd,
 * which does not block. */
void http_client_call_on(struct loop *loop, int fd, const struct http_call *call, http_call_done_fn *done,
			 void *arg);
/* Ends the calls among these, from inside: ERR_UNAVAILABLE. For who frees what their 'done' uses, or the
 * loop. */
void http_client_end(struct list *calls);

#endif
