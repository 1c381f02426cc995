/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, durations and CPU counts. */
#include "unit/test.h"

#include "base/mem.h"
#include "base/unit.h"

#define REFUSED (-1)
struct row {
	const char *text;
	int64_t value; /* or REFUSED */
};

static void check(const struct row *rows, size_t count, int (*parse)(const char *, int64_t *, struct err *))
{
	for (size_t i = 0; i < count; i++) {
		struct err err = ERR_INIT;
		int64_t value = 4711;
		int r = parse(rows[i].text, &value, &err);
		EXPECT_INT(rows[i].text, r, rows[i].value == REFUSED ? -ERR_INVALID : 0);
		EXPECT_INT(rows[i].text, value, rows[i].value == REFUSED ? 4711 : rows[i].value);
	}
}

TEST(sizes_are_parsed)
{
	static const struct row rows[] = {
	    {"0", 0},
	    {"1", 1},
	    {"12B", 12},
	    {"512K", 512 << 10},
	    {"100M", 100 << 20},
	    {"4G", 4LL << 30},
	    {"4GiB", 4LL << 30},
	    {"4Gi", 4LL << 30},
	    {"4 GiB", 4LL << 30},
	    {"4g", 4LL << 30},
	    {"1T", 1LL << 40},
	    {"24GB", 24000000000},
	    {"1.5G", 3LL << 29},
	    {"0.1K", 102},
	    {"9223372036854775807", INT64_MAX},
	    {"8191P", 8191LL << 50},
	    {"8192P", REFUSED},
	    {"9223372036854775808", REFUSED},
	    {"", REFUSED},
	    {"G", REFUSED},
	    {"-1", REFUSED},
	    {"+1", REFUSED},
	    {" 1", REFUSED},
	    {"1 ", 1},
	    {"1X", REFUSED},
	    {"1GG", REFUSED},
	    {"1.", REFUSED},
	    {".5G", REFUSED},
	    {"1.2.3G", REFUSED},
	    {"0x10", REFUSED},
	    {"1e3", REFUSED},
	    {"1.0000000001G", REFUSED},
	    {"99999999999999999999999999999999G", REFUSED},
	};
	check(rows, ARRAY_LEN(rows), unit_parse_bytes);
}

TEST(durations_are_parsed)
{
	static const struct row rows[] = {
	    {"90", 90000},
	    {"1.5", 1500},
	    {"250ms", 250},
	    {"90s", 90000},
	    {"2h", 7200000},
	    {"1h30m", 5400000},
	    {"3d", 259200000},
	    {"1w", 604800000},
	    {"1.5h", 5400000},
	    {"1d2h3m4s5ms", 93784005},
	    {"0", 0},
	    {"0s", 0},
	    {"", REFUSED},
	    {"h", REFUSED},
	    {"1x", REFUSED},
	    {"1m1h", REFUSED},
	    {"1h1h", REFUSED},
	    {"1h30", REFUSED},
	    {"1 h", REFUSED},
	    {"-1s", REFUSED},
	    {"1h-1m", REFUSED},
	    {"1H", REFUSED},
	    {"99999999999999999w", REFUSED},
	    {"15250284453w", REFUSED},
	};
	check(rows, ARRAY_LEN(rows), unit_parse_duration_ms);
}

TEST(cpu_counts_are_parsed)
{
	static const struct row rows[] = {
	    {"500m", 500},
	    {"1.5", 1500},
	    {"2", 2000},
	    {"0.25", 250},
	    {"0", 0},
	    {"", REFUSED},
	    {"m", REFUSED},
	    {"2M", REFUSED},
	    {"2 ", REFUSED},
	    {"-1", REFUSED},
	    {"1m1", REFUSED},
	    {"9999999999999999999", REFUSED},
	    {"9223372036854776", REFUSED},
	};
	check(rows, ARRAY_LEN(rows), unit_parse_cpu_milli);
}

