/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/1 request as the transport hands it to a protocol, body and all. */
#ifndef SERVING_HTTP_H
#define SERVING_HTTP_H

#include <stdbool.h>
#include "base/buf.h"
#include "base/err.h"
#include "serving/server.h"
#include "serving/shared.h"

#define HTTP_JSON "application/json"

struct http_call {
	struct server *server;
	const char *method, *path; /* the path is still percent-encoded, without the query */
	struct str body;    /* decompressed; ends with a NUL that is not counted; view until the answer */
	int64_t arrived_ns; /* of the monotonic clock: the request was complete */
	/* Both the handler's. 'cancel' may be NULL; it is called when the client leaves before the answer,
	 * and may end the call. */
	void (*cancel)(struct http_call *c);
	void *user;
};

/* NULL when the request has none of that name (without regard to case); view until the answer. */
const char *http_header(struct http_call *c, const char *name);
/* Of the answer, before http_reply; the name is static, the value is copied. At most HTTP_HEADERS_MAX. */
#define HTTP_HEADERS_MAX 8
void http_add_header(struct http_call *c, const char *name, const char *value);

/* Ends the call, at once or later; 'c' is gone afterwards. Takes the body. */
void http_reply(struct http_call *c, int status, const char *content_type, struct buf *takes_body);

/* The one entry of everything that comes by HTTP/1, and the protocols that it chooses from by path. Each
 * calls http_reply exactly once, at once or later. */
void http_handle(struct http_call *c);
/* Request-Timeout: seconds, with a fraction when need be. *ms stays as it is when the header is absent. */
int http_timeout(struct http_call *c, int64_t *ms, struct err *err);
int64_t
http_deadline(struct http_call *c);	   /* of the monotonic clock, by that header and --rest_api_timeout */
size_t http_body_max(struct http_call *c); /* bytes of the body that is to come */
void tfs_rest_handle(struct http_call *c);
void oip_rest_handle(struct http_call *c);
void metrics_handle(struct http_call *c);
void page_handle(struct http_call *c); /* "/" and below "/page/" */
/* Our own paths below /cloudml/v1/. False when the path is none of them, and nothing was done. */
bool admin_rest_handle(struct http_call *c);

#endif
