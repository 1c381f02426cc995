/* SPDX-License-Identifier: Apache-2.0 */
/* Versions, delete markers, conditions, attributes, copies, quotas. */
#include "unit/blobs/blobs_test.h"

#include <stdlib.h>

static void versioning(struct blob_store *s, enum blob_versioning v)
{
	struct err err = ERR_INIT;
	EXPECT_OK(s->ops->bucket_set(s, ORG, BUCKET, v, NULL, &err), &err);
}

static struct blob_info put(struct blob_store *s, const char *key, const char *text)
{
	struct err err = ERR_INIT;
	struct blob_info info;
	EXPECT_OK(
	    blob_put(s, ORG, BUCKET, key, &OPTIONS(.expected_size = -1), text, strlen(text), &info, &err),
	    &err);
	return info;
}

/* Content of a version, or the word of the error. Owned. */
static char *get(struct blob_store *s, const char *key, const char *version)
{
	struct err err = ERR_INIT;
	struct blob_get *g = NULL;
	struct blob_info info;
	char text[64] = "";
	if (s->ops->get_open(s, ORG, BUCKET, key, version, &g, &info, &err) < 0)
		return mem_strdup(err_word(err.code));
	assert_true(s->ops->get_read(g, 0, text, sizeof(text) - 1, &err) >= 0);
	s->ops->get_close(g);
	return mem_strdup(text);
}

#define EXPECT_GET(s, key, version, want)                                                                    \
	do {                                                                                                 \
		CLEANUP(free) char *got_ = get(s, key, version);                                             \
		assert_string_equal(got_, want);                                                             \
	} while (0)

/* "key:content*" of all versions, newest first; * = the latest, - = a marker. Owned. */
static char *versions(struct blob_store *s, size_t page)
{
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	CLEANUP(free) char *after = NULL;
	CLEANUP(free) char *version = NULL;
	for (bool more = true; more;) {
		struct blob_list l = {0};
		EXPECT_OK(s->ops->list_versions(s, ORG, BUCKET, NULL, after, version, 0, page, &l, &err),
			  &err);
		for (size_t i = 0; i < l.count; i++) {
			struct blob_entry *e = &l.entries[i];
			CLEANUP(free)
			char *text =
			    e->info.is_delete_marker ? mem_strdup("-") : get(s, e->key, e->info.version);
			buf_printf(&b, "%s%s:%s%s", b.len ? " " : "", e->key, text,
				   e->info.is_latest ? "*" : "");
		}
		more = l.truncated;
		if (l.count) {
			free(after);
			free(version);
			after = mem_strdup(l.entries[l.count - 1].key);
			version = mem_strdup(l.entries[l.count - 1].info.version);
		}
		blob_list_done(&l);
	}
	return buf_steal(&b);
}

static void expect_versions(struct blob_store *s, const char *want)
{
	for (size_t page = 1; page < 5; page++) {
		CLEANUP(free) char *got = versions(s, page);
		assert_string_equal(got, want);
	}
}

TEST(a_bucket_that_keeps_versions_keeps_them)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	put(s, "k", "0");
	versioning(s, BLOB_VERSIONING_ON);
	struct blob_info one = put(s, "k", "1"), two = put(s, "k", "2");
	put(s, "l", "x");
	expect_versions(s, "k:2* k:1 k:0 l:x*");
	EXPECT_GET(s, "k", NULL, "2");
	EXPECT_GET(s, "k", one.version, "1");
	EXPECT_GET(s, "k", "null", "0");
	EXPECT_GET(s, "k", "000000000000ffff", "not_found");
	EXPECT_GET(s, "k", "nonsense", "invalid");

	struct blob_removal gone = {.key = "k"};
	EXPECT_OK(s->ops->remove_many(s, ORG, BUCKET, &gone, 1, &err), &err);
	assert_true(gone.ret.is_delete_marker);
	expect_versions(s, "k:-* k:2 k:1 k:0 l:x*");
	EXPECT_GET(s, "k", NULL, "not_found");
	EXPECT_GET(s, "k", gone.ret.version, "method_not_allowed");
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
	assert_string_equal(keys, "l");

	store_close(s);
	s = store_open(dir);
	expect_versions(s, "k:-* k:2 k:1 k:0 l:x*");

	/* Without the marker the newest is back; without that, the one before. */
	char marker[BLOB_VERSION_MAX + 1];
	memcpy(marker, gone.ret.version, sizeof(marker));
	struct blob_removal both[] = {{.key = "k", .version = marker}, {.key = "k", .version = two.version}};
	EXPECT_OK(s->ops->remove_many(s, ORG, BUCKET, both, 2, &err), &err);
	assert_int_equal(both[0].err.code | both[1].err.code, 0);
	expect_versions(s, "k:1* k:0 l:x*");
	EXPECT_ERR(s->ops->bucket_set(s, ORG, BUCKET, BLOB_VERSIONING_OFF, NULL, &err), ERR_STATE, &err,
		   "suspended");
}

