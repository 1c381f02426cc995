/* SPDX-License-Identifier: Apache-2.0 */
/* Organisations and users: rows, pages, counts, and how an organisation goes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "store/store_admin.h"
#include "store/store_int.h"

#define PURGE_ROWS 200 /* in one transaction, so that others get their turn */

/* ---- organisations ---- */

#define ORG_COLUMNS "name, description, state, state_by, created_ms, quota"

void store_orgs_done(struct store_orgs *l)
{
	free(l->items);
	*l = (struct store_orgs){0};
}

static int no_org(const char *name, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no organisation '%.63s'", name);
}

/* "" is the usual one. */
static int quota_read(struct sql_stmt *st, int column, struct quota *ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	size_t len = sql_column_bytes(st, column);
	quota_init(ret);
	if (!len)
		return 0;
	int r = json_parse(sql_column_text(st, column), len, CORE_SPEC_BYTES_MAX, &j, err);
	return r < 0 ? r : quota_parse(j, ret, err);
}

static int org_read(struct sql_stmt *st, struct org *o, struct err *err)
{
	char state[16];
	*o = (struct org){.created_ms = sql_column_int(st, 4)};
	sql_text(st, 0, o->name, sizeof(o->name));
	sql_text(st, 1, o->description, sizeof(o->description));
	sql_text(st, 2, state, sizeof(state));
	sql_text(st, 3, o->state_by, sizeof(o->state_by));
	if (org_state_parse(state, &o->state) < 0)
		return err_set(err, ERR_INTERNAL, "organisation '%s' has the unknown state '%s'", o->name,
			       state);
	if (quota_read(st, 5, &o->quota, err) < 0)
		return err_set(err, ERR_INTERNAL, "the quota of organisation '%s' cannot be read: %s",
			       o->name, err->msg);
	return 0;
}

int store_org_get(struct store_tx *tx, const char *name, struct org *ret, struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err, "SELECT " ORG_COLUMNS " FROM orgs WHERE name = ?", "s", name);
	if (r < 0 || (r = sql_step(tx, st, err)) < 0)
		return r;
	if (r == 0)
		return no_org(name, err);
	r = org_read(st, ret, err);
	sql_reset(st);
	return r;
}

/* Room for one more of a page; false when the page is full and one more was seen. */
#define PAGE_ADD(list, limit)                                                                                \
	((list)->count == (limit)                                                                            \
	     ? ((list)->more = true, false)                                                                  \
	     : ((list)->items = mem_realloc((list)->items, ((list)->count + 1) * sizeof(*(list)->items)),    \
		true))

static int64_t sql_limit(size_t limit)
{
	return limit == SIZE_MAX ? INT64_MAX : (int64_t)limit + 1;
}

int store_org_list(struct store_tx *tx, const char *after, size_t limit, struct store_orgs *ret,
		   struct err *err)
{
	struct sql_stmt *st;
	int r =
	    sql_query(tx, &st, err, "SELECT " ORG_COLUMNS " FROM orgs WHERE name > ? ORDER BY name LIMIT ?",
		      "si", after ? after : "", sql_limit(limit));
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		if (!PAGE_ADD(ret, limit)) {
			sql_reset(st);
			return 0;
		}
		r = org_read(st, &ret->items[ret->count++], err);
		if (r < 0)
			sql_reset(st);
	}
	return r;
}

int store_org_update(struct store_tx *tx, const struct org *o, struct err *err)
{
	int r = sql_exec(tx, err, "UPDATE orgs SET description = ?, state = ?, state_by = ? WHERE name = ?",
			 "ssss", o->description, org_state_word(o->state), o->state_by, o->name);
	return r == 0 ? no_org(o->name, err) : r < 0 ? r : 0;
}

int store_org_set_quota(struct store_tx *tx, const struct org *o, struct err *err)
{
	CLEANUP(json) json_t *j = quota_format(&o->quota);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(j, &text);
	int r = sql_exec(tx, err, "UPDATE orgs SET quota = ? WHERE name = ?", "ss", buf_str(&text), o->name);
	return r == 0 ? no_org(o->name, err) : r < 0 ? r : 0;
}

int store_org_count(struct store_tx *tx, int64_t *ret, struct err *err)
{
	return sql_int(tx, ret, err, "SELECT count(*) FROM orgs", "");
}

int store_org_jobs(struct store_tx *tx, const char *org, int64_t *ret, struct err *err)
{
	*ret = 0;
	return sql_int(tx, ret, err, "SELECT coalesce(sum(count), 0) FROM job_counts WHERE org = ?", "s",
		       org);
}

int store_org_crons(struct store_tx *tx, const char *org, int64_t *ret, struct err *err)
{
	*ret = 0;
	return sql_int(tx, ret, err, "SELECT count(*) FROM crons WHERE org = ?", "s", org);
}

/* ---- users ---- */

#define USER_COLUMNS "org, name, role, platform, created_ms"

void store_users_done(struct store_users *l)
{
	free(l->items);
	*l = (struct store_users){0};
}

