/* SPDX-License-Identifier: Apache-2.0 */
/* Attempts and the sums that they leave. */
#include "store/store_usage.h"
#include <string.h>
#include "base/mem.h"
#include "store/store_int.h"

int store_usage_start(struct store_tx *tx, const struct usage_attempt *a, struct err *err)
{
	int r = sql_exec(
	    tx, err,
	    "INSERT INTO attempts(owner, attempt, org, user, kind, name, cpu_milli, memory_mib, gpu, "
	    "started_ms, stopped_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
	    "sissssiiii", a->owner, a->attempt, a->org, a->user, a->kind, a->name, a->held.cpu_milli,
	    usage_mib(a->held.memory_bytes), a->held.gpu, a->started_ms);
	return r < 0 ? r : 0;
}

struct open_attempt {
	char org[CORE_NAME_MAX + 1], user[CORE_NAME_MAX + 1], kind[8];
	struct resources held;
	int64_t started_ms;
};

/* 1 when it runs, 0 when it does not. */
static int open_find(struct store_tx *tx, const char *owner, int64_t attempt, struct open_attempt *ret,
		     struct err *err)
{
	struct sql_stmt *st;
	int r =
	    sql_query(tx, &st, err,
		      "SELECT org, user, kind, cpu_milli, memory_mib, gpu, started_ms FROM attempts WHERE "
		      "owner = ? AND attempt = ? AND stopped_ms = 0",
		      "si", owner, attempt);
	if (r < 0 || (r = sql_step(tx, st, err)) <= 0)
		return r;
	sql_text(st, 0, ret->org, sizeof(ret->org));
	sql_text(st, 1, ret->user, sizeof(ret->user));
	sql_text(st, 2, ret->kind, sizeof(ret->kind));
	ret->held =
	    (struct resources){sql_column_int(st, 3), sql_column_int(st, 4) << 20, sql_column_int(st, 5)};
	ret->started_ms = sql_column_int(st, 6);
	sql_reset(st);
	return 1;
}

static int day_add(struct store_tx *tx, const struct open_attempt *a, int64_t day, const struct usage *u,
		   struct err *err)
{
	int r = sql_exec(
	    tx, err,
	    "INSERT INTO usage_days(org, day, user, kind, cpu_milli_ms, memory_mib_ms, gpu_ms, "
	    "attempts) VALUES(?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(org, day, user, kind) DO UPDATE SET "
	    "cpu_milli_ms = usage_days.cpu_milli_ms + excluded.cpu_milli_ms, memory_mib_ms = "
	    "usage_days.memory_mib_ms + excluded.memory_mib_ms, gpu_ms = usage_days.gpu_ms + "
	    "excluded.gpu_ms, attempts = usage_days.attempts + excluded.attempts",
	    "sissiiii", a->org, day, a->user, a->kind, u->cpu_milli_ms, u->memory_mib_ms, u->gpu_ms,
	    u->attempts);
	return r < 0 ? r : 0;
}

int store_usage_stop(struct store_tx *tx, const char *owner, int64_t attempt, int64_t now_ms, struct err *err)
{
	struct open_attempt a;
	int r = open_find(tx, owner, attempt, &a, err);
	if (r <= 0)
		return r;
	if (now_ms < a.started_ms) /* the clock was set back */
		now_ms = a.started_ms;
	r = sql_exec(tx, err,
		     "UPDATE attempts SET stopped_ms = ? WHERE owner = ? AND attempt = ? AND stopped_ms = 0",
		     "isi", now_ms ? now_ms : 1, owner, attempt);
	int64_t last = usage_day(now_ms);
	for (int64_t day = usage_day(a.started_ms); r >= 0 && day <= last; day++) {
		struct usage u = {.attempts = day == last};
		int64_t begin = day * USAGE_DAY_MS, end = begin + USAGE_DAY_MS;
		usage_add_span(&u, &a.held, a.started_ms > begin ? a.started_ms : begin,
			       now_ms < end ? now_ms : end);
		r = day_add(tx, &a, day, &u, err);
	}
	return r < 0 ? r : 0;
}

int store_usage_forget(struct store_tx *tx, const char *owner, struct err *err)
{
	int r = sql_exec(tx, err, "DELETE FROM attempts WHERE owner = ?", "s", owner);
	return r < 0 ? r : 0;
}

/* ---- services ---- */

