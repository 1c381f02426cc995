/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as RFC 3339 writes them, without the C library's time zones. */
#include "base/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define DAY_S INT64_C(86400)

struct stamp {
	int64_t year, month, day, hour, minute, second;
	int64_t ms, offset_minutes;
};

/* Days since 1970-01-01 of the Gregorian calendar; years begin in March, so that the leap day is the last. */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
	int64_t y = month <= 2 ? year - 1 : year, m = (month + 9) % 12;
	return 365 * y + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

static void date_of(int64_t days, struct stamp *ret)
{
	int64_t z = days + 719468, era = z / 146097, in_era = z % 146097;
	int64_t y = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
	int64_t in_year = in_era - (365 * y + y / 4 - y / 100), m = (5 * in_year + 2) / 153;
	ret->day = in_year - (153 * m + 2) / 5 + 1;
	ret->month = m < 10 ? m + 3 : m - 9;
	ret->year = y + era * 400 + (ret->month <= 2);
}

/* Exactly 'digits' digits, then 'end' (0: nothing further is read). */
static bool read_number(const char **s, int digits, char end, int64_t *ret)
{
	const char *p = *s;
	*ret = 0;
	for (int i = 0; i < digits; i++, p++) {
		if (*p < '0' || *p > '9')
			return false;
		*ret = *ret * 10 + (*p - '0');
	}
	if (end && *p++ != end)
		return false;
	*s = p;
	return true;
}

static bool read_fraction(const char **s, int64_t *ret)
{
	int64_t unit = 100;
	*ret = 0;
	if (**s != '.')
		return true;
	const char *p = *s + 1;
	for (; *p >= '0' && *p <= '9'; p++, unit /= 10)
		*ret += unit * (*p - '0');
	bool has_digits = p > *s + 1;
	*s = p;
	return has_digits;
}

static bool read_zone(const char **s, int64_t *ret)
{
	char sign = *(*s)++;
	int64_t hours, minutes;
	*ret = 0;
	if (sign == 'Z' || sign == 'z')
		return true;
	if ((sign != '+' && sign != '-') || !read_number(s, 2, ':', &hours) ||
	    !read_number(s, 2, 0, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret = (sign == '-' ? -1 : 1) * (hours * 60 + minutes);
	return true;
}

static bool read_stamp(const char *s, struct stamp *t)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	if (!read_number(&s, 4, '-', &t->year) || !read_number(&s, 2, '-', &t->month) ||
	    !read_number(&s, 2, 0, &t->day) || !*s || !strchr("Tt ", *s++) ||
	    !read_number(&s, 2, ':', &t->hour) || !read_number(&s, 2, ':', &t->minute) ||
	    !read_number(&s, 2, 0, &t->second) || !read_fraction(&s, &t->ms) ||
	    !read_zone(&s, &t->offset_minutes))
		return false;
	bool is_leap = t->year % 4 == 0 && (t->year % 100 != 0 || t->year % 400 == 0);
	return !*s && t->month >= 1 && t->month <= 12 && t->day >= 1 &&
	       t->day <= lengths[t->month - 1] + (t->month == 2 && is_leap) && t->hour <= 23 &&
	       t->minute <= 59 && t->second <= 60;
}

int unit_parse_time_ms(const char *s, int64_t *ret, struct err *err)
{
	struct stamp t;
	if (!read_stamp(s, &t))
		return err_set(
		    err, ERR_INVALID,
		    "'%.40s' is not a time; write '2026-11-25T08:30:00Z' or with an offset such as "
		    "'+02:00'",
		    s);
	int64_t seconds = days_of(t.year, t.month, t.day) * DAY_S + t.hour * 3600 +
			  (t.minute - t.offset_minutes) * 60 + t.second;
	if (seconds < 0)
		return err_set(err, ERR_INVALID, "'%.40s' is before 1970", s);
	*ret = seconds * 1000 + t.ms;
	return 0;
}

void unit_format_time(int64_t unix_ms, char ret[32])
{
	struct stamp t;
	if (unix_ms < 0 || unix_ms >= INT64_C(253402300800000)) {
		snprintf(ret, 32, "%lld", (long long)unix_ms);
		return;
	}
	int64_t in_day = unix_ms / 1000 % DAY_S;
	date_of(unix_ms / 1000 / DAY_S, &t);
	int len =
	    snprintf(ret, 32, "%04d-%02d-%02dT%02d:%02d:%02d", (int)(t.year % 10000), (int)(t.month % 100),
		     (int)(t.day % 100), (int)(in_day / 3600), (int)(in_day / 60 % 60), (int)(in_day % 60));
	if (unix_ms % 1000)
		len += snprintf(ret + len, 32 - (size_t)len, ".%03d", (int)(unix_ms % 1000));
	snprintf(ret + len, 32 - (size_t)len, "Z");
}