TEST(a_suspended_bucket_replaces_its_null_version_only)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	versioning(s, BLOB_VERSIONING_ON);
	put(s, "k", "1");
	versioning(s, BLOB_VERSIONING_SUSPENDED);
	struct blob_info null = put(s, "k", "2");
	assert_string_equal(null.version, "null");
	put(s, "k", "3");
	expect_versions(s, "k:3* k:1");
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "k", &err), &err);
	expect_versions(s, "k:-* k:1");
	EXPECT_GET(s, "k", NULL, "not_found");
}

TEST(many_versions_of_one_key_are_one_entry_of_a_list)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	versioning(s, BLOB_VERSIONING_ON);
	for (int i = 0; i < 50; i++)
		put(s, "b", "x");
	put(s, "a", "x");
	put(s, "c/d", "x");
	CLEANUP(free) char *keys = store_keys(s, "", NULL, "/", 2);
	assert_string_equal(keys, "a b+");
	CLEANUP(free) char *rest = store_keys(s, "", "b", "/", 2);
	assert_string_equal(rest, "c/");
}

TEST(conditions_are_looked_at_when_it_is_written)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	EXPECT_ERR(
	    blob_put(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = -1, .if_etag = "x"), "1", 1, NULL, &err),
	    ERR_NOT_FOUND, &err, "no object");
	EXPECT_OK(blob_put(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = -1, .if_absent = true), "1", 1,
			   NULL, &err),
		  &err);
	EXPECT_ERR(blob_put(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = -1, .if_absent = true), "2", 1,
			    NULL, &err),
		   ERR_STATE, &err, "exists already");
	EXPECT_ERR(
	    blob_put(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = -1, .if_etag = "x"), "2", 1, NULL, &err),
	    ERR_STATE, &err, "another ETag");
	struct blob_info info;
	EXPECT_OK(s->ops->stat(s, ORG, BUCKET, "k", NULL, &info, NULL, &err), &err);
	EXPECT_OK(blob_put(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = -1, .if_etag = info.etag), "3", 1,
			   NULL, &err),
		  &err);
	EXPECT_GET(s, "k", NULL, "3");
}

TEST(attributes_change_without_the_content)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	EXPECT_OK(blob_put(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = -1, .attributes = "{\"a\":1}"), "x",
			   1, NULL, &err),
		  &err);
	for (int i = 0; i < 2; i++) {
		struct blob_info info;
		CLEANUP(free) char *attributes = NULL;
		EXPECT_OK(s->ops->stat(s, ORG, BUCKET, "k", NULL, &info, &attributes, &err), &err);
		assert_string_equal(attributes, i ? "{\"b\":\"longer than before\"}" : "{\"a\":1}");
		EXPECT_GET(s, "k", NULL, "x");
		EXPECT_OK(
		    s->ops->set_attributes(s, ORG, BUCKET, "k", NULL, "{\"b\":\"longer than before\"}", &err),
		    &err);
		store_close(s);
		s = store_open(dir);
	}
}

