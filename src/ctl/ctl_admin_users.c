/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs about users. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"

static int get_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct user u;
	int r = store_user_get(tx, a->who.org, a->name, &u, err);
	if (r >= 0)
		admin_answer_user(a, &u);
	return r;
}

static int replay(struct store_tx *tx, struct admin_call *a, const char *id, struct err *err)
{
	return get_run(tx, a, err);
}

static void keep_apply(struct ctl *c, struct admin_call *a)
{
	auth_keep_user(c, &a->answer.users.items[0]);
	auth_changed(c);
}

static int list_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	return store_user_list(tx, a->who.org, a->request.after, (size_t)a->request.limit, &a->answer.users,
			       err);
}

/* The role and the flag that were asked for, into *u; refuses to give what the caller does not have. */
static int take_rights(const struct admin_call *a, struct user *u, struct err *err)
{
	if (a->request.role >= 0)
		u->role = (enum role)a->request.role;
	if (a->request.platform >= 0 && (a->request.platform != 0) != u->is_platform) {
		if (!a->who.is_platform)
			return err_set(err, ERR_DENIED,
				       "only a platform administrator makes or unmakes another one");
		u->is_platform = a->request.platform != 0;
	}
	if (u->role > a->who.role)
		return err_set(err, ERR_DENIED, "the role '%s' is more than yours ('%s')", role_word(u->role),
			       role_word(a->who.role));
	if (u->is_platform && u->role != ROLE_ADMIN)
		return err_set(err, ERR_INVALID,
			       "a platform administrator has the role admin; take the flag 'platform' away "
			       "first");
	return 0;
}

static int create_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct user u = {.role = ROLE_MEMBER, .created_ms = a->now_ms};
	int64_t count = 0;
	memcpy(u.org, a->who.org, sizeof(u.org));
	memcpy(u.name, a->name, sizeof(u.name));
	int r = core_name_check("user", u.name, err);
	if (r >= 0)
		r = take_rights(a, &u, err);
	if (r >= 0)
		r = store_user_count(tx, u.org, &count, err);
	if (r >= 0 && count >= CTL_USERS_MAX)
		r = err_set(err, ERR_QUOTA, "organisation '%s' has %d users already; delete some", u.org,
			    CTL_USERS_MAX);
	if (r >= 0)
		r = store_user_put(tx, &u, err);
	if (r < 0)
		return r;
	admin_answer_user(a, &u);
	return admin_say(a, "user %s created with the role %s%s", u.name, role_word(u.role),
			 u.is_platform ? ", platform administrator" : "");
}

static int check_other(const struct admin_call *a, const struct user *u, const char *what, struct err *err)
{
	if (admin_is_self(a, u->name))
		return err_set(err, ERR_STATE, "you cannot %s yourself; ask another administrator", what);
	return admin_check_target(a, u, err);
}

static int update_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct user u;
	int r = store_user_get(tx, a->who.org, a->name, &u, err);
	if (r >= 0)
		r = check_other(a, &u, "change the rights of", err);
	if (r >= 0 && a->request.role < 0 && a->request.platform < 0)
		r = err_set(err, ERR_INVALID, "nothing to change; give 'role' or 'platform'");
	struct user before = u;
	if (r >= 0)
		r = take_rights(a, &u, err);
	if (r >= 0)
		r = store_user_update(tx, &u, err);
	if (r < 0)
		return r;
	admin_answer_user(a, &u);
	return admin_say(a, "user %s: role %s%s, before %s%s", u.name, role_word(u.role),
			 u.is_platform ? " and platform administrator" : "", role_word(before.role),
			 before.is_platform ? " and platform administrator" : "");
}

static int delete_run(struct store_tx *tx, struct admin_call *a, struct err *err)
{
	struct user u;
	int r = store_user_get(tx, a->who.org, a->name, &u, err);
	if (r >= 0)
		r = check_other(a, &u, "delete", err);
	if (r >= 0)
		r = store_user_delete(tx, u.org, u.name, err);
	return r < 0 ? r : admin_say(a, "user %s deleted with all keys", u.name);
}

static void delete_apply(struct ctl *c, struct admin_call *a)
{
	auth_drop_user(c, a->who.org, a->name);
	auth_changed(c);
}

const struct admin_verb_rule admin_user_create = {"user_created", "user/", create_run, replay, keep_apply};
const struct admin_verb_rule admin_user_list = {.run = list_run};
const struct admin_verb_rule admin_user_get = {.run = get_run};
const struct admin_verb_rule admin_user_update = {"user_updated", "user/", update_run, replay, keep_apply};
const struct admin_verb_rule admin_user_delete = {"user_deleted", "user/", delete_run, NULL, delete_apply};
