/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL: one connection, prepared statements, results read whole. Its states as our errors. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "store/store_dialect.h"
#include "store/store_postgres.h"

#define OLDEST 120000 /* server version 12 */
#define VALUES_MAX 48
#define OID_INT8 20
#define OID_TEXT 25

struct postgres_stmt {
	struct sql_stmt base;
	char name[24];
	int count;
	char *values[VALUES_MAX]; /* owned */
	PGresult *result;
	int row, rows, changed;
};

static struct postgres_db *db_of(const struct store_tx *tx)
{
	return tx->db;
}

static struct postgres_stmt *st_of(const struct sql_stmt *st)
{
	return (struct postgres_stmt *)(uintptr_t)st;
}

/* ---- errors ---- */

/* By the longest beginning of SQLSTATE that is here. */
static const struct {
	const char *state;
	int code;
} states[] = {
    {"23505", ERR_EXISTS},	{"53100", ERR_DISK_FULL}, {"53200", ERR_NO_MEMORY}, {"53", ERR_UNAVAILABLE},
    {"54", ERR_TOO_LARGE},	{"58", ERR_IO},		  {"XX001", ERR_CORRUPT},   {"XX002", ERR_CORRUPT},
    {"40", ERR_CONFLICT},	{"55P03", ERR_CONFLICT},  {"57", ERR_UNAVAILABLE},  {"08", ERR_UNAVAILABLE},
    {"25006", ERR_UNAVAILABLE}, {"28", ERR_DENIED},	  {"42501", ERR_DENIED},    {"3D", ERR_NOT_FOUND},
};

static int code_of(const char *state)
{
	for (size_t i = 0; i < ARRAY_LEN(states); i++)
		if (!strncmp(state, states[i].state, strlen(states[i].state)))
			return states[i].code;
	return ERR_INTERNAL;
}

/* The first line of what libpq says, without its end. */
static void first_line(const char *text, char *ret, size_t cap)
{
	snprintf(ret, cap, "%.*s", (int)strcspn(text, "\n"), text);
}

static int postgres_error(struct store_tx *tx, const PGresult *result, struct err *err, const char *what)
{
	struct postgres_db *d = db_of(tx);
	const char *state = result ? d->pq->PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
	const char *primary = result ? d->pq->PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
	char line[300];
	first_line(primary ? primary : d->pq->PQerrorMessage(d->conn), line, sizeof(line));
	if (d->pq->PQstatus(d->conn) != CONNECTION_OK) {
		d->is_lost = true;
		return err_set(err, ERR_UNAVAILABLE, "the connection to the database %s was lost: %s",
			       d->label, line);
	}
	int code = state ? code_of(state) : ERR_INTERNAL;
	if (code == ERR_DISK_FULL)
		return err_set(err, code, "the disk of the database %s is full; free space, then try again",
			       d->label);
	return err_set(err, code, "metadata store: %s: %s", what, line);
}

