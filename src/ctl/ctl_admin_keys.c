/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about keys. The secret of a new one is in the answer of the call that made it and nowhere else. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"

/* Whose keys the caller sees: an administrator those of all, anybody else their own (NULL = all). */
static const char *visible(const struct admin_call *a)
{
	return a->who.role == ROLE_ADMIN ? NULL : a->who.user;
}

static int list_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	const char *user = a->request.user ? a->request.user : visible(a);
	if (visible(a) && strcmp(user, visible(a)) != 0)
		return err_set(err, ERR_DENIED, "only an administrator sees the keys of others");
	return store_key_list(tx, a->who.org, user, a->request.after, (size_t)a->request.limit,
			      &a->answer.keys, err);
}

/* The key that the path names, and its user; both must be the caller's to change. */
static int find_key(struct store_tx *tx, struct admin_call *a, struct key *k, struct err *err)
{
	struct user u;
	int r = store_key_get(tx, a->who.org, visible(a), a->name, k, err);
	if (r >= 0)
		r = store_user_get(tx, k->org, k->user, &u, err);
	return r < 0 ? r : admin_check_target(a, &u, err);
}

/* A key that ends cannot make one of the same user that lives longer. */
static int64_t expiry_of(const struct admin_call *a, const char *user, int64_t wanted_ms)
{
	int64_t own = a->who.expires_ms;
	if (!own || !admin_is_self(a, user))
		return wanted_ms;
	return wanted_ms == 0 || wanted_ms > own ? own : wanted_ms;
}

/* ---- create ---- */

static int check_role(const struct admin_call *a, const struct user *u, enum role role, struct err *err)
{
	if (role > a->who.role)
		return err_set(err, ERR_DENIED, "the role '%s' is more than yours ('%s')", role_word(role),
			       role_word(a->who.role));
	if (role > u->role)
		return err_set(err, ERR_INVALID,
			       "user '%s' has the role '%s'; a key of theirs cannot have more", u->name,
			       role_word(u->role));
	return 0;
}

static int create_fill(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct key *k = &a->new_key;
	struct user u;
	int64_t count = 0;
	bool at_home = strcmp(principal_home(&a->who), a->who.org) == 0;
	if (!a->request.user && !at_home)
		return err_set(err, ERR_INVALID, "say whose key it will be: 'user' is missing");
	const char *name = a->request.user ? a->request.user : a->who.user;
	if (visible(a) && strcmp(name, a->who.user) != 0)
		return err_set(err, ERR_DENIED, "only an administrator makes keys of others");
	int r = store_user_get(tx, a->who.org, name, &u, err);
	if (r >= 0)
		r = admin_check_target(a, &u, err);
	if (r < 0)
		return r;
	enum role most = u.role < a->who.role ? u.role : a->who.role;
	*k = (struct key){.role = a->request.role >= 0 ? (enum role)a->request.role : most,
			  .created_ms = a->now_ms,
			  .expires_ms = a->request.expires_ms > 0 ? a->request.expires_ms : 0};
	r = check_role(a, &u, k->role, err);
	if (r >= 0 && k->expires_ms && k->expires_ms <= a->now_ms)
		r = err_set(err, ERR_INVALID, "the key would have expired already");
	if (r >= 0)
		r = store_key_count(tx, u.org, u.name, &count, err);
	if (r >= 0 && count >= CTL_KEYS_MAX)
		r = err_set(err, ERR_QUOTA, "user '%s' has %d keys already; revoke some", u.name,
			    CTL_KEYS_MAX);
	memcpy(k->org, u.org, sizeof(k->org));
	memcpy(k->user, u.name, sizeof(k->user));
	memcpy(k->note, a->text, sizeof(k->note));
	k->expires_ms = expiry_of(a, u.name, k->expires_ms);
	return r;
}

static int create_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct key made = a->new_key;
	int r = create_fill(tx, a, err);
	memcpy(a->new_key.id, made.id, sizeof(made.id));
	memcpy(a->new_key.secret_sha256, made.secret_sha256, sizeof(made.secret_sha256));
	if (r >= 0)
		r = store_key_insert(tx, &a->new_key, err);
	if (r < 0)
		return r;
	admin_answer_key(a, &a->new_key);
	return admin_say(a, "key %s of %s created with the role %s", a->new_key.id, a->new_key.user,
			 role_word(a->new_key.role));
}

static int create_replay(struct store_tx *tx, struct admin_call *a, const char *id, struct err *err)
{
	struct key k;
	int r = store_key_get(tx, a->who.org, NULL, id, &k, err);
	if (r >= 0)
		admin_answer_key(a, &k);
	return r;
}

static void create_apply(struct ctl *c, struct admin_call *a)
{
	auth_keep_key(c, &a->new_key);
}

/* ---- revoke, rotate ---- */

static int revoke_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct key k;
	int r = find_key(tx, a, &k, err);
	if (r >= 0)
		r = store_key_delete(tx, k.id, err);
	if (r < 0)
		return r;
	admin_answer_key(a, &k);
	return admin_say(a, "key %s of %s revoked", k.id, k.user);
}

static void revoke_apply(struct ctl *c, struct admin_call *a)
{
	auth_drop_key(c, a->name);
	auth_changed(c);
}

/* A new key takes the place of the old one, so that sessions and streams of the old one end too. */
static int rotate_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct key k, made = a->new_key;
	int r = find_key(tx, a, &k, err);
	if (r >= 0 && k.role > a->who.role)
		r = err_set(err, ERR_DENIED, "the key has the role '%s', which is more than yours ('%s')",
			    role_word(k.role), role_word(a->who.role));
	if (r >= 0 && k.expires_ms && k.expires_ms <= a->now_ms)
		r = err_set(err, ERR_STATE, "key '%s' has expired; create a new one", k.id);
	if (r >= 0)
		r = store_key_delete(tx, k.id, err);
	if (r < 0)
		return r;
	a->new_key = k;
	memcpy(a->new_key.id, made.id, sizeof(made.id));
	memcpy(a->new_key.secret_sha256, made.secret_sha256, sizeof(made.secret_sha256));
	a->new_key.created_ms = a->now_ms;
	a->new_key.expires_ms = expiry_of(a, k.user, k.expires_ms);
	r = store_key_insert(tx, &a->new_key, err);
	if (r < 0)
		return r;
	admin_answer_key(a, &a->new_key);
	return admin_say(a, "key %s of %s replaced by %s", k.id, k.user, a->new_key.id);
}

static void rotate_apply(struct ctl *c, struct admin_call *a)
{
	auth_drop_key(c, a->name);
	auth_keep_key(c, &a->new_key);
	auth_changed(c);
}

const struct admin_verb_rule admin_key_create = {"key_created", "key/", create_run, create_replay,
						 create_apply};
const struct admin_verb_rule admin_key_list = {.run = list_run};
const struct admin_verb_rule admin_key_revoke = {"key_revoked", "key/", revoke_run, NULL, revoke_apply};
const struct admin_verb_rule admin_key_rotate = {"key_rotated", "key/", rotate_run, create_replay,
						 rotate_apply};
