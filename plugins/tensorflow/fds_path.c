/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses: clean, parse, encode. */
#include "fds_path.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static const char *after_scheme(const char *uri)
{
	if (strncmp(uri, "fds://", 6) == 0)
		return uri + 6;
	return strncmp(uri, "s3://", 5) == 0 ? uri + 5 : NULL;
}

/* Appends one step; ".." takes the last one away, never the bucket. */
static void add_step(struct buf *b, size_t root, const char *step, size_t len)
{
	if (len == 0 || (len == 1 && step[0] == '.'))
		return;
	if (len == 2 && memcmp(step, "..", 2) == 0) {
		while (b->len > root && b->data[--b->len] != '/')
			;
		return;
	}
	buf_addc(b, '/');
	buf_add(b, step, len);
}

char *fds_path_clean(const char *uri)
{
	const char *rest = after_scheme(uri);
	CLEANUP(buf) struct buf b = BUF_INIT;
	if (!rest)
		return mem_strdup(uri);
	size_t bucket = strcspn(rest, "/");
	buf_add(&b, uri, (size_t)(rest - uri) + bucket);
	size_t root = b.len;
	for (rest += bucket; *rest; rest += *rest == '/') {
		size_t len = strcspn(rest, "/");
		add_step(&b, root, rest, len);
		rest += len;
	}
	buf_addc(&b, '\0'); /* a step that was taken away left its bytes behind the end */
	return buf_steal(&b);
}

static bool is_bucket_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
	       c == '-' || c == '_';
}

int fds_path_parse(const char *uri, struct fds_path *ret, struct err *err)
{
	const char *rest = after_scheme(uri);
	if (!rest)
		return err_set(err, ERR_INVALID, "address '%.120s' does not start with fds:// or s3://", uri);
	size_t len = strcspn(rest, "/");
	if (memchr(rest, '@', len))
		return err_set(err, ERR_INVALID,
			       "an address with credentials in it is refused, they would end up in logs; set "
			       "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and write fds://bucket/path");
	if (len == 0 || len > FDS_BUCKET_MAX)
		return err_set(err, ERR_INVALID, "address '%.120s' has no bucket of 1 to %d characters", uri,
			       FDS_BUCKET_MAX);
	for (size_t i = 0; i < len; i++)
		if (!is_bucket_char(rest[i]))
			return err_set(err, ERR_INVALID,
				       "bucket in address '%.120s' has a character besides "
				       "letters, digits, '.', '-' and '_'",
				       uri);
	CLEANUP(free) char *clean = fds_path_clean(uri);
	const char *key = clean + (rest - uri) + len;
	key += *key == '/';
	if (strlen(key) > FDS_KEY_MAX)
		return err_set(err, ERR_INVALID, "key of %zu bytes in address '%.120s…' is longer than %d",
			       strlen(key), uri, FDS_KEY_MAX);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->bucket, rest, len);
	memcpy(ret->key, key, strlen(key));
	return 0;
}

void fds_path_prefix(const struct fds_path *p, struct buf *ret)
{
	buf_clear(ret);
	buf_adds(ret, p->key);
	if (p->key[0])
		buf_addc(ret, '/');
}

void fds_encode(struct buf *b, const char *s, bool keep_slash)
{
	static const char hex[] = "0123456789ABCDEF";
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;
		if (is_bucket_char(*s) || *s == '~' || (*s == '/' && keep_slash))
			buf_addc(b, *s);
		else
			buf_add(b, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
	}
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool fds_decode(char *s)
{
	char *to = s;
	for (; *s; s++) {
		if (*s != '%') {
			*to++ = *s == '+' ? ' ' : *s;
			continue;
		}
		int high = hex_digit(s[1]), low = high < 0 ? -1 : hex_digit(s[2]);
		if (low < 0 || high + low == 0)
			return false;
		*to++ = (char)(high << 4 | low);
		s += 2;
	}
	*to = '\0';
	return true;
}
