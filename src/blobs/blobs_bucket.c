/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets, who owns them, how much is in them, and what organisations may keep. */
#include "blobs/blobs_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static void bucket_free(void *bucket)
{
	struct bucket *k = bucket;
	free(k->body.attributes);
	free(k);
}

/* Under the write lock. */
static struct usage *usage_of(struct blobs *b, const char *org)
{
	struct usage *u = map_get(b->usages, org);
	if (!u) {
		u = MEM_NEW(struct usage);
		u->max_bytes = u->max_objects = -1;
		map_set(b->usages, org, u);
	}
	return u;
}

/* Under the write lock. Takes body. */
static void bucket_put(struct blobs *b, uint64_t id, const char *name, struct bucket_body *body)
{
	struct bucket *k = map_get(b->buckets, name);
	if (!k || k->id != id) {
		k = MEM_NEW(struct bucket);
		k->id = id;
		snprintf(k->name, sizeof(k->name), "%s", name);
		map_set(b->buckets, name, k);
	}
	free(k->body.attributes);
	k->body = *body;
	*body = (struct bucket_body){0};
	usage_of(b, k->body.org);
}

int bucket_find(struct blobs *b, const char *org, const char *name, struct bucket *ret, struct err *err)
{
	pthread_rwlock_rdlock(&b->names);
	const struct bucket *k = map_get(b->buckets, name);
	bool owned = k && strcmp(k->body.org, org) == 0;
	if (owned) {
		*ret = *k;
		ret->body.attributes = NULL;
	}
	pthread_rwlock_unlock(&b->names);
	return owned ? 0 : err_set(err, ERR_NOT_FOUND, "there is no bucket '%.63s'", name);
}

void bucket_note(struct blobs *b, const struct record *r)
{
	if (r->type != RECORD_BUCKET && r->type != RECORD_BUCKET_GONE)
		return;
	char name[CORE_NAME_MAX + 1] = "";
	memcpy(name, r->key.data, r->key.len < sizeof(name) ? r->key.len : 0);
	struct bucket_body body = {0};
	struct err ignored = ERR_INIT; /* it was packed a moment ago */
	pthread_rwlock_wrlock(&b->names);
	if (r->type == RECORD_BUCKET_GONE)
		map_delete(b->buckets, name);
	else if (bucket_unpack(r->body, &body, &ignored) == 0)
		bucket_put(b, r->bucket, name, &body);
	pthread_rwlock_unlock(&b->names);
}

void bucket_tally(struct blobs *b, const struct tally *t)
{
	if (t->bucket_count == 0)
		return;
	const char *name;
	void *value;
	pthread_rwlock_wrlock(&b->names);
	for (size_t i = 0; map_next(b->buckets, &i, &name, &value);) {
		struct bucket *k = value;
		for (size_t n = 0; n < t->bucket_count; n++) {
			if (t->buckets[n].id != k->id)
				continue;
			struct usage *u = usage_of(b, k->body.org);
			k->objects += t->buckets[n].objects;
			k->bytes += t->buckets[n].bytes;
			u->objects += t->buckets[n].objects;
			u->bytes += t->buckets[n].bytes;
		}
	}
	pthread_rwlock_unlock(&b->names);
}

int room_check(struct blobs *b, const struct tally *t, const char *org, int64_t bytes, int64_t objects,
	       struct err *err)
{
	pthread_rwlock_rdlock(&b->names);
	const struct usage *u = map_get(b->usages, org);
	struct usage now = u ? *u : (struct usage){.max_bytes = -1, .max_objects = -1};
	const char *name;
	void *value;
	/* What others of this batch take counts; most organisations have no quota and need no look. */
	for (size_t i = 0; t->bucket_count && (now.max_bytes >= 0 || now.max_objects >= 0) &&
			   map_next(b->buckets, &i, &name, &value);) {
		const struct bucket *k = value;
		for (size_t n = 0; n < t->bucket_count; n++)
			if (t->buckets[n].id == k->id && strcmp(k->body.org, org) == 0) {
				now.bytes += t->buckets[n].bytes;
				now.objects += t->buckets[n].objects;
			}
	}
	pthread_rwlock_unlock(&b->names);
	if (now.max_bytes >= 0 && now.bytes + bytes > now.max_bytes)
		return err_set(err, ERR_QUOTA,
			       "organisation keeps %lld of %lld bytes, %lld more do not fit; remove objects",
			       (long long)now.bytes, (long long)now.max_bytes, (long long)bytes);
	if (now.max_objects >= 0 && now.objects + objects > now.max_objects)
		return err_set(err, ERR_QUOTA, "organisation keeps %lld of %lld objects; remove some",
			       (long long)now.objects, (long long)now.max_objects);
	return 0;
}

