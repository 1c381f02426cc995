/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression of request bodies with a limit on what comes out. */
#ifndef SERVING_INFLATE_H
#define SERVING_INFLATE_H

#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"

/* Appends what the gzip or zlib stream (told apart by its first bytes) holds. ERR_TOO_LARGE as soon as more
 * than 'max' bytes would come out; ERR_INVALID when malformed, cut off or followed by something else. */
int inflate_all(const void *data, size_t len, size_t max, struct buf *ret, struct err *err);

#endif
