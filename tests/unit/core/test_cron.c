/* SPDX-License-Identifier: Apache-2.0 */
/* Cron texts: when they fire, and what is refused. */
#include "unit/test.h"

#include <stdio.h>
#include "base/json.h"
#include "base/mem.h"
#include "base/unit.h"
#include "core/cron.h"

static int64_t at(const char *text)
{
	struct err err = ERR_INIT;
	int64_t ms = 0;
	EXPECT_OK(unit_parse_time_ms(text, &ms, &err), &err);
	return ms;
}

TEST(a_text_fires_next_when_it_says)
{
	static const struct {
		const char *schedule, *after, *next;
	} rows[] = {
	    {"* * * * *", "2026-11-25T08:30:00Z", "2026-11-25T08:31:00Z"},
	    {"* * * * *", "2026-11-25T08:30:59Z", "2026-11-25T08:31:00Z"},
	    {"*/15 * * * *", "2026-11-25T08:31:00Z", "2026-11-25T08:45:00Z"},
	    {"5/20 * * * *", "2026-11-25T08:31:00Z", "2026-11-25T08:45:00Z"},
	    {"0 3 * * *", "2026-11-25T03:00:00Z", "2026-11-26T03:00:00Z"},
	    {"0 3 * * mon-fri", "2026-11-27T03:00:00Z", "2026-11-30T03:00:00Z"},
	    {"0 0 * * 7", "2026-11-25T00:00:00Z", "2026-11-29T00:00:00Z"},
	    {"0 0 * * Sun", "2026-11-25T00:00:00Z", "2026-11-29T00:00:00Z"},
	    {"30 4 1,15 * 5", "2026-11-25T00:00:00Z", "2026-11-27T04:30:00Z"},
	    {"30 4 1,15 * *", "2026-11-25T00:00:00Z", "2026-12-01T04:30:00Z"},
	    {"0 12 29 2 *", "2026-11-25T00:00:00Z", "2028-02-29T12:00:00Z"},
	    {"0 0 31 * *", "2026-11-25T00:00:00Z", "2026-12-31T00:00:00Z"},
	    {"59 23 31 dec *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00Z"},
	    {"@hourly", "2026-11-25T08:30:00Z", "2026-11-25T09:00:00Z"},
	    {"@yearly", "2026-11-25T08:30:00Z", "2027-01-01T00:00:00Z"},
	    {"  0\t9-17/4 * jan,JUL *  ", "2026-11-25T08:30:00Z", "2027-01-01T09:00:00Z"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct cron_schedule s;
		char text[40];
		EXPECT_OK(cron_schedule_parse(rows[i].schedule, &s, &err), &err);
		unit_format_time(cron_schedule_next(&s, at(rows[i].after)), text);
		EXPECT_STR(rows[i].schedule, text, rows[i].next);
	}
}

TEST(texts_that_mean_nothing_or_never_fire_are_refused)
{
	static const struct {
		const char *schedule, *why;
	} rows[] = {
	    {"", "has 0 of the five fields"},
	    {"* * * *", "has 4 of the five fields"},
	    {"* * * * * *", "more than five fields"},
	    {"60 * * * *", "'60' is no minute; it is 0 to 59"},
	    {"* 24 * * *", "no hour"},
	    {"* * 0 * *", "no day of month"},
	    {"* * * 13 *", "no month"},
	    {"* * * * 8", "no day of week"},
	    {"a * * * *", "no minute"},
	    {"5-1 * * * *", "no minute"},
	    {"*/0 * * * *", "no minute"},
	    {"1,,2 * * * *", "no minute"},
	    {"1, * * * *", "no minute"},
	    {"*5 * * * *", "no minute"},
	    {"99999999999999999999 * * * *", "no minute"},
	    {"@never", "no minute"},
	    {"0 0 31 2 *", "never fires"},
	    {"0 0 30 feb *", "never fires"},
	    {"0 0 31 4,6,9,11 *", "never fires"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct cron_schedule s;
		EXPECT_ERR(cron_schedule_parse(rows[i].schedule, &s, &err), ERR_INVALID, &err, rows[i].why);
	}
}

TEST(a_cron_is_read_and_written)
{
	struct err err = ERR_INIT;
	CLEANUP(json)
	json_t *j = json_loads("{\"name\": \"nightly\", \"schedule\": \"0 3 * * *\", \"overlap\": "
			       "\"replace\", \"job\": {\"command\": [\"true\"]}}",
			       0, NULL);
	struct cron *c = cron_new(), *back = cron_new();
	EXPECT_OK(cron_parse(j, c, &err), &err);
	assert_string_equal(c->job.name, "nightly");
	assert_int_equal(c->overlap, CRON_REPLACE);
	assert_int_equal(c->missed, CRON_ONCE);
	CLEANUP(json) json_t *out = cron_spec_format(c);
	EXPECT_OK(cron_parse(out, back, &err), &err);
	assert_string_equal(back->schedule, "0 3 * * *");
	cron_free(c);
	cron_free(back);
}

TEST(crons_that_lack_something_are_refused)
{
	static const struct {
		const char *cron, *why;
	} rows[] = {
	    {"[]", "not a JSON object"},
	    {"{\"name\": \"a\", \"schedule\": \"@daily\"}", "needs a 'job'"},
	    {"{\"name\": \"a\", \"job\": {\"command\": [\"x\"]}}", "a 'schedule'"},
	    {"{\"name\": \"A B\", \"schedule\": \"@daily\", \"job\": {\"command\": [\"x\"]}}", "'A B'"},
	    {"{\"name\": \"a\", \"schedule\": \"@daily\", \"job\": {\"command\": []}}",
	     "job: job has neither"},
	    {"{\"name\": \"a\", \"schedule\": \"@daily\", \"overlap\": \"x\", \"job\": {}}",
	     "'skip', 'allow', 'replace'"},
	    {"{\"name\": \"a\", \"schedul\": \"@daily\", \"job\": {}}", "did you mean 'schedule'"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		CLEANUP(json) json_t *j = json_loads(rows[i].cron, 0, NULL);
		struct cron *c = cron_new();
		EXPECT_ERR(cron_parse(j, c, &err), ERR_INVALID, &err, rows[i].why);
		cron_free(c);
	}
}
