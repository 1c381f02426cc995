/* SPDX-License-Identifier: Apache-2.0 */
/* The search for a large tensor, see payload.h. */
#include "serving/payload.h"

#include "net/pb.h"

#define PAYLOAD_MIN 1024 /* smaller tensors are copied faster than they are aligned */
#define LENGTH_MAX ((uint64_t)1 << 40)

size_t payload_find(const void *head, size_t len, enum payload_step (*step)(int level, uint64_t field))
{
	struct pb p; /* over bytes that are cut off: only whole keys and numbers are trusted */
	const uint8_t *start = head, *end[PAYLOAD_LEVELS_MAX];
	uint64_t key, value;
	int level = 0;

	pb_init(&p, head, len);
	for (;;) {
		enum payload_step is = PAYLOAD_NOTHING;
		while (level > 0 && p.pos >= end[level - 1])
			level--;
		if (!pb_item_varint(&p, &key))
			return 0;
		if ((key & 7) == PB_FIXED64 || (key & 7) == PB_FIXED32) {
			value = (key & 7) == PB_FIXED64 ? 8 : 4;
		} else if (!pb_item_varint(&p, &value)) {
			return 0;
		} else if ((key & 7) == PB_VARINT) {
			continue;
		} else if ((key & 7) != PB_BYTES) {
			return 0;
		} else {
			is = step(level, key >> 3);
		}
		if (is == PAYLOAD_ELEMENTS && value >= PAYLOAD_MIN)
			return (size_t)(p.pos - start);
		if (is == PAYLOAD_INSIDE && level < PAYLOAD_LEVELS_MAX) {
			end[level++] = value < LENGTH_MAX ? p.pos + value : p.pos;
			continue;
		}
		if (value > (uint64_t)(p.end - p.pos))
			return 0;
		p.pos += value;
	}
}
