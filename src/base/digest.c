/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 and HMAC as hex. */
#include "base/digest.h"

#include <nettle/hmac.h>
#include <nettle/memops.h>

void digest_init(struct digest *d)
{
	sha256_init(&d->ctx);
}

void digest_update(struct digest *d, const void *data, size_t len)
{
	sha256_update(&d->ctx, len, data);
}

static void format_hex(const uint8_t raw[SHA256_DIGEST_SIZE], char ret[DIGEST_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++) {
		ret[2 * i] = digits[raw[i] >> 4];
		ret[2 * i + 1] = digits[raw[i] & 15];
	}
	ret[DIGEST_HEX_LEN] = 0;
}

void digest_hex(struct digest *d, char ret[DIGEST_HEX_LEN + 1])
{
	uint8_t raw[SHA256_DIGEST_SIZE];
	sha256_digest(&d->ctx, sizeof(raw), raw);
	format_hex(raw, ret);
}

void digest_hmac(const void *key, size_t key_len, const void *data, size_t len, char ret[DIGEST_HEX_LEN + 1])
{
	struct hmac_sha256_ctx ctx;
	uint8_t raw[SHA256_DIGEST_SIZE];
	hmac_sha256_set_key(&ctx, key_len, key);
	hmac_sha256_update(&ctx, len, data);
	hmac_sha256_digest(&ctx, sizeof(raw), raw);
	format_hex(raw, ret);
}

void digest_of(const void *data, size_t len, char ret[DIGEST_HEX_LEN + 1])
{
	struct digest d;
	digest_init(&d);
	digest_update(&d, data, len);
	digest_hex(&d, ret);
}

bool digest_equal(const void *a, const void *b, size_t len)
{
	return memeql_sec(a, b, len);
}
