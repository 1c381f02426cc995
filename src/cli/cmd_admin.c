/* SPDX-License-Identifier: Apache-2.0 */
/* org and user commands, and the audit. */
#include <stdlib.h>
#include <string.h>
#include "cli/admin.h"

/* ---- organisations ---- */

int cmd_org_create(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *answer = NULL, *body = json_pack("{s:s}", "name", a->positional[0]);
	c->changed = json_array();
	admin_put(body, a, "description", "description");
	int r = admin_change(c, "POST", "/api/v1/orgs", body, &answer, err);
	if (r < 0)
		return r;
	cli_changed(c, json_incref(answer),
		    "organisation %s is there; its first administrator:", a->positional[0]);
	CLEANUP(free)
	char *user = mem_printf("cloudml user create NAME --org %s --role admin", a->positional[0]);
	CLEANUP(free) char *key = mem_printf("cloudml key create --org %s --user NAME", a->positional[0]);
	cli_hint(c, user, "");
	cli_hint(c, key, "prints the token, once");
	return 0;
}

int cmd_org_list(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct admin_column columns[] = {{{"NAME", 0}, "name", SHOW_TEXT},
						      {{"STATE", 0}, "state", SHOW_TEXT},
						      {{"CREATED", 0}, "created_ms", SHOW_TIME},
						      {{"DESCRIPTION", 0}, "description", SHOW_TEXT}};
	CLEANUP(json) json_t *list = NULL;
	int r = admin_list(c, "/api/v1/orgs", "after", SIZE_MAX, &list, err);
	if (r >= 0)
		admin_print(c, list, columns, ARRAY_LEN(columns), "no organisations");
	return r;
}

static char *org_path(const struct cli_args *a, const char *more)
{
	CLEANUP(free) char *name = client_escape(a->count ? a->positional[0] : "-", false);
	return mem_printf("/api/v1/orgs/%s%s", name, more);
}

int cmd_org_describe(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *org = NULL, *quota = NULL;
	CLEANUP(free) char *path = org_path(a, ""), *quota_path = org_path(a, "/quota");
	char time[32];
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", path, NULL, NULL, &org, err);
	if (r >= 0)
		r = client_call(c->client, "GET", quota_path, NULL, NULL, &quota, err);
	if (r < 0)
		return r;
	json_object_set(org, "quota", json_object_get(quota, "quota"));
	json_object_set(org, "used", json_object_get(quota, "used"));
	if (c->json) {
		cli_print_json(org);
		return 0;
	}
	cli_format_time(cli_int(org, "created_ms"), time);
	printf("%-12s%s\n%-12s%s\n%-12s%s\n%-12s", "name", cli_str(org, "name"), "state",
	       cli_str(org, "state"), "created", time, "description");
	cli_print_safe(stdout, cli_str(org, "description"));
	puts("");
	CLEANUP(json) json_t *list = json_pack("{s:[O]}", "data", quota);
	admin_print_quotas(c, list);
	return 0;
}

int cmd_org_update(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *answer = NULL, *body = json_object();
	CLEANUP(free) char *path = org_path(a, "");
	c->changed = json_array();
	admin_put(body, a, "description", "description");
	int r = admin_change(c, "PATCH", path, body, &answer, err);
	if (r >= 0)
		cli_changed(c, json_incref(answer), "changed %s", cli_str(answer, "name"));
	return r;
}

int cmd_org_delete(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *answer = NULL;
	CLEANUP(free) char *path = org_path(a, ""), *forced = org_path(a, "?force=1");
	c->changed = json_array();
	int r = admin_change(c, "DELETE", path, NULL, &answer, err);
	if (r == -ERR_STATE && cli_opt(a, "force")) {
		CLEANUP(free) char *question = mem_printf("%s.\nDelete it all?", err->msg);
		if (!admin_confirmed(c, question))
			return err_set(err, ERR_CANCELLED,
				       "nothing was deleted; say --force --yes to delete all that '%s' has",
				       a->positional[0]);
		*err = ERR_INIT;
		r = admin_change(c, "DELETE", forced, NULL, &answer, err);
	}
	if (r >= 0)
		cli_changed(c, json_incref(answer), "deleting %s: nobody of it is admitted any more",
			    a->positional[0]);
	return r;
}

