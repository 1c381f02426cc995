/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers in text. */
#include <stdlib.h>
#include "base/mem.h"
#include "serving/text_proto.h"
#include "unit/test.h"

/* Everything that is read, as one line: name=value, name{ ... }. */
static int read_all(const char *text, struct buf *ret, struct err *err)
{
	struct arena arena = ARENA_INIT(1 << 16);
	struct text_proto t;
	struct text_proto_field f;
	int event = text_proto_init(&t, str_from(text), &arena, err);

	while (event >= 0 && (event = text_proto_next(&t, &f, err)) > 0) {
		buf_add(ret, f.name.data, f.name.data ? f.name.len : 0);
		buf_adds(ret, event == TEXT_PROTO_OPEN ? "{" : event == TEXT_PROTO_CLOSE ? "}" : "=");
		if (event == TEXT_PROTO_VALUE)
			buf_add(ret, f.value.data, f.value.len);
		buf_addc(ret, ' ');
	}
	arena_done(&arena);
	return event;
}

TEST(all_ways_of_writing_are_understood)
{
	static const struct {
		const char *text, *expected;
	} rows[] = {
	    {"", ""},
	    {"# only a comment", ""},
	    {"a: 1 b:2", "a=1 b=2 "},
	    {"a: 1, b: -2; c: 0x1F # end", "a=1 b=-2 c=0x1F "},
	    {"m { a: 1 }", "m{ a=1 } "},
	    {"m: < a: 1 > n{}", "m{ a=1 } n{ } "},
	    {"l: [1, 2,3]", "l=1 l=2 l=3 "},
	    {"l: [] a: 1", "a=1 "},
	    {"l [ {a: 1}, <b: [x, y]> ] z: true", "l{ a=1 } l{ b=x b=y } z=true "},
	    {"s: 'it' \"'s\" # more\n ' one'", "s=it's one "},
	    {"s: \"\\n\\t\\\\\\x41\\101\\u00e9\\U0001F600\"", "s=\n\t\\AA\xc3\xa9\xf0\x9f\x98\x80 "},
	    {"f: 1.5e-3 g: .5f h: -inf", "f=1.5e-3 g=.5f h=-inf "},
	    {"[a.b/c.d] { x: E_NUM }", "[a.b/c.d]{ x=E_NUM } "},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf) struct buf read = BUF_INIT;
		struct err err = ERR_INIT;
		EXPECT_OK(read_all(rows[i].text, &read, &err), &err);
		EXPECT_STR(rows[i].text, buf_str(&read), rows[i].expected);
	}
}

TEST(mistakes_are_told_with_their_line)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {"a: 1\nb", "line 2: field 'b' is not followed by ':'"},
	    {"\n\nm {", "line 3: the text ends inside a message"},
	    {"m { >", "name of a field"},
	    {"a: ", "a value is expected"},
	    {"a: - 1", "gap"},
	    {"a: 'x", "does not end"},
	    {"a: 'x\n'", "does not end"},
	    {"a: '\\q'", "unknown escape"},
	    {"a: '\\777'", "octal"},
	    {"a: '\\ud800'", "does not name a character"},
	    {"l: [1 2]", "',' or ']'"},
	    {"l: [1,", "a value is expected"},
	    {"l: [[1]]", "a value is expected"},
	    {"1: 2", "name of a field"},
	    {"[a: 1", "does not end"},
	    {"}", "name of a field"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf) struct buf read = BUF_INIT;
		struct err err = ERR_INIT;
		EXPECT_ERR(read_all(rows[i].text, &read, &err), ERR_INVALID, &err, rows[i].why);
	}
}

TEST(depth_and_memory_are_limited)
{
	CLEANUP(buf) struct buf text = BUF_INIT, read = BUF_INIT;
	struct err err = ERR_INIT;

	for (int i = 0; i < 100000; i++)
		buf_adds(&text, "m{");
	EXPECT_ERR(read_all(text.data, &read, &err), ERR_TOO_LARGE, &err, "more than 32 messages");
	buf_clear(&text);
	buf_adds(&text, "s: '");
	for (int i = 0; i < 100000; i++)
		buf_addc(&text, 'x');
	buf_addc(&text, '\'');
	EXPECT_ERR(read_all(text.data, &read, &err), ERR_TOO_LARGE, &err, "more memory");
}

TEST(values_have_types)
{
	struct arena arena = ARENA_INIT(1 << 16);
	struct text_proto t;
	struct text_proto_field f;
	struct err err = ERR_INIT;
	const char *text = NULL;
	int64_t whole = 0;
	double real = 0;
	bool yes = false;

	EXPECT_OK(
	    text_proto_init(&t, STR("a: 0x10 b: 1.5 c: true d: 'x' e { f: 1 g { } } h: -7"), &arena, &err),
	    &err);
	text_proto_next(&t, &f, &err);
	EXPECT_OK(text_proto_int(&t, &f, 0, 16, &whole, &err), &err);
	EXPECT_INT("hex", whole, 16);
	EXPECT_ERR(text_proto_int(&t, &f, 0, 15, &whole, &err), ERR_INVALID, &err, "from 0 to 15");
	EXPECT_ERR(text_proto_bool(&t, &f, &yes, &err), ERR_INVALID, &err, "field 'a'");
	EXPECT_ERR(text_proto_string(&t, &f, 9, &text, &err), ERR_INVALID, &err, "in quotes");
	text_proto_next(&t, &f, &err);
	EXPECT_OK(text_proto_double(&t, &f, &real, &err), &err);
	assert_true(real == 1.5);
	EXPECT_ERR(text_proto_int(&t, &f, 0, 15, &whole, &err), ERR_INVALID, &err, "whole");
	text_proto_next(&t, &f, &err);
	EXPECT_OK(text_proto_bool(&t, &f, &yes, &err), &err);
	assert_true(yes);
	text_proto_next(&t, &f, &err);
	EXPECT_OK(text_proto_string(&t, &f, 9, &text, &err), &err);
	EXPECT_STR("d", text, "x");
	EXPECT_ERR(text_proto_double(&t, &f, &real, &err), ERR_INVALID, &err, "a number");
	EXPECT_INT("open", text_proto_next(&t, &f, &err), TEXT_PROTO_OPEN);
	EXPECT_OK(text_proto_skip(&t, &err), &err);
	text_proto_next(&t, &f, &err);
	EXPECT_OK(text_proto_int(&t, &f, -7, 0, &whole, &err), &err);
	EXPECT_INT("end", text_proto_next(&t, &f, &err), TEXT_PROTO_EOF);
	arena_done(&arena);
}
