/* SPDX-License-Identifier: Apache-2.0 */
/* TFRecord files: records of bytes with checksums. Format: 8 bytes length, 4 bytes masked CRC32C of them, the
 * bytes, 4 bytes masked CRC32C of those; all little-endian. */
#ifndef SERVING_TFRECORD_H
#define SERVING_TFRECORD_H

#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

/* The record at the front of *rest, which moves behind it. Returns 1, or 0 at the end. ERR_CORRUPT,
 * ERR_TOO_LARGE above 'max' bytes. The record is a view. */
int tfrecord_next(struct str *rest, size_t max, struct str *ret, struct err *err);

#endif
