/* SPDX-License-Identifier: Apache-2.0 */
/* Archives, honest and hostile, made entry by entry. */
#include "unit/test.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "local/unpack.h"

struct item {
	const char *path, *content, *symlink, *hardlink;
	mode_t type;
	size_t repeat; /* content this many times */
};

static void add_item(struct archive *a, const struct item *item)
{
	struct archive_entry *e = archive_entry_new();
	size_t len = item->content ? strlen(item->content) : 0, times = item->repeat ? item->repeat : 1;
	archive_entry_set_pathname(e, item->path);
	archive_entry_set_filetype(e, item->type ? item->type : AE_IFREG);
	archive_entry_set_perm(e, 0755);
	if (item->symlink)
		archive_entry_set_symlink(e, item->symlink);
	if (item->hardlink)
		archive_entry_set_hardlink(e, item->hardlink);
	else
		archive_entry_set_size(e, (la_int64_t)(len * times));
	assert_true(archive_write_header(a, e) >= ARCHIVE_WARN);
	for (size_t i = 0; len && i < times; i++)
		assert_int_equal(archive_write_data(a, item->content, len), len);
	archive_entry_free(e);
}

/* Returns the fd (owned) of an archive of the items. */
static int make_archive(const struct item *items, size_t count, bool zip)
{
	int fd = memfd_create("archive", MFD_CLOEXEC);
	struct archive *a = archive_write_new();
	if (zip)
		archive_write_set_format_zip(a);
	else
		archive_write_set_format_pax_restricted(a);
	if (!zip)
		archive_write_add_filter_gzip(a);
	assert_int_equal(archive_write_open_fd(a, fd), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++)
		add_item(a, &items[i]);
	archive_write_free(a);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int unpack(const struct item *items, size_t count, bool zip, const struct unpack_limits *limits,
		  int *ret_folder, struct err *err)
{
	CLEANUP(fd) int archive = make_archive(items, count, zip);
	*ret_folder = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct unpack_stats stats;
	return unpack_archive(archive, *ret_folder, limits ? limits : &unpack_limits_default, &stats, err);
}

static void expect_content(int folder, const char *path, const char *content)
{
	CLEANUP(buf) struct buf got = BUF_INIT;
	struct err err = ERR_INIT;
	EXPECT_OK(fd_read_file(folder, path, 1 << 20, &got, &err), &err);
	EXPECT_STR(path, buf_str(&got), content);
}

TEST(files_folders_and_inner_links_are_unpacked_from_tar_and_zip)
{
	const struct item items[] = {{.path = "./"},
				     {.path = "./a/b.txt", .content = "one"},
				     {.path = "a/link", .symlink = "../c/d", .type = AE_IFLNK},
				     {.path = "c/d", .content = "two"}};
	for (int zip = 0; zip <= 1; zip++) {
		struct err err = ERR_INIT;
		CLEANUP(fd) int folder = -1;
		EXPECT_OK(unpack(items + 1, 3, zip, NULL, &folder, &err), &err);
		expect_content(folder, "a/b.txt", "one");
		expect_content(folder, "a/link", "two");
	}
}

TEST(a_hard_link_to_an_earlier_entry_shares_its_content)
{
	const struct item items[] = {{.path = "a", .content = "one"}, {.path = "b/c", .hardlink = "a"}};
	struct err err = ERR_INIT;
	CLEANUP(fd) int folder = -1;
	EXPECT_OK(unpack(items, 2, false, NULL, &folder, &err), &err);
	expect_content(folder, "b/c", "one");
}

TEST(a_later_entry_of_a_name_replaces_the_earlier_file)
{
	const struct item items[] = {{.path = "a", .content = "one"}, {.path = "a", .content = "two"}};
	struct err err = ERR_INIT;
	CLEANUP(fd) int folder = -1;
	EXPECT_OK(unpack(items, 2, false, NULL, &folder, &err), &err);
	expect_content(folder, "a", "two");
}

TEST(set_id_bits_and_writability_by_others_are_not_restored)
{
	const struct item items[] = {{.path = "a", .content = "x"}};
	struct err err = ERR_INIT;
	struct stat st;
	CLEANUP(fd) int folder = -1;
	EXPECT_OK(unpack(items, 1, false, NULL, &folder, &err), &err);
	assert_int_equal(fstatat(folder, "a", &st, 0), 0);
	assert_int_equal(st.st_mode & 07022, 0);
}

TEST(hostile_entries_are_refused)
{
	static const struct {
		const char *row, *message;
		struct item items[2];
		size_t count;
	} rows[] = {
	    {"climbs", "'..'", {{.path = "../x", .content = "x"}}, 1},
	    {"climbs inside", "'..'", {{.path = "a/../../x", .content = "x"}}, 1},
	    {"absolute", "path", {{.path = "/tmp/x", .content = "x"}}, 1},
	    {"link up", "out of the archive", {{.path = "l", .symlink = "../etc", .type = AE_IFLNK}}, 1},
	    {"link absolute", "out of the archive", {{.path = "l", .symlink = "/etc", .type = AE_IFLNK}}, 1},
	    {"link down and up",
	     "out of the archive",
	     {{.path = "l", .symlink = "a/../../x", .type = AE_IFLNK}},
	     1},
	    {"through a link",
	     "",
	     {{.path = "l", .symlink = "d", .type = AE_IFLNK}, {.path = "l/x", .content = "x"}},
	     2},
	    {"hard link out", "'..'", {{.path = "h", .hardlink = "../../etc/passwd"}}, 1},
	    {"hard link to nothing", "not in the archive before", {{.path = "h", .hardlink = "later"}}, 1},
	    {"device", "device", {{.path = "d", .type = AE_IFCHR}}, 1},
	    {"pipe", "device", {{.path = "p", .type = AE_IFIFO}}, 1},
	    {"file over folder",
	     "folder and as a file",
	     {{.path = "a/b", .content = "x"}, {.path = "a", .content = "x"}},
	     2},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		CLEANUP(fd) int folder = -1;
		print_message("row: %s\n", rows[i].row);
		int r = unpack(rows[i].items, rows[i].count, false, NULL, &folder, &err);
		assert_true(r < 0);
		assert_non_null(strstr(err.msg, rows[i].message));
	}
}

TEST(limits_on_count_size_and_ratio_hold)
{
	static const struct item many[] = {{.path = "a", .content = "x"}, {.path = "b", .content = "x"}};
	static const struct item big[] = {{.path = "a", .content = "0000000000000000", .repeat = 65536}};
	const struct unpack_limits few = {
	    .entries = 1, .bytes = 1 << 30, .ratio = 1000, .ratio_free_bytes = 1 << 30};
	const struct unpack_limits small = {
	    .entries = 9, .bytes = 1000, .ratio = 1000, .ratio_free_bytes = 1 << 30};
	const struct unpack_limits dense = {
	    .entries = 9, .bytes = 1 << 30, .ratio = 10, .ratio_free_bytes = 1000};
	struct err err = ERR_INIT;
	CLEANUP(fd) int one = -1;
	CLEANUP(fd) int two = -1;
	CLEANUP(fd) int three = -1;
	EXPECT_ERR(unpack(many, 2, false, &few, &one, &err), ERR_TOO_LARGE, &err, "more than 1 entries");
	EXPECT_ERR(unpack(big, 1, false, &small, &two, &err), ERR_TOO_LARGE, &err, "unpacks to more than");
	EXPECT_ERR(unpack(big, 1, false, &dense, &three, &err), ERR_TOO_LARGE, &err, "10 times its size");
}

TEST(what_is_no_archive_is_refused_with_advice)
{
	CLEANUP(fd) int fd = memfd_create("x", MFD_CLOEXEC);
	CLEANUP(fd) int folder = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct err err = ERR_INIT;
	EXPECT_OK(fd_write_all(fd, "\x1f\x8b not gzip at all", 19, &err), &err);
	lseek(fd, 0, SEEK_SET);
	EXPECT_ERR(unpack_archive(fd, folder, &unpack_limits_default, NULL, &err), ERR_INVALID, &err,
		   "must be a tar file");
}
