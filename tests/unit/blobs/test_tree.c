/* SPDX-License-Identifier: Apache-2.0 */
/* Folders into the store and out of it. */
#include "unit/blobs/blobs_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/path.h"

static void write_text(int folder, const char *path, const char *text)
{
	struct err err = ERR_INIT;
	EXPECT_OK(fd_write_file_fast(folder, path, text, strlen(text), 0644, &err), &err);
}

static int open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

TEST(a_folder_goes_in_and_comes_out_the_same)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	CLEANUP(fd) int in = open_dir(test_dir()), out = open_dir(test_dir());
	struct blobs_stats stats;
	EXPECT_OK(path_mkdirs(in, "model/1/variables", 0755, &err), &err);
	write_text(in, "model/1/saved_model.pb", "graph");
	write_text(in, "model/1/variables/variables.index", "");
	write_text(in, "metrics.json", "{}");
	EXPECT_OK(blobs_import_tree(s, ORG, BUCKET, "jobs/j1/output", in, NULL, &stats, &err), &err);
	assert_int_equal(stats.files, 3);
	assert_int_equal(stats.bytes, 7);
	CLEANUP(free) char *keys = store_keys(s, "jobs/", NULL, 0, 10);
	assert_string_equal(keys, "jobs/j1/output/metrics.json jobs/j1/output/model/1/saved_model.pb "
				  "jobs/j1/output/model/1/variables/variables.index");
	EXPECT_OK(blobs_export_tree(s, ORG, BUCKET, "jobs/j1/output/model/", out, NULL, &stats, &err), &err);
	assert_int_equal(stats.files, 2);
	CLEANUP(buf) struct buf b = BUF_INIT;
	EXPECT_OK(fd_read_file(out, "1/saved_model.pb", 100, &b, &err), &err);
	assert_string_equal(b.data, "graph");
}

TEST(importing_again_writes_only_what_changed)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	CLEANUP(fd) int in = open_dir(test_dir());
	struct blobs_stats stats;
	struct blob_info before, after;
	write_text(in, "a", "same");
	write_text(in, "b", "one");
	EXPECT_OK(blobs_import_tree(s, ORG, BUCKET, "", in, NULL, &stats, &err), &err);
	EXPECT_OK(s->ops->stat(s, ORG, BUCKET, "a", &before, &err), &err);
	write_text(in, "b", "two");
	EXPECT_OK(blobs_import_tree(s, ORG, BUCKET, "", in, NULL, &stats, &err), &err);
	assert_int_equal(stats.unchanged, 1);
	assert_int_equal(stats.files, 1);
	EXPECT_OK(s->ops->stat(s, ORG, BUCKET, "a", &after, &err), &err);
	assert_int_equal(before.modified_ms, after.modified_ms);
	CLEANUP(buf) struct buf b = BUF_INIT;
	EXPECT_OK(store_get(s, "b", &b, &err), &err);
	assert_string_equal(b.data, "two");
}

TEST(links_devices_and_odd_names_stay_outside)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	const char *dir = test_dir();
	CLEANUP(fd) int in = open_dir(dir);
	struct blobs_stats stats;
	write_text(in, "plain", "x");
	assert_int_equal(symlinkat("/etc/passwd", in, "link"), 0);
	assert_int_equal(symlinkat("/etc", in, "folder-link"), 0);
	assert_int_equal(mkfifoat(in, "pipe", 0600), 0);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", dir);
	CLEANUP(fd) int sock = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(sock, (struct sockaddr *)&address, sizeof(address)), 0);
	write_text(in, "back\\slash", "x");
	write_text(in, "new\nline", "x");
	EXPECT_OK(blobs_import_tree(s, ORG, BUCKET, "p", in, NULL, &stats, &err), &err);
	assert_int_equal(stats.files, 1);
	assert_int_equal(stats.skipped_special, 4);
	assert_int_equal(stats.skipped_names, 2);
	assert_true(stats.first_skipped[0]);
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
	assert_string_equal(keys, "p/plain");
}

TEST(a_tree_that_is_too_deep_is_cut)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	CLEANUP(fd) int in = open_dir(test_dir());
	CLEANUP(buf) struct buf path = BUF_INIT;
	struct blobs_stats stats;
	for (int i = 0; i < BLOBS_TREE_DEPTH_MAX + 5; i++)
		buf_adds(&path, i ? "/d" : "d");
	EXPECT_OK(path_mkdirs(in, path.data, 0755, &err), &err);
	buf_adds(&path, "/f");
	write_text(in, path.data, "x");
	EXPECT_OK(blobs_import_tree(s, ORG, BUCKET, "", in, NULL, &stats, &err), &err);
	assert_int_equal(stats.files, 0);
	assert_int_equal(stats.skipped_names, 1);
}

