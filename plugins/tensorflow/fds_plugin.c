/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorFlow's file-system plugin for fds:// and s3://: TF_InitPlugin fills TensorFlow's tables, each slot
 * calls what fds_file.h and fds_folder.h have and turns struct err into a TF_Status.
 *
 * Nothing runs at the end of the process: TensorFlow never unloads a file system and its threads may still
 * use one.
 */
#include "tf_abi.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "fds_file.h"
#include "fds_folder.h"

#define REGION_ALIGNMENT 64

static struct fds_store stores[] = {
    {.is_fds = true, .lock = PTHREAD_MUTEX_INITIALIZER, .pool = FDS_POOL_INIT},
    {.is_fds = false, .lock = PTHREAD_MUTEX_INITIALIZER, .pool = FDS_POOL_INIT},
};

/* TF_SetStatus of the TensorFlow that has loaded us. Looked up, not linked: in some programs its symbols are
 * local to it, and no library of that name need be there when this one is built. */
static void (*set_status)(struct tf_status *s, int code, const char *message);

static void answer(struct tf_status *s, int r, const struct err *err)
{
	set_status(s, r < 0 ? err_grpc(-r) : 0, r < 0 ? err->msg : "");
}

/* ---- reading ---- */

static void reader_cleanup(struct tf_object *file)
{
	fds_reader_free(file->own);
	file->own = NULL;
}

static int64_t reader_read(const struct tf_object *file, uint64_t offset, size_t n, char *buffer,
			   struct tf_status *s)
{
	struct err err = ERR_INIT;
	if (offset > INT64_MAX / 2 || n > INT64_MAX / 2) {
		set_status(s, err_grpc(ERR_INVALID), "offset or length is out of bounds");
		return -1;
	}
	ssize_t got = fds_reader_read(file->own, (int64_t)offset, buffer, n, &err);
	if (got >= 0 && (size_t)got < n)
		set_status(s, 11 /* OUT_OF_RANGE */, "read fewer bytes than requested: end of file");
	else
		answer(s, got < 0 ? (int)got : 0, &err);
	return got < 0 ? -1 : got;
}

struct region {
	char *data;
	size_t len;
};

static void region_cleanup(struct tf_object *region)
{
	struct region *g = region->own;
	free(g->data);
	free(g);
	region->own = NULL;
}

static const void *region_data(const struct tf_object *region)
{
	return ((struct region *)region->own)->data;
}

static uint64_t region_length(const struct tf_object *region)
{
	return ((struct region *)region->own)->len;
}

/* ---- writing ---- */

static void writer_cleanup(struct tf_object *file)
{
	fds_writer_free(file->own);
	file->own = NULL;
}

static void writer_append(const struct tf_object *file, const char *buffer, size_t n, struct tf_status *s)
{
	struct err err = ERR_INIT;
	answer(s, fds_writer_append(file->own, buffer, n, &err), &err);
}

static int64_t writer_tell(const struct tf_object *file, struct tf_status *s)
{
	set_status(s, 0, "");
	return fds_writer_tell(file->own);
}

/* flush, sync and close: a second close has nothing left to publish. */
static void writer_publish(const struct tf_object *file, struct tf_status *s)
{
	struct err err = ERR_INIT;
	answer(s, fds_writer_publish(file->own, &err), &err);
}

/* ---- the file system ---- */

static void fs_init(struct tf_object *fs, struct tf_status *s)
{
	set_status(s, 0, "");
}

static void fs_cleanup(struct tf_object *fs)
{
}

/* The scheme says which of the two it is: TensorFlow gives init no hint which one it makes. */
static struct fds_store *open_path(const char *uri, struct fds_path *ret, int *r, struct err *err)
{
	*r = fds_path_parse(uri, ret, err);
	return &stores[strncmp(uri, "s3://", 5) == 0];
}

