/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the room store sees: the queue, and short words for prepared statements.
 *
 * SQL here is for two databases. Rules, each of them tested on both:
 * - placeholders are ? or ?N; numbers are 64 bits; text is compared by bytes;
 * - a number that the database gave: INSERT … RETURNING seq, read with sql_int();
 * - a row that may be there already: ON CONFLICT DO NOTHING, and 0 changed rows (or no row of RETURNING) is
 *   ERR_EXISTS. A statement that fails ends its request: on PostgreSQL nothing more runs before the rollback;
 * - upserts are ON CONFLICT(…) DO UPDATE SET x = excluded.x, not INSERT OR REPLACE;
 * - "user" is a reserved word of PostgreSQL; the driver quotes it wherever it stands alone, so write it
 * plain;
 * - whatever may be long is read by keyset (seq < ?, LIMIT), with an index that ends in that key, and is
 *   counted by a row that the writing transaction keeps; the tests look at the plan of each statement
 *   (fixture_check);
 * - no functions, operators or pragmas that only one of them has, except in a driver.
 */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include <pthread.h>
#include "base/list.h"
#include "base/map.h"
#include "store/store_driver.h"

#define STORE_BATCH_MAX 1024		/* requests that share one commit */
#define STORE_APPLICATION_ID 0x436c4d4c /* "ClML", the mark of our databases */

struct store_request {
	struct list node;
	store_fn *fn;
	store_done_fn *done;
	void *arg;
	bool waited_for; /* by store_run: its owner takes it, nobody delivers it */
	bool finished;
	int r;
	struct err err;
};

/* A copy of the database that is being made. */
struct store_backup {
	const char *path; /* borrowed; NULL = none */
	void *state;	  /* the driver's */
	store_done_fn *done;
	void *arg;
	bool is_finished; /* its end is not told yet */
	struct err err;
};

/* Outlives the store when a delivery is still posted on the loop at close. */
struct store_mailbox {
	struct store *store; /* NULL after close */
	int posted;
};

struct store_tx {
	struct store *store;
	const struct driver_ops *ops;
	void *db;		/* the driver's */
	struct map *statements; /* SQL text -> struct sql_stmt */
};

struct store {
	struct store_tx tx;
	struct loop *loop; /* NULL: manual */
	void (*on_failure)(void *arg, const struct err *why);
	void *on_failure_arg;
	struct store_mailbox *mailbox;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake, finished;
	struct list queued, delivered;
	size_t queued_count;
	struct store_backup backup;
	bool stopping;
	bool failed;
	struct err why; /* of failed */
};

/* store_arrays.c: what is kept beside the rows of arrays, changed by the transaction that changes a row. */
int store_array_born(struct store_tx *tx, const struct job *job,
		     struct err *err); /* array, element or neither */
int store_array_moved(struct store_tx *tx, const char *array, const char *before, const char *after,
		      struct err *err);
int store_array_read(struct store_tx *tx, struct job *array, struct err *err);
/* ERR_STATE while it has elements. */
int store_array_delete(struct store_tx *tx, const char *org, const char *id, struct err *err);

/* store_schema.c */
int schema_version(void); /* the newest that this binary knows */
int schema_migrate(struct store_tx *tx, int last, struct err *err);

/* store_open.c. As store_open, migrating only up to an older schema: for tests. */
int store_open_at(const struct store_config *config, int schema, struct store **ret, struct err *err);

/* store_txn.c */
void *txn_thread(void *store);
void txn_deliver(struct store *s);
void txn_post_delivery(struct store *s); /* under the lock: txn_deliver will be called on the loop */

/* store_backup.c */
bool backup_is_due(const struct store *s); /* under the lock */
void backup_advance(struct store *s);	   /* database thread */
void backup_deliver(struct store *s);

/* store_sql.c. Formats: 's' const char * (NULL is NULL), 'i' int64_t, 'd' int. */
/* A bound statement; it is reset when sql_step() answers 0 or less. A caller that stops earlier calls
 * sql_reset. */
int sql_query(struct store_tx *tx, struct sql_stmt **ret, struct err *err, const char *sql, const char *fmt,
	      ...);
int sql_step(struct store_tx *tx, struct sql_stmt *st, struct err *err); /* 1 = a row, 0 = the end */
void sql_reset(struct sql_stmt *st);
/* Runs to the end; returns the number of rows changed. */
int sql_exec(struct store_tx *tx, struct err *err, const char *sql, const char *fmt, ...);
/* First column of the first row as a number. 1 = found, 0 = no row. */
int sql_int(struct store_tx *tx, int64_t *ret, struct err *err, const char *sql, const char *fmt, ...);
/* Columns of the row at hand, counted from 0. */
int64_t sql_column_int(struct sql_stmt *st, int column);
size_t sql_column_bytes(struct sql_stmt *st, int column);
const char *sql_column_text(struct sql_stmt *st, int column); /* view until the next step; "" for NULL */
void sql_text(struct sql_stmt *st, int column, char *ret, size_t cap);

#endif
