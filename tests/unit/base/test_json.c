/* SPDX-License-Identifier: Apache-2.0 */
/* Parsing and writing of JSON. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include "base/fd.h"
#include "base/json.h"

static const struct {
	const char *in, *out; /* out NULL: refused */
} rows[] = {
    {"{}", "{}"},
    {" [ 1 , 2 ] ", "[1,2]"},
    {"{\"b\":1,\"a\":2}", "{\"b\":1,\"a\":2}"},
    {"0.1", "0.1"},
    {"1e300", "1e+300"},
    {"1.0", "1.0"},
    {"0.30000000000000004", "0.30000000000000004"},
    {"-0.0", "-0.0"},
    {"9223372036854775807", "9223372036854775807"},
    {"\"\\u00e9\\n\\\"\\\\\\u0001\\u007f\"", "\"\xc3\xa9\\n\\\"\\\\\\u0001\\u007f\""},
    {"[true,false,null,\"\"]", "[true,false,null,\"\"]"},
    {"\"[[[[{{{{\"", "\"[[[[{{{{\""},
    {"\"\\\"[\"", "\"\\\"[\""},
    {"", NULL},
    {"{", NULL},
    {"{\"a\":1,}", NULL},
    {"{\"a\":1,\"a\":2}", NULL},
    {"{'a':1}", NULL},
    {"[1] 2", NULL},
    {"\"\\u0000\"", NULL},
    {"\"\xff\"", NULL},
    {"nan", NULL},
    {"1e999", NULL},
    {"99999999999999999999", NULL},
    {"01", NULL},
    {"[\"", NULL},
    {"]", NULL},
};

TEST(the_table_parses_and_writes_as_expected)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(json) json_t *j = NULL;
		CLEANUP(buf) struct buf out = BUF_INIT;
		struct err err = ERR_INIT;
		int r = json_parse(rows[i].in, strlen(rows[i].in), 1000, &j, &err);
		EXPECT_INT(rows[i].in, r, rows[i].out ? 0 : -ERR_INVALID);
		if (r == 0)
			json_write(j, &out);
		EXPECT_STR(rows[i].in, rows[i].out ? buf_str(&out) : NULL, rows[i].out);
	}
}

TEST(an_error_names_line_and_column)
{
	struct err err = ERR_INIT;
	json_t *j = NULL;
	EXPECT_ERR(json_parse("{\n  \"a\": x}", 12, 100, &j, &err), ERR_INVALID, &err, "line 2, column");
	assert_null(j);
}

TEST(text_over_the_limit_is_not_looked_at)
{
	struct err err = ERR_INIT;
	json_t *j = NULL;
	EXPECT_ERR(json_parse("[1,2]", 5, 4, &j, &err), ERR_TOO_LARGE, &err, "at most 4");
}

TEST(nesting_has_a_limit)
{
	char text[2 * JSON_DEPTH_MAX + 2];
	for (int depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
		struct err err = ERR_INIT;
		CLEANUP(json) json_t *j = NULL;
		memset(text, '[', depth);
		memset(text + depth, ']', depth);
		int r = json_parse(text, 2 * depth, sizeof(text), &j, &err);
		assert_int_equal(r, depth <= JSON_DEPTH_MAX ? 0 : -ERR_INVALID);
	}
}

TEST(pretty_text_has_two_spaces_and_a_newline)
{
	CLEANUP(buf) struct buf out = BUF_INIT;
	CLEANUP(json) json_t *j = json_pack("{s:i, s:[i,i], s:{}, s:[]}", "a", 1, "b", 2, 3, "c", "d");
	json_write_pretty(j, &out);
	assert_string_equal(
	    buf_str(&out), "{\n  \"a\": 1,\n  \"b\": [\n    2,\n    3\n  ],\n  \"c\": {},\n  \"d\": []\n}\n");
}

TEST(every_double_reads_back_the_same)
{
	for (int i = 0; i < 20000; i++) {
		uint64_t bits = rng_u64(&test_rng);
		double value;
		memcpy(&value, &bits, sizeof(value));
		if (value - value != 0) /* infinite or not a number */
			continue;
		struct err err = ERR_INIT;
		CLEANUP(buf) struct buf out = BUF_INIT;
		CLEANUP(json) json_t *j = json_real(value), *again = NULL;
		json_write(j, &out);
		EXPECT_OK(json_parse(out.data, out.len, 100, &again, &err), &err);
		assert_true(json_is_real(again));
		double read = json_real_value(again);
		assert_memory_equal(&read, &value, sizeof(value));
	}
}

TEST(a_file_is_read_and_errors_name_it)
{
	struct err err = ERR_INIT;
	CLEANUP(json) json_t *j = NULL;
	CLEANUP(fd) int dir = open(test_dir(), O_RDONLY | O_DIRECTORY);
	EXPECT_OK(fd_write_file_fast(dir, "good", "{\"a\":1}", 7, 0600, &err), &err);
	EXPECT_OK(fd_write_file_fast(dir, "bad", "{", 1, 0600, &err), &err);
	EXPECT_OK(json_read_file(dir, "good", 100, &j, &err), &err);
	assert_int_equal(json_integer_value(json_object_get(j, "a")), 1);
	EXPECT_ERR(json_read_file(dir, "bad", 100, &j, &err), ERR_INVALID, &err, "reading 'bad'");
	EXPECT_ERR(json_read_file(dir, "none", 100, &j, &err), ERR_NOT_FOUND, &err, "'none'");
}
