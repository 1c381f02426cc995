/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a record does to the index. Everything that a record ends must be older than the record: so the log
 * may be read again from any place on, and compaction may write old records behind newer ones.
 */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "blobs/blobs_index.h"

struct apply {
	struct index *ix;
	const struct record *r;
	const struct place *place;
	struct tally *t;
};

void tally_done(struct tally *t)
{
	free(t->buckets);
	free(t->segments);
	free(t->garbage);
	*t = (struct tally){0};
}

void tally_bucket(struct tally *t, uint64_t bucket, int64_t objects, int64_t bytes)
{
	size_t i = 0;
	while (i < t->bucket_count && t->buckets[i].id != bucket)
		i++;
	if (i == t->bucket_count) {
		t->buckets = mem_realloc(t->buckets, (i + 1) * sizeof(*t->buckets));
		t->buckets[t->bucket_count++] = (struct tally_bucket){.id = bucket};
	}
	t->buckets[i].objects += objects;
	t->buckets[i].bytes += bytes;
}

void tally_segment(struct tally *t, uint32_t segment, int64_t live)
{
	size_t i = 0;
	while (i < t->segment_count && t->segments[i].id != segment)
		i++;
	if (i == t->segment_count) {
		t->segments = mem_realloc(t->segments, (i + 1) * sizeof(*t->segments));
		t->segments[t->segment_count++] = (struct tally_segment){.id = segment};
	}
	t->segments[i].live += live;
}

void tally_garbage(struct tally *t, uint64_t file)
{
	if (t->garbage_count == t->garbage_cap) {
		t->garbage_cap = t->garbage_cap ? 2 * t->garbage_cap : 16;
		t->garbage = mem_realloc(t->garbage, t->garbage_cap * sizeof(*t->garbage));
	}
	t->garbage[t->garbage_count++] = file;
}

int tally_write(struct tally *t, struct index *ix, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < t->segment_count && r >= 0; i++)
		if (t->segments[i].live)
			r = index_run(ix, INDEX_SEGMENT_ADD, err, "ii", (int64_t)t->segments[i].id,
				      t->segments[i].live);
	return r;
}

static int files_add(struct apply *a, const struct object *o, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < o->extent_count && r >= 0; i++)
		r = index_run(a->ix, INDEX_FILE_INSERT, err, "i", (int64_t)o->extents[i].file);
	return r;
}

static int files_drop(struct apply *a, const struct object *o, struct err *err)
{
	int r = 0;
	for (size_t i = 0; i < o->extent_count && r >= 0; i++) {
		tally_garbage(a->t, o->extents[i].file);
		r = index_run(a->ix, INDEX_FILE_DELETE, err, "i", (int64_t)o->extents[i].file);
	}
	return r;
}

/* A row's content is counted, and its files are noted, with sign 1; the other way with sign -1. */
static int account(struct apply *a, struct str body, unsigned flags, const struct place *place, int sign,
		   struct err *err)
{
	CLEANUP(object) struct object o = {0};
	int r = object_unpack(body, &o, err);
	if (r < 0)
		return r;
	tally_segment(a->t, place->segment, sign * (int64_t)place->size);
	tally_bucket(a->t, a->r->bucket, flags & RECORD_MARKER ? 0 : sign, sign * o.info.size_bytes);
	return sign > 0 ? files_add(a, &o, err) : files_drop(a, &o, err);
}

static int row_kill(struct apply *a, const struct row *row, struct err *err)
{
	int r = account(a, (struct str){row->body.data, row->body.len}, row->flags, &row->place, -1, err);
	return r < 0 ? r
		     : index_run(a->ix, INDEX_DELETE, err, "ibi", (int64_t)a->r->bucket, a->r->key,
				 (int64_t)row->seq);
}

/* The null version, when it is older than the record. */
static int null_kill(struct apply *a, struct err *err)
{
	CLEANUP(row) struct row row = {0};
	int r = index_find(a->ix, a->r->bucket, a->r->key, BLOB_NULL_VERSION, &row, err);
	return r > 0 && row.seq < a->r->seq ? row_kill(a, &row, err) : r;
}

