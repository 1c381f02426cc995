/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Administration in the store: organisations, users, keys, the audit. All run inside a request's function.
 * Lists are pages in the order of names: after (NULL or "" = from the start), limit 1 to 1000.
 */
#ifndef STORE_STORE_ADMIN_H
#define STORE_STORE_ADMIN_H

#include "core/org.h"
#include "store/store.h"

struct store_orgs {
	struct org *items; /* owned */
	size_t count;
	bool more;
};
struct store_users {
	struct user *items; /* owned */
	size_t count;
	bool more;
};
struct store_keys {
	struct key *items; /* owned */
	size_t count;
	bool more;
};
void store_orgs_done(struct store_orgs *l);
void store_users_done(struct store_users *l);
void store_keys_done(struct store_keys *l);

int store_org_get(struct store_tx *tx, const char *name, struct org *ret,
		  struct err *err); /* ERR_NOT_FOUND */
/* limit SIZE_MAX = all. */
int store_org_list(struct store_tx *tx, const char *after, size_t limit, struct store_orgs *ret,
		   struct err *err);
int store_org_update(struct store_tx *tx, const struct org *o, struct err *err); /* description and state */
int store_org_set_quota(struct store_tx *tx, const struct org *o, struct err *err); /* its quota alone */
int store_org_count(struct store_tx *tx, int64_t *ret, struct err *err);
/* How many jobs an organisation has, in any state; from kept counters. */
int store_org_jobs(struct store_tx *tx, const char *org, int64_t *ret, struct err *err);
int store_org_crons(struct store_tx *tx, const char *org, int64_t *ret, struct err *err);
/* Deletes a part of an organisation that has no live job and no model: 1 while there is more, 0 when the
 * organisation itself is gone. */
int store_org_purge(struct store_tx *tx, const char *org, struct err *err);

int store_user_put(struct store_tx *tx, const struct user *u, struct err *err); /* ERR_EXISTS */
int store_user_get(struct store_tx *tx, const char *org, const char *name, struct user *ret, struct err *err);
/* org NULL and limit SIZE_MAX = all. */
int store_user_list(struct store_tx *tx, const char *org, const char *after, size_t limit,
		    struct store_users *ret, struct err *err);
int store_user_update(struct store_tx *tx, const struct user *u, struct err *err); /* role, platform */
int store_user_delete(struct store_tx *tx, const char *org, const char *name, struct err *err); /* and keys */
int store_user_count(struct store_tx *tx, const char *org, int64_t *ret, struct err *err);

/* ERR_NOT_FOUND also when it is another organisation's or, user not NULL, another user's. */
int store_key_get(struct store_tx *tx, const char *org, const char *user, const char *id, struct key *ret,
		  struct err *err);
int store_key_list(struct store_tx *tx, const char *org, const char *user, const char *after, size_t limit,
		   struct store_keys *ret, struct err *err); /* user NULL = of all */
int store_key_delete(struct store_tx *tx, const char *id, struct err *err);
int store_key_count(struct store_tx *tx, const char *org, const char *user, int64_t *ret, struct err *err);

/* The audit: who changed what in an organisation. Kept for STORE_AUDIT_KEPT_MS, also when its subject goes.
 */
#define STORE_AUDIT_KEPT_MS (400 * 24 * 3600 * INT64_C(1000))
int store_audit_insert(struct store_tx *tx, const char *org, const struct event *e, struct err *err);
/* Newest first, seq < before (0 = from the newest). */
int store_audit_list(struct store_tx *tx, const char *org, int64_t before, int64_t limit,
		     struct store_events *ret, struct err *err);
int store_audit_expire(struct store_tx *tx, int64_t now_ms, struct err *err);

#endif
