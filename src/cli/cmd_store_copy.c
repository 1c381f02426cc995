/* SPDX-License-Identifier: Apache-2.0 */
/* store cp. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/path.h"
#include "cli/store.h"

static int write_fd(void *arg, const void *data, size_t len)
{
	return fd_write_all(*(int *)arg, data, len, NULL);
}

/* Into a temporary file beside the target, so that a broken transfer leaves the old file alone. */
static int download_file(struct cli *c, const char *path, const char *target, struct err *err)
{
	CLEANUP(free) char *part = mem_printf("%s.cloudml-part", target);
	CLEANUP(fd) int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return err_sys(err, errno, "cannot write '%s'", part);
	int r = client_download(c->client, path, write_fd, &fd, err);
	if (r == -ERR_CANCELLED)
		r = err_set(err, ERR_IO, "cannot write '%s'", part);
	if (r >= 0 && rename(part, target) < 0)
		r = err_sys(err, errno, "cannot rename to '%s'", target);
	if (r < 0)
		unlink(part);
	else
		cli_changed(c, json_pack("{s:s}", "file", target), "%s", target);
	return r;
}

struct download {
	const char *bucket, *prefix, *target;
};

static int download_entry(struct cli *c, const struct download *d, const json_t *entry, struct err *err)
{
	const char *key = cli_str(entry, "key"), *below = key + strlen(d->prefix);
	while (*below == '/')
		below++;
	/* Keys come from others: only clean ones become files here. */
	int r = path_check(below, strlen(below), err);
	if (r < 0)
		return err_wrap(err, "the key '%s'", key);
	CLEANUP(free) char *target = mem_printf("%s/%s", d->target, below);
	CLEANUP(free) char *folder = mem_strndup(target, (size_t)(strrchr(target, '/') - target));
	CLEANUP(free) char *escaped = client_escape(key, true);
	CLEANUP(free) char *path = mem_printf("/api/v1/store/%s/%s", d->bucket, escaped);
	CLEANUP(fd) int root = -1;
	if (mkdir(d->target, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make folder '%s'", d->target);
	root = open(d->target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "cannot open folder '%s'", d->target);
	if (strlen(folder) > strlen(d->target))
		r = path_mkdirs(root, folder + strlen(d->target) + 1, 0755, err);
	return r < 0 ? r : download_file(c, path, target, err);
}

static int download_page(struct cli *c, void *arg, const json_t *page, struct err *err)
{
	size_t i;
	const json_t *entry;
	int r = 0;
	json_array_foreach(page, i, entry) if (r >= 0) r = download_entry(c, arg, entry, err);
	return r;
}

static int upload_file(struct cli *c, const char *file, const char *path, struct err *err)
{
	CLEANUP(fd) int fd = open(file, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot open '%s'", file);
	if (!S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "'%s' is not a file; copy a folder with --recursive", file);
	json_t *object = NULL;
	int r = client_upload(c->client, path, fd, st.st_size, NULL, NULL, NULL, &object, err);
	if (r >= 0)
		cli_changed(c, object, "%s", file);
	return r < 0 ? err_wrap(err, "uploading '%s'", file) : 0;
}

static int upload_tree(struct cli *c, const char *folder, const char *path, int depth, struct err *err)
{
	CLEANUP(dir) DIR *d = opendir(folder);
	int r = 0;
	if (!d || depth > 64)
		return d ? err_set(err, ERR_INVALID, "folders nest too deeply at '%s'", folder)
			 : err_sys(err, errno, "cannot open folder '%s'", folder);
	for (struct dirent *e; r >= 0 && (e = readdir(d));) {
		struct stat st;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		CLEANUP(free) char *child = mem_printf("%s/%s", folder, e->d_name);
		CLEANUP(free) char *escaped = client_escape(e->d_name, false);
		CLEANUP(free) char *child_path = mem_printf("%s/%s", path, escaped);
		if (lstat(child, &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			r = upload_tree(c, child, child_path, depth + 1, err);
		else if (S_ISREG(st.st_mode))
			r = upload_file(c, child, child_path, err);
	}
	return r;
}

static int copy_up(struct cli *c, const char *from, const char *to, bool recursive, struct err *err)
{
	CLEANUP(store_uri) struct store_uri u = {0};
	int r = store_uri_parse(to, &u, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *path = mem_printf("/api/v1/store/%s", u.path);
	size_t n = strlen(path);
	bool into = !*u.key || path[n - 1] == '/';
	if (recursive) {
		while (n && path[n - 1] == '/')
			path[--n] = '\0';
		return upload_tree(c, from, path, 0, err);
	}
	CLEANUP(free) char *name = client_escape(strrchr(from, '/') ? strrchr(from, '/') + 1 : from, false);
	CLEANUP(free) char *whole = into ? mem_printf("%s%s", path, name) : mem_strdup(path);
	return upload_file(c, from, whole, err);
}

static int copy_down(struct cli *c, const char *from, const char *to, bool recursive, struct err *err)
{
	CLEANUP(store_uri) struct store_uri u = {0};
	struct stat st;
	int r = store_uri_parse(from, &u, err);
	if (r < 0)
		return r;
	if (recursive) {
		const struct store_list l = {.bucket = u.bucket, .prefix = u.key, .flat = true};
		const struct download d = {u.bucket, u.key, to};
		return store_each_page(c, &l, download_page, (void *)&d, err);
	}
	CLEANUP(free) char *path = mem_printf("/api/v1/store/%s", u.path);
	const char *name = strrchr(u.key, '/') ? strrchr(u.key, '/') + 1 : u.key;
	if (!*name)
		return err_set(err, ERR_INVALID, "'%s' is a folder; copy it with --recursive", from);
	bool into = stat(to, &st) == 0 && S_ISDIR(st.st_mode);
	CLEANUP(free) char *target = into ? mem_printf("%s/%s", to, name) : mem_strdup(to);
	return download_file(c, path, target, err);
}

int cmd_store_cp(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *from = a->positional[0], *to = a->positional[1];
	bool recursive = cli_opt(a, "recursive") != NULL;
	int r = cli_connect(c, err);
	if (r < 0)
		return r;
	c->changed = json_array();
	if (store_is_uri(from) == store_is_uri(to))
		return err_set(err, ERR_INVALID,
			       "one of the two must be an fds:// address and the other a file here");
	return store_is_uri(to) ? copy_up(c, from, to, recursive, err)
				: copy_down(c, from, to, recursive, err);
}
