/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of answers, and what a client says it can read. */
#ifndef SERVING_DEFLATE_H
#define SERVING_DEFLATE_H

#include <stddef.h>
#include "base/buf.h"
#include "base/err.h"

enum http_coding { CODING_IDENTITY, CODING_GZIP, CODING_DEFLATE };

/* The coding that the value of Accept-Encoding (NULL: absent) likes best among ours. */
enum http_coding http_coding_accepted(const char *accept_encoding);
const char *http_coding_name(enum http_coding coding); /* "gzip" */
/* Appends the bytes compressed, fast rather than small. ERR_NO_MEMORY. Any thread. */
int deflate_all(const void *data, size_t len, enum http_coding coding, struct buf *ret, struct err *err);

#endif
