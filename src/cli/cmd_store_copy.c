/* SPDX-License-Identifier: Apache-2.0 */
/* store cp and sync. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/map.h"
#include "base/path.h"
#include "cli/transfer.h"

#define DEPTH_MAX 64

/* What is on the other side, by its name below the two roots. */
struct there {
	int64_t size, modified_ms;
	bool is_here; /* too */
};
struct copy {
	struct cli *cli;
	struct transfers *transfers;
	const char *folder;   /* root here */
	struct store_uri uri; /* root there; its key is "" or ends in '/' */
	struct map *there;    /* struct there; NULL = everything is copied */
	const char *version;  /* of the one object that comes here; NULL = the newest */
	bool is_dry;
};

/* ---- the two sides ---- */

typedef int file_fn(struct copy *c, const char *below, const struct stat *st, struct err *err);

/* Calls fn with each regular file below the root, links left alone. "" = the root itself. */
static int walk(struct copy *c, const char *below, int depth, file_fn *fn, struct err *err)
{
	CLEANUP(free) char *folder = mem_printf("%s%s%s", c->folder, *below ? "/" : "", below);
	CLEANUP(dir) DIR *d = opendir(folder);
	int r = 0;
	if (!d || depth > DEPTH_MAX)
		return d ? err_set(err, ERR_INVALID, "folders nest too deeply at '%s'", folder)
			 : err_sys(err, errno, "cannot open folder '%s'", folder);
	for (struct dirent *e; r >= 0 && (e = readdir(d));) {
		struct stat st;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		CLEANUP(free) char *child = mem_printf("%s%s%s", below, *below ? "/" : "", e->d_name);
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			r = walk(c, child, depth + 1, fn, err);
		else if (S_ISREG(st.st_mode))
			r = fn(c, child, &st, err);
	}
	return r;
}

typedef int object_fn(struct copy *c, const char *below, const json_t *entry, struct err *err);
struct object_walk {
	struct copy *copy;
	object_fn *fn;
	size_t count;
};

static int walk_page(struct cli *cli, void *arg, const json_t *page, struct err *err)
{
	struct object_walk *w = arg;
	size_t i;
	const json_t *entry;
	int r = 0;
	json_array_foreach(page, i, entry)
	{
		const char *below = cli_str(entry, "key") + strlen(w->copy->uri.key);
		/* What programs make as signs of folders is nothing to copy. */
		if (r < 0 || !*below || below[strlen(below) - 1] == '/')
			continue;
		w->count++;
		r = w->fn(w->copy, below, entry, err);
	}
	return r;
}

/* How many there were. */
static int64_t walk_objects(struct copy *c, object_fn *fn, struct err *err)
{
	const struct store_list l = {.bucket = c->uri.bucket, .prefix = c->uri.key, .flat = true};
	struct object_walk w = {c, fn, 0};
	int r = store_each_page(c->cli, &l, walk_page, &w, err);
	return r < 0 ? r : (int64_t)w.count;
}

/* ---- one file ---- */

static void tell(const struct copy *c, const char *verb, const char *what)
{
	cli_changed(c->cli, json_pack("{s:s, s:s}", verb, what, "dry_run", "true"), "would %s %s", verb,
		    what);
}

/* As rsync and aws do: another size, or younger than what is there. */
static bool is_needed(const struct copy *c, const char *below, int64_t size, int64_t modified_ms)
{
	struct there *t = c->there ? map_get(c->there, below) : NULL;
	if (!t)
		return true;
	t->is_here = true;
	return t->size != size || modified_ms > t->modified_ms;
}

