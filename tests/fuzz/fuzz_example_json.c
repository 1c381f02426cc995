/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies of classify and regress: what is accepted is well-formed protobuf. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/example.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
	struct arena arena = ARENA_INIT(1 << 20);
	char *copy = malloc(size + 1);
	struct example_body body;
	struct err err = ERR_INIT;
	int r;

	memcpy(copy, data, size);
	copy[size] = 0;
	r = example_json_read((struct str){copy, size}, &arena, &body, &err);
	assert(r == -err.code && (r < 0 || body.examples.count > 0));
	for (size_t i = 0; r >= 0 && i < body.examples.count; i++) {
		struct pb p, q;
		struct pb_field f, g;
		pb_init_str(&p, body.examples.items[i]);
		while (pb_next(&p, &f)) {
			assert(pb_is(&f, 1, PB_BYTES));
			pb_init_str(&q, f.bytes);
			while (pb_next(&q, &g))
				assert(pb_is(&g, 1, PB_BYTES));
			assert(pb_end(&q, "Features", &err) >= 0);
		}
		assert(pb_end(&p, "Example", &err) >= 0);
	}
	arena_done(&arena);
	free(copy);
	return 0;
}
