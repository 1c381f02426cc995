/* SPDX-License-Identifier: Apache-2.0 */
/* TFRecord files, see tfrecord.h. */
#include "serving/tfrecord.h"

#include <string.h>

#define HEAD_BYTES 12
#define TAIL_BYTES 4
#define CASTAGNOLI 0x82f63b78u /* reflected */
#define MASK_DELTA 0xa282ead8u

/* Bit by bit over half bytes: warm-up files are small and read once. */
uint32_t crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t table[16];

	for (uint32_t i = 0; i < 16; i++) {
		table[i] = i;
		for (int bit = 0; bit < 4; bit++)
			table[i] = table[i] & 1 ? table[i] >> 1 ^ CASTAGNOLI : table[i] >> 1;
	}
	crc = ~crc;
	for (size_t i = 0; i < len; i++) {
		crc = crc >> 4 ^ table[(crc ^ p[i]) & 15];
		crc = crc >> 4 ^ table[(crc ^ (uint32_t)(p[i] >> 4)) & 15];
	}
	return ~crc;
}

static uint32_t masked(const void *data, size_t len)
{
	uint32_t crc = crc32c(0, data, len);

	return (crc >> 15 | crc << 17) + MASK_DELTA;
}

static uint32_t read32(const char *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

int tfrecord_next(struct str *rest, size_t max, struct str *ret, struct err *err)
{
	uint64_t len;

	if (rest->len == 0)
		return 0;
	if (rest->len < HEAD_BYTES)
		return err_set(err, ERR_CORRUPT, "truncated record");
	memcpy(&len, rest->data, sizeof(len));
	if (read32(rest->data + 8) != masked(rest->data, 8))
		return err_set(err, ERR_CORRUPT, "corrupted record: the checksum of its length differs");
	if (len > max)
		return err_set(err, ERR_TOO_LARGE, "a record has %llu bytes, at most %zu are read",
			       (unsigned long long)len, max);
	if (len > rest->len - HEAD_BYTES || rest->len - HEAD_BYTES - len < TAIL_BYTES)
		return err_set(err, ERR_CORRUPT, "truncated record");
	*ret = (struct str){rest->data + HEAD_BYTES, (size_t)len};
	if (read32(ret->data + len) != masked(ret->data, ret->len))
		return err_set(err, ERR_CORRUPT, "corrupted record: the checksum of its bytes differs");
	rest->data += HEAD_BYTES + len + TAIL_BYTES;
	rest->len -= HEAD_BYTES + (size_t)len + TAIL_BYTES;
	return 1;
}
