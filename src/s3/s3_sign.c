/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one verifier. Signature Version 4 in the header and in the query (Amazon S3 API Reference,
 * "Authenticating Requests"), Version 2 in the query as older clients presign.
 */
#include "s3/s3_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <nettle/hmac.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define EXPIRES_MAX_S (7 * 24 * 3600)

struct claim { /* what the request says of its signature; views into the arena */
	const char *access_key, *day, *region, *scope, *signed_headers, *signature;
	const char *date; /* "20261125T101112Z" */
	bool in_query;
};

static void hmac(const void *key, size_t key_len, const char *data, unsigned char ret[32])
{
	struct hmac_sha256_ctx ctx;
	hmac_sha256_set_key(&ctx, key_len, key);
	hmac_sha256_update(&ctx, strlen(data), (const uint8_t *)data);
	hmac_sha256_digest(&ctx, 32, ret);
}

static void derive_key(const char *secret, const struct claim *c, unsigned char ret[32])
{
	char start[4 + S3_SECRET_MAX + 1];
	snprintf(start, sizeof(start), "AWS4%s", secret);
	hmac(start, strlen(start), c->day, ret);
	hmac(ret, 32, c->region, ret);
	hmac(ret, 32, "s3", ret);
	hmac(ret, 32, "aws4_request", ret);
}

/* "20261125T101112Z" as Unix milliseconds; -1 when it is none. */
static int64_t parse_date(const char *s)
{
	struct tm tm = {0};
	const char *end = strptime(s, "%Y%m%dT%H%M%SZ", &tm);
	return strlen(s) == 16 && end && !*end ? (int64_t)timegm(&tm) * 1000 : -1;
}

int64_t sign_http_date(const char *s)
{
	struct tm tm = {0};
	const char *end = strptime(s, "%a, %d %b %Y %H:%M:%S", &tm);
	return end ? (int64_t)timegm(&tm) * 1000 : -1;
}

/* "AKID/20261125/us-east-1/s3/aws4_request" */
static enum s3_error parse_credential(struct s3_request *r, const char *text, struct claim *c)
{
	struct arena *a = &r->x->arena;
	const char *parts[5];
	size_t lens[5];
	/* From the end: an access key may have slashes in it. */
	const char *end = text + strlen(text);
	for (int i = 4; i >= 1; i--) {
		const char *start = end;
		while (start > text && start[-1] != '/')
			start--;
		if (start == text)
			return S3_AUTHORIZATION_MALFORMED;
		parts[i] = start;
		lens[i] = (size_t)(end - start);
		end = start - 1;
	}
	if (lens[1] != 8 || strncmp(parts[3], "s3/", 3) != 0 || strcmp(parts[4], "aws4_request") != 0 ||
	    lens[2] > 32)
		return S3_AUTHORIZATION_MALFORMED;
	c->access_key = arena_strndup(a, text, (size_t)(end - text));
	c->day = arena_strndup(a, parts[1], lens[1]);
	c->region = arena_strndup(a, parts[2], lens[2]);
	c->scope = parts[1];
	return S3_OK;
}

/* "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…" */
static enum s3_error read_header_claim(struct s3_request *r, const char *text, struct claim *c)
{
	struct arena *a = &r->x->arena;
	const char *credential = NULL;
	text += strlen(ALGORITHM);
	while (*text) {
		text += strspn(text, " ,");
		size_t len = strcspn(text, ","), name = strcspn(text, "=,");
		if (text[name] == '=') {
			while (len && text[len - 1] == ' ')
				len--;
			const char *value = arena_strndup(a, text + name + 1, len - name - 1);
			if (strncmp(text, "Credential=", name + 1) == 0)
				credential = value;
			else if (strncmp(text, "SignedHeaders=", name + 1) == 0)
				c->signed_headers = value;
			else if (strncmp(text, "Signature=", name + 1) == 0)
				c->signature = value;
		}
		text += strcspn(text, ",");
	}
	if (!credential || !c->signed_headers || !c->signature)
		return S3_AUTHORIZATION_MALFORMED;
	c->date = request_header(r, "x-amz-date");
	if (!c->date) {
		const char *date = request_header(r, "date");
		int64_t ms = date ? sign_http_date(date) : -1;
		if (ms < 0)
			return S3_ACCESS_DENIED;
		char stamp[20];
		time_t seconds = (time_t)(ms / 1000);
		struct tm tm;
		strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", gmtime_r(&seconds, &tm));
		c->date = arena_strndup(a, stamp, strlen(stamp));
	}
	return parse_credential(r, credential, c);
}

