/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 as hex. */
#include "base/digest.h"

#include <nettle/memops.h>

void digest_init(struct digest *d)
{
	sha256_init(&d->ctx);
}

void digest_update(struct digest *d, const void *data, size_t len)
{
	sha256_update(&d->ctx, len, data);
}

void digest_hex(struct digest *d, char ret[DIGEST_HEX_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t raw[SHA256_DIGEST_SIZE];
	sha256_digest(&d->ctx, sizeof(raw), raw);
	for (size_t i = 0; i < sizeof(raw); i++) {
		ret[2 * i] = digits[raw[i] >> 4];
		ret[2 * i + 1] = digits[raw[i] & 15];
	}
	ret[DIGEST_HEX_LEN] = 0;
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
