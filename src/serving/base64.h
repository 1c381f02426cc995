/* SPDX-License-Identifier: Apache-2.0 */
/* Base 64 (RFC 4648, section 4) for binary strings in JSON. */
#ifndef SERVING_BASE64_H
#define SERVING_BASE64_H

#include "base/buf.h"

void base64_encode(struct buf *b, struct str bytes);
/* Decodes into 'to', which has room for text.len / 4 * 3 + 3 bytes. Padding may be missing. Returns the
 * number of bytes, -1 when malformed. */
long base64_decode(struct str text, char *to);

#endif
