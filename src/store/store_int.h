/* SPDX-License-Identifier: Apache-2.0 */
/* What only the room store sees: the connection, the queue, and short words for prepared statements. */
#ifndef STORE_STORE_INT_H
#define STORE_STORE_INT_H

#include <pthread.h>
#include <sqlite3.h>
#include "base/list.h"
#include "base/map.h"
#include "store/store.h"

#define STORE_BATCH_MAX 1024		/* requests that share one commit */
#define STORE_CHECKPOINT_PAGES 1000	/* of the write-ahead log, before it is copied into the database */
#define STORE_APPLICATION_ID 0x436c4d4c /* "ClML" in the file's header */

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

/* Outlives the store when a delivery is still posted on the loop at close. */
struct store_mailbox {
	struct store *store; /* NULL after close */
	int posted;
};

struct store_tx {
	struct store *store;
	sqlite3 *db;
	struct map *statements; /* SQL text -> sqlite3_stmt */
};

struct store {
	struct store_tx tx;
	struct loop *loop; /* NULL: manual */
	struct store_mailbox *mailbox;
	pthread_t thread;
	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake, finished;
	struct list queued, delivered;
	size_t queued_count;
	bool stopping;
	bool failed;
	struct err why; /* of failed */
	int wal_pages;	/* database thread only */
};

/* store_schema.c */
int schema_migrate(struct store_tx *tx, struct err *err);

/* store_txn.c */
void *txn_thread(void *store);
void txn_deliver(struct store *s);

/* store_sql.c. Formats: 's' const char * (NULL is NULL), 'i' int64_t, 'd' int. */
int sql_error(struct store_tx *tx, int code, struct err *err, const char *what);
int sql_script(struct store_tx *tx, const char *sql, struct err *err);
/* A bound statement; it is reset when sql_step() answers 0 or less. A caller that stops earlier calls
 * sqlite3_reset. */
int sql_query(struct store_tx *tx, sqlite3_stmt **ret, struct err *err, const char *sql, const char *fmt,
	      ...);
int sql_step(struct store_tx *tx, sqlite3_stmt *st, struct err *err); /* 1 = a row, 0 = the end */
/* Runs to the end; returns the number of rows changed. */
int sql_exec(struct store_tx *tx, struct err *err, const char *sql, const char *fmt, ...);
/* First column of the first row as a number. 1 = found, 0 = no row. */
int sql_int(struct store_tx *tx, int64_t *ret, struct err *err, const char *sql, const char *fmt, ...);
void sql_text(sqlite3_stmt *st, int column, char *ret, size_t cap);

#endif
