/* SPDX-License-Identifier: Apache-2.0 */
/* Changes: what each kind looks at before it is written. All of it runs on the committing thread. */
#include "blobs/blobs_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"

struct change *change_new(const struct change_kind *kind, const char *org, const char *bucket,
			  const char *key)
{
	struct change *c = MEM_NEW(struct change);
	c->kind = kind;
	snprintf(c->org, sizeof(c->org), "%s", org);
	snprintf(c->bucket, sizeof(c->bucket), "%s", bucket);
	c->key = mem_strdup(key);
	return c;
}

void change_free(struct change *c)
{
	if (!c)
		return;
	free(c->key);
	free(c->version);
	free(c->if_etag);
	object_done(&c->object);
	free(c->bucket_body.attributes);
	buf_done(&c->data);
	buf_done(&c->body);
	free(c);
}

void change_options(struct change *c, const struct blob_put_options *o)
{
	c->if_absent = o->if_absent;
	c->if_etag = mem_strdup(o->if_etag);
}

void change_drop_files(struct blobs *b, struct change *c)
{
	if (c->kind != &change_put && c->kind != &change_part)
		return;
	for (size_t i = 0; i < c->object.extent_count; i++)
		file_remove(b, c->object.extents[i].file);
}

static int find_bucket(struct blobs *b, struct change *c, struct bucket *ret, struct err *err)
{
	int r = bucket_find(b, c->org, c->bucket, ret, err);
	c->record.bucket = ret->id;
	return r;
}

static void begin_record(struct blobs *b, struct change *c)
{
	c->record.type = c->kind->type;
	c->record.seq = b->next_seq;
	c->record.key = str_from(c->key ? c->key : c->bucket);
	c->record.id = str_from(c->upload);
}

static int end_object(struct change *c)
{
	version_format(c->record.seq, c->record.flags, c->object.info.version);
	c->object.info.is_latest = true;
	object_pack(&c->object, &c->body);
	c->record.body = (struct str){c->body.data, c->body.len};
	c->record.data = (struct str){c->data.data, c->data.len};
	c->info = c->object.info;
	return 1;
}

static int check_conditions(struct blobs *b, struct change *c, struct err *err)
{
	if (!c->if_absent && !c->if_etag)
		return 0;
	CLEANUP(row) struct row row = {0};
	CLEANUP(object) struct object o = {0};
	int r = index_find(&b->index, c->record.bucket, str_from(c->key), NULL, &row, err);
	bool is_there = r > 0 && !(row.flags & RECORD_MARKER);
	if (r >= 0 && is_there)
		r = row_object(&row, &o, err);
	if (r < 0)
		return r;
	if (c->if_absent && is_there)
		return err_set(err, ERR_STATE, "object '%s' exists already", c->key);
	if (c->if_etag && !is_there)
		return err_set(err, ERR_NOT_FOUND, "there is no object '%s'", c->key);
	if (c->if_etag && strcmp(c->if_etag, "*") != 0 && strcmp(c->if_etag, o.info.etag) != 0)
		return err_set(err, ERR_STATE, "object '%s' has another ETag", c->key);
	return 0;
}

static unsigned version_flags(const struct bucket *k)
{
	return k->body.versioning == BLOB_VERSIONING_ON ? 0 : RECORD_NULL;
}

static int prepare_put(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	struct bucket k;
	int r = find_bucket(b, c, &k, err);
	if (r < 0 || (r = check_conditions(b, c, err)) < 0 ||
	    (r = room_check(b, t, c->org, c->object.info.size_bytes, 1, err)) < 0)
		return r;
	begin_record(b, c);
	c->record.flags = version_flags(&k);
	return end_object(c);
}

static int prepare_complete(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	struct bucket k;
	(void)t; /* its parts were counted when they came */
	int r = find_bucket(b, c, &k, err);
	if (r < 0 || (r = check_conditions(b, c, err)) < 0 || (r = upload_assemble(b, k.id, c, err)) < 0)
		return r;
	begin_record(b, c);
	c->record.flags = version_flags(&k);
	return end_object(c);
}

static int prepare_marker(struct change *c, const struct bucket *k)
{
	c->record.flags = RECORD_MARKER | version_flags(k);
	c->object.info.modified_ms = clock_wall_ms(&clock_real);
	c->object.info.is_delete_marker = true;
	return end_object(c);
}