static bool is_good(const struct postgres_db *d, const PGresult *result)
{
	ExecStatusType status = d->pq->PQresultStatus(result);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

static int run_text(struct store_tx *tx, const char *sql, const char *what, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	PGresult *result = d->pq->PQexec(d->conn, sql);
	int r = is_good(d, result) ? 0 : postgres_error(tx, result, err, what);
	d->pq->PQclear(result);
	return r;
}

/* What is due, and then 'sql', as one text. */
static int flush_control(struct store_tx *tx, const char *sql, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	char text[96];
	snprintf(text, sizeof(text), "%s%s%s", d->release_due ? "RELEASE request; " : "",
		 d->save_due ? "SAVEPOINT request; " : "", sql);
	d->release_due = d->save_due = false;
	return *text ? run_text(tx, text, "running a statement", err) : 0;
}

int postgres_number(struct store_tx *tx, const char *sql, int64_t *ret, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	PGresult *result = d->pq->PQexec(d->conn, sql);
	int r = is_good(d, result) ? d->pq->PQntuples(result) > 0
				   : postgres_error(tx, result, err, "running a statement");
	if (r > 0) {
		const char *text = d->pq->PQgetvalue(result, 0, 0);
		*ret = *text == 't' ? 1 : strtoll(text, NULL, 10); /* a condition is 't' or 'f' */
	}
	d->pq->PQclear(result);
	return r;
}

/* ---- statements ---- */

static int postgres_prepare(struct store_tx *tx, const char *sql, const char *fmt, struct sql_stmt **ret,
			    struct err *err)
{
	struct postgres_db *d = db_of(tx);
	CLEANUP(free) char *theirs = dialect_postgres(sql);
	Oid types[VALUES_MAX];
	char name[24];
	int count = (int)strlen(fmt);
	int flushed = flush_control(tx, "", err);
	if (flushed < 0)
		return flushed;
	if (count > VALUES_MAX)
		return err_set(err, ERR_INTERNAL, "a statement has more than %d values", VALUES_MAX);
	for (int i = 0; i < count; i++)
		types[i] = fmt[i] == 's' ? OID_TEXT : OID_INT8;
	snprintf(name, sizeof(name), "s%u", ++d->prepared);
	PGresult *result = d->pq->PQprepare(d->conn, name, theirs, count, types);
	int r = is_good(d, result) ? 0 : postgres_error(tx, result, err, "preparing a statement");
	d->pq->PQclear(result);
	if (r < 0)
		return r;
	struct postgres_stmt *st = MEM_NEW(struct postgres_stmt);
	st->base = (struct sql_stmt){tx->ops, tx};
	st->count = count;
	memcpy(st->name, name, sizeof(name));
	*ret = &st->base;
	return 0;
}

static void postgres_reset(struct sql_stmt *base)
{
	struct postgres_stmt *st = st_of(base);
	db_of(base->tx)->pq->PQclear(st->result);
	st->result = NULL;
}

static void postgres_finalize(struct sql_stmt *base)
{
	struct postgres_stmt *st = st_of(base);
	postgres_reset(base);
	for (int i = 0; i < st->count; i++)
		free(st->values[i]);
	free(st);
}

static int postgres_bind_text(struct sql_stmt *base, int index, const char *text, struct err *err)
{
	struct postgres_stmt *st = st_of(base);
	free(st->values[index - 1]);
	st->values[index - 1] = dialect_text(text);
	return 0;
}

static int postgres_bind_int(struct sql_stmt *base, int index, int64_t value, struct err *err)
{
	struct postgres_stmt *st = st_of(base);
	free(st->values[index - 1]);
	st->values[index - 1] = mem_printf("%" PRId64, value);
	return 0;
}

/* The next result of a pipeline, and the NULL that ends each; NULL when the connection broke. */
static PGresult *next_result(struct postgres_db *d)
{
	PGresult *result = d->pq->PQgetResult(d->conn);
	if (result && d->pq->PQresultStatus(result) != PGRES_PIPELINE_SYNC)
		d->pq->PQclear(d->pq->PQgetResult(d->conn));
	return result;
}

/* What is due and the statement in one round trip. The first that fails makes the others fail, too. */
static PGresult *run_with_control(struct postgres_db *d, const struct postgres_stmt *st)
{
	static const char *const due[] = {"RELEASE request", "SAVEPOINT request"};
	const bool is_due[] = {d->release_due, d->save_due};
	PGresult *first_bad = NULL, *last = NULL;
	d->release_due = d->save_due = false;
	bool sent = d->pq->PQenterPipelineMode(d->conn) == 1;
	for (size_t i = 0; i < ARRAY_LEN(due) && sent; i++)
		sent = !is_due[i] ||
		       d->pq->PQsendQueryParams(d->conn, due[i], 0, NULL, NULL, NULL, NULL, 0) == 1;
	sent = sent &&
	       d->pq->PQsendQueryPrepared(d->conn, st->name, st->count, (const char *const *)st->values, NULL,
					  NULL, 0) == 1 &&
	       d->pq->PQpipelineSync(d->conn) == 1;
	for (size_t i = 0; i <= ARRAY_LEN(due) && sent; i++) {
		if (i < ARRAY_LEN(due) && !is_due[i])
			continue;
		last = next_result(d);
		if (i == ARRAY_LEN(due) || !last)
			break;
		if (!first_bad && !is_good(d, last))
			first_bad = last;
		else
			d->pq->PQclear(last);
	}
	if (sent && last)
		d->pq->PQclear(next_result(d)); /* of the synchronisation */
	d->pq->PQexitPipelineMode(d->conn);
	if (!first_bad)
		return last;
	d->pq->PQclear(last);
	return first_bad;
}

static int execute(struct postgres_stmt *st, struct err *err)
{
	struct store_tx *tx = st->base.tx;
	struct postgres_db *d = db_of(tx);
	if (d->release_due || d->save_due)
		st->result = run_with_control(d, st);
	else
		st->result = d->pq->PQexecPrepared(d->conn, st->name, st->count,
						   (const char *const *)st->values, NULL, NULL, 0);
	if (!is_good(d, st->result))
		return postgres_error(tx, st->result, err, "running a statement");
	st->row = -1;
	st->rows = d->pq->PQntuples(st->result);
	st->changed = atoi(d->pq->PQcmdTuples(st->result));
	return 0;
}

static int postgres_step(struct sql_stmt *base, struct err *err)
{
	struct postgres_stmt *st = st_of(base);
	if (!st->result) {
		int r = execute(st, err);
		if (r < 0)
			return r;
	}
	return ++st->row < st->rows;
}

static int postgres_changed(const struct sql_stmt *base)
{
	return st_of(base)->changed;
}

static int postgres_last_seq(struct store_tx *tx, int64_t *ret, struct err *err)
{
	return sql_int(tx, ret, err, "SELECT lastval()", "");
}

static const char *postgres_column_text(struct sql_stmt *base, int column, size_t *ret_len)
{
	struct postgres_stmt *st = st_of(base);
	const struct pq *pq = db_of(base->tx)->pq;
	*ret_len = (size_t)pq->PQgetlength(st->result, st->row, column);
	return pq->PQgetvalue(st->result, st->row, column); /* "" for NULL */
}

static int64_t postgres_column_int(struct sql_stmt *base, int column)
{
	size_t len;
	const char *text = postgres_column_text(base, column, &len);
	return *text == 't' ? 1 : strtoll(text, NULL, 10); /* a condition is 't' or 'f' */
}

/* ---- the connection ---- */

static void forget_statements(struct store_tx *tx)
{
	map_free(tx->statements);
	tx->statements = map_new((void (*)(void *))(uintptr_t)postgres_finalize);
}

static void ignore_notice(void *arg, const char *message)
{
}

/* Who asked for what in the address may say so; what it leaves open is ours: a peer that is gone is noticed
 * within seconds. */
static PGconn *connect_to(const struct postgres_db *d)
{
	const char *keys[] = {"connect_timeout",
			      "keepalives_idle",
			      "keepalives_interval",
			      "keepalives_count",
			      "tcp_user_timeout",
			      "application_name",
			      "password",
			      "dbname",
			      "client_encoding",
			      NULL};
	const char *values[] = {"10", "5", "2", "3", "15000", "cloudml", d->password, d->url, "UTF8", NULL};
	return d->pq->PQconnectdbParams(keys, values, 1);
}

/* A database that does not sync its log keeps no promise of ours. */
static int check_server(struct store_tx *tx, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	int version = d->pq->PQserverVersion(d->conn);
	if (version < OLDEST)
		return err_set(err, ERR_UNSUPPORTED, "the database %s is version %d; 12 or newer is needed",
			       d->label, version / 10000);
	PGresult *result = d->pq->PQexec(d->conn, "SHOW fsync");
	bool good = is_good(d, result) && d->pq->PQntuples(result) == 1;
	bool is_on = good && !strcmp(d->pq->PQgetvalue(result, 0, 0), "on");
	int r = good ? 0 : postgres_error(tx, result, err, "looking at the server");
	d->pq->PQclear(result);
	if (r == 0 && !is_on)
		return err_set(
		    err, ERR_UNSUPPORTED,
		    "the database %s runs with 'fsync = off' and would lose what was acknowledged; "
		    "turn it on",
		    d->label);
	return r;
}

static int connect_session(struct store_tx *tx, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	if (d->conn) {
		forget_statements(tx);
		d->pq->PQfinish(d->conn);
	}
	d->conn = connect_to(d);
	if (!d->conn)
		return err_set(err, ERR_NO_MEMORY, "out of memory");
	if (d->pq->PQstatus(d->conn) != CONNECTION_OK) {
		char line[300];
		first_line(d->pq->PQerrorMessage(d->conn), line, sizeof(line));
		d->is_lost = true;
		return err_set(err, ERR_UNAVAILABLE, "cannot connect to the database %s: %s", d->label, line);
	}
	d->pq->PQsetNoticeProcessor(d->conn, ignore_notice, NULL);
	int r = check_server(tx, err);
	if (r >= 0)
		r = run_text(
		    tx,
		    "SET synchronous_commit = on; SET standard_conforming_strings = on; "
		    "SET default_transaction_isolation = 'read committed'; SET lock_timeout = '10s'; "
		    "SET idle_in_transaction_session_timeout = '30s'",
		    "setting up the session", err);
	if (r >= 0)
		r = lease_take(tx, err);
	d->is_lost = r < 0;
	return r;
}

static const char *option_value(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++)
		if (!strcmp(options->keyword, keyword) && options->val && *options->val)
			return options->val;
	return NULL;
}

