/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets and who owns them. */
#include "blobs/blobs_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"

static int owner_read(struct blobs *b, const char *bucket, char **ret, struct err *err)
{
	CLEANUP(json) json_t *j = NULL;
	int r = json_read_file(b->buckets_fd, bucket, 4096, &j, err);
	if (r < 0)
		return r;
	const char *org = json_string_value(json_object_get(j, "org"));
	if (!org)
		return err_set(err, ERR_CORRUPT, "record of bucket '%s' has no owner", bucket);
	*ret = mem_strdup(org);
	return 0;
}

/* Under b->lock, and *ret is a view as long as it is held. */
static int owner_find(struct blobs *b, const char *bucket, const char **ret, struct err *err)
{
	const char *known = map_get(b->owners, bucket);
	if (!known) {
		char *org = NULL;
		int r = owner_read(b, bucket, &org, err);
		if (r < 0)
			return r;
		map_set(b->owners, bucket, org);
		known = org;
	}
	*ret = known;
	return 0;
}

static int unknown_bucket(const char *bucket, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no bucket '%.63s'", bucket);
}

int bucket_check(struct blobs *b, const char *org, const char *bucket, struct err *err)
{
	struct err ignored = ERR_INIT;
	if (core_name_check("bucket", bucket, &ignored) < 0)
		return unknown_bucket(bucket, err);
	const char *owner = NULL;
	pthread_mutex_lock(&b->lock);
	int r = owner_find(b, bucket, &owner, err);
	bool owned = r == 0 && strcmp(owner, org) == 0;
	pthread_mutex_unlock(&b->lock);
	if (owned)
		return 0;
	return r == 0 || r == -ERR_NOT_FOUND ? unknown_bucket(bucket, err) : r;
}

static int bucket_make(struct blobs *b, const char *org, const char *bucket, struct err *err)
{
	/* What lies there without an owner is nobody's: what an upload into a bucket that was removed left.
	 * Then the folder, then the record: a record without a folder must not exist. */
	int r = path_remove_tree(b->data_fd, bucket, err);
	if (r < 0 || (r = path_mkdirs(b->data_fd, bucket, 0700, err)) < 0)
		return r;
	r = fd_sync(b->data_fd, err);
	if (r < 0)
		return r;
	CLEANUP(json) json_t *j = json_pack("{s:s}", "org", org);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(j, &text);
	r = fd_write_file(b->buckets_fd, bucket, text.data, text.len, 0600, err);
	if (r < 0)
		return r;
	map_set(b->owners, bucket, mem_strdup(org));
	return 0;
}

int bucket_create(struct blob_store *s, const char *org, const char *bucket, struct err *err)
{
	struct blobs *b = blobs_of(s);
	int r = core_name_check("bucket", bucket, err);
	if (r < 0)
		return r;
	const char *owner = NULL;
	pthread_mutex_lock(&b->lock);
	r = owner_find(b, bucket, &owner, err);
	if (r == -ERR_NOT_FOUND)
		r = bucket_make(b, org, bucket, err);
	else if (r == 0 && strcmp(owner, org) != 0)
		r = err_set(err, ERR_EXISTS, "bucket '%s' exists already; choose another name", bucket);
	pthread_mutex_unlock(&b->lock);
	return r < 0 ? err_wrap(err, "creating bucket '%.63s'", bucket) : 0;
}

/* The record last: until then whoever asks again finds what is left. */
int bucket_remove(struct blob_store *s, const char *org, const char *bucket, struct err *err)
{
	struct blobs *b = blobs_of(s);
	int r = bucket_check(b, org, bucket, err);
	if (r >= 0)
		r = path_remove_tree(b->data_fd, bucket, err);
	if (r >= 0)
		r = fd_sync(b->data_fd, err);
	if (r < 0)
		return err_wrap(err, "removing bucket '%.63s'", bucket);
	pthread_mutex_lock(&b->lock);
	map_delete(b->owners, bucket);
	if (unlinkat(b->buckets_fd, bucket, 0) < 0 && errno != ENOENT)
		r = err_sys(err, errno, "cannot remove the record of bucket '%s'", bucket);
	pthread_mutex_unlock(&b->lock);
	return r < 0 ? r : fd_sync(b->buckets_fd, err);
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct blob_entry *)a)->key, ((const struct blob_entry *)b)->key);
}

int bucket_list(struct blob_store *s, const char *org, struct blob_list *ret, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct blob_list list = {0};
	int fd = path_open(b->buckets_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	CLEANUP(dir) DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_sys(err, errno, "cannot read the list of buckets");
	}
	for (struct dirent *e; (e = readdir(d));) {
		struct err ignored = ERR_INIT;
		if (e->d_name[0] == '.' || bucket_check(b, org, e->d_name, &ignored) < 0)
			continue;
		list.entries = mem_realloc(list.entries, (list.count + 1) * sizeof(*list.entries));
		list.entries[list.count++] = (struct blob_entry){.key = mem_strdup(e->d_name)};
	}
	if (list.count)
		qsort(list.entries, list.count, sizeof(*list.entries), compare_entries);
	*ret = list;
	return 0;
}
