/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of forms, see form.h. */
#include "serving/form.h"

#include <string.h>

static int hex_digit(int c)
{
	return c >= '0' && c <= '9'			? c - '0'
	       : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10
							: -1;
}

static bool decode(struct str s, struct arena *arena, struct str *ret)
{
	char *to = arena_try_alloc(arena, s.len + 1, 1);
	size_t n = 0;

	if (!to)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		int high = s.data[i] == '%' && i + 2 < s.len ? hex_digit(s.data[i + 1]) : -1;
		int low = high >= 0 ? hex_digit(s.data[i + 2]) : -1;
		if (low >= 0) {
			to[n++] = (char)(high * 16 + low);
			i += 2;
		} else {
			to[n++] = s.data[i] == '+' ? ' ' : s.data[i];
		}
	}
	to[n] = 0;
	*ret = (struct str){to, n};
	return true;
}

bool form_field(struct str body, const char *name, struct arena *arena, struct str *ret)
{
	size_t name_len = strlen(name);

	while (body.len > 0) {
		const char *end = memchr(body.data, '&', body.len);
		struct str field = {body.data, end ? (size_t)(end - body.data) : body.len};
		if (field.len > name_len && field.data[name_len] == '=' &&
		    memcmp(field.data, name, name_len) == 0)
			return decode((struct str){field.data + name_len + 1, field.len - name_len - 1},
				      arena, ret);
		if (!end)
			break;
		body = (struct str){end + 1, body.len - field.len - 1};
	}
	return false;
}
