/* SPDX-License-Identifier: Apache-2.0 */
/* The log: read again after a crash, with a lost index, with damage; compaction. */
#include "unit/blobs/blobs_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/digest.h"

#define SEGMENT "segments/00000001"

static char large[200000];

static void lose_index(const char *dir)
{
	static const char *const names[] = {"index", "index-wal", "index-shm", "clean"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(free) char *path = mem_printf("%s/objects/%s", dir, names[i]);
		unlink(path);
	}
}

static void note(struct buf *b, const struct blob_entry *e, struct blob_store *s)
{
	struct err err = ERR_INIT;
	struct blob_info info;
	CLEANUP(free) char *attributes = NULL;
	if (!e->info.is_delete_marker)
		EXPECT_OK(s->ops->stat(s, ORG, BUCKET, e->key, e->info.version, &info, &attributes, &err),
			  &err);
	buf_printf(b, "%s %s %s %d %s\n", e->key, e->info.version, e->info.etag, e->info.is_delete_marker,
		   attributes ? attributes : "");
}

/* Everything that the store knows, as text. Owned. */
static char *dump(struct blob_store *s)
{
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct blob_list l = {0};
	struct blob_bucket k;
	struct blob_check check;
	EXPECT_OK(s->ops->bucket_stat(s, ORG, BUCKET, &k, &err), &err);
	buf_printf(&b, "%d %lld %lld\n", k.versioning, (long long)k.objects, (long long)k.bytes);
	free(k.attributes);
	EXPECT_OK(s->ops->list_versions(s, ORG, BUCKET, NULL, NULL, NULL, 0, 1000, &l, &err), &err);
	for (size_t i = 0; i < l.count; i++)
		note(&b, &l.entries[i], s);
	blob_list_done(&l);
	EXPECT_OK(s->ops->upload_list(s, ORG, BUCKET, NULL, NULL, NULL, 1000, &l, &err), &err);
	for (size_t i = 0; i < l.count; i++)
		buf_printf(&b, "upload %s %s\n", l.entries[i].key, l.entries[i].upload_id);
	blob_list_done(&l);
	EXPECT_OK(blobs_check(s, NULL, &check, &err), &err);
	buf_printf(&b, "damaged %lld faults %lld\n", (long long)check.damaged, (long long)check.faults);
	return buf_steal(&b);
}

/* One change of any kind. */
static void change(struct blob_store *s, unsigned step)
{
	struct err err = ERR_INIT;
	char key[16], text[64], id[BLOB_UPLOAD_ID_MAX + 1];
	snprintf(key, sizeof(key), "k%u", (unsigned)rng_below(&test_rng, 12));
	snprintf(text, sizeof(text), "content %u", step);
	struct blob_info info;
	struct blob_put *p = NULL;
	struct blob_put_options o = {.expected_size = -1, .etag = BLOB_HASH_MD5, .attributes = text};
	switch (rng_below(&test_rng, 12)) {
	case 0:
		large[0] = (char)step;
		EXPECT_OK(store_put(s, key, large, sizeof(large), &err), &err);
		break;
	case 1:
	case 2:
		EXPECT_OK(s->ops->remove(s, ORG, BUCKET, key, &err), &err);
		break;
	case 3:
		if (s->ops->set_attributes(s, ORG, BUCKET, key, NULL, text, &err) < 0)
			assert_int_equal(err.code, ERR_NOT_FOUND);
		break;
	case 4:
		EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, key, &o, id, &err), &err);
		EXPECT_OK(s->ops->part_begin(s, ORG, BUCKET, key, id, 1, &o, &p, &err), &err);
		EXPECT_OK(s->ops->put_write(p, text, strlen(text), &err), &err);
		EXPECT_OK(s->ops->put_commit(p, &info, &err), &err);
		if (step % 3 == 0) {
			EXPECT_OK(s->ops->upload_abort(s, ORG, BUCKET, key, id, &err), &err);
		} else if (step % 3 == 1) {
			struct blob_part part = {.number = 1};
			memcpy(part.etag, info.etag, sizeof(part.etag));
			EXPECT_OK(s->ops->upload_complete(s, ORG, BUCKET, key, id, &part, 1, &o, NULL, &err),
				  &err);
		}
		break;
	case 5:
		if (s->ops->copy(s, ORG, BUCKET, key, NULL, BUCKET, "copy", &OPTIONS(.expected_size = -1),
				 NULL, &err) < 0)
			assert_int_equal(err.code, ERR_NOT_FOUND);
		break;
	default:
		store_puts(s, key, text);
	}
}

