/* SPDX-License-Identifier: Apache-2.0 */
/* Organisations, users, keys and their tokens; the first start. */
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include "base/digest.h"
#include "base/mem.h"
#include "store/store_admin.h"
#include "store/store_int.h"

#define KEY_ID_CHARS 10
#define SECRET_CHARS 40 /* of base 32: 200 bits */
#define TOKEN_PREFIX "cml_"

int store_org_insert(struct store_tx *tx, const char *org, int64_t now_ms, struct err *err)
{
	int r = sql_exec(tx, err, "INSERT INTO orgs(name, created_ms) VALUES(?, ?) ON CONFLICT DO NOTHING",
			 "si", org, now_ms);
	if (r == 0)
		return err_set(err, ERR_EXISTS, "organisation '%s' exists already", org);
	return r < 0 ? r : 0;
}

int store_user_insert(struct store_tx *tx, const char *org, const char *user, int64_t now_ms, struct err *err)
{
	struct user u = {.role = ROLE_ADMIN, .created_ms = now_ms};
	snprintf(u.org, sizeof(u.org), "%s", org);
	snprintf(u.name, sizeof(u.name), "%s", user);
	return store_user_put(tx, &u, err);
}

int store_key_insert(struct store_tx *tx, const struct key *key, struct err *err)
{
	int r = sql_exec(tx, err,
			 "INSERT INTO keys(id, org, user, role, note, secret_sha256, created_ms, expires_ms) "
			 "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
			 "ssssssii", key->id, key->org, key->user, role_word(key->role), key->note,
			 key->secret_sha256, key->created_ms, key->expires_ms);
	return r < 0 ? r : 0;
}

static void key_read(struct sql_stmt *st, struct key *ret)
{
	char role[16];
	*ret = (struct key){0};
	sql_text(st, 0, ret->id, sizeof(ret->id));
	sql_text(st, 1, ret->org, sizeof(ret->org));
	sql_text(st, 2, ret->user, sizeof(ret->user));
	sql_text(st, 3, role, sizeof(role));
	sql_text(st, 4, ret->secret_sha256, sizeof(ret->secret_sha256));
	ret->created_ms = sql_column_int(st, 5);
	ret->expires_ms = sql_column_int(st, 6);
	sql_text(st, 7, ret->note, sizeof(ret->note));
	if (role_parse(role, &ret->role, NULL) < 0)
		ret->role = ROLE_VIEWER; /* the least, should the word be unknown */
}

#define KEY_COLUMNS "id, org, user, role, secret_sha256, created_ms, expires_ms, note"

int store_key_find(struct store_tx *tx, const char *id, struct key *ret, struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err, "SELECT " KEY_COLUMNS " FROM keys WHERE id = ?", "s", id);
	if (r < 0 || (r = sql_step(tx, st, err)) < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no key '%s'", id);
	key_read(st, ret);
	sql_reset(st);
	return 0;
}

void store_keys_done(struct store_keys *l)
{
	free(l->items);
	*l = (struct store_keys){0};
}

static int no_key(const char *id, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no key '%.32s'; run 'cloudml key list'", id);
}

int store_key_get(struct store_tx *tx, const char *org, const char *user, const char *id, struct key *ret,
		  struct err *err)
{
	int r = store_key_find(tx, id, ret, err);
	if (r == -ERR_NOT_FOUND ||
	    (r >= 0 && (strcmp(ret->org, org) != 0 || (user && strcmp(ret->user, user) != 0))))
		return no_key(id, err);
	return r;
}

int store_key_list(struct store_tx *tx, const char *org, const char *user, const char *after, size_t limit,
		   struct store_keys *ret, struct err *err)
{
	struct sql_stmt *st;
	after = after ? after : "";
	int r =
	    user ? sql_query(tx, &st, err,
			     "SELECT " KEY_COLUMNS
			     " FROM keys WHERE org = ? AND user = ? AND id > ? ORDER BY id LIMIT ?",
			     "sssi", org, user, after, (int64_t)limit + 1)
		 : sql_query(tx, &st, err,
			     "SELECT " KEY_COLUMNS " FROM keys WHERE org = ? AND id > ? ORDER BY id LIMIT ?",
			     "ssi", org, after, (int64_t)limit + 1);
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		if (ret->count == limit) {
			ret->more = true;
			sql_reset(st);
			return 0;
		}
		ret->items = mem_realloc(ret->items, (ret->count + 1) * sizeof(*ret->items));
		key_read(st, &ret->items[ret->count++]);
	}
	return r;
}

