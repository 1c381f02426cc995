/* SPDX-License-Identifier: Apache-2.0 */
/* The real clock and RFC 3339 text. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t now_ns(clockid_t id)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t real_wall_ms(struct clock *c)
{
	return now_ns(CLOCK_REALTIME) / 1000000;
}

static int64_t real_monotonic_ms(struct clock *c)
{
	return now_ns(CLOCK_MONOTONIC) / 1000000;
}

struct clock clock_real = {real_wall_ms, real_monotonic_ms};

int64_t clock_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

/* RFC 3339 has years of four digits; what lies outside 1000 to 9999 is cut to the ends. */
#define WALL_MIN_MS (-30610224000000LL)
#define WALL_MAX_MS 253402300799999LL

void clock_format(int64_t wall_ms, char ret[32])
{
	if (wall_ms < WALL_MIN_MS)
		wall_ms = WALL_MIN_MS;
	if (wall_ms > WALL_MAX_MS)
		wall_ms = WALL_MAX_MS;
	int ms = (int)((wall_ms % 1000 + 1000) % 1000);
	time_t seconds = (wall_ms - ms) / 1000;
	struct tm tm;
	gmtime_r(&seconds, &tm);
	size_t n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret + n, 32 - n, ".%03dZ", ms);
}
