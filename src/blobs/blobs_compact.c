/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compaction: what still lives in a segment is written again at the log's end, then the segment goes.
 *
 * A record that ends something (a removal) must outlive every older record of what it ended, or a log that is
 * read from its start would bring that back: it is dropped only from the oldest segment.
 */
#include "blobs/blobs_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"

#define MOVES_AT_ONCE 64

struct compaction {
	struct blobs *b;
	struct segment *segment;
	bool is_oldest;
	struct change *moves[MOVES_AT_ONCE];
	size_t count;
};

static int flush_moves(struct compaction *m, struct err *err)
{
	int r = 0;
	commit_wait(m->b, m->moves, m->count);
	for (size_t i = 0; i < m->count; i++) {
		if (m->moves[i]->r < 0 && r == 0) {
			r = m->moves[i]->r;
			*err = m->moves[i]->err;
		}
		change_free(m->moves[i]);
	}
	m->count = 0;
	return r;
}

/* Whether a record has to be looked at; the committing thread decides about those with a row. */
static bool is_worth_it(const struct compaction *m, const struct record *r)
{
	switch (r->type) {
	case RECORD_PUT:
	case RECORD_UPLOAD:
	case RECORD_PART:
	case RECORD_BUCKET:
		return true;
	case RECORD_REMOVE:
		return (r->flags & RECORD_MARKER) || !m->is_oldest;
	case RECORD_ATTRIBUTES: /* the object itself may be in another segment */
	case RECORD_UPLOAD_GONE:
	case RECORD_BUCKET_GONE:
	default:
		return !m->is_oldest;
	}
}

static int move(struct compaction *m, const struct record *r, const struct place *place, struct err *err)
{
	struct change *c = change_new(&change_move, "", "", NULL);
	c->key = mem_strndup(r->key.data, r->key.len);
	memcpy(c->upload, r->id.data, r->id.len);
	buf_add(&c->body, r->body.data, r->body.len);
	buf_add(&c->data, r->data.data, r->data.len);
	c->record = *r;
	c->record.flags |= RECORD_MOVED;
	c->record.key = (struct str){c->key, r->key.len};
	c->record.id = str_from(c->upload);
	c->record.body = (struct str){c->body.data, c->body.len};
	c->record.data = (struct str){c->data.data, c->data.len};
	c->moved_from = *place;
	m->moves[m->count++] = c;
	commit_submit(m->b, c);
	return m->count == MOVES_AT_ONCE ? flush_moves(m, err) : 0;
}

static int move_all(struct compaction *m, struct err *err)
{
	struct segment_scan scan;
	struct record record;
	struct place place;
	scan_begin(&scan, m->segment, SEGMENT_HEADER_BYTES);
	int r;
	while ((r = scan_next(&scan, &record, &place, err)) == RECORD_OK) {
		if (atomic_load(&m->b->compact_stopping)) /* what was moved is; the segment stays */
			r = err_set(err, ERR_CANCELLED, "the object store is being closed");
		else
			r = is_worth_it(m, &record) ? move(m, &record, &place, err) : 0;
		if (r < 0)
			break;
	}
	scan_end(&scan);
	struct err ignored = ERR_INIT;
	int flushed = flush_moves(m, r < 0 ? &ignored : err);
	if (r == RECORD_SHORT ||
	    r == RECORD_DAMAGED) /* it stays: whoever looks for the damage must find it */
		return err_set(err, ERR_CORRUPT, "segment %08x is damaged at byte %llu", m->segment->id,
			       (unsigned long long)scan.next);
	return r < 0 ? r : flushed;
}

/* Changes that write nothing. The first one lets the thread sync the index after its batch; the second one,
 * which comes after that, says whether it did. When nothing was moved the index still names the segment that
 * goes, so that its position is written too. */
static int sync_prepare(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	const struct segment *s = segment_last(b);
	b->sync_wanted = true;
	int r = index_state_set(&b->index, "segment", s->id, err);
	return r < 0 ? r : index_state_set(&b->index, "offset", (int64_t)(s->end + b->out.len), err);
}
static int synced_prepare(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	return b->was_synced ? 0 : err_set(err, ERR_IO, "the index cannot be made durable");
}

