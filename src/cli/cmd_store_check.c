/* SPDX-License-Identifier: Apache-2.0 */
/* store fsck. */
#include <string.h>
#include <unistd.h>
#include "base/unit.h"
#include "cli/store.h"

#define LOOK_US 200000

struct view {
	json_t *found; /* owned */
	bool drawn;
};

static void draw(struct cli *c, struct view *v, const json_t *state)
{
	char done[32], total[32];
	if (!c->tty_err || c->quiet || c->json)
		return;
	unit_format_bytes(cli_int(state, "bytes"), done);
	unit_format_bytes(cli_int(state, "bytes_total"), total);
	fprintf(stderr, "\r\033[K%lld of %lld objects, %s of %s read", (long long)cli_int(state, "objects"),
		(long long)cli_int(state, "objects_total"), done, total);
	v->drawn = true;
}

static void undraw(struct view *v)
{
	if (v->drawn)
		fputs("\r\033[K", stderr);
	v->drawn = false;
}

/* What is new since the last look; 1 = there may be more. */
static int look(struct cli *c, struct view *v, json_t **ret, struct err *err)
{
	CLEANUP(free)
	char *path = mem_printf("/api/v1/store-check?after=%zu", json_array_size(v->found));
	size_t i;
	json_t *text;
	int r = client_call(c->client, "GET", path, NULL, NULL, ret, err);
	if (r < 0)
		return r;
	const json_t *found = json_object_get(*ret, "found");
	json_array_foreach(found, i, text)
	{
		json_array_append(v->found, text);
		if (c->json)
			continue;
		undraw(v);
		cli_print_safe(stdout, json_string_value(text));
		putchar('\n');
	}
	return i > 0;
}

static int finish(struct cli *c, struct view *v, json_t *state, struct err *err)
{
	const char *word = cli_str(state, "state");
	int64_t damaged = cli_int(state, "damaged"), faults = cli_int(state, "faults");
	char bytes[32];
	if (c->json) {
		json_object_set(state, "found", v->found);
		cli_print_json(state);
	}
	if (!strcmp(word, "stopped"))
		return err_set(err, ERR_CANCELLED, "the check was stopped before it had read everything");
	if (strcmp(word, "done"))
		return err_set(err, ERR_IO, "the check could not go on: %s",
			       *cli_str(state, "error") ? cli_str(state, "error")
							: "the server was started again meanwhile");
	unit_format_bytes(cli_int(state, "bytes"), bytes);
	if (!c->json)
		cli_note(c, "%lld objects with %s are whole; %lld damaged, %lld other faults",
			 (long long)cli_int(state, "objects"), bytes, (long long)damaged, (long long)faults);
	return damaged || faults ? 1 : 0;
}

int cmd_store_fsck(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(json) json_t *found = json_array(), *state = NULL, *begun = NULL;
	struct view v = {.found = found};
	bool stop = cli_opt(a, "stop") != NULL;
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, stop ? "DELETE" : "POST", "/api/v1/store-check", NULL, NULL,
				&begun, err);
	if (r >= 0 && stop) {
		cli_note(c, "told the check to stop");
		return 0;
	}
	while (r >= 0) {
		json_decref(state);
		state = NULL;
		r = look(c, &v, &state, err);
		if (r == 1)
			continue;
		if (r < 0 || strcmp(cli_str(state, "state"), "running"))
			break;
		draw(c, &v, state);
		usleep(LOOK_US);
	}
	undraw(&v);
	return r < 0 ? r : finish(c, &v, state, err);
}
