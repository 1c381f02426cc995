/* SPDX-License-Identifier: Apache-2.0 */
/* TFRecord files. */
#include "base/mem.h"
#include "serving/tfrecord.h"
#include "unit/test.h"

/* Two records, "first" and "", as TensorFlow writes them. */
static const unsigned char file[] = {0x05, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xea, 0xb2,
				     0x04, 0x3e, 0x66, 0x69, 0x72, 0x73, 0x74, 0x55, 0xff, 0x23,
				     0xe5, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x29,
				     0x03, 0x98, 0x07, 0xd8, 0xea, 0x82, 0xa2};

TEST(records_are_read_one_after_the_other)
{
	struct str rest = {(const char *)file, sizeof(file)}, record;
	struct err err = ERR_INIT;

	EXPECT_INT("first", tfrecord_next(&rest, 5, &record, &err), 1);
	assert_true(str_eq(record, "first"));
	EXPECT_INT("second", tfrecord_next(&rest, 5, &record, &err), 1);
	assert_true(str_eq(record, ""));
	EXPECT_INT("end", tfrecord_next(&rest, 5, &record, &err), 0);
}

TEST(no_flipped_bit_and_no_cut_goes_unnoticed)
{
	for (size_t i = 0; i < sizeof(file) * 8; i++) {
		unsigned char copy[sizeof(file)];
		struct str rest = {(const char *)copy, sizeof(copy)}, record;
		struct err err = ERR_INIT;
		int r;
		memcpy(copy, file, sizeof(file));
		copy[i / 8] ^= (unsigned char)(1 << i % 8);
		while ((r = tfrecord_next(&rest, 1000, &record, &err)) > 0)
			;
		EXPECT_INT("corrupt", r, -ERR_CORRUPT);
	}
	for (size_t len = 1; len < sizeof(file); len++) {
		struct str rest = {(const char *)file, len}, record;
		struct err err = ERR_INIT;
		int r;
		while ((r = tfrecord_next(&rest, 1000, &record, &err)) > 0)
			;
		EXPECT_INT("cut", r, len == sizeof(file) - 16 ? 0 : -ERR_CORRUPT);
	}
	struct str rest = {(const char *)file, sizeof(file)}, record;
	struct err err = ERR_INIT;
	EXPECT_ERR(tfrecord_next(&rest, 4, &record, &err), ERR_TOO_LARGE, &err, "5 bytes");
}
