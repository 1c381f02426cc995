/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the store; the table of its calls. */
#include "blobs/blobs_int.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#define FORMAT_LINE "cloudml-objects 1\n"

static void blobs_close(struct blob_store *s)
{
	if (!s)
		return;
	struct blobs *b = blobs_of(s);
	cleanup_fd(&b->root_fd);
	cleanup_fd(&b->buckets_fd);
	cleanup_fd(&b->data_fd);
	cleanup_fd(&b->tmp_fd);
	cleanup_fd(&b->lock_fd);
	map_free(b->owners);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

static const struct blob_ops ops = {
    .name = "files",
    .close = blobs_close,
    .bucket_create = bucket_create,
    .bucket_list = bucket_list,
    .bucket_remove = bucket_remove,
    .put_begin = put_begin,
    .put_write = put_write,
    .put_commit = put_commit,
    .put_abort = put_abort,
    .get_open = get_open,
    .get_read = get_read,
    .get_close = get_close,
    .stat = object_stat,
    .remove = object_remove,
    .list = list_objects,
};

static int open_folder(int at, const char *name, int *ret, struct err *err)
{
	int r = path_mkdirs(at, name, 0700, err);
	if (r < 0)
		return r;
	r = path_open(at, name, O_RDONLY | O_DIRECTORY, 0, err);
	if (r < 0)
		return r;
	*ret = r;
	return 0;
}

static int check_format(struct blobs *b, struct err *err)
{
	CLEANUP(buf) struct buf line = BUF_INIT;
	int r = fd_read_file(b->root_fd, "format", 64, &line, err);
	if (r == -ERR_NOT_FOUND)
		return fd_write_file(b->root_fd, "format", FORMAT_LINE, strlen(FORMAT_LINE), 0600, err);
	if (r < 0)
		return r;
	if (strcmp(buf_str(&line), FORMAT_LINE) != 0)
		return err_set(
		    err, ERR_UNSUPPORTED,
		    "object store has another format; this version reads 'cloudml-objects 1' only");
	return 0;
}

static int remove_temporaries(struct blobs *b, struct err *err)
{
	int fd = path_open(b->tmp_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	CLEANUP(dir) DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_sys(err, errno, "cannot read folder 'tmp'");
	}
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.' && unlinkat(b->tmp_fd, e->d_name, 0) < 0)
			return err_sys(err, errno, "cannot remove 'tmp/%s'", e->d_name);
	return 0;
}

static int open_parts(struct blobs *b, const char *data_folder, struct err *err)
{
	CLEANUP(free) char *root = mem_printf("%s/objects", data_folder);
	int r = path_make_absolute_dirs(root, 0700, err);
	if (r < 0)
		return r;
	b->root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->root_fd < 0)
		return err_sys(err, errno, "cannot open '%s'", root);
	r = fd_lock_file(b->root_fd, "lock", false, err);
	if (r == -ERR_CONFLICT)
		return err_set(err, ERR_CONFLICT, "another server uses '%s'; stop it first", root);
	if (r < 0)
		return r;
	b->lock_fd = r;
	if ((r = check_format(b, err)) < 0 ||
	    (r = open_folder(b->root_fd, "buckets", &b->buckets_fd, err)) < 0 ||
	    (r = open_folder(b->root_fd, "data", &b->data_fd, err)) < 0 ||
	    (r = open_folder(b->root_fd, "tmp", &b->tmp_fd, err)) < 0)
		return r;
	r = fd_sync(b->root_fd, err);
	return r < 0 ? r : remove_temporaries(b, err);
}

int blobs_open(const char *data_folder, struct blob_store **ret, struct err *err)
{
	struct blobs *b = MEM_NEW(struct blobs);
	b->base.ops = &ops;
	b->root_fd = b->lock_fd = b->buckets_fd = b->data_fd = b->tmp_fd = -1;
	pthread_mutex_init(&b->lock, NULL);
	b->owners = map_new(free);
	int r = open_parts(b, data_folder, err);
	if (r < 0) {
		blobs_close(&b->base);
		return err_wrap(err, "opening the object store");
	}
	*ret = &b->base;
	return 0;
}