static enum s3_error read_query_claim(struct s3_request *r, struct claim *c)
{
	const char *credential = request_query(r, "X-Amz-Credential");
	const char *algorithm = request_query(r, "X-Amz-Algorithm");
	c->in_query = true;
	c->date = request_query(r, "X-Amz-Date");
	c->signed_headers = request_query(r, "X-Amz-SignedHeaders");
	c->signature = request_query(r, "X-Amz-Signature");
	if (!credential || !c->date || !c->signed_headers || !algorithm || strcmp(algorithm, ALGORITHM) != 0)
		return S3_AUTHORIZATION_QUERY;
	return parse_credential(r, credential, c) ? S3_AUTHORIZATION_QUERY : S3_OK;
}

int64_t sign_now(const struct s3_request *r)
{
	struct clock *c = r->s3->config.clock;
	return clock_wall_ms(c ? c : &clock_real);
}

static enum s3_error check_time(struct s3_request *r, const struct claim *c)
{
	int64_t at = parse_date(c->date), now = sign_now(r);
	if (at < 0 || strncmp(c->date, c->day, 8) != 0)
		return c->in_query ? S3_AUTHORIZATION_QUERY : S3_AUTHORIZATION_MALFORMED;
	if (!c->in_query)
		return llabs(now - at) > S3_SKEW_MS ? S3_SKEW : S3_OK;
	int64_t seconds;
	const char *expires = request_query(r, "X-Amz-Expires");
	if (!expires || request_int(r, "X-Amz-Expires", 0, EXPIRES_MAX_S, 0, &seconds))
		return S3_AUTHORIZATION_QUERY;
	if (at - now > S3_SKEW_MS)
		return S3_SKEW;
	return now > at + seconds * 1000 ? S3_EXPIRED : S3_OK;
}

static int compare_pairs(const void *a, const void *b)
{
	const struct s3_pair *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	return c ? c : strcmp(x->value, y->value);
}

static const char *encoded(struct arena *a, const char *s)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	uri_encode(&b, s, true);
	return arena_strndup(a, buf_str(&b), b.len);
}

static void add_query(struct s3_request *r, struct buf *b)
{
	struct s3_pair sorted[S3_PARAMS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < r->query_count; i++)
		if (strcmp(r->query[i].name, "X-Amz-Signature") != 0)
			sorted[count++] = (struct s3_pair){encoded(&r->x->arena, r->query[i].name),
							   encoded(&r->x->arena, r->query[i].value)};
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare_pairs);
	for (size_t i = 0; i < count; i++)
		buf_printf(b, "%s%s=%s", i ? "&" : "", sorted[i].name, sorted[i].value);
}

static void add_trimmed(struct buf *b, const char *s)
{
	s += strspn(s, " \t");
	for (; *s; s++) {
		bool is_space = *s == ' ' || *s == '\t';
		if (is_space && (s[1] == ' ' || s[1] == '\t' || !s[1]))
			continue;
		buf_addc(b, is_space ? ' ' : *s);
	}
}

static bool is_listed(const char *list, const char *name)
{
	size_t len = strlen(name);
	for (const char *p = list; *p; p += *p == ';') {
		size_t n = strcspn(p, ";");
		if (n == len && strncmp(p, name, n) == 0)
			return true;
		p += n;
	}
	return false;
}

/* Whoever could add a header that means something could change what was signed. */
static bool all_is_signed(const struct s3_request *r, const char *list)
{
	if (!is_listed(list, "host"))
		return false;
	for (size_t i = 0; i < r->header_count; i++)
		if (strncmp(r->headers[i].name, "x-amz-", 6) == 0 && !is_listed(list, r->headers[i].name))
			return false;
	return true;
}

static bool add_headers(struct s3_request *r, const char *list, struct buf *b)
{
	for (const char *p = list; *p; p += *p == ';') {
		size_t n = strcspn(p, ";");
		const char *name = arena_strndup(&r->x->arena, p, n);
		const char *value = request_header(r, name);
		/* Proxies drop it; who signs it cannot mean anything by it. */
		if (!value && strcmp(name, "expect") == 0)
			value = "100-continue";
		if (!value)
			return false;
		buf_printf(b, "%s:", name);
		add_trimmed(b, value);
		buf_addc(b, '\n');
		p += n;
	}
	return true;
}

