/* SPDX-License-Identifier: Apache-2.0 */
/* Time as an argument: the real clock, and whatever a simulation puts in its place. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
	int64_t (*wall_ms)(struct clock *c);	  /* Unix time; for people and records, may jump */
	int64_t (*monotonic_ms)(struct clock *c); /* for durations and deadlines, never jumps */
};
extern struct clock clock_real;

static inline int64_t clock_wall_ms(struct clock *c)
{
	return c->wall_ms(c);
}
static inline int64_t clock_monotonic_ms(struct clock *c)
{
	return c->monotonic_ms(c);
}
int64_t clock_monotonic_ns(void); /* real; for measuring only */
/* "2026-01-31T10:00:00.000Z" (RFC 3339, UTC). 'ret' has room for 32 bytes. */
void clock_format(int64_t wall_ms, char ret[32]);

#endif
