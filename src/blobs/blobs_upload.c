/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads: parts in data files, of which completion makes one object without moving a byte. */
#include "blobs/blobs_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <nettle/md5.h>
#include "base/clock.h"
#include "base/mem.h"

static int no_upload(const char *upload_id, const char *key, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "there is no upload '%.40s' of '%s'", upload_id, key);
}

static struct change *upload_change(const struct change_kind *kind, const char *org, const char *bucket,
				    const char *key, const char *upload_id)
{
	struct change *c = change_new(kind, org, bucket, key);
	snprintf(c->upload, sizeof(c->upload), "%s", upload_id);
	return c;
}

int upload_begin(struct blob_store *s, const char *org, const char *bucket, const char *key,
		 const struct blob_put_options *o, char ret_id[BLOB_UPLOAD_ID_MAX + 1], struct err *err)
{
	struct blobs *b = blobs_of(s);
	int r = blob_key_check(key, err);
	if (r < 0 || (r = options_check(b, o, err)) < 0)
		return r;
	char id[BLOB_UPLOAD_ID_MAX + 1];
	rng_id(&rng_system, id, BLOB_UPLOAD_ID_MAX);
	CLEANUP(change) struct change *c = upload_change(&change_upload, org, bucket, key, id);
	struct blob_info *info = &c->object.info;
	info->modified_ms = clock_wall_ms(&clock_real);
	snprintf(info->content_type, sizeof(info->content_type), "%s",
		 o->content_type ? o->content_type : "");
	c->object.attributes = o->attributes && o->attributes[0] ? mem_strdup(o->attributes) : NULL;
	r = commit_run(b, c, err);
	if (r < 0)
		return r;
	memcpy(ret_id, id, sizeof(id));
	return 0;
}

int upload_complete(struct blob_store *s, const char *org, const char *bucket, const char *key,
		    const char *upload_id, const struct blob_part *parts, size_t count,
		    const struct blob_put_options *options, struct blob_info *ret, struct err *err)
{
	int r = blob_key_check(key, err);
	if (r < 0 || (r = options_check(blobs_of(s), options, err)) < 0)
		return r;
	if (strlen(upload_id) > BLOB_UPLOAD_ID_MAX)
		return no_upload(upload_id, key, err);
	if (count == 0 || count > BLOB_PART_MAX)
		return err_set(err, ERR_INVALID, "an upload is completed with 1 to %d parts", BLOB_PART_MAX);
	for (size_t i = 1; i < count; i++)
		if (parts[i].number <= parts[i - 1].number)
			return err_set(err, ERR_INVALID, "parts are not in ascending order: %d follows %d",
				       parts[i].number, parts[i - 1].number);
	CLEANUP(change) struct change *c = upload_change(&change_complete, org, bucket, key, upload_id);
	change_options(c, options);
	c->object.attributes =
	    options->attributes && options->attributes[0] ? mem_strdup(options->attributes) : NULL;
	c->parts = parts;
	c->part_count = count;
	r = commit_run(blobs_of(s), c, err);
	if (r < 0)
		return r;
	if (ret)
		*ret = c->info;
	return 0;
}

static bool is_md5(const char *etag)
{
	return strlen(etag) == 2 * MD5_DIGEST_SIZE && strspn(etag, "0123456789abcdef") == 2 * MD5_DIGEST_SIZE;
}

static int add_part(struct blobs *b, struct change *c, size_t i, struct md5_ctx *md5, struct err *err)
{
	const struct blob_part *want = &c->parts[i];
	CLEANUP(row) struct row row = {0};
	CLEANUP(object) struct object part = {0};
	int r = index_find_part(&b->index, c->upload, want->number, &row, err);
	if (r < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_INVALID, "part %d was not uploaded", want->number);
	r = row_object(&row, &part, err);
	if (r < 0)
		return r;
	if (strcmp(part.info.etag, want->etag) != 0 || !is_md5(want->etag))
		return err_set(err, ERR_INVALID, "part %d has another ETag", want->number);
	if (i + 1 < c->part_count && part.info.size_bytes < BLOBS_PART_MIN_BYTES)
		return err_set(err, ERR_TOO_LARGE, "part %d is smaller than 5 MiB and not the last",
			       want->number);
	uint8_t raw[MD5_DIGEST_SIZE];
	for (size_t k = 0; k < sizeof(raw); k++) {
		char hex[3] = {want->etag[2 * k], want->etag[2 * k + 1], '\0'};
		raw[k] = (uint8_t)strtoul(hex, NULL, 16);
	}
	md5_update(md5, sizeof(raw), raw);
	c->object.extents[c->object.extent_count++] = part.extents[0];
	c->object.info.size_bytes += part.info.size_bytes;
	return 0;
}

