/* SPDX-License-Identifier: Apache-2.0 */
/* Nouns of administration: organisation, user, key. Quotas are in quota.h, rights in core.h. */
#ifndef CORE_ORG_H
#define CORE_ORG_H

#include <jansson.h>
#include "core/core.h"
#include "core/quota.h"

#define ORG_TEXT_MAX 200 /* bytes of a description or note */
#define ORG_OWN "-"	 /* in a path: the caller's own organisation */

/* An organisation that is being deleted admits nobody; what is left of it goes, then its row. */
enum org_state { ORG_ACTIVE, ORG_DELETING };
#define ORG_STATE_COUNT 2
const char *org_state_word(enum org_state s);
int org_state_parse(const char *word, enum org_state *ret); /* -1 when unknown */

struct org {
	char name[CORE_NAME_MAX + 1];
	char description[ORG_TEXT_MAX + 1];
	enum org_state state;
	char state_by[ACTOR_MAX + 1]; /* who began the deletion */
	int64_t created_ms;
	struct quota quota;
};
/* Without the quota. */
json_t *org_format(const struct org *o); /* the API's Org; returns owned */

struct user {
	char org[CORE_NAME_MAX + 1], name[CORE_NAME_MAX + 1];
	enum role role;	  /* the most that any of the user's keys may do */
	bool is_platform; /* with the role admin: may make organisations and act in any */
	int64_t created_ms;
};
json_t *user_format(const struct user *u);

/* A bearer token of a user: "cml_ID_SECRET". */
#define KEY_ID_MAX 15
struct key {
	char id[KEY_ID_MAX + 1];
	char org[CORE_NAME_MAX + 1], user[CORE_NAME_MAX + 1];
	enum role role;
	char note[ORG_TEXT_MAX + 1];
	char secret_sha256[65];		/* hex of the SHA-256 of the secret part; never formatted */
	int64_t created_ms, expires_ms; /* expires 0 = never */
};
json_t *key_format(const struct key *k);

/* A text for people: UTF-8 without control characters, at most ORG_TEXT_MAX bytes. ERR_INVALID. */
int org_text_check(const char *what, const char *text, struct err *err);

#endif
