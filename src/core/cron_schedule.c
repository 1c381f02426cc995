/* SPDX-License-Identifier: Apache-2.0 */
/* The five fields of a cron text, and when they match next. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "base/mem.h"
#include "core/cron.h"

#define DAY_S INT64_C(86400)
#define DAYS_AHEAD (40 * 366) /* the 29th of February may be a Monday once in 28 years, or 40 around 2100 */

static const char *const months[] = {"jan", "feb", "mar", "apr", "may", "jun",
				     "jul", "aug", "sep", "oct", "nov", "dec"};
static const char *const weekdays[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat"};

struct cron_field {
	const char *name;
	int min, max;
	const char *const *words; /* NULL = numbers only */
	int word_count, first;	  /* value of words[0] */
};
static const struct cron_field cron_fields[] = {
    {"minute", 0, 59, NULL, 0, 0},
    {"hour", 0, 23, NULL, 0, 0},
    {"day of month", 1, 31, NULL, 0, 0},
    {"month", 1, 12, months, ARRAY_LEN(months), 1},
    {"day of week", 0, 7, weekdays, ARRAY_LEN(weekdays), 0},
};

static int fail(const struct cron_field *f, const char *item, size_t len, struct err *err)
{
	return err_set(err, ERR_INVALID,
		       "schedule: '%.*s' is no %s; it is %d to %d, '*', or a list, range or step "
		       "of these, as in '0,30', '9-17' or '*/5'",
		       (int)(len > 40 ? 40 : len), item, f->name, f->min, f->max);
}

/* One number or word; returns how many characters it took, 0 for none. */
static size_t read_value(const struct cron_field *f, const char *s, size_t len, int *ret)
{
	size_t n = 0;
	int value = 0;
	for (int i = 0; f->words && i < f->word_count; i++) {
		if (len >= 3 && strncasecmp(s, f->words[i], 3) == 0) {
			*ret = f->first + i;
			return 3;
		}
	}
	for (; n < len && n < 4 && isdigit((unsigned char)s[n]); n++)
		value = value * 10 + (s[n] - '0');
	*ret = value;
	return n;
}

/* "*", "5", "1-5", each perhaps with "/2". */
static int read_item(const struct cron_field *f, const char *s, size_t len, uint64_t *ret, struct err *err)
{
	int from = f->min, to = f->max, step = 1;
	size_t at = 0, n;
	if (len > 0 && s[0] == '*') {
		at = 1;
	} else {
		at = read_value(f, s, len, &from);
		to = from;
		if (at == 0)
			return fail(f, s, len, err);
		if (at < len && s[at] == '-') {
			n = read_value(f, s + at + 1, len - at - 1, &to);
			if (n == 0)
				return fail(f, s, len, err);
			at += 1 + n;
		} else if (at < len && s[at] == '/') {
			to = f->max;
		}
	}
	if (at < len && s[at] == '/') {
		static const struct cron_field plain = {.words = NULL};
		n = read_value(&plain, s + at + 1, len - at - 1, &step);
		if (n == 0 || step < 1)
			return fail(f, s, len, err);
		at += 1 + n;
	}
	if (at != len || from < f->min || to > f->max || from > to)
		return fail(f, s, len, err);
	for (int v = from; v <= to; v += step)
		*ret |= UINT64_C(1) << v;
	return 0;
}

static int read_field(const struct cron_field *f, const char *s, size_t len, uint64_t *ret, struct err *err)
{
	*ret = 0;
	for (size_t at = 0;; at++) {
		size_t n = 0;
		while (at + n < len && s[at + n] != ',')
			n++;
		int r = read_item(f, s + at, n, ret, err);
		if (r < 0)
			return r;
		at += n;
		if (at == len)
			return 0;
	}
}

static const char *expand(const char *text)
{
	static const struct {
		const char *word, *text;
	} words[] = {{"@hourly", "0 * * * *"},	{"@daily", "0 0 * * *"},   {"@midnight", "0 0 * * *"},
		     {"@weekly", "0 0 * * 0"},	{"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"},
		     {"@annually", "0 0 1 1 *"}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(text, words[i].word))
			return words[i].text;
	return text;
}

int cron_schedule_parse(const char *text, struct cron_schedule *ret, struct err *err)
{
	uint64_t sets[ARRAY_LEN(cron_fields)] = {0};
	bool any[ARRAY_LEN(cron_fields)] = {false};
	const char *s = expand(text);
	size_t count = 0;
	for (s += strspn(s, " \t"); *s; s += strspn(s, " \t")) {
		size_t len = strcspn(s, " \t");
		if (count == ARRAY_LEN(cron_fields))
			return err_set(
			    err, ERR_INVALID,
			    "schedule: '%.80s' has more than five fields: minute, hour, day of month, "
			    "month, day of week",
			    text);
		any[count] = s[0] == '*';
		int r = read_field(&cron_fields[count], s, len, &sets[count], err);
		if (r < 0)
			return r;
		count++;
		s += len;
	}
	if (count != ARRAY_LEN(cron_fields))
		return err_set(
		    err, ERR_INVALID,
		    "schedule: '%.80s' has %zu of the five fields: minute, hour, day of month, month, day of "
		    "week",
		    text, count);
	if (sets[4] & 1 << 7)
		sets[4] |= 1;
	*ret = (struct cron_schedule){.minutes = sets[0],
				      .hours = (uint32_t)sets[1],
				      .days = (uint32_t)sets[2],
				      .months = (uint32_t)sets[3],
				      .weekdays = (uint32_t)sets[4],
				      .any_day = any[2],
				      .any_weekday = any[4]};
	if (cron_schedule_next(ret, 0) < 0)
		return err_set(err, ERR_INVALID,
			       "schedule: '%.80s' never fires: no month that it names has such a day", text);
	return 0;
}

static bool day_matches(const struct cron_schedule *s, const struct tm *tm)
{
	bool day = s->days >> tm->tm_mday & 1, weekday = s->weekdays >> tm->tm_wday & 1;
	if (!(s->months >> (tm->tm_mon + 1) & 1))
		return false;
	return s->any_day || s->any_weekday ? day && weekday : day || weekday;
}

/* Minutes since midnight, at or after 'from'; -1 = none on this day. */
static int minute_of_day(const struct cron_schedule *s, int from)
{
	for (int m = from; m < 24 * 60; m++)
		if ((s->hours >> (m / 60) & 1) && (s->minutes >> (m % 60) & 1))
			return m;
	return -1;
}

int64_t cron_schedule_next(const struct cron_schedule *s, int64_t after_ms)
{
	int64_t start = after_ms / 60000 * 60 + 60; /* seconds: the next whole minute */
	int64_t day = start / DAY_S * DAY_S;
	for (int n = 0; n < DAYS_AHEAD; n++, day += DAY_S) {
		time_t at = (time_t)day;
		struct tm tm;
		if (!gmtime_r(&at, &tm))
			return -1;
		int m =
		    day_matches(s, &tm) ? minute_of_day(s, day < start ? (int)((start - day) / 60) : 0) : -1;
		if (m >= 0)
			return (day + (int64_t)m * 60) * 1000;
	}
	return -1;
}