#define OPEN_MAX (2 * SERVICE_SLOTS_MAX) /* of one service at a time */

static bool runs(const struct service *s, int64_t attempt)
{
	if (s->state == SERVICE_DELETED || s->state == SERVICE_FAILED)
		return false;
	for (size_t i = 0; i < s->replica_count; i++)
		if (s->replicas[i].attempt == attempt)
			return s->replicas[i].ready_ms != 0;
	return false;
}

static int stop_others(struct store_tx *tx, const struct service *s, int64_t now_ms, struct err *err)
{
	struct sql_stmt *st;
	int64_t ended[OPEN_MAX];
	size_t count = 0;
	int r = sql_query(tx, &st, err,
			  "SELECT attempt FROM attempts WHERE org = ? AND owner = ? AND stopped_ms = 0", "ss",
			  s->org, s->id);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		int64_t attempt = sql_column_int(st, 0);
		if (count < OPEN_MAX && !runs(s, attempt))
			ended[count++] = attempt;
	}
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = store_usage_stop(tx, s->id, ended[i], now_ms, err);
	return r;
}

int store_usage_service(struct store_tx *tx, const struct service *s, int64_t now_ms, struct err *err)
{
	int r = stop_others(tx, s, now_ms, err);
	for (size_t i = 0; r >= 0 && i < s->replica_count; i++) {
		const struct replica *p = &s->replicas[i];
		const struct service_spec *spec = service_spec_of(s, p->release);
		struct usage_attempt a = {.owner = s->id,
					  .attempt = p->attempt,
					  .org = s->org,
					  .user = s->user,
					  .kind = USAGE_KIND_MODEL,
					  .name = s->spec.name,
					  .held = spec ? spec->limits : s->spec.limits,
					  .started_ms = p->ready_ms};
		if (runs(s, p->attempt))
			r = store_usage_start(tx, &a, err);
	}
	return r;
}

/* ---- the check ---- */

static int expect_none(struct store_tx *tx, const char *what, const char *sql, struct err *err)
{
	int64_t count = 0;
	int r = sql_int(tx, &count, err, sql, "");
	if (r < 0 || count == 0)
		return r < 0 ? r : 0;
	return err_set(err, ERR_CORRUPT, "the accounting is wrong: %lld %s", (long long)count, what);
}

int store_usage_check(struct store_tx *tx, struct err *err)
{
	int r = expect_none(
	    tx, "sums differ from the attempts",
	    "SELECT count(*) FROM (SELECT org, user, sum(cpu_milli * (stopped_ms - started_ms)) AS cpu, "
	    "sum(memory_mib * (stopped_ms - started_ms)) AS mem, sum(gpu * (stopped_ms - started_ms)) AS "
	    "gpus, "
	    "count(*) AS n FROM attempts WHERE stopped_ms > 0 AND kind = 'job' GROUP BY org, user) a LEFT "
	    "JOIN "
	    "(SELECT org, user, sum(cpu_milli_ms) AS cpu, sum(memory_mib_ms) AS mem, sum(gpu_ms) AS gpus, "
	    "sum(attempts) AS n FROM usage_days WHERE kind = 'job' GROUP BY org, user) d ON d.org = a.org "
	    "AND "
	    "d.user = a.user WHERE d.org IS NULL OR d.cpu <> a.cpu OR d.mem <> a.mem OR d.gpus <> a.gpus OR "
	    "d.n "
	    "<> a.n",
	    err);
	if (r >= 0)
		r = expect_none(
		    tx, "attempts run without their job",
		    "SELECT count(*) FROM attempts a WHERE a.stopped_ms = 0 AND a.kind = 'job' AND NOT "
		    "EXISTS(SELECT 1 FROM jobs j WHERE j.id = a.owner AND j.attempt = a.attempt AND "
		    "j.state IN ('starting', 'running'))",
		    err);
	if (r >= 0)
		r = expect_none(
		    tx, "jobs run without their attempt",
		    "SELECT count(*) FROM jobs j WHERE j.state IN ('starting', 'running') AND NOT "
		    "EXISTS(SELECT 1 FROM job_arrays a WHERE a.id = j.id) AND NOT "
		    "EXISTS(SELECT 1 FROM attempts a WHERE j.id = a.owner AND j.attempt = a.attempt AND "
		    "a.stopped_ms = 0)",
		    err);
	return r;
}
