/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, closing and checking the store. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "store/store_int.h"

static void statement_free(void *st)
{
	((struct sql_stmt *)st)->ops->finalize(st);
}

static void store_free(struct store *s)
{
	map_free(s->tx.statements);
	s->tx.ops->close(s);
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

static int refuse(const struct store_config *config, struct err *err)
{
	const char *what = config->database ? "database" : config->path; /* an address may hold a password */
	if (err->code == ERR_CONFLICT)
		return err_set(err, ERR_CONFLICT,
			       "the store '%s' is in use by another process; stop it first", what);
	return err_wrap(err, "opening the store '%s'", what);
}

int store_open_at(const struct store_config *config, int schema, struct store **ret, struct err *err)
{
	CLEANUP(store) struct store *s = MEM_NEW(struct store);
	s->loop = config->loop;
	s->on_failure = config->on_failure;
	s->on_failure_arg = config->arg;
	s->tx.store = s;
	s->tx.ops = config->database ? &driver_postgres : &driver_sqlite;
	s->tx.statements = map_new(statement_free);
	s->mailbox = MEM_NEW(struct store_mailbox);
	s->mailbox->store = s;
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->wake, NULL);
	pthread_cond_init(&s->finished, NULL);
	list_init(&s->queued);
	list_init(&s->delivered);
	int r = s->tx.ops->open(s, config, err);
	if (r >= 0)
		r = schema_migrate(&s->tx, schema, err);
	if (r >= 0 && schema == schema_version() && s->tx.ops->lease_begin)
		r = s->tx.ops->lease_begin(s, err);
	if (r < 0)
		return refuse(config, err);
	if (s->loop && pthread_create(&s->thread, NULL, txn_thread, s) != 0)
		return err_set(err, ERR_NO_MEMORY, "cannot start the database thread");
	*ret = STEAL(s);
	return 0;
}

int store_open(const struct store_config *config, struct store **ret, struct err *err)
{
	return store_open_at(config, schema_version(), ret, err);
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

/* Live elements of each array, all and by state: as they are counted, and as they are. */
#define ARRAYS_COUNT                                                                                         \
	"SELECT id, made - submitted - completed - failed - cancelled, queued, starting, running FROM "      \
	"job_arrays WHERE made <> completed + failed + cancelled OR queued + starting + running > 0"
#define ARRAYS_HAVE                                                                                          \
	"SELECT array_id, count(*), sum(CASE state WHEN 'queued' THEN 1 ELSE 0 END), sum(CASE state WHEN "   \
	"'starting' THEN 1 ELSE 0 END), sum(CASE state WHEN 'running' THEN 1 ELSE 0 END) FROM jobs WHERE "   \
	"ended_ms = 0 AND array_id <> '' GROUP BY array_id"

int store_check(struct store_tx *tx, struct err *err)
{
	int r = tx->ops->check(tx, err);
	if (r >= 0)
		r = expect_none(
		    tx, "job counters that differ from the jobs",
		    "SELECT count(*) FROM (SELECT org, state, count FROM job_counts WHERE count > 0 EXCEPT "
		    "SELECT org, state, count(*) FROM jobs GROUP BY org, state) AS differing",
		    err);
	if (r >= 0)
		r = expect_none(
		    tx, "jobs that no counter counts",
		    "SELECT count(*) FROM (SELECT org, state, count(*) FROM jobs GROUP BY org, state EXCEPT "
		    "SELECT org, state, count FROM job_counts) AS differing",
		    err);
	if (r >= 0)
		r = expect_none(tx, "arrays that count their elements wrongly",
				"SELECT count(*) FROM (" ARRAYS_COUNT " EXCEPT " ARRAYS_HAVE ") AS differing",
				err);
	if (r >= 0)
		r = expect_none(tx, "arrays whose elements no counter counts",
				"SELECT count(*) FROM (" ARRAYS_HAVE " EXCEPT " ARRAYS_COUNT ") AS differing",
				err);
	if (r >= 0)
		r = expect_none(
		    tx, "events without their job, model or cron",
		    "SELECT count(*) FROM events e WHERE NOT EXISTS(SELECT 1 FROM jobs j WHERE "
		    "j.id = e.subject AND "
		    "j.org = e.org) AND NOT EXISTS(SELECT 1 FROM services s WHERE 'model/' || "
		    "s.name = e.subject AND "
		    "s.org = e.org) AND NOT EXISTS(SELECT 1 FROM crons c WHERE 'cron/' || c.name = "
		    "e.subject AND c.org = e.org)",
		    err);
	return r;
}
