/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounting: what an attempt held, for how long. An attempt counts from its placement (a job's) or from when
 * it was ready (a replica's of a model service) to its end, by the wall clock, whether it used what it held
 * or not. Days are those of UTC.
 */
#ifndef CORE_USAGE_H
#define CORE_USAGE_H

#include <jansson.h>
#include "core/core.h"

#define USAGE_DAY_MS (24 * 3600 * INT64_C(1000))

/* Sums, exact: thousandths of a core times milliseconds, MiB (rounded up) times milliseconds. They stay at
 * the greatest number rather than overflow. */
struct usage {
	int64_t cpu_milli_ms, memory_mib_ms, gpu_ms;
	int64_t attempts; /* that ended */
	int64_t running;  /* that have not */
};
int64_t usage_mib(int64_t bytes);
int64_t usage_day(int64_t wall_ms); /* days since 1970-01-01, rounded down */
/* What 'held' is worth from start to end; nothing when end is not after start (a clock that was set back). */
void usage_add_span(struct usage *sum, const struct resources *held, int64_t start_ms, int64_t end_ms);
void usage_add(struct usage *sum, const struct usage *more);
/* cpu_hours, memory_gib_hours, gpu_hours, attempts, running into an object. */
void usage_format(const struct usage *u, json_t *ret);

#define USAGE_DATE_LEN 10
void usage_format_day(int64_t day, char ret[USAGE_DATE_LEN + 1]);			/* "2026-01-31" */
int usage_parse_day(const char *what, const char *text, int64_t *ret, struct err *err); /* ERR_INVALID */

#endif
