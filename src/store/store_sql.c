/* SPDX-License-Identifier: Apache-2.0 */
/* Prepared statements, bound by a format, and SQLite's codes as our errors. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "store/store_int.h"

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

int sql_error(struct store_tx *tx, int code, struct err *err, const char *what)
{
	int ours = code_of(tx->db, code);
	if (ours == ERR_DISK_FULL)
		return err_set(err, ours,
			       "the disk of the metadata store is full; free space, then try again");
	return err_set(err, ours, "metadata store: %s: %s", what, sqlite3_errmsg(tx->db));
}

int sql_script(struct store_tx *tx, const char *sql, struct err *err)
{
	int rc = sqlite3_exec(tx->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : sql_error(tx, rc, err, "running a statement");
}

static int bind_one(sqlite3_stmt *st, int index, char kind, va_list *ap)
{
	if (kind == 's')
		return sqlite3_bind_text(st, index, va_arg(*ap, const char *), -1, SQLITE_TRANSIENT);
	if (kind == 'i')
		return sqlite3_bind_int64(st, index, va_arg(*ap, int64_t));
	return sqlite3_bind_int(st, index, va_arg(*ap, int));
}

static int prepare(struct store_tx *tx, const char *sql, sqlite3_stmt **ret, struct err *err)
{
	*ret = map_get(tx->statements, sql);
	if (*ret)
		return 0;
	int rc = sqlite3_prepare_v3(tx->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
	if (rc != SQLITE_OK)
		return sql_error(tx, rc, err, "preparing a statement");
	map_set(tx->statements, sql, *ret);
	return 0;
}

static int query(struct store_tx *tx, sqlite3_stmt **ret, struct err *err, const char *sql, const char *fmt,
		 va_list *ap)
{
	int r = prepare(tx, sql, ret, err);
	if (r < 0)
		return r;
	sqlite3_reset(*ret);
	int index = 1, rc = SQLITE_OK;
	for (const char *f = fmt; *f && rc == SQLITE_OK; f++)
		rc = bind_one(*ret, index++, *f, ap);
	return rc == SQLITE_OK ? 0 : sql_error(tx, rc, err, "binding a value");
}

int sql_query(struct store_tx *tx, sqlite3_stmt **ret, struct err *err, const char *sql, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int r = query(tx, ret, err, sql, fmt, &ap);
	va_end(ap);
	return r;
}

int sql_step(struct store_tx *tx, sqlite3_stmt *st, struct err *err)
{
	int rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		return 1;
	int r = rc == SQLITE_DONE ? 0 : sql_error(tx, rc, err, "running a statement");
	sqlite3_reset(st);
	return r;
}

int sql_exec(struct store_tx *tx, struct err *err, const char *sql, const char *fmt, ...)
{
	sqlite3_stmt *st;
	va_list ap;
	va_start(ap, fmt);
	int r = query(tx, &st, err, sql, fmt, &ap);
	va_end(ap);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0)
		;
	return r < 0 ? r : sqlite3_changes(tx->db);
}

int sql_int(struct store_tx *tx, int64_t *ret, struct err *err, const char *sql, const char *fmt, ...)
{
	sqlite3_stmt *st;
	va_list ap;
	va_start(ap, fmt);
	int r = query(tx, &st, err, sql, fmt, &ap);
	va_end(ap);
	if (r < 0 || (r = sql_step(tx, st, err)) <= 0)
		return r;
	*ret = sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return 1;
}

void sql_text(sqlite3_stmt *st, int column, char *ret, size_t cap)
{
	const char *text = (const char *)sqlite3_column_text(st, column);
	snprintf(ret, cap, "%s", text ? text : "");
}
