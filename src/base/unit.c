/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers and writers of sizes, durations and CPU counts. Exact: decimals are kept as digits and a power of
 * ten. */
#include "base/unit.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/mem.h"

struct decimal {
	int64_t digits; /* value * scale */
	int64_t scale;
};

struct unit {
	const char *suffix;
	int64_t factor;
};

#define FRACTION_DIGITS_MAX 9

/* Reads "12" or "1.5" and moves *s past it; false when there is no number or it does not fit. */
static bool read_decimal(const char **s, struct decimal *ret)
{
	const char *p = *s;
	struct decimal d = {0, 1};
	int fraction = -1, count = 0;
	for (; isdigit((unsigned char)*p) || (*p == '.' && fraction < 0 && count > 0); p++) {
		if (*p == '.') {
			fraction = 0;
			continue;
		}
		count++;
		if (fraction >= 0) {
			if (++fraction > FRACTION_DIGITS_MAX)
				return false;
			d.scale *= 10;
		}
		if (__builtin_mul_overflow(d.digits, 10, &d.digits) ||
		    __builtin_add_overflow(d.digits, *p - '0', &d.digits))
			return false;
	}
	if (count == 0 || fraction == 0)
		return false;
	*s = p;
	*ret = d;
	return true;
}

/* value * factor, rounded down; false when it does not fit. */
static bool scale_decimal(struct decimal d, int64_t factor, int64_t *ret)
{
	__int128 v = (__int128)d.digits * factor / d.scale;
	*ret = (int64_t)v;
	return v <= INT64_MAX;
}

static const struct unit *find_unit(const struct unit *units, size_t count, const char *suffix, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(units[i].suffix) == len && strncasecmp(units[i].suffix, suffix, len) == 0)
			return &units[i];
	return NULL;
}

static const struct unit byte_units[] = {
    {"", 1},
    {"B", 1},
    {"K", 1LL << 10},
    {"Ki", 1LL << 10},
    {"KiB", 1LL << 10},
    {"KB", 1000LL},
    {"M", 1LL << 20},
    {"Mi", 1LL << 20},
    {"MiB", 1LL << 20},
    {"MB", 1000000LL},
    {"G", 1LL << 30},
    {"Gi", 1LL << 30},
    {"GiB", 1LL << 30},
    {"GB", 1000000000LL},
    {"T", 1LL << 40},
    {"Ti", 1LL << 40},
    {"TiB", 1LL << 40},
    {"TB", 1000000000000LL},
    {"P", 1LL << 50},
    {"Pi", 1LL << 50},
    {"PiB", 1LL << 50},
    {"PB", 1000000000000000LL},
};

int unit_parse_bytes(const char *s, int64_t *ret, struct err *err)
{
	const char *p = s;
	struct decimal d;
	int64_t value;
	if (!read_decimal(&p, &d))
		return err_set(err, ERR_INVALID, "'%s' is not a size; write it like 512M, 4G or 24GB", s);
	while (*p == ' ')
		p++;
	const struct unit *u = find_unit(byte_units, ARRAY_LEN(byte_units), p, strlen(p));
	if (!u)
		return err_set(err, ERR_INVALID,
			       "'%s' is not a size: unknown unit; write it like 512M, 4G or 24GB", s);
	if (!scale_decimal(d, u->factor, &value))
		return err_set(err, ERR_INVALID, "size '%s' is too large", s);
	*ret = value;
	return 0;
}

/* Largest first: that is the order in which they may follow one another. */
static const struct unit duration_units[] = {
    {"w", 7 * 86400000LL}, {"d", 86400000LL}, {"h", 3600000LL}, {"m", 60000LL}, {"s", 1000LL}, {"ms", 1LL},
};

int unit_parse_duration_ms(const char *s, int64_t *ret, struct err *err)
{
	const char *p = s;
	const struct unit *last = NULL;
	int64_t total = 0;
	do {
		struct decimal d;
		int64_t part;
		if (!read_decimal(&p, &d))
			return err_set(err, ERR_INVALID,
				       "'%s' is not a duration; write it like 90s, 1h30m or 2d", s);
		size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz");
		const struct unit *u = len || last
					   ? find_unit(duration_units, ARRAY_LEN(duration_units), p, len)
					   : &duration_units[4];
		if (!u || (last && u <= last))
			return err_set(err, ERR_INVALID,
				       "'%s' is not a duration; write it like 90s, 1h30m or 2d", s);
		if (!scale_decimal(d, u->factor, &part) || __builtin_add_overflow(total, part, &total))
			return err_set(err, ERR_INVALID, "duration '%s' is too long", s);
		p += len;
		last = u;
	} while (*p);
	*ret = total;
	return 0;
}

int unit_parse_cpu_milli(const char *s, int64_t *ret, struct err *err)
{
	const char *p = s;
	struct decimal d;
	int64_t value;
	if (!read_decimal(&p, &d) || (strcmp(p, "") != 0 && strcmp(p, "m") != 0))
		return err_set(err, ERR_INVALID, "'%s' is not a number of CPUs; write it like 2, 1.5 or 500m",
			       s);
	if (!scale_decimal(d, *p ? 1 : 1000, &value))
		return err_set(err, ERR_INVALID, "number of CPUs '%s' is too large", s);
	*ret = value;
	return 0;
}

void unit_format_bytes(int64_t bytes, char ret[32])
{
	static const char *const words[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t i = 0;
	double value = (double)bytes;
	while ((value >= 1024 || value <= -1024) && i + 1 < ARRAY_LEN(words)) {
		value /= 1024;
		i++;
	}
	int whole = value == (double)(int64_t)value || value >= 100 || value <= -100;
	snprintf(ret, 32, whole ? "%.0f %s" : "%.1f %s", value, words[i]);
}

void unit_format_duration(int64_t ms, char ret[32])
{
	static const struct unit shown[] = {
	    {"d", 86400000LL}, {"h", 3600000LL}, {"m", 60000LL}, {"s", 1000LL}};
	const char *sign = ms < 0 ? "-" : "";
	uint64_t left = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
	for (size_t i = 0; i < ARRAY_LEN(shown); i++) {
		uint64_t factor = (uint64_t)shown[i].factor, n = left / factor;
		if (!n)
			continue;
		unsigned int next = i + 1 < ARRAY_LEN(shown)
					? (unsigned int)(left % factor / (uint64_t)shown[i + 1].factor)
					: 0;
		if (next)
			snprintf(ret, 32, "%s%" PRIu64 "%s %u%s", sign, n, shown[i].suffix, next,
				 shown[i + 1].suffix);
		else
			snprintf(ret, 32, "%s%" PRIu64 "%s", sign, n, shown[i].suffix);
		return;
	}
	snprintf(ret, 32, "%s%" PRIu64 "ms", sign, left);
}

void unit_format_cpu(int64_t milli, char ret[32])
{
	snprintf(ret, 32, "%.3f", (double)milli / 1000);
	size_t len = strlen(ret);
	while (ret[len - 1] == '0')
		ret[--len] = 0;
	if (ret[len - 1] == '.')
		ret[len - 1] = 0;
}
