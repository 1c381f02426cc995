/* SPDX-License-Identifier: Apache-2.0 */
/* Request targets: what is accepted is clean. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/http_uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT(1 << 20);
	struct http_uri u;
	struct err err = ERR_INIT;
	char *raw = mem_strndup((const char *)data, size);
	if (http_uri_parse(raw, &arena, &u, &err) == 0) {
		assert(u.segment_count <= HTTP_SEGMENTS_MAX && u.query_count <= HTTP_QUERY_MAX);
		for (size_t i = 0; i < u.segment_count; i++)
			assert(u.segments[i][0] && strcmp(u.segments[i], "..") &&
			       strcmp(u.segments[i], ".") && !strpbrk(u.segments[i], "/\\\n\r\x7f"));
		for (size_t i = 0; i < u.query_count; i++)
			assert(http_uri_query(&u, u.query[i].name) == u.query[i].value);
	} else {
		assert(err.code == ERR_INVALID || err.code == ERR_TOO_LARGE);
	}
	free(raw);
	arena_done(&arena);
	return 0;
}
