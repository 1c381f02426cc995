/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of JSON text. */
#include <math.h>
#include <stdlib.h>
#include "serving/json_text.h"

#define NUMBER_LEN_MAX 1024
#define SURE_DIGITS 18 /* fit 64 bits behind one digit, whatever they are */
#define EXACT_MANTISSA ((uint64_t)1 << 53)

static const double powers[] = {1e0,  1e1,  1e2,  1e3,	1e4,  1e5,  1e6,  1e7,	1e8,  1e9,  1e10, 1e11,
				1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Adds digits to the mantissa for as long as it fits 64 bits; counts those that no longer do. Returns behind
 * the last digit. */
static const char *take_digits(const char *p, uint64_t *mantissa, int *dropped)
{
	uint64_t more;

	if (*mantissa < 10 && *dropped == 0)
		for (const char *sure = p + SURE_DIGITS; p < sure && is_digit(*p); p++)
			*mantissa = *mantissa * 10 + (uint64_t)(*p - '0');
	for (; is_digit(*p); p++) {
		if (*dropped == 0 && !__builtin_mul_overflow(*mantissa, (uint64_t)10, &more) &&
		    !__builtin_add_overflow(more, (uint64_t)(*p - '0'), &more))
			*mantissa = more;
		else
			(*dropped)++;
	}
	return p;
}

static const char *take_exponent(const char *p, int *ret)
{
	bool minus = *p == '-';
	int e = 0;

	if (*p == '-' || *p == '+')
		p++;
	if (!is_digit(*p))
		return NULL;
	for (; is_digit(*p); p++)
		e = e < 100000 ? e * 10 + (*p - '0') : e;
	*ret = minus ? -e : e;
	return p;
}

static bool take_special(struct json_text *j, struct json_number *ret)
{
	int c = json_text_peek(j);
	bool minus = c == '-' && j->end - j->pos > 1 && j->pos[1] == 'I';

	if (!minus && c != 'I' && c != 'N')
		return false;
	if (json_text_take_word(j, minus ? "-Infinity" : "Infinity"))
		ret->value = minus ? -INFINITY : INFINITY;
	else if (json_text_take_word(j, "NaN"))
		ret->value = NAN;
	else
		return false;
	return true;
}

int json_text_number(struct json_text *j, struct json_number *ret, struct err *err)
{
	const char *p, *digits_start;
	uint64_t mantissa = 0;
	int dropped = 0, dropped_before, fraction = 0, exponent = 0;

	*ret = (struct json_number){0};
	if (take_special(j, ret))
		return 0;
	p = j->pos;
	ret->negative = *p == '-';
	p += ret->negative;
	digits_start = p;
	if (!is_digit(*p))
		return json_text_fail(j, err, "Invalid value.");
	p = take_digits(p, &mantissa, &dropped);
	if (*digits_start == '0' && p - digits_start > 1)
		return json_text_fail(j, err, "Number with leading zero");
	ret->integral = dropped == 0 && *p != '.' && *p != 'e' && *p != 'E';
	if (*p == '.') {
		digits_start = ++p;
		dropped_before = dropped;
		p = take_digits(p, &mantissa, &dropped);
		if (p == digits_start)
			return json_text_fail(j, err, "Miss fraction part in number.");
		fraction = (int)(p - digits_start) - (dropped - dropped_before);
	}
	if (*p == 'e' || *p == 'E') {
		p = take_exponent(p + 1, &exponent);
		if (!p)
			return json_text_fail(j, err, "Miss exponent in number.");
	}
	if (p - j->pos > NUMBER_LEN_MAX)
		return json_text_fail(j, err, "Number of more than 1024 characters");
	exponent -= fraction;
	ret->whole = mantissa;
	if (dropped == 0 && mantissa <= EXACT_MANTISSA && exponent >= -22 && exponent <= 22) {
		/* Both operands are exact, so the one rounding is the right one (Clinger 1990). */
		ret->value =
		    exponent < 0 ? (double)mantissa / powers[-exponent] : (double)mantissa * powers[exponent];
		if (ret->negative)
			ret->value = -ret->value;
	} else {
		ret->value = strtod(j->pos, NULL);
	}
	j->pos = p;
	return 0;
}
