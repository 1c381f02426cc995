/* SPDX-License-Identifier: Apache-2.0 */
/* Events of jobs and services, and idempotency keys. */
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "store/store_int.h"

void store_events_done(struct store_events *l)
{
	free(l->items);
	*l = (struct store_events){0};
}

int store_event_insert(struct store_tx *tx, const char *org, struct event *e, struct err *err)
{
	int r = sql_exec(tx, err,
			 "INSERT INTO events(org, subject, time_ms, type, reason, message, actor) VALUES(?, "
			 "?, ?, ?, ?, ?, ?)",
			 "ssissss", org, e->subject, e->time_ms, e->type, e->reason, e->message, e->actor);
	if (r < 0)
		return r;
	r = sql_exec(tx, err,
		     "DELETE FROM events WHERE org = ?1 AND subject = ?2 AND seq <= (SELECT seq FROM events "
		     "WHERE org = ?1 "
		     "AND subject = ?2 ORDER BY seq DESC LIMIT 1 OFFSET ?3)",
		     "ssd", org, e->subject, STORE_EVENTS_PER_SUBJECT);
	return r < 0 ? r : 0;
}

static void event_read(struct sql_stmt *st, struct event *e)
{
	*e = (struct event){.seq = sql_column_int(st, 0), .time_ms = sql_column_int(st, 2)};
	sql_text(st, 1, e->subject, sizeof(e->subject));
	sql_text(st, 3, e->type, sizeof(e->type));
	sql_text(st, 4, e->reason, sizeof(e->reason));
	sql_text(st, 5, e->message, sizeof(e->message));
	sql_text(st, 6, e->actor, sizeof(e->actor));
}

/* What a job was born with: its row says so. */
static int births_read(struct store_tx *tx, const char *org, const char *subject,
		       struct event ret[JOB_BIRTH_EVENTS], struct err *err)
{
	struct sql_stmt *st;
	char user[CORE_NAME_MAX + 1];
	int r = sql_query(tx, &st, err, "SELECT born, user, created_ms FROM jobs WHERE id = ? AND org = ?",
			  "ss", subject, org);
	if (r < 0 || (r = sql_step(tx, st, err)) <= 0)
		return r;
	int64_t born = sql_column_int(st, 0), created_ms = sql_column_int(st, 2);
	sql_text(st, 1, user, sizeof(user));
	sql_reset(st);
	return born ? job_birth_events(subject, user, created_ms, born > 1, ret) : 0;
}

int store_event_list(struct store_tx *tx, const char *org, const char *subject, int64_t after, int64_t limit,
		     struct store_events *ret, struct err *err)
{
	struct sql_stmt *st;
	struct event births[JOB_BIRTH_EVENTS];
	int r = births_read(tx, org, subject, births, err), count = r;
	if (r < 0)
		return r;
	for (int i = 0; i < count && limit > 0; i++) {
		if (births[i].seq <= after)
			continue;
		if (!ret->items)
			ret->items = mem_alloc(sizeof(births));
		ret->items[ret->count++] = births[i];
		limit--;
	}
	r = sql_query(tx, &st, err,
		      "SELECT seq, subject, time_ms, type, reason, message, actor FROM events WHERE org "
		      "= ? AND subject = ? "
		      "AND seq > ? ORDER BY seq LIMIT ?",
		      "ssii", org, subject, after, limit);
	size_t cap = ret->items ? JOB_BIRTH_EVENTS : 0;
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		if (ret->count == cap) {
			cap = cap ? cap * 2 : 16;
			ret->items = mem_realloc(ret->items, cap * sizeof(*ret->items));
		}
		event_read(st, &ret->items[ret->count++]);
	}
	if (r < 0)
		store_events_done(ret);
	return r;
}

static bool key_is_printable(const char *key)
{
	size_t len = strnlen(key, STORE_IDEMPOTENCY_KEY_MAX + 1);
	for (size_t i = 0; i < len; i++)
		if (key[i] < ' ' || key[i] > '~')
			return false;
	return len >= 1 && len <= STORE_IDEMPOTENCY_KEY_MAX;
}

int store_idempotency_find(struct store_tx *tx, const char *org, const char *key, const char *body_sha256,
			   int64_t now_ms, char ret_id[16], struct err *err)
{
	if (!key_is_printable(key))
		return err_set(err, ERR_INVALID,
			       "the idempotency key must be 1 to %d printable ASCII characters",
			       STORE_IDEMPOTENCY_KEY_MAX);
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err,
			  "SELECT body_sha256, id FROM idempotency WHERE org = ? AND key = ? AND time_ms > ?",
			  "ssi", org, key, now_ms - STORE_IDEMPOTENCY_KEPT_MS);
	if (r < 0 || (r = sql_step(tx, st, err)) <= 0)
		return r;
	char body[DIGEST_HEX_LEN + 1];
	sql_text(st, 0, body, sizeof(body));
	sql_text(st, 1, ret_id, 16);
	sql_reset(st);
	if (strcmp(body, body_sha256) != 0)
		return err_set(err, ERR_CONFLICT,
			       "the idempotency key '%s' was used with another request; choose a new key for "
			       "a new request",
			       key);
	return 1;
}

int store_idempotency_insert(struct store_tx *tx, const char *org, const char *key, const char *body_sha256,
			     const char *id, int64_t now_ms, struct err *err)
{
	int r = sql_exec(
	    tx, err,
	    "INSERT INTO idempotency(org, key, body_sha256, id, time_ms) VALUES(?, ?, ?, ?, ?) ON "
	    "CONFLICT(org, key) "
	    "DO UPDATE SET body_sha256 = excluded.body_sha256, id = excluded.id, time_ms = excluded.time_ms",
	    "ssssi", org, key, body_sha256, id, now_ms);
	return r < 0 ? r : 0;
}

int store_idempotency_expire(struct store_tx *tx, int64_t now_ms, struct err *err)
{
	return sql_exec(tx, err, "DELETE FROM idempotency WHERE time_ms <= ?", "i",
			now_ms - STORE_IDEMPOTENCY_KEPT_MS);
}