/* ---- users ---- */

int cmd_user_create(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *answer = NULL, *body = json_pack("{s:s}", "name", a->positional[0]);
	CLEANUP(free) char *path = admin_path(a, "/users", NULL);
	c->changed = json_array();
	admin_put(body, a, "role", "role");
	int r = admin_put_flag(body, a, "platform", "platform", err);
	if (r >= 0)
		r = admin_change(c, "POST", path, body, &answer, err);
	if (r >= 0)
		cli_changed(c, json_incref(answer), "user %s of %s is a %s", cli_str(answer, "name"),
			    cli_str(answer, "org"), cli_str(answer, "role"));
	return r;
}

int cmd_user_list(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct admin_column columns[] = {{{"NAME", 0}, "name", SHOW_TEXT},
						      {{"ROLE", 0}, "role", SHOW_TEXT},
						      {{"PLATFORM", 0}, "platform", SHOW_FLAG},
						      {{"CREATED", 0}, "created_ms", SHOW_TIME}};
	CLEANUP(json) json_t *list = NULL;
	CLEANUP(free) char *path = admin_path(a, "/users", NULL);
	int r = admin_list(c, path, "after", SIZE_MAX, &list, err);
	if (r >= 0)
		admin_print(c, list, columns, ARRAY_LEN(columns), "no users");
	return r;
}

int cmd_user_update(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *answer = NULL, *body = json_object();
	CLEANUP(free) char *path = admin_path(a, "/users/%s", a->positional[0]);
	c->changed = json_array();
	admin_put(body, a, "role", "role");
	int r = admin_put_flag(body, a, "platform", "platform", err);
	if (r >= 0)
		r = admin_change(c, "PATCH", path, body, &answer, err);
	if (r >= 0)
		cli_changed(c, json_incref(answer), "user %s is a %s%s, at once for all keys",
			    cli_str(answer, "name"), cli_str(answer, "role"),
			    json_is_true(json_object_get(answer, "platform")) ? " and platform administrator"
									      : "");
	return r;
}

int cmd_user_delete(struct cli *c, const struct cli_args *a, struct err *err)
{
	c->changed = json_array();
	for (int i = 0; i < a->count; i++) {
		CLEANUP(free) char *path = admin_path(a, "/users/%s", a->positional[i]);
		int r = admin_change(c, "DELETE", path, NULL, NULL, err);
		if (r < 0)
			return r;
		cli_changed(c, json_string(a->positional[i]), "deleted %s with all keys", a->positional[i]);
	}
	return 0;
}

/* ---- the audit ---- */

int cmd_events(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct admin_column columns[] = {{{"TIME", 0}, "time_ms", SHOW_TIME},
						      {{"ACTOR", 0}, "actor", SHOW_TEXT},
						      {{"REASON", 0}, "reason", SHOW_TEXT},
						      {{"SUBJECT", 0}, "subject", SHOW_TEXT},
						      {{"MESSAGE", 0}, "message", SHOW_TEXT}};
	CLEANUP(json) json_t *list = NULL;
	CLEANUP(free) char *path = admin_path(a, "/events", NULL);
	const char *limit = cli_opt(a, "limit");
	char *end = NULL;
	unsigned long most = limit ? strtoul(limit, &end, 10) : 50;
	if (limit && (!*limit || *end || most < 1))
		return err_set(err, ERR_INVALID, "--limit '%s' is not a number", limit);
	int r = admin_list(c, path, "before", most, &list, err);
	if (r >= 0)
		admin_print(c, list, columns, ARRAY_LEN(columns), "nothing was changed yet");
	return r;
}
