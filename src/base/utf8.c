/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, see utf8.h. */
#include "base/utf8.h"

size_t utf8_length(const char *start, const char *end)
{
	const unsigned char *p = (const unsigned char *)start;
	unsigned c = *p;
	size_t more = c < 0x80 ? 0 : c >= 0xc2 && c < 0xe0 ? 1 : c >= 0xe0 && c < 0xf0 ? 2 : 3;

	if ((c >= 0x80 && (c < 0xc2 || c > 0xf4)) || (size_t)(end - start) <= more)
		return 0;
	if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) || (c == 0xf0 && p[1] < 0x90) ||
	    (c == 0xf4 && p[1] > 0x8f))
		return 0;
	for (size_t i = 1; i <= more; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return more + 1;
}

bool utf8_is(struct str s)
{
	const char *p = s.data, *end = s.data + s.len;

	while (s.len > 0 && p < end) {
		size_t n = utf8_length(p, end);
		if (n == 0)
			return false;
		p += n;
	}
	return true;
}