static int prepare_remove(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	struct bucket k;
	int r = find_bucket(b, c, &k, err);
	if (r < 0)
		return r;
	begin_record(b, c);
	if (!c->version && k.body.versioning != BLOB_VERSIONING_OFF)
		return prepare_marker(c, &k);
	CLEANUP(row) struct row row = {0};
	CLEANUP(object) struct object o = {0};
	r = index_find(&b->index, k.id, str_from(c->key), c->version, &row, err);
	if (r <= 0)
		return r;
	r = row_object(&row, &o, err);
	if (r < 0)
		return r;
	c->info = o.info;
	c->record.of = row.flags & RECORD_NULL ? 0 : row.seq;
	return 1;
}

static int prepare_attributes(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	struct bucket k;
	int r = find_bucket(b, c, &k, err);
	if (r < 0)
		return r;
	CLEANUP(row) struct row row = {0};
	CLEANUP(free) char *attributes = STEAL(c->object.attributes);
	r = index_find(&b->index, k.id, str_from(c->key), c->version, &row, err);
	if (r < 0)
		return r;
	if (r == 0 || (row.flags & RECORD_MARKER))
		return err_set(err, r && c->version ? ERR_METHOD : ERR_NOT_FOUND,
			       r && c->version ? "'%s' is a delete marker" : "there is no object '%s'",
			       c->key);
	r = row_object(&row, &c->object, err);
	if (r < 0)
		return r;
	free(c->object.attributes);
	c->object.attributes = STEAL(attributes);
	begin_record(b, c);
	c->record.of = row.seq;
	struct blob_info info = c->object.info;
	r = end_object(c);
	c->info = info; /* the version is the one that was changed */
	return r;
}

static int end_bucket(struct change *c)
{
	bucket_pack(&c->bucket_body, &c->body);
	c->record.body = (struct str){c->body.data, c->body.len};
	return 1;
}

static int prepare_bucket_create(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	struct bucket k;
	struct err ignored = ERR_INIT;
	if (bucket_find(b, c->org, c->bucket, &k, &ignored) == 0)
		return 0;
	pthread_rwlock_rdlock(&b->names);
	bool is_taken = map_get(b->buckets, c->bucket);
	pthread_rwlock_unlock(&b->names);
	if (is_taken)
		return err_set(err, ERR_EXISTS, "bucket '%s' exists already; choose another name", c->bucket);
	begin_record(b, c);
	c->record.bucket = c->record.seq;
	snprintf(c->bucket_body.org, sizeof(c->bucket_body.org), "%s", c->org);
	c->bucket_body.created_ms = clock_wall_ms(&clock_real);
	return end_bucket(c);
}

static int prepare_bucket_set(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	struct bucket k;
	int r = find_bucket(b, c, &k, err);
	if (r < 0)
		return r;
	if (c->bucket_body.versioning == BLOB_VERSIONING_OFF && k.body.versioning != BLOB_VERSIONING_OFF)
		return err_set(err, ERR_STATE, "versions of bucket '%s' can be suspended, not switched off",
			       c->bucket);
	if (!c->bucket_body.attributes) {
		pthread_rwlock_rdlock(&b->names);
		const struct bucket *known = map_get(b->buckets, c->bucket);
		c->bucket_body.attributes = mem_strdup(known->body.attributes);
		pthread_rwlock_unlock(&b->names);
	}
	snprintf(c->bucket_body.org, sizeof(c->bucket_body.org), "%s", c->org);
	c->bucket_body.created_ms = k.body.created_ms;
	begin_record(b, c);
	return end_bucket(c);
}

static int prepare_bucket_delete(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	struct bucket k;
	sqlite3_stmt *st;
	int r = find_bucket(b, c, &k, err);
	if (r < 0)
		return r;
	r = index_query(&b->index, INDEX_BUCKET_USED, &st, err, "i", (int64_t)k.id);
	if (r < 0 || (r = index_step(&b->index, st, err)) < 0)
		return r;
	bool is_used = sqlite3_column_int(st, 0);
	sqlite3_reset(st);
	if (is_used)
		return err_set(err, ERR_STATE,
			       "bucket '%s' is not empty; remove its objects, versions and uploads",
			       c->bucket);
	begin_record(b, c);
	return 1;
}