TEST(a_lost_index_is_made_anew_from_the_log)
{
	struct err err = ERR_INIT;
	for (int round = 0; round < 4; round++) {
		const char *dir = test_dir();
		CLEANUP(store) struct blob_store *s = store_open(dir);
		if (round % 2)
			EXPECT_OK(s->ops->bucket_set(s, ORG, BUCKET, BLOB_VERSIONING_ON, "{}", &err), &err);
		for (unsigned i = 0; i < 150; i++)
			change(s, i);
		CLEANUP(free) char *before = dump(s);
		assert_non_null(strstr(before, "damaged 0 faults 0"));
		store_close(STEAL(s));
		lose_index(dir);
		s = store_open(dir);
		CLEANUP(free) char *after = dump(s);
		assert_string_equal(after, before);
	}
}

/* Makes the newest segment a sealed one: a store that was opened by a process that wrote much. */
static void add_segment(const char *dir, unsigned number)
{
	CLEANUP(free) char *path = mem_printf("%s/objects/segments/%08x", dir, number);
	CLEANUP(file) FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs("CMLSEG1\n", f);
}

TEST(compaction_loses_nothing_also_when_the_index_is_lost_after_it)
{
	struct err err = ERR_INIT;
	for (int round = 0; round < 4; round++) {
		const char *dir = test_dir();
		CLEANUP(store) struct blob_store *s = store_open(dir);
		if (round % 2)
			EXPECT_OK(s->ops->bucket_set(s, ORG, BUCKET, BLOB_VERSIONING_ON, NULL, &err), &err);
		for (unsigned segment = 2; segment < 6; segment++) {
			for (unsigned i = 0; i < 60; i++)
				change(s, i);
			store_close(STEAL(s));
			add_segment(dir, segment);
			s = store_open(dir);
		}
		CLEANUP(free) char *before = dump(s);
		/* Not all, so that removals have older segments below them. */
		EXPECT_OK(blobs_compact(s, (int)rng_below(&test_rng, 100), &err), &err);
		CLEANUP(free) char *compacted = dump(s);
		assert_string_equal(compacted, before);
		store_close(STEAL(s));
		lose_index(dir);
		s = store_open(dir);
		CLEANUP(free) char *anew = dump(s);
		assert_string_equal(anew, before);
		EXPECT_OK(blobs_compact(s, 101, &err), &err);
		store_close(STEAL(s));
		lose_index(dir);
		s = store_open(dir);
		CLEANUP(free) char *last = dump(s);
		assert_string_equal(last, before);
		CLEANUP(free) char *first = mem_printf("%s/objects/" SEGMENT, dir);
		assert_int_equal(access(first, F_OK), -1);
	}
}

TEST(a_write_that_was_cut_short_is_forgotten)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(free) char *path = mem_printf("%s/objects/" SEGMENT, dir);
	CLEANUP(store) struct blob_store *s = store_open(dir);
	store_puts(s, "a", "first");
	struct stat st;
	for (int i = 0; i < 40; i++) {
		CLEANUP(free) char *before = dump(s);
		store_puts(s, "last", "the last words");
		store_close(STEAL(s));
		/* The index is as it was: it never heard of the last record. */
		lose_index(dir);
		assert_int_equal(stat(path, &st), 0);
		off_t end = find_bytes(dir, SEGMENT, "the last words");
		assert_int_equal(truncate(path, end - (off_t)rng_below(&test_rng, 60) + 13), 0);
		s = store_open(dir);
		CLEANUP(free) char *after = dump(s);
		assert_string_equal(after, before);
	}
	struct blob_info info;
	EXPECT_ERR(s->ops->stat(s, ORG, BUCKET, "last", NULL, &info, NULL, &err), ERR_NOT_FOUND, &err,
		   "last");
}

