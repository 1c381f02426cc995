/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata: organisations, users, keys, jobs, services, events. In SQLite or in PostgreSQL; SQL stays inside
 * this room (its rules: store_int.h; what a database is: store_driver.h).
 *
 * Ideas. A change is a request: a function that runs on the database's thread inside a transaction, and a
 * completion that is called on the loop's thread after the commit is durable. Requests that arrive while a
 * commit is in flight share the next one (group commit); each has its own savepoint, so that one that fails
 * hurts no other. There are two executors behind this interface: a thread (a loop was given), and manual
 * (none was): then nothing happens until store_pump(), which is how tests/sim stays deterministic.
 *
 * Invariants: requests run and complete in the order of submission; a completion with r >= 0 of a request
 * that wrote means durable (a synced log); a terminal job's row never changes (guarded in SQL); job
 * counters are changed by the transaction that changes the job. A full disk fails the transaction
 * (ERR_DISK_FULL) and the store goes on; any other failed write or fsync stops the store for good
 * (ERR_UNAVAILABLE): it is never retried, the log is read again at the next start. A statement that fails
 * ends its request: return its error.
 *
 * To add a table: a step at the end of store_schema.c, a file store_NOUN.c, the table in
 * docs/formats/metadata.md.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/buf.h"
#include "base/rng.h"
#include "core/cron.h"
#include "core/job.h"
#include "core/org.h"
#include "core/service.h"
#include "loop/loop.h"

struct store;
struct store_tx; /* valid inside a request's function, on its thread */

struct store_config {
	const char *path;     /* of SQLite's file; ":memory:" is allowed without a loop */
	const char *database; /* "postgresql://…": PostgreSQL, and path is not looked at; NULL = SQLite */
	const char *password; /* of the database, when it is not in its address; may be NULL */
	const char *address;  /* where other servers on the same PostgreSQL find this one; may be NULL */
	int checkpoint_pages; /* of SQLite's log, before it is copied into the file; 0 = 4000 */
	struct loop *loop;    /* kept; NULL = manual executor */
	/* Once, on the loop's thread, when the store has stopped for good; may be NULL. */
	void (*on_failure)(void *arg, const struct err *why);
	void *arg;
};
/* Opens or creates, migrates forward. ERR_UNSUPPORTED when a newer cloudml wrote it, ERR_CORRUPT,
 * ERR_CONFLICT when another process has it open, ERR_DISK_FULL, ERR_IO, ERR_UNAVAILABLE when the database
 * does not answer, ERR_DENIED, ERR_NOT_FOUND when it has no such database. Messages never hold the address.
 * Blocks. */
int store_open(const struct store_config *config, struct store **ret, struct err *err);
/* Runs what is queued, calls the completions from here, closes. On the loop's thread. NULL is fine. */
void store_close(struct store *s);
bool store_has_failed(struct store *s, struct err *ret_why); /* stopped for good; ret_why may be NULL */

/* Several servers on one PostgreSQL: one has it, the others get ERR_CONFLICT from store_open, look who it is,
 * and try again. renew: shows that this server is alive; to be called every STORE_LEASE_RENEW_MS; nothing on
 * SQLite. look: the address of the server that has the database, "" when none has; ends the session of one
 * that has not renewed for STORE_LEASE_MS by the database's clock. Blocks. */
#define STORE_LEASE_MS 15000
#define STORE_LEASE_RENEW_MS 3000
#define STORE_ADDRESS_MAX 256
void store_lease_renew(struct store *s);
int store_lease_look(const struct store_config *config, char ret_address[STORE_ADDRESS_MAX], struct err *err);

/* fn: < 0 rolls back what it wrote and reaches done as r and err; >= 0 is r after the commit. done may be
 * NULL. arg belongs to the request until done. */
typedef int store_fn(struct store_tx *tx, void *arg, struct err *err);
typedef void store_done_fn(void *arg, int r, const struct err *err);
void store_submit(struct store *s, store_fn *fn, store_done_fn *done, void *arg);
/* Blocks until the request is durable or has failed; for the time before the loop runs. */
int store_run(struct store *s, store_fn *fn, void *arg, struct err *err);