static int no_upload(const struct change *c, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no upload '%s' of '%s'", c->upload, c->key);
}

static int prepare_upload(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	struct bucket k;
	int r = find_bucket(b, c, &k, err);
	if (r < 0)
		return r;
	begin_record(b, c);
	return end_object(c);
}

static int find_upload(struct blobs *b, struct change *c, struct err *err)
{
	struct bucket k;
	int r = find_bucket(b, c, &k, err);
	if (r < 0)
		return r;
	CLEANUP(row) struct row row = {0};
	r = index_find_upload(&b->index, k.id, str_from(c->key), c->upload, &row, err);
	return r == 0 ? no_upload(c, err) : r;
}

static int prepare_part(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	int r = find_upload(b, c, err);
	if (r < 0 || (r = room_check(b, t, c->org, c->object.info.size_bytes, 0, err)) < 0)
		return r;
	begin_record(b, c);
	c->record.number = c->number;
	return end_object(c);
}

static int prepare_upload_abort(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	int r = find_upload(b, c, err);
	if (r < 0)
		return r;
	begin_record(b, c);
	return 1;
}

/* The row that a record of compaction stands for; 0 = none any more. */
static int find_moved(struct blobs *b, const struct change *c, struct row *ret, struct err *err)
{
	const struct record *r = &c->record;
	if (r->type == RECORD_PART)
		return index_find_part(&b->index, c->upload, r->number, ret, err);
	if (r->type == RECORD_UPLOAD)
		return index_find_upload(&b->index, r->bucket, r->key, c->upload, ret, err);
	return index_find_seq(&b->index, r->bucket, r->key, r->type == RECORD_ATTRIBUTES ? r->of : r->seq,
			      ret, err);
}

static int move_bucket(struct blobs *b, struct change *c)
{
	pthread_rwlock_rdlock(&b->names);
	const struct bucket *k = map_get(b->buckets, c->key);
	bool is_there = k && k->id == c->record.bucket;
	buf_clear(&c->body);
	if (is_there)
		bucket_pack(&k->body, &c->body);
	pthread_rwlock_unlock(&b->names);
	c->record.body = (struct str){c->body.data, c->body.len};
	return is_there;
}

/* Compaction gave the record; it is written again, with what the index says today, unless something newer
 * took its place. */
static int prepare_move(struct blobs *b, struct change *c, const struct tally *t, struct err *err)
{
	CLEANUP(row) struct row row = {0};
	enum record_type type = c->record.type;
	if (type == RECORD_BUCKET)
		return move_bucket(b, c);
	bool has_row = type == RECORD_PUT || type == RECORD_PART || type == RECORD_UPLOAD ||
		       type == RECORD_ATTRIBUTES || (c->record.flags & RECORD_MARKER);
	if (!has_row)
		return 1;
	int r = find_moved(b, c, &row, err);
	if (r <= 0)
		return r;
	if (type != RECORD_ATTRIBUTES &&
	    (row.place.segment != c->moved_from.segment || row.place.offset != c->moved_from.offset))
		return 0;
	buf_clear(&c->body);
	buf_add(&c->body, row.body.data, row.body.len);
	c->record.body = (struct str){c->body.data, c->body.len};
	return 1;
}

const struct change_kind change_put = {RECORD_PUT, prepare_put};
const struct change_kind change_complete = {RECORD_PUT, prepare_complete};
const struct change_kind change_remove = {RECORD_REMOVE, prepare_remove};
const struct change_kind change_attributes = {RECORD_ATTRIBUTES, prepare_attributes};
const struct change_kind change_bucket_create = {RECORD_BUCKET, prepare_bucket_create};
const struct change_kind change_bucket_set = {RECORD_BUCKET, prepare_bucket_set};
const struct change_kind change_bucket_delete = {RECORD_BUCKET_GONE, prepare_bucket_delete};
const struct change_kind change_upload = {RECORD_UPLOAD, prepare_upload};
const struct change_kind change_part = {RECORD_PART, prepare_part};
const struct change_kind change_upload_abort = {RECORD_UPLOAD_GONE, prepare_upload_abort};
const struct change_kind change_move = {0, prepare_move};
