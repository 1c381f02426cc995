/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads: a temporary file that one rename makes visible. */
#include "blobs/blobs_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

/* A neighbour may remove the folder between making it and the rename into it; each round needs another such
 * removal. */
#define RENAME_TRIES 100

struct blob_put {
	struct blobs *store;
	int fd;
	char tmp[24];
	char org[CORE_NAME_MAX + 1], bucket[CORE_NAME_MAX + 1];
	char key[URI_KEY_MAX + 1];
	int64_t expected_size;
	char expected_sha256[DIGEST_HEX_LEN + 1]; /* "" = not announced */
	struct digest digest;
	struct blob_info info;
	bool failed; /* a write failed: nothing can be committed */
};

void put_abort(struct blob_put *p)
{
	if (!p)
		return;
	if (p->fd >= 0) {
		unlinkat(p->store->tmp_fd, p->tmp, 0);
		close(p->fd);
	}
	free(p);
}

static void cleanup_put(struct blob_put **p)
{
	put_abort(*p);
}

static int check_announced(struct blobs *b, const char *content_type, int64_t size, const char *sha256,
			   struct err *err)
{
	if (content_type && strlen(content_type) >= sizeof(((struct blob_info *)0)->content_type))
		return err_set(err, ERR_INVALID, "content type is longer than 127 bytes");
	for (const char *p = content_type; p && *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			return err_set(err, ERR_INVALID, "content type is not printable ASCII");
	if (sha256 &&
	    (strlen(sha256) != DIGEST_HEX_LEN || strspn(sha256, "0123456789abcdefABCDEF") != DIGEST_HEX_LEN))
		return err_set(err, ERR_INVALID, "announced SHA-256 is not 64 hexadecimal characters");
	if (size > BLOBS_OBJECT_MAX_BYTES)
		return err_set(err, ERR_TOO_LARGE, "object of %lld bytes is larger than 5 TiB",
			       (long long)size);
	struct statvfs fs;
	if (size > 0 && fstatvfs(b->tmp_fd, &fs) == 0 && (uint64_t)size > (uint64_t)fs.f_bavail * fs.f_frsize)
		return err_set(err, ERR_DISK_FULL,
			       "disk has no room for %lld bytes; remove objects or add space",
			       (long long)size);
	return 0;
}

static int open_temporary(struct blob_put *p, struct err *err)
{
	snprintf(p->tmp, sizeof(p->tmp), "%016llx",
		 (unsigned long long)atomic_fetch_add(&p->store->next_tmp, 1));
	int fd = path_open(p->store->tmp_fd, p->tmp, O_RDWR | O_CREAT | O_EXCL, 0600, err);
	if (fd < 0)
		return err_wrap(err, "beginning an upload");
	p->fd = fd;
	if (lseek(fd, OBJECT_HEADER_BYTES, SEEK_SET) < 0)
		return err_sys(err, errno, "beginning an upload");
	return 0;
}

int put_begin(struct blob_store *s, const char *org, const char *bucket, const char *key,
	      const char *content_type, int64_t expected_size, const char *expected_sha256,
	      struct blob_put **ret, struct err *err)
{
	struct blobs *b = blobs_of(s);
	int r = bucket_check(b, org, bucket, err);
	if (r < 0 || (r = uri_key_check(key, false, err)) < 0 ||
	    (r = check_announced(b, content_type, expected_size, expected_sha256, err)) < 0)
		return r;
	CLEANUP(put) struct blob_put *p = MEM_NEW(struct blob_put);
	p->store = b;
	p->fd = -1;
	p->expected_size = expected_size;
	snprintf(p->org, sizeof(p->org), "%s", org);
	snprintf(p->bucket, sizeof(p->bucket), "%s", bucket);
	snprintf(p->key, sizeof(p->key), "%s", key);
	snprintf(p->info.content_type, sizeof(p->info.content_type), "%s", content_type ? content_type : "");
	for (size_t i = 0; expected_sha256 && i < DIGEST_HEX_LEN; i++)
		p->expected_sha256[i] = (char)(expected_sha256[i] | 0x20); /* digits have the bit already */
	digest_init(&p->digest);
	r = open_temporary(p, err);
	if (r < 0)
		return r;
	*ret = STEAL(p);
	return 0;
}

int put_write(struct blob_put *p, const void *data, size_t len, struct err *err)
{
	if (p->failed)
		return err_set(err, ERR_STATE, "upload has failed before");
	int64_t most = p->expected_size >= 0 ? p->expected_size : BLOBS_OBJECT_MAX_BYTES;
	if (len > (uint64_t)(most - p->info.size_bytes)) {
		p->failed = true;
		return err_set(err, p->expected_size >= 0 ? ERR_INVALID : ERR_TOO_LARGE,
			       "upload of '%s' is longer than %lld bytes", p->key, (long long)most);
	}
	int r = fd_write_all(p->fd, data, len, err);
	if (r < 0) {
		p->failed = true;
		return err_wrap(err, "uploading '%s'", p->key);
	}
	digest_update(&p->digest, data, len);
	p->info.size_bytes += (int64_t)len;
	return 0;
}

static int check_received(struct blob_put *p, struct err *err)
{
	if (p->failed)
		return err_set(err, ERR_STATE, "upload of '%s' has failed before", p->key);
	if (p->expected_size >= 0 && p->info.size_bytes != p->expected_size)
		return err_set(err, ERR_INVALID, "upload of '%s' has %lld bytes, %lld were announced", p->key,
			       (long long)p->info.size_bytes, (long long)p->expected_size);
	digest_hex(&p->digest, p->info.etag);
	if (p->expected_sha256[0] && strcmp(p->expected_sha256, p->info.etag) != 0)
		return err_set(err, ERR_INVALID, "content of '%s' does not have the announced SHA-256",
			       p->key);
	return 0;
}

static int write_header(struct blob_put *p, struct err *err)
{
	unsigned char header[OBJECT_HEADER_BYTES];
	p->info.modified_ms = clock_wall_ms(&clock_real);
	object_header_format(&p->info, header);
	for (size_t done = 0; done < sizeof(header);) {
		ssize_t n = pwrite(p->fd, header + done, sizeof(header) - done, (off_t)done);
		if (n < 0 && errno != EINTR)
			return err_sys(err, errno, "cannot write object '%s'", p->key);
		done += n > 0 ? (size_t)n : 0;
	}
	if (fdatasync(p->fd) < 0)
		return err_sys(err, errno, "cannot make object '%s' durable", p->key);
	return 0;
}

/* Returns the fd (owned) of the folder that now has the object. */
static int rename_into_place(struct blob_put *p, const struct object_name *name, struct err *err)
{
	for (int i = 0; i < RENAME_TRIES; i++) {
		CLEANUP(fd)
		int folder = path_open(p->store->data_fd, name->folder, O_RDONLY | O_DIRECTORY, 0, err);
		if (folder == -ERR_NOT_FOUND) {
			int r = path_mkdirs(p->store->data_fd, name->folder, 0700, err);
			if (r < 0 && r != -ERR_NOT_FOUND)
				return r;
			continue;
		}
		if (folder < 0)
			return folder;
		if (renameat(p->store->tmp_fd, p->tmp, folder, name->leaf) == 0) {
			int r = folder;
			folder = -1;
			return r;
		}
		if (errno != ENOENT)
			return err_sys(err, errno, "cannot put object '%s' into place", p->key);
	}
	return err_set(err, ERR_CONFLICT,
		       "folder of object '%s' is removed again and again; repeat the upload", p->key);
}

/* The folder itself and all above it: any of them may be new and not yet durable, made by us or by a
 * neighbour. */
static int sync_folders(struct blob_put *p, int folder_fd, char *folder, struct err *err)
{
	int r = fd_sync(folder_fd, err);
	for (char *slash; r == 0 && (slash = strrchr(folder, '/'));) {
		*slash = '\0';
		CLEANUP(fd) int fd = path_open(p->store->data_fd, folder, O_RDONLY | O_DIRECTORY, 0, err);
		if (fd == -ERR_NOT_FOUND)
			return 0; /* the object was removed meanwhile, and its folders with it */
		r = fd < 0 ? fd : fd_sync(fd, err);
	}
	return r;
}

int put_commit(struct blob_put *put, struct blob_info *ret, struct err *err)
{
	CLEANUP(put) struct blob_put *p = put;
	int r = check_received(p, err);
	if (r < 0 || (r = write_header(p, err)) < 0 ||
	    (r = bucket_check(p->store, p->org, p->bucket, err)) < 0) /* it may have been removed meanwhile */
		return r;
	struct object_name name;
	object_name(p->bucket, p->key, &name);
	CLEANUP(fd) int folder = rename_into_place(p, &name, err);
	if (folder < 0)
		return folder;
	close(p->fd); /* the temporary's name is gone: nothing to abort */
	p->fd = -1;
	r = sync_folders(p, folder, name.folder, err);
	if (r < 0)
		return err_wrap(err, "making object '%s' durable", p->key);
	if (ret)
		*ret = p->info;
	return 0;
}
