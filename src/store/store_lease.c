/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One server at a time on a PostgreSQL database: the others wait.
 *
 * The fence is an advisory lock of the session that also writes: whoever holds it is the only one whose
 * statements run, and it is free when that session has ended, not earlier. So a server that was cut off
 * cannot write. The row of the table 'lease' says who that is (address, for others to pass requests to),
 * since when (epoch: grows with every server that takes the database) and that it is alive (renewed_ms, by
 * the database's clock). A server whose connection broke takes the database again only when the epoch is
 * still its own: what it remembers is true then. A holder that does not renew for STORE_LEASE_MS hangs;
 * another server ends its session and takes over.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "store/store_postgres.h"

#define NOW_MS "(extract(epoch from clock_timestamp()) * 1000)::bigint"
#define END_WAIT_MS "5000" /* for a session that is told to end */

static struct postgres_db *db_of(const struct store_tx *tx)
{
	return tx->db;
}

static int epoch_read(struct store_tx *tx, int64_t *ret, struct err *err)
{
	*ret = 0;
	int r = postgres_number(tx, "SELECT epoch FROM lease", ret, err);
	return r < 0 ? r : 0;
}

/* Our own last session may need a moment to end; but who had the database since? */
static int lease_lost(struct store_tx *tx, bool is_taken, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	int64_t epoch;
	int r = epoch_read(tx, &epoch, err);
	if (r < 0)
		return r;
	if (epoch != d->epoch)
		return err_set(err, ERR_STATE, "another server has taken the database %s over meanwhile",
			       d->label);
	return is_taken
		   ? err_set(err, ERR_UNAVAILABLE,
			     "the last connection to the database %s has not ended yet; try again", d->label)
		   : 0;
}

int lease_take(struct store_tx *tx, struct err *err)
{
	char sql[112];
	int64_t taken = 0;
	snprintf(sql, sizeof(sql), "SELECT pg_try_advisory_lock(%d, hashtext(current_schema()))",
		 STORE_APPLICATION_ID);
	int r = postgres_number(tx, sql, &taken, err);
	if (r < 0)
		return r;
	if (db_of(tx)->epoch)
		return lease_lost(tx, !taken, err);
	return taken ? 0 : err_set(err, ERR_CONFLICT, "the database is in use");
}

int lease_begin(struct store *s, struct err *err)
{
	struct postgres_db *d = s->tx.db;
	int r = sql_int(
	    &s->tx, &d->epoch, err,
	    "INSERT INTO lease(one, epoch, address, backend, renewed_ms) VALUES(1, 1, ?, "
	    "pg_backend_pid(), " NOW_MS
	    ") ON CONFLICT(one) DO UPDATE SET epoch = lease.epoch + 1, address = excluded.address, backend = "
	    "excluded.backend, renewed_ms = excluded.renewed_ms RETURNING epoch",
	    "s", d->address);
	return r < 0 ? r : 0;
}

int lease_renew(struct store_tx *tx, struct err *err)
{
	int r = sql_exec(
	    tx, err, "UPDATE lease SET renewed_ms = " NOW_MS ", backend = pg_backend_pid() WHERE epoch = ?",
	    "i", db_of(tx)->epoch);
	return r < 0 ? r : 0;
}

static int renew(struct store_tx *tx, void *arg, struct err *err)
{
	return tx->ops->lease_renew(tx, err);
}

void store_lease_renew(struct store *s)
{
	if (s->tx.ops->lease_renew)
		store_submit(s, renew, NULL, NULL);
}

/* ---- for who has not got it ---- */

/* A connection without the lock, for a look. */
static PGconn *look_connect(const struct pq *pq, const struct store_config *config)
{
	const char *keys[] = {"connect_timeout", "application_name", "password", "dbname", NULL};
	const char *values[] = {"5", "cloudml-standby", config->password, config->database, NULL};
	return pq->PQconnectdbParams(keys, values, 1);
}

/* The first text is the address, when somebody has the database; a holder that hangs is ended by the way. */
static const char *const look_sql = "SELECT address, CASE WHEN renewed_ms < " NOW_MS
				    " - $1::bigint THEN pg_terminate_backend(backend::int, " END_WAIT_MS
				    ") END FROM lease WHERE EXISTS(SELECT 1 FROM "
				    "pg_locks WHERE locktype = 'advisory' AND pid = backend::int)";

int store_lease_look(const struct store_config *config, char ret_address[STORE_ADDRESS_MAX], struct err *err)
{
	const struct pq *pq;
	char limit[24];
	const char *values[] = {limit};
	ret_address[0] = 0;
	int r = pq_load(&pq, err);
	if (r < 0)
		return r;
	PGconn *conn = look_connect(pq, config);
	snprintf(limit, sizeof(limit), "%d", STORE_LEASE_MS);
	if (!conn || pq->PQstatus(conn) != CONNECTION_OK) {
		r = err_set(err, ERR_UNAVAILABLE, "cannot connect to the database");
	} else {
		PGresult *result = pq->PQexecParams(conn, look_sql, 1, NULL, values, NULL, NULL, 0);
		if (pq->PQresultStatus(result) == PGRES_TUPLES_OK && pq->PQntuples(result) == 1)
			snprintf(ret_address, STORE_ADDRESS_MAX, "%s", pq->PQgetvalue(result, 0, 0));
		pq->PQclear(result); /* no such table yet: nobody has said who it is */
	}
	pq->PQfinish(conn);
	return r;
}
