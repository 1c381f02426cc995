/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite: one connection, write-ahead log, every commit synced. Its codes as our errors. */
#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "store/store_int.h"

#define CHECKPOINT_PAGES 4000
#define COPY_PAGES 64 /* in one go: a commit waits for so many */

struct sqlite_db {
	sqlite3 *db;
	sqlite3_stmt *control[SQL_CONTROL_COUNT];
	int wal_pages, checkpoint_pages;
};

struct sqlite_stmt {
	struct sql_stmt base;
	sqlite3_stmt *st;
};

static sqlite3 *db_of(const struct store_tx *tx)
{
	return ((struct sqlite_db *)tx->db)->db;
}

static sqlite3_stmt *st_of(const struct sql_stmt *st)
{
	return ((const struct sqlite_stmt *)st)->st;
}

static int code_of(sqlite3 *db, int code)
{
	int extended = sqlite3_extended_errcode(db);
	if (extended == SQLITE_CONSTRAINT_UNIQUE || extended == SQLITE_CONSTRAINT_PRIMARYKEY)
		return ERR_EXISTS;
	switch (code & 0xff) {
	case SQLITE_FULL:
		return ERR_DISK_FULL;
	case SQLITE_IOERR: {
		int sys = sqlite3_system_errno(db);
		bool is_write = extended == SQLITE_IOERR_WRITE;
		return is_write && (sys == EDQUOT || sys == ENOSPC) ? ERR_DISK_FULL : ERR_IO;
	}
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return ERR_CORRUPT;
	case SQLITE_NOMEM:
		return ERR_NO_MEMORY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return ERR_CONFLICT;
	case SQLITE_TOOBIG:
		return ERR_TOO_LARGE;
	case SQLITE_CANTOPEN:
		return ERR_IO;
	case SQLITE_READONLY:
	case SQLITE_PERM:
		return ERR_DENIED;
	default:
		return ERR_INTERNAL;
	}
}

static int sqlite_error(struct store_tx *tx, int code, struct err *err, const char *what)
{
	int ours = code_of(db_of(tx), code);
	if (ours == ERR_DISK_FULL)
		return err_set(err, ours,
			       "the disk of the metadata store is full; free space, then try again");
	return err_set(err, ours, "metadata store: %s: %s", what, sqlite3_errmsg(db_of(tx)));
}

/* ---- statements ---- */

static int sqlite_prepare(struct store_tx *tx, const char *sql, const char *fmt, struct sql_stmt **ret,
			  struct err *err)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v3(db_of(tx), sql, -1, SQLITE_PREPARE_PERSISTENT, &st, NULL);
	if (rc != SQLITE_OK)
		return sqlite_error(tx, rc, err, "preparing a statement");
	struct sqlite_stmt *s = MEM_NEW(struct sqlite_stmt);
	s->base = (struct sql_stmt){tx->ops, tx};
	s->st = st;
	*ret = &s->base;
	return 0;
}

static void sqlite_finalize(struct sql_stmt *st)
{
	sqlite3_finalize(st_of(st));
	free(st);
}

static int bound(struct sql_stmt *st, int rc, struct err *err)
{
	return rc == SQLITE_OK ? 0 : sqlite_error(st->tx, rc, err, "binding a value");
}

static int sqlite_bind_text(struct sql_stmt *st, int index, const char *text, struct err *err)
{
	return bound(st, sqlite3_bind_text(st_of(st), index, text, -1, SQLITE_STATIC), err);
}

static int sqlite_bind_int(struct sql_stmt *st, int index, int64_t value, struct err *err)
{
	return bound(st, sqlite3_bind_int64(st_of(st), index, value), err);
}

static int sqlite_step(struct sql_stmt *st, struct err *err)
{
	int rc = sqlite3_step(st_of(st));
	if (rc == SQLITE_ROW)
		return 1;
	return rc == SQLITE_DONE ? 0 : sqlite_error(st->tx, rc, err, "running a statement");
}

static void sqlite_reset(struct sql_stmt *st)
{
	sqlite3_reset(st_of(st));
}

static int sqlite_changed(const struct sql_stmt *st)
{
	return sqlite3_changes(db_of(st->tx));
}

static int sqlite_last_seq(struct store_tx *tx, int64_t *ret, struct err *err)
{
	*ret = sqlite3_last_insert_rowid(db_of(tx));
	return 0;
}

static int64_t sqlite_column_int(struct sql_stmt *st, int column)
{
	return sqlite3_column_int64(st_of(st), column);
}

