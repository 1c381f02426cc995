/* SPDX-License-Identifier: Apache-2.0 */
/* Uploading a folder that untrusted code wrote. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/mem.h"
#include "base/path.h"
#include "blobs/blobs.h"
#include "core/uri.h"

#define CHUNK_BYTES 262144

struct import {
	struct blob_store *store;
	const char *org, *bucket;
	struct blobs_limits limits;
	struct blobs_stats stats;
	int64_t seen_files, seen_bytes; /* unchanged ones included */
	char key[URI_KEY_MAX + PATH_SEGMENT_MAX + 2];
	size_t key_len;
	char *chunk;
};

static void skip(struct import *im, int64_t *counter, const char *name)
{
	(*counter)++;
	if (im->stats.first_skipped[0])
		return;
	snprintf(im->stats.first_skipped, sizeof(im->stats.first_skipped), "%.*s%s", (int)im->key_len,
		 im->key, name);
	for (char *p = im->stats.first_skipped; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
}

static int over_bytes(struct import *im, struct err *err)
{
	return err_set(err, ERR_TOO_LARGE, "folder has more than %lld bytes at '%s'; write less or split it",
		       (long long)im->limits.bytes, im->key);
}

/* Reads on until 'most' bytes; returns the count, 0 at the end. The file may grow or shrink under our hands.
 */
static ssize_t read_chunk(struct import *im, int fd, int64_t offset, struct err *err)
{
	ssize_t n;
	do
		n = pread(fd, im->chunk, CHUNK_BYTES, offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, errno, "cannot read '%s'", im->key) : n;
}

static int digest_file(struct import *im, int fd, int64_t size, char ret[DIGEST_HEX_LEN + 1], struct err *err)
{
	struct digest d;
	digest_init(&d);
	ssize_t n = 1;
	for (int64_t offset = 0; offset <= size && n > 0; offset += n) {
		n = read_chunk(im, fd, offset, err);
		if (n < 0)
			return (int)n;
		digest_update(&d, im->chunk, (size_t)n);
	}
	digest_hex(&d, ret);
	return 0;
}

/* 1 when the store has the same content already. */
static int is_unchanged(struct import *im, int fd, int64_t size, struct err *err)
{
	struct blob_info info;
	struct err ignored = ERR_INIT;
	int r = im->store->ops->stat(im->store, im->org, im->bucket, im->key, &info, &ignored);
	if (r < 0 || info.size_bytes != size)
		return 0;
	char digest[DIGEST_HEX_LEN + 1];
	r = digest_file(im, fd, size, digest, err);
	return r < 0 ? r : strcmp(digest, info.etag) == 0;
}

static int upload(struct import *im, int fd, int64_t most, struct blob_info *ret, struct err *err)
{
	const struct blob_ops *ops = im->store->ops;
	struct blob_put *put = NULL;
	int r = ops->put_begin(im->store, im->org, im->bucket, im->key, NULL, -1, NULL, &put, err);
	if (r < 0)
		return r;
	int64_t offset = 0;
	for (ssize_t n; r == 0; offset += n) {
		n = read_chunk(im, fd, offset, err);
		if (n == 0)
			return ops->put_commit(put, ret, err);
		if (n < 0)
			r = (int)n;
		else if (offset + n > most)
			r = over_bytes(im, err);
		else
			r = ops->put_write(put, im->chunk, (size_t)n, err);
		if (r < 0)
			break;
	}
	ops->put_abort(put);
	return r;
}

static int import_file(struct import *im, int fd, int64_t size, struct err *err)
{
	if (++im->seen_files > im->limits.files)
		return err_set(err, ERR_TOO_LARGE,
			       "folder has more than %lld files; write fewer or pack them",
			       (long long)im->limits.files);
	if (size > im->limits.bytes - im->seen_bytes)
		return over_bytes(im, err);
	int r = is_unchanged(im, fd, size, err);
	if (r < 0)
		return r;
	if (r == 1) {
		im->stats.unchanged++;
		im->seen_bytes += size;
		return 0;
	}
	struct blob_info info;
	r = upload(im, fd, im->limits.bytes - im->seen_bytes, &info, err);
	if (r < 0)
		return r;
	im->seen_bytes += info.size_bytes;
	im->stats.files++;
	im->stats.bytes += info.size_bytes;
	return 0;
}

static int import_folder(struct import *im, int fd, int depth, struct err *err);

/* The kind is decided on the open file: what was looked at by name before may have been exchanged since.
 * O_NONBLOCK keeps an exchanged-in pipe from blocking the open; on regular files it means nothing. */
static int import_entry(struct import *im, int folder_fd, const char *name, int depth, struct err *err)
{
	struct stat st;
	size_t key_len = im->key_len;
	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot look at '%s%s'", im->key, name);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
		skip(im, &im->stats.skipped_special, name);
		return 0;
	}
	struct err ignored = ERR_INIT;
	snprintf(im->key + key_len, sizeof(im->key) - key_len, "%s", name);
	if (uri_key_check(im->key, false, &ignored) < 0 || depth >= BLOBS_TREE_DEPTH_MAX) {
		im->key[key_len] = '\0';
		skip(im, &im->stats.skipped_names, name);
		return 0;
	}
	int r = 0;
	CLEANUP(fd)
	int fd = path_open(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, &ignored);
	if (fd < 0 || fstat(fd, &st) < 0 || !(S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))) {
		im->key[key_len] = '\0';
		if (fd != -ERR_NOT_FOUND)
			skip(im, &im->stats.skipped_special, name);
	} else if (S_ISREG(st.st_mode)) {
		r = import_file(im, fd, st.st_size, err);
	} else {
		im->key_len = strlen(im->key);
		im->key[im->key_len++] = '/';
		im->key[im->key_len] = '\0';
		r = import_folder(im, fd, depth + 1, err);
		im->key_len = key_len;
	}
	im->key[key_len] = '\0';
	return r;
}

