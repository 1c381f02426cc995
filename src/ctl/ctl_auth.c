/* SPDX-License-Identifier: Apache-2.0 */
/* Who asks: bearer tokens against keys, users and organisations held in memory; who may change something. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"

#define USER_KEY_MAX (2 * CORE_NAME_MAX + 2)

/* ---- what memory knows ---- */

static void user_key(const char *org, const char *user, char ret[USER_KEY_MAX])
{
	snprintf(ret, USER_KEY_MAX, "%s/%s", org, user);
}

void auth_keep_org(struct ctl *c, const struct org *o)
{
	struct org *copy = MEM_NEW(struct org);
	*copy = *o;
	map_set(c->orgs, o->name, copy);
	ctl_quota_set(c, o->name, &o->quota);
}

void auth_keep_user(struct ctl *c, const struct user *u)
{
	char name[USER_KEY_MAX];
	struct user *copy = MEM_NEW(struct user);
	*copy = *u;
	user_key(u->org, u->name, name);
	map_set(c->users, name, copy);
}

void auth_keep_key(struct ctl *c, const struct key *k)
{
	struct key *copy = MEM_NEW(struct key);
	*copy = *k;
	map_set(c->keys, k->id, copy);
}

void auth_drop_key(struct ctl *c, const char *id)
{
	map_delete(c->keys, id);
}

/* user NULL: of all. */
static void drop_keys(struct ctl *c, const char *org, const char *user)
{
	const char *id;
	void *value;
	for (size_t i = 0; map_next(c->keys, &i, &id, &value);) {
		const struct key *k = value;
		if (strcmp(k->org, org) == 0 && (!user || strcmp(k->user, user) == 0))
			map_delete(c->keys, id);
	}
}

void auth_drop_user(struct ctl *c, const char *org, const char *user)
{
	char name[USER_KEY_MAX];
	user_key(org, user, name);
	map_delete(c->users, name);
	drop_keys(c, org, user);
}

void auth_drop_org(struct ctl *c, const char *org)
{
	const char *name;
	void *value;
	drop_keys(c, org, NULL);
	for (size_t i = 0; map_next(c->users, &i, &name, &value);)
		if (strcmp(((struct user *)value)->org, org) == 0)
			map_delete(c->users, name);
	map_delete(c->orgs, org);
}

static void keep_key(void *arg, const struct key *key)
{
	auth_keep_key(arg, key);
}

int auth_load(struct store_tx *tx, struct ctl *c, struct err *err)
{
	struct store_orgs orgs = {0};
	struct store_users users = {0};
	int r = store_key_each(tx, keep_key, c, err);
	if (r >= 0)
		r = store_user_list(tx, NULL, NULL, SIZE_MAX, &users, err);
	if (r >= 0)
		r = store_org_list(tx, NULL, SIZE_MAX, &orgs, err);
	for (size_t i = 0; r >= 0 && i < users.count; i++)
		auth_keep_user(c, &users.items[i]);
	for (size_t i = 0; r >= 0 && i < orgs.count; i++)
		auth_keep_org(c, &orgs.items[i]);
	store_users_done(&users);
	store_orgs_done(&orgs);
	return r;
}

void auth_changed(struct ctl *c)
{
	if (c->on_rights)
		c->on_rights(c->on_rights_arg);
}

void ctl_on_rights(struct ctl *c, void (*fn)(void *arg), void *arg)
{
	c->on_rights = fn;
	c->on_rights_arg = arg;
}

/* ---- who asks ---- */

static int not_valid(struct err *err)
{
	return err_set(err, ERR_UNAUTHENTICATED, "the token is not valid; run 'cloudml login'");
}

/* The lesser of what the key and the user may do. False when it is worth nothing: expired, or of a user or an
 * organisation that is gone. */
static bool take_principal(struct ctl *c, const struct key *k, struct principal *ret)
{
	char name[USER_KEY_MAX];
	user_key(k->org, k->user, name);
	const struct user *u = map_get(c->users, name);
	const struct org *o = map_get(c->orgs, k->org);
	if (!u || !o || o->state != ORG_ACTIVE || (k->expires_ms && k->expires_ms <= ctl_wall(c)))
		return false;
	*ret = (struct principal){.role = k->role < u->role ? k->role : u->role, .expires_ms = k->expires_ms};
	ret->is_platform = u->is_platform && ret->role == ROLE_ADMIN;
	memcpy(ret->org, k->org, sizeof(ret->org));
	memcpy(ret->home, k->org, sizeof(ret->home));
	memcpy(ret->user, k->user, sizeof(ret->user));
	memcpy(ret->key_id, k->id, sizeof(k->id));
	return true;
}

int ctl_authenticate(struct ctl *c, const char *token, struct principal *ret, struct err *err)
{
	/* An unknown key is compared and looked up too, so that the answer takes as long. */
	static const struct key nobody = {.org = "-", .user = "-", .secret_sha256 = "-"};
	char id[STORE_KEY_ID_MAX + 1], sha256[DIGEST_HEX_LEN + 1];
	struct principal who;
	int r = store_token_parse(token, id, sha256, err);
	if (r < 0)
		return r;
	const struct key *known = map_get(c->keys, id);
	const struct key *key = known ? known : &nobody;
	bool is_same = digest_equal(key->secret_sha256, sha256, DIGEST_HEX_LEN);
	bool is_good = take_principal(c, key, &who);
	if (!known || !is_same || !is_good)
		return not_valid(err);
	*ret = who;
	return 0;
}

int ctl_principal(struct ctl *c, const char *key_id, struct principal *ret, struct err *err)
{
	const struct key *key = map_get(c->keys, key_id);
	struct principal who;
	if (!key || !take_principal(c, key, &who))
		return not_valid(err);
	*ret = who;
	return 0;
}

/* A few, looked for only when the organisation has no user of that name. */
static bool is_platform_user(struct ctl *c, const char *name)
{
	const char *key;
	void *value;
	for (size_t i = 0; map_next(c->users, &i, &key, &value);) {
		const struct user *u = value;
		if (u->is_platform && u->role == ROLE_ADMIN && strcmp(u->name, name) == 0)
			return true;
	}
	return false;
}

int auth_role_of(struct ctl *c, const char *org, const char *user, enum role *ret, struct err *err)
{
	char name[USER_KEY_MAX];
	user_key(org, user, name);
	const struct user *u = map_get(c->users, name);
	const struct org *o = map_get(c->orgs, org);
	if (!o || o->state != ORG_ACTIVE || (!u && !is_platform_user(c, user)))
		return err_set(err, ERR_UNAUTHENTICATED, "user '%s' of organisation '%s' is gone", user, org);
	*ret = u ? u->role : ROLE_ADMIN;
	return 0;
}

int auth_may_change(const struct principal *who, struct err *err)
{
	if (who->role == ROLE_VIEWER)
		return err_set(
		    err, ERR_DENIED,
		    "user '%s' may only look in organisation '%s'; ask an administrator for the role member",
		    who->user, who->org);
	return 0;
}
