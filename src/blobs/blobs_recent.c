/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of small objects that were read lately, so that they can be read again without the index, which may
 * have to wait for the disk. A table of fixed size; whoever hashes to a taken slot replaces what is there.
 *
 * Nobody may see an older row here than the index has: while a commit makes its changes visible, their slots
 * are busy, which empties them, and a reader notes what it found only if the slot's generation is the one
 * from before it asked the index.
 */
#include "blobs/blobs_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/crc32c.h"
#include "base/mem.h"

#define SLOTS 8192
#define ENTRY_BYTES_MAX 1024 /* key and body */

struct recent_slot {
	unsigned generation, busy;
	uint64_t bucket, seq;
	unsigned flags;
	struct place place;
	size_t key_len, body_len;
	char *bytes; /* owned: key, body; NULL = empty */
};

void recent_init(struct blobs *b)
{
	pthread_mutex_init(&b->recent_lock, NULL);
	b->recent = mem_alloc(SLOTS * sizeof(*b->recent));
}

void recent_done(struct blobs *b)
{
	for (size_t i = 0; i < SLOTS; i++)
		free(b->recent[i].bytes);
	free(b->recent);
	pthread_mutex_destroy(&b->recent_lock);
}

static struct recent_slot *slot_of(struct blobs *b, uint64_t bucket, struct str key)
{
	return &b->recent[crc32c((uint32_t)bucket, key.data, key.len) % SLOTS];
}

static void slot_clear(struct recent_slot *s)
{
	free(s->bytes);
	s->bytes = NULL;
}

bool recent_find(struct blobs *b, uint64_t bucket, struct str key, struct row *ret)
{
	pthread_mutex_lock(&b->recent_lock);
	const struct recent_slot *s = slot_of(b, bucket, key);
	bool found = s->bytes && s->bucket == bucket && s->key_len == key.len &&
		     memcmp(s->bytes, key.data, key.len) == 0;
	if (found) {
		ret->seq = s->seq;
		ret->flags = s->flags;
		ret->place = s->place;
		buf_clear(&ret->body);
		buf_add(&ret->body, s->bytes + s->key_len, s->body_len);
	}
	pthread_mutex_unlock(&b->recent_lock);
	return found;
}

unsigned recent_mark(struct blobs *b, uint64_t bucket, struct str key)
{
	pthread_mutex_lock(&b->recent_lock);
	unsigned generation = slot_of(b, bucket, key)->generation;
	pthread_mutex_unlock(&b->recent_lock);
	return generation;
}

void recent_note(struct blobs *b, uint64_t bucket, struct str key, const struct row *row, unsigned mark)
{
	if (key.len + row->body.len > ENTRY_BYTES_MAX)
		return;
	pthread_mutex_lock(&b->recent_lock);
	struct recent_slot *s = slot_of(b, bucket, key);
	if (!s->busy && s->generation == mark) {
		slot_clear(s);
		s->bucket = bucket;
		s->seq = row->seq;
		s->flags = row->flags;
		s->place = row->place;
		s->key_len = key.len;
		s->body_len = row->body.len;
		s->bytes = mem_alloc(key.len + row->body.len);
		memcpy(s->bytes, key.data, key.len);
		memcpy(s->bytes + key.len, row->body.data, row->body.len);
	}
	pthread_mutex_unlock(&b->recent_lock);
}

static void each_slot(struct blobs *b, const struct list *changes, void (*fn)(struct recent_slot *s))
{
	const struct change *c;
	pthread_mutex_lock(&b->recent_lock);
	LIST_EACH(c, changes, node)
	if (c->written && c->key)
		fn(slot_of(b, c->record.bucket, c->record.key));
	pthread_mutex_unlock(&b->recent_lock);
}

static void slot_begin(struct recent_slot *s)
{
	slot_clear(s);
	s->busy++;
	s->generation++;
}

static void slot_end(struct recent_slot *s)
{
	s->busy--;
	s->generation++;
}

void recent_begin(struct blobs *b, const struct list *changes)
{
	each_slot(b, changes, slot_begin);
}

void recent_end(struct blobs *b, const struct list *changes)
{
	each_slot(b, changes, slot_end);
}