static int import_folder(struct import *im, int fd, int depth, struct err *err)
{
	int own = path_open(fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	if (own < 0)
		return own;
	CLEANUP(dir) DIR *d = fdopendir(own);
	if (!d) {
		close(own);
		return err_sys(err, errno, "cannot read folder '%s'", im->key);
	}
	int r = 0;
	for (struct dirent *e; r == 0 && (errno = 0, e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = import_entry(im, dirfd(d), e->d_name, depth, err);
	return r;
}

int blobs_import_tree(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		      int folder_fd, const struct blobs_limits *limits, struct blobs_stats *stats,
		      struct err *err)
{
	int r = uri_key_check(prefix, true, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *chunk = mem_alloc(CHUNK_BYTES);
	struct import im = {.store = s, .org = org, .bucket = bucket, .chunk = chunk};
	if (limits)
		im.limits = *limits;
	im.limits.files = im.limits.files ? im.limits.files : BLOBS_TREE_FILES_MAX;
	im.limits.bytes = im.limits.bytes ? im.limits.bytes : BLOBS_TREE_BYTES_MAX;
	size_t len = strlen(prefix);
	im.key_len = (size_t)snprintf(im.key, sizeof(im.key), "%s%s", prefix,
				      len && prefix[len - 1] != '/' ? "/" : "");
	r = import_folder(&im, folder_fd, 0, err);
	if (stats)
		*stats = im.stats;
	return r < 0 ? err_wrap(err, "uploading a folder to 'fds://%s/%s'", bucket, prefix) : 0;
}

int blobs_import_object(struct blob_store *s, const char *org, const char *bucket, const char *key,
			int file_fd, struct blob_info *ret, struct err *err)
{
	int r = uri_key_check(key, false, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *chunk = mem_alloc(CHUNK_BYTES);
	struct import im = {.store = s, .org = org, .bucket = bucket, .chunk = chunk};
	im.limits.bytes = BLOBS_OBJECT_MAX_BYTES;
	snprintf(im.key, sizeof(im.key), "%s", key);
	struct blob_info info;
	r = upload(&im, file_fd, im.limits.bytes, &info, err);
	if (r < 0)
		return err_wrap(err, "uploading to 'fds://%s/%s'", bucket, key);
	if (ret)
		*ret = info;
	return 0;
}
