/* SPDX-License-Identifier: Apache-2.0 */
/* Long lists of numbers in JSON text: the common spellings, eight characters at a time. Whatever is unusual
 * or wrong is left to json_text.c and json_number.c, so both ways give the same values and errors. */
#include <string.h>
#include "serving/json_text.h"

#define BLOCK 64
#define NUMBER_ROOM 48 /* bytes that must follow, so that eight can be loaded at any digit */
#define DIGITS_MAX 18  /* of a mantissa that surely fits 64 bits */
#define EXACT_MANTISSA ((uint64_t)1 << 53)

/* Bits of a double that a float has no room for, half of their range, and how near to it the two roundings of
 * a long mantissa could matter. */
#define FLOAT_LOST_BITS (((uint64_t)1 << 29) - 1)
#define FLOAT_HALF ((uint64_t)1 << 28)
#define FLOAT_DOUBT 8

static const double powers[] = {1e0,  1e1,  1e2,  1e3,	1e4,  1e5,  1e6,  1e7,	1e8, 1e9,
				1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18};
static const uint64_t whole_powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/* Counts the commas of a block; false when it holds a bracket or a quote. No branch inside, so that the
 * compiler takes many bytes at once. */
static bool block_is_plain(const char *p, size_t *commas)
{
	uint8_t found = 0, count = 0;

	for (int i = 0; i < BLOCK; i++) {
		uint8_t c = (uint8_t)p[i], folded = c | 0x20;
		found |= (uint8_t)((folded == '{') | (folded == '}') | (c == '"'));
		count = (uint8_t)(count + (c == ','));
	}
	*commas += found ? 0 : count;
	return !found;
}

bool json_text_skip_list(struct json_text *j, size_t *scalars)
{
	const char *p, *stop;
	size_t commas = 0, depth = 0;

	if (json_text_peek(j) != '[')
		return false;
	for (p = j->pos; p < j->end;) {
		if (j->end - p >= BLOCK && block_is_plain(p, &commas)) {
			p += BLOCK;
			continue;
		}
		stop = j->end - p > BLOCK ? p + BLOCK : j->end;
		for (; p < stop; p++) {
			if (*p == '{' || *p == '}' || *p == '"')
				return false;
			commas += *p == ',';
			depth += *p == '[';
			if (*p != ']' || --depth > 0)
				continue;
			j->pos = p + 1;
			*scalars += commas + 1;
			return true;
		}
	}
	return false;
}

int json_text_recheck(struct str text, struct str value, struct err *err)
{
	struct json_text j = {text.data, value.data, text.data + text.len};
	struct err syntax = ERR_INIT;

	if (json_text_skip(&j, NULL, &syntax) < 0)
		*err = syntax;
	return -err->code;
}

/* The digits at p, at most eight: their number, and their value in *ret. Eight bytes are loaded as one word,
 * the first byte lowest; whatever stands behind the digits is shifted out, zeros come in before them. */
static unsigned take_eight(const char *p, uint64_t *ret)
{
	uint64_t word, other;
	unsigned count;

	memcpy(&word, p, sizeof(word));
	word ^= 0x3030303030303030;
	other = (word | (word + 0x7676767676767676)) & 0x8080808080808080;
	count = other ? (unsigned)__builtin_ctzll(other) / 8 : 8;
	*ret = 0;
	if (count == 0)
		return 0;
	word <<= (8 - count) * 8;
	word = word * 10 + (word >> 8); /* pairs, then fours, then all eight */
	word = (((word & 0x000000ff000000ff) * (100 + ((uint64_t)1000000 << 32))) +
		(((word >> 16) & 0x000000ff000000ff) * (1 + ((uint64_t)10000 << 32)))) >>
	       32;
	*ret = (uint32_t)word;
	return count;
}

/* Is the float that is nearest to 'value' the same for every double a few steps from it? */
static bool float_is_sure(double value)
{
	uint64_t bits, lost;

	memcpy(&bits, &value, sizeof(bits));
	lost = bits & FLOAT_LOST_BITS;
	return lost < FLOAT_HALF - FLOAT_DOUBT || lost > FLOAT_HALF + FLOAT_DOUBT;
}

/* A number without exponent and of few digits at p: its end, or NULL when it needs a closer look. */
static const char *take_plain(const char *p, bool as_float, double *ret)
{
	bool minus = *p == '-';
	const char *start = p += minus;
	uint64_t mantissa, more;
	unsigned digits = take_eight(p, &mantissa), fraction = 0, n;

	if (digits == 0 || digits == 8 || (*start == '0' && digits > 1))
		return NULL;
	p += digits;
	if (*p == '.') {
		p++;
		do {
			n = take_eight(p, &more);
			p += n;
			fraction += n;
			if (digits + fraction > DIGITS_MAX)
				return NULL;
			mantissa = mantissa * whole_powers[n] + more;
		} while (n == 8);
		if (fraction == 0)
			return NULL;
	}
	if (*p == 'e' || *p == 'E')
		return NULL;
	*ret = (double)mantissa / powers[fraction];
	if (mantissa > EXACT_MANTISSA && !(as_float && float_is_sure(*ret)))
		return NULL;
	if (minus)
		*ret = -*ret;
	return p;
}

size_t json_text_reals(struct json_text *j, bool as_float, void *to, size_t max)
{
	size_t count = 0;

	while (count < max && j->end - j->pos > NUMBER_ROOM) {
		double value;
		const char *p = take_plain(j->pos, as_float, &value);
		if (!p || *p != ',')
			break;
		if (as_float)
			((float *)to)[count] = (float)value;
		else
			((double *)to)[count] = value;
		count++;
		j->pos = p + 1;
		if (*j->pos == ' ')
			j->pos++;
	}
	return count;
}
