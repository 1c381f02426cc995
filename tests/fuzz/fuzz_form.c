/* SPDX-License-Identifier: Apache-2.0 */
/* Forms of browsers. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "serving/form.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	static const char *const names[] = {"model", "version", "verb", "body"};
	struct arena arena = ARENA_INIT(size + 4096);
	char *copy = malloc(size ? size : 1);
	struct str value;

	memcpy(copy, data, size);
	for (size_t i = 0; i < 4; i++)
		if (form_field((struct str){copy, size}, names[i], &arena, &value))
			assert(value.len < size && value.data[value.len] == 0);
	arena_done(&arena);
	free(copy);
	return 0;
}
