/* SPDX-License-Identifier: Apache-2.0 */
/* Compression of answers, see deflate.h. */
#include "serving/deflate.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#define WINDOW_ZLIB 15
#define WINDOW_GZIP (15 + 16)
#define MEMORY_LEVEL 8
#define CHUNK ((size_t)256 * 1024)

const char *http_coding_name(enum http_coding coding)
{
	return coding == CODING_GZIP ? "gzip" : coding == CODING_DEFLATE ? "deflate" : "identity";
}

/* "gzip;q=0.5": the weight, 1 when it is not said. */
static double weight_of(const char *item, size_t len)
{
	const char *q = memmem(item, len, "q=", 2);

	return q ? strtod(q + 2, NULL) : 1;
}

enum http_coding http_coding_accepted(const char *accept_encoding)
{
	enum http_coding best = CODING_IDENTITY;
	double best_weight = 0, weight;
	const char *p = accept_encoding ? accept_encoding : "";

	while (*p) {
		p += strspn(p, " \t,");
		size_t len = strcspn(p, ","), word = strcspn(p, " \t;,");
		enum http_coding c = word == 4 && strncasecmp(p, "gzip", 4) == 0      ? CODING_GZIP
				     : word == 7 && strncasecmp(p, "deflate", 7) == 0 ? CODING_DEFLATE
										      : CODING_IDENTITY;
		weight = c == CODING_IDENTITY ? 0 : weight_of(p, len);
		if (weight > best_weight) {
			best = c;
			best_weight = weight;
		}
		p += len;
	}
	return best;
}

int deflate_all(const void *data, size_t len, enum http_coding coding, struct buf *ret, struct err *err)
{
	z_stream z = {.next_in = (Bytef *)data};
	size_t left = len;
	int rc;

	if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, coding == CODING_GZIP ? WINDOW_GZIP : WINDOW_ZLIB,
			 MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return err_set(err, ERR_NO_MEMORY, "no memory to compress an answer");
	do {
		if (z.avail_in == 0) {
			z.avail_in = left > UINT_MAX ? UINT_MAX : (uInt)left;
			left -= z.avail_in;
		}
		buf_reserve(ret, CHUNK);
		z.next_out = (Bytef *)ret->data + ret->len;
		z.avail_out = CHUNK;
		rc = deflate(&z, left == 0 ? Z_FINISH : Z_NO_FLUSH);
		ret->len += CHUNK - z.avail_out;
	} while (rc != Z_STREAM_END);
	ret->data[ret->len] = 0;
	deflateEnd(&z);
	return 0;
}