TEST(limits_of_count_and_bytes_hold)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	CLEANUP(fd) int in = open_dir(test_dir()), sparse = open_dir(test_dir());
	for (int i = 0; i < 4; i++) {
		char name[8];
		snprintf(name, sizeof(name), "f%d", i);
		write_text(in, name, "0123456789");
	}
	struct blobs_limits limits = {.files = 3};
	EXPECT_ERR(blobs_import_tree(s, ORG, BUCKET, "a", in, &limits, NULL, &err), ERR_TOO_LARGE, &err,
		   "3 files");
	limits = (struct blobs_limits){.bytes = 39};
	EXPECT_ERR(blobs_import_tree(s, ORG, BUCKET, "b", in, &limits, NULL, &err), ERR_TOO_LARGE, &err,
		   "39 bytes");
	limits = (struct blobs_limits){.files = 4, .bytes = 40};
	EXPECT_OK(blobs_import_tree(s, ORG, BUCKET, "c", in, &limits, NULL, &err), &err);
	/* What is there already counts as well: repeating cannot grow past a limit. */
	limits.files = 3;
	EXPECT_ERR(blobs_import_tree(s, ORG, BUCKET, "c", in, &limits, NULL, &err), ERR_TOO_LARGE, &err,
		   "3 files");
	CLEANUP(fd) int hole = openat(sparse, "hole", O_CREAT | O_WRONLY, 0600);
	assert_int_equal(ftruncate(hole, 1LL << 42), 0);
	EXPECT_ERR(blobs_import_tree(s, ORG, BUCKET, "d", sparse, NULL, NULL, &err), ERR_TOO_LARGE, &err,
		   "hole");
	limits = (struct blobs_limits){.files = 1};
	EXPECT_ERR(blobs_export_tree(s, ORG, BUCKET, "c", in, &limits, NULL, &err), ERR_TOO_LARGE, &err,
		   "1 objects");
}

TEST(export_does_not_write_through_what_is_there)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	const char *victim_dir = test_dir();
	CLEANUP(fd) int out = open_dir(test_dir()), victims = open_dir(victim_dir);
	CLEANUP(free) char *victim = mem_printf("%s/victim", victim_dir);
	CLEANUP(buf) struct buf b = BUF_INIT;
	write_text(victims, "victim", "untouched");
	assert_int_equal(symlinkat(victim, out, "link"), 0);
	assert_int_equal(symlinkat(victim_dir, out, "folder"), 0);
	store_puts(s, "p/link", "new");
	EXPECT_OK(blobs_export_tree(s, ORG, BUCKET, "p", out, NULL, NULL, &err), &err);
	store_puts(s, "q/folder/victim", "bad");
	EXPECT_ERR(blobs_export_tree(s, ORG, BUCKET, "q", out, NULL, NULL, &err), ERR_INVALID, &err, "link");
	EXPECT_OK(fd_read_file(victims, "victim", 100, &b, &err), &err);
	assert_string_equal(b.data, "untouched");
}

TEST(export_says_what_is_wrong)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	CLEANUP(fd) int out = open_dir(test_dir());
	EXPECT_ERR(blobs_export_tree(s, ORG, BUCKET, "none", out, NULL, NULL, &err), ERR_NOT_FOUND, &err,
		   "no object");
	EXPECT_ERR(blobs_export_tree(s, "other", BUCKET, "none", out, NULL, NULL, &err), ERR_NOT_FOUND, &err,
		   "bucket");
	EXPECT_ERR(blobs_export_object(s, ORG, BUCKET, "none", out, "x", &err), ERR_NOT_FOUND, &err,
		   "no object");
	EXPECT_ERR(blobs_export_object(s, ORG, BUCKET, "none", out, "../x", &err), ERR_INVALID, &err, "'..'");
	store_puts(s, "t/a", "file");
	store_puts(s, "t/a/b", "below");
	assert_true(blobs_export_tree(s, ORG, BUCKET, "t", out, NULL, NULL, &err) < 0);
}

TEST(one_file_goes_in_and_one_object_comes_out)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	CLEANUP(fd) int dir = open_dir(test_dir());
	struct blob_info info;
	write_text(dir, "in", "payload");
	CLEANUP(fd) int file = openat(dir, "in", O_RDONLY);
	EXPECT_OK(blobs_import_object(s, ORG, BUCKET, "packages/x", file, &info, &err), &err);
	assert_int_equal(info.size_bytes, 7);
	EXPECT_OK(blobs_export_object(s, ORG, BUCKET, "packages/x", dir, "deep/er/out", &err), &err);
	EXPECT_OK(blobs_export_object(s, ORG, BUCKET, "packages/x", dir, "deep/er/out", &err), &err);
	CLEANUP(buf) struct buf b = BUF_INIT;
	EXPECT_OK(fd_read_file(dir, "deep/er/out", 100, &b, &err), &err);
	assert_string_equal(b.data, "payload");
}
