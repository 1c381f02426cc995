/* SPDX-License-Identifier: Apache-2.0 */
/* Text from programs, made fit for JSON and for people. */
#include "local/text_clean.h"

#include <stdbool.h>
#include <string.h>

/* Length of the valid UTF-8 character at p (RFC 3629), 0 when it is not one. */
static size_t utf8_length(const unsigned char *p, size_t len)
{
	size_t n;
	if (p[0] < 0x80)
		return 1;
	if (p[0] >= 0xc2 && p[0] <= 0xdf)
		n = 2;
	else if (p[0] >= 0xe0 && p[0] <= 0xef)
		n = 3;
	else if (p[0] >= 0xf0 && p[0] <= 0xf4)
		n = 4;
	else
		return 0;
	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
	bool outside = (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf4 && p[1] > 0x8f);
	return overlong || outside ? 0 : n;
}

/* Length of the terminal escape sequence at p (p[0] is ESC). */
static size_t escape_length(const unsigned char *p, size_t len)
{
	if (len < 2 || p[1] != '[')
		return len < 2 ? len : 2;
	size_t i = 2;
	while (i < len && p[i] >= 0x20 && p[i] <= 0x3f)
		i++;
	return i < len ? i + 1 : i;
}

size_t text_clean(const char *data, size_t len, char *ret, size_t cap)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t used = 0;
	for (size_t i = 0; i < len;) {
		if (p[i] == 0x1b) {
			i += escape_length(p + i, len - i);
			continue;
		}
		size_t n = utf8_length(p + i, len - i);
		size_t take = n ? n : 1;
		if (used + take >= cap)
			break;
		if (!n)
			ret[used] = '?';
		else if (p[i] < 0x20 || p[i] == 0x7f)
			ret[used] = ' ';
		else
			memcpy(ret + used, p + i, n);
		if (used || ret[used] != ' ') /* no blanks in front */
			used += take;
		i += take;
	}
	while (used && ret[used - 1] == ' ')
		used--;
	ret[used] = 0;
	return used;
}
