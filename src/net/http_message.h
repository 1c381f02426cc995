/* SPDX-License-Identifier: Apache-2.0 */
/* Reading an HTTP/1.1 response as its bytes arrive. Pure. */
#ifndef NET_HTTP_MESSAGE_H
#define NET_HTTP_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

#define HTTP_RESPONSE_HEAD_MAX 32768

struct http_response {
	int status;
	char content_type[128]; /* "" when absent */
	struct buf body;
};

enum http_response_part { RESPONSE_HEAD, RESPONSE_SIZED, RESPONSE_CHUNKED, RESPONSE_TO_END, RESPONSE_WHOLE };
struct http_response_reader {
	enum http_response_part part;
	size_t body_max_bytes;
	int64_t left;	    /* of the body or of the present chunk */
	bool chunk_data;    /* inside of a chunk, not at its size line */
	bool trailers;	    /* behind the last chunk */
	struct buf waiting; /* not yet understood */
	struct http_response response;
};
void http_response_reader_init(struct http_response_reader *r, size_t body_max_bytes);
void http_response_reader_done(struct http_response_reader *r);
/* Feeds bytes; part is RESPONSE_WHOLE when all is there. ERR_BACKEND: not HTTP; ERR_TOO_LARGE. */
int http_response_reader_feed(struct http_response_reader *r, const char *data, size_t len, struct err *err);
/* The connection has ended. ERR_BACKEND when that was too early. */
int http_response_reader_end(struct http_response_reader *r, struct err *err);

#endif
