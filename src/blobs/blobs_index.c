/* SPDX-License-Identifier: Apache-2.0 */
/* The index's tables, statements and look-ups. */
#include "blobs/blobs_index.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define BUSY_MS 10000
#define CACHE_WRITER "PRAGMA cache_size=-8192"
#define CACHE_READER "PRAGMA cache_size=-2048"

/* nseq = -sequence, so that the newest version of a key comes first. size is the record's. */
static const char schema[] =
    "CREATE TABLE IF NOT EXISTS state(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS buckets(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body BLOB NOT "
    "NULL);"
    "CREATE TABLE IF NOT EXISTS objects(bucket INTEGER, key BLOB, nseq INTEGER, flags INTEGER NOT NULL,"
    " segment INTEGER NOT NULL, place INTEGER NOT NULL, data INTEGER NOT NULL, size INTEGER NOT NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(bucket, key, nseq)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS uploads(bucket INTEGER, key BLOB, id TEXT, seq INTEGER NOT NULL,"
    " segment INTEGER NOT NULL, place INTEGER NOT NULL, size INTEGER NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY(bucket, key, id)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS parts(upload TEXT, number INTEGER, seq INTEGER NOT NULL, bucket INTEGER NOT "
    "NULL,"
    " key BLOB NOT NULL, segment INTEGER NOT NULL, place INTEGER NOT NULL, size INTEGER NOT NULL,"
    " body BLOB NOT NULL, PRIMARY KEY(upload, number)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS files(id INTEGER PRIMARY KEY);"
    "CREATE TABLE IF NOT EXISTS segments(id INTEGER PRIMARY KEY, live INTEGER NOT NULL);";

#define ROW "-nseq, flags, segment, place, data, size, body"

static const char *const sql[INDEX_STATEMENT_COUNT] = {
    [INDEX_BEGIN] = "BEGIN IMMEDIATE",
    [INDEX_COMMIT] = "COMMIT",
    [INDEX_ROLLBACK] = "ROLLBACK",
    [INDEX_NEWEST] = "SELECT " ROW " FROM objects WHERE bucket=? AND key=? ORDER BY nseq LIMIT 1",
    [INDEX_BY_SEQ] = "SELECT " ROW " FROM objects WHERE bucket=? AND key=? AND nseq=-?",
    [INDEX_NULL] = "SELECT " ROW " FROM objects WHERE bucket=? AND key=? AND flags&2 ORDER BY nseq LIMIT 1",
    [INDEX_INSERT] = "INSERT INTO objects VALUES(?,?,-?,?,?,?,?,?,?)",
    [INDEX_DELETE] = "DELETE FROM objects WHERE bucket=? AND key=? AND nseq=-?",
    [INDEX_MOVE] =
	"UPDATE objects SET segment=?, place=?, data=?, size=? WHERE bucket=? AND key=? AND nseq=-?",
    [INDEX_BODY] = "UPDATE objects SET body=? WHERE bucket=? AND key=? AND nseq=-?",
    [INDEX_PAGE] = "SELECT key, " ROW " FROM objects WHERE bucket=? AND key>=? ORDER BY key, nseq",
    [INDEX_PAGE_FROM] =
	"SELECT key, " ROW " FROM objects WHERE bucket=?1 AND key>=?2 AND (key>?2 OR nseq>-?3)"
	" ORDER BY key, nseq",
    [INDEX_BUCKET_SET] = "INSERT INTO buckets VALUES(?1,?2,?3) ON CONFLICT(id) DO UPDATE SET body=?3",
    [INDEX_BUCKET_DELETE] = "DELETE FROM buckets WHERE id=?",
    [INDEX_BUCKETS] = "SELECT id, name, body FROM buckets ORDER BY name",
    [INDEX_BUCKET_USED] = "SELECT EXISTS(SELECT 1 FROM objects WHERE bucket=?1) OR"
			  " EXISTS(SELECT 1 FROM uploads WHERE bucket=?1)",
    [INDEX_BUCKET_SUM] = "SELECT flags, body FROM objects WHERE bucket=?1 UNION ALL"
			 " SELECT 4, body FROM parts WHERE bucket=?1" /* 4: counts no object, as a marker */,
    [INDEX_UPLOAD] =
	"SELECT seq, 0, segment, place, 0, size, body FROM uploads WHERE bucket=? AND key=? AND id=?",
    [INDEX_UPLOAD_INSERT] = "INSERT INTO uploads VALUES(?,?,?,?,?,?,?,?)",
    [INDEX_UPLOAD_MOVE] = "UPDATE uploads SET segment=?, place=?, size=? WHERE bucket=? AND key=? AND id=?",
    [INDEX_UPLOAD_DELETE] = "DELETE FROM uploads WHERE bucket=? AND key=? AND id=?",
    [INDEX_UPLOADS] = "SELECT key, id, body FROM uploads WHERE bucket=?1 AND key>=?2 AND (key>?2 OR id>?3)"
		      " ORDER BY key, id",
    [INDEX_PART] = "SELECT seq, 0, segment, place, 0, size, body FROM parts WHERE upload=? AND number=?",
    [INDEX_PART_INSERT] = "INSERT INTO parts VALUES(?,?,?,?,?,?,?,?,?)",
    [INDEX_PART_MOVE] = "UPDATE parts SET segment=?, place=?, size=? WHERE upload=? AND number=?",
    [INDEX_PART_DELETE] = "DELETE FROM parts WHERE upload=? AND number=?",
    [INDEX_PARTS] =
	"SELECT number, seq, 0, segment, place, 0, size, body FROM parts WHERE upload=? AND number>?"
	" ORDER BY number LIMIT ?",
    [INDEX_PARTS_LOST] = "SELECT upload, number FROM parts WHERE NOT EXISTS"
			 " (SELECT 1 FROM uploads WHERE uploads.bucket=parts.bucket AND uploads.key=parts.key"
			 " AND id=upload) LIMIT 1",
    [INDEX_FILE_INSERT] = "INSERT OR IGNORE INTO files VALUES(?)",
    [INDEX_FILE_DELETE] = "DELETE FROM files WHERE id=?",
    [INDEX_FILE] = "SELECT 1 FROM files WHERE id=?",
    [INDEX_FILES] = "SELECT id FROM files ORDER BY id",
    [INDEX_SEGMENT_ADD] = "INSERT INTO segments VALUES(?1,?2) ON CONFLICT(id) DO UPDATE SET live=live+?2",
    [INDEX_SEGMENT_DELETE] = "DELETE FROM segments WHERE id=?",
    [INDEX_SEGMENTS] = "SELECT id, live FROM segments ORDER BY id",
    [INDEX_STATE_GET] = "SELECT value FROM state WHERE name=?",
    [INDEX_STATE_SET] = "INSERT INTO state VALUES(?1,?2) ON CONFLICT(name) DO UPDATE SET value=?2",
};

