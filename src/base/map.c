/* SPDX-License-Identifier: Apache-2.0 */
/* Hash map: entries in insertion order in one array, an open-addressed index of positions beside it. The hash
 * is SipHash-2-4 (Aumasson and Bernstein 2012) under a key of this process. */
#include "base/map.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

#define INDEX_MIN ((size_t)16)
#define SLOT_FREE UINT32_MAX
#define SLOT_GONE (UINT32_MAX - 1)

struct entry {
	char *key; /* NULL: deleted */
	void *value;
	uint64_t hash;
};

struct map {
	void (*free_value)(void *);
	struct entry *entries;
	size_t entry_count, entry_cap; /* deleted ones included */
	size_t live;
	uint32_t *index;   /* position in entries, or SLOT_* */
	size_t index_cap;  /* power of two */
	size_t index_used; /* SLOT_GONE included */
};

static uint64_t hash_key[2];
static pthread_once_t hash_key_once = PTHREAD_ONCE_INIT;

static void make_hash_key(void)
{
	rng_system.fill(&rng_system, hash_key, sizeof(hash_key));
}

static uint64_t rotate(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

static void sip_rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1], v[2] += v[3];
		v[1] = rotate(v[1], 13) ^ v[0], v[3] = rotate(v[3], 16) ^ v[2];
		v[0] = rotate(v[0], 32);
		v[2] += v[1], v[0] += v[3];
		v[1] = rotate(v[1], 17) ^ v[2], v[3] = rotate(v[3], 21) ^ v[0];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t sip_hash(const char *data, size_t len)
{
	uint64_t v[4] = {hash_key[0] ^ 0x736f6d6570736575, hash_key[1] ^ 0x646f72616e646f6d,
			 hash_key[0] ^ 0x6c7967656e657261, hash_key[1] ^ 0x7465646279746573};
	uint64_t last = (uint64_t)len << 56, word;
	for (; len >= 8; data += 8, len -= 8) {
		memcpy(&word, data, 8);
		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	for (size_t i = 0; i < len; i++)
		last |= (uint64_t)(unsigned char)data[i] << (8 * i);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

struct map *map_new(void (*free_value)(void *))
{
	pthread_once(&hash_key_once, make_hash_key);
	struct map *m = MEM_NEW(struct map);
	m->free_value = free_value;
	return m;
}

static void drop_value(const struct map *m, void *value)
{
	if (m->free_value && value)
		m->free_value(value);
}

void map_free(struct map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->entry_count; i++) {
		if (!m->entries[i].key)
			continue;
		drop_value(m, m->entries[i].value);
		free(m->entries[i].key);
	}
	free(m->entries);
	free(m->index);
	free(m);
}

/* The slot that points at 'key', or NULL. */
static uint32_t *find_slot(const struct map *m, const char *key, uint64_t hash)
{
	if (!m->index_cap)
		return NULL;
	size_t mask = m->index_cap - 1;
	for (size_t i = hash & mask;; i = (i + 1) & mask) {
		uint32_t at = m->index[i];
		if (at == SLOT_FREE)
			return NULL;
		if (at != SLOT_GONE && m->entries[at].hash == hash && strcmp(m->entries[at].key, key) == 0)
			return &m->index[i];
	}
}

static void index_add(struct map *m, uint64_t hash, uint32_t at)
{
	size_t mask = m->index_cap - 1, i = hash & mask;
	while (m->index[i] != SLOT_FREE)
		i = (i + 1) & mask;
	m->index[i] = at;
	m->index_used++;
}

/* Squeezes deleted entries out and makes an index that is at most half full. */
static void rebuild(struct map *m)
{
	size_t n = 0;
	for (size_t i = 0; i < m->entry_count; i++)
		if (m->entries[i].key)
			m->entries[n++] = m->entries[i];
	m->entry_count = n;
	size_t cap = INDEX_MIN;
	while (cap < (n + 1) * 2)
		cap *= 2;
	free(m->index);
	m->index = mem_alloc(cap * sizeof(*m->index));
	memset(m->index, 0xff, cap * sizeof(*m->index));
	m->index_cap = cap;
	m->index_used = 0;
	for (size_t i = 0; i < n; i++)
		index_add(m, m->entries[i].hash, (uint32_t)i);
}

static void make_room(struct map *m)
{
	bool index_full = (m->index_used + 1) * 4 > m->index_cap * 3;
	bool mostly_gone = m->entry_count == m->entry_cap && m->live < m->entry_count / 2;
	if (index_full || mostly_gone)
		rebuild(m);
	if (m->entry_count < m->entry_cap)
		return;
	m->entry_cap = m->entry_cap ? m->entry_cap * 2 : INDEX_MIN / 2;
	if (m->entry_cap >= SLOT_GONE)
		abort();
	m->entries = mem_realloc(m->entries, m->entry_cap * sizeof(*m->entries));
}

void *map_get(const struct map *m, const char *key)
{
	uint32_t *slot = find_slot(m, key, sip_hash(key, strlen(key)));
	return slot ? m->entries[*slot].value : NULL;
}

void map_set(struct map *m, const char *key, void *value)
{
	uint64_t hash = sip_hash(key, strlen(key));
	uint32_t *slot = find_slot(m, key, hash);
	if (slot) {
		void *old = m->entries[*slot].value;
		m->entries[*slot].value = value;
		if (old != value)
			drop_value(m, old);
		return;
	}
	make_room(m);
	index_add(m, hash, (uint32_t)m->entry_count);
	m->entries[m->entry_count++] = (struct entry){mem_strdup(key), value, hash};
	m->live++;
}

/* 'key' may be the map's own copy: it is not used after the free. */
static bool remove_key(struct map *m, const char *key, void **ret_value)
{
	uint32_t *slot = find_slot(m, key, sip_hash(key, strlen(key)));
	if (!slot)
		return false;
	struct entry *e = &m->entries[*slot];
	*slot = SLOT_GONE;
	*ret_value = e->value;
	free(e->key);
	*e = (struct entry){0};
	m->live--;
	return true;
}

void *map_take(struct map *m, const char *key)
{
	void *value = NULL;
	remove_key(m, key, &value);
	return value;
}

bool map_delete(struct map *m, const char *key)
{
	void *value = NULL;
	if (!remove_key(m, key, &value))
		return false;
	drop_value(m, value);
	return true;
}

size_t map_count(const struct map *m)
{
	return m->live;
}

bool map_next(const struct map *m, size_t *pos, const char **ret_key, void **ret_value)
{
	while (*pos < m->entry_count) {
		const struct entry *e = &m->entries[(*pos)++];
		if (!e->key)
			continue;
		if (ret_key)
			*ret_key = e->key;
		if (ret_value)
			*ret_value = e->value;
		return true;
	}
	return false;
}

void cleanup_map(struct map **m)
{
	map_free(*m);
}
