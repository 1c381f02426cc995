/* SPDX-License-Identifier: Apache-2.0 */
/* What is UTF-8 and what is not. */
#include "base/mem.h"
#include "base/utf8.h"
#include "unit/test.h"

TEST(text_is_told_from_bytes)
{
	static const struct {
		const char *text;
		bool is;
	} rows[] = {
	    {"", true},
	    {"plain", true},
	    {"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", true},
	    {"\xf4\x8f\xbf\xbf", true},	 /* the last one, U+10FFFF */
	    {"\xf4\x90\x80\x80", false}, /* behind it */
	    {"\xed\x9f\xbf\xee\x80\x80", true},
	    {"\xed\xa0\x80", false}, /* a surrogate */
	    {"\xc0\x80", false},     /* overlong */
	    {"\xc1\xbf", false},
	    {"\xe0\x9f\xbf", false},
	    {"\xf0\x8f\xbf\xbf", false},
	    {"\x80", false},
	    {"a\xff", false},
	    {"\xc3", false}, /* cut */
	    {"\xe2\x82", false},
	    {"\xf0\x9f\x98", false},
	    {"\xc3(", false},
	    {"\xe2(\xac", false},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		EXPECT_INT(rows[i].text, utf8_is(str_from(rows[i].text)), rows[i].is);
	EXPECT_INT("NULL", utf8_is((struct str){NULL, 0}), true);
}

TEST(a_character_has_a_length_and_what_is_none_has_not)
{
	static const char text[] = "a\xc3\xa4\xff";

	EXPECT_INT("a", utf8_length(text, text + 4), 1);
	EXPECT_INT("two bytes", utf8_length(text + 1, text + 4), 2);
	EXPECT_INT("cut", utf8_length(text + 1, text + 2), 0);
	EXPECT_INT("none", utf8_length(text + 3, text + 4), 0);
}
