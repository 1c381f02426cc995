/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges, cookies, entity tags, hosts. */
#include "net/http_header.h"
#include "unit/test.h"

TEST(a_range_is_read_as_rfc_9110_says)
{
	static const struct {
		const char *value;
		int64_t size;
		enum http_range result;
		int64_t first, length;
	} rows[] = {
	    {NULL, 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"bytes=0-4", 10, HTTP_RANGE_PART, 0, 5},
	    {"BYTES=0-4", 10, HTTP_RANGE_PART, 0, 5},
	    {"bytes=0-0", 1, HTTP_RANGE_PART, 0, 1},
	    {"bytes=5-", 10, HTTP_RANGE_PART, 5, 5},
	    {"bytes=9-100", 10, HTTP_RANGE_PART, 9, 1},
	    {"bytes=-3", 10, HTTP_RANGE_PART, 7, 3},
	    {"bytes=-100", 10, HTTP_RANGE_PART, 0, 10},
	    {"bytes=10-", 10, HTTP_RANGE_UNSATISFIED, 0, 0},
	    {"bytes=-0", 10, HTTP_RANGE_UNSATISFIED, 0, 0},
	    {"bytes=-5", 0, HTTP_RANGE_UNSATISFIED, 0, 0},
	    {"bytes=0-", 0, HTTP_RANGE_UNSATISFIED, 0, 0},
	    {"bytes=4-2", 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"bytes=0-1,3-4", 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"bytes=-", 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"bytes=", 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"bytes=a-b", 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"bytes= 1-2", 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"bytes=1-2x", 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"bytes=99999999999999999999-", 10, HTTP_RANGE_WHOLE, 0, 0},
	    {"items=0-4", 10, HTTP_RANGE_WHOLE, 0, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		int64_t first = 0, length = 0;
		enum http_range r = http_range_parse(rows[i].value, rows[i].size, &first, &length);
		EXPECT_INT(rows[i].value ? rows[i].value : "none", r, rows[i].result);
		EXPECT_INT(rows[i].value, first, rows[i].first);
		EXPECT_INT(rows[i].value, length, rows[i].length);
	}
}

TEST(a_cookie_is_found_by_its_whole_name)
{
	static const struct {
		const char *header, *value; /* NULL = not found */
	} rows[] = {
	    {"s=abc", "abc"},	  {"a=1; s=abc; b=2", "abc"},
	    {"a=1;s=abc", "abc"}, {"s=\"abc\"", "abc"},
	    {"s=abc ", "abc"},	  {"s=", ""},
	    {"s=a=b", "a=b"},	  {"xs=1", NULL},
	    {"s", NULL},	  {"", NULL},
	    {";;; ", NULL},	  {"s=0123456789abcdef", NULL},
	    {NULL, NULL},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char value[8] = "-";
		bool found = http_cookie_get(rows[i].header, "s", value, sizeof(value));
		EXPECT_INT(rows[i].header, found, rows[i].value != NULL);
		if (found)
			EXPECT_STR(rows[i].header, value, rows[i].value);
	}
}

TEST(an_entity_tag_matches_weakly_and_in_lists)
{
	assert_true(http_etag_matches("\"abc\"", "abc"));
	assert_true(http_etag_matches("W/\"abc\"", "abc"));
	assert_true(http_etag_matches("\"x\", \"abc\"", "abc"));
	assert_true(http_etag_matches("*", "abc"));
	assert_false(http_etag_matches("\"abcd\"", "abc"));
	assert_false(http_etag_matches("abc", "abc"));
	assert_false(http_etag_matches("\"abc", "abc"));
	assert_false(http_etag_matches("", "abc"));
	assert_false(http_etag_matches(NULL, "abc"));
}

TEST(only_names_of_this_machine_are_hosts)
{
	static const char *const names[] = {"ml.example", NULL};
	static const struct {
		const char *host;
		bool allowed;
	} rows[] = {
	    {"localhost", true},
	    {"localhost:8080", true},
	    {"LOCALHOST:1", true},
	    {"127.0.0.1:8080", true},
	    {"10.1.2.3", true},
	    {"[::1]:8080", true},
	    {"[::1]", true},
	    {"ml.example:80", true},
	    {"evil.example", false},
	    {"localhost.evil.example", false},
	    {"127.0.0.1.evil.example", false},
	    {"localhost:", true},
	    {"localhost:80x", false},
	    {"localhost:123456", false},
	    {"[::1", false},
	    {"[::1]x", false},
	    {"", false},
	    {":80", false},
	    {NULL, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		EXPECT_INT(rows[i].host ? rows[i].host : "none", http_host_is_allowed(rows[i].host, names),
			   rows[i].allowed);
}

TEST(an_origin_is_the_host_with_a_scheme)
{
	assert_true(http_origin_is_host("http://127.0.0.1:8080", "127.0.0.1:8080"));
	assert_true(http_origin_is_host("https://ML.example", "ml.example"));
	assert_false(http_origin_is_host("http://127.0.0.1:8081", "127.0.0.1:8080"));
	assert_false(http_origin_is_host("http://127.0.0.1:80800", "127.0.0.1:8080"));
	assert_false(http_origin_is_host("null", "127.0.0.1:8080"));
	assert_false(http_origin_is_host("ftp://a", "a"));
}
