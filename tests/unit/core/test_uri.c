/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in the store. */
#include "unit/test.h"

#include <stdio.h>
#include "base/mem.h"
#include "core/uri.h"

TEST(addresses_are_taken_apart)
{
	static const struct {
		const char *text, *bucket, *key;
	} rows[] = {
	    {"fds://team/jobs/j1/output/", "team", "jobs/j1/output/"},
	    {"s3://team/a", "team", "a"},
	    {"fds://team", "team", ""},
	    {"fds://team/", "team", ""},
	    {"fds://a/b c/\xc3\xa9", "a", "b c/\xc3\xa9"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct uri u;
		EXPECT_OK(uri_parse(rows[i].text, &u, &err), &err);
		EXPECT_STR(rows[i].text, u.bucket, rows[i].bucket);
		EXPECT_STR(rows[i].text, u.key, rows[i].key);
	}
}

TEST(unclean_addresses_are_refused)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {"", "does not start with"},
	    {"http://a/b", "does not start with"},
	    {"fds:/a/b", "does not start"},
	    {"FDS://a/b", "does not start"},
	    {"fds://", "not a name"},
	    {"fds:///a", "not a name"},
	    {"fds://A/b", "not a name"},
	    {"fds://a//b", "'/'"},
	    {"fds://a/../b", "'..'"},
	    {"fds://a/b/../c", "'..'"},
	    {"fds://a/./b", "'.'"},
	    {"fds://a/b//", "ends with '/'"},
	    {"fds://a/b\\c", "backslash"},
	    {"fds://a/b\nc", "control"},
	    {"fds://AK:SK@a/b", "not a name"},
	    {"fds://a/b/..", "'..'"},
	    {"fds://a/latin\xe9", "UTF-8"},
	    {"fds://a/over\xc0\xaelong", "UTF-8"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct uri u;
		EXPECT_ERR(uri_parse(rows[i].text, &u, &err), ERR_INVALID, &err, rows[i].why);
	}
}

TEST(keys_have_a_longest_length)
{
	struct err err = ERR_INIT;
	char key[URI_KEY_MAX + 2];
	memset(key, 'a', sizeof(key));
	for (size_t i = 100; i < sizeof(key); i += 100)
		key[i] = '/';
	key[URI_KEY_MAX] = '\0';
	EXPECT_OK(uri_key_check(key, false, &err), &err);
	key[URI_KEY_MAX] = 'a';
	key[URI_KEY_MAX + 1] = '\0';
	EXPECT_ERR(uri_key_check(key, false, &err), ERR_INVALID, &err, "longer than 1024");
}

TEST(only_prefixes_may_be_empty_or_end_in_a_slash)
{
	struct err err = ERR_INIT;
	EXPECT_OK(uri_key_check("", true, &err), &err);
	EXPECT_OK(uri_key_check("a/", true, &err), &err);
	EXPECT_ERR(uri_key_check("", false, &err), ERR_INVALID, &err, "empty");
	EXPECT_ERR(uri_key_check("a/", false, &err), ERR_INVALID, &err, "ends with");
	EXPECT_ERR(uri_key_check("/", true, &err), ERR_INVALID, &err, "empty");
}

TEST(what_is_formatted_parses_to_the_same)
{
	struct err err = ERR_INIT;
	for (int i = 0; i < 200; i++) {
		struct uri u, again;
		char text[URI_KEY_MAX + 100], from[100];
		snprintf(from, sizeof(from), "s3://b%d/k%d/%d%s", i, (int)rng_below(&test_rng, 1000), i,
			 i % 2 ? "/" : "");
		EXPECT_OK(uri_parse(from, &u, &err), &err);
		uri_format(&u, text, sizeof(text));
		EXPECT_OK(uri_parse(text, &again, &err), &err);
		assert_string_equal(u.bucket, again.bucket);
		assert_string_equal(u.key, again.key);
	}
}
