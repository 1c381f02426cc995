/* SPDX-License-Identifier: Apache-2.0 */
/* Days as text, and sums that do not overflow. */
#include "core/usage.h"
#include "unit/test.h"

TEST(days_are_read_and_written)
{
	static const struct {
		const char *text;
		int64_t day;
	} days[] = {{"1970-01-01", 0},	   {"1970-12-31", 364},	  {"2000-02-29", 11016},
		    {"2000-03-01", 11017}, {"2024-02-29", 19782}, {"2026-11-25", 20782},
		    {"2100-02-28", 47540}, {"2100-03-01", 47541}, {"9999-12-31", 2932896}};
	static const char *const bad[] = {"",		"2026-1-1",   "2026-02-30",  "2100-02-29",
					  "2026-13-01", "2026-00-01", "1969-12-31",  "2026-01-32",
					  "2026/01/01", "+026-01-01", "2026-01-01 ", "-001-01-01"};
	struct err err = ERR_INIT;
	int64_t day;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		char text[USAGE_DATE_LEN + 1];
		EXPECT_OK(usage_parse_day("since", days[i].text, &day, &err), &err);
		EXPECT_INT(days[i].text, day, days[i].day);
		usage_format_day(days[i].day, text);
		EXPECT_STR(days[i].text, text, days[i].text);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EXPECT_ERR(usage_parse_day("since", bad[i], &day, &err), ERR_INVALID, &err, "is not a day");
	assert_int_equal(usage_day(-1), -1);
	assert_int_equal(usage_day(0), 0);
	assert_int_equal(usage_day(USAGE_DAY_MS), 1);
}

TEST(sums_stay_at_the_greatest_number)
{
	struct usage u = {0};
	struct resources much = {INT64_C(1) << 40, INT64_MAX, INT64_C(1) << 30};
	for (int i = 0; i < 3; i++)
		usage_add_span(&u, &much, 0, INT64_C(1) << 40);
	assert_int_equal(u.cpu_milli_ms, INT64_MAX);
	assert_int_equal(u.memory_mib_ms, INT64_MAX);
	assert_int_equal(u.gpu_ms, INT64_MAX);
	struct usage before = u;
	usage_add_span(&u, &much, 10, 5);
	assert_memory_equal(&u, &before, sizeof(u));
	assert_int_equal(usage_mib(1), 1);
	assert_int_equal(usage_mib(1 << 20), 1);
	assert_int_equal(usage_mib((1 << 20) + 1), 2);
}
