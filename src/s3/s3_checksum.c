/* SPDX-License-Identifier: Apache-2.0 */
/* The checksums that clients may send along, and base64. */
#include "s3/s3_int.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <nettle/base64.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <zlib.h>
#include "base/crc32c.h"
#include "base/mem.h"

/* CRC-64/NVME, reversed (NVM Express NVM Command Set, section 5.2.1.3.4). */
#define NVME_POLYNOMIAL UINT64_C(0x9a6c9329ac4bc9b5)

struct checksum {
	enum checksum_kind kind;
	uint32_t crc32;
	uint64_t crc64;
	struct sha1_ctx sha1;
	struct sha256_ctx sha256;
};

static const char *const words[] = {[CHECKSUM_NONE] = "",	  [CHECKSUM_CRC32] = "CRC32",
				    [CHECKSUM_CRC32C] = "CRC32C", [CHECKSUM_CRC64NVME] = "CRC64NVME",
				    [CHECKSUM_SHA1] = "SHA1",	  [CHECKSUM_SHA256] = "SHA256"};

enum checksum_kind checksum_kind_of(const char *name)
{
	for (size_t i = 1; i < ARRAY_LEN(words); i++)
		if (strcasecmp(words[i], name) == 0)
			return (enum checksum_kind)i;
	return CHECKSUM_NONE;
}

const char *checksum_word(enum checksum_kind k)
{
	return words[k];
}

const char *checksum_header(struct s3_request *r, enum checksum_kind k)
{
	char lower[16] = "";
	for (size_t i = 0; words[k][i]; i++)
		lower[i] = (char)(words[k][i] | 0x20); /* digits have the bit already */
	return arena_printf(&r->x->arena, "x-amz-checksum-%s", lower);
}

struct checksum *checksum_new(enum checksum_kind k)
{
	struct checksum *c = MEM_NEW(struct checksum);
	c->kind = k;
	sha1_init(&c->sha1);
	sha256_init(&c->sha256);
	return c;
}

/* Eight bytes a step: table n is for a byte that n more follow. */
static uint64_t nvme[8][256];
static pthread_once_t nvme_once = PTHREAD_ONCE_INIT;

static void nvme_fill(void)
{
	for (unsigned i = 0; i < 256; i++) {
		uint64_t c = i;
		for (int bit = 0; bit < 8; bit++)
			c = (c & 1) ? (c >> 1) ^ NVME_POLYNOMIAL : c >> 1;
		nvme[0][i] = c;
	}
	for (int n = 1; n < 8; n++)
		for (unsigned i = 0; i < 256; i++)
			nvme[n][i] = (nvme[n - 1][i] >> 8) ^ nvme[0][nvme[n - 1][i] & 0xff];
}

static uint64_t crc64nvme(uint64_t crc, const unsigned char *p, size_t len)
{
	pthread_once(&nvme_once, nvme_fill);
	crc = ~crc;
	for (; len >= 8; p += 8, len -= 8) {
		uint64_t next = 0;
		for (int i = 0; i < 8; i++)
			next ^= nvme[7 - i][(p[i] ^ (crc >> (8 * i))) & 0xff];
		crc = next;
	}
	while (len--)
		crc = (crc >> 8) ^ nvme[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

void checksum_update(struct checksum *c, const void *data, size_t len)
{
	switch (c->kind) {
	case CHECKSUM_CRC32:
		c->crc32 = (uint32_t)crc32_z(c->crc32, data, len);
		break;
	case CHECKSUM_CRC32C:
		c->crc32 = crc32c(c->crc32, data, len);
		break;
	case CHECKSUM_CRC64NVME:
		c->crc64 = crc64nvme(c->crc64, data, len);
		break;
	case CHECKSUM_SHA1:
		sha1_update(&c->sha1, len, data);
		break;
	case CHECKSUM_SHA256:
		sha256_update(&c->sha256, len, data);
		break;
	case CHECKSUM_NONE:
		break;
	}
}

void checksum_base64(struct checksum *c, char ret[64])
{
	unsigned char raw[32];
	size_t len = 0;
	switch (c->kind) {
	case CHECKSUM_CRC32:
	case CHECKSUM_CRC32C:
		for (int i = 0; i < 4; i++)
			raw[i] = (unsigned char)(c->crc32 >> (24 - 8 * i));
		len = 4;
		break;
	case CHECKSUM_CRC64NVME:
		for (int i = 0; i < 8; i++)
			raw[i] = (unsigned char)(c->crc64 >> (56 - 8 * i));
		len = 8;
		break;
	case CHECKSUM_SHA1:
		sha1_digest(&c->sha1, len = SHA1_DIGEST_SIZE, raw);
		break;
	case CHECKSUM_SHA256:
		sha256_digest(&c->sha256, len = SHA256_DIGEST_SIZE, raw);
		break;
	case CHECKSUM_NONE:
		break;
	}
	base64_encode(raw, len, ret);
}

void checksum_free(struct checksum *c)
{
	free(c);
}

void base64_encode(const void *data, size_t len, char *ret)
{
	base64_encode_raw(ret, len, data);
	ret[BASE64_ENCODE_RAW_LENGTH(len)] = '\0';
}

bool base64_decode(const char *s, void *ret, size_t len)
{
	struct base64_decode_ctx ctx;
	size_t text = strlen(s), got = BASE64_DECODE_LENGTH(text);
	if (text > 256)
		return false;
	uint8_t raw[BASE64_DECODE_LENGTH(256)];
	base64_decode_init(&ctx);
	if (!base64_decode_update(&ctx, &got, raw, text, s) || !base64_decode_final(&ctx) || got != len)
		return false;
	memcpy(ret, raw, len);
	return true;
}
