/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the store; the table of its calls. */
#include "blobs/blobs_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#define FORMAT_1 "cloudml-objects 1\n"
#define FORMAT_2 "cloudml-objects 2\n"
#define LOCK_WAIT_MS 2000
#define LOCK_STEP_MS 10

static void threads_stop(struct blobs *b)
{
	if (!b->next_seq) /* they never ran */
		return;
	pthread_mutex_lock(&b->lock);
	atomic_store(&b->compact_stopping, true);
	pthread_cond_broadcast(&b->finished);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->compactor, NULL);
	pthread_mutex_lock(&b->lock);
	b->stopping = true;
	pthread_cond_broadcast(&b->wake);
	pthread_mutex_unlock(&b->lock);
	pthread_join(b->thread, NULL);
	hasher_stop(&b->hasher);
}

static void blobs_close(struct blob_store *s)
{
	if (!s)
		return;
	struct blobs *b = blobs_of(s);
	bool is_running = b->next_seq != 0;
	threads_stop(b);
	for (size_t i = 0; i < b->reader_count; i++) {
		index_close(b->readers[i]);
		free(b->readers[i]);
	}
	struct err ignored = ERR_INIT;
	bool all_gone = hold_close(b);
	/* Without the mark the next start looks for files that nobody owns: right, only slower. */
	if (is_running && all_gone && !b->failed && index_sync(&b->index, &ignored) == 0 &&
	    files_sync_removed(b, &ignored) == 0)
		(void)!fd_write_file(b->root_fd, "clean", "", 0, 0600, &ignored);
	index_close(&b->index);
	segments_close(b);
	cleanup_fd(&b->root_fd);
	cleanup_fd(&b->files_fd);
	cleanup_fd(&b->segments_fd);
	cleanup_fd(&b->lock_fd);
	buf_done(&b->out);
	map_free(b->buckets);
	map_free(b->usages);
	recent_done(b);
	pthread_rwlock_destroy(&b->names);
	pthread_mutex_destroy(&b->lock);
	pthread_mutex_destroy(&b->compact_lock);
	pthread_cond_destroy(&b->wake);
	pthread_cond_destroy(&b->finished);
	free(b->root);
	free(b);
}

