/* SPDX-License-Identifier: Apache-2.0 */
/* Packing a folder: what is in, what is out, and that the same files give the same bytes. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "cli/package.h"
#include "unit/test.h"

static const char *root_folder(void)
{
	static const char *dir;
	if (!dir)
		dir = test_dir();
	return dir;
}

static char *make_folder(const char *name)
{
	char *path = mem_printf("%s/%s", root_folder(), name);
	struct err err = ERR_INIT;
	EXPECT_OK(path_make_absolute_dirs(path, 0755, &err), &err);
	return path;
}

static void put(const char *folder, const char *name, const char *text)
{
	CLEANUP(free) char *path = mem_printf("%s/%s", folder, name);
	struct err err = ERR_INIT;
	EXPECT_OK(fd_write_file_fast(AT_FDCWD, path, text, strlen(text), 0644, &err), &err);
}

/* Names in the archive, one a line. */
static void list(int fd, struct buf *ret)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	archive_read_support_format_tar(a);
	archive_read_support_filter_gzip(a);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(archive_read_open_fd(a, fd, 65536), ARCHIVE_OK);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK)
		buf_printf(ret, "%s\n", archive_entry_pathname(e));
	archive_read_free(a);
}

TEST(ignored_files_stay_out_and_the_bytes_are_reproducible)
{
	CLEANUP(free)
	char *a = make_folder("pack-a"), *b = make_folder("pack-a/sub"),
	     *c = make_folder("pack-a/__pycache__");
	CLEANUP(package) struct package first = PACKAGE_INIT, second = PACKAGE_INIT;
	CLEANUP(buf) struct buf names = BUF_INIT;
	struct err err = ERR_INIT;
	put(a, "train.py", "print(1)\n");
	put(a, "data.bin", "zzz");
	put(a, ".gitignore", "*.bin\n");
	put(b, "keep.txt", "k");
	put(c, "x.pyc", "x");
	EXPECT_OK(package_folder(a, &first, &err), &err);
	list(first.fd, &names);
	EXPECT_STR("names", buf_str(&names), ".gitignore\nsub/keep.txt\ntrain.py\n");
	CLEANUP(free) char *touched = mem_printf("%s/train.py", a);
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	utimensat(AT_FDCWD, touched, old, 0);
	EXPECT_OK(package_folder(a, &second, &err), &err);
	EXPECT_STR("digest", second.sha256, first.sha256);
	assert_int_equal(first.files, 3);
}

TEST(a_link_out_of_the_folder_is_refused)
{
	CLEANUP(free) char *a = make_folder("pack-b"), *link = mem_printf("%s/evil", a);
	CLEANUP(package) struct package p = PACKAGE_INIT;
	struct err err = ERR_INIT;
	assert_int_equal(symlink("../../etc/passwd", link), 0);
	EXPECT_ERR(package_folder(a, &p, &err), ERR_INVALID, &err, "points out of the folder");
}

TEST(an_empty_folder_and_a_strange_archive_are_refused)
{
	CLEANUP(free) char *a = make_folder("pack-c"), *odd = mem_printf("%s/x.rar", a);
	CLEANUP(package) struct package p = PACKAGE_INIT;
	struct err err = ERR_INIT;
	EXPECT_ERR(package_folder(a, &p, &err), ERR_INVALID, &err, "no files");
	EXPECT_ERR(package_archive(odd, &p, &err), ERR_INVALID, &err, "neither a folder");
}
