/* SPDX-License-Identifier: Apache-2.0 */
/* Single objects: what they are, copies, removal. */
#include "blobs/blobs_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"

int object_stat(struct blob_store *s, const char *org, const char *bucket, const char *key,
		const char *version, struct blob_info *ret, char **ret_attributes, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct bucket known;
	CLEANUP(row) struct row row = {0};
	CLEANUP(object) struct object o = {0};
	int r = bucket_find(b, org, bucket, &known, err);
	if (r < 0 || (r = blob_key_check(key, err)) < 0 ||
	    (r = reader_find(b, &known, key, version, &row, &o, err)) < 0)
		return r;
	*ret = o.info;
	if (ret_attributes)
		*ret_attributes = STEAL(o.attributes);
	return 0;
}

int object_set_attributes(struct blob_store *s, const char *org, const char *bucket, const char *key,
			  const char *version, const char *attributes, struct err *err)
{
	int r = blob_key_check(key, err);
	if (r < 0)
		return r;
	if (strlen(attributes) > BLOB_ATTRIBUTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "attributes of '%s' are longer than %d bytes", key,
			       BLOB_ATTRIBUTES_MAX);
	CLEANUP(change) struct change *c = change_new(&change_attributes, org, bucket, key);
	c->version = mem_strdup(version);
	c->object.attributes = attributes[0] ? mem_strdup(attributes) : NULL;
	r = commit_run(blobs_of(s), c, err);
	return r < 0 ? r : 0;
}

int object_remove_many(struct blob_store *s, const char *org, const char *bucket, struct blob_removal *items,
		       size_t count, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct bucket known;
	int r = bucket_find(b, org, bucket, &known, err);
	if (r < 0)
		return r;
	struct change **changes = mem_alloc((count + 1) * sizeof(struct change *));
	size_t submitted = 0;
	for (size_t i = 0; i < count; i++) {
		items[i].err = ERR_INIT;
		if (blob_key_check(items[i].key, &items[i].err) < 0)
			continue;
		struct change *c = change_new(&change_remove, org, bucket, items[i].key);
		c->version = mem_strdup(items[i].version);
		c->number = (int)i;
		changes[submitted++] = c;
		commit_submit(b, c);
	}
	commit_wait(b, changes, submitted);
	for (size_t i = 0; i < submitted; i++) {
		struct blob_removal *item = &items[changes[i]->number];
		item->ret = changes[i]->info;
		if (changes[i]->r < 0)
			item->err = changes[i]->err;
		change_free(changes[i]);
	}
	free(changes);
	return 0;
}

int object_remove(struct blob_store *s, const char *org, const char *bucket, const char *key, struct err *err)
{
	struct blob_removal item = {.key = key};
	int r = object_remove_many(s, org, bucket, &item, 1, err);
	if (r == 0 && item.err.code) {
		if (err)
			*err = item.err;
		return -item.err.code;
	}
	return r;
}

/* The content of 'from' as content of c: read once more when it lies in the log, linked when in files. */
static int copy_content(struct blobs *b, struct change *c, const struct row *row, const struct object *from,
			struct err *err)
{
	struct object *o = &c->object;
	if (!from->extent_count) {
		unsigned char *data = NULL;
		int r = record_content(b, row, from, c->key, &data, err);
		if (r != 0)
			return r;
		buf_add(&c->data, data, (size_t)from->info.size_bytes);
		free(data);
		o->crc = from->crc;
		return 0;
	}
	o->extents = mem_alloc(from->extent_count * sizeof(*o->extents));
	for (; o->extent_count < from->extent_count; o->extent_count++) {
		const struct extent *e = &from->extents[o->extent_count];
		uint64_t id;
		int r = file_link(b, e->file, &id, err);
		if (r < 0)
			return r == -ERR_NOT_FOUND ? 1 : r; /* replaced meanwhile */
		o->extents[o->extent_count] = (struct extent){id, e->size_bytes};
	}
	return 0;
}

static void describe_copy(struct change *c, const struct object *from, const struct blob_put_options *o)
{
	struct object *to = &c->object;
	to->info = from->info;
	to->info.modified_ms = clock_wall_ms(&clock_real);
	if (o->content_type)
		snprintf(to->info.content_type, sizeof(to->info.content_type), "%s", o->content_type);
	const char *attributes = o->attributes ? o->attributes : from->attributes;
	to->attributes = attributes && attributes[0] ? mem_strdup(attributes) : NULL;
	change_options(c, o);
}

int object_copy(struct blob_store *s, const char *org, const char *from_bucket, const char *from_key,
		const char *from_version, const char *bucket, const char *key,
		const struct blob_put_options *options, struct blob_info *ret, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct bucket from, to;
	int r = bucket_find(b, org, from_bucket, &from, err);
	if (r < 0 || (r = bucket_find(b, org, bucket, &to, err)) < 0 || (r = blob_key_check(key, err)) < 0 ||
	    (r = blob_key_check(from_key, err)) < 0 || (r = options_check(b, options, err)) < 0)
		return r;
	for (int i = 0; i < 8; i++) {
		CLEANUP(row) struct row row = {0};
		CLEANUP(object) struct object o = {0};
		r = reader_find(b, &from, from_key, from_version, &row, &o, err);
		if (r < 0)
			return r;
		CLEANUP(change) struct change *c = change_new(&change_put, org, bucket, key);
		describe_copy(c, &o, options);
		*err = ERR_INIT;
		r = copy_content(b, c, &row, &o, err);
		if (r == 0) {
			r = commit_run(b, c, err);
			if (r >= 0 && ret)
				*ret = c->info;
			return r < 0 ? r : 0;
		}
		change_drop_files(b, c);
		if (r < 0)
			return r;
	}
	return err_set(err, ERR_BUSY, "object '%s' changes again and again; copy it later", from_key);
}