/* The record was written again somewhere else: 1 when the row is there and points to it now. */
static int row_move(struct apply *a, struct err *err)
{
	if (!(a->r->flags & RECORD_MOVED))
		return 0;
	CLEANUP(row) struct row row = {0};
	int r = index_find_seq(a->ix, a->r->bucket, a->r->key, a->r->seq, &row, err);
	if (r <= 0)
		return r;
	tally_segment(a->t, row.place.segment, -(int64_t)row.place.size);
	tally_segment(a->t, a->place->segment, (int64_t)a->place->size);
	r = index_run(a->ix, INDEX_MOVE, err, "iiiiibi", (int64_t)a->place->segment,
		      (int64_t)a->place->offset, (int64_t)a->place->data, (int64_t)a->place->size,
		      (int64_t)a->r->bucket, a->r->key, (int64_t)a->r->seq);
	/* It may have been written with newer attributes. */
	if (r >= 0)
		r = index_run(a->ix, INDEX_BODY, err, "bibi", a->r->body, (int64_t)a->r->bucket, a->r->key,
			      (int64_t)a->r->seq);
	return r < 0 ? r : 1;
}

static int row_insert(struct apply *a, struct err *err)
{
	int r = row_move(a, err);
	if (r != 0)
		return r < 0 ? r : 0;
	if (a->r->flags & RECORD_NULL)
		r = null_kill(a, err);
	unsigned flags = a->r->flags & (RECORD_NULL | RECORD_MARKER);
	if (r >= 0)
		r = index_run(a->ix, INDEX_INSERT, err, "ibiiiiiib", (int64_t)a->r->bucket, a->r->key,
			      (int64_t)a->r->seq, (int64_t)flags, (int64_t)a->place->segment,
			      (int64_t)a->place->offset, (int64_t)a->place->data, (int64_t)a->place->size,
			      a->r->body);
	return r < 0 ? r : account(a, a->r->body, flags, a->place, 1, err);
}

static int part_kill(struct apply *a, const char *upload, int number, const struct row *row, struct err *err)
{
	int r = account(a, (struct str){row->body.data, row->body.len}, RECORD_MARKER, &row->place, -1, err);
	return r < 0 ? r : index_run(a->ix, INDEX_PART_DELETE, err, "si", upload, (int64_t)number);
}

/* Upload and parts go; the files that the finished object names are put back by row_insert. */
static int upload_kill(struct apply *a, const char *upload, struct err *err)
{
	for (;;) {
		CLEANUP(row) struct row part = {0};
		sqlite3_stmt *st;
		int r = index_query(a->ix, INDEX_PARTS, &st, err, "sii", upload, (int64_t)0, (int64_t)1);
		if (r < 0 || (r = index_step(a->ix, st, err)) < 0)
			return r;
		if (r == 0)
			break;
		int number = sqlite3_column_int(st, 0);
		index_row(st, 1, &part);
		sqlite3_reset(st);
		r = part_kill(a, upload, number, &part, err);
		if (r < 0)
			return r;
	}
	CLEANUP(row) struct row row = {0};
	int r = index_find_upload(a->ix, a->r->bucket, a->r->key, upload, &row, err);
	if (r <= 0)
		return r;
	tally_segment(a->t, row.place.segment, -(int64_t)row.place.size);
	return index_run(a->ix, INDEX_UPLOAD_DELETE, err, "ibs", (int64_t)a->r->bucket, a->r->key, upload);
}

static void upload_id(const struct apply *a, char ret[BLOB_UPLOAD_ID_MAX + 1])
{
	memcpy(ret, a->r->id.data, a->r->id.len);
	ret[a->r->id.len] = '\0';
}

/* Files that an object took over from its parts are no garbage. */
static void garbage_keep(struct tally *t, size_t from, const struct object *o)
{
	size_t kept = from;
	for (size_t i = from; i < t->garbage_count; i++) {
		bool is_used = false;
		for (size_t k = 0; k < o->extent_count && !is_used; k++)
			is_used = o->extents[k].file == t->garbage[i];
		if (!is_used)
			t->garbage[kept++] = t->garbage[i];
	}
	t->garbage_count = kept;
}

static int apply_put(struct apply *a, struct err *err)
{
	if (a->r->id.len == 0)
		return row_insert(a, err);
	char id[BLOB_UPLOAD_ID_MAX + 1];
	upload_id(a, id);
	size_t garbage = a->t->garbage_count;
	int r = upload_kill(a, id, err);
	if (r < 0)
		return r;
	CLEANUP(object) struct object o = {0};
	r = object_unpack(a->r->body, &o, err);
	if (r < 0)
		return r;
	garbage_keep(a->t, garbage, &o);
	return row_insert(a, err);
}

