/* SPDX-License-Identifier: Apache-2.0 */
/* One object's file: where it lies, its header, reading and removing it. */
#include "blobs/blobs_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

static const char magic[8] = {'C', 'M', 'L', 'O', 'B', 'J', '1', '\n'};

enum { AT_SIZE = 8, AT_TIME = 16, AT_SHA = 24, AT_TYPE = 56, AT_CHECK = 224 };

void object_name(const char *bucket, const char *key, struct object_name *ret)
{
	const char *slash = strrchr(key, '/');
	if (slash)
		path_format(ret->folder, sizeof(ret->folder), "%s/%.*s/" OBJECTS_FOLDER, bucket,
			    (int)(slash - key), key);
	else
		path_format(ret->folder, sizeof(ret->folder), "%s/" OBJECTS_FOLDER, bucket);
	ret->leaf = slash ? slash + 1 : key;
}

static void put_u64(unsigned char *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint64_t take_u64(const unsigned char *p)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c - 'a' + 10;
}

static void header_check_of(const unsigned char *header, unsigned char ret[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx ctx;
	sha256_init(&ctx);
	sha256_update(&ctx, AT_CHECK, header);
	sha256_digest(&ctx, SHA256_DIGEST_SIZE, ret);
}

void object_header_format(const struct blob_info *info, unsigned char ret[OBJECT_HEADER_BYTES])
{
	memset(ret, 0, OBJECT_HEADER_BYTES);
	memcpy(ret, magic, sizeof(magic));
	put_u64(ret + AT_SIZE, (uint64_t)info->size_bytes);
	put_u64(ret + AT_TIME, (uint64_t)info->modified_ms);
	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
		ret[AT_SHA + i] =
		    (unsigned char)(hex_value(info->etag[2 * i]) << 4 | hex_value(info->etag[2 * i + 1]));
	memcpy(ret + AT_TYPE, info->content_type,
	       strnlen(info->content_type, sizeof(info->content_type) - 1));
	header_check_of(ret, ret + AT_CHECK);
}

static bool header_parse(const unsigned char *header, struct blob_info *ret)
{
	unsigned char check[SHA256_DIGEST_SIZE];
	header_check_of(header, check);
	if (memcmp(header, magic, sizeof(magic)) != 0 || memcmp(check, header + AT_CHECK, sizeof(check)) != 0)
		return false;
	*ret = (struct blob_info){.size_bytes = (int64_t)take_u64(header + AT_SIZE),
				  .modified_ms = (int64_t)take_u64(header + AT_TIME)};
	for (size_t i = 0; i < SHA256_DIGEST_SIZE; i++)
		snprintf(ret->etag + 2 * i, 3, "%02x", header[AT_SHA + i]);
	memcpy(ret->content_type, header + AT_TYPE, sizeof(ret->content_type) - 1);
	return ret->size_bytes >= 0;
}

static int header_read(int fd, const char *bucket, const char *key, struct blob_info *ret, struct err *err)
{
	unsigned char header[OBJECT_HEADER_BYTES];
	struct stat st;
	ssize_t n;
	do
		n = pread(fd, header, sizeof(header), 0);
	while (n < 0 && errno == EINTR);
	if (n < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot read object '%s' of bucket '%s'", key, bucket);
	if (n != sizeof(header) || !header_parse(header, ret) ||
	    st.st_size != OBJECT_HEADER_BYTES + ret->size_bytes)
		return err_set(err, ERR_CORRUPT,
			       "object '%s' of bucket '%s' is damaged; restore it from a backup", key,
			       bucket);
	return 0;
}

int object_open(struct blobs *b, const char *bucket, const char *key, struct blob_info *ret, struct err *err)
{
	struct object_name name;
	char path[OBJECT_PATH_MAX + PATH_SEGMENT_MAX + 2];
	object_name(bucket, key, &name);
	path_format(path, sizeof(path), "%s/%s", name.folder, name.leaf);
	CLEANUP(fd) int fd = path_open(b->data_fd, path, O_RDONLY, 0, err);
	if (fd == -ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "there is no object '%s' in bucket '%s'", key, bucket);
	if (fd < 0)
		return fd;
	int r = header_read(fd, bucket, key, ret, err);
	if (r < 0)
		return r;
	r = fd;
	fd = -1;
	return r;
}

static int open_checked(struct blob_store *s, const char *org, const char *bucket, const char *key,
			struct blob_info *ret, struct err *err)
{
	int r = bucket_check(blobs_of(s), org, bucket, err);
	if (r < 0 || (r = uri_key_check(key, false, err)) < 0)
		return r;
	return object_open(blobs_of(s), bucket, key, ret, err);
}

int object_stat(struct blob_store *s, const char *org, const char *bucket, const char *key,
		struct blob_info *ret, struct err *err)
{
	CLEANUP(fd) int fd = open_checked(s, org, bucket, key, ret, err);
	return fd < 0 ? fd : 0;
}

struct blob_get {
	int fd;
	int64_t size_bytes;
};

int get_open(struct blob_store *s, const char *org, const char *bucket, const char *key,
	     struct blob_get **ret, struct blob_info *ret_info, struct err *err)
{
	struct blob_info info;
	int fd = open_checked(s, org, bucket, key, &info, err);
	if (fd < 0)
		return fd;
	struct blob_get *g = MEM_NEW(struct blob_get);
	g->fd = fd;
	g->size_bytes = info.size_bytes;
	if (ret_info)
		*ret_info = info;
	*ret = g;
	return 0;
}

ssize_t get_read(struct blob_get *g, int64_t offset, void *data, size_t len, struct err *err)
{
	if (offset < 0)
		return err_set(err, ERR_INVALID, "offset %lld is negative", (long long)offset);
	if (offset >= g->size_bytes || len == 0)
		return 0;
	if ((int64_t)len > g->size_bytes - offset)
		len = (size_t)(g->size_bytes - offset);
	ssize_t n;
	do
		n = pread(g->fd, data, len, OBJECT_HEADER_BYTES + offset);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, errno, "cannot read the object");
	if (n == 0)
		return err_set(err, ERR_CORRUPT, "object ends at byte %lld of %lld", (long long)offset,
			       (long long)g->size_bytes);
	return n;
}

void get_close(struct blob_get *g)
{
	if (!g)
		return;
	close(g->fd);
	free(g);
}

/* Removes folders that have become empty, from the objects' folder upwards; a neighbour's upload stops it. */
static void prune(struct blobs *b, char *folder)
{
	for (char *slash; (slash = strrchr(folder, '/')); *slash = '\0') {
		*slash = '\0';
		struct err ignored = ERR_INIT;
		CLEANUP(fd) int parent = path_open(b->data_fd, folder, O_PATH | O_DIRECTORY, 0, &ignored);
		if (parent < 0 || unlinkat(parent, slash + 1, AT_REMOVEDIR) < 0)
			return;
	}
}

int object_remove(struct blob_store *s, const char *org, const char *bucket, const char *key, struct err *err)
{
	struct blobs *b = blobs_of(s);
	int r = bucket_check(b, org, bucket, err);
	if (r < 0 || (r = uri_key_check(key, false, err)) < 0)
		return r;
	struct object_name name;
	object_name(bucket, key, &name);
	CLEANUP(fd) int folder = path_open(b->data_fd, name.folder, O_RDONLY | O_DIRECTORY, 0, err);
	if (folder == -ERR_NOT_FOUND)
		return 0;
	if (folder < 0)
		return folder;
	if (unlinkat(folder, name.leaf, 0) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot remove object '%s'", key);
	r = fd_sync(folder, err);
	if (r < 0)
		return err_wrap(err, "removing object '%s'", key);
	prune(b, name.folder);
	return 0;
}