/* A folder opened as a file is not "not found". */
static int refuse_folder(struct fds_store *s, const struct fds_path *at, int r, struct err *err)
{
	struct fds_status status;
	struct err look = ERR_INIT;
	if (r == -ERR_NOT_FOUND && fds_folder_stat(s, at, &status, &look) >= 0 && status.is_folder)
		return err_set(err, ERR_STATE, "'fds://%s/%.300s' is a folder", at->bucket, at->key);
	return r;
}

static void fs_new_reader(TF_FS, const char *path, struct tf_object *file, struct tf_status *s)
{
	struct err err = ERR_INIT;
	struct fds_path at;
	struct fds_reader *reader;
	int r;
	struct fds_store *store = open_path(path, &at, &r, &err);
	if (r >= 0 && !at.key[0])
		r = err_set(&err, ERR_STATE, "'%.300s' is a folder", path);
	if (r >= 0)
		r = refuse_folder(store, &at, fds_reader_open(store, &at, &reader, &err), &err);
	if (r >= 0)
		file->own = reader;
	answer(s, r, &err);
}

static void new_writer(const char *path, bool append, struct tf_object *file, struct tf_status *s)
{
	struct err err = ERR_INIT;
	struct fds_path at;
	struct fds_writer *writer;
	int r;
	struct fds_store *store = open_path(path, &at, &r, &err);
	size_t len = strlen(path);
	if (r >= 0 && (!at.key[0] || path[len - 1] == '/'))
		r = err_set(&err, ERR_STATE, "'%.300s' is a folder", path);
	if (r >= 0)
		r = fds_writer_open(store, &at, append, &writer, &err);
	if (r >= 0)
		file->own = writer;
	answer(s, r, &err);
}

static void fs_new_writer(TF_FS, const char *path, struct tf_object *file, struct tf_status *s)
{
	new_writer(path, false, file, s);
}

static void fs_new_appender(TF_FS, const char *path, struct tf_object *file, struct tf_status *s)
{
	new_writer(path, true, file, s);
}

static int read_region(struct fds_store *store, const struct fds_path *at, struct region *g, struct err *err)
{
	struct fds_status status;
	int r = fds_folder_stat(store, at, &status, err);
	if (r < 0)
		return r;
	if (status.is_folder)
		return err_set(err, ERR_STATE, "'fds://%s/%.300s' is a folder", at->bucket, at->key);
	g->len = (size_t)status.object.size;
	if (!g->len)
		return err_set(err, ERR_INVALID, "'fds://%s/%.300s' is empty", at->bucket, at->key);
	/* Tensors are made over it, and those are aligned. */
	if (posix_memalign((void **)&g->data, REGION_ALIGNMENT, g->len) != 0)
		return err_set(err, ERR_NO_MEMORY, "no memory for the %zu bytes of 'fds://%s/%.300s'", g->len,
			       at->bucket, at->key);
	ssize_t got = fds_object_read(store, at, 0, g->data, g->len, &status.object, err);
	if (got >= 0 && (size_t)got != g->len)
		return err_set(err, ERR_CONFLICT, "'fds://%s/%.300s' was replaced while it was read",
			       at->bucket, at->key);
	return got < 0 ? (int)got : 0;
}

static void fs_new_region(TF_FS, const char *path, struct tf_object *region, struct tf_status *s)
{
	struct err err = ERR_INIT;
	struct fds_path at;
	struct region *g = MEM_NEW(struct region);
	int r;
	struct fds_store *store = open_path(path, &at, &r, &err);
	if (r >= 0)
		r = read_region(store, &at, g, &err);
	region->own = g;
	if (r < 0)
		region_cleanup(region);
	answer(s, r, &err);
}

/* ---- one path in, a status out ---- */

static void with_path(const char *path,
		      int (*call)(struct fds_store *s, const struct fds_path *at, struct err *err), int fine,
		      struct tf_status *s)
{
	struct err err = ERR_INIT;
	struct fds_path at;
	int r;
	struct fds_store *store = open_path(path, &at, &r, &err);
	if (r >= 0)
		r = call(store, &at, &err);
	answer(s, r == -fine ? 0 : r, &err);
}

