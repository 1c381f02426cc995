/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing. The file's bytes are, in this order: those of the object as it was published last ('base'), the
 * parts of the open upload, and the tail in memory. A small file is only a tail, which every publication puts
 * as a whole; a large one goes on after a publication with an upload whose first parts the store copies from
 * the object itself.
 */
#include "fds_file.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define PARTS_PER_SIZE                                                                                       \
	1000 /* then parts are twice as large, so that 10,000 are enough for 5 TiB and more                  \
	      */

struct fds_writer {
	struct fds_store *store;
	struct fds_path at;
	size_t part_bytes;
	int64_t base;
	struct fds_upload upload;
	struct buf tail;
	bool is_published, has_failed;
};

static size_t part_bytes(const struct fds_writer *w)
{
	return w->part_bytes << (w->upload.count / PARTS_PER_SIZE);
}

int64_t fds_writer_tell(const struct fds_writer *w)
{
	return (w->upload.id[0] ? w->upload.bytes : w->base) + (int64_t)w->tail.len;
}

/* Reads what is there: all of it when it fits into a tail. */
static int load(struct fds_writer *w, struct err *err)
{
	struct fds_object o;
	int r = fds_object_stat(w->store, &w->at, &o, err);
	if (r == -ERR_NOT_FOUND) {
		*err = ERR_INIT;
		return 0;
	}
	if (r < 0)
		return r;
	w->is_published = true;
	if (o.size >= (int64_t)w->part_bytes) {
		w->base = o.size;
		return 0;
	}
	if (o.size == 0)
		return 0;
	buf_reserve(&w->tail, (size_t)o.size);
	ssize_t got = fds_object_read(w->store, &w->at, 0, w->tail.data, (size_t)o.size, &o, err);
	if (got < 0)
		return (int)got;
	if (got != o.size)
		return err_set(err, ERR_CONFLICT, "'fds://%s/%.300s' was replaced while it was opened",
			       w->at.bucket, w->at.key);
	w->tail.len = (size_t)got;
	w->tail.data[got] = '\0';
	return 0;
}

int fds_writer_open(struct fds_store *s, const struct fds_path *at, bool append, struct fds_writer **ret,
		    struct err *err)
{
	const struct fds_config *config = fds_store_config(s, err);
	if (!config)
		return -err->code;
	struct fds_writer *w = MEM_NEW(struct fds_writer);
	w->store = s;
	w->at = *at;
	w->part_bytes = config->part_bytes;
	w->upload = (struct fds_upload){.store = s, .at = *at};
	int r = append ? load(w, err) : 0;
	if (r < 0) {
		w->has_failed = true;
		fds_writer_free(w);
		return r;
	}
	*ret = w;
	return 0;
}

static int upload(struct fds_writer *w, const char *data, size_t len, struct err *err)
{
	int r = 0;
	if (!w->upload.id[0]) {
		r = fds_upload_begin(&w->upload, err);
		if (r >= 0 && w->base)
			r = fds_upload_add_object(&w->upload, &w->at, w->base, err);
	}
	return r < 0 ? r : fds_upload_add(&w->upload, data, len, err);
}

static int append(struct fds_writer *w, const char *data, size_t len, struct err *err)
{
	while (w->tail.len + len >= part_bytes(w)) {
		size_t part = part_bytes(w), n = part - w->tail.len;
		int r;
		if (w->tail.len) {
			buf_add(&w->tail, data, n);
			r = upload(w, w->tail.data, part, err);
			buf_clear(&w->tail);
		} else
			r = upload(w, data, part, err);
		if (r < 0)
			return r;
		data += n;
		len -= n;
	}
	if (len)
		buf_add(&w->tail, data, len);
	return 0;
}

static int check(const struct fds_writer *w, struct err *err)
{
	return w->has_failed
		   ? err_set(err, ERR_STATE, "'fds://%s/%.300s' has failed before and takes nothing any more",
			     w->at.bucket, w->at.key)
		   : 0;
}

int fds_writer_append(struct fds_writer *w, const char *data, size_t len, struct err *err)
{
	int r = check(w, err);
	if (r < 0 || !len)
		return r;
	w->is_published = false;
	r = append(w, data, len, err);
	w->has_failed = r < 0;
	return r;
}

static int publish(struct fds_writer *w, struct err *err)
{
	if (!w->upload.id[0] && !w->base)
		return fds_object_put(w->store, &w->at, w->tail.data, w->tail.len, err);
	int r = w->tail.len ? upload(w, w->tail.data, w->tail.len, err) : 0;
	int64_t size = w->upload.bytes;
	if (r >= 0)
		r = fds_upload_complete(&w->upload, err);
	if (r < 0)
		return r;
	buf_clear(&w->tail);
	w->base = size;
	return 0;
}

int fds_writer_publish(struct fds_writer *w, struct err *err)
{
	int r = check(w, err);
	if (r < 0 || w->is_published)
		return r;
	r = publish(w, err);
	w->is_published = r >= 0;
	w->has_failed = r < 0;
	return r;
}

void fds_writer_free(struct fds_writer *w)
{
	struct err ignored = ERR_INIT;
	if (!w->has_failed)
		fds_writer_publish(w, &ignored);
	fds_upload_abort(&w->upload);
	buf_done(&w->tail);
	free(w);
}
