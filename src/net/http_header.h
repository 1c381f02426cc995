/* SPDX-License-Identifier: Apache-2.0 */
/* Values of request headers: ranges, cookies, entity tags, hosts. Pure. */
#ifndef NET_HTTP_HEADER_H
#define NET_HTTP_HEADER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_range {
	HTTP_RANGE_WHOLE, /* absent, malformed or several: answer 200 with everything (RFC 9110, 14.2) */
	HTTP_RANGE_PART,  /* 206; *ret_first and *ret_length are set */
	HTTP_RANGE_UNSATISFIED, /* 416 */
};
/* 'value' of "Range:", NULL when absent; 'size' of the whole content. */
enum http_range http_range_parse(const char *value, int64_t size, int64_t *ret_first, int64_t *ret_length);

/* Value of a cookie in "Cookie:"; false when absent or longer than cap - 1. The first of a name counts. */
bool http_cookie_get(const char *header, const char *name, char *ret, size_t cap);

/* Does "If-None-Match:" ('*' or a list of entity tags, weak or strong) name this one? 'etag' is without
 * quotes. */
bool http_etag_matches(const char *header, const char *etag);

/* May a request with this Host be answered? Names of this machine only, so that a page of a stranger's domain
 * that resolves to us (DNS rebinding) gets nothing: any IP literal, "localhost", and the given names
 * (NULL-terminated, may be NULL); with or without a port. NULL is refused. */
bool http_host_is_allowed(const char *host, const char *const *names);

/* Is this "Origin:" ("http://HOST" or "https://HOST") the given Host? */
bool http_origin_is_host(const char *origin, const char *host);

#endif
