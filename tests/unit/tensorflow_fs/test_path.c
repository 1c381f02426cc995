/* SPDX-License-Identifier: Apache-2.0 */
#include "fds_path.h"
#include "base/mem.h"
#include "unit/test.h"

TEST(addresses_are_cleaned)
{
	static const char *const rows[][2] = {
	    {"fds://b", "fds://b"},
	    {"fds://b/", "fds://b"},
	    {"fds://b//a///c/", "fds://b/a/c"},
	    {"s3://b/a/./c", "s3://b/a/c"},
	    {"s3://b/a/../c", "s3://b/c"},
	    {"s3://b/../../c", "s3://b/c"},
	    {"s3://b/a/..", "s3://b"},
	    {"s3://b/a/b/..", "s3://b/a"},
	    {"s3://b/..a/b..", "s3://b/..a/b.."},
	    {"/local//file", "/local//file"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(free) char *clean = fds_path_clean(rows[i][0]);
		EXPECT_STR(rows[i][0], clean, rows[i][1]);
	}
}

TEST(addresses_are_taken_apart)
{
	struct err err = ERR_INIT;
	struct fds_path p;
	EXPECT_OK(fds_path_parse("fds://data.set-1/a/b c/", &p, &err), &err);
	assert_string_equal(p.bucket, "data.set-1");
	assert_string_equal(p.key, "a/b c");
	EXPECT_OK(fds_path_parse("s3://b", &p, &err), &err);
	assert_string_equal(p.key, "");
	CLEANUP(buf) struct buf prefix = BUF_INIT;
	fds_path_prefix(&p, &prefix);
	assert_string_equal(buf_str(&prefix), "");
}

TEST(addresses_that_are_none_are_refused)
{
	struct err err = ERR_INIT;
	struct fds_path p;
	char text[2000] = "fds://b/";
	EXPECT_ERR(fds_path_parse("gs://b/a", &p, &err), ERR_INVALID, &err, "fds://");
	EXPECT_ERR(fds_path_parse("fds:///a", &p, &err), ERR_INVALID, &err, "bucket");
	EXPECT_ERR(fds_path_parse("fds://b%41/a", &p, &err), ERR_INVALID, &err, "character");
	memset(text + 8, 'x', FDS_KEY_MAX);
	EXPECT_OK(fds_path_parse(text, &p, &err), &err);
	text[8 + FDS_KEY_MAX] = 'x';
	EXPECT_ERR(fds_path_parse(text, &p, &err), ERR_INVALID, &err, "longer than 1024");
}

TEST(credentials_in_an_address_are_refused_and_not_repeated)
{
	struct err err = ERR_INIT;
	struct fds_path p;
	EXPECT_ERR(fds_path_parse("fds://AKID:hidden@bucket/a", &p, &err), ERR_INVALID, &err, "credentials");
	assert_null(strstr(err.msg, "hidden"));
	assert_null(strstr(err.msg, "AKID"));
}

TEST(keys_are_encoded_and_decoded)
{
	static const char *const rows[][2] = {{"a-b_c.d~e", "a-b_c.d~e"},
					      {"a b+c", "a%20b%2Bc"},
					      {"\xc3\xbc/$", "%C3%BC%2F%24"},
					      {"\n\x7f", "%0A%7F"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf) struct buf b = BUF_INIT;
		fds_encode(&b, rows[i][0], false);
		EXPECT_STR(rows[i][0], buf_str(&b), rows[i][1]);
		assert_true(fds_decode(b.data));
		EXPECT_STR(rows[i][0], b.data, rows[i][0]);
	}
	char plus[] = "a+b", half[] = "a%4", wrong[] = "%zz", zero[] = "a%00b";
	assert_true(fds_decode(plus));
	assert_string_equal(plus, "a b");
	assert_false(fds_decode(half));
	assert_false(fds_decode(wrong));
	assert_false(fds_decode(zero));
}
