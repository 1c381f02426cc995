/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Galaxy-V2, the signature of Xiaomi's FDS: HMAC-SHA1 over method, Content-MD5, Content-Type, date or expiry,
 * the x-xiaomi- headers and the path with some parameters. In the header, or in the query of a presigned
 * address.
 */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <nettle/hmac.h>
#include "base/digest.h"
#include "base/mem.h"

#define SCHEME "Galaxy-V2 "

/* Parameters that are signed with the path. */
static const char *const signed_names[] = {
    "acl", "quota", "uploads", "partNumber", "uploadId", "storageAccessToken", "metadata", NULL};
/* What else an address may have: all others are not signed, and whoever has it could add them. */
static const char *const address_names[] = {"GalaxyAccessKeyId", "Expires", "Signature", NULL};

static bool is_one_of(const char *const *names, const char *s, size_t len)
{
	for (size_t i = 0; names[i]; i++)
		if (strlen(names[i]) == len && strncmp(names[i], s, len) == 0)
			return true;
	return false;
}

bool fds_is_signed(const struct s3_request *r)
{
	const char *authorization = request_header(r, "authorization");
	return (authorization && strncmp(authorization, SCHEME, sizeof(SCHEME) - 1) == 0) ||
	       request_query(r, "GalaxyAccessKeyId");
}

/* "name=value" as they stand in the target, sorted. */
static size_t raw_pieces(struct s3_request *r, const char *ret[S3_PARAMS_MAX])
{
	const char *s = strchr(r->x->target, '?');
	size_t count = 0;
	for (s = s ? s + 1 : ""; *s && count < S3_PARAMS_MAX; s += *s == '&') {
		size_t len = strcspn(s, "&");
		if (len)
			ret[count++] = arena_strndup(&r->x->arena, s, len);
		s += len;
	}
	return count;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct s3_pair *)a)->name, ((const struct s3_pair *)b)->name);
}

static void add_headers(const struct s3_request *r, struct buf *b)
{
	struct s3_pair sorted[S3_HEADERS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < r->header_count; i++)
		if (strncmp(r->headers[i].name, "x-xiaomi-", 9) == 0 && *r->headers[i].value)
			sorted[count++] = r->headers[i];
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare_names);
	for (size_t i = 0; i < count; i++)
		buf_printf(b, "%s:%s\n", sorted[i].name, sorted[i].value);
}

static void add_resource(struct s3_request *r, struct buf *b)
{
	const char *pieces[S3_PARAMS_MAX];
	size_t count = raw_pieces(r, pieces);
	char mark = '?';
	buf_adds(b, r->path);
	if (count)
		qsort(pieces, count, sizeof(*pieces), compare_text);
	for (size_t i = 0; i < count; i++) {
		size_t name = strcspn(pieces[i], "=");
		if (!is_one_of(signed_names, pieces[i], name))
			continue;
		size_t value = pieces[i][name] ? strcspn(pieces[i] + name + 1, "=") + 1 : 0;
		buf_addc(b, mark);
		buf_add(b, pieces[i], name + value);
		mark = '&';
	}
}

static void compute(struct s3_request *r, const char *when, char ret[32])
{
	const char *md5 = request_header(r, "content-md5"), *type = request_header(r, "content-type");
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct hmac_sha1_ctx ctx;
	uint8_t raw[SHA1_DIGEST_SIZE];
	buf_printf(&b, "%s\n%s\n%s\n%s\n", r->x->method, md5 ? md5 : "", type ? type : "", when);
	add_headers(r, &b);
	add_resource(r, &b);
	hmac_sha1_set_key(&ctx, strlen(r->who.secret), (const uint8_t *)r->who.secret);
	hmac_sha1_update(&ctx, b.len, (const uint8_t *)b.data);
	hmac_sha1_digest(&ctx, sizeof(raw), raw);
	base64_encode(raw, sizeof(raw), ret);
}

