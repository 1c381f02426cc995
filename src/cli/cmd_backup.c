/* SPDX-License-Identifier: Apache-2.0 */
/* backup, restore. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/path.h"
#include "base/unit.h"
#include "cli/backup.h"
#include "cli/cli_int.h"

#define PROGRESS_MS 500
#define RENEWALS 10 /* of a hold, before it would end */

struct progress {
	struct cli *c;
	const char *verb;
	int64_t told_ms;
	char *hold; /* owned; on the server's files. NULL = none */
	int64_t renewed_ms, renew_ms;
	int lock_fd; /* of a store without a server; -1 = none */
};

static void show_progress(struct progress *p, const struct backup_sum *sum)
{
	int64_t now = clock_monotonic_ms(&clock_real);
	char bytes[32];
	if (!p->c->tty_err || p->c->quiet || now - p->told_ms < PROGRESS_MS)
		return;
	p->told_ms = now;
	unit_format_bytes(sum->bytes, bytes);
	fprintf(stderr, "\r\033[K%s: %lld files, %s", p->verb, (long long)sum->files, bytes);
}

static int show_restore(void *arg, const struct backup_sum *sum, struct err *err)
{
	show_progress(arg, sum);
	return 0;
}

/* ---- what is deleted meanwhile stays until we have read it ---- */

static int call_hold(struct progress *p, const char *method, json_t **ret, struct err *err)
{
	CLEANUP(free)
	char *path =
	    p->hold ? mem_printf("/api/v1/store-holds/%s", p->hold) : mem_strdup("/api/v1/store-holds");
	int64_t now = clock_monotonic_ms(&clock_real); /* before the server's deadline begins */
	int r = client_call(p->c->client, method, path, NULL, NULL, ret, err);
	if (r >= 0)
		p->renewed_ms = now;
	return r;
}

/* Without a server nothing changes, and none may start before we are done. */
static int lock_store(struct progress *p, struct err *err)
{
	struct err why = *err;
	*err = ERR_INIT;
	CLEANUP(free) char *path = mem_printf("%s/objects/lock", p->c->config.data_folder);
	if (access(path, F_OK) < 0) /* nothing was ever in there */
		return 0;
	int r = fd_lock_file(AT_FDCWD, path, false, err);
	if (r == -ERR_CONFLICT) {
		*err = why;
		return err_wrap(err, "a server has the object store open, and does not answer");
	}
	if (r < 0)
		return r;
	p->lock_fd = r;
	return 0;
}

static int begin_hold(struct progress *p, bool needs_server, struct err *err)
{
	CLEANUP(json) json_t *hold = NULL;
	cli_mean_own_server(p->c);
	int r = cli_connect(p->c, err);
	if (r >= 0)
		r = call_hold(p, "POST", &hold, err);
	if (r == -ERR_UNAVAILABLE && !needs_server)
		return lock_store(p, err);
	if (r < 0)
		return r;
	p->hold = mem_strdup(cli_str(hold, "id"));
	p->renew_ms = cli_int(hold, "hold_ms") / RENEWALS;
	return 0;
}

/* Where the log ends now. */
static int renew_hold(struct progress *p, struct backup_cut *ret, struct err *err)
{
	CLEANUP(json) json_t *hold = NULL;
	if (!p->hold)
		return 0;
	int r = call_hold(p, "POST", &hold, err);
	if (r < 0)
		return err_wrap(err,
				"objects that were deleted meanwhile may be missing, so the backup ends");
	*ret = (struct backup_cut){(uint32_t)cli_int(hold, "segment"), cli_int(hold, "end")};
	return 0;
}

/* It ends by itself when nobody hears this. */
static void end_hold(struct progress *p)
{
	struct err ignored = ERR_INIT;
	CLEANUP(json) json_t *answer = NULL;
	if (p->hold)
		call_hold(p, "DELETE", &answer, &ignored);
	free(p->hold);
	p->hold = NULL;
	cleanup_fd(&p->lock_fd);
}

/* The last renewal says that all that was read was held. */
static int keep_hold(void *arg, const struct backup_sum *sum, struct err *err)
{
	struct progress *p = arg;
	struct backup_cut ignored;
	show_progress(p, sum);
	bool is_due = clock_monotonic_ms(&clock_real) - p->renewed_ms >= p->renew_ms;
	return sum->is_read || is_due ? renew_hold(p, &ignored, err) : 0;
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
	int r = client_call(c->client, "POST", "/api/v1/snapshot", NULL, NULL, ret, err);
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

/* Holds, then copies the metadata, then asks where the log ends: what a row names lies before that. */
static int copy_all(struct progress *p, const char *file, bool with_metadata, struct err *err)
{
	struct cli *c = p->c;
	CLEANUP(json) json_t *snapshot = NULL;
	CLEANUP(free) char *metadata = NULL;
	struct backup_sum sum = {0};
	struct backup_cut cut = {0};
	int r = begin_hold(p, with_metadata, err);
	if (r >= 0 && with_metadata)
		r = take_snapshot(c, &snapshot, &metadata, err);
	if (r < 0)
		return r;
	CLEANUP(json) json_t *head = make_head(snapshot);
	r = renew_hold(p, &cut, err);
	if (r >= 0)
		r = backup_write(file, c->config.data_folder, head, metadata, &cut, keep_hold, p, &sum, err);
	if (metadata)
		unlink(metadata);
	end_progress(c);
	if (r >= 0)
		print_result(c, "backed up", file, c->config.data_folder, head, &sum);
	return r;
}

int cmd_backup(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *file = a->positional[0];
	struct progress progress = {.c = c, .verb = "backing up", .lock_fd = -1};
	raise_descriptors();
	if (access(file, F_OK) == 0)
		return err_set(err, ERR_EXISTS, "'%s' exists already; choose another name", file);
	int r = copy_all(&progress, file, !cli_opt(a, "without-metadata"), err);
	end_hold(&progress);
	return r;
}

int cmd_restore(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *file = a->positional[0];
	CLEANUP(free) char *folder = mem_strdup(c->config.data_folder);
	CLEANUP(json) json_t *head = NULL;
	struct progress progress = {.c = c, .verb = "restoring", .lock_fd = -1};
	struct backup_sum sum = {0};
	raise_descriptors();
	for (size_t len = strlen(folder); len > 1 && folder[len - 1] == '/';)
		folder[--len] = 0;
	int r = backup_restore(file, folder, show_restore, &progress, &head, &sum, err);
	end_progress(c);
	if (r < 0)
		return r;
	print_result(c, "restored", file, folder, head, &sum);
	cli_note(c, "start it with: cloudml up --data %s", folder);
	if (!strcmp(cli_str(head, "metadata"), "none"))
		cli_note(c, "the metadata is not in this backup; restore it with PostgreSQL's tools");
	return 0;
}
