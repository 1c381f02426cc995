/* SPDX-License-Identifier: Apache-2.0 */
/* Input messages: every example handed out can be read. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "serving/example.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct arena arena = ARENA_INIT(1 << 20);
	char *copy = malloc(size ? size : 1); /* exact, so that a read past the end is seen */
	struct example_list list;
	struct err err = ERR_INIT;
	unsigned sum = 0;
	int r;

	memcpy(copy, data, size);
	r = example_pb_decode((struct str){copy, size}, &arena, &list, &err);
	assert(r == -err.code && (r < 0 || list.count > 0));
	for (size_t i = 0; r >= 0 && i < list.count; i++)
		for (size_t k = 0; k < list.items[i].len; k++)
			sum += (unsigned char)list.items[i].data[k];
	assert(sum <= 255u * (1u << 21) || size > 0);
	arena_done(&arena);
	free(copy);
	return 0;
}
