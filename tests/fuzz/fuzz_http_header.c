/* SPDX-License-Identifier: Apache-2.0 */
/* Values of request headers. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/http_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int64_t sizes[] = {0, 1, 10, INT64_C(1) << 40};
	static const char *const names[] = {"ml.example", NULL};
	char *text = mem_strndup((const char *)data, size), value[16];
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		int64_t first = -1, length = -1;
		if (http_range_parse(text, sizes[i], &first, &length) == HTTP_RANGE_PART)
			assert(first >= 0 && length > 0 && first + length <= sizes[i]);
	}
	if (http_cookie_get(text, "s", value, sizeof(value)))
		assert(strlen(value) < sizeof(value) && !strchr(value, ';'));
	http_etag_matches(text, "tag");
	http_host_is_allowed(text, names);
	http_origin_is_host(text, "localhost");
	free(text);
	return 0;
}
