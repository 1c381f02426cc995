/* SPDX-License-Identifier: Apache-2.0 */
/* Downloads: every byte is checked before it is handed out. */
#include "blobs/blobs_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "base/mem.h"

#define LOOK_AGAIN_MAX 8 /* compactions that may move one record between look-up and reading */

struct blob_get {
	struct blobs *store;
	struct object object;
	char *key;
	unsigned char *small;	   /* owned content, or NULL */
	struct file_reader *files; /* one for each extent, opened at once: they may be removed meanwhile */
	size_t file_count;
};

void get_close(struct blob_get *g)
{
	if (!g)
		return;
	for (size_t i = 0; i < g->file_count; i++)
		file_close(&g->files[i]);
	free(g->files);
	free(g->small);
	free(g->key);
	object_done(&g->object);
	free(g);
}

static void cleanup_get(struct blob_get **g)
{
	get_close(*g);
}

/* 0 = all of it was in memory and is what was put. */
static int record_content_at_once(struct blobs *b, const struct row *row, const struct object *o,
				  unsigned char **ret)
{
	size_t len = (size_t)o->info.size_bytes;
	struct segment *s = segment_ref(b, row->place.segment);
	if (!s)
		return 1;
	unsigned char *data = mem_alloc(len + 1);
	struct iovec to = {data, len};
	ssize_t n = len ? preadv2(s->fd, &to, 1, (off_t)row->place.data, RWF_NOWAIT) : 0;
	segment_unref(s);
	if (n != (ssize_t)len || crc32c(0, data, len) != o->crc) {
		free(data);
		return 1;
	}
	*ret = data;
	return 0;
}

int record_content(struct blobs *b, const struct row *row, const struct object *o, const char *key,
		   unsigned char **ret, struct err *err)
{
	struct segment *s = segment_ref(b, row->place.segment);
	if (!s)
		return 1;
	size_t len = (size_t)o->info.size_bytes;
	int r = 0;
	unsigned char *data = mem_alloc(len + 1);
	for (size_t done = 0; done < len && r == 0;) {
		ssize_t n = pread(s->fd, data + done, len - done, (off_t)(row->place.data + done));
		if (n == 0)
			r = err_set(err, ERR_CORRUPT, "segment %08x ends within object '%s'", s->id, key);
		else if (n < 0 && errno != EINTR)
			r = err_sys(err, errno, "cannot read object '%s'", key);
		done += n > 0 ? (size_t)n : 0;
	}
	if (r == 0 && crc32c(0, data, len) != o->crc)
		r = err_set(err, ERR_CORRUPT, "object '%s' is damaged: segment %08x, byte %llu", key, s->id,
			    (unsigned long long)row->place.data);
	segment_unref(s);
	if (r < 0)
		free(data);
	else
		*ret = data;
	return r;
}

static int open_files(struct blob_get *g, struct err *err)
{
	g->files = mem_alloc(g->object.extent_count * sizeof(*g->files));
	for (; g->file_count < g->object.extent_count; g->file_count++) {
		int r = file_open(g->store, &g->object.extents[g->file_count], &g->files[g->file_count], err);
		if (r < 0)
			return err_wrap(err, "object '%s'", g->key);
	}
	return 0;
}

static int open_content(struct blob_get *g, const struct row *row, struct err *err)
{
	if (g->object.extent_count)
		return open_files(g, err);
	if (g->object.info.size_bytes > RECORD_DATA_MAX)
		return err_set(err, ERR_CORRUPT, "object '%s' has no content", g->key);
	return record_content(g->store, row, &g->object, g->key, &g->small, err);
}

/* 1 = what was found has gone while it was opened. */
static int open_once(struct blob_get *g, const struct bucket *bucket, const char *version, struct err *err)
{
	CLEANUP(row) struct row row = {0};
	struct str key = str_from(g->key);
	unsigned mark = recent_mark(g->store, bucket->id, key);
	int r = reader_find(g->store, bucket, g->key, version, &row, &g->object, err);
	if (r < 0)
		return r;
	r = open_content(g, &row, err);
	if (r == 0 && g->small && !version)
		recent_note(g->store, bucket->id, key, &row, mark);
	if (r != -ERR_CORRUPT)
		return r;
	/* Replaced or removed in this moment, and its file with it? */
	CLEANUP(row) struct row again = {0};
	CLEANUP(object) struct object o = {0};
	struct err ignored = ERR_INIT;
	int found = reader_find(g->store, bucket, g->key, version, &again, &o, &ignored);
	bool is_same = found == 0 && again.seq == row.seq && again.place.segment == row.place.segment;
	return is_same ? r : 1;
}

