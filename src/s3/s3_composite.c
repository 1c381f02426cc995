/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checksum of an object that is made of parts: of all its bytes (FULL_OBJECT), joined from the parts'
 * CRCs without reading them again, or of the parts' checksums (COMPOSITE), with their number behind it.
 */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define RAW_MAX 32

/* Reversed polynomials of the CRCs; width 0: no CRC, it cannot be joined. */
static const struct algorithm {
	size_t bytes;
	int width;
	uint64_t polynomial;
	bool composite, full;
} algorithms[] = {[CHECKSUM_CRC32] = {4, 32, 0xedb88320, true, true},
		  [CHECKSUM_CRC32C] = {4, 32, 0x82f63b78, true, true},
		  [CHECKSUM_CRC64NVME] = {8, 64, UINT64_C(0x9a6c9329ac4bc9b5), false, true},
		  [CHECKSUM_SHA1] = {20, 0, 0, true, false},
		  [CHECKSUM_SHA256] = {32, 0, 0, true, false}};

enum s3_error composite_choose(const char *name, const char *type, struct s3_composite *ret)
{
	*ret = (struct s3_composite){0};
	if (!name || !*name)
		return type ? S3_INVALID_REQUEST : S3_OK;
	ret->kind = checksum_kind_of(name);
	if (!ret->kind)
		return S3_INVALID_REQUEST;
	const struct algorithm *a = &algorithms[ret->kind];
	ret->is_full = type ? strcmp(type, "FULL_OBJECT") == 0 : !a->composite;
	if (type && !ret->is_full && strcmp(type, "COMPOSITE") != 0)
		return S3_INVALID_REQUEST;
	return (ret->is_full ? a->full : a->composite) ? S3_OK : S3_INVALID_REQUEST;
}

const char *composite_type(const struct s3_composite *c)
{
	return c->is_full ? "FULL_OBJECT" : "COMPOSITE";
}

void composite_keep(json_t *attributes, const struct s3_composite *c)
{
	if (c->kind)
		json_object_set_new(attributes, "m",
				    json_pack("[s,s]", checksum_word(c->kind), composite_type(c)));
}

struct s3_composite composite_take(json_t *attributes)
{
	struct s3_composite c = {0};
	json_t *kept = json_object_get(attributes, "m");
	const char *name = json_string_value(json_array_get(kept, 0));
	if (name)
		(void)composite_choose(name, json_string_value(json_array_get(kept, 1)), &c);
	json_object_del(attributes, "m");
	return c;
}

/* Polynomials modulo p, bit 'width - 1' is x^0 (as in the CRC itself). */
static uint64_t multiply(const struct algorithm *a, uint64_t x, uint64_t y)
{
	uint64_t product = 0;
	for (uint64_t bit = UINT64_C(1) << (a->width - 1); bit; bit >>= 1) {
		if (x & bit)
			product ^= y;
		y = (y & 1) ? (y >> 1) ^ a->polynomial : y >> 1;
	}
	return product;
}

/* The CRC of what has 'first' followed by 'len' bytes with 'second': first * x^(8 len) + second. */
static uint64_t join(const struct algorithm *a, uint64_t first, uint64_t second, int64_t len)
{
	uint64_t power = UINT64_C(1) << (a->width - 1), base = UINT64_C(1) << (a->width - 2);
	for (uint64_t n = 8 * (uint64_t)len; n; n >>= 1) {
		if (n & 1)
			power = multiply(a, power, base);
		base = multiply(a, base, base);
	}
	return multiply(a, first, power) ^ second;
}

static uint64_t read_number(const unsigned char *raw, size_t bytes)
{
	uint64_t n = 0;
	for (size_t i = 0; i < bytes; i++)
		n = n << 8 | raw[i];
	return n;
}

bool composite_part(const struct s3_composite *c, const struct blob_part *part, unsigned char *ret_raw)
{
	const char *word = checksum_word(c->kind);
	size_t len = strlen(word);
	return strncmp(part->checksum, word, len) == 0 && part->checksum[len] == '=' &&
	       base64_decode(part->checksum + len + 1, ret_raw, algorithms[c->kind].bytes);
}

int composite_compute(const struct s3_composite *c, const struct blob_part *parts, size_t count, char ret[80])
{
	const struct algorithm *a = &algorithms[c->kind];
	struct checksum *sum = checksum_new(c->kind);
	unsigned char raw[RAW_MAX];
	uint64_t crc = 0;
	size_t i = 0;
	for (; i < count && composite_part(c, &parts[i], raw); i++) {
		if (c->is_full)
			crc = i ? join(a, crc, read_number(raw, a->bytes), parts[i].size_bytes)
				: read_number(raw, a->bytes);
		else
			checksum_update(sum, raw, a->bytes);
	}
	if (c->is_full) {
		for (size_t k = 0; k < a->bytes; k++)
			raw[k] = (unsigned char)(crc >> (8 * (a->bytes - 1 - k)));
		base64_encode(raw, a->bytes, ret);
	} else {
		char text[64];
		checksum_base64(sum, text);
		snprintf(ret, 80, "%s-%zu", text, count);
	}
	checksum_free(sum);
	return i < count ? parts[i].number : 0;
}

bool composite_matches(const char *announced, const char *computed)
{
	size_t len = strcspn(computed, "-");
	return strcmp(announced, computed) == 0 ||
	       (strlen(announced) == len && strncmp(announced, computed, len) == 0);
}
