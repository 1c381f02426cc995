/* SPDX-License-Identifier: Apache-2.0 */
/* Reflection requests: the answer is well-formed protobuf. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "net/pb.h"
#include "serving/reflection.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	char *copy = malloc(size ? size : 1);
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct pb p;
	struct pb_field f;
	int r;

	memcpy(copy, data, size);
	r = reflection_answer((struct str){copy, size}, &b, &err);
	assert(r == -err.code);
	if (r >= 0) {
		pb_init(&p, b.data, b.len);
		while (pb_next(&p, &f))
			assert(f.wire == PB_BYTES);
		assert(pb_end(&p, "answer", &err) >= 0);
	}
	buf_done(&b);
	free(copy);
	return 0;
}
