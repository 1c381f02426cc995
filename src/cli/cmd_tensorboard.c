/* SPDX-License-Identifier: Apache-2.0 */
/* tensorboard create, list, describe, open, logs, delete. */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/clock.h"
#include "base/fd.h"
#include "cli/cli_int.h"

#define LOOK_MS 500

static char *board_path(const char *name, const char *suffix)
{
	CLEANUP(free) char *escaped = client_escape(name, false);
	return mem_printf("/api/v1/tensorboards/%s%s", escaped, suffix);
}

static int get_board(struct cli *c, const char *name, json_t **ret, struct err *err)
{
	CLEANUP(free) char *path = board_path(name, "");
	return client_call(c->client, "GET", path, NULL, NULL, ret, err);
}

static void show(struct cli *c, const json_t *board)
{
	const char *state = cli_str(board, "state");
	if (c->json) {
		cli_print_json(board);
		return;
	}
	printf("%-12s%s%s%s\n", "tensorboard", cli_color(c, "bold"), cli_str(board, "name"),
	       cli_color_end(c));
	printf("%-12s%s%s%s%s%s\n", "state", cli_color(c, state), state, cli_color_end(c),
	       *cli_str(board, "message") ? ": " : "", cli_str(board, "message"));
	printf("%-12s%s\n", "shows", cli_str(board, "uri"));
	printf("%-12s%s%s\n", "address", client_endpoint(c->client), cli_str(board, "path"));
}

/* Until it is ready or cannot be. */
static int wait_ready(struct cli *c, const char *name, json_t **ret, struct err *err)
{
	const struct timespec pause = {.tv_nsec = LOOK_MS * 1000000L};
	char told[256] = "";
	for (;;) {
		CLEANUP(json) json_t *board = NULL;
		int r = get_board(c, name, &board, err);
		if (r < 0)
			return r;
		const char *state = cli_str(board, "state");
		const char *text = cli_str(json_object_get(board, "progress"), "text");
		if (!strcmp(state, "ready")) {
			*ret = json_incref(board);
			return 0;
		}
		if (strcmp(state, "starting"))
			return err_set(
			    err, ERR_STATE,
			    "TensorBoard '%s' did not start: %s; see 'cloudml tensorboard logs %s'", name,
			    cli_str(board, "message"), name);
		if (!*text)
			text = cli_str(board, "message");
		if (*text && strcmp(text, told))
			cli_note(c, "%s", text);
		snprintf(told, sizeof(told), "%.255s", text);
		nanosleep(&pause, NULL);
	}
}

/* The last folder of an address as a label. */
static char *name_of(const char *uri)
{
	size_t len = strlen(uri);
	char *name = mem_alloc(CLI_LABEL_MAX + 1);
	while (len && uri[len - 1] == '/')
		len--;
	size_t begin = len;
	while (begin && uri[begin - 1] != '/')
		begin--;
	cli_label(uri + begin, len - begin, "tensorboard", name);
	return name;
}

static int make_spec(struct cli *c, const struct cli_args *a, json_t *spec, struct err *err)
{
	static const char *const texts[] = {"cpu", "memory"};
	const char *what = a->positional[0];
	CLEANUP(json) json_t *job = NULL;
	CLEANUP(free) char *name = NULL;
	if (strstr(what, "://")) {
		json_object_set_new(spec, "uri", json_string(what));
		name = name_of(what);
	} else {
		int r = cli_get_job(c, what, &job, err);
		if (r < 0)
			return r;
		json_object_set_new(spec, "job", json_string(cli_str(job, "id")));
		name = mem_strdup(cli_str(job, "name"));
	}
	json_object_set_new(spec, "name", json_string(cli_opt(a, "name") ? cli_opt(a, "name") : name));
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (cli_opt(a, texts[i]))
			json_object_set_new(spec, texts[i], json_string(cli_opt(a, texts[i])));
	return 0;
}

int cmd_tensorboard_create(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *spec = json_object(), *made = NULL, *ready = NULL;
	char key[33];
	int r = cli_connect(c, err);
	if (r >= 0)
		r = make_spec(c, a, spec, err);
	if (r < 0)
		return r;
	cli_new_key(key);
	r = client_call(c->client, "POST", "/api/v1/tensorboards", spec, key, &made, err);
	if (r >= 0 && !cli_opt(a, "detach"))
		r = wait_ready(c, cli_str(made, "name"), &ready, err);
	if (r < 0)
		return r;
	show(c, ready ? ready : made);
	CLEANUP(free) char *delete = mem_printf("cloudml tensorboard delete %s", cli_str(made, "name"));
	if (!c->json)
		cli_hint(c, delete, "stop it");
	return 0;
}

int cmd_tensorboard_list(struct cli *c, const struct cli_args *a, struct err *err)
{
	static const struct cli_column columns[] = {
	    {"NAME", 0}, {"STATE", 0}, {"RESTARTS", 1}, {"AGE", 1}, {"SHOWS", 0}};
	CLEANUP(json) json_t *list = NULL, *rows = json_array();
	size_t i;
	const json_t *b;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "GET", "/api/v1/tensorboards", NULL, NULL, &list, err);
	if (r < 0)
		return r;
	if (c->json) {
		cli_print_json(list);
		return 0;
	}
	json_array_foreach(json_object_get(list, "data"), i, b)
	{
		char age[32], restarts[24];
		cli_format_age(cli_int(b, "created_ms"), age);
		snprintf(restarts, sizeof(restarts), "%lld", (long long)cli_int(b, "restarts"));
		json_array_append_new(rows, json_pack("[s,s,s,s,s]", cli_str(b, "name"), cli_str(b, "state"),
						      restarts, age, cli_str(b, "uri")));
	}
	if (!json_array_size(rows))
		cli_note(c, "no TensorBoards; begin one with 'cloudml tensorboard create JOB'");
	else
		cli_print_table(c, columns, ARRAY_LEN(columns), rows);
	return 0;
}

int cmd_tensorboard_describe(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *board = NULL;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = get_board(c, a->positional[0], &board, err);
	if (r >= 0)
		show(c, board);
	return r;
}

int cmd_tensorboard_open(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *board = NULL;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = get_board(c, a->positional[0], &board, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *url = mem_printf("%s%s", client_endpoint(c->client), cli_str(board, "path"));
	if (c->json) {
		CLEANUP(json) json_t *j = json_pack("{s:s}", "url", url);
		cli_print_json(j);
	} else {
		puts(url);
	}
	return 0;
}

static int write_out(void *arg, const void *data, size_t len)
{
	return fwrite(data, 1, len, stdout) == len ? 0 : -1;
}

int cmd_tensorboard_logs(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(free) char *path = board_path(a->positional[0], "/logs");
	int r = cli_connect(c, err);
	return r < 0 ? r : client_download(c->client, path, write_out, NULL, err);
}

int cmd_tensorboard_delete(struct cli *c, const struct cli_args *a, struct err *err)
{
	int r = cli_connect(c, err);
	c->changed = json_array();
	for (int i = 0; i < a->count && r >= 0; i++) {
		CLEANUP(free) char *path = board_path(a->positional[i], "");
		CLEANUP(json) json_t *answer = NULL;
		char key[33];
		cli_new_key(key);
		r = client_call(c->client, "DELETE", path, NULL, key, &answer, err);
		if (r >= 0)
			cli_changed(c, json_incref(answer), "stopping %s", a->positional[i]);
	}
	return r;
}
