/* SPDX-License-Identifier: Apache-2.0 */
/* Protocol Buffers reader: every view stays within the message, and what it hands out fits what the writer
 * makes. */
#include <assert.h>
#include "net/pb.h"

static void walk(struct str bytes, int depth)
{
	struct pb p;
	struct pb_field f;
	uint64_t v;

	pb_init_str(&p, bytes);
	while (pb_next(&p, &f)) {
		assert(f.number >= 1 && f.number <= PB_FIELD_MAX);
		if (f.wire != PB_BYTES)
			continue;
		assert(f.bytes.len == 0 ||
		       (f.bytes.data >= bytes.data && f.bytes.data + f.bytes.len <= bytes.data + bytes.len));
		struct pb items;
		pb_init_str(&items, f.bytes);
		while (pb_item_varint(&items, &v))
			assert(pb_varint_len(v) <= PB_VARINT_MAX_BYTES);
		if (depth < 4)
			walk(f.bytes, depth + 1);
	}
	assert(p.pos == p.end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	walk((struct str){(const char *)data, size}, 0);
	return 0;
}