TEST(damage_in_the_log_is_found_named_and_never_served)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct blob_check check;
	store_puts(s, "a", "words of a");
	store_puts(s, "b", "words of b");
	store_puts(s, "c", "words of c");
	store_damage(dir, SEGMENT, find_bytes(dir, SEGMENT, "words of b") + 3);
	EXPECT_ERR(store_get(s, "b", &b, &err), ERR_CORRUPT, &err, "'b' is damaged");
	EXPECT_OK(store_get(s, "a", &b, &err), &err);
	EXPECT_OK(blobs_check(s, NULL, &check, &err), &err);
	assert_int_equal(check.damaged, 1);
	assert_int_equal(check.objects, 2);
	store_close(STEAL(s));
	/* Also without an index the others are there. */
	lose_index(dir);
	s = store_open(dir);
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
	assert_string_equal(keys, "a c");
	store_puts(s, "b", "again");
	buf_clear(&b);
	EXPECT_OK(store_get(s, "b", &b, &err), &err);
}

TEST(damage_in_a_data_file_is_found_named_and_never_served)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	memset(large, 'x', sizeof(large));
	strcpy(large + 150000, "needle");
	EXPECT_OK(store_put(s, "k", large, sizeof(large), &err), &err);
	CLEANUP(free) char *find = mem_printf("cd %s/objects && grep -l needle -r files > found", dir);
	assert_int_equal(system(find), 0);
	CLEANUP(free) char *found = mem_printf("%s/objects/found", dir);
	CLEANUP(file) FILE *f = fopen(found, "r");
	char name[64];
	assert_int_equal(fscanf(f, "%63s", name), 1);
	store_damage(dir, name, 150001);
	struct blob_get *g = NULL;
	char part[8];
	int fd;
	int64_t at;
	EXPECT_OK(s->ops->get_open(s, ORG, BUCKET, "k", NULL, &g, NULL, &err), &err);
	assert_int_equal(s->ops->get_read(g, 0, part, 8, &err), 8); /* another block is fine */
	assert_true(s->ops->get_extent(g, 0, 65536, &fd, &at, &err) == 65536);
	EXPECT_ERR((int)s->ops->get_read(g, 150000, part, 8, &err), ERR_CORRUPT, &err,
		   "damaged at byte 131072");
	EXPECT_ERR((int)s->ops->get_extent(g, 0, sizeof(large), &fd, &at, &err), ERR_CORRUPT, &err,
		   "damaged");
	s->ops->get_close(g);
	struct blob_check check;
	EXPECT_OK(blobs_check(s, NULL, &check, &err), &err);
	assert_int_equal(check.damaged, 1);
}

TEST(a_store_of_format_1_is_taken_over)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(free)
	char *make =
	    mem_printf("cd %s && mkdir -p 'objects/buckets' 'objects/tmp' 'objects/data/team/a/b/\\' "
		       "'objects/data/team/\\' && printf 'cloudml-objects 1\\n' > objects/format && "
		       "printf '{\"org\":\"team\"}' > objects/buckets/team",
		       dir);
	assert_int_equal(system(make), 0);
	static const struct {
		const char *path, *content;
	} old[] = {{"a/b/\\/leaf", "deep"}, {"\\/top", "flat"}};
	for (size_t i = 0; i < ARRAY_LEN(old); i++) {
		CLEANUP(free) char *path = mem_printf("%s/objects/data/team/%s", dir, old[i].path);
		unsigned char h[256] = "CMLOBJ1\n";
		h[8] = (unsigned char)strlen(old[i].content);
		strcpy((char *)h + 56, "text/x");
		CLEANUP(file) FILE *f = fopen(path, "w");
		assert_int_equal(fwrite(h, 1, sizeof(h), f), sizeof(h));
		fputs(old[i].content, f);
	}
	for (int i = 0; i < 2; i++) {
		CLEANUP(store) struct blob_store *s = store_open(dir);
		CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
		assert_string_equal(keys, "a/b/leaf top");
		CLEANUP(buf) struct buf b = BUF_INIT;
		EXPECT_OK(store_get(s, "a/b/leaf", &b, &err), &err);
		assert_string_equal(b.data, "deep");
		struct blob_info info;
		EXPECT_OK(s->ops->stat(s, ORG, BUCKET, "top", NULL, &info, NULL, &err), &err);
		assert_string_equal(info.content_type, "text/x");
	}
}