static int bucket_sum(struct index *ix, struct bucket *k, struct err *err)
{
	sqlite3_stmt *st;
	int r = index_query(ix, INDEX_BUCKET_SUM, &st, err, "i", (int64_t)k->id);
	while (r >= 0 && (r = index_step(ix, st, err)) > 0) {
		CLEANUP(object) struct object o = {0};
		r = object_unpack(index_blob(st, 1), &o, err);
		k->objects += sqlite3_column_int(st, 0) & RECORD_MARKER ? 0 : 1;
		k->bytes += r < 0 ? 0 : o.info.size_bytes;
	}
	return r;
}

int buckets_load(struct blobs *b, struct err *err)
{
	sqlite3_stmt *st;
	const char *name;
	void *value;
	pthread_rwlock_wrlock(&b->names);
	for (size_t i = 0; map_next(b->usages, &i, &name, &value);) {
		struct usage *u = value;
		u->objects = u->bytes = 0;
	}
	map_free(b->buckets);
	b->buckets = map_new(bucket_free);
	int r = index_query(&b->index, INDEX_BUCKETS, &st, err, "");
	while (r >= 0 && (r = index_step(&b->index, st, err)) > 0) {
		struct bucket_body body = {0};
		r = bucket_unpack(index_blob(st, 2), &body, err);
		if (r >= 0)
			bucket_put(b, (uint64_t)sqlite3_column_int64(st, 0),
				   (const char *)sqlite3_column_text(st, 1), &body);
	}
	for (size_t i = 0; r >= 0 && map_next(b->buckets, &i, &name, &value);) {
		struct bucket *k = value;
		r = bucket_sum(&b->index, k, err);
		struct usage *u = usage_of(b, k->body.org);
		u->objects += k->objects;
		u->bytes += k->bytes;
	}
	pthread_rwlock_unlock(&b->names);
	return r;
}

static int bucket_change(struct blob_store *s, const struct change_kind *kind, const char *org,
			 const char *bucket, enum blob_versioning versioning, const char *attributes,
			 struct err *err)
{
	if (attributes && strlen(attributes) > BLOB_ATTRIBUTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "attributes of bucket '%.63s' are longer than %d bytes",
			       bucket, BLOB_ATTRIBUTES_MAX);
	CLEANUP(change) struct change *c = change_new(kind, org, bucket, NULL);
	c->bucket_body.versioning = versioning;
	c->bucket_body.attributes = mem_strdup(attributes);
	return commit_run(blobs_of(s), c, err);
}

int bucket_create(struct blob_store *s, const char *org, const char *bucket, struct err *err)
{
	struct bucket known;
	int r = core_name_check("bucket", bucket, err);
	if (r < 0)
		return err_wrap(err, "creating bucket '%.63s'", bucket);
	struct err ignored = ERR_INIT;
	if (bucket_find(blobs_of(s), org, bucket, &known, &ignored) == 0)
		return 0;
	r = bucket_change(s, &change_bucket_create, org, bucket, BLOB_VERSIONING_OFF, NULL, err);
	return r < 0 ? err_wrap(err, "creating bucket '%.63s'", bucket) : 0;
}

int bucket_delete(struct blob_store *s, const char *org, const char *bucket, struct err *err)
{
	int r = bucket_change(s, &change_bucket_delete, org, bucket, BLOB_VERSIONING_OFF, NULL, err);
	return r < 0 ? r : 0;
}

int bucket_set(struct blob_store *s, const char *org, const char *bucket, enum blob_versioning versioning,
	       const char *attributes, struct err *err)
{
	int r = bucket_change(s, &change_bucket_set, org, bucket, versioning, attributes, err);
	return r < 0 ? r : 0;
}

int bucket_stat(struct blob_store *s, const char *org, const char *bucket, struct blob_bucket *ret,
		struct err *err)
{
	struct blobs *b = blobs_of(s);
	pthread_rwlock_rdlock(&b->names);
	const struct bucket *k = map_get(b->buckets, bucket);
	bool owned = k && strcmp(k->body.org, org) == 0;
	if (owned)
		*ret = (struct blob_bucket){.created_ms = k->body.created_ms,
					    .versioning = k->body.versioning,
					    .objects = k->objects,
					    .bytes = k->bytes,
					    .attributes = mem_strdup(k->body.attributes)};
	pthread_rwlock_unlock(&b->names);
	return owned ? 0 : err_set(err, ERR_NOT_FOUND, "there is no bucket '%.63s'", bucket);
}

