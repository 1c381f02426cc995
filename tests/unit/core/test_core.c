/* SPDX-License-Identifier: Apache-2.0 */
/* Names and resource arithmetic. */
#include "unit/test.h"

#include "base/mem.h"
#include "core/core.h"

TEST(names_are_labels_of_rfc_1123)
{
	char longest[CORE_NAME_MAX + 2];
	memset(longest, 'a', sizeof(longest) - 1);
	longest[CORE_NAME_MAX] = '\0';
	const char *good[] = {"a", "0", "a-b", "team-1", "a--b", longest};
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		struct err err = ERR_INIT;
		EXPECT_OK(core_name_check("name", good[i], &err), &err);
	}
	char too_long[CORE_NAME_MAX + 2];
	memset(too_long, 'a', sizeof(too_long));
	too_long[CORE_NAME_MAX + 1] = '\0';
	const char *bad[] = {"",    "-a",  "a-", "A",	     "a_b", "a.b",
			     "a b", "a/b", "..", "\xc3\xa9", "a\n", too_long};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct err err = ERR_INIT;
		EXPECT_ERR(core_name_check("name", bad[i], &err), ERR_INVALID, &err, "lower-case letters");
	}
}

TEST(resources_fit_when_no_kind_is_short)
{
	const struct resources have = {2000, 4096, 1};
	assert_true(resources_fit(&(struct resources){2000, 4096, 1}, &have));
	assert_true(resources_fit(&(struct resources){0, 0, 0}, &have));
	assert_false(resources_fit(&(struct resources){2001, 1, 0}, &have));
	assert_false(resources_fit(&(struct resources){1, 4097, 0}, &have));
	assert_false(resources_fit(&(struct resources){1, 1, 2}, &have));
}

TEST(what_is_added_and_taken_away_is_as_before)
{
	struct resources sum = {100, 200, 3};
	const struct resources r = {(int64_t)rng_below(&test_rng, 1000),
				    (int64_t)rng_below(&test_rng, 1u << 30), 2};
	resources_add(&sum, &r);
	assert_int_equal(sum.cpu_milli, 100 + r.cpu_milli);
	assert_int_equal(sum.memory_bytes, 200 + r.memory_bytes);
	assert_int_equal(sum.gpu, 5);
	resources_sub(&sum, &r);
	assert_true(sum.cpu_milli == 100 && sum.memory_bytes == 200 && sum.gpu == 3);
}
