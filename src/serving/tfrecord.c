/* SPDX-License-Identifier: Apache-2.0 */
/* TFRecord files, see tfrecord.h. */
#include "serving/tfrecord.h"

#include <string.h>
#include "base/crc32c.h"

#define HEAD_BYTES 12
#define TAIL_BYTES 4
#define MASK_DELTA 0xa282ead8u

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
