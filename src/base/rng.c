/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's randomness and a seeded generator: xoshiro256** (Blackman and Vigna 2018), seeded by
 * splitmix64. */
#include "base/rng.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static void system_fill(struct rng *r, void *data, size_t len)
{
	char *p = data;
	while (len) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			abort(); /* keys are made of it: no other source will do */
		p += n;
		len -= n;
	}
}

struct rng rng_system = {.fill = system_fill};

static uint64_t rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static uint64_t xoshiro_next(uint64_t s[4])
{
	uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

static void seeded_fill(struct rng *r, void *data, size_t len)
{
	char *p = data;
	while (len) {
		uint64_t x = xoshiro_next(r->state);
		size_t n = len < sizeof(x) ? len : sizeof(x);
		memcpy(p, &x, n);
		p += n;
		len -= n;
	}
}

void rng_seed(struct rng *r, uint64_t seed)
{
	r->fill = seeded_fill;
	for (int i = 0; i < 4; i++) {
		uint64_t z = seed += 0x9e3779b97f4a7c15;
		z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
		z = (z ^ z >> 27) * 0x94d049bb133111eb;
		r->state[i] = z ^ z >> 31;
	}
}

uint64_t rng_u64(struct rng *r)
{
	uint64_t x;
	r->fill(r, &x, sizeof(x));
	return x;
}

/* Values below 2^64 mod bound would make the first results likelier: drawn again. */
uint64_t rng_below(struct rng *r, uint64_t bound)
{
	assert(bound > 0);
	uint64_t unfair = -bound % bound, x;
	do
		x = rng_u64(r);
	while (x < unfair);
	return x % bound;
}

void rng_id(struct rng *r, char *ret, size_t n)
{
	static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
	r->fill(r, ret, n);
	for (size_t i = 0; i < n; i++)
		ret[i] = digits[(unsigned char)ret[i] & 31];
	ret[n] = 0;
}
