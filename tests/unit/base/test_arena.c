/* SPDX-License-Identifier: Apache-2.0 */
/* The bump allocator. */
#include "unit/test.h"

#include "base/arena.h"

TEST(memory_is_zeroed_and_aligned)
{
	struct arena a = ARENA_INIT(0);
	for (size_t size = 0; size < 10000; size = size * 2 + 1) {
		char *p = arena_alloc(&a, size);
		assert_int_equal((uintptr_t)p % 16, 0);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xaa, size);
	}
	arena_done(&a);
}

TEST(allocations_do_not_overlap)
{
	struct arena a = ARENA_INIT(0);
	unsigned char *p[200];
	size_t size[200];
	for (int i = 0; i < 200; i++) {
		size[i] = rng_below(&test_rng, 3000) + 1;
		p[i] = arena_alloc(&a, size[i]);
		memset(p[i], i, size[i]);
	}
	for (int i = 0; i < 200; i++)
		for (size_t k = 0; k < size[i]; k++)
			assert_int_equal(p[i][k], i);
	arena_done(&a);
}

TEST(the_limit_and_overflow_give_null)
{
	struct arena a = ARENA_INIT(4096);
	assert_non_null(arena_try_alloc(&a, 1, 4000));
	assert_null(arena_try_alloc(&a, 1, 4000));
	assert_null(arena_try_alloc(&a, SIZE_MAX / 2, 3));
	assert_null(arena_try_alloc(&a, SIZE_MAX, 1));
	assert_null(arena_strndup(&a,
				  "0123456789012345678901234567890123456789012345678901234567890123456789"
				  "0123456789012345678901234567890123456789012345678901234567890123456789",
				  140));
	assert_string_equal(arena_strndup(&a, "abc", 2), "ab");
	arena_done(&a);
}

TEST(after_a_reset_the_whole_limit_is_there_again)
{
	struct arena a = ARENA_INIT(100000);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 97; i++)
			assert_non_null(arena_try_alloc(&a, 1, 1024));
		assert_null(arena_try_alloc(&a, 2, 1024));
		arena_reset(&a);
		assert_int_equal(a.used_bytes, 0);
	}
	arena_done(&a);
	arena_done(&a);
}
