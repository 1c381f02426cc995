/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, HMAC and hex, by nettle; constant-time compare. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <nettle/sha2.h>

#define DIGEST_HEX_LEN 64 /* hex characters of a SHA-256, without NUL */

struct digest {
	struct sha256_ctx ctx;
};
void digest_init(struct digest *d);
void digest_update(struct digest *d, const void *data, size_t len);
void digest_hex(struct digest *d, char ret[DIGEST_HEX_LEN + 1]); /* ends the digest */
void digest_of(const void *data, size_t len, char ret[DIGEST_HEX_LEN + 1]);
/* HMAC-SHA256 (RFC 2104). */
void digest_hmac(const void *key, size_t key_len, const void *data, size_t len, char ret[DIGEST_HEX_LEN + 1]);
bool digest_equal(const void *a, const void *b, size_t len); /* constant time */

#endif