static enum s3_error read_payload(struct s3_request *r, const struct claim *c)
{
	static const struct {
		const char *word;
		enum s3_payload payload;
	} forms[] = {{"UNSIGNED-PAYLOAD", S3_PAYLOAD_UNSIGNED},
		     {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", S3_PAYLOAD_CHUNKS},
		     {"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", S3_PAYLOAD_CHUNKS_TRAILER},
		     {"STREAMING-UNSIGNED-PAYLOAD-TRAILER", S3_PAYLOAD_UNSIGNED_TRAILER}};
	const char *value = request_header(r, "x-amz-content-sha256");
	if (!value)
		value = c->in_query ? "UNSIGNED-PAYLOAD" : NULL;
	if (!value)
		return S3_INVALID_REQUEST;
	r->content_sha256 = value;
	for (size_t i = 0; i < ARRAY_LEN(forms); i++)
		if (strcmp(value, forms[i].word) == 0) {
			r->payload = forms[i].payload;
			return S3_OK;
		}
	r->payload = S3_PAYLOAD_HASHED;
	bool is_hash = strlen(value) == 64 && strspn(value, "0123456789abcdef") == 64;
	return is_hash ? S3_OK : S3_INVALID_ARGUMENT;
}

enum s3_error sign_find_key(struct s3_request *r, const char *access_key)
{
	struct err err = ERR_INIT;
	if (strlen(access_key) > S3_ACCESS_KEY_MAX ||
	    r->s3->config.find_key(r->s3->config.find_key_arg, access_key, &r->who, &err) < 0)
		return S3_INVALID_ACCESS_KEY;
	snprintf(r->access_key, sizeof(r->access_key), "%s", access_key);
	return S3_OK;
}

static void format_hex(const unsigned char raw[32], char ret[65])
{
	static const char digits[] = "0123456789abcdef";
	for (int i = 0; i < 32; i++) {
		ret[2 * i] = digits[raw[i] >> 4];
		ret[2 * i + 1] = digits[raw[i] & 15];
	}
	ret[64] = '\0';
}

static enum s3_error verify_v4(struct s3_request *r, const struct claim *c)
{
	enum s3_error e = check_time(r, c);
	if (e || (e = read_payload(r, c)) || (e = sign_find_key(r, c->access_key)))
		return e;
	if (!all_is_signed(r, c->signed_headers))
		return S3_ACCESS_DENIED;
	CLEANUP(buf) struct buf b = BUF_INIT;
	buf_printf(&b, "%s\n", r->x->method);
	uri_encode(&b, r->path, false);
	buf_addc(&b, '\n');
	add_query(r, &b);
	buf_addc(&b, '\n');
	if (!add_headers(r, c->signed_headers, &b))
		return S3_SIGNATURE;
	buf_printf(&b, "\n%s\n%s", c->signed_headers, r->content_sha256);
	char hash[65];
	unsigned char raw[32];
	digest_of(b.data, b.len, hash);
	buf_clear(&b);
	buf_printf(&b, ALGORITHM "\n%s\n%s\n%s", c->date, c->scope, hash);
	derive_key(r->who.secret, c, r->signing.key);
	hmac(r->signing.key, 32, b.data, raw);
	format_hex(raw, r->signing.signature);
	snprintf(r->signing.date, sizeof(r->signing.date), "%s", c->date);
	snprintf(r->signing.scope, sizeof(r->signing.scope), "%s", c->scope);
	if (!c->signature || strlen(c->signature) != 64 ||
	    !digest_equal(c->signature, r->signing.signature, 64))
		return S3_SIGNATURE;
	return S3_OK;
}

void sign_next(struct s3_signing *s, const char *kind, const char *sha256, char ret[65])
{
	static const char empty[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
	bool is_payload = strcmp(kind, "PAYLOAD") == 0;
	char text[512];
	unsigned char raw[32];
	snprintf(text, sizeof(text), ALGORITHM "-%s\n%s\n%s\n%s\n%s%s%s", kind, s->date, s->scope,
		 s->signature, is_payload ? empty : "", is_payload ? "\n" : "", sha256);
	hmac(s->key, 32, text, raw);
	format_hex(raw, ret);
	memcpy(s->signature, ret, 65);
}

/* ---- version 2, presigned ---- */

static bool is_v2_resource(const char *name)
{
	static const char *const names[] = {"acl",
					    "cors",
					    "delete",
					    "lifecycle",
					    "location",
					    "logging",
					    "notification",
					    "partNumber",
					    "policy",
					    "requestPayment",
					    "tagging",
					    "torrent",
					    "uploadId",
					    "uploads",
					    "versionId",
					    "versioning",
					    "versions",
					    "website",
					    "response-cache-control",
					    "response-content-disposition",
					    "response-content-encoding",
					    "response-content-language",
					    "response-content-type",
					    "response-expires"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static void add_v2_resource(struct s3_request *r, struct buf *b)
{
	struct s3_pair sorted[S3_PARAMS_MAX];
	size_t count = 0;
	if (r->is_host_style)
		buf_printf(b, "/%s", r->bucket);
	buf_add(b, r->x->target, strcspn(r->x->target, "?"));
	for (size_t i = 0; i < r->query_count; i++)
		if (is_v2_resource(r->query[i].name))
			sorted[count++] = r->query[i];
	if (count)
		qsort(sorted, count, sizeof(*sorted), compare_pairs);
	for (size_t i = 0; i < count; i++)
		buf_printf(b, "%c%s%s%s", i ? '&' : '?', sorted[i].name, *sorted[i].value ? "=" : "",
			   sorted[i].value);
}

static enum s3_error verify_v2(struct s3_request *r)
{
	const char *signature = request_query(r, "Signature"), *expires = request_query(r, "Expires");
	int64_t at;
	enum s3_error e = request_int(r, "Expires", 0, INT64_C(1) << 40, -1, &at);
	if (e || !signature || !expires || at < 0)
		return S3_ACCESS_DENIED;
	if (sign_now(r) > at * 1000)
		return S3_EXPIRED;
	if ((e = sign_find_key(r, request_query(r, "AWSAccessKeyId"))))
		return e;
	struct s3_pair amz[S3_HEADERS_MAX];
	size_t count = 0;
	for (size_t i = 0; i < r->header_count; i++)
		if (strncmp(r->headers[i].name, "x-amz-", 6) == 0)
			amz[count++] = r->headers[i];
	if (count)
		qsort(amz, count, sizeof(*amz), compare_pairs);
	const char *md5 = request_header(r, "content-md5"), *type = request_header(r, "content-type");
	CLEANUP(buf) struct buf b = BUF_INIT;
	buf_printf(&b, "%s\n%s\n%s\n%s\n", r->x->method, md5 ? md5 : "", type ? type : "", expires);
	for (size_t i = 0; i < count; i++)
		buf_printf(&b, "%s:%s\n", amz[i].name, amz[i].value);
	add_v2_resource(r, &b);
	struct hmac_sha1_ctx ctx;
	uint8_t raw[SHA1_DIGEST_SIZE];
	char want[32];
	hmac_sha1_set_key(&ctx, strlen(r->who.secret), (const uint8_t *)r->who.secret);
	hmac_sha1_update(&ctx, b.len, (const uint8_t *)b.data);
	hmac_sha1_digest(&ctx, sizeof(raw), raw);
	base64_encode(raw, sizeof(raw), want);
	if (strlen(signature) != strlen(want) || !digest_equal(signature, want, strlen(want)))
		return S3_SIGNATURE;
	/* What it says of its content is not signed: only a plain body is taken. */
	const char *sha256 = request_header(r, "x-amz-content-sha256");
	r->payload = S3_PAYLOAD_UNSIGNED;
	return sha256 && strncmp(sha256, "STREAMING", 9) == 0 ? S3_INVALID_REQUEST : S3_OK;
}

enum s3_error sign_verify(struct s3_request *r)
{
	struct claim c = {0};
	const char *authorization = request_header(r, "authorization");
	bool in_query = request_query(r, "X-Amz-Algorithm") || request_query(r, "X-Amz-Signature");
	bool v2 = request_query(r, "AWSAccessKeyId") != NULL;
	if ((authorization != NULL) + in_query + v2 > 1)
		return S3_INVALID_REQUEST;
	if (fds_is_signed(r))
		return v2 || in_query ? S3_INVALID_REQUEST : fds_verify(r);
	if (v2)
		return verify_v2(r);
	if (!authorization && !in_query)
		return S3_ACCESS_DENIED;
	if (authorization && strncmp(authorization, ALGORITHM " ", strlen(ALGORITHM) + 1) != 0)
		return S3_AUTHORIZATION_MALFORMED;
	enum s3_error e = in_query ? read_query_claim(r, &c) : read_header_claim(r, authorization, &c);
	return e ? e : verify_v4(r, &c);
}