int upload_assemble(struct blobs *b, uint64_t bucket, struct change *c, struct err *err)
{
	CLEANUP(row) struct row row = {0};
	CLEANUP(object) struct object upload = {0};
	int r = index_find_upload(&b->index, bucket, str_from(c->key), c->upload, &row, err);
	if (r <= 0)
		return r < 0 ? r : no_upload(c->upload, c->key, err);
	r = row_object(&row, &upload, err);
	struct md5_ctx md5;
	md5_init(&md5);
	c->object.extents = mem_alloc(c->part_count * sizeof(*c->object.extents));
	for (size_t i = 0; i < c->part_count && r >= 0; i++)
		r = add_part(b, c, i, &md5, err);
	if (r < 0)
		return r;
	struct blob_info *info = &c->object.info;
	uint8_t raw[MD5_DIGEST_SIZE];
	md5_digest(&md5, sizeof(raw), raw);
	for (size_t i = 0; i < sizeof(raw); i++)
		snprintf(info->etag + 2 * i, 3, "%02x", raw[i]);
	snprintf(info->etag + 2 * sizeof(raw), 8, "-%zu", c->part_count);
	memcpy(info->content_type, upload.info.content_type, sizeof(info->content_type));
	info->modified_ms = clock_wall_ms(&clock_real);
	info->part_count = (int)c->part_count;
	if (!c->object.attributes)
		c->object.attributes = STEAL(upload.attributes);
	return 0;
}

int upload_abort(struct blob_store *s, const char *org, const char *bucket, const char *key,
		 const char *upload_id, struct err *err)
{
	int r = blob_key_check(key, err);
	if (r < 0)
		return r;
	if (strlen(upload_id) > BLOB_UPLOAD_ID_MAX)
		return no_upload(upload_id, key, err);
	CLEANUP(change) struct change *c = upload_change(&change_upload_abort, org, bucket, key, upload_id);
	r = commit_run(blobs_of(s), c, err);
	return r < 0 ? r : 0;
}

/* 1 = there is such an upload; ret may be NULL. */
static int find_upload(struct blobs *b, struct index *ix, const char *org, const char *bucket,
		       const char *key, const char *upload_id, struct object *ret, struct err *err)
{
	struct bucket known;
	int r = bucket_find(b, org, bucket, &known, err);
	if (r < 0 || (r = blob_key_check(key, err)) < 0)
		return r;
	if (strlen(upload_id) > BLOB_UPLOAD_ID_MAX)
		return no_upload(upload_id, key, err);
	CLEANUP(row) struct row row = {0};
	r = index_find_upload(ix, known.id, str_from(key), upload_id, &row, err);
	if (r == 0)
		return no_upload(upload_id, key, err);
	return r > 0 && ret ? row_object(&row, ret, err) : r;
}

int upload_stat(struct blob_store *s, const char *org, const char *bucket, const char *key,
		const char *upload_id, char **ret_attributes, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct index *ix = NULL;
	CLEANUP(object) struct object o = {0};
	int r = reader_take(b, &ix, err);
	if (r == 0)
		r = find_upload(b, ix, org, bucket, key, upload_id, &o, err);
	reader_give(b, ix);
	if (r < 0)
		return r;
	*ret_attributes = STEAL(o.attributes);
	return 0;
}