int store_key_delete(struct store_tx *tx, const char *id, struct err *err)
{
	int r = sql_exec(tx, err, "DELETE FROM keys WHERE id = ?", "s", id);
	return r == 0 ? no_key(id, err) : r < 0 ? r : 0;
}

int store_key_count(struct store_tx *tx, const char *org, const char *user, int64_t *ret, struct err *err)
{
	return sql_int(tx, ret, err, "SELECT count(*) FROM keys WHERE org = ? AND user = ?", "ss", org, user);
}

int store_key_each(struct store_tx *tx, void (*fn)(void *arg, const struct key *key), void *arg,
		   struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err, "SELECT " KEY_COLUMNS " FROM keys ORDER BY id", "");
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		struct key key;
		key_read(st, &key);
		fn(arg, &key);
	}
	return r;
}

void store_key_make(struct rng *rng, struct key *key, char ret_token[STORE_TOKEN_MAX])
{
	char secret[SECRET_CHARS + 1];
	key->id[0] = 'k';
	rng_id(rng, key->id + 1, KEY_ID_CHARS - 1);
	rng_id(rng, secret, SECRET_CHARS);
	digest_of(secret, SECRET_CHARS, key->secret_sha256);
	snprintf(ret_token, STORE_TOKEN_MAX, TOKEN_PREFIX "%s_%s", key->id, secret);
	explicit_bzero(secret, sizeof(secret));
}

int store_token_parse(const char *token, char ret_id[STORE_KEY_ID_MAX + 1], char ret_sha256[65],
		      struct err *err)
{
	size_t prefix = strlen(TOKEN_PREFIX);
	size_t len = strnlen(token, STORE_TOKEN_MAX);
	const char *id = token + prefix;
	const char *end = len > prefix && strncmp(token, TOKEN_PREFIX, prefix) == 0 ? strchr(id, '_') : NULL;
	size_t id_len = end ? (size_t)(end - id) : 0;
	if (len >= STORE_TOKEN_MAX || !end || id_len == 0 || id_len > STORE_KEY_ID_MAX || !end[1])
		return err_set(err, ERR_UNAUTHENTICATED, "the token is not valid; run 'cloudml login'");
	snprintf(ret_id, STORE_KEY_ID_MAX + 1, "%.*s", (int)id_len, id);
	digest_of(end + 1, len - (size_t)(end + 1 - token), ret_sha256);
	return 0;
}

struct bootstrap {
	struct rng *rng;
	int64_t now_ms;
	char *ret_token;
};

static int bootstrap(struct store_tx *tx, void *arg, struct err *err)
{
	struct bootstrap *b = arg;
	int64_t orgs = 0;
	int r = sql_int(tx, &orgs, err, "SELECT count(*) FROM orgs", "");
	if (r < 0 || orgs > 0)
		return r < 0 ? r : 0;
	struct key key = {.org = "default", .user = "root", .role = ROLE_ADMIN, .created_ms = b->now_ms};
	struct user root = {.org = "default",
			    .name = "root",
			    .role = ROLE_ADMIN,
			    .is_platform = true,
			    .created_ms = b->now_ms};
	r = store_org_insert(tx, key.org, b->now_ms, err);
	if (r >= 0)
		r = store_user_put(tx, &root, err);
	if (r < 0)
		return r;
	store_key_make(b->rng, &key, b->ret_token);
	r = store_key_insert(tx, &key, err);
	return r < 0 ? r : 1;
}

int store_bootstrap(struct store *s, struct rng *rng, int64_t now_ms, char ret_token[STORE_TOKEN_MAX],
		    struct err *err)
{
	struct bootstrap b = {.rng = rng, .now_ms = now_ms, .ret_token = ret_token};
	ret_token[0] = 0;
	int r = store_run(s, bootstrap, &b, err);
	if (r < 0)
		ret_token[0] = 0;
	return r;
}
