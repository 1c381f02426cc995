/* SPDX-License-Identifier: Apache-2.0 */
/* The file system's calls (libfuse's high-level interface) and its run. */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fuse.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/map.h"
#include "base/mem.h"
#include "mount/mount_int.h"

#define PAGE_LIMIT 1000
#define BLOCK_BYTES 4096

static struct mount_store *store_here(void)
{
	return fuse_get_context()->private_data;
}

static bool is_interrupted(void)
{
	return fuse_interrupted();
}

static struct stat stat_of(bool folder, int64_t size, int64_t modified_ms)
{
	const struct timespec time = {modified_ms / 1000, modified_ms % 1000 * 1000000};
	return (struct stat){.st_mode = folder ? S_IFDIR | 0555 : S_IFREG | 0444,
			     .st_nlink = folder ? 2 : 1,
			     .st_uid = getuid(),
			     .st_gid = getgid(),
			     .st_size = size,
			     .st_blksize = MOUNT_WINDOW_MIN,
			     .st_blocks = (size + 511) / 512,
			     .st_atim = time,
			     .st_mtim = time,
			     .st_ctim = time};
}

/* 0 when anything has the folder's prefix, its marker as well; else -ENOENT. */
static int look_for_folder(struct mount_store *s, const char *path)
{
	json_t *page = NULL;
	int r = mount_store_list(s, path, "", 1, &page);
	if (r >= 0 && path[1] && !json_array_size(json_object_get(page, "data")))
		r = -ENOENT;
	json_decref(page);
	return r;
}

static int fs_getattr(const char *path, struct stat *ret, struct fuse_file_info *fi)
{
	struct mount_object o;
	int r = -ENOENT;
	if (fi && fi->fh)
		o = *mount_file_object((struct mount_file *)(uintptr_t)fi->fh);
	else if (path[1])
		r = mount_store_stat(store_here(), path, &o);
	if ((fi && fi->fh) || r >= 0) {
		*ret = stat_of(false, o.size, o.modified_ms);
		return 0;
	}
	if (r != -ENOENT)
		return r;
	r = look_for_folder(store_here(), path);
	if (r >= 0)
		*ret = stat_of(true, 0, 0);
	return r;
}

static int fs_open(const char *path, struct fuse_file_info *fi)
{
	struct mount_file *f = NULL;
	int r = mount_file_open(store_here(), path, &f);
	if (r < 0)
		return r;
	fi->fh = (uintptr_t)f;
	fi->direct_io = 1; /* pages are of a path: they would mix the objects of two openings */
	return 0;
}

static int fs_read(const char *path, char *ret, size_t size, off_t offset, struct fuse_file_info *fi)
{
	return (int)mount_file_read((struct mount_file *)(uintptr_t)fi->fh, ret, size, offset);
}

static int fs_release(const char *path, struct fuse_file_info *fi)
{
	mount_file_free((struct mount_file *)(uintptr_t)fi->fh);
	return 0;
}

/* ---- folders ---- */

struct reading {
	const struct mount_store *store;
	const char *path;
	void *to;
	fuse_fill_dir_t fill;
	struct map *seen; /* "a" and "a/b" may both be keys: the file is what is found under the name */
};

/* The store may have keys that no file can be named after: they are not shown. */
static bool is_name(const char *name)
{
	return *name && strlen(name) <= NAME_MAX && !strchr(name, '/') && strcmp(name, ".") &&
	       strcmp(name, "..");
}

static int add_entry(struct reading *g, const json_t *entry)
{
	const char *key = json_string_value(json_object_get(entry, "key"));
	const char *prefix = json_string_value(json_object_get(entry, "prefix"));
	const char *tail = mount_store_name(g->store, g->path, key ? key : prefix ? prefix : "");
	if (!tail)
		return 0;
	CLEANUP(free) char *name = mem_strdup(tail);
	size_t len = strlen(name);
	if (!key && len)
		name[len - 1] = '\0';
	if (!is_name(name) || map_get(g->seen, name))
		return 0;
	map_set(g->seen, name, g);
	const struct stat st = stat_of(!key, json_integer_value(json_object_get(entry, "size")),
				       json_integer_value(json_object_get(entry, "modified_ms")));
	return g->fill(g->to, name, &st, 0, FUSE_FILL_DIR_PLUS) ? -ENOMEM : 0;
}