static int apply_remove(struct apply *a, struct err *err)
{
	if (a->r->flags & RECORD_MARKER)
		return row_insert(a, err);
	if (a->r->of == 0)
		return null_kill(a, err);
	CLEANUP(row) struct row row = {0};
	int r = index_find_seq(a->ix, a->r->bucket, a->r->key, a->r->of, &row, err);
	return r <= 0 ? r : row_kill(a, &row, err);
}

static int apply_attributes(struct apply *a, struct err *err)
{
	return index_run(a->ix, INDEX_BODY, err, "bibi", a->r->body, (int64_t)a->r->bucket, a->r->key,
			 (int64_t)a->r->of);
}

static int apply_bucket(struct apply *a, struct err *err)
{
	char name[CORE_NAME_MAX + 1] = "";
	if (a->r->key.len < sizeof(name))
		memcpy(name, a->r->key.data, a->r->key.len);
	return index_run(a->ix, INDEX_BUCKET_SET, err, "isb", (int64_t)a->r->bucket, name, a->r->body);
}

static int apply_bucket_gone(struct apply *a, struct err *err)
{
	return index_run(a->ix, INDEX_BUCKET_DELETE, err, "i", (int64_t)a->r->bucket);
}

static int apply_upload(struct apply *a, struct err *err)
{
	char id[BLOB_UPLOAD_ID_MAX + 1];
	upload_id(a, id);
	CLEANUP(row) struct row row = {0};
	int r = index_find_upload(a->ix, a->r->bucket, a->r->key, id, &row, err);
	if (r < 0)
		return r;
	tally_segment(a->t, a->place->segment, (int64_t)a->place->size);
	if (r == 0)
		return index_run(a->ix, INDEX_UPLOAD_INSERT, err, "ibsiiiib", (int64_t)a->r->bucket,
				 a->r->key, id, (int64_t)a->r->seq, (int64_t)a->place->segment,
				 (int64_t)a->place->offset, (int64_t)a->place->size, a->r->body);
	tally_segment(a->t, row.place.segment, -(int64_t)row.place.size);
	return index_run(a->ix, INDEX_UPLOAD_MOVE, err, "iiiibs", (int64_t)a->place->segment,
			 (int64_t)a->place->offset, (int64_t)a->place->size, (int64_t)a->r->bucket, a->r->key,
			 id);
}

static int apply_part(struct apply *a, struct err *err)
{
	char id[BLOB_UPLOAD_ID_MAX + 1];
	upload_id(a, id);
	CLEANUP(row) struct row row = {0};
	int r = index_find_part(a->ix, id, a->r->number, &row, err);
	if (r < 0)
		return r;
	if (r > 0 && row.seq == a->r->seq) {
		tally_segment(a->t, row.place.segment, -(int64_t)row.place.size);
		tally_segment(a->t, a->place->segment, (int64_t)a->place->size);
		return index_run(a->ix, INDEX_PART_MOVE, err, "iiisi", (int64_t)a->place->segment,
				 (int64_t)a->place->offset, (int64_t)a->place->size, id,
				 (int64_t)a->r->number);
	}
	if (r > 0)
		r = part_kill(a, id, a->r->number, &row, err);
	if (r >= 0)
		r = index_run(a->ix, INDEX_PART_INSERT, err, "siiibiiib", id, (int64_t)a->r->number,
			      (int64_t)a->r->seq, (int64_t)a->r->bucket, a->r->key,
			      (int64_t)a->place->segment, (int64_t)a->place->offset, (int64_t)a->place->size,
			      a->r->body);
	return r < 0 ? r : account(a, a->r->body, RECORD_MARKER, a->place, 1, err);
}

static int apply_upload_gone(struct apply *a, struct err *err)
{
	char id[BLOB_UPLOAD_ID_MAX + 1];
	upload_id(a, id);
	return upload_kill(a, id, err);
}

int index_apply(struct index *ix, const struct record *r, const struct place *place, struct tally *t,
		struct err *err)
{
	static int (*const table[RECORD_TYPE_COUNT])(struct apply * a, struct err * err) = {
	    [RECORD_PUT] = apply_put,
	    [RECORD_REMOVE] = apply_remove,
	    [RECORD_ATTRIBUTES] = apply_attributes,
	    [RECORD_BUCKET] = apply_bucket,
	    [RECORD_BUCKET_GONE] = apply_bucket_gone,
	    [RECORD_UPLOAD] = apply_upload,
	    [RECORD_PART] = apply_part,
	    [RECORD_UPLOAD_GONE] = apply_upload_gone,
	};
	struct apply a = {ix, r, place, t};
	return table[r->type](&a, err);
}
