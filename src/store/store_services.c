/* SPDX-License-Identifier: Apache-2.0 */
/* Model services: a row lives until its service is gone; names are unique among the rows of an organisation.
 */
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "store/store_int.h"

#define SERVICE_COLUMNS                                                                                      \
	"seq, id, org, user, spec, state, reason, message, version, attempt, created_ms, ready_ms, "         \
	"deadline_ms, restarts, address, rollout"

void store_services_done(struct store_services *l)
{
	for (size_t i = 0; i < l->count; i++)
		service_free(l->items[i]);
	free(l->items);
	*l = (struct store_services){0};
}

static void service_write(const struct service *s, struct buf *spec_text, struct buf *rollout_text)
{
	CLEANUP(json) json_t *spec = service_spec_format(&s->spec);
	CLEANUP(json) json_t *rollout = service_rollout_format(s);
	json_write(spec, spec_text);
	json_write(rollout, rollout_text);
}

int store_service_insert(struct store_tx *tx, struct service *s, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(buf) struct buf rollout = BUF_INIT;
	service_write(s, &text, &rollout);
	int r = sql_int(
	    tx, &s->seq, err,
	    "INSERT INTO services(id, org, user, name, spec, state, reason, message, version, attempt, "
	    "created_ms, "
	    "ready_ms, deadline_ms, restarts, address, rollout) "
	    "VALUES(?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING seq",
	    "ssssssssiiiiiss", s->id, s->org, s->user, s->spec.name, buf_str(&text),
	    service_state_word(s->state), s->reason, s->message, s->attempt, s->created_ms, s->ready_ms,
	    s->deadline_ms, s->restarts, s->address, buf_str(&rollout));
	if (r == 0)
		return err_set(
		    err, ERR_EXISTS,
		    "%s '%s' exists already (models and TensorBoards share their names); delete it "
		    "first or choose another name",
		    service_kind_word(service_kind_of(s)), s->spec.name);
	if (r < 0)
		return r;
	s->version = 1;
	return 0;
}

int store_service_update(struct store_tx *tx, const struct service *s, int64_t version_before,
			 struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	CLEANUP(buf) struct buf rollout = BUF_INIT;
	service_write(s, &text, &rollout);
	int r = sql_exec(
	    tx, err,
	    "UPDATE services SET state = ?, reason = ?, message = ?, version = ?, attempt = ?, ready_ms = ?, "
	    "deadline_ms = ?, restarts = ?, address = ?, spec = ?, rollout = ? "
	    "WHERE id = ? AND version = ? AND attempt <= ?",
	    "sssiiiiissssii", service_state_word(s->state), s->reason, s->message, s->version, s->attempt,
	    s->ready_ms, s->deadline_ms, s->restarts, s->address, buf_str(&text), buf_str(&rollout), s->id,
	    version_before, s->attempt);
	if (r == 0)
		return err_set(err, ERR_CONFLICT, "model '%s' has moved meanwhile", s->id);
	return r < 0 ? r : 0;
}

static int service_read_spec(struct sql_stmt *st, int column, struct service_spec *ret, struct err *err)
{
	CLEANUP(json) json_t *spec = NULL;
	const char *text = sql_column_text(st, column);
	int r = json_parse(text, sql_column_bytes(st, column), 2 * CORE_SPEC_BYTES_MAX, &spec, err);
	return r < 0 ? r : service_spec_parse(spec, ret, err);
}

static int service_read_rollout(struct sql_stmt *st, int column, struct service *ret, struct err *err)
{
	CLEANUP(json) json_t *rollout = NULL;
	size_t len = sql_column_bytes(st, column);
	int r =
	    len ? json_parse(sql_column_text(st, column), len, 4 * CORE_SPEC_BYTES_MAX, &rollout, err) : 0;
	return r < 0 ? r : service_rollout_parse(rollout, ret, err);
}