static int64_t modified_ms(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

static int send_file(struct copy *c, const char *below, const struct stat *st, struct err *err)
{
	CLEANUP(free) char *file = mem_printf("%s/%s", c->folder, below);
	CLEANUP(free) char *key = mem_printf("%s%s", c->uri.key, below);
	if (!is_needed(c, below, st->st_size, modified_ms(st)))
		return 0;
	if (c->is_dry) {
		tell(c, "copy", file);
		return 0;
	}
	return transfers_up(c->transfers, file, c->uri.bucket, key, err);
}

/* Keys come from others: only clean ones become files here, and only below the folder. */
static int make_folder_of(const struct copy *c, const char *below, struct err *err)
{
	const char *slash = strrchr(below, '/');
	CLEANUP(free) char *folder = slash ? mem_strndup(below, (size_t)(slash - below)) : NULL;
	if (mkdir(c->folder, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make folder '%s'", c->folder);
	CLEANUP(fd) int root = open(c->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "cannot open folder '%s'", c->folder);
	return folder ? path_mkdirs(root, folder, 0755, err) : 0;
}

static int get_object(struct copy *c, const char *below, const json_t *entry, struct err *err)
{
	const char *key = cli_str(entry, "key");
	CLEANUP(free) char *file = mem_printf("%s/%s", c->folder, below);
	int r = path_check(below, strlen(below), err);
	if (r < 0)
		return err_wrap(err, "the key '%s'", key);
	if (!is_needed(c, below, cli_int(entry, "size"), cli_int(entry, "modified_ms")))
		return 0;
	if (c->is_dry) {
		tell(c, "copy", key);
		return 0;
	}
	r = make_folder_of(c, below, err);
	return r < 0 ? r : transfers_down(c->transfers, c->uri.bucket, key, NULL, file, err);
}

/* ---- cp ---- */

static int copy_tree(struct copy *c, const char *uri, bool up, struct err *err)
{
	size_t n = strlen(c->uri.key);
	if (n && c->uri.key[n - 1] != '/') {
		char *key = mem_printf("%s/", c->uri.key);
		free(c->uri.key);
		c->uri.key = key;
	}
	int64_t count = up ? walk(c, "", 0, send_file, err) : walk_objects(c, get_object, err);
	if (!up && count == 0)
		return err_set(err, ERR_NOT_FOUND, "nothing is below '%s'", uri);
	return count < 0 ? (int)count : 0;
}

static const char *last_name(const char *path)
{
	return strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
}

static int copy_one(struct copy *c, const char *from, const char *to, bool up, struct err *err)
{
	struct stat st;
	size_t n = strlen(c->uri.key);
	if (up) {
		bool into = !n || c->uri.key[n - 1] == '/';
		CLEANUP(free) char *key = mem_printf("%s%s", c->uri.key, into ? last_name(from) : "");
		return transfers_up(c->transfers, from, c->uri.bucket, key, err);
	}
	const char *name = last_name(c->uri.key);
	if (!*name)
		return err_set(err, ERR_INVALID, "'%s' is a folder; copy it with --recursive", from);
	bool into = stat(to, &st) == 0 && S_ISDIR(st.st_mode);
	CLEANUP(free) char *file = mem_printf("%s%s%s", to, into ? "/" : "", into ? name : "");
	return transfers_down(c->transfers, c->uri.bucket, c->uri.key, c->version, file, err);
}

static int copy_open(struct copy *c, const struct cli_args *a, bool *ret_up, struct err *err)
{
	const char *from = a->positional[0], *to = a->positional[1];
	*ret_up = store_is_uri(to);
	c->cli->changed = json_array();
	if (!store_is_uri(from) && !*ret_up)
		return err_set(err, ERR_INVALID, "one of the two must be an fds:// address");
	c->folder = *ret_up ? from : to;
	int r = store_uri_parse(*ret_up ? to : from, &c->uri, err);
	return r < 0 ? r : cli_connect(c->cli, err);
}

int cmd_store_cp(struct cli *cli, const struct cli_args *a, struct err *err)
{
	struct copy c = {.cli = cli, .version = cli_opt(a, "version")};
	bool up;
	if (store_is_uri(a->positional[0]) && store_is_uri(a->positional[1]))
		return store_copy_across(cli, a, false, err);
	int r = copy_open(&c, a, &up, err);
	if (r >= 0 && c.version && (up || cli_opt(a, "recursive")))
		r = err_set(err, ERR_INVALID, "--version names what is read of one object of the store");
	if (r >= 0) {
		c.transfers = transfers_new(cli, false);
		r = cli_opt(a, "recursive") ? copy_tree(&c, a->positional[0], up, err)
					    : copy_one(&c, a->positional[0], a->positional[1], up, err);
		r = transfers_end(c.transfers, r, err);
	}
	store_uri_done(&c.uri);
	return r;
}

/* ---- sync ---- */

static void note_there(struct copy *c, const char *below, int64_t size, int64_t ms)
{
	struct there *t = MEM_NEW(struct there);
	t->size = size;
	t->modified_ms = ms;
	map_set(c->there, below, t);
}

static int note_file(struct copy *c, const char *below, const struct stat *st, struct err *err)
{
	note_there(c, below, st->st_size, modified_ms(st));
	return 0;
}

static int note_object(struct copy *c, const char *below, const json_t *entry, struct err *err)
{
	note_there(c, below, cli_int(entry, "size"), cli_int(entry, "modified_ms"));
	return 0;
}

static int delete_there(struct copy *c, const char *below, bool up, struct err *err)
{
	CLEANUP(free) char *key = mem_printf("%s%s", c->uri.key, below);
	CLEANUP(free)
	char *what =
	    up ? mem_printf("fds://%s/%s", c->uri.bucket, key) : mem_printf("%s/%s", c->folder, below);
	if (c->is_dry) {
		tell(c, "remove", what);
		return 0;
	}
	if (up) {
		CLEANUP(free) char *path = store_route("store", c->uri.bucket, key, NULL);
		int r = client_call(c->cli->client, "DELETE", path, NULL, NULL, NULL, err);
		if (r < 0)
			return r;
	} else if (unlink(what) < 0 && errno != ENOENT) {
		return err_sys(err, errno, "cannot remove '%s'", what);
	}
	cli_changed(c->cli, json_pack("{s:s}", "removed", what), "removed %s", what);
	return 0;
}

static int delete_rest(struct copy *c, bool up, struct err *err)
{
	const char *below;
	void *value;
	int r = 0;
	for (size_t i = 0; r >= 0 && map_next(c->there, &i, &below, &value);)
		if (!((struct there *)value)->is_here)
			r = delete_there(c, below, up, err);
	return r;
}

/* A folder here that is not there yet has no files. */
static int note_all(struct copy *c, bool up, struct err *err)
{
	struct stat st;
	size_t n = strlen(c->uri.key);
	if (n && c->uri.key[n - 1] != '/') {
		char *key = mem_printf("%s/", c->uri.key);
		free(c->uri.key);
		c->uri.key = key;
	}
	if (!up)
		return stat(c->folder, &st) < 0 && errno == ENOENT ? 0 : walk(c, "", 0, note_file, err);
	int64_t count = walk_objects(c, note_object, err);
	return count < 0 ? (int)count : 0;
}

int cmd_store_sync(struct cli *cli, const struct cli_args *a, struct err *err)
{
	if (store_is_uri(a->positional[0]) && store_is_uri(a->positional[1]))
		return store_sync_across(cli, a, err);
	struct copy c = {.cli = cli, .there = map_new(free), .is_dry = cli_opt(a, "dry-run") != NULL};
	bool up;
	int r = copy_open(&c, a, &up, err);
	if (r >= 0)
		r = note_all(&c, up, err);
	if (r >= 0) {
		c.transfers = transfers_new(cli, true);
		r = copy_tree(&c, a->positional[0], up, err);
		r = transfers_end(c.transfers, r, err);
	}
	/* Only what was copied whole may take the place of what goes. */
	if (r >= 0 && cli_opt(a, "delete"))
		r = delete_rest(&c, up, err);
	map_free(c.there);
	store_uri_done(&c.uri);
	return r;
}