static int add_page(struct reading *g, const json_t *page, char **after)
{
	const json_t *data = json_object_get(page, "data"), *entry;
	size_t i;
	json_array_foreach(data, i, entry)
	{
		int r = add_entry(g, entry);
		if (r < 0)
			return r;
		const char *key = json_string_value(json_object_get(entry, "key"));
		free(*after);
		*after = mem_strdup(key ? key : json_string_value(json_object_get(entry, "prefix")));
	}
	return json_is_true(json_object_get(page, "truncated")) && i > 0;
}

static int fs_readdir(const char *path, void *to, fuse_fill_dir_t fill, off_t offset,
		      struct fuse_file_info *fi, enum fuse_readdir_flags flags)
{
	CLEANUP(free) char *after = mem_strdup("");
	CLEANUP(map) struct map *seen = map_new(NULL);
	struct reading g = {store_here(), path, to, fill, seen};
	int r = fill(to, ".", NULL, 0, 0) || fill(to, "..", NULL, 0, 0) ? -ENOMEM : 1;
	while (r == 1) {
		json_t *page = NULL;
		r = mount_store_list(store_here(), path, after, PAGE_LIMIT, &page);
		if (r >= 0)
			r = add_page(&g, page, &after);
		json_decref(page);
	}
	return r;
}

static int fs_statfs(const char *path, struct statvfs *ret)
{
	int64_t bytes = 0, objects = 0;
	int r = mount_store_bytes(store_here(), &bytes, &objects);
	if (r < 0)
		return r;
	*ret = (struct statvfs){.f_bsize = BLOCK_BYTES,
				.f_frsize = BLOCK_BYTES,
				.f_blocks = (fsblkcnt_t)((bytes + BLOCK_BYTES - 1) / BLOCK_BYTES),
				.f_files = (fsfilcnt_t)objects,
				.f_flag = ST_RDONLY,
				.f_namemax = NAME_MAX};
	return 0;
}

static void *fs_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
	config->attr_timeout = 1;
	config->entry_timeout = 1;
	config->negative_timeout = 0;
	return fuse_get_context()->private_data;
}

static const struct fuse_operations operations = {
    .getattr = fs_getattr,
    .open = fs_open,
    .read = fs_read,
    .release = fs_release,
    .readdir = fs_readdir,
    .statfs = fs_statfs,
    .init = fs_init,
};

/* ---- its run ---- */

static bool is_never(void)
{
	return false;
}

/* Before the folder is mounted: is there such a bucket, may we read it? */
static int check_bucket(const struct mount_options *o, struct err *err)
{
	struct mount_store *s = mount_store_new(o, is_never);
	int r = look_for_folder(s, "/");
	mount_store_free(s);
	if (r == -ENOENT)
		return err_set(err, ERR_NOT_FOUND, "there is no bucket '%s'; see 'cloudml store ls'",
			       o->bucket);
	return r < 0 ? err_sys(err, -r, "cannot list 'fds://%s/%s'", o->bucket, o->prefix) : 0;
}

static int serve(struct fuse *f, const struct mount_options *o, struct err *err)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	struct fuse_session *session = fuse_get_session(f);
	int r = fuse_daemonize(o->foreground);
	if (r == 0)
		r = fuse_set_signal_handlers(session);
	if (r == 0) {
		r = fuse_loop_mt(f, config);
		fuse_remove_signal_handlers(session);
	}
	fuse_loop_cfg_destroy(config);
	return r < 0 ? err_set(err, ERR_IO, "the mount of '%s' broke off", o->folder) : 0;
}

int mount_run(const struct mount_options *o, struct err *err)
{
	CLEANUP(free)
	char *names = mem_printf("-oro,nosuid,nodev,subtype=cloudml,fsname=fds://%s", o->bucket);
	char *argv[] = {"cloudml-mount", names, NULL};
	struct fuse_args args = FUSE_ARGS_INIT(2, argv);
	int r = check_bucket(o, err);
	if (r < 0)
		return r;
	struct mount_store *s = mount_store_new(o, is_interrupted);
	struct fuse *f = fuse_new(&args, &operations, sizeof(operations), s);
	if (!f) {
		r = err_set(err, ERR_INTERNAL, "libfuse refuses its options");
	} else if (fuse_mount(f, o->folder) < 0) {
		r = err_set(err, ERR_IO, "cannot mount on '%s': is there /dev/fuse, and the package fuse3?",
			    o->folder);
	} else {
		r = serve(f, o, err);
		fuse_unmount(f);
	}
	if (f)
		fuse_destroy(f);
	fuse_opt_free_args(&args);
	mount_store_free(s);
	return r;
}
