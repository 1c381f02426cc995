/* SPDX-License-Identifier: Apache-2.0 */
/* Saving what untrusted code left in its output folder. */
#include "unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "blobs/blobs.h"
#include "local/store_copy.h"

#define GIB ((off_t)1 << 30)

struct place {
	struct blob_store *store;
	int tree_fd;
};

static struct place open_place(void)
{
	struct place p = {.store = NULL};
	struct err err = ERR_INIT;
	EXPECT_OK(blobs_open(test_dir(), &p.store, &err), &err);
	EXPECT_OK(p.store->ops->bucket_create(p.store, "team", "team", &err), &err);
	p.tree_fd = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return p;
}

static void close_place(struct place *p)
{
	close(p->tree_fd);
	p->store->ops->close(p->store);
}

static void make_file(int fd, const char *name, off_t size)
{
	CLEANUP(fd) int file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, size), 0);
}

static struct store_put_stats put_tree(struct place *p)
{
	struct err err = ERR_INIT;
	struct store_put_stats stats;
	const struct store_place at = {p->store, "team", "team"};
	EXPECT_OK(store_put_tree(&at, "out", p->tree_fd, &stats, &err), &err);
	return stats;
}

TEST(only_regular_files_with_nameable_keys_are_saved)
{
	struct place p = open_place();
	make_file(p.tree_fd, "good", 1);
	assert_int_equal(symlinkat("/etc/shadow", p.tree_fd, "link"), 0);
	assert_int_equal(mkfifoat(p.tree_fd, "pipe", 0600), 0);
	make_file(p.tree_fd, "two\nlines", 1);
	make_file(p.tree_fd, "back\\slash", 1);
	make_file(p.tree_fd, "latin\xe9", 1);
	struct store_put_stats stats = put_tree(&p);
	assert_int_equal(stats.files, 1);
	assert_int_equal(stats.skipped, 5);
	assert_null(strchr(stats.first_skipped, '\n'));
	close_place(&p);
}

/* A terabyte of holes costs its writer nothing; many smaller ones must not add up either. */
TEST(rotten_content_does_not_leave_the_store)
{
	struct err err = ERR_INIT;
	const char *folder = test_dir();
	struct blob_store *s = NULL;
	EXPECT_OK(blobs_open(folder, &s, &err), &err);
	EXPECT_OK(s->ops->bucket_create(s, "team", "team", &err), &err);
	const struct store_place at = {s, "team", "team"};
	EXPECT_OK(store_put_bytes(&at, "k", "", "content", 7, &err), &err);
	CLEANUP(fd) int out = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_OK(store_get_file(&at, "k", out, "deep/er/copy", &err), &err);
	EXPECT_ERR(store_get_file(&at, "none", out, "copy", &err), ERR_NOT_FOUND, &err, "none");
	EXPECT_ERR(store_get_file(&at, "k", out, "../copy", &err), ERR_INVALID, &err, "'..'");
	CLEANUP(free) char *path = mem_printf("%s/objects/segments/00000001", folder);
	CLEANUP(buf) struct buf log = BUF_INIT;
	EXPECT_OK(fd_read_file(AT_FDCWD, path, 64 << 20, &log, &err), &err);
	char *found = memmem(log.data, log.len, "content", 7);
	assert_non_null(found);
	CLEANUP(fd) int file = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(file, "?", 1, found - log.data + 3), 1);
	EXPECT_ERR(store_get_file(&at, "k", out, "copy", &err), ERR_CORRUPT, &err, "damaged");
	s->ops->close(s);
}

TEST(holes_are_limited_for_the_whole_tree)
{
	struct place p = open_place();
	make_file(p.tree_fd, "huge", 1024 * GIB);
	make_file(p.tree_fd, "small", GIB / 64);
	make_file(p.tree_fd, "large", GIB - GIB / 128);
	struct store_put_stats stats = put_tree(&p);
	assert_int_equal(stats.files, 1);
	assert_int_equal(stats.skipped, 2);
	close_place(&p);
}
