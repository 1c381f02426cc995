/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a store of format 1: one file an object, its folders the index (docs/formats/objects.md). */
#include "blobs/blobs_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"

#define OLD_HEADER_BYTES 256
#define OLD_MAGIC "CMLOBJ1\n"
#define OLD_OBJECTS "\\" /* the folder that holds a folder's objects */

struct import {
	struct blobs *b;
	const char *org, *bucket;
	struct buf path; /* below data/ */
	struct buf key;
};

static uint64_t number_at(const unsigned char *p)
{
	uint64_t n = 0;
	for (int i = 7; i >= 0; i--)
		n = n << 8 | p[i];
	return n;
}

static int import_content(struct import *m, int fd, const char *content_type, int64_t size, struct err *err)
{
	struct blob_put *p = NULL;
	struct blob_put_options o = {.content_type = content_type, .expected_size = size};
	int r = put_begin(&m->b->base, m->org, m->bucket, buf_str(&m->key), &o, &p, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *block = mem_alloc(FILE_BLOCK_BYTES);
	for (int64_t at = 0; at < size && r == 0;) {
		ssize_t n = pread(fd, block, FILE_BLOCK_BYTES, (off_t)(OLD_HEADER_BYTES + at));
		if (n <= 0)
			r = err_set(err, ERR_CORRUPT, "object '%s' ends early", buf_str(&m->key));
		else
			r = put_write(p, block, (size_t)n, err);
		at += n;
	}
	if (r < 0) {
		put_abort(p);
		return r;
	}
	return put_commit(p, NULL, err);
}

static int import_object(struct import *m, struct err *err)
{
	unsigned char h[OLD_HEADER_BYTES];
	char type[129] = "";
	CLEANUP(fd) int fd = path_open(m->b->root_fd, buf_str(&m->path), O_RDONLY, 0, err);
	if (fd < 0 && fd != -ERR_INVALID)
		return fd;
	/* The path has the folder of objects in it, which is no clean path: opened by hand, it is our own. */
	if (fd < 0) {
		*err = ERR_INIT;
		fd = openat(m->b->root_fd, buf_str(&m->path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			return err_sys(err, errno, "cannot open object '%s'", buf_str(&m->key));
	}
	if (pread(fd, h, sizeof(h), 0) != sizeof(h) || memcmp(h, OLD_MAGIC, 8) != 0)
		return err_set(err, ERR_CORRUPT, "object '%s' of the old store cannot be read",
			       buf_str(&m->key));
	memcpy(type, h + 56, 128);
	return import_content(m, fd, type, (int64_t)number_at(h + 8), err);
}

static int import_folder(struct import *m, bool in_objects, struct err *err)
{
	int fd = openat(m->b->root_fd, buf_str(&m->path), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(dir) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return err_sys(err, errno, "cannot read folder '%s' of the old store", buf_str(&m->path));
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		size_t path_len = m->path.len, key_len = m->key.len;
		bool is_objects = strcmp(e->d_name, OLD_OBJECTS) == 0;
		buf_printf(&m->path, "/%s", e->d_name);
		if (!is_objects)
			buf_printf(&m->key, in_objects ? "%s" : "%s/", e->d_name);
		r = in_objects ? import_object(m, err) : import_folder(m, is_objects, err);
		m->path.len = path_len;
		m->path.data[path_len] = '\0';
		m->key.len = key_len;
		if (m->key.data)
			m->key.data[key_len] = '\0';
	}
	return r;
}

static int import_bucket(struct blobs *b, int buckets_fd, const char *name, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int r = json_read_file(buckets_fd, name, 4096, &j, err);
	if (r < 0)
		return r;
	const char *org = json_string_value(json_object_get(j, "org"));
	if (!org)
		return err_set(err, ERR_CORRUPT, "record of bucket '%s' has no owner", name);
	r = bucket_create(&b->base, org, name, err);
	if (r < 0)
		return r;
	struct import m = {.b = b, .org = org, .bucket = name};
	buf_printf(&m.path, "data/%s", name);
	r = import_folder(&m, false, err);
	buf_done(&m.path);
	buf_done(&m.key);
	return r;
}

int import_format_1(struct blobs *b, struct err *err)
{
	int fd = openat(b->root_fd, "buckets", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	CLEANUP(dir) DIR *d = fdopendir(fd);
	int r = d ? 0 : err_sys(err, errno, "cannot read the buckets of the old store");
	for (struct dirent *e; r == 0 && (e = readdir(d));)
		if (e->d_name[0] != '.')
			r = import_bucket(b, fd, e->d_name, err);
	if (r < 0)
		return err_wrap(err, "taking over the store of format 1");
	/* All of it is in the log now. A crash before the end only repeats this. */
	static const char *const old[] = {"data", "tmp", "buckets"};
	for (size_t i = 0; i < ARRAY_LEN(old) && r == 0; i++)
		r = path_remove_tree(b->root_fd, old[i], err);
	return r < 0 ? r : fd_sync(b->root_fd, err);
}
