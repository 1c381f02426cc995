/* SPDX-License-Identifier: Apache-2.0 */
/* Questions about accounting: kept sums and what still runs, or the attempts of single jobs. */
#include "store/store_usage.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "store/store_int.h"

void usage_rows_done(struct usage_rows *l)
{
	free(l->items);
	*l = (struct usage_rows){0};
}

struct collector {
	const struct usage_query *q;
	struct usage_rows *rows;
	struct map *index; /* of a group, its place + 1 */
};

/* The row of the group that day, user and owner belong to. */
static struct usage_row *row_of(struct collector *c, int64_t day, const char *user, const char *owner)
{
	char key[CORE_NAME_MAX + 64];
	enum usage_by by = c->q->by;
	snprintf(key, sizeof(key), "%lld %s %s", by == USAGE_BY_DAY ? (long long)day : -1,
		 by == USAGE_BY_USER || by == USAGE_BY_JOB ? user : "", by == USAGE_BY_JOB ? owner : "");
	size_t *place = map_get(c->index, key);
	if (place)
		return &c->rows->items[*place];
	place = MEM_NEW(size_t);
	*place = c->rows->count++;
	map_set(c->index, key, place);
	c->rows->items = mem_realloc(c->rows->items, c->rows->count * sizeof(*c->rows->items));
	struct usage_row *row = &c->rows->items[*place];
	*row = (struct usage_row){.day = by == USAGE_BY_DAY ? day : -1};
	snprintf(row->org, sizeof(row->org), "%s", c->q->org);
	if (by == USAGE_BY_USER || by == USAGE_BY_JOB)
		snprintf(row->user, sizeof(row->user), "%s", user);
	if (by == USAGE_BY_JOB)
		snprintf(row->owner, sizeof(row->owner), "%s", owner);
	return row;
}

/* ---- sums ---- */

#define SUM_COLUMNS "day, user, cpu_milli_ms, memory_mib_ms, gpu_ms, attempts"

static int collect_sums(struct store_tx *tx, struct collector *c, struct err *err)
{
	const struct usage_query *q = c->q;
	struct sql_stmt *st;
	int r =
	    q->user
		? sql_query(tx, &st, err,
			    "SELECT " SUM_COLUMNS " FROM usage_days WHERE org = ? AND user = ? AND day "
			    ">= ? AND day <= ?",
			    "ssii", q->org, q->user, q->first_day, q->last_day)
		: sql_query(tx, &st, err,
			    "SELECT " SUM_COLUMNS " FROM usage_days WHERE org = ? AND day >= ? AND day <= ?",
			    "sii", q->org, q->first_day, q->last_day);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		char user[CORE_NAME_MAX + 1];
		sql_text(st, 1, user, sizeof(user));
		struct usage u = {sql_column_int(st, 2), sql_column_int(st, 3), sql_column_int(st, 4),
				  sql_column_int(st, 5), 0};
		usage_add(&row_of(c, sql_column_int(st, 0), user, "")->sum, &u);
	}
	return r;
}

/* ---- attempts ---- */

#define ATTEMPT_COLUMNS "owner, user, kind, name, cpu_milli, memory_mib, gpu, started_ms, stopped_ms"

/* What one attempt adds, day by day within the question's days. */
static void collect_attempt(struct collector *c, struct sql_stmt *st)
{
	const struct usage_query *q = c->q;
	char owner[16], user[CORE_NAME_MAX + 1];
	sql_text(st, 0, owner, sizeof(owner));
	sql_text(st, 1, user, sizeof(user));
	if (q->user && strcmp(q->user, user) != 0)
		return;
	struct resources held = {sql_column_int(st, 4), sql_column_int(st, 5) << 20, sql_column_int(st, 6)};
	int64_t start = sql_column_int(st, 7), stopped = sql_column_int(st, 8);
	int64_t end = stopped ? stopped : q->now_ms > start ? q->now_ms : start, last = usage_day(end);
	int64_t first = usage_day(start) > q->first_day ? usage_day(start) : q->first_day;
	for (int64_t day = first; day <= last && day <= q->last_day; day++) {
		struct usage_row *row = row_of(c, day, user, owner);
		int64_t begin = day * USAGE_DAY_MS;
		usage_add_span(&row->sum, &held, start > begin ? start : begin,
			       end < begin + USAGE_DAY_MS ? end : begin + USAGE_DAY_MS);
		row->sum.attempts += stopped && day == last;
		row->sum.running += !stopped && day == last;
		if (q->by == USAGE_BY_JOB) {
			sql_text(st, 2, row->kind, sizeof(row->kind));
			sql_text(st, 3, row->name, sizeof(row->name));
		}
	}
}

static int collect_running(struct store_tx *tx, struct collector *c, struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err,
			  "SELECT " ATTEMPT_COLUMNS
			  " FROM attempts WHERE org = ? AND stopped_ms = 0 ORDER BY owner, attempt",
			  "s", c->q->org);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0)
		collect_attempt(c, st);
	return r;
}

static int collect_owner(struct store_tx *tx, struct collector *c, struct err *err)
{
	struct sql_stmt *st;
	int r =
	    sql_query(tx, &st, err,
		      "SELECT " ATTEMPT_COLUMNS " FROM attempts WHERE owner = ? AND org = ? ORDER BY attempt",
		      "ss", c->q->owner, c->q->org);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0)
		collect_attempt(c, st);
	return r;
}

/* The newest ones first. */
static int collect_jobs(struct store_tx *tx, struct collector *c, struct err *err)
{
	struct sql_stmt *st;
	size_t seen = 0;
	int r = sql_query(tx, &st, err,
			  "SELECT " ATTEMPT_COLUMNS
			  " FROM attempts WHERE org = ? AND started_ms < ? ORDER BY started_ms DESC LIMIT ?",
			  "sii", c->q->org, (c->q->last_day + 1) * USAGE_DAY_MS, (int64_t)c->q->limit + 1);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		if (seen++ == c->q->limit) {
			c->rows->more = true;
			sql_reset(st);
			return 0;
		}
		collect_attempt(c, st);
	}
	return r;
}

static int compare_rows(const void *a, const void *b)
{
	const struct usage_row *x = a, *y = b;
	if (x->day != y->day)
		return x->day < y->day ? -1 : 1;
	return strcmp(x->user, y->user);
}

int store_usage_query(struct store_tx *tx, const struct usage_query *q, struct usage_rows *ret,
		      struct err *err)
{
	struct collector c = {.q = q, .rows = ret, .index = map_new(free)};
	size_t first = ret->count;
	int r;
	if (q->owner) {
		r = collect_owner(tx, &c, err);
	} else if (q->by == USAGE_BY_JOB) {
		r = collect_jobs(tx, &c, err);
	} else {
		r = collect_sums(tx, &c, err);
		if (r >= 0)
			r = collect_running(tx, &c, err);
	}
	if (q->by != USAGE_BY_JOB && ret->count > first + 1)
		qsort(&ret->items[first], ret->count - first, sizeof(*ret->items), compare_rows);
	map_free(c.index);
	return r;
}