static const struct blob_ops ops = {
    .name = "log",
    .close = blobs_close,
    .bucket_create = bucket_create,
    .bucket_delete = bucket_delete,
    .bucket_stat = bucket_stat,
    .bucket_attributes = bucket_attributes,
    .bucket_set = bucket_set,
    .bucket_list = bucket_list,
    .bucket_remove = bucket_remove,
    .put_begin = put_begin,
    .put_write = put_write,
    .put_commit = put_commit,
    .put_commit_async = put_commit_async,
    .put_is_small = put_is_small,
    .put_attributes = put_attributes,
    .put_abort = put_abort,
    .get_open = get_open,
    .get_open_at_once = get_open_at_once,
    .get_read = get_read,
    .get_attributes = get_attributes,
    .get_extent = get_extent,
    .get_part = get_part,
    .get_close = get_close,
    .stat = object_stat,
    .set_attributes = object_set_attributes,
    .remove = object_remove,
    .remove_many = object_remove_many,
    .copy = object_copy,
    .list = list_objects,
    .list_versions = list_versions,
    .upload_begin = upload_begin,
    .part_begin = part_begin,
    .upload_complete = upload_complete,
    .upload_abort = upload_abort,
    .upload_stat = upload_stat,
    .upload_list = upload_list,
    .part_list = part_list,
    .quota_set = org_quota_set,
    .usage = org_usage,
    .check = blobs_check,
    .hold = hold_begin,
    .release = hold_end,
    .position = position_get,
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

/* 1 = a store of format 1 is to be taken over. */
static int check_format(struct blobs *b, struct err *err)
{
	CLEANUP(buf) struct buf line = BUF_INIT;
	int r = fd_read_file(b->root_fd, "format", 64, &line, err);
	if (r == -ERR_NOT_FOUND) {
		*err = ERR_INIT;
		return fd_write_file(b->root_fd, "format", FORMAT_2, strlen(FORMAT_2), 0600, err);
	}
	if (r < 0)
		return r;
	if (strcmp(buf_str(&line), FORMAT_1) == 0)
		return 1;
	if (strcmp(buf_str(&line), FORMAT_2) != 0)
		return err_set(
		    err, ERR_UNSUPPORTED,
		    "object store has another format; this version reads 'cloudml-objects 2' and older");
	return 0;
}

/* Ids of data files are never used twice: each start has a number of its own in front. */
static int begin_epoch(struct blobs *b, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int r = fd_read_file(b->root_fd, "epoch", 32, &text, err);
	if (r == -ERR_NOT_FOUND)
		*err = ERR_INIT;
	else if (r < 0)
		return r;
	uint64_t epoch = strtoull(buf_str(&text), NULL, 10) + 1;
	buf_clear(&text);
	buf_printf(&text, "%llu\n", (unsigned long long)epoch);
	atomic_store(&b->next_file, epoch << 32 | 1);
	return fd_write_file(b->root_fd, "epoch", text.data, text.len, 0600, err);
}

/* The folder's name must be durable before anything in it is acknowledged. */
static int sync_data_folder(const char *data_folder, struct err *err)
{
	CLEANUP(fd) int fd = open(data_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open '%s'", data_folder);
	return fd_sync(fd, err);
}

/* A server that was killed may hold its lock for a moment longer: a child that it was just starting has the
 * descriptor until it executes its program. */
static int take_lock(struct blobs *b, struct err *err)
{
	for (int waited_ms = 0;; waited_ms += LOCK_STEP_MS) {
		int r = fd_lock_file(b->root_fd, "lock", false, err);
		if (r != -ERR_CONFLICT)
			return r;
		if (waited_ms >= LOCK_WAIT_MS)
			return err_set(err, ERR_CONFLICT, "another server uses '%s'; stop it first", b->root);
		usleep(LOCK_STEP_MS * 1000);
	}
}

static int open_parts(struct blobs *b, const char *data_folder, bool *ret_old, struct err *err)
{
	b->root = mem_printf("%s/objects", data_folder);
	int r = path_make_absolute_dirs(b->root, 0700, err);
	if (r == 0)
		r = sync_data_folder(data_folder, err);
	if (r < 0)
		return r;
	b->root_fd = open(b->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (b->root_fd < 0)
		return err_sys(err, errno, "cannot open '%s'", b->root);
	r = take_lock(b, err);
	if (r < 0)
		return r;
	b->lock_fd = r;
	r = check_format(b, err);
	if (r < 0)
		return r;
	*ret_old = r == 1;
	if ((r = open_folder(b->root_fd, "files", &b->files_fd, err)) < 0 ||
	    (r = open_folder(b->root_fd, "segments", &b->segments_fd, err)) < 0 ||
	    (r = files_open(b, err)) < 0 || (r = begin_epoch(b, err)) < 0)
		return r;
	return recover(b, err);
}

static int start_threads(struct blobs *b, struct err *err)
{
	int r = hasher_start(&b->hasher, err);
	if (r < 0) {
		b->next_seq = 0;
		return r;
	}
	r = pthread_create(&b->thread, NULL, commit_thread, b);
	if (r != 0) {
		hasher_stop(&b->hasher);
		b->next_seq = 0;
		return err_sys(err, r, "cannot start a thread");
	}
	r = pthread_create(&b->compactor, NULL, compact_thread, b);
	if (r == 0)
		return 0;
	b->stopping = true;
	pthread_cond_broadcast(&b->wake);
	pthread_join(b->thread, NULL);
	hasher_stop(&b->hasher);
	b->next_seq = 0;
	return err_sys(err, r, "cannot start a thread");
}

int blobs_open(const char *data_folder, struct blob_store **ret, struct err *err)
{
	struct blobs *b = MEM_NEW(struct blobs);
	b->base.ops = &ops;
	atomic_init(&b->segment_bytes, SEGMENT_BYTES);
	b->root_fd = b->lock_fd = b->files_fd = b->segments_fd = -1;
	pthread_rwlock_init(&b->names, NULL);
	pthread_mutex_init(&b->lock, NULL);
	pthread_mutex_init(&b->compact_lock, NULL);
	pthread_cond_init(&b->wake, NULL);
	pthread_cond_init(&b->finished, NULL);
	list_init(&b->queue);
	recent_init(b);
	b->buckets = map_new(NULL);
	b->usages = map_new(free);
	bool is_old = false;
	int r = open_parts(b, data_folder, &is_old, err);
	if (r < 0)
		b->next_seq = 0;
	else
		r = start_threads(b, err);
	if (r == 0 && is_old) {
		r = import_format_1(b, err);
		if (r == 0)
			r = fd_write_file(b->root_fd, "format", FORMAT_2, strlen(FORMAT_2), 0600, err);
	}
	if (r < 0) {
		blobs_close(&b->base);
		return err_wrap(err, "opening the object store");
	}
	compact_want(b);
	*ret = &b->base;
	return 0;
}

void blobs_segment_bytes(struct blob_store *s, uint64_t bytes)
{
	atomic_store(&blobs_of(s)->segment_bytes, bytes);
}
