/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The committing thread. All that waits becomes one batch: each change is looked at in turn and put into the
 * index's open transaction; the records go to the log in one write and one fdatasync; then the transaction is
 * committed (without a sync) and everybody is told.
 */
#include "blobs/blobs_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"

struct batch {
	struct list changes;
	size_t count;
	struct tally tally;
	uint64_t first_seq, start; /* of the log: where the batch begins */
};

int commit_failed(struct blobs *b, struct err *err)
{
	pthread_mutex_lock(&b->lock);
	bool failed = b->failed;
	struct err why = b->why;
	pthread_mutex_unlock(&b->lock);
	return failed ? err_set(err, ERR_UNAVAILABLE, "object store has stopped: %.400s", why.msg) : 0;
}

static void stop_for_good(struct blobs *b, const struct err *why)
{
	pthread_mutex_lock(&b->lock);
	if (!b->failed)
		b->why = *why;
	b->failed = true;
	pthread_mutex_unlock(&b->lock);
}

static int write_one(struct blobs *b, struct batch *batch, struct change *c)
{
	int r = c->kind->prepare(b, c, &batch->tally, &c->err);
	if (r <= 0)
		return r;
	struct record *record = &c->record;
	record->batch = batch->first_seq;
	struct segment *segment = segment_last(b);
	size_t size = record_size(record->key.len, record->id.len, record->body.len, record->data.len);
	struct place place = {.segment = segment->id, .offset = segment->end + b->out.len, .size = size};
	place.data = place.offset + RECORD_HEADER_BYTES + record->key.len + record->id.len + record->body.len;
	record_format(record, &b->out);
	if (record->seq >= b->next_seq)
		b->next_seq = record->seq + 1;
	c->written = true;
	r = index_apply(&b->index, record, &place, &batch->tally, &c->err);
	if (r >= 0)
		bucket_note(b, record);
	return r;
}

/* One whose row could not be written spoils the batch: what it did to the index is unknown. */
static int write_changes(struct blobs *b, struct batch *batch, struct err *err)
{
	struct change *c;
	LIST_EACH(c, &batch->changes, node)
	{
		c->r = write_one(b, batch, c);
		if (c->r >= 0 || !c->written)
			continue;
		*err = c->err;
		return c->r;
	}
	return 0;
}

static int note_position(struct blobs *b, struct batch *batch, struct err *err)
{
	struct segment *s = segment_last(b);
	int r = index_state_set(&b->index, "segment", s->id, err);
	if (r >= 0)
		r = index_state_set(&b->index, "offset", (int64_t)(s->end + b->out.len), err);
	if (r >= 0)
		r = index_state_set(&b->index, "seq", (int64_t)b->next_seq, err);
	return r < 0 ? r : tally_write(&batch->tally, &b->index, err);
}

/* The log gets shorter again, so that it does not tell after a restart what was refused today. */
static void take_back(struct blobs *b, struct batch *batch, bool written)
{
	struct err err = ERR_INIT;
	index_run(&b->index, INDEX_ROLLBACK, &err, "");
	err = ERR_INIT;
	if (written && segment_truncate(segment_last(b), batch->start, &err) < 0)
		stop_for_good(b, &err);
	err = ERR_INIT;
	if (buckets_load(b, &err) < 0)
		stop_for_good(b, &err);
}

static int sync_log(struct blobs *b, struct err *err)
{
	if (fdatasync(segment_last(b)->fd) == 0)
		return 0;
	int r = err_sys(err, errno, "cannot make the log of objects durable");
	stop_for_good(b, err); /* nobody knows what is on the disk: never tried again */
	return r;
}

static int write_batch(struct blobs *b, struct batch *batch, struct err *err)
{
	int r = index_run(&b->index, INDEX_BEGIN, err, "");
	if (r < 0)
		return r;
	batch->first_seq = b->next_seq;
	batch->start = segment_last(b)->end;
	bool written = false;
	r = write_changes(b, batch, err);
	if (r >= 0 && b->out.len == 0) /* nobody had anything to write */
		return index_run(&b->index, INDEX_COMMIT, err, "");
	if (r >= 0)
		r = note_position(b, batch, err);
	if (r >= 0) {
		written = true;
		r = segment_write(segment_last(b), &b->out, err);
	}
	if (r >= 0)
		r = sync_log(b, err);
	if (r >= 0) {
		recent_begin(b, &batch->changes);
		r = index_run(&b->index, INDEX_COMMIT, err, "");
		recent_end(b, &batch->changes);
	}
	if (r < 0) {
		take_back(b, batch, written);
		return r;
	}
	segment_last(b)->end += b->out.len;
	position_note(b);
	return 0;
}

