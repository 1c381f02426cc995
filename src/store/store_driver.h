/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a database is to this room: a connection that one thread uses, statements with values, transactions
 * with one savepoint. The files with SQL (store_NOUN.c) use the words of store_int.h and never see a driver.
 *
 * Drivers: store_sqlite.c and store_postgres.c. To add one: fill this table, add it to the choice in
 * store_open.c, let tests/unit/store run on it.
 */
#ifndef STORE_STORE_DRIVER_H
#define STORE_STORE_DRIVER_H

#include "store/store.h"

/* A prepared statement; drivers put it first into their own struct. */
struct sql_stmt {
	const struct driver_ops *ops;
	struct store_tx *tx;
};

enum sql_control {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_SAVE,    /* the savepoint of a request */
	SQL_UNDO,    /* back to it */
	SQL_RELEASE, /* it is needed no more */
	SQL_CONTROL_COUNT
};

/* Whose database it is and how far its schema has come. */
struct schema_mark {
	int64_t application; /* 0 = nobody's yet */
	int64_t version;
	bool has_tables; /* somebody's tables are there */
};

/* All but backup_step and the two of leases are required; all may block. Errors are set by the driver: ERR_IO
 * and ERR_CORRUPT mean that nobody knows what is on the disk, and the store stops. After any other error
 * inside a transaction the request has failed: PostgreSQL accepts nothing more before SQL_UNDO. */
struct driver_ops {
	const char *name;
	/* Fills s->tx.db. ERR_CONFLICT when another process has it open. */
	int (*open)(struct store *s, const struct store_config *config, struct err *err);
	void (*close)(struct store *s);

	/* sql: placeholders ? or ?N; fmt: one letter a value, in their order ('s' text, 'i' and 'd' numbers).
	 * Borrows sql for as long as the statement lives: it is the key of the cache. Returns owned. */
	int (*prepare)(struct store_tx *tx, const char *sql, const char *fmt, struct sql_stmt **ret,
		       struct err *err);
	void (*finalize)(struct sql_stmt *st);
	/* index counts from 1. text: borrowed until the statement is reset, NULL is NULL. */
	int (*bind_text)(struct sql_stmt *st, int index, const char *text, struct err *err);
	int (*bind_int)(struct sql_stmt *st, int index, int64_t value, struct err *err);
	int (*step)(struct sql_stmt *st, struct err *err); /* 1 = a row, 0 = the end */
	void (*reset)(struct sql_stmt *st);
	int (*changed)(const struct sql_stmt *st); /* rows that the last run changed */
	/* The number that the database gave to the row that was inserted last. */
	int (*last_seq)(struct store_tx *tx, int64_t *ret, struct err *err);
	/* The row at hand; column counts from 0. text: view until the next step or reset, "" for NULL. */
	int64_t (*column_int)(struct sql_stmt *st, int column);
	const char *(*column_text)(struct sql_stmt *st, int column, size_t *ret_len);

	int (*control)(struct store_tx *tx, enum sql_control what, struct err *err);
	/* False when the database has rolled back by itself. */
	bool (*in_transaction)(const struct store_tx *tx);
	/* Statements separated by ';', in SQLite's words; the driver translates. */
	int (*script)(struct store_tx *tx, const char *sql, struct err *err);
	/* After a commit, outside of transactions: what the database wants from time to time. */
	int (*tend)(struct store *s, struct err *err);

	int (*schema_read)(struct store_tx *tx, struct schema_mark *ret, struct err *err);
	int (*schema_write)(struct store_tx *tx, int64_t version, struct err *err); /* in a transaction */
	/* A part of a copy, outside of transactions; *state is the driver's, NULL at first. 1 = more to do, 0
	 * = whole. A NULL path ends it early. NULL slots: the database has tools of its own for that. */
	int (*backup_step)(struct store *s, void **state, const char *path, struct err *err);
	/* The database's own integrity check and that of its foreign keys. */
	int (*check)(struct store_tx *tx, struct err *err);
	/* For a database that several servers may want: after the migration, and from time to time. */
	int (*lease_begin)(struct store *s, struct err *err);
	int (*lease_renew)(struct store_tx *tx, struct err *err);
};

extern const struct driver_ops driver_sqlite, driver_postgres;

#endif
