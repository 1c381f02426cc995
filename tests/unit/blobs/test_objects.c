/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets and single objects: what is there, what is not, what is whose, what is damaged. */
#include "unit/blobs/blobs_test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(an_object_comes_back_as_it_was_put)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct blob_put *p = NULL;
	struct blob_info put, got;
	EXPECT_OK(s->ops->put_begin(s, ORG, BUCKET, "a/b.txt",
				    &OPTIONS(.content_type = "text/plain", .expected_size = -1), &p, &err),
		  &err);
	EXPECT_OK(s->ops->put_write(p, "hello ", 6, &err), &err);
	EXPECT_OK(s->ops->put_write(p, "world", 5, &err), &err);
	EXPECT_OK(s->ops->put_commit(p, &put, &err), &err);
	assert_string_equal(put.etag, "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
	EXPECT_OK(s->ops->stat(s, ORG, BUCKET, "a/b.txt", NULL, &got, NULL, &err), &err);
	assert_int_equal(got.size_bytes, 11);
	assert_int_equal(got.modified_ms, put.modified_ms);
	assert_string_equal(got.etag, put.etag);
	assert_string_equal(got.content_type, "text/plain");
	CLEANUP(buf) struct buf b = BUF_INIT;
	EXPECT_OK(store_get(s, "a/b.txt", &b, &err), &err);
	assert_string_equal(b.data, "hello world");
}

TEST(parts_are_read_at_any_offset)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	store_puts(s, "k", "0123456789");
	struct blob_get *g = NULL;
	char part[16];
	EXPECT_OK(s->ops->get_open(s, ORG, BUCKET, "k", NULL, &g, NULL, &err), &err);
	assert_int_equal(s->ops->get_read(g, 3, part, 4, &err), 4);
	assert_memory_equal(part, "3456", 4);
	assert_int_equal(s->ops->get_read(g, 8, part, 16, &err), 2);
	assert_int_equal(s->ops->get_read(g, 10, part, 16, &err), 0);
	assert_int_equal(s->ops->get_read(g, INT64_MAX, part, 16, &err), 0);
	EXPECT_ERR((int)s->ops->get_read(g, -1, part, 1, &err), ERR_INVALID, &err, "negative");
	s->ops->get_close(g);
}

TEST(a_reader_keeps_what_it_opened)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct blob_get *g = NULL;
	char part[16];
	store_puts(s, "k", "old");
	EXPECT_OK(s->ops->get_open(s, ORG, BUCKET, "k", NULL, &g, NULL, &err), &err);
	store_puts(s, "k", "newer");
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "k", &err), &err);
	assert_int_equal(s->ops->get_read(g, 0, part, sizeof(part), &err), 3);
	assert_memory_equal(part, "old", 3);
	s->ops->get_close(g);
	CLEANUP(buf) struct buf b = BUF_INIT;
	EXPECT_ERR(store_get(s, "k", &b, &err), ERR_NOT_FOUND, &err, "no object 'k'");
}

TEST(a_key_and_a_key_below_it_live_side_by_side)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	store_puts(s, "a", "1");
	store_puts(s, "a/b", "2");
	store_puts(s, "a/b/c", "3");
	CLEANUP(buf) struct buf b = BUF_INIT;
	EXPECT_OK(store_get(s, "a/b", &b, &err), &err);
	assert_string_equal(b.data, "2");
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "a/b", &err), &err);
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 100);
	assert_string_equal(keys, "a a/b/c");
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "a", &err), &err);
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "a/b/c", &err), &err);
	CLEANUP(free) char *none = store_keys(s, "", NULL, 0, 100);
	assert_string_equal(none, "");
}

TEST(removing_what_is_not_there_succeeds)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	store_puts(s, "a/b", "x");
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "a", &err), &err);
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "a/c", &err), &err);
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "x/y/z", &err), &err);
}