static int service_read(struct sql_stmt *st, struct service **ret, struct err *err)
{
	CLEANUP(service) struct service *s = service_new();
	char state[16];
	s->seq = sql_column_int(st, 0);
	sql_text(st, 1, s->id, sizeof(s->id));
	sql_text(st, 2, s->org, sizeof(s->org));
	sql_text(st, 3, s->user, sizeof(s->user));
	sql_text(st, 5, state, sizeof(state));
	sql_text(st, 6, s->reason, sizeof(s->reason));
	sql_text(st, 7, s->message, sizeof(s->message));
	s->version = sql_column_int(st, 8);
	s->attempt = sql_column_int(st, 9);
	s->created_ms = sql_column_int(st, 10);
	s->ready_ms = sql_column_int(st, 11);
	s->deadline_ms = sql_column_int(st, 12);
	s->restarts = sql_column_int(st, 13);
	sql_text(st, 14, s->address, sizeof(s->address));
	s->progress = PROGRESS_NONE;
	if (service_read_spec(st, 4, &s->spec, err) < 0 || service_state_parse(state, &s->state, err) < 0 ||
	    service_read_rollout(st, 15, s, err) < 0)
		return err_set(err, ERR_INTERNAL, "the row of model '%s' cannot be read: %s", s->id,
			       err->msg);
	*ret = STEAL(s);
	return 0;
}

static int services_read(struct store_tx *tx, struct sql_stmt *st, size_t limit, struct store_services *ret,
			 struct err *err)
{
	size_t cap = 0;
	int r;
	while ((r = sql_step(tx, st, err)) > 0) {
		if (ret->count == limit) {
			ret->more = true;
			break;
		}
		if (ret->count == cap) {
			cap = cap ? cap * 2 : 16;
			ret->items = mem_realloc(ret->items, cap * sizeof(*ret->items));
		}
		r = service_read(st, &ret->items[ret->count], err);
		if (r < 0)
			break;
		ret->count++;
	}
	sql_reset(st);
	if (r < 0)
		store_services_done(ret);
	return r < 0 ? r : 0;
}

int store_service_get(struct store_tx *tx, const char *org, const char *name, struct service **ret,
		      struct err *err)
{
	struct sql_stmt *st;
	struct store_services found = {0};
	int r = sql_query(tx, &st, err,
			  "SELECT " SERVICE_COLUMNS
			  " FROM services WHERE org = ?1 AND (name = ?2 OR id = ?2) ORDER BY name = ?2 DESC",
			  "ss", org, name);
	if (r >= 0)
		r = services_read(tx, st, 1, &found, err);
	if (r < 0)
		return r;
	if (!found.count)
		return err_set(err, ERR_NOT_FOUND, "there is no model '%s'; run 'cloudml models list'", name);
	*ret = STEAL(found.items[0]);
	store_services_done(&found);
	return 0;
}

int store_service_list(struct store_tx *tx, const struct store_list_query *q, struct store_services *ret,
		       struct err *err)
{
	struct sql_stmt *st;
	int64_t before = q->before_seq > 0 ? q->before_seq : INT64_MAX;
	int64_t limit = q->limit < 1 ? 1 : q->limit > 1000 ? 1000 : q->limit;
	bool by_state = q->state >= 0 && q->state < SERVICE_STATE_COUNT;
	int r = sql_query(
	    tx, &st, err,
	    "SELECT " SERVICE_COLUMNS
	    " FROM services WHERE org = ?1 AND seq < ?2 AND (?3 IS NULL OR state = ?3) "
	    "AND (?4 IS NULL OR name = ?4) AND substr(id, 1, 1) = ?6 ORDER BY seq DESC LIMIT ?5",
	    "sissis", q->org, before, by_state ? service_state_word((enum service_state)q->state) : NULL,
	    q->name, limit + 1, (char[]){service_kind_letter(q->kind), 0});
	return r < 0 ? r : services_read(tx, st, (size_t)limit, ret, err);
}

int store_service_live(struct store_tx *tx, struct store_services *ret, struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err, "SELECT " SERVICE_COLUMNS " FROM services ORDER BY seq", "");
	return r < 0 ? r : services_read(tx, st, SIZE_MAX, ret, err);
}

int store_service_delete(struct store_tx *tx, const char *id, struct err *err)
{
	int r = sql_exec(
	    tx, err,
	    "DELETE FROM events WHERE (org, subject) IN (SELECT org, CASE substr(id, 1, 1) WHEN 't' THEN "
	    "'tensorboard/' ELSE 'model/' END || name FROM services WHERE id = ?)",
	    "s", id);
	if (r >= 0)
		r = sql_exec(tx, err, "DELETE FROM services WHERE id = ?", "s", id);
	return r < 0 ? r : 0;
}
