/* SPDX-License-Identifier: Apache-2.0 */
/*
 * At the start: the index is brought up to date from the log, or made anew when it is missing or damaged.
 *
 * What stands behind the last whole record of the newest segment may be a write that a crash cut short:
 * nobody was told of it, and it goes. But when a record of a later commit follows the damage, the damaged one
 * had been acknowledged: then the disk has lost it, and that is said instead.
 */
#include "blobs/blobs_int.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"

#define RECORDS_PER_TRANSACTION 2000

struct replay {
	struct blobs *b;
	struct tally tally;
	uint64_t max_seq, last_batch;
	size_t count;
	uint64_t damaged;
};

static int replay_begin(struct replay *p, struct err *err)
{
	int r = index_run(&p->b->index, INDEX_BEGIN, err, "");
	return r < 0 ? r : 0;
}

static int replay_commit(struct replay *p, const struct segment *s, uint64_t offset, struct err *err)
{
	struct index *ix = &p->b->index;
	int r = index_state_set(ix, "segment", s->id, err);
	if (r >= 0)
		r = index_state_set(ix, "offset", (int64_t)offset, err);
	if (r >= 0)
		r = index_state_set(ix, "seq", (int64_t)p->max_seq + 1, err);
	if (r >= 0)
		r = tally_write(&p->tally, ix, err);
	if (r >= 0)
		r = index_run(ix, INDEX_COMMIT, err, "");
	for (size_t i = 0; i < p->tally.garbage_count && r >= 0; i++)
		file_remove(p->b, p->tally.garbage[i]);
	tally_done(&p->tally);
	return r;
}

static int replay_one(struct replay *p, const struct record *record, const struct place *place,
		      const struct segment *s, uint64_t next, struct err *err)
{
	int r = index_apply(&p->b->index, record, place, &p->tally, err);
	if (r < 0)
		return r;
	if (record->seq > p->max_seq)
		p->max_seq = record->seq;
	p->last_batch = record->batch;
	if (++p->count % RECORDS_PER_TRANSACTION)
		return 0;
	r = replay_commit(p, s, next, err);
	return r < 0 ? r : replay_begin(p, err);
}

/* After a record that is not whole. 1 = a later one follows and is read next, 0 = the log ends here. */
static int replay_damage(struct replay *p, struct segment_scan *scan, bool is_newest, struct err *err)
{
	uint64_t from = scan->next;
	int r = scan_skip(scan, err);
	if (r <= 0)
		return r;
	struct record record;
	struct place place;
	uint64_t at = scan->next;
	r = scan_next(scan, &record, &place, err);
	if (r != RECORD_OK)
		return r < 0 ? r : 0;
	/* Of the commit that was cut short: what follows in it was not told either. */
	if (is_newest && record.batch == p->last_batch)
		return 0;
	log_warn(
	    "blobs.damaged segment=%08x from=%llu to=%llu: records are lost; the store's check says more",
	    scan->segment->id, (unsigned long long)from, (unsigned long long)at);
	p->damaged++;
	scan->next = at;
	return 1;
}

static int replay_segment(struct replay *p, struct segment *s, uint64_t offset, bool is_newest,
			  struct err *err)
{
	struct segment_scan scan;
	struct record record;
	struct place place;
	uint64_t end = offset;
	scan_begin(&scan, s, offset);
	int r;
	while ((r = scan_next(&scan, &record, &place, err)) >= 0) {
		if (r == RECORD_OK) {
			end = scan.next;
			r = replay_one(p, &record, &place, s, end, err);
		} else if (r == RECORD_END)
			break;
		else {
			r = replay_damage(p, &scan, is_newest, err);
			if (r == 0)
				break;
		}
		if (r < 0)
			break;
	}
	scan_end(&scan);
	if (r < 0)
		return r;
	if (is_newest) {
		s->end = end;
		return segment_truncate(s, end, err);
	}
	return 0;
}

/* Parts whose upload had ended before the oldest segment begins. */
static int drop_lost_parts(struct replay *p, struct err *err)
{
	for (;;) {
		sqlite3_stmt *st;
		int r = index_query(&p->b->index, INDEX_PARTS_LOST, &st, err, "");
		if (r < 0 || (r = index_step(&p->b->index, st, err)) <= 0)
			return r;
		CLEANUP(free) char *upload = mem_strdup((const char *)sqlite3_column_text(st, 0));
		int64_t number = sqlite3_column_int64(st, 1);
		sqlite3_reset(st);
		r = index_run(&p->b->index, INDEX_PART_DELETE, err, "si", upload, number);
		if (r < 0)
			return r;
	}
}

