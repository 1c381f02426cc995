/* SPDX-License-Identifier: Apache-2.0 */
/* How many bytes of messages and tensors the process moves from one place in its memory to another: between
 * the buffer that the kernel fills and the runtime (in), and between the runtime and the buffers that the
 * kernel takes (out). Reading and writing of texts (JSON, varints, strings) is not copying. One pair for the
 * process, because decoders and runtimes know no server; any thread may count. */
#ifndef SERVING_COPIES_H
#define SERVING_COPIES_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum copy_direction { COPY_IN, COPY_OUT, COPY_DIRECTIONS };

extern atomic_uint_fast64_t copies_bytes[COPY_DIRECTIONS];

static inline void copies_count(enum copy_direction d, size_t bytes)
{
	atomic_fetch_add_explicit(&copies_bytes[d], bytes, memory_order_relaxed);
}
static inline uint64_t copies_total(enum copy_direction d)
{
	return atomic_load_explicit(&copies_bytes[d], memory_order_relaxed);
}

#endif
