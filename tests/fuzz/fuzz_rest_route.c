/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the REST API: a name is never empty, never holds a NUL. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/rest_route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = {"GET", "POST", "PUT"};
	char *path = mem_strndup((const char *)data, size);

	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct arena arena = ARENA_INIT(4096);
		struct rest_route route;
		struct err err = ERR_INIT;
		int r = rest_route_parse(methods[i], path, &arena, &route, &err);
		assert(r == -err.code);
		assert(r < 0 ||
		       (route.spec.name.len > 0 && !memchr(route.spec.name.data, 0, route.spec.name.len)));
		arena_done(&arena);
	}
	free(path);
	return 0;
}
