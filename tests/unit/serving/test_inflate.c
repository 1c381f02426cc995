/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed bodies, honest and not. */
#include <string.h>
#include <zlib.h>
#include "base/mem.h"
#include "serving/inflate.h"
#include "unit/test.h"

static size_t deflate_to(const char *data, size_t len, int window, unsigned char *to, size_t cap)
{
	z_stream z = {
	    .next_in = (Bytef *)data, .avail_in = (uInt)len, .next_out = to, .avail_out = (uInt)cap};

	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	deflateEnd(&z);
	return cap - z.avail_out;
}

TEST(gzip_and_deflate_are_told_apart)
{
	unsigned char packed[256];

	for (int gzip = 0; gzip < 2; gzip++) {
		CLEANUP(buf) struct buf out = BUF_INIT;
		struct err err = ERR_INIT;
		size_t n = deflate_to("hello hello hello", 17, gzip ? 15 + 16 : 15, packed, sizeof(packed));
		EXPECT_OK(inflate_all(packed, n, 100, &out, &err), &err);
		EXPECT_STR("text", buf_str(&out), "hello hello hello");
	}
}

TEST(a_bomb_is_refused_early)
{
	CLEANUP(free) char *zeros = mem_alloc(1 << 24);
	CLEANUP(free) unsigned char *packed = mem_alloc(1 << 16);
	CLEANUP(buf) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	size_t n = deflate_to(zeros, 1 << 24, 15 + 16, packed, 1 << 16);

	EXPECT_ERR(inflate_all(packed, n, 1 << 20, &out, &err), ERR_TOO_LARGE, &err, "more than");
	assert_true(out.cap <= 1 << 22);
}

TEST(damaged_bodies_are_refused)
{
	unsigned char packed[256];
	CLEANUP(buf) struct buf out = BUF_INIT;
	struct err err = ERR_INIT;
	size_t n = deflate_to("hello hello hello", 17, 15, packed, sizeof(packed));

	EXPECT_ERR(inflate_all(packed, n - 1, 100, &out, &err), ERR_INVALID, &err, "malformed");
	EXPECT_ERR(inflate_all(packed, n + 1, 100, &out, &err), ERR_INVALID, &err, "behind its end");
	EXPECT_ERR(inflate_all("not packed", 10, 100, &out, &err), ERR_INVALID, &err, "malformed");
	EXPECT_ERR(inflate_all("", 0, 100, &out, &err), ERR_INVALID, &err, "malformed");
	EXPECT_INT("nothing is left", (int64_t)out.len, 0);
}
