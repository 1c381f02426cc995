/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers wire format. */
#include "net/pb.h"
#include "unit/test.h"

static void expect_refused(const char *bytes, size_t len, const char *why)
{
	struct err err = ERR_INIT;
	struct pb p;
	struct pb_field f;

	pb_init(&p, bytes, len);
	while (pb_next(&p, &f))
		;
	EXPECT_ERR(pb_end(&p, "Thing", &err), ERR_INVALID, &err, why);
	assert_false(pb_next(&p, &f));
}

TEST(every_kind_of_field_reads_back_as_written)
{
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct pb p;
	struct pb_field f;

	pb_add_varint(&b, 1, UINT64_MAX);
	pb_add_fixed32(&b, 2, 0xdeadbeef);
	pb_add_fixed64(&b, 3, 0x0123456789abcdef);
	pb_add_float(&b, 4, -1.5f);
	pb_add_double(&b, 5, 2.25);
	pb_add_string(&b, PB_FIELD_MAX, "text");
	pb_init(&p, b.data, b.len);
	assert_true(pb_next(&p, &f) && pb_is(&f, 1, PB_VARINT) && f.value == UINT64_MAX);
	assert_true(pb_next(&p, &f) && pb_is(&f, 2, PB_FIXED32) && f.value == 0xdeadbeef);
	assert_true(pb_next(&p, &f) && pb_is(&f, 3, PB_FIXED64) && f.value == 0x0123456789abcdef);
	assert_true(pb_next(&p, &f) && f.value == 0xbfc00000 /* -1.5 */);
	assert_true(pb_next(&p, &f) && f.value == 0x4002000000000000 /* 2.25 */);
	assert_true(pb_next(&p, &f) && pb_is(&f, PB_FIELD_MAX, PB_BYTES) && str_eq(f.bytes, "text"));
	assert_false(pb_next(&p, &f));
	EXPECT_OK(pb_end(&p, "Thing", &err), &err);
	buf_done(&b);
}

TEST(malformed_messages_are_refused_with_a_reason)
{
	expect_refused("\x08", 1, "cut off");
	expect_refused("\x08\x80", 2, "cut off");
	expect_refused("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, "over 64 bits");
	expect_refused("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, "over 64 bits");
	expect_refused("\x0a", 1, "length cut off");
	expect_refused("\x0a\x05"
		       "abcd",
		       6, "length past the end");
	expect_refused("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, "length past the end");
	expect_refused("\x0d\x01\x02\x03", 4, "fixed number cut off");
	expect_refused("\x00\x01", 2, "field number");
	expect_refused("\x0b\x0c", 2, "groups");
	expect_refused("\x0e\x01", 2, "wire type");
	expect_refused("\x80\x80\x80\x80\x10\x01", 6, "field number");
}

TEST(a_varint_of_ten_bytes_holds_all_64_bits)
{
	struct pb p;
	struct pb_field f;

	pb_init(&p, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11);
	assert_true(pb_next(&p, &f));
	assert_true(f.value == UINT64_MAX);
}

TEST(a_nested_message_closes_right_whatever_length_was_expected)
{
	static const size_t lengths[] = {0, 1, 127, 128, 300, 20000};

	for (size_t content = 0; content < 6; content++) {
		for (size_t guess = 0; guess < 6; guess++) {
			struct buf b = BUF_INIT, bytes = BUF_INIT;
			struct pb p;
			struct pb_field f;
			for (size_t i = 0; i < lengths[content]; i++)
				buf_addc(&bytes, (char)i);
			pb_add_varint(&b, 1, 7);
			struct pb_mark mark = pb_begin(&b, 2, lengths[guess]);
			buf_add(&b, bytes.data, bytes.len);
			pb_close(&b, mark);
			pb_add_varint(&b, 3, 9);
			pb_init(&p, b.data, b.len);
			assert_true(pb_next(&p, &f) && f.value == 7);
			assert_true(pb_next(&p, &f) && f.bytes.len == bytes.len);
			assert_memory_equal(f.bytes.data, buf_str(&bytes), bytes.len);
			assert_true(pb_next(&p, &f) && f.value == 9);
			assert_false(pb_next(&p, &f));
			buf_done(&b);
			buf_done(&bytes);
		}
	}
}

TEST(text_that_is_no_utf8_makes_a_message_malformed)
{
	static const char good[] = "\x0a\x02\xc3\xa4\x10\x01", bad[] = "\x0a\x02\xc3(\x10\x01";
	struct str text = {"", 0};
	struct err err = ERR_INIT;
	struct pb_field f;
	struct pb p;

	pb_init(&p, good, sizeof(good) - 1);
	assert_true(pb_next(&p, &f));
	pb_text(&p, &f, &text);
	assert_true(str_eq(text, "\xc3\xa4") && pb_next(&p, &f) && !pb_next(&p, &f));
	EXPECT_OK(pb_end(&p, "thing", &err), &err);
	pb_init(&p, bad, sizeof(bad) - 1);
	assert_true(pb_next(&p, &f));
	pb_text(&p, &f, &text);
	assert_false(pb_next(&p, &f));
	EXPECT_ERR(pb_end(&p, "thing", &err), ERR_INVALID, &err,
		   "malformed thing: a string that is no UTF-8");
}
