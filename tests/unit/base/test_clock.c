/* SPDX-License-Identifier: Apache-2.0 */
/* Clock and its text. */
#include "unit/test.h"

#include "base/clock.h"
#include "base/mem.h"

TEST(times_are_written_in_utc_with_milliseconds)
{
	static const struct {
		int64_t ms;
		const char *text;
	} rows[] = {
	    {0, "1970-01-01T00:00:00.000Z"},
	    {-1, "1969-12-31T23:59:59.999Z"},
	    {1769853600000, "2026-01-31T10:00:00.000Z"},
	    {1709210096789, "2024-02-29T12:34:56.789Z"},
	    {INT64_MAX, "9999-12-31T23:59:59.999Z"},
	    {INT64_MIN, "1000-01-01T00:00:00.000Z"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char text[32];
		clock_format(rows[i].ms, text);
		EXPECT_STR(rows[i].text, text, rows[i].text);
	}
}

TEST(the_monotonic_clock_does_not_go_back)
{
	int64_t last = clock_monotonic_ms(&clock_real), last_ns = clock_monotonic_ns();
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_monotonic_ms(&clock_real), now_ns = clock_monotonic_ns();
		assert_true(now >= last && now_ns >= last_ns);
		last = now;
		last_ns = now_ns;
	}
	assert_true(clock_wall_ms(&clock_real) > 1700000000000);
}
