/* SPDX-License-Identifier: Apache-2.0 */
/* Crons: one row each; a tick moves the row in the transaction that makes its job. */
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "store/store_int.h"

#define CRON_COLUMNS "seq, id, org, user, spec, paused, next_ms, last_ms, last_job, version, created_ms"

int store_cron_insert(struct store_tx *tx, struct cron *c, struct err *err)
{
	CLEANUP(json) json_t *spec = cron_spec_format(c);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(spec, &text);
	int r = sql_int(
	    tx, &c->seq, err,
	    "INSERT INTO crons(id, org, user, name, spec, paused, next_ms, last_ms, last_job, version, "
	    "created_ms) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?) ON CONFLICT DO NOTHING RETURNING seq",
	    "sssssdiisi", c->id, c->org, c->user, c->name, buf_str(&text), (int)c->paused, c->next_ms,
	    c->last_ms, c->last_job, c->created_ms);
	if (r == 0)
		return err_set(err, ERR_EXISTS,
			       "cron '%s' exists already; delete it first or choose another name", c->name);
	if (r < 0)
		return r;
	c->version = 1;
	return 0;
}

int store_cron_update(struct store_tx *tx, const struct cron *c, int64_t version_before, struct err *err)
{
	int r =
	    sql_exec(tx, err,
		     "UPDATE crons SET paused = ?, next_ms = ?, last_ms = ?, last_job = ?, version = ? WHERE "
		     "id = ? AND version = ?",
		     "diisisi", (int)c->paused, c->next_ms, c->last_ms, c->last_job, c->version, c->id,
		     version_before);
	if (r == 0)
		return err_set(err, ERR_CONFLICT, "cron '%s' has moved meanwhile", c->id);
	return r < 0 ? r : 0;
}

int store_cron_delete(struct store_tx *tx, const struct cron *c, struct err *err)
{
	char subject[CORE_NAME_MAX + 8];
	snprintf(subject, sizeof(subject), "cron/%s", c->name);
	int r = sql_exec(tx, err, "DELETE FROM crons WHERE id = ?", "s", c->id);
	if (r >= 0)
		r = sql_exec(tx, err, "DELETE FROM events WHERE org = ? AND subject = ?", "ss", c->org,
			     subject);
	return r < 0 ? r : 0;
}

static int cron_read(struct sql_stmt *st, struct cron **ret, struct err *err)
{
	CLEANUP(json) json_t *spec = NULL;
	struct cron *c = cron_new();
	int r =
	    json_parse(sql_column_text(st, 4), sql_column_bytes(st, 4), 2 * CORE_SPEC_BYTES_MAX, &spec, err);
	if (r >= 0)
		r = cron_parse(spec, c, err);
	c->seq = sql_column_int(st, 0);
	sql_text(st, 1, c->id, sizeof(c->id));
	sql_text(st, 2, c->org, sizeof(c->org));
	sql_text(st, 3, c->user, sizeof(c->user));
	c->paused = sql_column_int(st, 5) != 0;
	c->next_ms = sql_column_int(st, 6);
	c->last_ms = sql_column_int(st, 7);
	sql_text(st, 8, c->last_job, sizeof(c->last_job));
	c->version = sql_column_int(st, 9);
	c->created_ms = sql_column_int(st, 10);
	if (r >= 0) {
		*ret = c;
		return 0;
	}
	char why[sizeof(err->msg)];
	snprintf(why, sizeof(why), "%s", err->msg);
	r = err_set(err, ERR_INTERNAL, "the row of cron '%s' cannot be read: %.300s", c->id, why);
	cron_free(c);
	return r;
}

int store_cron_each(struct store_tx *tx, void (*fn)(void *arg, struct cron *c), void *arg, struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err, "SELECT " CRON_COLUMNS " FROM crons ORDER BY seq", "");
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		struct cron *c = NULL;
		r = cron_read(st, &c, err);
		if (r >= 0)
			fn(arg, c);
	}
	return r;
}

bool store_cron_exists(struct store_tx *tx, const char *org, const char *name, struct err *err)
{
	int64_t seq;
	return sql_int(tx, &seq, err, "SELECT seq FROM crons WHERE org = ? AND name = ?", "ss", org, name) >
	       0;
}
