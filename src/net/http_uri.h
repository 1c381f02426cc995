/* SPDX-License-Identifier: Apache-2.0 */
/* The target of a request: path and query, percent-decoded once and refused when not clean. */
#ifndef NET_HTTP_URI_H
#define NET_HTTP_URI_H

#include <stdbool.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"

#define HTTP_URI_BYTES_MAX 8192
#define HTTP_SEGMENTS_MAX 64
#define HTTP_QUERY_MAX 32

struct http_query_item {
	const char *name, *value;
};
struct http_uri {
	const char *segments[HTTP_SEGMENTS_MAX]; /* decoded; no '/', "." or ".." can be in them */
	size_t segment_count;			 /* 0 for "/" */
	bool trailing_slash;			 /* "/a/"; also for "/" */
	struct http_query_item query[HTTP_QUERY_MAX];
	size_t query_count;
};

/* Parses the origin form "/a/b%20c?x=1" as it stood in the request line. Strings live in the arena.
 * ERR_INVALID: not origin form, bad or double percent-encoding, empty segment, "." or "..", '/', backslash or
 * a control character inside of a segment, not UTF-8, a query name given twice; too many parts;
 * ERR_TOO_LARGE. */
int http_uri_parse(const char *raw, struct arena *arena, struct http_uri *ret, struct err *err);
/* Value of a query parameter; NULL when absent. */
const char *http_uri_query(const struct http_uri *u, const char *name);

#endif