static void fs_create_dir(TF_FS, const char *path, struct tf_status *s)
{
	with_path(path, fds_folder_create, 0, s);
}

static void fs_create_dirs(TF_FS, const char *path, struct tf_status *s)
{
	with_path(path, fds_folder_create, ERR_EXISTS, s);
}

static void fs_delete_file(TF_FS, const char *path, struct tf_status *s)
{
	with_path(path, fds_file_delete, 0, s);
}

static void fs_delete_dir(TF_FS, const char *path, struct tf_status *s)
{
	with_path(path, fds_folder_delete, 0, s);
}

static void fs_delete_tree(TF_FS, const char *path, uint64_t *undeleted_files, uint64_t *undeleted_dirs,
			   struct tf_status *s)
{
	struct err err = ERR_INIT;
	struct fds_path at;
	int r;
	struct fds_store *store = open_path(path, &at, &r, &err);
	*undeleted_files = *undeleted_dirs = 0;
	if (r >= 0)
		r = fds_folder_delete_tree(store, &at, undeleted_files, &err);
	if (r < 0 && !*undeleted_files)
		*undeleted_dirs = 1;
	answer(s, r, &err);
}

/* ---- two paths ---- */

static void with_paths(const char *from, const char *to,
		       int (*call)(struct fds_store *s, const struct fds_path *from,
				   const struct fds_path *to, struct err *err),
		       struct tf_status *s)
{
	struct err err = ERR_INIT;
	struct fds_path source, target;
	int r = fds_path_parse(to, &target, &err);
	struct fds_store *store = r < 0 ? NULL : open_path(from, &source, &r, &err);
	if (r >= 0)
		r = call(store, &source, &target, &err);
	answer(s, r, &err);
}

static void fs_rename(TF_FS, const char *from, const char *to, struct tf_status *s)
{
	with_paths(from, to, fds_file_rename, s);
}

static void fs_copy(TF_FS, const char *from, const char *to, struct tf_status *s)
{
	with_paths(from, to, fds_file_copy, s);
}

/* ---- looking ---- */

static int look(const char *path, struct fds_status *ret, struct tf_status *s)
{
	struct err err = ERR_INIT;
	struct fds_path at;
	int r;
	struct fds_store *store = open_path(path, &at, &r, &err);
	if (r >= 0)
		r = fds_folder_stat(store, &at, ret, &err);
	answer(s, r, &err);
	return r;
}

static void fs_path_exists(TF_FS, const char *path, struct tf_status *s)
{
	struct fds_status status;
	look(path, &status, s);
}

static void fs_stat(TF_FS, const char *path, struct tf_statistics *ret, struct tf_status *s)
{
	struct fds_status status;
	if (look(path, &status, s) >= 0)
		*ret =
		    (struct tf_statistics){status.object.size, status.object.modified_ns, status.is_folder};
}

static bool fs_is_directory(TF_FS, const char *path, struct tf_status *s)
{
	struct fds_status status;
	if (look(path, &status, s) < 0)
		return false;
	/* TensorFlow looks at the code alone. */
	if (!status.is_folder)
		set_status(s, err_grpc(ERR_STATE), "this is a file");
	return status.is_folder;
}

static int64_t fs_file_size(TF_FS, const char *path, struct tf_status *s)
{
	struct fds_status status;
	if (look(path, &status, s) < 0)
		return -1;
	if (status.is_folder) {
		set_status(s, err_grpc(ERR_STATE), "this is a folder, it has no size");
		return -1;
	}
	return status.object.size;
}

static char *fs_translate_name(TF_FS, const char *uri)
{
	return fds_path_clean(uri);
}

/* Gives names to TensorFlow, which frees each of them and the array. */
static int hand_over(struct fds_names *names, int r, const struct err *err, char ***entries,
		     struct tf_status *s)
{
	answer(s, r, err);
	if (r < 0)
		return -1;
	int count = (int)names->count;
	*entries = names->items ? names->items : mem_alloc(sizeof(char *));
	*names = (struct fds_names){0};
	return count;
}

