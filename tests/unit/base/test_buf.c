/* SPDX-License-Identifier: Apache-2.0 */
/* Byte buffers and string views. */
#include "unit/test.h"

#include "base/buf.h"
#include "base/mem.h"

TEST(an_empty_buffer_is_an_empty_string)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	assert_string_equal(buf_str(&b), "");
	assert_null(b.data);
	CLEANUP(free) char *s = buf_steal(&b);
	assert_string_equal(s, "");
}

TEST(there_is_always_a_nul_behind_the_last_byte)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	for (int i = 1; i < 1000; i++) {
		buf_addc(&b, 'x');
		assert_int_equal(b.len, i);
		assert_int_equal(b.data[i], 0);
	}
	buf_clear(&b);
	assert_string_equal(buf_str(&b), "");
	buf_add(&b, NULL, 0);
	assert_int_equal(b.len, 0);
}

TEST(printf_appends_whatever_the_length)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	size_t expected = 0;
	for (int width = 1; width < 5000; width = width * 2 + 1) {
		buf_printf(&b, "%*d", width, 7);
		expected += width;
		assert_int_equal(b.len, expected);
		assert_int_equal(strlen(b.data), expected);
	}
}

TEST(consume_drops_at_the_front)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	buf_consume(&b, 0);
	buf_adds(&b, "hello world");
	buf_consume(&b, 6);
	assert_string_equal(buf_str(&b), "world");
	buf_consume(&b, 5);
	assert_string_equal(buf_str(&b), "");
}

TEST(a_stolen_string_belongs_to_the_caller)
{
	struct buf b = BUF_INIT;
	buf_adds(&b, "mine");
	CLEANUP(free) char *s = buf_steal(&b);
	assert_string_equal(s, "mine");
	assert_null(b.data);
	assert_int_equal(b.cap, 0);
}

TEST(views_compare_by_length_and_bytes)
{
	assert_true(str_eq(STR("abc"), "abc"));
	assert_true(str_eq((struct str){NULL, 0}, ""));
	assert_false(str_eq(STR("abc"), "abcd"));
	assert_false(str_eq(STR("abcd"), "abc"));
	assert_int_equal(str_from("four").len, 4);
	assert_true(str_starts("model.onnx", "model"));
	assert_false(str_starts("mod", "model"));
	assert_true(str_ends("model.onnx", ".onnx"));
	assert_false(str_ends("x", ".onnx"));
}
