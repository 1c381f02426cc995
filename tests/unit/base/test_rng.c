/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness. */
#include "unit/test.h"

#include "base/rng.h"

TEST(a_seed_gives_the_same_sequence)
{
	struct rng a, b, c;
	rng_seed(&a, 1);
	rng_seed(&b, 1);
	rng_seed(&c, 2);
	int same = 0;
	for (int i = 0; i < 100; i++) {
		uint64_t x = rng_u64(&a);
		assert_true(x == rng_u64(&b));
		same += x == rng_u64(&c);
	}
	assert_int_equal(same, 0);
}

TEST(the_generator_is_the_published_one)
{
	/* First outputs of the reference xoshiro256** for the state {1, 2, 3, 4}. */
	struct rng r;
	rng_seed(&r, 0);
	for (int i = 0; i < 4; i++)
		r.state[i] = i + 1;
	static const uint64_t expected[] = {11520, 0, 1509978240, 1215971899390074240};
	for (int i = 0; i < 4; i++)
		assert_true(rng_u64(&r) == expected[i]);
}

TEST(numbers_below_a_bound_are_below_it_and_even)
{
	int counts[7] = {0};
	for (int i = 0; i < 70000; i++)
		counts[rng_below(&test_rng, 7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(counts[i], 9500, 10500); /* 5 standard deviations are 460 */
	for (int i = 0; i < 100; i++)
		assert_int_equal(rng_below(&test_rng, 1), 0);
	assert_true(rng_below(&test_rng, UINT64_MAX) < UINT64_MAX);
}

TEST(ids_have_their_length_and_alphabet)
{
	char id[65];
	for (size_t n = 0; n <= 64; n++) {
		rng_id(&rng_system, id, n);
		assert_int_equal(strlen(id), n);
		assert_int_equal(strspn(id, "0123456789abcdefghjkmnpqrstvwxyz"), n);
	}
}

TEST(the_systems_randomness_does_not_repeat)
{
	uint64_t a = rng_u64(&rng_system), b = rng_u64(&rng_system);
	assert_true(a != b);
}
