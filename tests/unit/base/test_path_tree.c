/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of trees that were made to resist it. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/path.h"

static int open_dir(void)
{
	int fd = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static void touch(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

static void expect_gone(int dir_fd, const char *name)
{
	struct err err = ERR_INIT;
	EXPECT_OK(path_remove_tree(dir_fd, name, &err), &err);
	assert_int_equal(faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

TEST(what_is_not_there_is_removed)
{
	CLEANUP(fd) int dir = open_dir();
	expect_gone(dir, "none");
	expect_gone(dir, "no/such/parent");
}

TEST(a_file_and_a_link_are_removed_and_the_links_target_is_not)
{
	CLEANUP(fd) int dir = open_dir();
	touch(dir, "file");
	assert_int_equal(mkdirat(dir, "kept", 0700), 0);
	touch(dir, "kept/f");
	assert_int_equal(symlinkat("kept", dir, "link"), 0);
	assert_int_equal(mkdirat(dir, "tree", 0700), 0);
	assert_int_equal(symlinkat("../kept", dir, "tree/link"), 0);
	expect_gone(dir, "file");
	expect_gone(dir, "link");
	expect_gone(dir, "tree");
	assert_int_equal(faccessat(dir, "kept/f", F_OK, 0), 0);
}

TEST(a_link_on_the_way_is_refused)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int dir = open_dir();
	assert_int_equal(mkdirat(dir, "kept", 0700), 0);
	touch(dir, "kept/f");
	assert_int_equal(symlinkat("kept", dir, "link"), 0);
	EXPECT_ERR(path_remove_tree(dir, "link/f", &err), ERR_INVALID, &err, "link");
	assert_int_equal(faccessat(dir, "kept/f", F_OK, 0), 0);
}

TEST(a_tree_too_deep_for_any_path_is_removed)
{
	CLEANUP(fd) int dir = open_dir();
	assert_int_equal(mkdirat(dir, "top", 0700), 0);
	int at = openat(dir, "top", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < 2500; i++) {
		touch(at, "file");
		assert_int_equal(mkdirat(at, "a_folder_with_a_long_name", 0700), 0);
		int below = openat(at, "a_folder_with_a_long_name", O_RDONLY | O_DIRECTORY);
		close(at);
		at = below;
	}
	close(at);
	expect_gone(dir, "top");
}

TEST(a_wide_tree_is_removed)
{
	CLEANUP(fd) int dir = open_dir();
	char name[64];
	assert_int_equal(mkdirat(dir, "top", 0700), 0);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "top/%d", i);
		assert_int_equal(mkdirat(dir, name, 0700), 0);
		for (int k = 0; k < 20; k++) {
			snprintf(name, sizeof(name), "top/%d/%d", i, k);
			touch(dir, name);
		}
	}
	expect_gone(dir, "top");
}

TEST(folders_without_permissions_are_removed)
{
	CLEANUP(fd) int dir = open_dir();
	assert_int_equal(mkdirat(dir, "top", 0700), 0);
	assert_int_equal(mkdirat(dir, "top/a", 0700), 0);
	assert_int_equal(mkdirat(dir, "top/a/b", 0700), 0);
	touch(dir, "top/a/b/f");
	assert_int_equal(fchmodat(dir, "top/a/b", 0000, 0), 0);
	assert_int_equal(fchmodat(dir, "top/a", 0500, 0), 0);
	assert_int_equal(fchmodat(dir, "top", 0000, 0), 0);
	expect_gone(dir, "top");
}

TEST(an_absolute_path_is_removed_from_the_working_folder)
{
	CLEANUP(free) char *path = mem_printf("%s/t", test_dir());
	assert_int_equal(mkdir(path, 0700), 0);
	CLEANUP(free) char *below = mem_printf("%s/u", path);
	assert_int_equal(mkdir(below, 0700), 0);
	expect_gone(AT_FDCWD, path);
}