static int replay(struct blobs *b, bool from_start, struct err *err)
{
	struct replay p = {.b = b};
	int64_t segment = 0, offset = SEGMENT_HEADER_BYTES, seq = 1;
	int r = index_state_get(&b->index, "segment", &segment, err);
	if (r == 0 && segment)
		r = index_state_get(&b->index, "offset", &offset, err);
	if (r == 0 && segment)
		r = index_state_get(&b->index, "seq", &seq, err);
	p.max_seq = (uint64_t)seq - 1;
	if (r == 0)
		r = replay_begin(&p, err);
	for (size_t i = 0; i < b->segment_count && r >= 0; i++) {
		struct segment *s = b->segments[i];
		if (s->id >= segment)
			r = replay_segment(&p, s, s->id == segment ? (uint64_t)offset : SEGMENT_HEADER_BYTES,
					   i + 1 == b->segment_count, err);
	}
	if (r >= 0 && from_start)
		r = drop_lost_parts(&p, err);
	if (r >= 0)
		r = replay_commit(&p, segment_last(b), segment_last(b)->end, err);
	tally_done(&p.tally);
	b->next_seq = p.max_seq + 1;
	if (r >= 0 && p.count)
		log_debug("blobs.recover records=%zu damaged=%llu", p.count, (unsigned long long)p.damaged);
	return r;
}

static void remove_index(struct blobs *b)
{
	static const char *const names[] = {"index", "index-wal", "index-shm"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		(void)!unlinkat(b->root_fd, names[i], 0);
}

/* ERR_CORRUPT: the index cannot be right. */
static int open_index(struct blobs *b, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("%s/index", b->root);
	int64_t segment = 0, offset = 0;
	int r = index_open(path, true, &b->index, err);
	if (r < 0 || (r = index_state_get(&b->index, "segment", &segment, err)) < 0 ||
	    (r = index_state_get(&b->index, "offset", &offset, err)) < 0)
		return r;
	if (segment == 0)
		return 0;
	struct segment *s = segment_ref(b, (uint32_t)segment);
	uint64_t end = s ? s->end : 0;
	segment_unref(s);
	return (uint64_t)offset <= end
		   ? 0
		   : err_set(err, ERR_CORRUPT,
			     "index knows segment %08x up to byte %lld, of which there are %llu",
			     (unsigned)segment, (long long)offset, (unsigned long long)end);
}

struct sweep {
	struct blobs *b;
	int r;
	struct err *err;
};

static void sweep_file(void *arg, uint64_t id)
{
	struct sweep *w = arg;
	sqlite3_stmt *st;
	if (w->r < 0)
		return;
	w->r = index_query(&w->b->index, INDEX_FILE, &st, w->err, "i", (int64_t)id);
	if (w->r >= 0)
		w->r = index_step(&w->b->index, st, w->err);
	sqlite3_reset(st);
	if (w->r == 0)
		file_remove(w->b, id);
}

/* Files of uploads that a crash interrupted. */
static int remove_orphans(struct blobs *b, struct err *err)
{
	struct sweep w = {.b = b, .err = err};
	int r = files_each(b, sweep_file, &w, err);
	return r < 0 ? r : w.r < 0 ? w.r : 0;
}

int recover(struct blobs *b, struct err *err)
{
	bool was_clean = unlinkat(b->root_fd, "clean", 0) == 0;
	int r = fd_sync(b->root_fd, err);
	if (r == 0)
		r = segments_open(b, err);
	if (r == 0 && b->segment_count == 0)
		r = segment_add(b, err);
	if (r < 0)
		return r;
	bool anew = false;
	r = open_index(b, err);
	if (r >= 0)
		r = replay(b, false, err);
	if (r == -ERR_CORRUPT || r == -ERR_INTERNAL) {
		log_warn("blobs.index.anew: %s", err->msg);
		*err = ERR_INIT;
		index_close(&b->index);
		remove_index(b);
		anew = true;
		r = open_index(b, err);
		if (r >= 0)
			r = replay(b, true, err);
	}
	if (r >= 0)
		position_note(b);
	if (r >= 0)
		r = buckets_load(b, err);
	/* Only a log that was read to its end can tell whose a file is. */
	if (r >= 0 && (!was_clean || anew))
		r = remove_orphans(b, err);
	return r < 0 ? r : 0;
}
