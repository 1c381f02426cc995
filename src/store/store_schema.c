/* SPDX-License-Identifier: Apache-2.0 */
/* The schema as a table of forward steps; docs/formats/metadata.md explains it. A released step never
 * changes: add one at the end, in SQLite's words, which the driver of PostgreSQL translates (INTEGER, TEXT,
 * REAL, INTEGER PRIMARY KEY AUTOINCREMENT, STRICT, WITHOUT ROWID, the column "user"). */
#include "base/mem.h"
#include "store/store_int.h"

/* clang-format off */
static const char *const steps[] = {
	/* 1: organisations, users, keys */
	"CREATE TABLE orgs(name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE users(org TEXT NOT NULL REFERENCES orgs(name), name TEXT NOT NULL, created_ms INTEGER NOT NULL,"
	"  PRIMARY KEY(org, name)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE keys(id TEXT PRIMARY KEY, org TEXT NOT NULL, user TEXT NOT NULL,"
	"  role TEXT NOT NULL CHECK(role IN ('viewer', 'member', 'admin')), secret_sha256 TEXT NOT NULL,"
	"  created_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
	"  FOREIGN KEY(org, user) REFERENCES users(org, name)) STRICT, WITHOUT ROWID;",

	/* 2: jobs, their counters, events, idempotency keys */
	"CREATE TABLE jobs(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, org TEXT NOT NULL REFERENCES orgs(name),"
	"  user TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL,"
	"  state TEXT NOT NULL CHECK(state IN ('submitted', 'queued', 'starting', 'running', 'completed', 'failed', 'cancelled')),"
	"  reason TEXT NOT NULL, message TEXT NOT NULL, version INTEGER NOT NULL, attempt INTEGER NOT NULL,"
	"  cancel_requested INTEGER NOT NULL, created_ms INTEGER NOT NULL, queued_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	"  running_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, exit_code INTEGER NOT NULL,"
	"  exit_signal INTEGER NOT NULL, fail TEXT NOT NULL, output_uri TEXT NOT NULL) STRICT;"
	"CREATE INDEX jobs_by_org ON jobs(org, seq);"
	"CREATE INDEX jobs_by_name ON jobs(org, name, seq);"
	"CREATE INDEX jobs_by_state ON jobs(org, state, seq);"
	"CREATE INDEX jobs_live ON jobs(seq) WHERE state IN ('submitted', 'queued', 'starting', 'running');"
	"CREATE TABLE job_counts(org TEXT NOT NULL, state TEXT NOT NULL, count INTEGER NOT NULL CHECK(count >= 0),"
	"  PRIMARY KEY(org, state)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE events(seq INTEGER PRIMARY KEY AUTOINCREMENT, org TEXT NOT NULL, subject TEXT NOT NULL, time_ms INTEGER NOT NULL,"
	"  type TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL, actor TEXT NOT NULL) STRICT;"
	"CREATE INDEX events_by_subject ON events(org, subject, seq);"
	"CREATE TABLE idempotency(org TEXT NOT NULL, key TEXT NOT NULL, body_sha256 TEXT NOT NULL, id TEXT NOT NULL,"
	"  time_ms INTEGER NOT NULL, PRIMARY KEY(org, key)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX idempotency_by_time ON idempotency(time_ms);",

	/* 3: services */
	"CREATE TABLE services(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
	"  org TEXT NOT NULL REFERENCES orgs(name), user TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL,"
	"  state TEXT NOT NULL CHECK(state IN ('starting', 'ready', 'stopping', 'failed')), reason TEXT NOT NULL,"
	"  message TEXT NOT NULL, version INTEGER NOT NULL, attempt INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
	"  ready_ms INTEGER NOT NULL, deadline_ms INTEGER NOT NULL, restarts INTEGER NOT NULL, address TEXT NOT NULL,"
	"  UNIQUE(org, name)) STRICT;",

	/* 4: a live row is one without an end: cheaper to decide than a list of states */
	"DROP INDEX IF EXISTS jobs_live;"
	"CREATE INDEX jobs_live ON jobs(seq) WHERE ended_ms = 0;",

	/* 5: pages of services */
	"CREATE INDEX services_by_org ON services(org, seq);",

	/* 6: replicas and updates of services */
	"ALTER TABLE services ADD COLUMN rollout TEXT NOT NULL DEFAULT '';",

	/* 7: administration. Users that were there keep what the greatest of their keys may do. */
	"ALTER TABLE orgs ADD COLUMN description TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE orgs ADD COLUMN state TEXT NOT NULL DEFAULT 'active';"
	"ALTER TABLE orgs ADD COLUMN state_by TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE orgs ADD COLUMN quota TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'admin';"
	"ALTER TABLE users ADD COLUMN platform INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE keys ADD COLUMN note TEXT NOT NULL DEFAULT '';"
	"UPDATE users SET role = 'member' WHERE NOT EXISTS(SELECT 1 FROM keys WHERE keys.org = users.org"
	"  AND keys.user = users.name AND keys.role = 'admin');"
	"UPDATE users SET role = 'viewer' WHERE NOT EXISTS(SELECT 1 FROM keys WHERE keys.org = users.org"
	"  AND keys.user = users.name AND keys.role <> 'viewer');"
	"UPDATE users SET platform = 1 WHERE org = 'default' AND name = 'root';"
	"CREATE INDEX keys_by_user ON keys(org, user, id);"
	"CREATE INDEX keys_by_org ON keys(org, id);"
	"CREATE TABLE audit(seq INTEGER PRIMARY KEY AUTOINCREMENT, org TEXT NOT NULL, subject TEXT NOT NULL, time_ms INTEGER NOT NULL,"
	"  type TEXT NOT NULL, reason TEXT NOT NULL, message TEXT NOT NULL, actor TEXT NOT NULL) STRICT;"
	"CREATE INDEX audit_by_org ON audit(org, seq);"
	"CREATE INDEX audit_by_time ON audit(time_ms);",

	/* 8: accounting */
	"CREATE TABLE attempts(owner TEXT NOT NULL, attempt INTEGER NOT NULL, org TEXT NOT NULL, user TEXT NOT NULL,"
	"  kind TEXT NOT NULL CHECK(kind IN ('job', 'model')), name TEXT NOT NULL, cpu_milli INTEGER NOT NULL,"
	"  memory_mib INTEGER NOT NULL, gpu INTEGER NOT NULL, started_ms INTEGER NOT NULL, stopped_ms INTEGER NOT NULL,"
	"  PRIMARY KEY(owner, attempt)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX attempts_open ON attempts(org, owner) WHERE stopped_ms = 0;"
	"CREATE INDEX attempts_by_org ON attempts(org, started_ms);"
	"CREATE TABLE usage_days(org TEXT NOT NULL, day INTEGER NOT NULL, user TEXT NOT NULL, kind TEXT NOT NULL,"
	"  cpu_milli_ms INTEGER NOT NULL, memory_mib_ms INTEGER NOT NULL, gpu_ms INTEGER NOT NULL, attempts INTEGER NOT NULL,"
	"  PRIMARY KEY(org, day, user, kind)) STRICT, WITHOUT ROWID;"
	"CREATE INDEX usage_by_user ON usage_days(org, user, day);",

	/* 9: crons */
	"CREATE TABLE crons(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
	"  org TEXT NOT NULL REFERENCES orgs(name), user TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL,"
	"  paused INTEGER NOT NULL, next_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, last_job TEXT NOT NULL,"
	"  version INTEGER NOT NULL, created_ms INTEGER NOT NULL, UNIQUE(org, name)) STRICT;",

	/* 10: which of several servers has the database; used on PostgreSQL */
	"CREATE TABLE lease(one INTEGER PRIMARY KEY CHECK(one = 1), epoch INTEGER NOT NULL, address TEXT NOT NULL,"
	"  backend INTEGER NOT NULL, renewed_ms INTEGER NOT NULL) STRICT;",

	/* 11: how a job's history begins follows from its row: 1 = it was submitted, 2 = and queued, 0 = events say it.
	   Two numbers are taken out of use, for those events. */
	"ALTER TABLE jobs ADD COLUMN born INTEGER NOT NULL DEFAULT 0;"
	"INSERT INTO events(org, subject, time_ms, type, reason, message, actor) VALUES('', '', 0, '', '', '', '');"
	"INSERT INTO events(org, subject, time_ms, type, reason, message, actor) VALUES('', '', 0, '', '', '', '');"
	"DELETE FROM events WHERE org = '' AND subject = '';",

	/* 12: what counts against a job's retries, and when the next attempt may start. Of what lives, every
	 * attempt that has ended counts, as it did until now. */
	"ALTER TABLE jobs ADD COLUMN charged INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE jobs ADD COLUMN retry_at_ms INTEGER NOT NULL DEFAULT 0;"
	"UPDATE jobs SET charged = attempt WHERE ended_ms = 0 AND state = 'queued';"
	"UPDATE jobs SET charged = attempt - 1 WHERE ended_ms = 0 AND attempt > 0 AND state <> 'queued';",

	/* 13: arrays. Lists go by array_id, which is '' for what is no element. */
	"ALTER TABLE jobs ADD COLUMN array_id TEXT NOT NULL DEFAULT '';"
	"ALTER TABLE jobs ADD COLUMN array_index INTEGER NOT NULL DEFAULT 0;"
	"DROP INDEX jobs_by_org;"
	"DROP INDEX jobs_by_state;"
	"CREATE INDEX jobs_by_org ON jobs(org, array_id, seq);"
	"CREATE INDEX jobs_by_state ON jobs(org, array_id, state, seq);"
	"CREATE TABLE job_arrays(id TEXT PRIMARY KEY, made INTEGER NOT NULL DEFAULT 0, submitted INTEGER NOT NULL DEFAULT 0,"
	"  queued INTEGER NOT NULL DEFAULT 0, starting INTEGER NOT NULL DEFAULT 0, running INTEGER NOT NULL DEFAULT 0,"
	"  completed INTEGER NOT NULL DEFAULT 0, failed INTEGER NOT NULL DEFAULT 0, cancelled INTEGER NOT NULL DEFAULT 0)"
	"  STRICT, WITHOUT ROWID;",
};
/* clang-format on */