TEST(a_copy_has_its_own_life)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	static char large[300000];
	EXPECT_OK(store_put(s, "large", large, sizeof(large), &err), &err);
	store_puts(s, "small", "content");
	struct blob_info info;
	EXPECT_OK(s->ops->copy(s, ORG, BUCKET, "large", NULL, BUCKET, "large2",
			       &OPTIONS(.expected_size = -1, .content_type = "a/b"), &info, &err),
		  &err);
	EXPECT_OK(s->ops->copy(s, ORG, BUCKET, "small", NULL, BUCKET, "small2", &OPTIONS(.expected_size = -1),
			       &info, &err),
		  &err);
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "large", &err), &err);
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "small", &err), &err);
	assert_int_equal(count_files(dir), 1);
	CLEANUP(buf) struct buf b = BUF_INIT;
	EXPECT_OK(store_get(s, "large2", &b, &err), &err);
	assert_int_equal(b.len, sizeof(large));
	EXPECT_GET(s, "small2", NULL, "content");
	EXPECT_ERR(s->ops->copy(s, ORG, BUCKET, "small", NULL, BUCKET, "x", &OPTIONS(.expected_size = -1),
				&info, &err),
		   ERR_NOT_FOUND, &err, "no object");
}

TEST(a_quota_refuses_what_is_too_much)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	int64_t bytes, objects;
	s->ops->quota_set(s, ORG, 10, 2);
	store_puts(s, "a", "12345");
	EXPECT_ERR(store_put(s, "b", "123456", 6, &err), ERR_QUOTA, &err, "do not fit");
	store_puts(s, "b", "1");
	EXPECT_ERR(store_put(s, "c", "1", 1, &err), ERR_QUOTA, &err, "2 of 2 objects");
	EXPECT_OK(s->ops->usage(s, ORG, &bytes, &objects, &err), &err);
	assert_int_equal(bytes, 6);
	assert_int_equal(objects, 2);
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "a", &err), &err);
	store_puts(s, "c", "1");
}

TEST(a_bucket_goes_when_it_is_empty)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	versioning(s, BLOB_VERSIONING_ON);
	put(s, "k", "x");
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "k", &err), &err);
	EXPECT_ERR(s->ops->bucket_delete(s, ORG, BUCKET, &err), ERR_STATE, &err, "not empty");
	EXPECT_ERR(s->ops->bucket_delete(s, "other", BUCKET, &err), ERR_NOT_FOUND, &err, "no bucket");
	EXPECT_OK(s->ops->bucket_create(s, ORG, "empty", &err), &err);
	EXPECT_OK(s->ops->bucket_set(s, ORG, "empty", BLOB_VERSIONING_OFF, "{}", &err), &err);
	struct blob_bucket k;
	EXPECT_OK(s->ops->bucket_stat(s, ORG, "empty", &k, &err), &err);
	assert_string_equal(k.attributes, "{}");
	free(k.attributes);
	EXPECT_OK(s->ops->bucket_delete(s, ORG, "empty", &err), &err);
	store_close(s);
	s = store_open(dir);
	EXPECT_ERR(s->ops->bucket_stat(s, ORG, "empty", &k, &err), ERR_NOT_FOUND, &err, "no bucket");
	EXPECT_OK(s->ops->bucket_create(s, "other", "empty", &err), &err);
}

TEST(a_bucket_is_removed_with_all_that_is_in_it)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	versioning(s, BLOB_VERSIONING_ON);
	char id[BLOB_UPLOAD_ID_MAX + 1];
	put(s, "k", "1");
	put(s, "k", "2");
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "k", &err), &err);
	EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = -1), id, &err), &err);
	struct blob_put *late = NULL;
	EXPECT_OK(s->ops->put_begin(s, ORG, BUCKET, "late", &OPTIONS(.expected_size = -1), &late, &err),
		  &err);
	EXPECT_OK(s->ops->bucket_remove(s, ORG, BUCKET, &err), &err);
	EXPECT_ERR(s->ops->put_commit(late, NULL, &err), ERR_NOT_FOUND, &err, "no bucket");
	EXPECT_ERR(s->ops->bucket_remove(s, ORG, BUCKET, &err), ERR_NOT_FOUND, &err, "no bucket");
	EXPECT_OK(s->ops->bucket_create(s, "other", BUCKET, &err), &err);
	struct blob_list l = {0};
	EXPECT_OK(s->ops->list_versions(s, "other", BUCKET, NULL, NULL, NULL, 0, 9, &l, &err), &err);
	assert_int_equal(l.count, 0);
	blob_list_done(&l);
}
