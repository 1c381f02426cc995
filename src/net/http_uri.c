/* SPDX-License-Identifier: Apache-2.0 */
/* Request target: split first, decode each part once, refuse what is not clean. */
#include "net/http_uri.h"

#include <stdbool.h>
#include <string.h>
#include <jansson.h>

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Writes at most len + 1 bytes. Returns the length, -1 for a bad escape. */
static int percent_decode(const char *text, size_t len, bool plus_is_space, char *ret)
{
	size_t out = 0;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];
		if (c == '%') {
			if (i + 2 >= len)
				return -1;
			int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
			if (high < 0 || low < 0)
				return -1;
			c = (char)(high * 16 + low);
			i += 2;
		} else if (c == '+' && plus_is_space) {
			c = ' ';
		}
		ret[out++] = c;
	}
	ret[out] = 0;
	return (int)out;
}

/* Jansson checks UTF-8 when it makes a string; its answers could not carry other bytes anyway. */
static bool is_utf8(const char *s, size_t len)
{
	json_t *j = json_stringn(s, len);
	json_decref(j);
	return j != NULL;
}

static bool has_percent_escape(const char *s)
{
	for (; *s; s++)
		if (s[0] == '%' && hex_value(s[1]) >= 0 && hex_value(s[2]) >= 0)
			return true;
	return false;
}

static int segment_check(const char *s, size_t len, struct err *err)
{
	if (len == 0)
		return err_set(err, ERR_INVALID, "the path has an empty segment");
	if (!strcmp(s, ".") || !strcmp(s, ".."))
		return err_set(err, ERR_INVALID, "the path has a segment '%s'", s);
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f || s[i] == '/' || s[i] == '\\')
			return err_set(
			    err, ERR_INVALID,
			    "the path has a slash, backslash or control character inside of a segment");
	if (has_percent_escape(s))
		return err_set(err, ERR_INVALID, "the path is percent-encoded twice");
	if (!is_utf8(s, len))
		return err_set(err, ERR_INVALID, "the path is not UTF-8");
	return 0;
}

static int parse_segment(const char *text, size_t len, struct arena *arena, struct http_uri *ret,
			 struct err *err)
{
	if (ret->segment_count == HTTP_SEGMENTS_MAX)
		return err_set(err, ERR_TOO_LARGE, "the path has more than %d segments", HTTP_SEGMENTS_MAX);
	char *decoded = arena_try_alloc(arena, len + 1, 1);
	if (!decoded)
		return err_set(err, ERR_TOO_LARGE, "the path is too long");
	int n = percent_decode(text, len, false, decoded);
	if (n < 0)
		return err_set(err, ERR_INVALID, "the path has a broken percent-encoding");
	int r = segment_check(decoded, (size_t)n, err);
	if (r < 0)
		return r;
	ret->segments[ret->segment_count++] = decoded;
	return 0;
}

static int parse_path(const char *text, size_t len, struct arena *arena, struct http_uri *ret,
		      struct err *err)
{
	if (len == 0 || text[0] != '/')
		return err_set(err, ERR_INVALID, "the request target must start with '/'");
	size_t at = 1;
	while (at < len) {
		const char *slash = memchr(text + at, '/', len - at);
		size_t end = slash ? (size_t)(slash - text) : len;
		int r = parse_segment(text + at, end - at, arena, ret, err);
		if (r < 0)
			return r;
		at = end + 1;
	}
	ret->trailing_slash = text[len - 1] == '/';
	return 0;
}

static int decode_query_part(const char *text, size_t len, struct arena *arena, const char **ret,
			     struct err *err)
{
	char *decoded = arena_try_alloc(arena, len + 1, 1);
	if (!decoded)
		return err_set(err, ERR_TOO_LARGE, "the query is too long");
	int n = percent_decode(text, len, true, decoded);
	if (n < 0)
		return err_set(err, ERR_INVALID, "the query has a broken percent-encoding");
	if (memchr(decoded, 0, (size_t)n) || !is_utf8(decoded, (size_t)n))
		return err_set(err, ERR_INVALID, "the query is not UTF-8 text");
	*ret = decoded;
	return 0;
}

static int parse_query_item(const char *text, size_t len, struct arena *arena, struct http_uri *ret,
			    struct err *err)
{
	if (ret->query_count == HTTP_QUERY_MAX)
		return err_set(err, ERR_TOO_LARGE, "the query has more than %d parameters", HTTP_QUERY_MAX);
	const char *equals = memchr(text, '=', len);
	size_t name_len = equals ? (size_t)(equals - text) : len;
	size_t value_at = equals ? name_len + 1 : len;
	struct http_query_item item = {NULL, NULL};
	int r = decode_query_part(text, name_len, arena, &item.name, err);
	if (r == 0)
		r = decode_query_part(text + value_at, len - value_at, arena, &item.value, err);
	if (r < 0)
		return r;
	if (http_uri_query(ret, item.name))
		return err_set(err, ERR_INVALID, "the query names '%.64s' twice", item.name);
	ret->query[ret->query_count++] = item;
	return 0;
}

static int parse_query(const char *text, struct arena *arena, struct http_uri *ret, struct err *err)
{
	while (*text) {
		size_t len = strcspn(text, "&");
		if (len) {
			int r = parse_query_item(text, len, arena, ret, err);
			if (r < 0)
				return r;
		}
		text += len + (text[len] == '&');
	}
	return 0;
}

int http_uri_parse(const char *raw, struct arena *arena, struct http_uri *ret, struct err *err)
{
	*ret = (struct http_uri){0};
	if (strlen(raw) > HTTP_URI_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "the request target is longer than %d bytes",
			       HTTP_URI_BYTES_MAX);
	if (strchr(raw, '#'))
		return err_set(err, ERR_INVALID, "the request target has a fragment");
	size_t path_len = strcspn(raw, "?");
	int r = parse_path(raw, path_len, arena, ret, err);
	if (r < 0 || !raw[path_len])
		return r;
	return parse_query(raw + path_len + 1, arena, ret, err);
}

const char *http_uri_query(const struct http_uri *u, const char *name)
{
	for (size_t i = 0; i < u->query_count; i++)
		if (!strcmp(u->query[i].name, name))
			return u->query[i].value;
	return NULL;
}