static const char *sqlite_column_text(struct sql_stmt *st, int column, size_t *ret_len)
{
	const char *text = (const char *)sqlite3_column_text(st_of(st), column);
	*ret_len = (size_t)sqlite3_column_bytes(st_of(st), column);
	return text ? text : "";
}

/* ---- transactions ---- */

static const char *const control_sql[SQL_CONTROL_COUNT] = {
    [SQL_BEGIN] = "BEGIN IMMEDIATE",	[SQL_COMMIT] = "COMMIT",
    [SQL_ROLLBACK] = "ROLLBACK",	[SQL_SAVE] = "SAVEPOINT request",
    [SQL_UNDO] = "ROLLBACK TO request", [SQL_RELEASE] = "RELEASE request",
};

/* In advance: going back must not fail for want of memory. */
static int prepare_control(struct sqlite_db *d)
{
	int rc = SQLITE_OK;
	for (size_t i = 0; i < SQL_CONTROL_COUNT && rc == SQLITE_OK; i++)
		rc = sqlite3_prepare_v3(d->db, control_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &d->control[i],
					NULL);
	return rc;
}

static int sqlite_control(struct store_tx *tx, enum sql_control what, struct err *err)
{
	sqlite3_stmt *st = ((struct sqlite_db *)tx->db)->control[what];
	int rc = sqlite3_step(st);
	int r = rc == SQLITE_DONE ? 0 : sqlite_error(tx, rc, err, "running a statement");
	sqlite3_reset(st);
	return r;
}

static bool sqlite_in_transaction(const struct store_tx *tx)
{
	return !sqlite3_get_autocommit(db_of(tx));
}

