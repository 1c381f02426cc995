/* SPDX-License-Identifier: Apache-2.0 */
/* key commands. A token is printed once, alone, on standard output. */
#include <string.h>
#include "cli/admin.h"

static void print_token(struct cli *c, const json_t *key, const char *what)
{
	if (c->json) {
		cli_print_json(key);
		return;
	}
	cli_note(c, "%s %s of %s (%s); this is its token, which is shown only now:", what, cli_str(key, "id"),
		 cli_str(key, "user"), cli_str(key, "role"));
	puts(cli_str(key, "token"));
	cli_hint(c, "cloudml login", "where it is to be used");
}

int cmd_key_create(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const char *const fields[][2] = {
	    {"user", "user"}, {"role", "role"}, {"note", "note"}, {"expires", "expires_in"}};
	CLEANUP(json) json_t *answer = NULL, *body = json_object();
	CLEANUP(free) char *path = admin_path(a, "/keys", NULL);
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		admin_put(body, a, fields[i][0], fields[i][1]);
	int r = admin_change(c, "POST", path, body, &answer, err);
	if (r >= 0)
		print_token(c, answer, "key");
	return r;
}

int cmd_key_list(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct admin_column columns[] = {
	    {{"ID", 0}, "id", SHOW_TEXT},
	    {{"USER", 0}, "user", SHOW_TEXT},
	    {{"ROLE", 0}, "role", SHOW_TEXT},
	    {{"CREATED", 0}, "created_ms", SHOW_TIME},
	    {{"EXPIRES", 0}, "expires_ms", SHOW_EXPIRY},
	    {{"NOTE", 0}, "note", SHOW_TEXT},
	};
	CLEANUP(json) json_t *list = NULL;
	const char *user = cli_opt(a, "user");
	CLEANUP(free) char *path = admin_path(a, user ? "/keys?user=%s" : "/keys", user);
	int r = admin_list(c, path, "after", SIZE_MAX, &list, err);
	if (r >= 0)
		admin_print(c, list, columns, ARRAY_LEN(columns), "no keys");
	return r;
}

int cmd_key_revoke(struct cli *c, const struct cli_args *a, struct err *err)
{
	c->changed = json_array();
	for (int i = 0; i < a->count; i++) {
		CLEANUP(free) char *path = admin_path(a, "/keys/%s", a->positional[i]);
		int r = admin_change(c, "DELETE", path, NULL, NULL, err);
		if (r < 0)
			return r;
		cli_changed(c, json_string(a->positional[i]), "revoked %s", a->positional[i]);
	}
	return 0;
}

int cmd_key_rotate(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *answer = NULL;
	CLEANUP(free) char *path = admin_path(a, "/keys/%s/rotate", a->positional[0]);
	int r = admin_change(c, "POST", path, NULL, &answer, err);
	if (r >= 0)
		print_token(c, answer, "the old key has ended; the new one is");
	return r;
}
