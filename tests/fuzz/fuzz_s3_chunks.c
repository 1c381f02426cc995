/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies in aws-chunked form: the first byte chooses the payload's form, the rest is the body. However the
 * bytes are cut, the result is the same, and that of a reader which sees the body as a whole.
 */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "s3/s3_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CUTS_MAX 600 /* bytes of a body that is cut everywhere */

struct result {
	enum s3_error e;
	struct buf data, trailers;
};

static int on_data(void *arg, const char *data, size_t len, struct err *err)
{
	struct result *r = arg;
	assert(len > 0);
	buf_add(&r->data, data, len);
	return 0;
}

static void on_trailer(void *arg, const char *name, const char *value)
{
	struct result *r = arg;
	buf_printf(&r->trailers, "%s=%s\n", name, value);
}

static const struct s3_chunk_ops ops = {on_data, on_trailer};

static struct s3_signing signing_new(void)
{
	struct s3_signing s = {.date = "20130524T000000Z", .scope = "20130524/us-east-1/s3/aws4_request"};
	memset(s.key, 'k', sizeof(s.key));
	memset(s.signature, '0', 64);
	return s;
}

/* Pieces: the first has 'first' bytes, the others 'step'. */
static struct result decode(enum s3_payload form, const char *data, size_t len, size_t first, size_t step)
{
	struct s3_signing signing = signing_new();
	struct result ret = {0};
	struct s3_chunks c;
	struct err err = ERR_INIT;
	chunks_init(&c, form, &signing, &ops, &ret);
	int r = 0;
	for (size_t at = 0, n = first; at < len && r >= 0; at += n, n = step) {
		n = n < len - at ? n : len - at;
		r = chunks_take(&c, data + at, n, &err);
	}
	ret.e = r < 0 ? c.failed : chunks_end(&c);
	assert(r >= 0 || ret.e != S3_OK);
	chunks_done(&c);
	return ret;
}

static void result_free(struct result *r)
{
	buf_done(&r->data);
	buf_done(&r->trailers);
}

static bool same(const struct result *a, const struct result *b)
{
	return a->e == b->e && a->data.len == b->data.len &&
	       (a->data.len == 0 || memcmp(a->data.data, b->data.data, a->data.len) == 0) &&
	       strcmp(buf_str((struct buf *)&a->trailers), buf_str((struct buf *)&b->trailers)) == 0;
}

/* ---- the oracle: unsigned bodies, whole, by another way of reading ---- */

/* Length of the line at p without "\r\n"; -1 when there is none of at most 1023 bytes and "\r\n". */
static long line_length(const char *p, size_t len)
{
	for (size_t i = 0; i < len && i <= 1024; i++)
		if (p[i] == '\n')
			return i > 0 && p[i - 1] == '\r' && i <= 1024 ? (long)i - 1 : -1;
	return -1;
}

static bool oracle_trailers(const char *p, size_t len)
{
	for (int count = 0;; count++) {
		long n = line_length(p, len);
		if (len == 0)
			return true;
		if (n < 0)
			return false;
		if (n == 0)
			return len == 2;
		if (count == 8 || memchr(p, '\0', (size_t)n) || !memchr(p, ':', (size_t)n))
			return false;
		p += n + 2;
		len -= (size_t)n + 2;
	}
}

static bool oracle(const char *p, size_t len, struct buf *content)
{
	for (;;) {
		long n = line_length(p, len);
		if (n <= 0 || memchr(p, '\0', (size_t)n))
			return false;
		uint64_t size = 0;
		long digits = 0;
		for (; digits < n && isxdigit((unsigned char)p[digits]); digits++) {
			int c = tolower((unsigned char)p[digits]);
			size = size * 16 + (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
			if (digits == 12)
				return false;
		}
		if (digits == 0 || (digits < n && p[digits] != ';') || size > UINT64_C(5) << 30)
			return false;
		p += n + 2;
		len -= (size_t)n + 2;
		if (size == 0)
			return oracle_trailers(p, len);
		if (len < size + 2 || p[size] != '\r' || p[size + 1] != '\n')
			return false;
		buf_add(content, p, size);
		p += size + 2;
		len -= size + 2;
	}
}

static void compare_oracle(const struct result *r, const char *data, size_t len)
{
	CLEANUP(buf) struct buf content = BUF_INIT;
	bool whole = oracle(data, len, &content);
	assert(whole == (r->e == S3_OK));
	if (whole)
		assert(content.len == r->data.len &&
		       (!content.len || memcmp(content.data, r->data.data, content.len) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size)
{
	static const enum s3_payload forms[] = {S3_PAYLOAD_UNSIGNED_TRAILER, S3_PAYLOAD_CHUNKS,
						S3_PAYLOAD_CHUNKS_TRAILER};
	if (size == 0)
		return 0;
	enum s3_payload form = forms[input[0] % 3];
	const char *data = (const char *)input + 1;
	size_t len = size - 1;
	struct result whole = decode(form, data, len, len ? len : 1, 1);
	if (form == S3_PAYLOAD_UNSIGNED_TRAILER)
		compare_oracle(&whole, data, len);
	for (size_t i = 1; i < len && len <= CUTS_MAX; i++) {
		struct result cut = decode(form, data, len, i, len);
		assert(same(&whole, &cut));
		result_free(&cut);
	}
	struct result bytes = decode(form, data, len, 1, 1);
	assert(same(&whole, &bytes));
	result_free(&bytes);
	result_free(&whole);
	return 0;
}
