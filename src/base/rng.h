/* SPDX-License-Identifier: Apache-2.0 */
/* Randomness as an argument: the kernel's, or a seeded generator in a simulation. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
	void (*fill)(struct rng *r, void *data, size_t len);
	uint64_t state[4]; /* of the seeded generator (xoshiro256**, Blackman and Vigna 2018) */
};
extern struct rng rng_system;		     /* getrandom(2) */
void rng_seed(struct rng *r, uint64_t seed); /* makes r a deterministic generator; not for secrets */
uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* uniform in [0, bound); bound > 0 */
/* n characters of Crockford's base 32 in lower case (no i, l, o, u) and a NUL. */
void rng_id(struct rng *r, char *ret, size_t n);

#endif
