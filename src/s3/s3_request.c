/* SPDX-License-Identifier: Apache-2.0 */
/* A request's target and headers, taken apart once. */
#include "s3/s3_int.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

char *arena_printf(struct arena *a, const char *fmt, ...)
{
	char text[4096];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return arena_strndup(a, text, n < (int)sizeof(text) ? (size_t)n : sizeof(text) - 1);
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* NULL for a broken escape or a NUL. */
static char *decode(struct arena *a, const char *s, size_t len, bool plus_is_space)
{
	char *ret = arena_strndup(a, s, len), *out = ret;
	for (size_t i = 0; i < len; i++) {
		char c = s[i];
		if (c == '+' && plus_is_space)
			c = ' ';
		if (c == '%') {
			if (i + 2 >= len || hex_value(s[i + 1]) < 0 || hex_value(s[i + 2]) < 0)
				return NULL;
			c = (char)(hex_value(s[i + 1]) * 16 + hex_value(s[i + 2]));
			i += 2;
		}
		if (c == '\0')
			return NULL;
		*out++ = c;
	}
	*out = '\0';
	return ret;
}

void uri_encode(struct buf *ret, const char *s, bool with_slash)
{
	static const char hex[] = "0123456789ABCDEF";
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (isalnum(c) || strchr("-._~", c) || (c == '/' && !with_slash))
			buf_addc(ret, (char)c);
		else {
			buf_addc(ret, '%');
			buf_addc(ret, hex[c >> 4]);
			buf_addc(ret, hex[c & 15]);
		}
	}
}

static enum s3_error read_query(struct s3_request *r, const char *text)
{
	struct arena *a = &r->x->arena;
	for (; *text; text += *text == '&') {
		size_t len = strcspn(text, "&"), name = strcspn(text, "&=");
		if (len && r->query_count == S3_PARAMS_MAX)
			return S3_INVALID_ARGUMENT;
		if (len) {
			const char *value = text[name] == '=' ? text + name + 1 : text + len;
			struct s3_pair p = {decode(a, text, name, true),
					    decode(a, value, (size_t)(text + len - value), true)};
			if (!p.name || !p.value)
				return S3_INVALID_ARGUMENT;
			r->query[r->query_count++] = p;
		}
		text += len;
	}
	return S3_OK;
}

enum s3_error request_form(struct s3_request *form, const char *text)
{
	return read_query(form, text);
}

char *request_decode(struct s3_request *r, const char *text, size_t len)
{
	return decode(&r->x->arena, text, len, false);
}

/* The values of a header that comes several times are joined by commas (RFC 9110, section 5.3). */
void request_add_header(struct s3_request *r, const char *name, const char *value)
{
	struct arena *a = &r->x->arena;
	char *lower = arena_strndup(a, name, strlen(name));
	for (char *p = lower; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	for (size_t i = 0; i < r->header_count; i++)
		if (strcmp(r->headers[i].name, lower) == 0) {
			r->headers[i].value = arena_printf(a, "%s,%s", r->headers[i].value, value);
			return;
		}
	if (r->header_count < S3_HEADERS_MAX)
		r->headers[r->header_count++] =
		    (struct s3_pair){lower, arena_strndup(a, value, strlen(value))};
}

static void add_header(void *arg, const char *name, const char *value)
{
	request_add_header(arg, name, value);
}

const char *request_query(const struct s3_request *r, const char *name)
{
	for (size_t i = 0; i < r->query_count; i++)
		if (strcmp(r->query[i].name, name) == 0)
			return r->query[i].value;
	return NULL;
}

const char *request_header(const struct s3_request *r, const char *name)
{
	for (size_t i = 0; i < r->header_count; i++)
		if (strcmp(r->headers[i].name, name) == 0)
			return r->headers[i].value;
	return NULL;
}

enum s3_error request_int(const struct s3_request *r, const char *name, int64_t min, int64_t max,
			  int64_t otherwise, int64_t *ret)
{
	const char *s = request_query(r, name);
	char *end;
	*ret = otherwise;
	if (!s || !*s)
		return S3_OK;
	errno = 0;
	long long n = strtoll(s, &end, 10);
	if (*end || errno || n < min || n > max || strspn(s, "-0123456789") != strlen(s))
		return S3_INVALID_ARGUMENT;
	*ret = n;
	return S3_OK;
}

/* BUCKET.domain: the bucket is in the host's name. */
static const char *host_bucket(struct s3_request *r)
{
	const char *host = request_header(r, "host"), *domain = r->s3->config.domain;
	if (!host || !domain)
		return NULL;
	size_t len = strcspn(host, ":"), tail = strlen(domain);
	if (len <= tail + 1 || strncasecmp(host + len - tail, domain, tail) != 0 ||
	    host[len - tail - 1] != '.')
		return NULL;
	return arena_strndup(&r->x->arena, host, len - tail - 1);
}

enum s3_error request_read(struct s3_request *r)
{
	http_headers_each(r->x, add_header, r);
	return request_parse(r, r->x->target);
}

enum s3_error request_parse(struct s3_request *r, const char *target)
{
	size_t path = strcspn(target, "?");
	if (target[0] != '/')
		return S3_INVALID_REQUEST;
	r->path = decode(&r->x->arena, target, path, false);
	if (!r->path)
		return S3_INVALID_REQUEST;
	enum s3_error e = target[path] ? read_query(r, target + path + 1) : S3_OK;
	if (e)
		return e;
	r->bucket = host_bucket(r);
	r->is_host_style = r->bucket != NULL;
	if (r->is_host_style) {
		r->key = r->path + 1;
	} else {
		size_t len = strcspn(r->path + 1, "/");
		r->bucket = arena_strndup(&r->x->arena, r->path + 1, len);
		r->key = r->path[1 + len] ? r->path + 2 + len : "";
	}
	return strlen(r->key) > BLOB_KEY_MAX ? S3_KEY_TOO_LONG : S3_OK;
}
