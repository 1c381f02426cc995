/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every test program shares: TEST() names and registers a test, main() is in test.c and runs them all,
 *or those whose names contain one of its arguments.
 *
 *	TEST(a_path_with_dots_is_refused)
 *	{
 *		struct err err = ERR_INIT;
 *		EXPECT_ERR(path_check("a/..", 4, &err), ERR_INVALID, &err, "'..'");
 *	}
 *
 * Randomness comes from test_rng, whose seed is printed and taken from TEST_SEED when that is set. Besides
 *these there are cmocka's assert_*.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "base/err.h"
#include "base/rng.h"

/* A test's name is a sentence. */
#define TEST(name)                                                                                           \
	static void name(void **state);                                                                      \
	__attribute__((constructor)) static void register_##name(void)                                       \
	{                                                                                                    \
		test_register(#name, name);                                                                  \
	}                                                                                                    \
	static void name(void **state)

void test_register(const char *name, void (*fn)(void **state));

extern struct rng test_rng;
/* A new empty folder (absolute path, view until the program ends); removed at the end unless TEST_KEEP is
 * set. */
const char *test_dir(void);
/* Ends the test as skipped and says why. */
#define SKIP(why)                                                                                            \
	do {                                                                                                 \
		print_message("skipped: %s\n", why);                                                         \
		skip();                                                                                      \
	} while (0)

/* The call succeeded; shows the error's message when not. */
#define EXPECT_OK(call, err) test_expect_ok((call), (err), #call, __FILE__, __LINE__)
/* The call failed with this code and a message that contains 'part'. */
#define EXPECT_ERR(call, code, err, part)                                                                    \
	test_expect_err((call), (code), (err), (part), #call, __FILE__, __LINE__)
/* Strings with a message that names the row of a table. */
#define EXPECT_STR(row, actual, expected) test_expect_str((row), (actual), (expected), __FILE__, __LINE__)
#define EXPECT_INT(row, actual, expected) test_expect_int((row), (actual), (expected), __FILE__, __LINE__)

void test_expect_ok(int r, const struct err *err, const char *call, const char *file, int line);
void test_expect_err(int r, int code, const struct err *err, const char *part, const char *call,
		     const char *file, int line);
void test_expect_str(const char *row, const char *actual, const char *expected, const char *file, int line);
void test_expect_int(const char *row, int64_t actual, int64_t expected, const char *file, int line);

#endif
