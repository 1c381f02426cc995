/* SPDX-License-Identifier: Apache-2.0 */
/* Bump allocator: everything of one request is released at once. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stddef.h>

struct arena_chunk;
struct arena {
	struct arena_chunk *chunk;
	size_t used_bytes, limit_bytes; /* limit 0 = none */
};
#define ARENA_INIT(limit) ((struct arena){.limit_bytes = (limit)})

void *arena_alloc(struct arena *a, size_t size); /* zeroed, 16-byte aligned; aborts past limit */
void *arena_try_alloc(struct arena *a, size_t count,
		      size_t size); /* NULL past limit or on overflow; not zeroed */
char *arena_strndup(struct arena *a, const char *s, size_t n); /* NULL past limit */
void arena_reset(struct arena *a);			       /* keeps the first chunk */
void arena_done(struct arena *a);

#endif
