/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holds: while somebody copies the folder, no segment and no data file goes.
 *
 * Files that nobody owns any more wait in a list; a segment that was compacted simply stays, and is found
 * without anything alive by the next compaction. Nothing of this is on the disk: after a kill the files are
 * found as those of an interrupted upload are. A removal that began before the hold may end after it: its
 * record was durable before, so that a copy of the log that is begun then has it.
 */
#include "blobs/blobs_int.h"

#include <assert.h>
#include <stdlib.h>
#include "base/mem.h"

void hold_begin(struct blob_store *s)
{
	struct blobs *b = blobs_of(s);
	pthread_mutex_lock(&b->lock);
	b->holds++;
	pthread_mutex_unlock(&b->lock);
}

void hold_end(struct blob_store *s)
{
	struct blobs *b = blobs_of(s);
	pthread_mutex_lock(&b->lock);
	assert(b->holds > 0);
	bool was_last = --b->holds == 0;
	pthread_mutex_unlock(&b->lock);
	if (was_last)
		compact_want(b);
}

bool is_held(struct blobs *b)
{
	pthread_mutex_lock(&b->lock);
	bool held = b->holds > 0;
	pthread_mutex_unlock(&b->lock);
	return held;
}

bool hold_file(struct blobs *b, uint64_t id)
{
	pthread_mutex_lock(&b->lock);
	bool held = b->holds > 0;
	if (held && b->waiting_count == HELD_FILES_MAX)
		b->left_behind = true;
	else if (held) {
		if (b->waiting_count == b->waiting_cap) {
			b->waiting_cap = b->waiting_cap ? 2 * b->waiting_cap : 64;
			b->waiting = mem_realloc(b->waiting, b->waiting_cap * sizeof(*b->waiting));
		}
		b->waiting[b->waiting_count++] = id;
	}
	pthread_mutex_unlock(&b->lock);
	return held;
}

/* One that waits, unless somebody holds again. */
static bool take_waiting(struct blobs *b, uint64_t *ret)
{
	pthread_mutex_lock(&b->lock);
	bool taken = b->holds == 0 && b->waiting_count > 0;
	if (taken)
		*ret = b->waiting[--b->waiting_count];
	pthread_mutex_unlock(&b->lock);
	return taken;
}

void hold_settle(struct blobs *b)
{
	uint64_t id;
	while (take_waiting(b, &id))
		file_remove(b, id);
}

bool hold_close(struct blobs *b)
{
	hold_settle(b);
	bool all_gone = b->waiting_count == 0 && !b->left_behind;
	free(b->waiting);
	b->waiting = NULL;
	return all_gone;
}

void position_note(struct blobs *b)
{
	const struct segment *last = segment_last(b);
	pthread_mutex_lock(&b->lock);
	b->durable = (struct blob_position){last->id, last->end};
	pthread_mutex_unlock(&b->lock);
}

void position_get(struct blob_store *s, struct blob_position *ret)
{
	struct blobs *b = blobs_of(s);
	pthread_mutex_lock(&b->lock);
	*ret = b->durable;
	pthread_mutex_unlock(&b->lock);
}