static int index_error(struct index *ix, int code, struct err *err)
{
	int ours = ERR_IO;
	switch (code & 0xff) {
	case SQLITE_FULL:
		ours = ERR_DISK_FULL;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		ours = ERR_CORRUPT;
		break;
	case SQLITE_NOMEM:
		ours = ERR_NO_MEMORY;
		break;
	case SQLITE_ERROR:
	case SQLITE_CONSTRAINT:
	case SQLITE_MISUSE:
		ours = ERR_INTERNAL;
		break;
	}
	return err_set(err, ours, "index of the object store: %s",
		       ix->db ? sqlite3_errmsg(ix->db) : sqlite3_errstr(code));
}

static int index_script(struct index *ix, const char *text, struct err *err)
{
	int rc = sqlite3_exec(ix->db, text, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : index_error(ix, rc, err);
}

int index_open(const char *path, bool for_writing, struct index *ret, struct err *err)
{
	struct index ix = {0};
	int flags = for_writing ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	int rc = sqlite3_open_v2(path, &ix.db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	int r = rc == SQLITE_OK ? 0 : index_error(&ix, rc, err);
	if (r == 0)
		sqlite3_busy_timeout(ix.db, BUSY_MS);
	/* NORMAL: the file is never torn, its newest commits may be missing. Checkpoints are index_sync's. */
	if (r == 0 && for_writing)
		r = index_script(&ix,
				 "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA "
				 "wal_autocheckpoint=0;" CACHE_WRITER,
				 err);
	if (r == 0)
		r = index_script(&ix, for_writing ? schema : CACHE_READER, err);
	if (r < 0) {
		index_close(&ix);
		return r;
	}
	*ret = ix;
	return 0;
}

void index_close(struct index *ix)
{
	for (size_t i = 0; i < INDEX_STATEMENT_COUNT; i++)
		sqlite3_finalize(ix->statements[i]);
	sqlite3_close(ix->db);
	*ix = (struct index){0};
}

int index_sync(struct index *ix, struct err *err)
{
	/* TRUNCATE waits for readers only as long as the busy time; what was copied so far is synced. */
	int rc = sqlite3_wal_checkpoint_v2(ix->db, NULL, SQLITE_CHECKPOINT_FULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : index_error(ix, rc, err);
}

static int bind_one(sqlite3_stmt *st, int i, char kind, va_list *ap)
{
	if (kind == 'i')
		return sqlite3_bind_int64(st, i, va_arg(*ap, int64_t));
	if (kind == 's')
		return sqlite3_bind_text(st, i, va_arg(*ap, const char *), -1, SQLITE_TRANSIENT);
	struct str s = va_arg(*ap, struct str);
	return sqlite3_bind_blob(st, i, s.len ? s.data : "", (int)s.len, SQLITE_TRANSIENT);
}

static int query(struct index *ix, enum index_statement which, sqlite3_stmt **ret, struct err *err,
		 const char *fmt, va_list *ap)
{
	sqlite3_stmt *st = ix->statements[which];
	int rc = SQLITE_OK;
	if (!st) {
		rc = sqlite3_prepare_v3(ix->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
		ix->statements[which] = st;
	}
	if (st)
		sqlite3_reset(st);
	for (int i = 1; *fmt && rc == SQLITE_OK; fmt++)
		rc = bind_one(st, i++, *fmt, ap);
	if (rc != SQLITE_OK)
		return index_error(ix, rc, err);
	*ret = st;
	return 0;
}

int index_query(struct index *ix, enum index_statement which, sqlite3_stmt **ret, struct err *err,
		const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = query(ix, which, ret, err, fmt, &ap);
	va_end(ap);
	return r;
}

int index_step(struct index *ix, sqlite3_stmt *st, struct err *err)
{
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	int r = rc == SQLITE_DONE ? 0 : index_error(ix, rc, err);
	sqlite3_reset(st);
	return r;
}

int index_run(struct index *ix, enum index_statement which, struct err *err, const char *fmt, ...)
{
	sqlite3_stmt *st;
	va_list ap;
	va_start(ap, fmt);
	int r = query(ix, which, &st, err, fmt, &ap);
	va_end(ap);
	while (r >= 0 && (r = index_step(ix, st, err)) > 0)
		;
	return r;
}

int index_state_get(struct index *ix, const char *name, int64_t *ret, struct err *err)
{
	sqlite3_stmt *st;
	int r = index_query(ix, INDEX_STATE_GET, &st, err, "s", name);
	*ret = 0;
	if (r < 0 || (r = index_step(ix, st, err)) <= 0)
		return r;
	*ret = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 0;
}

int index_state_set(struct index *ix, const char *name, int64_t value, struct err *err)
{
	return index_run(ix, INDEX_STATE_SET, err, "si", name, value);
}

struct str index_blob(sqlite3_stmt *st, int column)
{
	const char *data = sqlite3_column_blob(st, column);
	return (struct str){data ? data : "", (size_t)sqlite3_column_bytes(st, column)};
}

void row_done(struct row *r)
{
	buf_done(&r->body);
}

void index_row(sqlite3_stmt *st, int column, struct row *ret)
{
	ret->seq = (uint64_t)sqlite3_column_int64(st, column);
	ret->flags = (unsigned)sqlite3_column_int64(st, column + 1);
	ret->place.segment = (uint32_t)sqlite3_column_int64(st, column + 2);
	ret->place.offset = (uint64_t)sqlite3_column_int64(st, column + 3);
	ret->place.data = (uint64_t)sqlite3_column_int64(st, column + 4);
	ret->place.size = (size_t)sqlite3_column_int64(st, column + 5);
	struct str body = index_blob(st, column + 6);
	buf_clear(&ret->body);
	buf_add(&ret->body, body.data, body.len);
}

/* The first row of a query, then no more of it. */
static int one_row(struct index *ix, sqlite3_stmt *st, struct row *ret, struct err *err)
{
	int r = index_step(ix, st, err);
	if (r <= 0)
		return r;
	index_row(st, 0, ret);
	sqlite3_reset(st);
	return 1;
}

int index_find_seq(struct index *ix, uint64_t bucket, struct str key, uint64_t seq, struct row *ret,
		   struct err *err)
{
	sqlite3_stmt *st;
	int r = index_query(ix, INDEX_BY_SEQ, &st, err, "ibi", (int64_t)bucket, key, (int64_t)seq);
	return r < 0 ? r : one_row(ix, st, ret, err);
}

int index_find(struct index *ix, uint64_t bucket, struct str key, const char *version, struct row *ret,
	       struct err *err)
{
	sqlite3_stmt *st;
	if (version && strcmp(version, BLOB_NULL_VERSION) != 0) {
		if (strlen(version) != BLOB_VERSION_MAX ||
		    strspn(version, "0123456789abcdef") != BLOB_VERSION_MAX || version[0] > '7')
			return err_set(err, ERR_INVALID, "'%.40s' is no version of an object", version);
		int r = index_find_seq(ix, bucket, key, strtoull(version, NULL, 16), ret, err);
		/* A null version has no number to outsiders. */
		return r > 0 && (ret->flags & RECORD_NULL) ? 0 : r;
	}
	int r = index_query(ix, version ? INDEX_NULL : INDEX_NEWEST, &st, err, "ib", (int64_t)bucket, key);
	return r < 0 ? r : one_row(ix, st, ret, err);
}

int index_find_part(struct index *ix, const char *upload, int number, struct row *ret, struct err *err)
{
	sqlite3_stmt *st;
	int r = index_query(ix, INDEX_PART, &st, err, "si", upload, (int64_t)number);
	return r < 0 ? r : one_row(ix, st, ret, err);
}

int index_find_upload(struct index *ix, uint64_t bucket, struct str key, const char *upload, struct row *ret,
		      struct err *err)
{
	sqlite3_stmt *st;
	int r = index_query(ix, INDEX_UPLOAD, &st, err, "ibs", (int64_t)bucket, key, upload);
	return r < 0 ? r : one_row(ix, st, ret, err);
}