static void tell(struct blobs *b, struct change *c)
{
	if (c->r < 0 || !c->written)
		change_drop_files(b, c);
	if (c->done) {
		c->done(c->arg, c->r, c->r < 0 ? NULL : &c->info, &c->err);
		change_free(c);
		return;
	}
	pthread_mutex_lock(&b->lock);
	c->finished = true;
	pthread_cond_broadcast(&b->finished);
	pthread_mutex_unlock(&b->lock);
}

static int begin_segment_when_full(struct blobs *b, struct err *err)
{
	struct segment *last = segment_last(b);
	if (last->end < atomic_load(&b->segment_bytes))
		return 0;
	int r = segment_seal(last, err);
	if (r == 0)
		r = segment_add(b, err);
	compact_want(b);
	return r;
}

static void commit_batch(struct blobs *b, struct batch *batch)
{
	struct err err = ERR_INIT;
	struct change *c;
	buf_clear(&b->out);
	int r = commit_failed(b, &err);
	if (r == 0)
		r = begin_segment_when_full(b, &err);
	if (r == 0)
		r = write_batch(b, batch, &err);
	if (r < 0)
		LIST_EACH(c, &batch->changes, node)
		{
			c->r = r;
			c->err = err;
		}
	else {
		bucket_tally(b, &batch->tally);
		for (size_t i = 0; i < batch->tally.garbage_count; i++)
			file_remove(b, batch->tally.garbage[i]);
	}
	tally_done(&batch->tally);
	LIST_EACH(c, &batch->changes, node)
	{
		list_remove(&c->node);
		tell(b, c);
	}
	if (b->out.cap > 2 * BATCH_BYTES)
		buf_done(&b->out);
}

/* Under the lock. */
static void batch_take(struct blobs *b, struct batch *batch)
{
	size_t bytes = 0;
	*batch = (struct batch){0};
	list_init(&batch->changes);
	while (!list_empty(&b->queue) && batch->count < BATCH_CHANGES && bytes < BATCH_BYTES) {
		struct change *c = LIST_ENTRY(b->queue.next, struct change, node);
		list_remove(&c->node);
		list_append(&batch->changes, &c->node);
		batch->count++;
		bytes += RECORD_HEADER_BYTES + c->data.len;
	}
}

static int note_wal(void *arg, sqlite3 *db, const char *name, int pages)
{
	((struct blobs *)arg)->wal_pages = pages;
	return SQLITE_OK;
}

static void sync_index_when_due(struct blobs *b, bool is_calm)
{
	if (!b->sync_wanted && b->wal_pages < (is_calm ? INDEX_WAL_CALM : INDEX_WAL_MAX))
		return;
	/* A failure costs nothing but a longer log to be read at the next start; the next batch tries again.
	 */
	struct err err = ERR_INIT;
	b->sync_wanted = false;
	b->was_synced = index_sync(&b->index, &err) == 0;
	if (b->was_synced)
		b->wal_pages = 0;
}

void *commit_thread(void *blobs)
{
	struct blobs *b = blobs;
	struct batch batch;
	sqlite3_wal_hook(b->index.db, note_wal, b);
	pthread_mutex_lock(&b->lock);
	while (!b->stopping || !list_empty(&b->queue)) {
		if (list_empty(&b->queue)) {
			pthread_cond_wait(&b->wake, &b->lock);
			continue;
		}
		batch_take(b, &batch);
		bool is_calm = list_empty(&b->queue);
		pthread_mutex_unlock(&b->lock);
		commit_batch(b, &batch);
		sync_index_when_due(b, is_calm);
		pthread_mutex_lock(&b->lock);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

void commit_submit(struct blobs *b, struct change *c)
{
	pthread_mutex_lock(&b->lock);
	list_append(&b->queue, &c->node);
	pthread_cond_signal(&b->wake);
	pthread_mutex_unlock(&b->lock);
}

void commit_wait(struct blobs *b, struct change *const *changes, size_t count)
{
	pthread_mutex_lock(&b->lock);
	for (size_t i = 0; i < count; i++)
		while (!changes[i]->finished)
			pthread_cond_wait(&b->finished, &b->lock);
	pthread_mutex_unlock(&b->lock);
}

int commit_run(struct blobs *b, struct change *c, struct err *err)
{
	commit_submit(b, c);
	commit_wait(b, &c, 1);
	if (c->r < 0 && err)
		*err = c->err;
	return c->r;
}