/* libpq quotes the address in what it says about it, and with it the password: it is not passed on. */
static int read_address(struct postgres_db *d, struct err *err)
{
	PQconninfoOption *options = d->pq->PQconninfoParse(d->url, NULL);
	if (!options)
		return err_set(err, ERR_INVALID,
			       "the address of the database is not valid; write "
			       "postgresql://USER@HOST:PORT/DATABASE");
	const char *host = option_value(options, "host"), *port = option_value(options, "port");
	const char *name = option_value(options, "dbname");
	snprintf(d->label, sizeof(d->label), "'%s' at %s%s%s", name ? name : "of the user",
		 host ? host : "this machine", port ? ":" : "", port ? port : "");
	d->pq->PQconninfoFree(options);
	return 0;
}

static int postgres_open(struct store *s, const struct store_config *config, struct err *err)
{
	struct postgres_db *d = MEM_NEW(struct postgres_db);
	s->tx.db = d;
	d->url = mem_strdup(config->database);
	d->password = mem_strdup(config->password);
	d->address = mem_strdup(config->address ? config->address : "");
	int r = pq_load(&d->pq, err);
	if (r >= 0)
		r = read_address(d, err);
	return r < 0 ? r : connect_session(&s->tx, err);
}

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void postgres_close(struct store *s)
{
	struct postgres_db *d = s->tx.db;
	if (!d)
		return;
	if (d->conn)
		d->pq->PQfinish(d->conn);
	free_secret(d->url);
	free_secret(d->password);
	free(d->address);
	free(d);
	s->tx.db = NULL;
}