static int read_uploads(struct index *ix, uint64_t bucket, const char *prefix, const char *after,
			const char *after_id, size_t limit, struct blob_list *ret, struct err *err)
{
	/* With no upload named, all of the key 'after' are passed. */
	bool is_first = strcmp(after, prefix) < 0;
	sqlite3_stmt *st;
	int r = index_query(ix, INDEX_UPLOADS, &st, err, "ibs", (int64_t)bucket,
			    str_from(is_first ? prefix : after),
			    is_first ? "" : (after_id && after_id[0] ? after_id : "~"));
	size_t prefix_len = strlen(prefix);
	while (r >= 0 && (r = index_step(ix, st, err)) > 0) {
		struct str key = index_blob(st, 0);
		if (key.len < prefix_len || memcmp(key.data, prefix, prefix_len) != 0)
			break;
		if (ret->count == limit) {
			ret->truncated = true;
			break;
		}
		CLEANUP(object) struct object o = {0};
		r = object_unpack(index_blob(st, 2), &o, err);
		if ((ret->count & (ret->count - 1)) == 0)
			ret->entries = mem_realloc(ret->entries,
						   (ret->count ? 2 * ret->count : 1) * sizeof(*ret->entries));
		ret->entries[ret->count++] =
		    (struct blob_entry){.key = mem_strndup(key.data, key.len),
					.info = o.info,
					.upload_id = mem_strdup((const char *)sqlite3_column_text(st, 1))};
	}
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int upload_list(struct blob_store *s, const char *org, const char *bucket, const char *prefix,
		const char *after, const char *after_id, size_t limit, struct blob_list *ret, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct bucket known;
	struct index *ix = NULL;
	struct blob_list list = {0};
	int r = bucket_find(b, org, bucket, &known, err);
	if (r < 0 || (r = reader_take(b, &ix, err)) < 0)
		return r;
	if (limit > 0)
		r = read_uploads(ix, known.id, prefix ? prefix : "", after ? after : "", after_id,
				 limit > BLOB_LIST_MAX ? BLOB_LIST_MAX : limit, &list, err);
	reader_give(b, ix);
	if (r < 0) {
		blob_list_done(&list);
		return r;
	}
	*ret = list;
	return 0;
}

static int read_parts(struct index *ix, const char *upload_id, int after, size_t limit,
		      struct blob_parts *ret, struct err *err)
{
	sqlite3_stmt *st;
	int r = index_query(ix, INDEX_PARTS, &st, err, "sii", upload_id, (int64_t)after, (int64_t)limit + 1);
	while (r >= 0 && (r = index_step(ix, st, err)) > 0) {
		if (ret->count == limit) {
			ret->truncated = true;
			break;
		}
		CLEANUP(object) struct object o = {0};
		r = object_unpack(index_blob(st, 7), &o, err);
		struct blob_part *p = &ret->items[ret->count++];
		p->number = sqlite3_column_int(st, 0);
		p->size_bytes = o.info.size_bytes;
		p->modified_ms = o.info.modified_ms;
		snprintf(p->etag, sizeof(p->etag), "%s", o.info.etag);
		snprintf(p->checksum, sizeof(p->checksum), "%.*s", BLOB_CHECKSUM_MAX,
			 o.attributes ? o.attributes : "");
	}
	sqlite3_reset(st);
	return r < 0 ? r : 0;
}

int part_list(struct blob_store *s, const char *org, const char *bucket, const char *key,
	      const char *upload_id, int after, size_t limit, struct blob_parts *ret, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct index *ix = NULL;
	struct blob_parts parts = {0};
	int r = reader_take(b, &ix, err);
	if (r < 0)
		return r;
	r = find_upload(b, ix, org, bucket, key, upload_id, NULL, err);
	if (limit > BLOB_PART_MAX)
		limit = BLOB_PART_MAX;
	if (r >= 0) {
		parts.items = mem_alloc((limit + 1) * sizeof(*parts.items));
		r = read_parts(ix, upload_id, after, limit, &parts, err);
	}
	reader_give(b, ix);
	if (r < 0) {
		free(parts.items);
		return r;
	}
	*ret = parts;
	return 0;
}
