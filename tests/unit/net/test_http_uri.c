/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets: decoded once, refused when not clean. */
#include <stdio.h>
#include "net/http_uri.h"
#include "unit/test.h"

static int parse(const char *raw, struct http_uri *ret, struct arena *arena, struct err *err)
{
	*arena = ARENA_INIT(1 << 20);
	*err = ERR_INIT;
	return http_uri_parse(raw, arena, ret, err);
}

TEST(a_path_is_split_first_and_decoded_once)
{
	static const struct {
		const char *raw, *joined;
		bool slash;
	} rows[] = {
	    {"/", "", true},
	    {"/a", "a", false},
	    {"/a/b", "a|b", false},
	    {"/a/", "a", true},
	    {"/a%20b/%C3%A9", "a b|\xc3\xa9", false},
	    {"/a+b", "a+b", false},
	    {"/100%25", "100%", false},
	    {"/...", "...", false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct http_uri u;
		struct arena arena;
		struct err err;
		char joined[256] = "";
		EXPECT_OK(parse(rows[i].raw, &u, &arena, &err), &err);
		for (size_t j = 0; j < u.segment_count; j++) {
			strcat(joined, j ? "|" : "");
			strcat(joined, u.segments[j]);
		}
		EXPECT_STR(rows[i].raw, joined, rows[i].joined);
		EXPECT_INT(rows[i].raw, u.trailing_slash, rows[i].slash);
		arena_done(&arena);
	}
}

TEST(an_unclean_target_is_refused)
{
	static const struct {
		const char *raw, *why;
	} rows[] = {
	    {"", "must start"},	   {"a", "must start"},	      {"http://x/a", "must start"},
	    {"*", "must start"},   {"//", "empty segment"},   {"/a//b", "empty segment"},
	    {"/.", "'.'"},	   {"/a/../b", "'..'"},	      {"/%2e%2e/x", "'..'"},
	    {"/a%2fb", "slash"},   {"/a%5cb", "slash"},	      {"/a\\b", "slash"},
	    {"/a%00b", "control"}, {"/a%0ab", "control"},     {"/%7f", "control"},
	    {"/%", "broken"},	   {"/%2", "broken"},	      {"/%zz", "broken"},
	    {"/%252e", "twice"},   {"/%25%32%65", "twice"},   {"/%ff", "UTF-8"},
	    {"/%c0%ae", "UTF-8"},  {"/a#b", "fragment"},      {"/?a=1&a=2", "twice"},
	    {"/?a=%", "broken"},   {"/?a=%00", "UTF-8 text"}, {"/?%ff=1", "UTF-8 text"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct http_uri u;
		struct arena arena;
		struct err err;
		EXPECT_ERR(parse(rows[i].raw, &u, &arena, &err), ERR_INVALID, &err, rows[i].why);
		arena_done(&arena);
	}
}

TEST(a_query_is_split_at_ampersands_and_equals)
{
	struct http_uri u;
	struct arena arena;
	struct err err;
	EXPECT_OK(parse("/x?a=1&b=&c&d=x%26y%3Dz&e=one+two&&f=a=b", &u, &arena, &err), &err);
	EXPECT_STR("a", http_uri_query(&u, "a"), "1");
	EXPECT_STR("b", http_uri_query(&u, "b"), "");
	EXPECT_STR("c", http_uri_query(&u, "c"), "");
	EXPECT_STR("d", http_uri_query(&u, "d"), "x&y=z");
	EXPECT_STR("e", http_uri_query(&u, "e"), "one two");
	EXPECT_STR("f", http_uri_query(&u, "f"), "a=b");
	assert_null(http_uri_query(&u, "g"));
	assert_int_equal(u.query_count, 6);
	arena_done(&arena);
}

TEST(too_many_parts_are_refused)
{
	char raw[HTTP_URI_BYTES_MAX + 8];
	struct http_uri u;
	struct arena arena;
	struct err err;
	size_t n = 0;
	for (int i = 0; i <= HTTP_SEGMENTS_MAX; i++)
		n += (size_t)snprintf(raw + n, sizeof(raw) - n, "/a");
	EXPECT_ERR(parse(raw, &u, &arena, &err), ERR_TOO_LARGE, &err, "segments");
	arena_done(&arena);
	n = (size_t)snprintf(raw, sizeof(raw), "/?");
	for (int i = 0; i <= HTTP_QUERY_MAX; i++)
		n += (size_t)snprintf(raw + n, sizeof(raw) - n, "k%d=1&", i);
	EXPECT_ERR(parse(raw, &u, &arena, &err), ERR_TOO_LARGE, &err, "parameters");
	arena_done(&arena);
	memset(raw, 'a', sizeof(raw));
	raw[0] = '/';
	raw[sizeof(raw) - 1] = 0;
	EXPECT_ERR(parse(raw, &u, &arena, &err), ERR_TOO_LARGE, &err, "longer");
	arena_done(&arena);
}
