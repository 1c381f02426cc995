/* SPDX-License-Identifier: Apache-2.0 */
/* Writing objects into a folder of this machine. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "blobs/blobs.h"
#include "core/uri.h"

#define CHUNK_BYTES 262144

static int make_parents(int folder_fd, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return 0;
	CLEANUP(free) char *folder = mem_strndup(path, (size_t)(slash - path));
	return path_mkdirs(folder_fd, folder, 0755, err);
}

/* Returns the fd (owned). What is there is exchanged, not written through: it may be a link to somewhere
 * else. */
static int create_file(int folder_fd, const char *path, struct err *err)
{
	int r = make_parents(folder_fd, path, err);
	if (r < 0)
		return r;
	const char *slash = strrchr(path, '/');
	CLEANUP(free) char *folder = slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(".");
	const char *leaf = slash ? slash + 1 : path;
	CLEANUP(fd) int at = path_open(folder_fd, folder, O_RDONLY | O_DIRECTORY, 0, err);
	if (at < 0)
		return at;
	if (unlinkat(at, leaf, 0) < 0 && errno != ENOENT)
		return errno == EISDIR || errno == EPERM
			   ? err_set(err, ERR_CONFLICT, "'%s' is both an object and a folder of objects",
				     path)
			   : err_sys(err, errno, "cannot replace '%s'", path);
	return path_open(at, leaf, O_WRONLY | O_CREAT | O_EXCL, 0644, err);
}

static int copy_content(const struct blob_ops *ops, struct blob_get *get, const struct blob_info *info,
			int fd, struct err *err)
{
	CLEANUP(free) char *chunk = mem_alloc(CHUNK_BYTES);
	struct digest d;
	char hex[DIGEST_HEX_LEN + 1];
	digest_init(&d);
	for (int64_t offset = 0; offset < info->size_bytes;) {
		ssize_t n = ops->get_read(get, offset, chunk, CHUNK_BYTES, err);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return err_set(err, ERR_CORRUPT, "object ends early");
		int r = fd_write_all(fd, chunk, (size_t)n, err);
		if (r < 0)
			return r;
		digest_update(&d, chunk, (size_t)n);
		offset += n;
	}
	digest_hex(&d, hex);
	if (strlen(info->etag) == DIGEST_HEX_LEN && strcmp(hex, info->etag) != 0)
		return err_set(err, ERR_CORRUPT, "content does not match its hash; restore it from a backup");
	return 0;
}

static int export_one(struct blob_store *s, const char *org, const char *bucket, const char *key,
		      int folder_fd, const char *path, int64_t most, int64_t *ret_bytes, struct err *err)
{
	struct blob_get *get = NULL;
	struct blob_info info;
	int r = s->ops->get_open(s, org, bucket, key, &get, &info, err);
	if (r < 0)
		return r;
	if (info.size_bytes > most) {
		s->ops->get_close(get);
		return err_set(err, ERR_TOO_LARGE, "objects have more bytes than the limit at '%s'", key);
	}
	CLEANUP(fd) int fd = create_file(folder_fd, path, err);
	r = fd < 0 ? fd : copy_content(s->ops, get, &info, fd, err);
	s->ops->get_close(get);
	*ret_bytes = info.size_bytes;
	return r < 0 ? err_wrap(err, "fetching 'fds://%s/%s'", bucket, key) : 0;
}

int blobs_export_object(struct blob_store *s, const char *org, const char *bucket, const char *key,
			int folder_fd, const char *path, struct err *err)
{
	int r = path_check(path, strlen(path), err);
	if (r < 0)
		return r;
	int64_t bytes;
	return export_one(s, org, bucket, key, folder_fd, path, INT64_MAX, &bytes, err);
}

struct export
{
	struct blob_store *store;
	const char *org, *bucket;
	int folder_fd;
	struct blobs_limits limits;
	struct blobs_stats stats;
	size_t prefix_len;
};

static int export_page(struct export *ex, const struct blob_list *page, struct err *err)
{
	for (size_t i = 0; i < page->count; i++) {
		if (ex->stats.files == ex->limits.files)
			return err_set(err, ERR_TOO_LARGE, "there are more than %lld objects",
				       (long long)ex->limits.files);
		const char *key = page->entries[i].key;
		int64_t bytes = 0;
		int r = export_one(ex->store, ex->org, ex->bucket, key, ex->folder_fd, key + ex->prefix_len,
				   ex->limits.bytes - ex->stats.bytes, &bytes, err);
		if (r < 0)
			return r;
		ex->stats.files++;
		ex->stats.bytes += bytes;
	}
	return 0;
}

static int export_all(struct export *ex, const char *prefix, struct err *err)
{
	CLEANUP(free) char *after = NULL;
	for (bool more = true; more;) {
		struct blob_list page = {0};
		int r = ex->store->ops->list(ex->store, ex->org, ex->bucket, prefix, after, 0, BLOB_LIST_MAX,
					     &page, err);
		if (r == 0)
			r = export_page(ex, &page, err);
		more = r == 0 && page.truncated && page.count;
		if (more) {
			free(after);
			after = mem_strdup(page.entries[page.count - 1].key);
		}
		blob_list_done(&page);
		if (r < 0)
			return r;
	}
	if (!ex->stats.files)
		return err_set(err, ERR_NOT_FOUND, "there is no object there");
	return 0;
}

int blobs_export_tree(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		      int folder_fd, const struct blobs_limits *limits, struct blobs_stats *stats,
		      struct err *err)
{
	int r = uri_key_check(prefix, true, err);
	if (r < 0)
		return r;
	struct export ex = {.store = s, .org = org, .bucket = bucket, .folder_fd = folder_fd};
	if (limits)
		ex.limits = *limits;
	ex.limits.files = ex.limits.files ? ex.limits.files : BLOBS_TREE_FILES_MAX;
	ex.limits.bytes = ex.limits.bytes ? ex.limits.bytes : BLOBS_TREE_BYTES_MAX;
	size_t len = strlen(prefix);
	CLEANUP(free) char *whole = mem_printf("%s%s", prefix, len && prefix[len - 1] != '/' ? "/" : "");
	ex.prefix_len = strlen(whole);
	r = export_all(&ex, whole, err);
	if (stats)
		*stats = ex.stats;
	return r < 0 ? err_wrap(err, "fetching the folder 'fds://%s/%s'", bucket, prefix) : 0;
}