/* ---- transactions ---- */

/* The answer to COMMIT in a transaction that has failed is success, and 'ROLLBACK'. When the connection
 * breaks nobody knows what is on the disk, as after a failed fsync. */
static int commit(struct store_tx *tx, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	int r = d->release_due ? flush_control(tx, "", err) : 0;
	if (r < 0)
		return r;
	PGresult *result = d->pq->PQexec(d->conn, "COMMIT");
	if (!is_good(d, result))
		r = postgres_error(tx, result, err, "committing");
	else if (strcmp(d->pq->PQcmdStatus(result), "COMMIT") != 0)
		r = err_set(err, ERR_INTERNAL, "metadata store: the transaction was rolled back");
	d->pq->PQclear(result);
	if (r < 0 && d->is_lost)
		return err_set(err, ERR_IO,
			       "the connection to the database %s was lost during a commit, whose outcome "
			       "is unknown",
			       d->label);
	return r;
}

static int begin(struct store_tx *tx, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	d->release_due = d->save_due = false;
	int r = d->is_lost ? connect_session(tx, err) : 0;
	return r < 0 ? r : run_text(tx, "BEGIN", "beginning a transaction", err);
}

/* The savepoint of a request and its release wait for the next statement: a round trip less for each. */
static int postgres_control(struct store_tx *tx, enum sql_control what, struct err *err)
{
	struct postgres_db *d = db_of(tx);
	bool nothing_ran = d->save_due;
	switch (what) {
	case SQL_BEGIN:
		return begin(tx, err);
	case SQL_COMMIT:
		return commit(tx, err);
	case SQL_ROLLBACK:
		d->release_due = d->save_due = false;
		return run_text(tx, "ROLLBACK", "rolling back", err);
	case SQL_SAVE:
		d->save_due = true;
		return 0;
	case SQL_UNDO:
		return nothing_ran ? 0 : run_text(tx, "ROLLBACK TO request", "rolling back", err);
	case SQL_RELEASE:
		d->release_due = d->release_due || !nothing_ran;
		d->save_due = false;
		return 0;
	default:
		return err_set(err, ERR_INTERNAL, "unknown control %d", what);
	}
}

