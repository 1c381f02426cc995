/* SPDX-License-Identifier: Apache-2.0 */
/* One call of an administrator on its way through the store. Seen by the room ctl only. */
#ifndef CTL_CTL_ADMIN_INT_H
#define CTL_CTL_ADMIN_INT_H

#include "ctl/ctl_admin.h"
#include "ctl/ctl_int.h"

struct admin_call {
	struct ctl_op op;
	const struct admin_verb_rule *rule;
	struct principal who;
	struct admin_request request; /* its texts are below */
	char name[CORE_NAME_MAX + 1], user[CORE_NAME_MAX + 1], after[CORE_NAME_MAX + 1];
	char text[ORG_TEXT_MAX + 1];
	char job[CORE_NAME_MAX + 1];
	json_t *quota; /* owned */
	bool has_key;
	char key[STORE_IDEMPOTENCY_KEY_MAX + 2], body_sha256[65];
	int64_t now_ms;
	int64_t orgs, live_jobs, models; /* what memory knows at the call */
	struct key new_key;		 /* made at the call, with answer.token */
	struct event event;		 /* of the audit; its message is the run's to write */
	struct admin_answer answer;
	struct err refusal;
	ctl_admin_fn *done;
	void *arg;
};

/* What a verb does. 'run' is on the database's thread and writes only the call; it fills the answer and, for
 * a change, event.message. 'apply' brings memory in step, on the loop's thread. */
struct admin_verb_rule {
	const char *reason;  /* of the event; NULL = reads only */
	const char *subject; /* with one %s for the name */
	int (*run)(struct store_tx *tx, struct admin_call *a, struct err *err);
	/* The same answer again, without the change: 'id' is what was noted. */
	int (*replay)(struct store_tx *tx, struct admin_call *a, const char *id, struct err *err);
	void (*apply)(struct ctl *c, struct admin_call *a);
	/* Fills the answer with what only memory knows; on the loop's thread. */
	void (*show)(struct ctl *c, struct admin_call *a);
};

int admin_say(struct admin_call *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void admin_answer_org(struct admin_call *a, const struct org *o);
void admin_answer_user(struct admin_call *a, const struct user *u);
void admin_answer_key(struct admin_call *a, const struct key *k);
/* What belongs to a platform administrator is changed by one only. */
int admin_check_target(const struct admin_call *a, const struct user *target, struct err *err);
bool admin_is_self(const struct admin_call *a, const char *user);

extern const struct admin_verb_rule admin_org_create, admin_org_list, admin_org_get, admin_org_update,
    admin_org_delete, admin_user_create, admin_user_list, admin_user_get, admin_user_update,
    admin_user_delete, admin_key_create, admin_key_list, admin_key_revoke, admin_key_rotate, admin_audit_list,
    admin_quota_get, admin_quota_list, admin_quota_set, admin_usage, admin_usage_all;

/* ctl_auth.c: what memory knows of rights. */
void auth_keep_org(struct ctl *c, const struct org *o);
void auth_keep_user(struct ctl *c, const struct user *u);
void auth_keep_key(struct ctl *c, const struct key *k);
void auth_drop_user(struct ctl *c, const char *org, const char *user);
void auth_drop_key(struct ctl *c, const char *id);
void auth_drop_org(struct ctl *c, const char *org); /* and its users and keys */
void auth_changed(struct ctl *c);		    /* rights were taken away */

/* ctl_purge.c: an organisation on its way out. */
void purge_begin(struct ctl *c, const struct org *o);
void purge_resume(struct ctl *c); /* after a start */
void purge_free(void *purge);

#endif
