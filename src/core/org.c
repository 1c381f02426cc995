/* SPDX-License-Identifier: Apache-2.0 */
/* Words, JSON and texts of organisations, users and keys. */
#include "core/org.h"

#include <string.h>
#include "core/field.h"

const char *org_state_word(enum org_state s)
{
	return s == ORG_DELETING ? "deleting" : "active";
}

int org_state_parse(const char *word, enum org_state *ret)
{
	for (int s = 0; s < ORG_STATE_COUNT; s++) {
		if (strcmp(org_state_word((enum org_state)s), word) == 0) {
			*ret = (enum org_state)s;
			return 0;
		}
	}
	return -1;
}

json_t *org_format(const struct org *o)
{
	return json_pack("{s:s, s:o, s:s, s:I}", "name", o->name, "description",
			 field_text_json(o->description), "state", org_state_word(o->state), "created_ms",
			 (json_int_t)o->created_ms);
}

json_t *user_format(const struct user *u)
{
	return json_pack("{s:s, s:s, s:s, s:b, s:I}", "name", u->name, "org", u->org, "role",
			 role_word(u->role), "platform", u->is_platform, "created_ms",
			 (json_int_t)u->created_ms);
}

json_t *key_format(const struct key *k)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:I, s:I}", "id", k->id, "org", k->org, "user", k->user,
			 "role", role_word(k->role), "note", field_text_json(k->note), "created_ms",
			 (json_int_t)k->created_ms, "expires_ms", (json_int_t)k->expires_ms);
}

int org_text_check(const char *what, const char *text, struct err *err)
{
	if (strlen(text) > ORG_TEXT_MAX)
		return err_set(err, ERR_INVALID, "%s has more than %d bytes", what, ORG_TEXT_MAX);
	for (const char *s = text; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return err_set(err, ERR_INVALID, "%s has control characters; use plain text", what);
	return 0;
}
