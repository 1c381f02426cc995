/* SPDX-License-Identifier: Apache-2.0 */
/* Bump allocator over a chain of chunks, newest first. */
#include "base/arena.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define ALIGNMENT ((size_t)16)
#define CHUNK_MIN_BYTES ((size_t)4096)
#define CHUNK_MAX_BYTES ((size_t)256 << 10)

struct arena_chunk {
	struct arena_chunk *older;
	size_t cap, used;
	_Alignas(16) char data[];
};

/* Chunks double, so that a big request costs few of them; one big allocation gets a chunk of its size. */
static struct arena_chunk *chunk_add(struct arena *a, size_t need)
{
	size_t cap = a->chunk ? a->chunk->cap * 2 : CHUNK_MIN_BYTES - sizeof(struct arena_chunk);
	if (cap > CHUNK_MAX_BYTES)
		cap = CHUNK_MAX_BYTES;
	if (cap < need)
		cap = need;
	struct arena_chunk *c = malloc(sizeof(*c) + cap);
	if (!c)
		return NULL;
	*c = (struct arena_chunk){.older = a->chunk, .cap = cap};
	a->chunk = c;
	return c;
}

void *arena_try_alloc(struct arena *a, size_t count, size_t size)
{
	size_t need, used;
	if (__builtin_mul_overflow(count, size, &need) || need > SIZE_MAX / 2)
		return NULL;
	need = need ? (need + ALIGNMENT - 1) & ~(ALIGNMENT - 1) : ALIGNMENT;
	if (__builtin_add_overflow(a->used_bytes, need, &used) || (a->limit_bytes && used > a->limit_bytes))
		return NULL;
	struct arena_chunk *c = a->chunk;
	if (!c || c->cap - c->used < need)
		c = chunk_add(a, need);
	if (!c)
		return NULL;
	void *p = c->data + c->used;
	c->used += need;
	a->used_bytes = used;
	return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
	void *p = arena_try_alloc(a, 1, size);
	if (!p)
		abort();
	return memset(p, 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
	size_t len = strnlen(s, n);
	char *p = arena_try_alloc(a, 1, len + 1);
	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = 0;
	return p;
}

static void drop_until(struct arena *a, bool keep_first)
{
	struct arena_chunk *c = a->chunk;
	while (c && !(keep_first && !c->older)) {
		struct arena_chunk *older = c->older;
		free(c);
		c = older;
	}
	a->chunk = c;
	a->used_bytes = 0;
}

void arena_reset(struct arena *a)
{
	drop_until(a, true);
	if (a->chunk)
		a->chunk->used = 0;
}

void arena_done(struct arena *a)
{
	drop_until(a, false);
}
