/* SPDX-License-Identifier: Apache-2.0 */
/* The store's check of itself: every object is read, every file has its owner. */
#include "blobs/blobs_int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define PAGE_OBJECTS 256

struct check {
	struct blobs *b;
	const struct blob_check_watch *watch;
	struct blob_check result;
	struct index *ix;
};

static void tell(struct check *c, int64_t *counter, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void tell(struct check *c, int64_t *counter, const char *fmt, ...)
{
	char text[1600];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(*counter)++;
	if (c->watch && c->watch->found)
		c->watch->found(c->watch->arg, text);
}

static int go_on(struct check *c, struct err *err)
{
	if (c->watch && c->watch->go_on && !c->watch->go_on(c->watch->arg, &c->result))
		return err_set(err, ERR_CANCELLED, "the check was stopped");
	return 0;
}

static int read_whole(struct check *c, struct blob_get *g, int64_t size, struct err *err)
{
	static _Thread_local unsigned char block[FILE_BLOCK_BYTES];
	int64_t before = c->result.bytes;
	int r = 0;
	for (int64_t at = 0; at < size && r == 0;) {
		ssize_t n = get_read(g, at, block, sizeof(block), err);
		if (n <= 0) {
			r = n < 0 ? (int)n : err_set(err, ERR_CORRUPT, "content ends early");
			continue;
		}
		at += n;
		c->result.bytes += n;
		r = go_on(c, err);
	}
	if (r < 0)
		c->result.bytes = before;
	return r;
}

/* ERR_CANCELLED; everything else that is wrong with the object is told. */
static int check_object(struct check *c, const struct bucket *k, const char *org, const struct blob_entry *e,
			struct err *ret_err)
{
	struct err err = ERR_INIT;
	struct blob_get *g = NULL;
	if (e->info.is_delete_marker)
		return 0;
	int r = get_open(&c->b->base, org, k->name, e->key, e->info.version, &g, NULL, &err);
	if (r == 0)
		r = read_whole(c, g, e->info.size_bytes, &err);
	get_close(g);
	if (r == -ERR_NOT_FOUND)
		return 0; /* removed meanwhile */
	if (r == -ERR_CANCELLED) {
		*ret_err = err;
		return r;
	}
	if (r < 0)
		tell(c, &c->result.damaged, "bucket %s, object '%s', version %s: %s", k->name, e->key,
		     e->info.version, err.msg);
	else
		c->result.objects++;
	return go_on(c, ret_err);
}

static int check_bucket(struct check *c, const struct bucket *k, struct err *err)
{
	CLEANUP(free) char *after = NULL;
	CLEANUP(free) char *version = NULL;
	for (bool more = true; more;) {
		struct blob_list list = {0};
		int r = list_versions(&c->b->base, k->body.org, k->name, NULL, after, version, 0,
				      PAGE_OBJECTS, &list, err);
		if (r == -ERR_NOT_FOUND)
			return 0; /* the bucket went meanwhile */
		if (r < 0)
			return r;
		for (size_t i = 0; i < list.count && r == 0; i++)
			r = check_object(c, k, k->body.org, &list.entries[i], err);
		more = list.truncated && list.count;
		if (list.count) {
			free(after);
			free(version);
			after = mem_strdup(list.entries[list.count - 1].key);
			version = mem_strdup(list.entries[list.count - 1].info.version);
		}
		blob_list_done(&list);
		if (r < 0)
			return r;
	}
	return 0;
}

/* Copies, so that no lock is held while objects are read. */
static struct bucket *copy_buckets(struct blobs *b, size_t *ret_count)
{
	const char *name;
	void *value;
	size_t count = 0;
	pthread_rwlock_rdlock(&b->names);
	struct bucket *copies = mem_alloc((map_count(b->buckets) + 1) * sizeof(*copies));
	for (size_t i = 0; map_next(b->buckets, &i, &name, &value);) {
		copies[count] = *(struct bucket *)value;
		copies[count++].body.attributes = NULL;
	}
	pthread_rwlock_unlock(&b->names);
	*ret_count = count;
	return copies;
}

/* A new upload's file has no row yet: only ids below the first one of this check are looked at. */
struct file_check {
	struct check *c;
	uint64_t below;
	struct err *err;
	int r;
};

static void check_file(void *arg, uint64_t id)
{
	struct file_check *f = arg;
	sqlite3_stmt *st;
	if (f->r < 0 || id >= f->below)
		return;
	f->r = index_query(f->c->ix, INDEX_FILE, &st, f->err, "i", (int64_t)id);
	if (f->r >= 0)
		f->r = index_step(f->c->ix, st, f->err);
	sqlite3_reset(st);
	if (f->r == 0)
		tell(f->c, &f->c->result.faults, "data file %016llx belongs to no object",
		     (unsigned long long)id);
}

/* Segments but the newest, which is being written. */
static int check_segments(struct check *c, struct err *err)
{
	for (uint32_t id = 0, last = 0;; last = id) {
		id = 0;
		pthread_rwlock_rdlock(&c->b->names);
		for (size_t i = 0; i + 1 < c->b->segment_count && !id; i++)
			if (c->b->segments[i]->id > last)
				id = c->b->segments[i]->id;
		pthread_rwlock_unlock(&c->b->names);
		if (!id)
			return 0;
		struct segment *s = segment_ref(c->b, id);
		if (!s)
			continue;
		struct segment_scan scan;
		struct record record;
		struct place place;
		int r;
		scan_begin(&scan, s, SEGMENT_HEADER_BYTES);
		while ((r = scan_next(&scan, &record, &place, err)) == RECORD_OK)
			;
		if (r == RECORD_SHORT || r == RECORD_DAMAGED)
			tell(c, &c->result.faults, "segment %08x is damaged at byte %llu", id,
			     (unsigned long long)scan.next);
		scan_end(&scan);
		segment_unref(s);
		if (r >= 0)
			r = go_on(c, err);
		if (r < 0)
			return r;
	}
}

int blobs_check(struct blob_store *s, const struct blob_check_watch *watch, struct blob_check *ret,
		struct err *err)
{
	struct check c = {.b = blobs_of(s), .watch = watch};
	uint64_t below = atomic_load(&c.b->next_file);
	size_t count;
	CLEANUP(free) struct bucket *buckets = copy_buckets(c.b, &count);
	int r = 0;
	for (size_t i = 0; i < count; i++) {
		c.result.objects_total += buckets[i].objects;
		c.result.bytes_total += buckets[i].bytes;
	}
	for (size_t i = 0; i < count && r == 0; i++)
		r = check_bucket(&c, &buckets[i], err);
	if (r == 0)
		r = check_segments(&c, err);
	if (r == 0)
		r = reader_take(c.b, &c.ix, err);
	if (r == 0) {
		/* Uploads of before may still be on their way: theirs are younger than the process. */
		struct file_check f = {&c, below & ~UINT64_C(0xffffffff), err, 0};
		r = files_each(c.b, check_file, &f, err);
		r = r < 0 ? r : f.r < 0 ? f.r : 0;
	}
	reader_give(c.b, c.ix);
	if (r == 0)
		*ret = c.result;
	return r;
}