TEST(quantities_are_written_for_people)
{
	static const struct {
		void (*format)(int64_t, char *);
		int64_t value;
		const char *text;
	} rows[] = {
	    {unit_format_bytes, 0, "0 B"},
	    {unit_format_bytes, 1023, "1023 B"},
	    {unit_format_bytes, 1024, "1 KiB"},
	    {unit_format_bytes, 3LL << 29, "1.5 GiB"},
	    {unit_format_bytes, 24000000000, "22.4 GiB"},
	    {unit_format_bytes, INT64_MAX, "8 EiB"},
	    {unit_format_duration, 0, "0ms"},
	    {unit_format_duration, 350, "350ms"},
	    {unit_format_duration, 42999, "42s"},
	    {unit_format_duration, 60000, "1m"},
	    {unit_format_duration, 3900000, "1h 5m"},
	    {unit_format_duration, 90061000, "1d 1h"},
	    {unit_format_duration, -1500, "-1s"},
	    {unit_format_duration, INT64_MIN, "-106751991167d 7h"},
	    {unit_format_cpu, 1500, "1.5"},
	    {unit_format_cpu, 2000, "2"},
	    {unit_format_cpu, 125, "0.125"},
	    {unit_format_cpu, 0, "0"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[32];
		rows[i].format(rows[i].value, text);
		EXPECT_STR(rows[i].text, text, rows[i].text);
	}
}

TEST(times_are_parsed_and_written)
{
	static const struct {
		const char *text;
		int64_t ms;
		const char *written; /* NULL = as the text */
	} rows[] = {
	    {"1970-01-01T00:00:00Z", 0, NULL},
	    {"2026-11-25T08:30:00Z", 1795595400000, NULL},
	    {"2026-11-25T10:30:00+02:00", 1795595400000, "2026-11-25T08:30:00Z"},
	    {"2026-11-24t23:00:00.25-09:30", 1795595400250, "2026-11-25T08:30:00.250Z"},
	    {"2026-11-25 08:30:00Z", 1795595400000, "2026-11-25T08:30:00Z"},
	    {"2000-02-29T23:59:59Z", 951868799000, NULL},
	    {"2100-03-01T00:00:00Z", 4107542400000, NULL},
	    {"9999-12-31T23:59:59.999Z", 253402300799999, NULL},
	    {"2100-02-29T00:00:00Z", REFUSED, NULL},
	    {"2026-11-25T08:30:00", REFUSED, NULL},
	    {"2026-11-25T24:00:00Z", REFUSED, NULL},
	    {"2026-13-25T08:30:00Z", REFUSED, NULL},
	    {"2026-00-25T08:30:00Z", REFUSED, NULL},
	    {"2026-11-31T08:30:00Z", REFUSED, NULL},
	    {"2026-11-25T08:30:00.Z", REFUSED, NULL},
	    {"2026-11-25T08:30:00+24:00", REFUSED, NULL},
	    {"2026-11-25T08:30:00Zx", REFUSED, NULL},
	    {"1970-01-01T00:00:00+01:00", REFUSED, NULL},
	    {"2026-11-25", REFUSED, NULL},
	    {"tomorrow", REFUSED, NULL},
	    {"", REFUSED, NULL},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		char text[32];
		int64_t ms = REFUSED;
		int r = unit_parse_time_ms(rows[i].text, &ms, &err);
		EXPECT_INT(rows[i].text, r < 0 ? REFUSED : ms, rows[i].ms);
		if (r < 0) {
			assert_int_equal(r, -ERR_INVALID);
			continue;
		}
		unit_format_time(ms, text);
		EXPECT_STR(rows[i].text, text, rows[i].written ? rows[i].written : rows[i].text);
	}
}

TEST(any_time_survives_writing)
{
	for (int i = 0; i < 100000; i++) {
		struct err err = ERR_INIT;
		char text[32];
		int64_t ms = (int64_t)rng_below(&test_rng, UINT64_C(253402300800000)), back = -1;
		unit_format_time(ms, text);
		EXPECT_OK(unit_parse_time_ms(text, &back, &err), &err);
		assert_int_equal(back, ms);
	}
}
