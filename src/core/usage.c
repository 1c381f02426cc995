/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of accounting, and days as text. */
#include "core/usage.h"

#include <stdio.h>
#include <string.h>

#define MIB (INT64_C(1) << 20)
#define HOUR_MS 3600000.0

static int64_t add(int64_t a, int64_t b)
{
	int64_t sum;
	return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static int64_t multiply(int64_t a, int64_t b)
{
	int64_t product;
	return __builtin_mul_overflow(a, b, &product) ? INT64_MAX : product;
}

int64_t usage_mib(int64_t bytes)
{
	return bytes / MIB + (bytes % MIB > 0);
}

int64_t usage_day(int64_t wall_ms)
{
	return wall_ms / USAGE_DAY_MS - (wall_ms % USAGE_DAY_MS < 0);
}

void usage_add_span(struct usage *sum, const struct resources *held, int64_t start_ms, int64_t end_ms)
{
	if (end_ms <= start_ms)
		return;
	int64_t ms = end_ms - start_ms;
	sum->cpu_milli_ms = add(sum->cpu_milli_ms, multiply(held->cpu_milli, ms));
	sum->memory_mib_ms = add(sum->memory_mib_ms, multiply(usage_mib(held->memory_bytes), ms));
	sum->gpu_ms = add(sum->gpu_ms, multiply(held->gpu, ms));
}

void usage_add(struct usage *sum, const struct usage *more)
{
	sum->cpu_milli_ms = add(sum->cpu_milli_ms, more->cpu_milli_ms);
	sum->memory_mib_ms = add(sum->memory_mib_ms, more->memory_mib_ms);
	sum->gpu_ms = add(sum->gpu_ms, more->gpu_ms);
	sum->attempts = add(sum->attempts, more->attempts);
	sum->running = add(sum->running, more->running);
}

void usage_format(const struct usage *u, json_t *ret)
{
	json_object_set_new(ret, "cpu_hours", json_real((double)u->cpu_milli_ms / 1000.0 / HOUR_MS));
	json_object_set_new(ret, "memory_gib_hours", json_real((double)u->memory_mib_ms / 1024.0 / HOUR_MS));
	json_object_set_new(ret, "gpu_hours", json_real((double)u->gpu_ms / HOUR_MS));
	json_object_set_new(ret, "attempts", json_integer(u->attempts));
	json_object_set_new(ret, "running", json_integer(u->running));
}

/* ---- days: the proleptic Gregorian calendar, by eras of 400 years ---- */

#define ERA_DAYS 146097
#define EPOCH_DAYS 719468 /* from 0000-03-01 to 1970-01-01 */

static int64_t day_of(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;
	int64_t era = year / 400, of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * ERA_DAYS + of_era * 365 + of_era / 4 - of_era / 100 + of_year - EPOCH_DAYS;
}

void usage_format_day(int64_t day, char ret[USAGE_DATE_LEN + 1])
{
	char text[80];
	int64_t z = day + EPOCH_DAYS, era = z / ERA_DAYS, of_era = z - era * ERA_DAYS;
	int64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * years + years / 4 - years / 100);
	int64_t month = (5 * of_year + 2) / 153;
	int64_t of_month = of_year - (153 * month + 2) / 5 + 1;
	month += month < 10 ? 3 : -9;
	snprintf(text, sizeof(text), "%04lld-%02lld-%02lld", (long long)(years + era * 400 + (month <= 2)),
		 (long long)month, (long long)of_month);
	snprintf(ret, USAGE_DATE_LEN + 1, "%.*s", USAGE_DATE_LEN, text);
}

int usage_parse_day(const char *what, const char *text, int64_t *ret, struct err *err)
{
	char back[USAGE_DATE_LEN + 1];
	int year, month, day, end = 0;
	if (strlen(text) == USAGE_DATE_LEN && strspn(text, "0123456789-") == USAGE_DATE_LEN &&
	    sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &end) == 3 && end == USAGE_DATE_LEN &&
	    year >= 1970 && month >= 1 && month <= 12 && day >= 1 && day <= 31) {
		*ret = day_of(year, month, day);
		usage_format_day(*ret, back);
		if (strcmp(back, text) == 0) /* no 30 February */
			return 0;
	}
	return err_set(err, ERR_INVALID, "%s '%.32s' is not a day; write it as 2026-01-31", what, text);
}
