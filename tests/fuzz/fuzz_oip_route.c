/* SPDX-License-Identifier: Apache-2.0 */
/* Paths and small bodies of the Open Inference Protocol over HTTP. */
#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"
#include "serving/deflate.h"
#include "serving/oip_repository.h"
#include "serving/oip_route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const methods[] = {"GET", "POST", "PUT"};
	char *text = mem_alloc(size + 1);

	for (size_t i = 0; i < size; i++)
		text[i] = (char)data[i];
	for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
		struct arena arena = ARENA_INIT(16384);
		struct oip_route route;
		struct err err = ERR_INIT;
		if (oip_route_parse(methods[i], text, &arena, &route, &err) < 0)
			assert(err.code && err.msg[0]);
		else
			assert(oip_route_takes(text) || text[0] != '/');
		arena_done(&arena);
	}
	struct err err = ERR_INIT;

	http_coding_accepted(text);
	oip_change_parameters_json((struct str){text, size}, &err);
	free(text);
	return 0;
}