TEST(not_yours_and_not_there_answer_alike)
{
	struct err absent = ERR_INIT, foreign = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct blob_info info;
	struct blob_list list = {0};
	struct blob_put *p = NULL;
	struct blob_get *g = NULL;
	store_puts(s, "k", "secret");
	const char *names[] = {"nobody", BUCKET};
	struct err *errs[] = {&absent, &foreign};
	for (int i = 0; i < 2; i++) {
		struct err *e = errs[i];
		EXPECT_ERR(s->ops->stat(s, "other", names[i], "k", NULL, &info, NULL, e), ERR_NOT_FOUND, e,
			   "no bucket");
		EXPECT_ERR(s->ops->get_open(s, "other", names[i], "k", NULL, &g, &info, e), ERR_NOT_FOUND, e,
			   "no bucket");
		EXPECT_ERR(s->ops->list(s, "other", names[i], "", NULL, 0, 9, &list, e), ERR_NOT_FOUND, e,
			   "no bucket");
		EXPECT_ERR(s->ops->remove(s, "other", names[i], "k", e), ERR_NOT_FOUND, e, "no bucket");
		EXPECT_ERR(s->ops->put_begin(s, "other", names[i], "k", &OPTIONS(.expected_size = 1), &p, e),
			   ERR_NOT_FOUND, e, "no bucket");
	}
	assert_int_equal(strlen(absent.msg) - strlen("nobody"), strlen(foreign.msg) - strlen(BUCKET));
	EXPECT_OK(s->ops->bucket_list(s, "other", &list, &absent), &absent);
	assert_int_equal(list.count, 0);
}

TEST(a_bucket_has_one_owner_also_after_a_restart)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	struct blob_store *s = store_open(dir);
	EXPECT_OK(s->ops->bucket_create(s, ORG, BUCKET, &err), &err);
	EXPECT_OK(s->ops->bucket_create(s, ORG, "another", &err), &err);
	EXPECT_ERR(s->ops->bucket_create(s, "other", BUCKET, &err), ERR_EXISTS, &err, "exists already");
	s->ops->close(s);
	CLEANUP(store) struct blob_store *again = store_open(dir);
	EXPECT_ERR(again->ops->bucket_create(again, "other", BUCKET, &err), ERR_EXISTS, &err,
		   "exists already");
	struct blob_list list = {0};
	EXPECT_OK(again->ops->bucket_list(again, ORG, &list, &err), &err);
	assert_int_equal(list.count, 2);
	assert_string_equal(list.entries[0].key, "another");
	blob_list_done(&list);
	EXPECT_ERR(again->ops->bucket_create(again, ORG, "../x", &err), ERR_INVALID, &err, "not a name");
}

TEST(keys_that_no_list_could_name_are_refused_everywhere)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	char too_long[1026];
	memset(too_long, 'k', 1025);
	too_long[1025] = '\0';
	const char *keys[] = {"", "a\xff", "\xc3", too_long};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct err err = ERR_INIT;
		struct blob_put *p = NULL;
		struct blob_get *g = NULL;
		struct blob_info info;
		EXPECT_ERR(
		    s->ops->put_begin(s, ORG, BUCKET, keys[i], &OPTIONS(.expected_size = -1), &p, &err),
		    ERR_INVALID, &err, "key");
		EXPECT_ERR(s->ops->get_open(s, ORG, BUCKET, keys[i], NULL, &g, &info, &err), ERR_INVALID,
			   &err, "key");
		EXPECT_ERR(s->ops->stat(s, ORG, BUCKET, keys[i], NULL, &info, NULL, &err), ERR_INVALID, &err,
			   "key");
		EXPECT_ERR(s->ops->remove(s, ORG, BUCKET, keys[i], &err), ERR_INVALID, &err, "key");
	}
}