int schema_version(void)
{
	return ARRAY_LEN(steps);
}

/* The mark is written by the transaction that makes the step: a step is there whole or not at all. */
static int apply(struct store_tx *tx, int version, struct err *err)
{
	struct err ignored = ERR_INIT;
	int r = tx->ops->control(tx, SQL_BEGIN, err);
	if (r >= 0)
		r = tx->ops->script(tx, steps[version - 1], err);
	if (r >= 0)
		r = tx->ops->schema_write(tx, version, err);
	if (r >= 0)
		r = tx->ops->control(tx, SQL_COMMIT, err);
	if (r >= 0)
		return 0;
	if (tx->ops->in_transaction(tx))
		tx->ops->control(tx, SQL_ROLLBACK, &ignored);
	return err_wrap(err, "migrating the metadata store to schema %d", version);
}

int schema_migrate(struct store_tx *tx, int last, struct err *err)
{
	struct schema_mark found = {0};
	int r = tx->ops->schema_read(tx, &found, err);
	if (r < 0)
		return r;
	if (found.has_tables && found.application != STORE_APPLICATION_ID)
		return err_set(err, ERR_CORRUPT,
			       "it is a database of another program; choose another data folder or database");
	if (found.version > schema_version())
		return err_set(
		    err, ERR_UNSUPPORTED,
		    "the store was written by a newer cloudml (schema %lld, this binary knows %d); install "
		    "that version or a newer one",
		    (long long)found.version, schema_version());
	for (int version = (int)found.version + 1; version <= last && r >= 0; version++)
		r = apply(tx, version, err);
	return r;
}