/* The manual executor. pump: commits one batch and delivers; false when there was nothing. It is commit, then
 * deliver. drop is what a crash does: queued requests and undelivered results are gone, their completions get
 * ERR_CANCELLED. */
bool store_pump(struct store *s);
bool store_pump_commit(struct store *s);
bool store_pump_deliver(struct store *s);
size_t store_queued(const struct store *s);
void store_drop(struct store *s);

/* Integrity check of the database and our own cross-table check (counters, owners). ERR_CORRUPT says what. */
int store_check(struct store_tx *tx, struct err *err);

/* Copies the database into a new file 'path' (borrowed until done) while requests go on: what was committed
 * before the call is in it. done: r = 0, or ERR_UNSUPPORTED (PostgreSQL: pg_dump does that), ERR_BUSY (one at
 * a time), ERR_DISK_FULL, ERR_IO, ERR_CANCELLED. The file is not synced and not looked at: store_backup_check
 * does both. */
void store_backup(struct store *s, const char *path, store_done_fn *done, void *arg);
/* Opens the copy, runs store_check, syncs it. Blocks; on any thread. */
struct store_backup_info {
	int64_t schema, jobs, bytes;
};
int store_backup_check(const char *path, struct store_backup_info *ret, struct err *err);

/* ---- organisations, users, keys: the first ones; for the rest see store_admin.h ---- */
#define STORE_KEY_ID_MAX KEY_ID_MAX
#define STORE_TOKEN_MAX 80 /* "cml_KEYID_SECRET" and NUL */
int store_org_insert(struct store_tx *tx, const char *org, int64_t now_ms, struct err *err); /* ERR_EXISTS */
int store_user_insert(struct store_tx *tx, const char *org, const char *user, int64_t now_ms,
		      struct err *err); /* ERR_EXISTS */
int store_key_insert(struct store_tx *tx, const struct key *key, struct err *err);
int store_key_find(struct store_tx *tx, const char *id, struct key *ret, struct err *err); /* ERR_NOT_FOUND */
int store_key_each(struct store_tx *tx, void (*fn)(void *arg, const struct key *key), void *arg,
		   struct err *err);
/* Makes a key and its token. The secret is in ret_token only. */
void store_key_make(struct rng *rng, struct key *key, char ret_token[STORE_TOKEN_MAX]);
/* Splits "cml_KEYID_SECRET" and hashes the secret; ERR_UNAUTHENTICATED when it has another shape. */
int store_token_parse(const char *token, char ret_id[STORE_KEY_ID_MAX + 1], char ret_sha256[65],
		      struct err *err);
/* First start: organisation "default", user "root", an administrator's token. Returns 1 with the token when
 * it made them, 0 when they were there ('ret_token' is ""). Blocks. */
int store_bootstrap(struct store *s, struct rng *rng, int64_t now_ms, char ret_token[STORE_TOKEN_MAX],
		    struct err *err);

/* ---- jobs ---- */
#define STORE_LIST_BYTES_MAX (2 * 1024 * 1024) /* of the specifications on one page */
struct store_jobs {
	struct job **items; /* owned */
	size_t count;
	bool more;
};
void store_jobs_done(struct store_jobs *l);
struct store_list_query {
	const char *org;
	int state;		/* -1 = all */
	enum service_kind kind; /* of services */
	const char *name;	/* NULL = all; elements too */
	const char *array;	/* of jobs: the elements of this one; NULL = what is no element */
	int64_t before_seq;	/* 0 = from the newest */
	int64_t limit;		/* 1 to 1000; a page of large specifications has fewer, and more is true */
};
/* Sets job->seq and version 1. Its history begins with job_birth_events(). ERR_EXISTS when the id is taken.
 */
int store_job_insert(struct store_tx *tx, struct job *job, struct err *err);
/* Many at once: inserted without being counted, then counted by store_jobs_count, in the same transaction.
 * spec_text: of this very specification, kept from one call to the next; written where it is empty. */
