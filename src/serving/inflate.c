/* SPDX-License-Identifier: Apache-2.0 */
/* Decompression of request bodies, see inflate.h. */
#include "serving/inflate.h"

#include <limits.h>
#include <zlib.h>

#define CHUNK ((size_t)64 * 1024)
#define WINDOW_GZIP_OR_ZLIB (15 + 32)

static int inflate_loop(z_stream *z, size_t max, struct buf *ret, struct err *err)
{
	size_t total = 0;
	int rc;

	do {
		buf_reserve(ret, CHUNK);
		z->next_out = (Bytef *)ret->data + ret->len;
		z->avail_out = CHUNK;
		rc = inflate(z, Z_NO_FLUSH);
		if (rc != Z_OK && rc != Z_STREAM_END)
			return err_set(err, ERR_INVALID, "malformed compressed body: %s",
				       rc == Z_BUF_ERROR ? "cut off"
				       : z->msg		 ? z->msg
							 : "not gzip or deflate");
		ret->len += CHUNK - z->avail_out;
		total += CHUNK - z->avail_out;
		if (total > max)
			return err_set(err, ERR_TOO_LARGE, "compressed body holds more than %zu bytes", max);
	} while (rc != Z_STREAM_END);
	ret->data[ret->len] = 0;
	if (z->avail_in > 0)
		return err_set(err, ERR_INVALID, "malformed compressed body: bytes behind its end");
	return 0;
}

int inflate_all(const void *data, size_t len, size_t max, struct buf *ret, struct err *err)
{
	z_stream z = {.next_in = (Bytef *)data, .avail_in = (uInt)len};
	size_t before = ret->len;
	int r;

	if (len > UINT_MAX)
		return err_set(err, ERR_TOO_LARGE, "compressed body of %zu bytes", len);
	if (inflateInit2(&z, WINDOW_GZIP_OR_ZLIB) != Z_OK)
		return err_set(err, ERR_NO_MEMORY, "no memory to decompress a body");
	r = inflate_loop(&z, max, ret, err);
	inflateEnd(&z);
	if (r < 0)
		ret->len = before;
	return r;
}
