/* SPDX-License-Identifier: Apache-2.0 */
/* cron create, list, describe, pause, resume, delete. */
#include <stdlib.h>
#include <string.h>
#include "cli/cli_int.h"

static char *cron_path(const char *name, const char *suffix)
{
	CLEANUP(free) char *escaped = client_escape(name, false);
	return mem_printf("/api/v1/crons/%s%s", escaped, suffix);
}

static void next_text(const json_t *cron, char ret[32])
{
	if (cli_int(cron, "next_ms"))
		cli_format_time(cli_int(cron, "next_ms"), ret);
	else
		snprintf(ret, 32, "-");
}

int cmd_cron_create(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *job = NULL, *cron = NULL;
	char key[33], next[32];
	const char *schedule = cli_opt(a, "schedule");
	if (!schedule)
		return err_set(err, ERR_INVALID,
			       "give --schedule, for example --schedule '0 3 * * mon-fri' (in UTC)");
	int r = cli_spec_of_args(c, a, &job, err);
	if (r < 0)
		return r;
	CLEANUP(json)
	json_t *body =
	    json_pack("{s:s, s:s, s:O}", "name", a->positional[0], "schedule", schedule, "job", job);
	static const char *const words[] = {"overlap", "missed"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (cli_opt(a, words[i]))
			json_object_set_new(body, words[i], json_string(cli_opt(a, words[i])));
	cli_new_key(key);
	r = client_call(c->client, "POST", "/api/v1/crons", body,
			cli_opt(a, "idempotency-key") ? cli_opt(a, "idempotency-key") : key, &cron, err);
	if (r < 0)
		return r;
	next_text(cron, next);
	if (c->json)
		cli_print_json(cron);
	else
		printf("cron '%s': the next job at %s\n", cli_str(cron, "name"), next);
	return 0;
}

int cmd_cron_list(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct cli_column columns[] = {
	    {"NAME", 0}, {"SCHEDULE", 0}, {"STATE", 0}, {"NEXT", 0}, {"LAST JOB", 0}};
	CLEANUP(json) json_t *list = NULL, *rows = json_array();
	size_t i;
	const json_t *cron;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/crons", NULL, NULL, &list, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(list);
		return 0;
	}
	json_array_foreach(json_object_get(list, "data"), i, cron)
	{
		char next[32];
		next_text(cron, next);
		json_array_append_new(rows, json_pack("[s,s,s,s,s]", cli_str(cron, "name"),
						      cli_str(cron, "schedule"), cli_str(cron, "state"), next,
						      cli_str(cron, "last_job")));
	}
	if (json_array_size(rows))
		cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	else
		cli_note(
		    c,
		    "no crons; make one with 'cloudml cron create NAME --schedule '0 3 * * *' -- COMMAND'");
	return 0;
}

int cmd_cron_describe(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *cron = NULL, *events = NULL;
	CLEANUP(free) char *path = cron_path(a->positional[0], "");
	CLEANUP(free) char *history = cron_path(a->positional[0], "/events");
	size_t i;
	const json_t *e;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", path, NULL, NULL, &cron, err);
	if (r >= 0 && !c->json)
		r = client_call(c->client, "GET", history, NULL, NULL, &events, err);
	if (r < 0)
		return r;
	cli_print_json(cron);
	json_array_foreach(json_object_get(events, "data"), i, e)
	{
		char when[32];
		cli_format_time(cli_int(e, "time_ms"), when);
		printf("%s  %-10s %-12s ", when, cli_str(e, "reason"), cli_str(e, "actor"));
		cli_print_safe(stdout, cli_str(e, "message"));
		putchar('\n');
	}
	return 0;
}

static int change_all(struct cli *c, const struct cli_args *a, const char *method, const char *suffix,
		      const char *word, struct err *err)
{
	int r = cli_connect(c, err);
	c->changed = json_array();
	for (int i = 0; r >= 0 && i < a->count; i++) {
		CLEANUP(free) char *path = cron_path(a->positional[i], suffix);
		CLEANUP(json) json_t *cron = NULL;
		char key[33];
		cli_new_key(key);
		r = client_call(c->client, method, path, NULL, key, &cron, err);
		if (r >= 0)
			cli_changed(c, cron ? json_incref(cron) : json_string(a->positional[i]),
				    "cron '%s' %s", a->positional[i], word);
	}
	return r;
}

int cmd_cron_pause(struct cli *c, const struct cli_args *a, struct err *err)
{
	return change_all(c, a, "POST", "/pause", "makes no jobs until it is resumed", err);
}

int cmd_cron_resume(struct cli *c, const struct cli_args *a, struct err *err)
{
	return change_all(c, a, "POST", "/resume", "makes jobs again", err);
}

int cmd_cron_delete(struct cli *c, const struct cli_args *a, struct err *err)
{
	return change_all(c, a, "DELETE", "", "deleted; its jobs stay", err);
}
