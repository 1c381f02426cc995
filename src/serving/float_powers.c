/* SPDX-License-Identifier: Apache-2.0 */
/* The table of powers of ten, computed once with long arithmetic instead of being listed. */
#include "serving/float_powers.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define LIMBS 40 /* 32-bit limbs, lowest first: 10^324 has 1077 bits, a shifted remainder one more */
#define COUNT (FLOAT_POWER_MAX - FLOAT_POWER_MIN + 1)

struct big {
	uint32_t limb[LIMBS];
};

static struct float_power table[COUNT];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void big_times_ten(struct big *b)
{
	uint64_t carry = 0;

	for (int i = 0; i < LIMBS; i++) {
		carry += (uint64_t)b->limb[i] * 10;
		b->limb[i] = (uint32_t)carry;
		carry >>= 32;
	}
}

static int big_bits(const struct big *b)
{
	for (int i = LIMBS - 1; i >= 0; i--)
		if (b->limb[i])
			return i * 32 + 32 - __builtin_clz(b->limb[i]);
	return 0;
}

static unsigned big_bit(const struct big *b, int at)
{
	return at < 0 ? 0 : b->limb[at / 32] >> (at % 32) & 1;
}

static int big_compare(const struct big *a, const struct big *b)
{
	for (int i = LIMBS - 1; i >= 0; i--)
		if (a->limb[i] != b->limb[i])
			return a->limb[i] < b->limb[i] ? -1 : 1;
	return 0;
}

static void big_double(struct big *b)
{
	for (int i = LIMBS - 1; i > 0; i--)
		b->limb[i] = b->limb[i] << 1 | b->limb[i - 1] >> 31;
	b->limb[0] <<= 1;
}

static void big_subtract(struct big *a, const struct big *b)
{
	int64_t borrow = 0;

	for (int i = 0; i < LIMBS; i++) {
		borrow += (int64_t)a->limb[i] - b->limb[i];
		a->limb[i] = (uint32_t)borrow;
		borrow >>= 32;
	}
}

static void push_bit(struct float_power *p, unsigned bit)
{
	p->high = p->high << 1 | p->low >> 63;
	p->low = p->low << 1 | bit;
}

static void round_up(struct float_power *p)
{
	if (++p->low == 0)
		p->high++;
}

/* The top 128 bits of a whole power. */
static void from_whole(const struct big *ten, struct float_power *p)
{
	int bits = big_bits(ten);
	bool rest = false;

	for (int i = 1; i <= 128; i++)
		push_bit(p, big_bit(ten, bits - i));
	for (int i = 0; i < bits - 128; i++)
		rest |= big_bit(ten, i);
	if (rest)
		round_up(p);
}

/* The first 128 bits of 1 / ten, by long division. */
static void from_inverse(const struct big *ten, struct float_power *p)
{
	struct big rest = {{1}};
	int shift = big_bits(ten) - 1;

	for (int i = 0; i < shift; i++)
		big_double(&rest); /* at most ten, more than half of it */
	while (!(p->high >> 63)) {
		unsigned bit = big_compare(&rest, ten) >= 0;
		push_bit(p, bit);
		if (bit)
			big_subtract(&rest, ten);
		big_double(&rest);
	}
	round_up(p); /* no inverse of a power of ten is exact */
}

static void compute(void)
{
	struct big ten = {{1}};

	for (int e = 0; e <= FLOAT_POWER_MAX; e++) {
		from_whole(&ten, &table[e - FLOAT_POWER_MIN]);
		if (e > 0 && -e >= FLOAT_POWER_MIN)
			from_inverse(&ten, &table[-e - FLOAT_POWER_MIN]);
		if (e < FLOAT_POWER_MAX)
			big_times_ten(&ten);
	}
}

const struct float_power *float_power(int exponent)
{
	pthread_once(&once, compute);
	return &table[exponent - FLOAT_POWER_MIN];
}
