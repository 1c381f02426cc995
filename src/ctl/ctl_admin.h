/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administration: organisations, users, keys, quotas, accounting, the audit. docs/administration.md is what
 * people read.
 *
 * Ideas. One call with a verb: each verb is a row of a table (ctl_admin.c) that says what it needs, what it
 * does in the store and what changes in memory afterwards. A change, its idempotency key and its line in the
 * audit are one transaction; memory follows before the caller is answered, so that a key works, or fails, at
 * once. The organisation is who->org; that the caller may act in it was decided by authorisation.
 *
 * Rules that are checked here, besides the least role of the route: nobody gives more than they have, and
 * nobody changes or deletes themselves, so that whoever changes the rights of an organisation keeps theirs.
 */
#ifndef CTL_CTL_ADMIN_H
#define CTL_CTL_ADMIN_H

#include "ctl/ctl.h"
#include "store/store_admin.h"
#include "store/store_usage.h"

/* Limits. */
#define CTL_ORGS_MAX 10000
#define CTL_USERS_MAX 10000 /* of one organisation */
#define CTL_KEYS_MAX 100    /* of one user */

enum admin_verb {
	ADMIN_ORG_CREATE,
	ADMIN_ORG_LIST, /* all for a platform administrator, else one's own */
	ADMIN_ORG_GET,
	ADMIN_ORG_UPDATE,
	ADMIN_ORG_DELETE,
	ADMIN_USER_CREATE,
	ADMIN_USER_LIST,
	ADMIN_USER_GET,
	ADMIN_USER_UPDATE,
	ADMIN_USER_DELETE,
	ADMIN_KEY_CREATE,
	ADMIN_KEY_LIST,
	ADMIN_KEY_REVOKE,
	ADMIN_KEY_ROTATE,
	ADMIN_AUDIT_LIST,
	ADMIN_QUOTA_GET,
	ADMIN_QUOTA_LIST, /* of all organisations for a platform administrator, else one's own */
	ADMIN_QUOTA_SET,
	ADMIN_USAGE,
	ADMIN_USAGE_ALL, /* by organisation */
	ADMIN_VERB_COUNT
};

/* Views for the call. */
struct admin_request {
	enum admin_verb verb;
	const char *name;	 /* of the new organisation, the user; id of the key */
	const char *user;	 /* whose keys; NULL = one's own (create), all (list) */
	const char *text;	 /* description or note; NULL = leave it */
	int role, platform;	 /* enum role, bool; -1 = leave it, or the default */
	int64_t expires_ms;	 /* of a new key; 0 = never, -1 = the default */
	bool force, has_objects; /* deleting an organisation: whatever it has; it has objects in the store */
	const char *after;	 /* pages of names */
	int64_t before, limit;	 /* pages of the audit; limit 1 to 1000 */
	const json_t *quota;	 /* what quota_parse takes */
	int64_t first_day, last_day; /* of usage, both included */
	const char *job;	     /* id or name of a job or model; NULL = all */
	enum usage_by by;
};
#define ADMIN_REQUEST(v)                                                                                     \
	((struct admin_request){.verb = (v), .role = -1, .platform = -1, .expires_ms = -1, .limit = 1000})

struct admin_quota {
	char org[CORE_NAME_MAX + 1];
	struct quota quota;
	struct quota_limit used[PURPOSE_COUNT]; /* what its work holds now */
	struct quota_storage stored;
	char warning[640]; /* what is held beyond it; "" = nothing */
};
#define CTL_USAGE_DAYS_MAX 400

/* Views for the callback's call. A list, or one item for a verb about one. */
struct admin_answer {
	struct store_orgs orgs;
	struct store_users users;
	struct store_keys keys;
	struct store_events events;
	struct admin_quota *quotas; /* owned by the call */
	size_t quota_count;
	struct usage_rows usage;
	char token[STORE_TOKEN_MAX]; /* of a new key, this once; "" when replayed */
	bool replayed;
};
typedef void ctl_admin_fn(void *arg, const struct admin_answer *answer, const struct err *err);
void ctl_admin(struct ctl *c, const struct principal *who, const struct admin_request *request,
	       const struct ctl_idempotency *idem, ctl_admin_fn *done, void *arg);

/* Called after rights were taken away: whoever holds something open asks ctl_principal() again. NULL ends it.
 */
void ctl_on_rights(struct ctl *c, void (*fn)(void *arg), void *arg);

#endif