static int sync_index(struct blobs *b, struct err *err)
{
	static const struct change_kind kinds[] = {{0, sync_prepare}, {0, synced_prepare}};
	int r = 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds) && r >= 0; i++) {
		CLEANUP(change) struct change *c = change_new(&kinds[i], "", "", NULL);
		r = commit_run(b, c, err);
	}
	return r < 0 ? r : 0;
}

static int compact_one(struct blobs *b, uint32_t id, bool is_oldest, struct err *err)
{
	struct compaction m = {.b = b, .segment = segment_ref(b, id), .is_oldest = is_oldest};
	if (!m.segment)
		return 0;
	int r = move_all(&m, err);
	segment_unref(m.segment);
	if (r == 0)
		r = sync_index(b, err);
	if (r >= 0 && is_held(b)) /* it stays, with nothing alive in it, and is chosen again afterwards */
		return 0;
	return r < 0 ? r : segment_remove(b, id, err);
}

/* The sealed segment with the least alive, or 0. */
static uint32_t choose(struct blobs *b, int live_percent, uint32_t above, bool *ret_oldest, struct err *err)
{
	struct index *ix = NULL;
	sqlite3_stmt *st;
	uint32_t found = 0;
	struct map *live = map_new(free);
	if (reader_take(b, &ix, err) == 0 && index_query(ix, INDEX_SEGMENTS, &st, err, "") == 0)
		while (index_step(ix, st, err) > 0) {
			char name[16];
			int64_t *bytes = mem_alloc(sizeof(*bytes));
			*bytes = sqlite3_column_int64(st, 1);
			snprintf(name, sizeof(name), "%lld", (long long)sqlite3_column_int64(st, 0));
			map_set(live, name, bytes);
		}
	reader_give(b, ix);
	pthread_rwlock_rdlock(&b->names);
	for (size_t i = 0; i + 1 < b->segment_count && !found; i++) {
		const struct segment *s = b->segments[i];
		char name[16];
		snprintf(name, sizeof(name), "%lld", (long long)s->id);
		const int64_t *bytes = map_get(live, name);
		if (s->id > above && (bytes ? *bytes : 0) * 100 < (int64_t)s->end * live_percent) {
			found = s->id;
			*ret_oldest = i == 0;
		}
	}
	pthread_rwlock_unlock(&b->names);
	map_free(live);
	return found;
}

int blobs_compact(struct blob_store *s, int live_percent, struct err *err)
{
	struct blobs *b = blobs_of(s);
	int count = 0, r = 0;
	bool is_oldest = false;
	pthread_mutex_lock(&b->compact_lock);
	hold_settle(b);
	/* Ascending: what was looked at is not looked at again, also when it could not go. */
	for (uint32_t id = 0; !is_held(b) && (id = choose(b, live_percent, id, &is_oldest, err)) != 0;
	     count++) {
		r = compact_one(b, id, is_oldest, err);
		if (r < 0)
			break;
	}
	pthread_mutex_unlock(&b->compact_lock);
	return r < 0 ? r : count;
}

void compact_want(struct blobs *b)
{
	pthread_mutex_lock(&b->lock);
	b->compact_wanted = true;
	pthread_cond_broadcast(&b->finished);
	pthread_mutex_unlock(&b->lock);
}

void *compact_thread(void *blobs)
{
	struct blobs *b = blobs;
	pthread_mutex_lock(&b->lock);
	while (!atomic_load(&b->compact_stopping)) {
		if (!b->compact_wanted) {
			pthread_cond_wait(&b->finished, &b->lock);
			continue;
		}
		b->compact_wanted = false;
		pthread_mutex_unlock(&b->lock);
		struct err err = ERR_INIT;
		int r = blobs_compact(&b->base, COMPACT_LIVE_PERCENT, &err);
		if (r < 0 && r != -ERR_CANCELLED)
			log_warn("blobs.compact: %s", err.msg);
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}