TEST(keys_are_bytes_not_paths)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	static const char *const keys[] = {"../../etc/passwd", "/a", "a/", "a//b", "a\\b", "a\nb",
					   "\xc3\xa4"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		struct err err = ERR_INIT;
		CLEANUP(buf) struct buf b = BUF_INIT;
		store_puts(s, keys[i], keys[i]);
		EXPECT_OK(store_get(s, keys[i], &b, &err), &err);
		assert_string_equal(buf_str(&b), keys[i]);
	}
}

TEST(the_longest_key_and_segment_work)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	char key[1025];
	memset(key, 'k', 1024);
	key[255] = key[511] = key[767] = key[1023 - 1] = '/';
	key[1024] = '\0';
	store_puts(s, key, "deep");
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
	assert_string_equal(keys, key);
	char flat[1025];
	for (int i = 0; i < 1024; i++)
		flat[i] = i % 2 ? '/' : 'd';
	flat[1023] = '\0';
	store_puts(s, flat, "deeper");
	CLEANUP(free) char *rolled = store_keys(s, "", NULL, "/", 10);
	assert_int_equal(strlen(rolled), 2 + 1 + 256);
}

TEST(what_was_announced_is_checked)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	struct blob_put *p = NULL;
	struct blob_info info;
	const char *wrong = "0000000000000000000000000000000000000000000000000000000000000000";
	const char *right = "2D711642B726B04401627CA9FBAC32F5C8530FB1903CC4DB02258717921A4881"; /* of "x" */
	EXPECT_OK(s->ops->put_begin(s, ORG, BUCKET, "k",
				    &OPTIONS(.expected_size = 1, .expected_sha256 = wrong), &p, &err),
		  &err);
	EXPECT_OK(s->ops->put_write(p, "x", 1, &err), &err);
	EXPECT_ERR(s->ops->put_commit(p, &info, &err), ERR_INVALID, &err, "SHA-256");
	EXPECT_OK(s->ops->put_begin(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = 2), &p, &err), &err);
	EXPECT_OK(s->ops->put_write(p, "x", 1, &err), &err);
	EXPECT_ERR(s->ops->put_commit(p, &info, &err), ERR_INVALID, &err, "2 were announced");
	EXPECT_OK(s->ops->put_begin(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = 1), &p, &err), &err);
	EXPECT_ERR(s->ops->put_write(p, "xy", 2, &err), ERR_INVALID, &err, "longer than 1");
	EXPECT_ERR(s->ops->put_commit(p, &info, &err), ERR_STATE, &err, "failed before");
	EXPECT_ERR(s->ops->stat(s, ORG, BUCKET, "k", NULL, &info, NULL, &err), ERR_NOT_FOUND, &err,
		   "no object");
	assert_int_equal(count_files(dir), 0);
	EXPECT_OK(s->ops->put_begin(s, ORG, BUCKET, "k",
				    &OPTIONS(.expected_size = 1, .expected_sha256 = right), &p, &err),
		  &err);
	EXPECT_OK(s->ops->put_write(p, "x", 1, &err), &err);
	EXPECT_OK(s->ops->put_commit(p, &info, &err), &err);
	EXPECT_ERR(s->ops->put_begin(s, ORG, BUCKET, "k",
				     &OPTIONS(.expected_size = 1, .expected_sha256 = "12"), &p, &err),
		   ERR_INVALID, &err, "64");
	EXPECT_ERR(s->ops->put_begin(s, ORG, BUCKET, "k",
				     &OPTIONS(.content_type = "a\nb", .expected_size = 1), &p, &err),
		   ERR_INVALID, &err, "ASCII");
	EXPECT_ERR(s->ops->put_begin(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = 6LL << 40), &p, &err),
		   ERR_TOO_LARGE, &err, "5 TiB");
	EXPECT_ERR(s->ops->put_begin(s, ORG, BUCKET, "k", &OPTIONS(.expected_size = 4LL << 40), &p, &err),
		   ERR_DISK_FULL, &err, "no room");
}

