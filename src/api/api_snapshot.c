/* SPDX-License-Identifier: Apache-2.0 */
/* A copy of the metadata for `cloudml backup`: made and checked here, taken by whoever may read the data
 * folder. */
#include "api/api_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/path.h"
#include "store/store.h"

struct snapshot {
	struct http_exchange *x;
	struct api *api;
	char name[48]; /* below the data folder */
	char *path;    /* owned */
	struct store_backup_info info;
	struct err err;
};

static void snapshot_free(struct snapshot *s)
{
	free(s->path);
	free(s);
}

static void answer(void *arg)
{
	struct snapshot *s = arg;
	if (s->err.code) {
		unlink(s->path);
		http_reply_error(s->x, &s->err);
	} else {
		http_reply_json(s->x, 201,
				json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "data_folder",
					  s->api->config.data_folder, "file", s->name, "bytes",
					  (json_int_t)s->info.bytes, "schema", (json_int_t)s->info.schema,
					  "jobs", (json_int_t)s->info.jobs, "time_ms",
					  (json_int_t)clock_wall_ms(s->api->config.clock)));
	}
	s->api->works--;
	snapshot_free(s);
}

static void check(void *arg)
{
	struct snapshot *s = arg;
	store_backup_check(s->path, &s->info, &s->err);
}

static void on_copied(void *arg, int r, const struct err *err)
{
	struct snapshot *s = arg;
	s->err = *err;
	if (r < 0)
		answer(s);
	else
		api_work(s->api, check, answer, s);
}

/* The file is made first, with its mode: nobody else may read it at any time. */
static int make_file(struct snapshot *s)
{
	char id[17];
	rng_id(s->api->config.rng, id, sizeof(id) - 1);
	path_format(s->name, sizeof(s->name), "run/snapshot-%s.db", id);
	s->path = mem_printf("%s/%s", s->api->config.data_folder, s->name);
	CLEANUP(fd) int fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	return fd < 0 ? err_sys(&s->err, errno, "cannot make '%s'", s->path) : 0;
}

static void post_snapshot(struct http_exchange *x, void *app)
{
	struct snapshot *s = MEM_NEW(struct snapshot);
	s->x = x;
	s->api = app;
	if (make_file(s) < 0) {
		http_reply_error(x, &s->err);
		snapshot_free(s);
		return;
	}
	s->api->works++; /* until it has answered */
	store_backup(s->api->config.store, s->path, on_copied, s);
}

const struct http_route api_snapshot_routes[] = {
    {"POST", "/api/v1/snapshot", HTTP_PLATFORM, HTTP_BODY_NONE, 0, post_snapshot, "system",
     "Copy the metadata into a file of the data folder, for 'cloudml backup'", NULL, NULL, "Snapshot", 201},
    {.method = NULL},
};
