/* SPDX-License-Identifier: Apache-2.0 */
/* jobs submit --batch: a file of specifications, one a line, in as few requests as they fit into. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/cli_int.h"

#define CHUNK_JOBS 1000 /* what the server takes at once */
#define CHUNK_BYTES (8 * 1024 * 1024)
#define LINE_BYTES_MAX (1024 * 1024)

struct batch {
	struct cli *cli;
	const char *key;
	json_t *jobs; /* of the next request */
	size_t bytes, line, first_line, requests, created, refused;
	json_t *answers; /* with --json */
};

static void show_item(struct batch *b, size_t i, const json_t *item)
{
	const json_t *error = json_object_get(item, "error");
	if (error) {
		b->refused++;
		cli_note(b->cli, "line %zu: %s", b->first_line + i, cli_str(error, "message"));
	} else {
		b->created++;
		if (!b->cli->json)
			puts(cli_str(item, "id"));
	}
	if (b->cli->json)
		json_array_append(b->answers, (json_t *)item);
}

static int batch_send(struct batch *b, struct err *err)
{
	char key[160];
	CLEANUP(json) json_t *answer = NULL;
	size_t i;
	const json_t *item;
	if (!json_array_size(b->jobs))
		return 0;
	CLEANUP(json) json_t *body = json_pack("{s:o}", "jobs", b->jobs);
	b->jobs = json_array();
	b->bytes = 0;
	snprintf(key, sizeof(key), "%.120s-%zu", b->key, b->requests++);
	int r = client_call(b->cli->client, "POST", "/api/v1/jobs:batch", body, key, &answer, err);
	if (r < 0)
		return err_wrap(err, "from line %zu on", b->first_line);
	json_array_foreach(json_object_get(answer, "data"), i, item)
	{
		show_item(b, i, item);
	}
	return 0;
}

static int batch_line(struct batch *b, const char *text, size_t len, struct err *err)
{
	json_t *spec = NULL;
	b->line++;
	if (!json_array_size(b->jobs))
		b->first_line = b->line;
	int r = json_parse(text, len, LINE_BYTES_MAX, &spec, err);
	if (r < 0)
		return err_wrap(err, "line %zu is not JSON", b->line);
	json_array_append_new(b->jobs, spec);
	b->bytes += len;
	bool is_full = json_array_size(b->jobs) == CHUNK_JOBS || b->bytes > CHUNK_BYTES;
	return is_full ? batch_send(b, err) : 0;
}

/* Empty lines would shift the numbers of the lines behind them: they end the request before. */
static int batch_read(struct batch *b, FILE *f, struct err *err)
{
	CLEANUP(free) char *text = NULL;
	size_t cap = 0;
	ssize_t n;
	int r = 0;
	while (r >= 0 && (n = getline(&text, &cap, f)) >= 0) {
		while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r' || text[n - 1] == ' '))
			n--;
		if (n > 0) {
			r = batch_line(b, text, (size_t)n, err);
		} else {
			r = batch_send(b, err);
			b->line++;
		}
	}
	if (r >= 0 && ferror(f))
		return err_set(err, ERR_IO, "reading the batch: %s", strerror(errno));
	return r < 0 ? r : batch_send(b, err);
}

int cli_submit_batch(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *path = cli_opt(a, "batch");
	char fresh[33];
	cli_new_key(fresh);
	struct batch b = {.cli = c,
			  .key = cli_opt(a, "idempotency-key") ? cli_opt(a, "idempotency-key") : fresh};
	bool is_stdin = !strcmp(path, "-");
	CLEANUP(file) FILE *opened = is_stdin ? NULL : fopen(path, "re");
	if (!is_stdin && !opened)
		return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot read '%s': %s", path,
			       strerror(errno));
	int r = cli_connect(c, err);
	if (r < 0)
		return r;
	b.jobs = json_array();
	b.answers = json_array();
	r = batch_read(&b, is_stdin ? stdin : opened, err);
	json_decref(b.jobs);
	if (c->json) {
		CLEANUP(json) json_t *all = json_pack("{s:O}", "data", b.answers);
		cli_print_json(all);
	}
	json_decref(b.answers);
	if (r >= 0 && b.refused)
		return err_set(err, ERR_INVALID, "%zu of %zu jobs were refused; the others were submitted",
			       b.refused, b.refused + b.created);
	return r;
}
