/* SPDX-License-Identifier: Apache-2.0 */
/* Base64 of checksums: there and back, and only one text for the same bytes. */
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "s3/s3_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void there_and_back(const uint8_t *data, size_t len)
{
	char text[512];
	uint8_t back[256];
	base64_encode(data, len, text);
	assert(strlen(text) == 4 * ((len + 2) / 3));
	assert(base64_decode(text, back, len) && memcmp(back, data, len) == 0);
	assert(!base64_decode(text, back, len + 1));
}

/* Spaces between are passed over. */
static void back_and_there(const char *text)
{
	static const size_t lens[] = {0, 4, 8, 16, 20, 32};
	char dense[257] = "", again[512];
	size_t n = 0;
	for (const char *p = text; *p && n < 256; p++)
		if (!isspace((unsigned char)*p))
			dense[n++] = *p;
	dense[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
		uint8_t raw[32];
		if (!base64_decode(text, raw, lens[i]))
			continue;
		base64_encode(raw, lens[i], again);
		assert(strcmp(again, dense) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(free) char *text = mem_strndup((const char *)data, size);
	there_and_back(data, size < 190 ? size : 190);
	back_and_there(text);
	return 0;
}
