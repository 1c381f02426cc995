/* SPDX-License-Identifier: Apache-2.0 */
/* Signature Version 4: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)". */
#include "fds_sign.h"

#include <string.h>
#include <nettle/hmac.h>
#include "base/digest.h"
#include "base/mem.h"

static void hmac(const void *key, size_t key_len, const char *data, size_t len, unsigned char ret[32])
{
	struct hmac_sha256_ctx ctx;
	hmac_sha256_set_key(&ctx, key_len, key);
	hmac_sha256_update(&ctx, len, (const uint8_t *)data);
	hmac_sha256_digest(&ctx, 32, ret);
	explicit_bzero(&ctx, sizeof(ctx));
}

static void add_names(struct buf *b, const struct fds_signing *s)
{
	for (size_t i = 0; i < s->header_count; i++)
		buf_printf(b, "%s%s", i ? ";" : "", s->headers[i].name);
}

static void hash_request(const struct fds_signing *s, char ret[DIGEST_HEX_LEN + 1])
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	buf_printf(&b, "%s\n%s\n%s\n", s->method, s->path, s->query);
	for (size_t i = 0; i < s->header_count; i++)
		buf_printf(&b, "%s:%s\n", s->headers[i].name, s->headers[i].value);
	buf_addc(&b, '\n');
	add_names(&b, s);
	buf_printf(&b, "\n%s", s->payload_hash);
	digest_of(b.data, b.len, ret);
}

static void derive_key(const struct fds_signing *s, unsigned char ret[32])
{
	CLEANUP(buf) struct buf start = BUF_INIT;
	buf_printf(&start, "AWS4%s", s->secret);
	hmac(start.data, start.len, s->date, 8, ret);
	hmac(ret, 32, s->region, strlen(s->region), ret);
	hmac(ret, 32, "s3", 2, ret);
	hmac(ret, 32, "aws4_request", 12, ret);
	explicit_bzero(start.data, start.len);
}

void fds_sign(const struct fds_signing *s, struct buf *ret)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	char hash[DIGEST_HEX_LEN + 1];
	unsigned char key[32];
	hash_request(s, hash);
	buf_printf(&text, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/s3/aws4_request\n%s", s->date, s->date, s->region,
		   hash);
	derive_key(s, key);
	digest_hmac(key, sizeof(key), text.data, text.len, hash);
	explicit_bzero(key, sizeof(key));
	buf_printf(ret,
		   "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request,SignedHeaders=", s->access_key,
		   s->date, s->region);
	add_names(ret, s);
	buf_printf(ret, ",Signature=%s", hash);
}