static enum s3_error compare(struct s3_request *r, const char *access_key, const char *signature,
			     const char *when)
{
	char want[32];
	enum s3_error e = sign_find_key(r, access_key);
	if (e)
		return e;
	compute(r, when, want);
	bool is_right = strlen(signature) == strlen(want) && digest_equal(signature, want, strlen(want));
	return is_right ? S3_OK : S3_SIGNATURE;
}

/* "Galaxy-V2 AK:base64" */
static enum s3_error verify_header(struct s3_request *r)
{
	const char *text = request_header(r, "authorization") + sizeof(SCHEME) - 1,
		   *colon = strchr(text, ':');
	const char *own_date = request_header(r, "x-xiaomi-date"), *date = request_header(r, "date");
	const char *used = own_date && *own_date ? own_date : date;
	if (!colon || request_query(r, "Expires"))
		return S3_AUTHORIZATION_MALFORMED;
	int64_t at = used ? sign_http_date(used) : -1;
	if (at < 0)
		return S3_ACCESS_DENIED;
	if (llabs(sign_now(r) - at) > S3_SKEW_MS)
		return S3_SKEW;
	return compare(r, arena_strndup(&r->x->arena, text, (size_t)(colon - text)), colon + 1,
		       used == own_date ? "" : date);
}

/* The signature stands in an address as it is: '+' is no space there. */
static enum s3_error verify_address(struct s3_request *r)
{
	const char *pieces[S3_PARAMS_MAX], *signature = NULL;
	size_t count = raw_pieces(r, pieces);
	for (size_t i = 0; i < count; i++) {
		size_t name = strcspn(pieces[i], "=");
		if (!is_one_of(signed_names, pieces[i], name) && !is_one_of(address_names, pieces[i], name))
			return S3_ACCESS_DENIED;
		if (strncmp(pieces[i], "Signature=", 10) == 0)
			signature = request_decode(r, pieces[i] + 10, strlen(pieces[i] + 10));
	}
	const char *expires = request_query(r, "Expires");
	int64_t at;
	if (!signature || !expires || request_int(r, "Expires", 0, INT64_C(1) << 50, -1, &at) || at < 0)
		return S3_ACCESS_DENIED;
	if (sign_now(r) > at)
		return S3_EXPIRED;
	return compare(r, request_query(r, "GalaxyAccessKeyId"), signature, expires);
}

static bool hex_decode(const char *s, unsigned char *ret, size_t len)
{
	if (strlen(s) != 2 * len || strspn(s, "0123456789abcdefABCDEF") != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		char pair[3] = {s[2 * i], s[2 * i + 1], '\0'};
		ret[i] = (unsigned char)strtoul(pair, NULL, 16);
	}
	return true;
}

/* From here on it looks like a request of S3: what nobody signed is dropped, the rest takes S3's names. */
static enum s3_error translate(struct s3_request *r)
{
	size_t count = 0;
	for (size_t i = 0; i < r->header_count; i++) {
		struct s3_pair h = r->headers[i];
		if (strncmp(h.name, "x-amz-", 6) == 0)
			continue;
		if (strncmp(h.name, "x-xiaomi-meta-", 14) == 0)
			h.name = arena_printf(&r->x->arena, "x-amz-meta-%s", h.name + 14);
		if (strcmp(h.name, "content-md5") == 0) {
			unsigned char raw[16];
			char text[32];
			if (!hex_decode(h.value, raw, sizeof(raw)))
				return S3_INVALID_DIGEST;
			base64_encode(raw, sizeof(raw), text);
			h.value = arena_strndup(&r->x->arena, text, strlen(text));
		}
		r->headers[count++] = h;
	}
	r->header_count = count;
	return S3_OK;
}

enum s3_error fds_verify(struct s3_request *r)
{
	bool in_query = request_query(r, "GalaxyAccessKeyId") != NULL;
	r->is_fds = true;
	r->payload = S3_PAYLOAD_UNSIGNED;
	/* Host is not signed, so that it must not say which bucket is meant. */
	if (r->is_host_style || (in_query && request_header(r, "authorization")))
		return S3_INVALID_REQUEST;
	enum s3_error e = in_query ? verify_address(r) : verify_header(r);
	return e ? e : translate(r);
}
