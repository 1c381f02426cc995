/* SPDX-License-Identifier: Apache-2.0 */
#include "fds_config.h"
#include "base/mem.h"
#include "unit/test.h"

static const char *const (*variables)[2];

static char *look_up(const char *name)
{
	for (size_t i = 0; variables[i][0]; i++)
		if (!strcmp(variables[i][0], name))
			return (char *)variables[i][1];
	return NULL;
}

#define READ(is_fds, ...)                                                                                    \
	(variables = (const char *const[][2]){__VA_ARGS__, {NULL}},                                          \
	 fds_config_read(is_fds, look_up, &c, &err))
#define KEYS                                                                                                 \
	{"AWS_ACCESS_KEY_ID", "AKID"},                                                                       \
	{                                                                                                    \
		"AWS_SECRET_ACCESS_KEY", "hidden"                                                            \
	}

TEST(amazon_names_are_read_in_their_order)
{
	struct err err = ERR_INIT;
	struct fds_config c;
	EXPECT_OK(READ(false, KEYS, {"AWS_ENDPOINT_URL", "http://two:1"},
		       {"AWS_ENDPOINT_URL_S3", "http://one:9000/"}, {"AWS_REGION", "eu-1"}),
		  &err);
	assert_string_equal(c.host, "one");
	assert_string_equal(c.port, "9000");
	assert_string_equal(c.authority, "one:9000");
	assert_string_equal(c.region, "eu-1");
	assert_string_equal(c.secret, "hidden");
	EXPECT_OK(READ(false, KEYS, {"CLOUDML_S3_ENDPOINT", "http://[::1]:80"}), &err);
	assert_string_equal(c.host, "::1");
	assert_string_equal(c.authority, "[::1]:80");
	assert_string_equal(c.region, "us-east-1");
}

TEST(xiaomi_names_are_for_fds_only)
{
	struct err err = ERR_INIT;
	struct fds_config c;
	EXPECT_OK(READ(true, {"XIAOMI_ACCESS_KEY", "AK"}, {"XIAOMI_SECRET_KEY", "SK"},
		       {"XIAOMI_FDS_ENDPOINT", "http://fds.example"}),
		  &err);
	assert_string_equal(c.access_key, "AK");
	assert_string_equal(c.port, "80");
	EXPECT_ERR(READ(false, {"XIAOMI_ACCESS_KEY", "AK"}, {"AWS_ENDPOINT_URL", "http://h"}),
		   ERR_UNAUTHENTICATED, &err, "AWS_ACCESS_KEY_ID");
}

TEST(endpoints_that_are_none_are_refused)
{
	static const char *const rows[] = {"http://",	     "http://user:pass@h", "http://h:0",
					   "http://h:99999", "http://h:8x",	   "http://h/bucket",
					   "http://[::1",    "http://h h",	   "fds.example"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct fds_config c;
		EXPECT_ERR(READ(false, KEYS, {"AWS_ENDPOINT_URL", rows[i]}), ERR_INVALID, &err,
			   "AWS_ENDPOINT_URL");
	}
}

TEST(https_is_refused_clearly)
{
	struct err err = ERR_INIT;
	struct fds_config c;
	EXPECT_ERR(READ(true, KEYS, {"AWS_ENDPOINT_URL", "https://h"}), ERR_UNSUPPORTED, &err, "has no TLS");
}

TEST(secrets_are_never_repeated)
{
	struct err err = ERR_INIT;
	struct fds_config c;
	EXPECT_ERR(READ(true, {"AWS_ENDPOINT_URL", "http://h"}, {"AWS_ACCESS_KEY_ID", "AK\r\nX: y"},
			{"AWS_SECRET_ACCESS_KEY", "hidden"}),
		   ERR_INVALID, &err, "AWS_ACCESS_KEY_ID");
	assert_null(strstr(err.msg, "X: y"));
}

TEST(numbers_have_bounds)
{
	struct err err = ERR_INIT;
	struct fds_config c;
	EXPECT_ERR(READ(true, KEYS, {"AWS_ENDPOINT_URL", "http://h"}, {"CLOUDML_S3_PART_BYTES", "5"}),
		   ERR_INVALID, &err, "5242880");
	EXPECT_ERR(READ(true, KEYS, {"AWS_ENDPOINT_URL", "http://h"}, {"CLOUDML_S3_ATTEMPTS", "-1"}),
		   ERR_INVALID, &err, "CLOUDML_S3_ATTEMPTS");
	EXPECT_OK(READ(true, KEYS, {"AWS_ENDPOINT_URL", "http://h"}, {"CLOUDML_S3_PART_BYTES", "5242880"}),
		  &err);
	EXPECT_INT("part", (int64_t)c.part_bytes, 5242880);
}
