/* SPDX-License-Identifier: Apache-2.0 */
/* Error values and their table. */
#include "unit/test.h"

#include <errno.h>
#include "base/mem.h"

TEST(an_error_keeps_its_code_when_it_is_wrapped)
{
	struct err err = ERR_INIT;
	assert_int_equal(err_set(&err, ERR_QUOTA, "needs %d gpus", 8), -ERR_QUOTA);
	assert_int_equal(err_wrap(&err, "starting job '%s'", "a"), -ERR_QUOTA);
	assert_string_equal(err.msg, "starting job 'a': needs 8 gpus");
	assert_int_equal(err.code, ERR_QUOTA);
	assert_int_equal(err.sys, 0);
}

TEST(an_error_may_be_made_from_its_own_message)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_IO, "first");
	err_set(&err, ERR_IO, "again: %s", err.msg);
	assert_string_equal(err.msg, "again: first");
	err_wrap(&err, "once more (%s)", err.msg);
	assert_string_equal(err.msg, "once more (again: first): again: first");
}

TEST(nobody_needs_to_want_the_message)
{
	assert_int_equal(err_set(NULL, ERR_DENIED, "no"), -ERR_DENIED);
	assert_int_equal(err_sys(NULL, ENOSPC, "no"), -ERR_DISK_FULL);
	assert_true(err_wrap(NULL, "no") < 0);
}

TEST(system_errors_map_to_codes)
{
	static const struct {
		int sys, code;
	} rows[] = {
	    {ENOSPC, ERR_DISK_FULL}, {EDQUOT, ERR_DISK_FULL}, {ENOENT, ERR_NOT_FOUND},
	    {ENOMEM, ERR_NO_MEMORY}, {EACCES, ERR_DENIED},    {EPERM, ERR_DENIED},
	    {EIO, ERR_IO},	     {ECONNREFUSED, ERR_IO},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		assert_int_equal(err_sys(&err, rows[i].sys, "cannot open '%s'", "f"), -rows[i].code);
		assert_int_equal(err.sys, rows[i].sys);
		assert_memory_equal(err.msg, "cannot open 'f': ", 17);
		assert_non_null(strstr(err.msg, strerror(rows[i].sys)));
	}
}

TEST(every_code_has_a_word_that_leads_back)
{
	for (int code = 1; code < ERR_CODE_COUNT; code++) {
		assert_int_equal(err_from_word(err_word(code)), code);
		assert_string_equal(err_word(-code), err_word(code));
		assert_true(err_http(code) >= 400 && err_http(code) < 600);
		assert_true(err_grpc(code) >= 1 && err_grpc(code) <= 16);
		assert_true(err_exit(code) >= 1 && err_exit(code) < 256);
	}
	assert_string_equal(err_word(0), "ok");
	assert_int_equal(err_http(0), 200);
	assert_int_equal(err_exit(0), 0);
	assert_string_equal(err_word(9999), "internal");
	assert_int_equal(err_from_word("no such word"), ERR_INTERNAL);
}

TEST(a_long_message_is_cut_between_characters)
{
	for (size_t lead = 0; lead < 4; lead++) {
		struct err err = ERR_INIT;
		char text[1000] = "aaa";
		for (size_t i = lead; i + 3 < sizeof(text); i += 3)
			memcpy(text + i, "\xe2\x82\xac", 4); /* the euro sign */
		err_set(&err, ERR_INVALID, "%s", text);
		size_t len = strlen(err.msg);
		assert_true(len <= sizeof(err.msg) - 1 && len > sizeof(err.msg) - 5);
		assert_int_equal((len - lead) % 3, 0);
		err_wrap(&err, "x");
		assert_true(strlen(err.msg) < sizeof(err.msg));
		assert_int_equal((strlen(err.msg) - lead - 3) % 3, 0);
	}
}
