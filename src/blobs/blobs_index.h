/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index: which record of the log is the newest of everything. An SQLite file without a sync of its own;
 * it may be behind the log after a power cut, never ahead of it in a way that the log does not repeat.
 *
 * One connection writes (the committing thread's), any number read; each belongs to one thread at a time.
 */
#ifndef BLOBS_INDEX_H
#define BLOBS_INDEX_H

#include <sqlite3.h>
#include "blobs/blobs_record.h"

enum index_statement {
	INDEX_BEGIN,
	INDEX_COMMIT,
	INDEX_ROLLBACK,
	INDEX_NEWEST,
	INDEX_BY_SEQ,
	INDEX_NULL,
	INDEX_INSERT,
	INDEX_DELETE,
	INDEX_MOVE,
	INDEX_BODY,
	INDEX_PAGE,
	INDEX_PAGE_FROM,
	INDEX_BUCKET_SET,
	INDEX_BUCKET_DELETE,
	INDEX_BUCKETS,
	INDEX_BUCKET_USED,
	INDEX_BUCKET_SUM,
	INDEX_UPLOAD,
	INDEX_UPLOAD_INSERT,
	INDEX_UPLOAD_MOVE,
	INDEX_UPLOAD_DELETE,
	INDEX_UPLOADS,
	INDEX_PART,
	INDEX_PART_INSERT,
	INDEX_PART_MOVE,
	INDEX_PART_DELETE,
	INDEX_PARTS,
	INDEX_PARTS_LOST,
	INDEX_FILE_INSERT,
	INDEX_FILE_DELETE,
	INDEX_FILE,
	INDEX_FILES,
	INDEX_SEGMENT_ADD,
	INDEX_SEGMENT_DELETE,
	INDEX_SEGMENTS,
	INDEX_STATE_GET,
	INDEX_STATE_SET,
	INDEX_STATEMENT_COUNT
};

struct index {
	sqlite3 *db;
	sqlite3_stmt *statements[INDEX_STATEMENT_COUNT];
};
/* Opens for writing (makes the tables) or for reading. ERR_CORRUPT: make it anew from the log. */
int index_open(const char *path, bool for_writing, struct index *ret, struct err *err);
void index_close(struct index *ix);
/* Copies the write-ahead log into the file and syncs both: what was committed survives a power cut. */
int index_sync(struct index *ix, struct err *err);
/* Binds by 'fmt': 'i' int64_t, 's' const char * (NULL is NULL), 'b' struct str. */
int index_query(struct index *ix, enum index_statement which, sqlite3_stmt **ret, struct err *err,
		const char *fmt, ...);
int index_step(struct index *ix, sqlite3_stmt *st, struct err *err); /* 1 = a row; 0 = the end, reset */
int index_run(struct index *ix, enum index_statement which, struct err *err, const char *fmt, ...);
int index_state_get(struct index *ix, const char *name, int64_t *ret, struct err *err); /* 0 when unset */
int index_state_set(struct index *ix, const char *name, int64_t value, struct err *err);
struct str index_blob(sqlite3_stmt *st, int column); /* view until the next step */

/* Where a record lies. */
struct place {
	uint32_t segment;
	uint64_t offset, data; /* of the record and of its data, in the segment */
	size_t size;	       /* of the record */
};
struct row {
	uint64_t seq;
	unsigned flags; /* RECORD_NULL, RECORD_MARKER */
	struct place place;
	struct buf body; /* owned: row_done */
};
void row_done(struct row *r);
static inline void cleanup_row(struct row *r)
{
	row_done(r);
}
/* version NULL = the newest. 1 = found (markers too), 0 = not there; ERR_INVALID for a malformed version. */
int index_find(struct index *ix, uint64_t bucket, struct str key, const char *version, struct row *ret,
	       struct err *err);
int index_find_seq(struct index *ix, uint64_t bucket, struct str key, uint64_t seq, struct row *ret,
		   struct err *err);
int index_find_part(struct index *ix, const char *upload, int number, struct row *ret, struct err *err);
int index_find_upload(struct index *ix, uint64_t bucket, struct str key, const char *upload, struct row *ret,
		      struct err *err);
/* Columns seq, flags, segment, offset, data, size, body from 'column' on. */
void index_row(sqlite3_stmt *st, int column, struct row *ret);

/* What a commit changes beside rows: written with it, and added to the memory of whoever holds it. */
struct tally {
	struct tally_bucket {
		uint64_t id;
		int64_t objects, bytes;
	} * buckets;
	struct tally_segment {
		uint32_t id;
		int64_t live;
	} * segments;
	uint64_t *garbage; /* files that nobody owns any more: to be unlinked after the commit */
	size_t bucket_count, segment_count, garbage_count, garbage_cap;
};
void tally_done(struct tally *t);
void tally_bucket(struct tally *t, uint64_t bucket, int64_t objects, int64_t bytes);
void tally_segment(struct tally *t, uint32_t segment, int64_t live);
void tally_garbage(struct tally *t, uint64_t file);
int tally_write(struct tally *t, struct index *ix, struct err *err); /* segments only */

/* Brings the index up to date with one record that lies at 'place'. The same code for a commit and for
 * reading the log again. */
int index_apply(struct index *ix, const struct record *r, const struct place *place, struct tally *t,
		struct err *err);

#endif
