/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and checking the store. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "store/store_int.h"

static void statement_free(void *st)
{
	sqlite3_finalize(st);
}

static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;
	s->wal_pages = pages;
	return SQLITE_OK;
}

static void store_free(struct store *s)
{
	map_free(s->tx.statements);
	sqlite3_close(s->tx.db);
	pthread_mutex_destroy(&s->lock);
	pthread_cond_destroy(&s->wake);
	pthread_cond_destroy(&s->finished);
	if (s->mailbox && s->mailbox->posted)
		s->mailbox->store = NULL;
	else
		free(s->mailbox);
	free(s);
}

static void cleanup_store(struct store **s)
{
	if (*s)
		store_free(*s);
}

static int connection_open(struct store *s, const char *path, struct err *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
	int rc = sqlite3_open_v2(path, &s->tx.db, flags, NULL);
	if (!s->tx.db)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (rc != SQLITE_OK)
		return sql_error(&s->tx, rc, err, "opening the file");
	sqlite3_wal_hook(s->tx.db, on_commit, s);
	sqlite3_limit(s->tx.db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(s->tx.db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	/* Exclusive before WAL: no shared-memory file, and a second process is refused. */
	return sql_script(
	    &s->tx,
	    "PRAGMA trusted_schema = OFF;"
	    "PRAGMA locking_mode = EXCLUSIVE;"
	    "PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL;"
	    "PRAGMA foreign_keys = ON;"
	    /* A list of words in a CHECK is made into a table of its own with every row written;
	     * the words come from our own tables. */
	    "PRAGMA ignore_check_constraints = ON;"
	    "PRAGMA cache_size = -32768;" /* of KiB, taken as it is used; a batch must not spill */
	    "PRAGMA temp_store = MEMORY;" /* savepoints keep their undo there */
	    "PRAGMA journal_size_limit = 67108864",
	    err);
}

int store_open(const struct store_config *config, struct store **ret, struct err *err)
{
	CLEANUP(store) struct store *s = MEM_NEW(struct store);
	s->loop = config->loop;
	s->tx.store = s;
	s->tx.statements = map_new(statement_free);
	s->mailbox = MEM_NEW(struct store_mailbox);
	s->mailbox->store = s;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	pthread_cond_init(&s->finished, NULL);
	list_init(&s->queued);
	list_init(&s->delivered);
	int r = connection_open(s, config->path, err);
	if (r >= 0)
		r = schema_migrate(&s->tx, err);
	if (r < 0)
		return err->code == ERR_CONFLICT
			   ? err_set(err, ERR_CONFLICT,
				     "the store '%s' is in use by another process; stop it first",
				     config->path)
			   : err_wrap(err, "opening the store '%s'", config->path);
	if (s->loop && pthread_create(&s->thread, NULL, txn_thread, s) != 0)
		return err_set(err, ERR_NO_MEMORY, "cannot start the database thread");
	*ret = STEAL(s);
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->loop) {
		pthread_mutex_lock(&s->lock);
		s->stopping = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
	}
	while (store_pump(s))
		;
	store_free(s);
}

bool store_has_failed(struct store *s, struct err *ret_why)
{
	pthread_mutex_lock(&s->lock);
	bool failed = s->failed;
	if (failed && ret_why)
		*ret_why = s->why;
	pthread_mutex_unlock(&s->lock);
	return failed;
}

static int expect_none(struct store_tx *tx, const char *what, const char *sql, struct err *err)
{
	int64_t count = 0;
	int r = sql_int(tx, &count, err, sql, "");
	if (r < 0 || count == 0)
		return r < 0 ? r : 0;
	return err_set(err, ERR_CORRUPT, "the metadata store is damaged: %lld %s; restore a backup",
		       (long long)count, what);
}

int store_check(struct store_tx *tx, struct err *err)
{
	sqlite3_stmt *st;
	int r = sql_query(tx, &st, err, "PRAGMA integrity_check(1)", "");
	if (r < 0 || (r = sql_step(tx, st, err)) < 0)
		return r;
	char answer[200];
	sql_text(st, 0, answer, sizeof(answer));
	sqlite3_reset(st);
	if (strcmp(answer, "ok") != 0)
		return err_set(err, ERR_CORRUPT, "the metadata store is damaged: %s; restore a backup",
			       answer);
	r = expect_none(tx, "rows without their owner", "SELECT count(*) FROM pragma_foreign_key_check", err);
	if (r >= 0)
		r = expect_none(
		    tx, "job counters that differ from the jobs",
		    "SELECT count(*) FROM (SELECT org, state, count FROM job_counts WHERE count > 0 EXCEPT "
		    "SELECT org, state, count(*) FROM jobs GROUP BY org, state)",
		    err);
	if (r >= 0)
		r = expect_none(
		    tx, "jobs that no counter counts",
		    "SELECT count(*) FROM (SELECT org, state, count(*) FROM jobs GROUP BY org, state EXCEPT "
		    "SELECT org, state, count FROM job_counts)",
		    err);
	if (r >= 0)
		r = expect_none(tx, "events without their job or model",
				"SELECT count(*) FROM events e WHERE NOT EXISTS(SELECT 1 FROM jobs j WHERE "
				"j.id = e.subject AND "
				"j.org = e.org) AND NOT EXISTS(SELECT 1 FROM services s WHERE 'model/' || "
				"s.name = e.subject AND "
				"s.org = e.org)",
				err);
	return r;
}
