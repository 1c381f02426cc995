/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of relative paths; opening beneath a folder. */
#include "unit/test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"

static const struct {
	struct {
		const char *data;
		size_t len;
	} path;
	const char *fault; /* NULL: clean */
} rows[] = {
#define P(s)                                                                                                 \
	{                                                                                                    \
		s, sizeof(s) - 1                                                                             \
	}
    {P("a"), NULL},
    {P("a/b/c.txt"), NULL},
    {P("..."), NULL},
    {P("a..b/.c"), NULL},
    {P("\xc3\xa9t\xc3\xa9"), NULL},
    {P(" "), NULL},
    {P("%2e%2e"), NULL},
    {P(""), "is empty"},
    {P("/"), "starts with '/'"},
    {P("/etc"), "starts with '/'"},
    {P("a/"), "ends with '/'"},
    {P("a//b"), "empty segment"},
    {P("."), "'.' or '..'"},
    {P(".."), "'.' or '..'"},
    {P("a/./b"), "'.' or '..'"},
    {P("a/../b"), "'.' or '..'"},
    {P("a/.."), "'.' or '..'"},
    {P("a\0b"), "control"},
    {P("a\nb"), "control"},
    {P("a\x7f"), "control"},
    {P("a\\b"), "backslash"},
#undef P
};

TEST(the_table_of_paths_is_judged_as_expected)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		int r = path_check(rows[i].path.data, rows[i].path.len, &err);
		if (rows[i].fault)
			EXPECT_ERR(r, ERR_INVALID, &err, rows[i].fault);
		else
			EXPECT_OK(r, &err);
	}
}

TEST(lengths_have_limits)
{
	struct err err = ERR_INIT;
	char path[PATH_CLEAN_MAX + 2];
	memset(path, 'a', sizeof(path));
	EXPECT_OK(path_check(path, PATH_SEGMENT_MAX, &err), &err);
	EXPECT_ERR(path_check(path, PATH_SEGMENT_MAX + 1, &err), ERR_INVALID, &err,
		   "segment that is too long");
	for (size_t i = 2; i < sizeof(path); i += 3)
		path[i] = '/';
	path[PATH_CLEAN_MAX - 1] = path[PATH_CLEAN_MAX] = 'a';
	EXPECT_OK(path_check(path, PATH_CLEAN_MAX, &err), &err);
	EXPECT_ERR(path_check(path, PATH_CLEAN_MAX + 1, &err), ERR_INVALID, &err, "is too long");
}

static int open_dir(void)
{
	int fd = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

TEST(folders_are_made_and_files_opened_beneath)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int dir = open_dir();
	EXPECT_OK(path_mkdirs(dir, "a/b/c", 0755, &err), &err);
	EXPECT_OK(path_mkdirs(dir, "a/b/c", 0755, &err), &err);
	CLEANUP(fd) int fd = path_open(dir, "a/b/c/f", O_CREAT | O_EXCL | O_WRONLY, 0600, &err);
	EXPECT_OK(fd, &err);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	EXPECT_ERR(path_open(dir, "a/none", O_RDONLY, 0, &err), ERR_NOT_FOUND, &err, "a/none");
	EXPECT_ERR(path_open(dir, "a/b/c/f/g", O_RDONLY, 0, &err), ERR_NOT_FOUND, &err, "not a folder");
	EXPECT_ERR(path_open(dir, "a/b", O_WRONLY, 0, &err), ERR_INVALID, &err, "directory");
}

TEST(nothing_leads_out_of_the_folder)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int dir = open_dir();
	assert_int_equal(mkdirat(dir, "in", 0700), 0);
	CLEANUP(fd) int in = openat(dir, "in", O_RDONLY | O_DIRECTORY);
	assert_int_equal(symlinkat("/etc", in, "absolute"), 0);
	assert_int_equal(symlinkat("..", in, "up"), 0);
	assert_int_equal(symlinkat(".", in, "here"), 0);
	static const char *const ways[] = {"..", "../in",   "/etc/passwd", "absolute/passwd",
					   "up", "here/up", "here"};
	for (size_t i = 0; i < ARRAY_LEN(ways); i++)
		EXPECT_ERR(path_open(in, ways[i], O_RDONLY, 0, &err), ERR_INVALID, &err, "out of its folder");
	EXPECT_ERR(path_mkdirs(in, "up/made", 0700, &err), ERR_INVALID, &err, "up");
	EXPECT_ERR(path_mkdirs(in, "../made", 0700, &err), ERR_INVALID, &err, "..");
	assert_int_equal(faccessat(dir, "made", F_OK, 0), -1);
}

TEST(absolute_folders_are_made)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_printf("%s/x//y/z/", test_dir()), *below = mem_printf("%s/f/g", path);
	EXPECT_OK(path_make_absolute_dirs(path, 0700, &err), &err);
	EXPECT_OK(path_make_absolute_dirs(path, 0700, &err), &err);
	CLEANUP(free) char *file = mem_printf("%s/f", path);
	CLEANUP(fd) int fd = open(file, O_CREAT | O_WRONLY, 0600);
	EXPECT_ERR(path_make_absolute_dirs(file, 0700, &err), ERR_EXISTS, &err, "not a folder");
	assert_true(path_make_absolute_dirs(below, 0700, &err) < 0);
}

TEST(a_program_finds_itself)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = NULL;
	EXPECT_OK(path_of_program(&path, &err), &err);
	assert_true(str_ends(path, "/test_base_path"));
	assert_int_equal(access(path, X_OK), 0);
}

TEST(parts_are_joined_by_a_format)
{
	char path[32];
	path_format(path, sizeof(path), "%s/%d", "tasks", 41);
	assert_string_equal(path, "tasks/41");
}
