/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, replaced files, locks. */
#include "unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"

static int open_dir(void)
{
	int fd = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	return fd;
}

static int count_entries(int dir_fd)
{
	DIR *d = fdopendir(openat(dir_fd, ".", O_RDONLY | O_DIRECTORY));
	int n = 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

TEST(a_written_file_reads_back)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int dir = open_dir();
	CLEANUP(buf) struct buf b = BUF_INIT;
	mode_t old = umask(077);
	EXPECT_OK(fd_write_file(dir, "f", "one", 3, 0644, &err), &err);
	EXPECT_OK(fd_write_file_fast(dir, "f", "two!", 4, 0644, &err), &err);
	umask(old);
	buf_adds(&b, "> ");
	EXPECT_OK(fd_read_file(dir, "f", 100, &b, &err), &err);
	assert_string_equal(buf_str(&b), "> two!");
	struct stat st;
	assert_int_equal(fstatat(dir, "f", &st, 0), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(count_entries(dir), 1);
}

TEST(a_file_below_another_folder_is_written_there)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int dir = open_dir();
	assert_int_equal(mkdirat(dir, "sub", 0700), 0);
	EXPECT_OK(fd_write_file(dir, "sub/f", "", 0, 0600, &err), &err);
	EXPECT_ERR(fd_write_file(dir, "none/f", "", 0, 0600, &err), ERR_NOT_FOUND, &err, "none");
	assert_int_equal(count_entries(dir), 1);
}

TEST(a_write_that_fails_leaves_nothing_behind)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int dir = open_dir();
	assert_int_equal(mkdirat(dir, "f", 0700), 0); /* a folder is in the way of the rename */
	assert_int_equal(mkdirat(dir, "f/g", 0700), 0);
	assert_true(fd_write_file(dir, "f", "x", 1, 0600, &err) < 0);
	assert_int_equal(count_entries(dir), 1);
}

TEST(reading_stops_at_the_limit)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int dir = open_dir();
	for (size_t size = 1; size < 400000; size = size * 7 + 1) {
		CLEANUP(free) char *data = mem_alloc(size);
		CLEANUP(buf) struct buf exact = BUF_INIT, less = BUF_INIT;
		EXPECT_OK(fd_write_file_fast(dir, "f", data, size, 0600, &err), &err);
		EXPECT_OK(fd_read_file(dir, "f", size, &exact, &err), &err);
		assert_int_equal(exact.len, size);
		EXPECT_ERR(fd_read_file(dir, "f", size - 1, &less, &err), ERR_TOO_LARGE, &err, "'f'");
	}
}

static void *feed(void *arg)
{
	struct err err = ERR_INIT;
	static char data[200000];
	EXPECT_OK(fd_write_all(*(int *)arg, data, sizeof(data), &err), &err);
	close(*(int *)arg);
	return NULL;
}

TEST(a_pipe_is_read_to_its_end)
{
	struct err err = ERR_INIT;
	CLEANUP(buf) struct buf b = BUF_INIT;
	int fds[2];
	pthread_t t;
	assert_int_equal(pipe(fds), 0);
	pthread_create(&t, NULL, feed, &fds[1]);
	EXPECT_OK(fd_read_all(fds[0], SIZE_MAX, &b, &err), &err);
	pthread_join(t, NULL);
	assert_int_equal(b.len, 200000);
	close(fds[0]);
}

TEST(a_full_disk_is_reported_as_one)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int fd = open("/dev/full", O_WRONLY);
	EXPECT_ERR(fd_write_all(fd, "x", 1, &err), ERR_DISK_FULL, &err, "write");
}

TEST(a_lock_has_one_holder)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int dir = open_dir();
	int first = fd_lock_file(dir, "lock", false, &err);
	EXPECT_OK(first, &err);
	EXPECT_ERR(fd_lock_file(dir, "lock", false, &err), ERR_CONFLICT, &err, "'lock'");
	close(first);
	int second = fd_lock_file(dir, "lock", true, &err);
	EXPECT_OK(second, &err);
	close(second);
}

TEST(a_descriptor_can_be_made_non_blocking)
{
	struct err err = ERR_INIT;
	int fds[2];
	char c;
	assert_int_equal(pipe(fds), 0);
	EXPECT_OK(fd_set_nonblock(fds[0], &err), &err);
	assert_int_equal(read(fds[0], &c, 1), -1);
	close(fds[0]);
	close(fds[1]);
	assert_true(fd_set_nonblock(fds[0], &err) < 0);
}