int bucket_attributes(struct blob_store *s, const char *bucket, char **ret_attributes, struct err *err)
{
	struct blobs *b = blobs_of(s);
	pthread_rwlock_rdlock(&b->names);
	const struct bucket *k = map_get(b->buckets, bucket);
	if (k)
		*ret_attributes = mem_strdup(k->body.attributes);
	pthread_rwlock_unlock(&b->names);
	return k ? 0 : err_set(err, ERR_NOT_FOUND, "there is no bucket '%.63s'", bucket);
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const struct blob_entry *)a)->key, ((const struct blob_entry *)b)->key);
}

int bucket_list(struct blob_store *s, const char *org, struct blob_list *ret, struct err *err)
{
	struct blobs *b = blobs_of(s);
	struct blob_list list = {0};
	const char *name;
	void *value;
	pthread_rwlock_rdlock(&b->names);
	for (size_t i = 0; map_next(b->buckets, &i, &name, &value);) {
		const struct bucket *k = value;
		if (strcmp(k->body.org, org) != 0)
			continue;
		list.entries = mem_realloc(list.entries, (list.count + 1) * sizeof(*list.entries));
		list.entries[list.count++] =
		    (struct blob_entry){.key = mem_strdup(name), .info.modified_ms = k->body.created_ms};
	}
	pthread_rwlock_unlock(&b->names);
	if (list.count)
		qsort(list.entries, list.count, sizeof(*list.entries), compare_entries);
	*ret = list;
	return 0;
}

void org_quota_set(struct blob_store *s, const char *org, int64_t bytes, int64_t objects)
{
	struct blobs *b = blobs_of(s);
	pthread_rwlock_wrlock(&b->names);
	struct usage *u = usage_of(b, org);
	u->max_bytes = bytes;
	u->max_objects = objects;
	pthread_rwlock_unlock(&b->names);
}

int org_usage(struct blob_store *s, const char *org, int64_t *ret_bytes, int64_t *ret_objects,
	      struct err *err)
{
	struct blobs *b = blobs_of(s);
	pthread_rwlock_rdlock(&b->names);
	const struct usage *u = map_get(b->usages, org);
	*ret_bytes = u ? u->bytes : 0;
	*ret_objects = u ? u->objects : 0;
	pthread_rwlock_unlock(&b->names);
	return 0;
}

static int remove_versions(struct blob_store *s, const char *org, const char *bucket, struct err *err)
{
	for (bool more = true; more;) {
		struct blob_list list = {0};
		int r = list_versions(s, org, bucket, NULL, NULL, NULL, 0, BLOB_LIST_MAX, &list, err);
		if (r < 0)
			return r;
		struct blob_removal *items = mem_alloc((list.count + 1) * sizeof(*items));
		for (size_t i = 0; i < list.count; i++)
			items[i] = (struct blob_removal){.key = list.entries[i].key,
							 .version = list.entries[i].info.version};
		r = object_remove_many(s, org, bucket, items, list.count, err);
		for (size_t i = 0; i < list.count && r == 0; i++)
			if (items[i].err.code) {
				*err = items[i].err;
				r = -err->code;
			}
		more = list.truncated;
		free(items);
		blob_list_done(&list);
		if (r < 0)
			return r;
	}
	return 0;
}

static int abort_uploads(struct blob_store *s, const char *org, const char *bucket, struct err *err)
{
	for (bool more = true; more;) {
		struct blob_list list = {0};
		int r = upload_list(s, org, bucket, NULL, NULL, NULL, BLOB_LIST_MAX, &list, err);
		for (size_t i = 0; i < list.count && r == 0; i++) {
			r = upload_abort(s, org, bucket, list.entries[i].key, list.entries[i].upload_id, err);
			r = r == -ERR_NOT_FOUND ? 0 : r; /* it ended by itself */
		}
		more = list.truncated;
		blob_list_done(&list);
		if (r < 0)
			return r;
	}
	return 0;
}

int bucket_remove(struct blob_store *s, const char *org, const char *bucket, struct err *err)
{
	int r;
	do { /* until nobody puts something in between */
		*err = ERR_INIT;
		r = abort_uploads(s, org, bucket, err);
		if (r == 0)
			r = remove_versions(s, org, bucket, err);
		if (r == 0)
			r = bucket_delete(s, org, bucket, err);
	} while (r == -ERR_STATE);
	return r < 0 ? err_wrap(err, "removing bucket '%.63s'", bucket) : 0;
}
