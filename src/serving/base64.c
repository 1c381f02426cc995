/* SPDX-License-Identifier: Apache-2.0 */
/* Base 64, see base64.h. */
#include "serving/base64.h"

#include <stdint.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *b, struct str bytes)
{
	const uint8_t *p = (const uint8_t *)bytes.data;

	buf_reserve(b, (bytes.len + 2) / 3 * 4);
	for (size_t i = 0; i < bytes.len; i += 3) {
		size_t n = bytes.len - i < 3 ? bytes.len - i : 3;
		uint32_t v =
		    (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (n > 2 ? p[i + 2] : 0);
		char four[4] = {alphabet[v >> 18], alphabet[v >> 12 & 63],
				n > 1 ? alphabet[v >> 6 & 63] : '=', n > 2 ? alphabet[v & 63] : '='};
		buf_add(b, four, 4);
	}
}

long base64_decode(struct str text, char *to)
{
	size_t len = text.len, n = 0;
	uint32_t bits = 0;
	int have = 0;

	while (len > 0 && text.len - len < 2 && text.data[len - 1] == '=')
		len--;
	for (size_t i = 0; i < len; i++) {
		const char *at = text.data[i] ? strchr(alphabet, text.data[i]) : NULL;
		if (!at)
			return -1;
		bits = bits << 6 | (uint32_t)(at - alphabet);
		have += 6;
		if (have >= 8) {
			have -= 8;
			to[n++] = (char)(bits >> have);
		}
	}
	return len % 4 == 1 ? -1 : (long)n;
}