TEST(an_aborted_upload_leaves_nothing)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	struct blob_put *p = NULL;
	static char large[RECORD_DATA_MAX + 1];
	EXPECT_OK(s->ops->put_begin(s, ORG, BUCKET, "a/b/c", &OPTIONS(.expected_size = -1), &p, &err), &err);
	EXPECT_OK(s->ops->put_write(p, "x", 1, &err), &err);
	assert_true(s->ops->put_is_small(p));
	EXPECT_OK(s->ops->put_write(p, large, sizeof(large), &err), &err);
	assert_false(s->ops->put_is_small(p));
	assert_int_equal(count_files(dir), 1);
	s->ops->put_abort(p);
	assert_int_equal(count_files(dir), 0);
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
	assert_string_equal(keys, "");
}

TEST(one_server_is_enough)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	struct blob_store *second = NULL;
	EXPECT_ERR(blobs_open(dir, &second, &err), ERR_CONFLICT, &err, "another server");
}

TEST(large_objects_are_read_at_any_offset)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	size_t len = 5 * 65536 + 17;
	CLEANUP(free) unsigned char *data = mem_alloc(len), *got = mem_alloc(len);
	for (size_t i = 0; i < len; i++)
		data[i] = (unsigned char)(i * 2654435761u >> 13);
	EXPECT_OK(store_put(s, "k", data, len, &err), &err);
	struct blob_get *g = NULL;
	EXPECT_OK(s->ops->get_open(s, ORG, BUCKET, "k", NULL, &g, NULL, &err), &err);
	for (int i = 0; i < 300; i++) {
		size_t at = rng_below(&test_rng, len + 1), want = rng_below(&test_rng, len);
		size_t have = want < len - at ? want : len - at;
		assert_int_equal(s->ops->get_read(g, (int64_t)at, got, want, &err), have);
		assert_memory_equal(got, data + at, have);
		int fd;
		int64_t file_at, n = s->ops->get_extent(g, (int64_t)at, (int64_t)want, &fd, &file_at, &err);
		assert_int_equal(n, have);
		assert_int_equal(pread(fd, got, have, file_at), have);
		assert_memory_equal(got, data + at, have);
	}
	s->ops->get_close(g);
}

TEST(another_format_is_not_touched)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	store_close(store_open(dir));
	CLEANUP(free) char *path = mem_printf("%s/objects/format", dir);
	CLEANUP(file) FILE *f = fopen(path, "w");
	fputs("cloudml-objects 3\n", f);
	fflush(f);
	struct blob_store *s = NULL;
	EXPECT_ERR(blobs_open(dir, &s, &err), ERR_UNSUPPORTED, &err, "another format");
}

TEST(a_full_disk_is_said_and_leaves_nothing)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	if (geteuid() != 0 || mount("tmpfs", dir, "tmpfs", 0, "size=16m") < 0)
		SKIP("mounting a small file system needs root");
	struct blob_store *s = store_open(dir);
	store_puts(s, "small", "fits");
	char chunk[4096] = {1};
	struct blob_put *p = NULL;
	int r = s->ops->put_begin(s, ORG, BUCKET, "big", &OPTIONS(.expected_size = -1), &p, &err);
	int writes = 0;
	while (r == 0 && writes++ < 5000)
		r = s->ops->put_write(p, chunk, sizeof(chunk), &err);
	s->ops->put_abort(p);
	int announced =
	    s->ops->put_begin(s, ORG, BUCKET, "big", &OPTIONS(.expected_size = 32 << 20), &p, &err);
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
	size_t left = count_files(dir);
	int after = store_put(s, "next", "fits", 4, &err);
	store_close(s);
	umount2(dir, MNT_DETACH);
	assert_int_equal(r, -ERR_DISK_FULL);
	assert_int_equal(announced, -ERR_DISK_FULL);
	assert_string_equal(keys, "small");
	assert_int_equal(left, 0);
	assert_int_equal(after, 0); /* space has returned */
}
