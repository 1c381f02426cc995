/* SPDX-License-Identifier: Apache-2.0 */
/* backup, restore. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/path.h"
#include "base/unit.h"
#include "cli/backup.h"
#include "cli/cli_int.h"

#define PROGRESS_MS 500

struct progress {
	const struct cli *c;
	const char *verb;
	int64_t told_ms;
};

static void show_progress(void *arg, const struct backup_sum *sum)
{
	struct progress *p = arg;
	int64_t now = clock_monotonic_ms(&clock_real);
	char bytes[32];
	if (!p->c->tty_err || p->c->quiet || now - p->told_ms < PROGRESS_MS)
		return;
	p->told_ms = now;
	unit_format_bytes(sum->bytes, bytes);
	fprintf(stderr, "\r\033[K%s: %lld files, %s", p->verb, (long long)sum->files, bytes);
}

static void end_progress(const struct cli *c)
{
	if (c->tty_err && !c->quiet)
		fputs("\r\033[K", stderr);
}

/* A descriptor for each level of a deep folder. */
static void raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static json_t *make_head(const json_t *snapshot)
{
	json_t *head =
	    json_pack("{s:i, s:s, s:s, s:I}", "format", BACKUP_FORMAT, "version", CLOUDML_VERSION, "metadata",
		      snapshot ? "sqlite" : "none", "time_ms", (json_int_t)cli_now_ms());
	if (snapshot) {
		json_object_set_new(head, "schema", json_integer(cli_int(snapshot, "schema")));
		json_object_set_new(head, "jobs", json_integer(cli_int(snapshot, "jobs")));
	}
	return head;
}

static void print_result(struct cli *c, const char *verb, const char *file, const char *folder, json_t *head,
			 const struct backup_sum *sum)
{
	char bytes[32];
	unit_format_bytes(sum->bytes, bytes);
	if (c->json) {
		json_object_set_new(head, "file", json_string(file));
		json_object_set_new(head, "data_folder", json_string(folder));
		json_object_set_new(head, "files", json_integer(sum->files));
		json_object_set_new(head, "bytes", json_integer(sum->bytes));
		cli_print_json(head);
		return;
	}
	printf("%s: %lld files, %s", verb, (long long)sum->files, bytes);
	if (json_object_get(head, "jobs"))
		printf(", %lld jobs", (long long)cli_int(head, "jobs"));
	putchar('\n');
}

/* The server's copy of the metadata; an absolute path, owned. */
static int take_snapshot(struct cli *c, json_t **ret, char **ret_path, struct err *err)
{
	cli_mean_own_server(c);
	int r = cli_connect(c, err);
	if (r >= 0)
		r = client_call(c->client, "POST", "/api/v1/snapshot", NULL, NULL, ret, err);
	if (r == -ERR_UNSUPPORTED)
		return err_wrap(err, "for the other files give --without-metadata");
	if (r < 0)
		return r;
	const char *name = cli_str(*ret, "file");
	if (path_check(name, strlen(name), err) < 0)
		return err_wrap(err, "the server's copy of the metadata");
	*ret_path = mem_printf("%s/%s", c->config.data_folder, name);
	return 0;
}

int cmd_backup(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *file = a->positional[0];
	CLEANUP(json) json_t *snapshot = NULL;
	CLEANUP(free) char *metadata = NULL;
	struct progress progress = {.c = c, .verb = "backing up"};
	struct backup_sum sum = {0};
	int r = 0;
	raise_descriptors();
	if (access(file, F_OK) == 0)
		return err_set(err, ERR_EXISTS, "'%s' exists already; choose another name", file);
	if (!cli_opt(a, "without-metadata"))
		r = take_snapshot(c, &snapshot, &metadata, err);
	if (r < 0)
		return r;
	CLEANUP(json) json_t *head = make_head(snapshot);
	r = backup_write(file, c->config.data_folder, head, metadata, show_progress, &progress, &sum, err);
	if (metadata)
		unlink(metadata);
	end_progress(c);
	if (r >= 0)
		print_result(c, "backed up", file, c->config.data_folder, head, &sum);
	return r;
}

int cmd_restore(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *file = a->positional[0];
	CLEANUP(free) char *folder = mem_strdup(c->config.data_folder);
	CLEANUP(json) json_t *head = NULL;
	struct progress progress = {.c = c, .verb = "restoring"};
	struct backup_sum sum = {0};
	raise_descriptors();
	for (size_t len = strlen(folder); len > 1 && folder[len - 1] == '/';)
		folder[--len] = 0;
	int r = backup_restore(file, folder, show_progress, &progress, &head, &sum, err);
	end_progress(c);
	if (r < 0)
		return r;
	print_result(c, "restored", file, folder, head, &sum);
	cli_note(c, "start it with: cloudml up --data %s", folder);
	if (!strcmp(cli_str(head, "metadata"), "none"))
		cli_note(c, "the metadata is not in this backup; restore it with PostgreSQL's tools");
	return 0;
}