static int no_user(const char *name, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no user '%.63s'; run 'cloudml user list'", name);
}

static void user_read(struct sql_stmt *st, struct user *u)
{
	char role[16];
	*u = (struct user){.is_platform = sql_column_int(st, 3) != 0, .created_ms = sql_column_int(st, 4)};
	sql_text(st, 0, u->org, sizeof(u->org));
	sql_text(st, 1, u->name, sizeof(u->name));
	sql_text(st, 2, role, sizeof(role));
	if (role_parse(role, &u->role, NULL) < 0)
		u->role = ROLE_VIEWER; /* the least, should the word be unknown */
}

int store_user_put(struct store_tx *tx, const struct user *u, struct err *err)
{
	int r = sql_exec(tx, err,
			 "INSERT INTO users(org, name, role, platform, created_ms) VALUES(?, ?, ?, ?, ?) ON "
			 "CONFLICT DO NOTHING",
			 "sssdi", u->org, u->name, role_word(u->role), (int)u->is_platform, u->created_ms);
	if (r == 0)
		return err_set(err, ERR_EXISTS, "user '%s' exists already in organisation '%s'", u->name,
			       u->org);
	return r < 0 ? r : 0;
}

int store_user_get(struct store_tx *tx, const char *org, const char *name, struct user *ret, struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err, "SELECT " USER_COLUMNS " FROM users WHERE org = ? AND name = ?", "ss",
			  org, name);
	if (r < 0 || (r = sql_step(tx, st, err)) < 0)
		return r;
	if (r == 0)
		return no_user(name, err);
	user_read(st, ret);
	sql_reset(st);
	return 0;
}

int store_user_list(struct store_tx *tx, const char *org, const char *after, size_t limit,
		    struct store_users *ret, struct err *err)
{
	struct sql_stmt *st;
	int r = org ? sql_query(tx, &st, err,
				"SELECT " USER_COLUMNS
				" FROM users WHERE org = ? AND name > ? ORDER BY name LIMIT ?",
				"ssi", org, after ? after : "", sql_limit(limit))
		    : sql_query(tx, &st, err, "SELECT " USER_COLUMNS " FROM users", "");
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		if (!PAGE_ADD(ret, limit)) {
			sql_reset(st);
			return 0;
		}
		user_read(st, &ret->items[ret->count++]);
	}
	return r;
}

int store_user_update(struct store_tx *tx, const struct user *u, struct err *err)
{
	int r = sql_exec(tx, err, "UPDATE users SET role = ?, platform = ? WHERE org = ? AND name = ?",
			 "sdss", role_word(u->role), (int)u->is_platform, u->org, u->name);
	return r == 0 ? no_user(u->name, err) : r < 0 ? r : 0;
}

int store_user_delete(struct store_tx *tx, const char *org, const char *name, struct err *err)
{
	int r = sql_exec(tx, err, "DELETE FROM keys WHERE org = ? AND user = ?", "ss", org, name);
	if (r >= 0)
		r = sql_exec(tx, err, "DELETE FROM users WHERE org = ? AND name = ?", "ss", org, name);
	return r == 0 ? no_user(name, err) : r < 0 ? r : 0;
}

int store_user_count(struct store_tx *tx, const char *org, int64_t *ret, struct err *err)
{
	return sql_int(tx, ret, err, "SELECT count(*) FROM users WHERE org = ?", "s", org);
}

/* ---- how an organisation goes ---- */

/* Job by job, so that whatever belongs to one goes with it. 1 when there may be more. */
static int purge_jobs(struct store_tx *tx, const char *org, struct err *err)
{
	struct sql_stmt *st;
	char ids[PURGE_ROWS][16];
	size_t count = 0;
	int r =
	    sql_query(tx, &st, err, "SELECT id FROM jobs WHERE org = ? ORDER BY array_id DESC, seq LIMIT ?",
		      "sd", org, PURGE_ROWS);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0)
		sql_text(st, 0, ids[count++], sizeof(ids[0]));
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = store_job_delete(tx, org, ids[i], err);
	return r < 0 ? r : count == PURGE_ROWS;
}

/* In this order: what refers to something goes before it. */
static const char *const purge_sql[] = {
    "DELETE FROM job_counts WHERE org = ?",  "DELETE FROM events WHERE org = ?",
    "DELETE FROM idempotency WHERE org = ?", "DELETE FROM audit WHERE org = ?",
    "DELETE FROM attempts WHERE org = ?",    "DELETE FROM usage_days WHERE org = ?",
    "DELETE FROM crons WHERE org = ?",	     "DELETE FROM keys WHERE org = ?",
    "DELETE FROM users WHERE org = ?",	     "DELETE FROM orgs WHERE name = ?",
};

int store_org_purge(struct store_tx *tx, const char *org, struct err *err)
{
	int r = purge_jobs(tx, org, err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(purge_sql); i++) {
		r = sql_exec(tx, err, purge_sql[i], "s", org);
		r = r < 0 ? r : 0;
	}
	return r;
}