static int sqlite_script(struct store_tx *tx, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(db_of(tx), sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : sqlite_error(tx, rc, err, "running a statement");
}

/* A full disk leaves the log as it is: still whole, tried again after the next pages. */
static int sqlite_tend(struct store *s, struct err *err)
{
	struct sqlite_db *d = s->tx.db;
	if (d->wal_pages < d->checkpoint_pages)
		return 0;
	d->wal_pages = 0;
	int rc = sqlite3_wal_checkpoint_v2(d->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return rc == SQLITE_OK ? 0 : sqlite_error(&s->tx, rc, err, "copying the log into the database");
}

/* ---- copies ---- */

struct copy {
	sqlite3 *to;
	sqlite3_backup *backup;
};

static int copy_end(struct store *s, void **state, int rc, struct err *err)
{
	struct copy *c = *state;
	int r = rc == SQLITE_OK
		    ? 0
		    : err_set(err, code_of(c->to, rc), "copying the metadata store: %s", sqlite3_errstr(rc));
	sqlite3_backup_finish(c->backup);
	if (sqlite3_close(c->to) != SQLITE_OK && r == 0)
		r = err_set(err, ERR_IO, "copying the metadata store: it cannot be closed");
	free(c);
	*state = NULL;
	return r;
}

/* Syncing is for the end, and by another thread: commits would wait for it here. */
static int copy_begin(struct store *s, void **state, const char *path, struct err *err)
{
	struct copy *c = MEM_NEW(struct copy);
	*state = c;
	int rc = sqlite3_open_v2(path, &c->to,
				 SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(c->to, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", NULL, NULL,
				  NULL);
	if (rc == SQLITE_OK) {
		c->backup = sqlite3_backup_init(c->to, "main", db_of(&s->tx), "main");
		rc = c->backup ? SQLITE_OK : sqlite3_errcode(c->to);
	}
	return rc == SQLITE_OK ? 0 : copy_end(s, state, rc, err);
}

static int sqlite_backup_step(struct store *s, void **state, const char *path, struct err *err)
{
	if (!path)
		return *state ? copy_end(s, state, SQLITE_OK, err) : 0;
	int r = *state ? 0 : copy_begin(s, state, path, err);
	if (r < 0)
		return r;
	int rc = sqlite3_backup_step(((struct copy *)*state)->backup, COPY_PAGES);
	if (rc == SQLITE_OK)
		return 1;
	return copy_end(s, state, rc == SQLITE_DONE ? SQLITE_OK : rc, err);
}

/* ---- opening and checking ---- */

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct sqlite_db *d = arg;
	d->wal_pages = pages;
	return SQLITE_OK;
}

/* Counting what is allocated takes a lock with every allocation; nobody reads it. Connections are used by one
 * thread at a time. */
static void configure(void)
{
	sqlite3_config(SQLITE_CONFIG_MULTITHREAD);
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int sqlite_open(struct store *s, const struct store_config *config, struct err *err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct sqlite_db *d = MEM_NEW(struct sqlite_db);
	pthread_once(&once, configure);
	s->tx.db = d;
	d->checkpoint_pages = config->checkpoint_pages ? config->checkpoint_pages : CHECKPOINT_PAGES;
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(config->path, &d->db, flags, NULL);
	if (!d->db)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (rc != SQLITE_OK)
		return sqlite_error(&s->tx, rc, err, "opening the file");
	sqlite3_wal_hook(d->db, on_commit, d);
	sqlite3_limit(d->db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	rc = prepare_control(d);
	if (rc != SQLITE_OK)
		return sqlite_error(&s->tx, rc, err, "opening the file");
	/* Exclusive before WAL: no shared-memory file, and a second process is refused. */
	return sqlite_script(
	    &s->tx,
	    "PRAGMA trusted_schema = OFF;"
	    "PRAGMA locking_mode = EXCLUSIVE;"
	    "PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL;"
	    "PRAGMA foreign_keys = ON;"
	    /* A list of words in a CHECK is made into a table of its own with every row written; the words
	     * come from our own tables. */
	    "PRAGMA ignore_check_constraints = ON;"
	    "PRAGMA cache_size = -32768;" /* of KiB, taken as it is used; a batch must not spill */
	    "PRAGMA temp_store = MEMORY;" /* savepoints keep their undo there */
	    "PRAGMA journal_size_limit = 67108864",
	    err);
}

static void sqlite_close(struct store *s)
{
	struct sqlite_db *d = s->tx.db;
	if (!d)
		return;
	for (size_t i = 0; i < SQL_CONTROL_COUNT; i++)
		sqlite3_finalize(d->control[i]);
	/* After a failed sync the log is left for the next start to read from the disk. */
	if (s->failed)
		sqlite3_db_config(d->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_close(d->db);
	free(d);
	s->tx.db = NULL;
}

static int sqlite_schema_read(struct store_tx *tx, struct schema_mark *ret, struct err *err)
{
	int64_t tables = 0;
	int r = sql_int(tx, &ret->version, err, "PRAGMA user_version", "");
	if (r >= 0)
		r = sql_int(tx, &ret->application, err, "PRAGMA application_id", "");
	if (r >= 0)
		r = sql_int(tx, &tables, err, "SELECT count(*) FROM sqlite_schema", "");
	ret->has_tables = tables > 0;
	return r < 0 ? r : 0;
}

static int sqlite_schema_write(struct store_tx *tx, int64_t version, struct err *err)
{
	char mark[96];
	snprintf(mark, sizeof(mark), "PRAGMA application_id = %d; PRAGMA user_version = %d",
		 STORE_APPLICATION_ID, (int)version);
	return sqlite_script(tx, mark, err);
}

static int sqlite_check(struct store_tx *tx, struct err *err)
{
	struct sql_stmt *st;
	int64_t orphans = 0;
	char answer[200];
	int r = sql_query(tx, &st, err, "PRAGMA integrity_check(1)", "");
	if (r < 0 || (r = sql_step(tx, st, err)) < 0)
		return r;
	sql_text(st, 0, answer, sizeof(answer));
	sql_reset(st);
	if (strcmp(answer, "ok") != 0)
		return err_set(err, ERR_CORRUPT, "the metadata store is damaged: %s; restore a backup",
			       answer);
	r = sql_int(tx, &orphans, err, "SELECT count(*) FROM pragma_foreign_key_check", "");
	if (r < 0 || !orphans)
		return r < 0 ? r : 0;
	return err_set(err, ERR_CORRUPT,
		       "the metadata store is damaged: %lld rows without their owner; restore a backup",
		       (long long)orphans);
}

const struct driver_ops driver_sqlite = {
    .name = "sqlite",
    .open = sqlite_open,
    .close = sqlite_close,
    .prepare = sqlite_prepare,
    .finalize = sqlite_finalize,
    .bind_text = sqlite_bind_text,
    .bind_int = sqlite_bind_int,
    .step = sqlite_step,
    .reset = sqlite_reset,
    .changed = sqlite_changed,
    .last_seq = sqlite_last_seq,
    .column_int = sqlite_column_int,
    .column_text = sqlite_column_text,
    .control = sqlite_control,
    .in_transaction = sqlite_in_transaction,
    .script = sqlite_script,
    .tend = sqlite_tend,
    .schema_read = sqlite_schema_read,
    .schema_write = sqlite_schema_write,
    .backup_step = sqlite_backup_step,
    .check = sqlite_check,
};