static bool postgres_in_transaction(const struct store_tx *tx)
{
	struct postgres_db *d = db_of(tx);
	PGTransactionStatusType status = d->pq->PQtransactionStatus(d->conn);
	return status == PQTRANS_INTRANS || status == PQTRANS_INERROR || status == PQTRANS_ACTIVE;
}

static int postgres_script(struct store_tx *tx, const char *sql, struct err *err)
{
	CLEANUP(free) char *theirs = dialect_postgres(sql);
	int r = flush_control(tx, "", err);
	return r < 0 ? r : run_text(tx, theirs, "running a statement", err);
}

static int postgres_tend(struct store *s, struct err *err)
{
	return 0;
}

/* ---- the mark of the schema: a table with one row ---- */

static int postgres_schema_read(struct store_tx *tx, struct schema_mark *ret, struct err *err)
{
	int64_t tables = 0, has_mark = 0;
	*ret = (struct schema_mark){0};
	int r = sql_int(tx, &tables, err,
			"SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = "
			"current_schema()::regnamespace",
			"");
	if (r >= 0)
		r = sql_int(tx, &has_mark, err, "SELECT to_regclass('cloudml_schema') IS NOT NULL", "");
	ret->has_tables = tables > 0;
	if (r < 0 || !has_mark)
		return r < 0 ? r : 0;
	ret->application = STORE_APPLICATION_ID;
	r = sql_int(tx, &ret->version, err, "SELECT version FROM cloudml_schema", "");
	return r < 0 ? r : 0;
}

static int postgres_schema_write(struct store_tx *tx, int64_t version, struct err *err)
{
	int r = postgres_script(
	    tx,
	    "CREATE TABLE IF NOT EXISTS cloudml_schema(one INTEGER PRIMARY KEY CHECK(one = 1), "
	    "version INTEGER NOT NULL)",
	    err);
	if (r >= 0)
		r = sql_exec(
		    tx, err,
		    "INSERT INTO cloudml_schema(one, version) VALUES(1, ?) ON CONFLICT(one) DO UPDATE "
		    "SET version = excluded.version",
		    "i", version);
	return r < 0 ? r : 0;
}

/* Foreign keys are always kept there, and damaged pages are found by its own checksums when they are read. */
static int postgres_check(struct store_tx *tx, struct err *err)
{
	return 0;
}

const struct driver_ops driver_postgres = {
    .name = "postgresql",
    .open = postgres_open,
    .close = postgres_close,
    .prepare = postgres_prepare,
    .finalize = postgres_finalize,
    .bind_text = postgres_bind_text,
    .bind_int = postgres_bind_int,
    .step = postgres_step,
    .reset = postgres_reset,
    .changed = postgres_changed,
    .last_seq = postgres_last_seq,
    .column_int = postgres_column_int,
    .column_text = postgres_column_text,
    .control = postgres_control,
    .in_transaction = postgres_in_transaction,
    .script = postgres_script,
    .tend = postgres_tend,
    .schema_read = postgres_schema_read,
    .schema_write = postgres_schema_write,
    .check = postgres_check,
    .lease_begin = lease_begin,
    .lease_renew = lease_renew,
};