int store_job_insert_uncounted(struct store_tx *tx, struct job *job, struct buf *spec_text, struct err *err);
int store_jobs_count(struct store_tx *tx, const char *org, enum job_state state, int more, struct err *err);
/* The mover's write: everything but identity and specification (of job->spec only name and limits are read,
 * for the accounting), when the row still has version_before, is not terminal and has no greater attempt;
 * else ERR_CONFLICT. job->version must be greater. */
int store_job_update(struct store_tx *tx, const struct job *job, int64_t version_before, struct err *err);
/* id: ids are tried first, then names (the newest). ERR_NOT_FOUND. Returns owned. */
int store_job_get(struct store_tx *tx, const char *org, const char *id, struct job **ret, struct err *err);
int store_job_list(struct store_tx *tx, const struct store_list_query *q, struct store_jobs *ret,
		   struct err *err);
int store_job_live(struct store_tx *tx, struct store_jobs *ret,
		   struct err *err); /* all organisations, oldest first */
/* Row and events of a terminal job; ERR_STATE when live, ERR_NOT_FOUND. */
int store_job_delete(struct store_tx *tx, const char *org, const char *id, struct err *err);
int store_job_counts(struct store_tx *tx,
		     void (*fn)(void *arg, const char *org, enum job_state state, int64_t count), void *arg,
		     struct err *err);

/* ---- services ---- */
struct store_services {
	struct service **items; /* owned */
	size_t count;
	bool more;
};
void store_services_done(struct store_services *l);
int store_service_insert(struct store_tx *tx, struct service *s,
			 struct err *err); /* sets seq, version; ERR_EXISTS: the name */
/* Everything but identity. ERR_CONFLICT. */
int store_service_update(struct store_tx *tx, const struct service *s, int64_t version_before,
			 struct err *err);
int store_service_get(struct store_tx *tx, const char *org, const char *name, struct service **ret,
		      struct err *err);
int store_service_list(struct store_tx *tx, const struct store_list_query *q, struct store_services *ret,
		       struct err *err);
int store_service_live(struct store_tx *tx, struct store_services *ret, struct err *err);
int store_service_delete(struct store_tx *tx, const char *id, struct err *err); /* row and events */

/* ---- crons ---- */
int store_cron_insert(struct store_tx *tx, struct cron *c,
		      struct err *err); /* sets seq, version; ERR_EXISTS: the name */
/* Everything but identity and specification. ERR_CONFLICT. */
int store_cron_update(struct store_tx *tx, const struct cron *c, int64_t version_before, struct err *err);
int store_cron_delete(struct store_tx *tx, const struct cron *c, struct err *err); /* row and events */
/* Hands each over: fn owns it. Oldest first. */
int store_cron_each(struct store_tx *tx, void (*fn)(void *arg, struct cron *c), void *arg, struct err *err);
bool store_cron_exists(struct store_tx *tx, const char *org, const char *name, struct err *err);

/* ---- events ---- */
#define STORE_EVENTS_PER_SUBJECT 1000 /* older ones go, but never those of its birth */
struct store_events {
	struct event *items; /* owned */
	size_t count;
};
void store_events_done(struct store_events *l);
int store_event_insert(struct store_tx *tx, const char *org, struct event *e, struct err *err);
/* Those that the job was born with (core/job.h), then those that were inserted. */
int store_event_list(struct store_tx *tx, const char *org, const char *subject, int64_t after, int64_t limit,
		     struct store_events *ret, struct err *err);

/* ---- idempotency keys: kept seven days ---- */
#define STORE_IDEMPOTENCY_KEPT_MS (7 * 24 * 3600 * INT64_C(1000))
#define STORE_IDEMPOTENCY_KEY_MAX 128
/* 1 with the noun's id when the key was used with the same body, 0 when it is new, ERR_CONFLICT when the body
 * was another, ERR_INVALID when the key is not 1 to 128 printable characters. */
int store_idempotency_find(struct store_tx *tx, const char *org, const char *key, const char *body_sha256,
			   int64_t now_ms, char ret_id[16], struct err *err);
int store_idempotency_insert(struct store_tx *tx, const char *org, const char *key, const char *body_sha256,
			     const char *id, int64_t now_ms, struct err *err);
int store_idempotency_expire(struct store_tx *tx, int64_t now_ms, struct err *err);

#endif