static int fs_get_children(TF_FS, const char *path, char ***entries, struct tf_status *s)
{
	CLEANUP(fds_names) struct fds_names names = {0};
	struct err err = ERR_INIT;
	struct fds_path at;
	int r;
	struct fds_store *store = open_path(path, &at, &r, &err);
	if (r >= 0)
		r = fds_folder_list(store, &at, &names, &err);
	return hand_over(&names, r, &err, entries, s);
}

static int fs_get_matching_paths(TF_FS, const char *glob, char ***entries, struct tf_status *s)
{
	CLEANUP(fds_names) struct fds_names names = {0};
	struct err err = ERR_INIT;
	int r = fds_folder_match(&stores[strncmp(glob, "s3://", 5) == 0], glob, &names, &err);
	return hand_over(&names, r, &err, entries, s);
}

/* ---- registration ---- */

static const struct tf_filesystem_ops filesystem_ops = {
    .init = fs_init,
    .cleanup = fs_cleanup,
    .new_random_access_file = fs_new_reader,
    .new_writable_file = fs_new_writer,
    .new_appendable_file = fs_new_appender,
    .new_region = fs_new_region,
    .create_dir = fs_create_dir,
    .recursively_create_dir = fs_create_dirs,
    .delete_file = fs_delete_file,
    .delete_dir = fs_delete_dir,
    .delete_recursively = fs_delete_tree,
    .rename_file = fs_rename,
    .copy_file = fs_copy,
    .path_exists = fs_path_exists,
    .stat = fs_stat,
    .is_directory = fs_is_directory,
    .get_file_size = fs_file_size,
    .translate_name = fs_translate_name,
    .get_children = fs_get_children,
    .get_matching_paths = fs_get_matching_paths,
};
static const struct tf_random_access_ops random_access_ops = {reader_cleanup, reader_read};
static const struct tf_writable_ops writable_ops = {writer_cleanup, writer_append,  writer_tell,
						    writer_publish, writer_publish, writer_publish};
static const struct tf_region_ops region_ops = {region_cleanup, region_data, region_length};

/* TensorFlow frees what it is given, so it gets copies. */
static void *copy_of(const void *table, size_t size)
{
	return memcpy(mem_alloc(size), table, size);
}

static void fill(struct tf_plugin_ops *ops, const char *scheme)
{
	ops->scheme = mem_strdup(scheme);
	ops->filesystem_size = sizeof(filesystem_ops);
	ops->filesystem = copy_of(&filesystem_ops, sizeof(filesystem_ops));
	ops->random_access_size = sizeof(random_access_ops);
	ops->random_access = copy_of(&random_access_ops, sizeof(random_access_ops));
	ops->writable_size = sizeof(writable_ops);
	ops->writable = copy_of(&writable_ops, sizeof(writable_ops));
	ops->region_size = sizeof(region_ops);
	ops->region = copy_of(&region_ops, sizeof(region_ops));
}

static void *find_symbol(const char *name)
{
	static const char *const libraries[] = {"libtensorflow_framework.so.2", "libtensorflow_framework.so"};
	void *found = dlsym(RTLD_DEFAULT, name);
	for (size_t i = 0; i < ARRAY_LEN(libraries) && !found; i++) {
		void *library = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
		found = library ? dlsym(library, name) : NULL;
	}
	return found;
}

__attribute__((visibility("default"))) void TF_InitPlugin(struct tf_plugin_info *info)
{
	static const char *const schemes[] = {"fds", "s3"};
	*(void **)&set_status = find_symbol("TF_SetStatus");
	info->allocate = mem_alloc;
	info->release = free;
	if (!set_status) {
		fputs(
		    "cloudml: the file-system plugin finds no TF_SetStatus: no TensorFlow 2 has loaded it\n",
		    stderr);
		return;
	}
	info->num_schemes = ARRAY_LEN(schemes);
	info->ops = mem_alloc(ARRAY_LEN(schemes) * sizeof(*info->ops));
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
		fill(&info->ops[i], schemes[i]);
}