static void forget_content(struct blob_get *g)
{
	for (size_t i = 0; i < g->file_count; i++)
		file_close(&g->files[i]);
	free(g->files);
	free(g->small);
	g->files = NULL;
	g->small = NULL;
	g->file_count = 0;
	object_done(&g->object);
}

int get_open(struct blob_store *s, const char *org, const char *bucket, const char *key, const char *version,
	     struct blob_get **ret, struct blob_info *ret_info, struct err *err)
{
	struct bucket known;
	int r = bucket_find(blobs_of(s), org, bucket, &known, err);
	if (r < 0 || (r = blob_key_check(key, err)) < 0)
		return r;
	CLEANUP(get) struct blob_get *g = MEM_NEW(struct blob_get);
	g->store = blobs_of(s);
	g->key = mem_strdup(key);
	r = 1;
	for (int i = 0; i < LOOK_AGAIN_MAX && r > 0; i++) {
		forget_content(g);
		*err = ERR_INIT;
		r = open_once(g, &known, version, err);
	}
	if (r > 0)
		return err_set(err, ERR_BUSY, "object '%s' changes again and again; read it later", key);
	if (r < 0)
		return r;
	if (ret_info)
		*ret_info = g->object.info;
	*ret = STEAL(g);
	return 0;
}

/* Whatever is not as usual is get_open's to find out and to tell. */
int get_open_at_once(struct blob_store *s, const char *org, const char *bucket, const char *key,
		     struct blob_get **ret, struct blob_info *ret_info)
{
	struct bucket known;
	struct err ignored = ERR_INIT;
	CLEANUP(row) struct row row = {0};
	struct blobs *b = blobs_of(s);
	if (bucket_find(b, org, bucket, &known, &ignored) < 0 ||
	    !recent_find(b, known.id, str_from(key), &row))
		return 0;
	CLEANUP(get) struct blob_get *g = MEM_NEW(struct blob_get);
	g->store = b;
	g->key = mem_strdup(key);
	if (row_object(&row, &g->object, &ignored) < 0 ||
	    record_content_at_once(b, &row, &g->object, &g->small) != 0)
		return 0;
	g->object.info.is_latest = true;
	*ret_info = g->object.info;
	*ret = STEAL(g);
	return 1;
}

/* The file that has 'offset', and where in it. */
static struct file_reader *find_file(struct blob_get *g, int64_t *offset)
{
	size_t i = 0;
	while (i + 1 < g->file_count && *offset >= g->files[i].size_bytes)
		*offset -= g->files[i++].size_bytes;
	return &g->files[i];
}

ssize_t get_read(struct blob_get *g, int64_t offset, void *data, size_t len, struct err *err)
{
	int64_t size = g->object.info.size_bytes;
	if (offset < 0)
		return err_set(err, ERR_INVALID, "offset %lld is negative", (long long)offset);
	if (offset >= size)
		return 0;
	if (len > (uint64_t)(size - offset))
		len = (size_t)(size - offset);
	if (g->small) {
		memcpy(data, g->small + offset, len);
		return (ssize_t)len;
	}
	size_t done = 0;
	while (done < len) {
		int64_t at = offset + (int64_t)done;
		struct file_reader *f = find_file(g, &at);
		ssize_t n = file_read(f, at, (char *)data + done, len - done, err);
		if (n < 0)
			return err_wrap(err, "object '%s'", g->key);
		done += (size_t)n;
	}
	return (ssize_t)done;
}

const char *get_attributes(const struct blob_get *g)
{
	return g->object.attributes ? g->object.attributes : "";
}

int64_t get_extent(struct blob_get *g, int64_t offset, int64_t len, int *ret_fd, int64_t *ret_file_offset,
		   struct err *err)
{
	if (!g->file_count || offset >= g->object.info.size_bytes)
		return 0;
	struct file_reader *f = find_file(g, &offset);
	if (len > f->size_bytes - offset)
		len = f->size_bytes - offset;
	int r = file_verify(g->store, f, offset, len, err);
	if (r < 0)
		return err_wrap(err, "object '%s'", g->key);
	*ret_fd = f->fd;
	*ret_file_offset = offset;
	return len;
}

int get_part(const struct blob_get *g, int number, int64_t *ret_offset, int64_t *ret_size, struct err *err)
{
	const struct object *o = &g->object;
	if (o->info.part_count == 0 && number == 1) {
		*ret_offset = 0;
		*ret_size = o->info.size_bytes;
		return 0;
	}
	if (number < 1 || (size_t)number > o->extent_count || o->info.part_count == 0)
		return err_set(err, ERR_NOT_FOUND, "object '%s' has no part %d", g->key, number);
	*ret_offset = 0;
	for (int i = 0; i + 1 < number; i++)
		*ret_offset += o->extents[i].size_bytes;
	*ret_size = o->extents[number - 1].size_bytes;
	return 0;
}
