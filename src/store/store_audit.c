/* SPDX-License-Identifier: Apache-2.0 */
/* The audit: what administrators changed, by whom and when. */
#include "base/mem.h"
#include "store/store_admin.h"
#include "store/store_int.h"

int store_audit_insert(struct store_tx *tx, const char *org, const struct event *e, struct err *err)
{
	int r =
	    sql_exec(tx, err,
		     "INSERT INTO audit(org, subject, time_ms, type, reason, message, actor) VALUES(?, ?, "
		     "?, ?, ?, ?, ?)",
		     "ssissss", org, e->subject, e->time_ms, e->type, e->reason, e->message, e->actor);
	return r < 0 ? r : 0;
}

int store_audit_list(struct store_tx *tx, const char *org, int64_t before, int64_t limit,
		     struct store_events *ret, struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err,
			  "SELECT seq, subject, time_ms, type, reason, message, actor FROM audit WHERE org = "
			  "? AND seq < ? ORDER BY seq DESC LIMIT ?",
			  "sii", org, before > 0 ? before : INT64_MAX, limit);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		ret->items = mem_realloc(ret->items, (ret->count + 1) * sizeof(*ret->items));
		struct event *e = &ret->items[ret->count++];
		*e = (struct event){.seq = sql_column_int(st, 0), .time_ms = sql_column_int(st, 2)};
		sql_text(st, 1, e->subject, sizeof(e->subject));
		sql_text(st, 3, e->type, sizeof(e->type));
		sql_text(st, 4, e->reason, sizeof(e->reason));
		sql_text(st, 5, e->message, sizeof(e->message));
		sql_text(st, 6, e->actor, sizeof(e->actor));
	}
	if (r < 0)
		store_events_done(ret);
	return r;
}

int store_audit_expire(struct store_tx *tx, int64_t now_ms, struct err *err)
{
	return sql_exec(tx, err, "DELETE FROM audit WHERE time_ms <= ?", "i", now_ms - STORE_AUDIT_KEPT_MS);
}
