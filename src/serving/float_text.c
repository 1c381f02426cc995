/* SPDX-License-Identifier: Apache-2.0 */
/* Shortest text of floating-point numbers: the Schubfach method (Giulietti, "The Schubfach way to render
 * doubles", 2020; names below follow the paper). One code for both widths: a float is scaled with the upper
 * half of the power. */
#include "serving/float_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include "serving/float_powers.h"

struct decimal {
	uint64_t digits;
	int exponent;
};

/* floor(x / 2^n) of a negative number too. */
static int floor_shift(int64_t x, int n)
{
	return (int)(x >> n);
}

static int floor_log2_of_pow10(int e)
{
	return floor_shift((int64_t)e * 1741647, 19);
}

static int floor_log10_of_pow2(int e, bool three_quarters)
{
	return floor_shift((int64_t)e * 1262611 - (three_quarters ? 524031 : 0), 22);
}

/* The upper bits of g * x, with the lowest bit set when anything below is not zero. */
static uint64_t round_to_odd(const struct float_power *g, uint64_t x, bool narrow)
{
	unsigned __int128 low, high;

	if (narrow) {
		uint64_t g64 = g->high + (g->low != 0);
		high = (unsigned __int128)g64 * x;
		return (uint64_t)(high >> 64) | (((uint64_t)high >> 32) > 1);
	}
	low = (unsigned __int128)g->low * x;
	high = (unsigned __int128)g->high * x + (uint64_t)(low >> 64);
	return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* c * 2^q, c != 0. 'closer': the lower neighbour is at half the distance. */
static struct decimal shortest(uint64_t c, int q, bool closer, bool narrow)
{
	bool even = c % 2 == 0;
	int k = floor_log10_of_pow2(q, closer);
	int h = q + floor_log2_of_pow10(-k) + 1;
	const struct float_power *g = float_power(-k);
	uint64_t lower = round_to_odd(g, (4 * c - 2 + closer) << h, narrow) + !even;
	uint64_t v = round_to_odd(g, (4 * c) << h, narrow);
	uint64_t upper = round_to_odd(g, (4 * c + 2) << h, narrow) - !even;
	uint64_t s = v / 4, middle;
	bool low_in, high_in;

	if (s >= 10) {
		uint64_t tenth = s / 10;
		low_in = lower <= 40 * tenth;
		high_in = 40 * tenth + 40 <= upper;
		if (low_in != high_in)
			return (struct decimal){tenth + high_in, k + 1};
	}
	low_in = lower <= 4 * s;
	high_in = 4 * s + 4 <= upper;
	if (low_in != high_in)
		return (struct decimal){s + high_in, k};
	middle = 4 * s + 2;
	return (struct decimal){s + (v > middle || (v == middle && s % 2 == 1)), k};
}

static size_t put_digits(uint64_t digits, char *ret)
{
	char reversed[24];
	size_t n = 0;

	do
		reversed[n++] = (char)('0' + digits % 10);
	while (digits /= 10);
	for (size_t i = 0; i < n; i++)
		ret[i] = reversed[n - 1 - i];
	return n;
}

static size_t put_scientific(const char *digits, size_t count, int point, char *ret)
{
	size_t n = 0;
	int e = point - 1;

	ret[n++] = digits[0];
	if (count > 1) {
		ret[n++] = '.';
		memcpy(ret + n, digits + 1, count - 1);
		n += count - 1;
	}
	ret[n++] = 'e';
	ret[n++] = e < 0 ? '-' : '+';
	return n + put_digits((uint64_t)(e < 0 ? -e : e), ret + n);
}

/* 0.digits * 10^point as people write it: plain between 1e-5 and 1e17. */
static size_t put_decimal(struct decimal d, char *ret)
{
	char digits[24];
	size_t n = 0, count;
	int point;

	while (d.digits % 10 == 0) {
		d.digits /= 10;
		d.exponent++;
	}
	count = put_digits(d.digits, digits);
	point = (int)count + d.exponent;
	if (point > 17 || point < -4)
		return put_scientific(digits, count, point, ret);
	if (point <= 0) {
		memcpy(ret, "0.0000", 6);
		n = (size_t)(2 - point);
		memcpy(ret + n, digits, count);
		return n + count;
	}
	for (int i = 0; i < point; i++)
		ret[n++] = i < (int)count ? digits[i] : '0';
	ret[n++] = '.';
	if ((int)count <= point) {
		ret[n++] = '0';
		return n;
	}
	memcpy(ret + n, digits + point, count - (size_t)point);
	return n + count - (size_t)point;
}

static size_t put_special(bool negative, const char *text, char *ret)
{
	size_t n = 0, len = strlen(text);

	if (negative)
		ret[n++] = '-';
	memcpy(ret + n, text, len);
	return n + len;
}

/* fraction and biased exponent of either width. */
static size_t put_number(bool negative, uint64_t fraction, int biased, int fraction_bits, int exponent_max,
			 char *ret)
{
	int bias = exponent_max / 2 + fraction_bits; /* of the whole significand */
	uint64_t hidden = (uint64_t)1 << fraction_bits, c;
	struct decimal d;
	int q;

	if (biased == exponent_max)
		return put_special(negative && fraction == 0, fraction ? "NaN" : "Infinity", ret);
	if (biased == 0 && fraction == 0)
		return put_special(negative, "0.0", ret);
	c = biased ? hidden | fraction : fraction;
	q = (biased ? biased : 1) - bias;
	if (biased && q <= 0 && q > -fraction_bits - 1 && (c & (((uint64_t)1 << -q) - 1)) == 0)
		d = (struct decimal){c >> -q, 0};
	else
		d = shortest(c, q, fraction == 0 && biased > 1, fraction_bits == 23);
	if (negative)
		*ret = '-';
	return negative + put_decimal(d, ret + negative);
}

size_t float_text(float v, char ret[FLOAT_TEXT_MAX])
{
	uint32_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return put_number(bits >> 31, bits & 0x7fffff, (int)(bits >> 23 & 0xff), 23, 0xff, ret);
}

size_t double_text(double v, char ret[FLOAT_TEXT_MAX])
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	return put_number(bits >> 63, bits & 0xfffffffffffffull, (int)(bits >> 52 & 0x7ff), 52, 0x7ff, ret);
}
