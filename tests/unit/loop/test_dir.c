/* SPDX-License-Identifier: Apache-2.0 */
/* Watches on folders. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "loop/loop.h"

struct seen {
	struct loop_dir *dir;
	struct buf names; /* "a b " */
	int unknown;
	bool free_in_callback;
};

static void on_change(void *arg, const char *name)
{
	struct seen *s = arg;
	if (name)
		buf_printf(&s->names, "%s ", name);
	else
		s->unknown++;
	if (s->free_in_callback)
		loop_dir_free(STEAL(s->dir));
}

static struct loop *watch(const char *path, struct seen *s)
{
	struct err err = ERR_INIT;
	struct loop *l = NULL;
	EXPECT_OK(loop_new(&l, &err), &err);
	s->dir = loop_dir_new(l, path, on_change, s, &err);
	assert_non_null(s->dir);
	return l;
}

static void write_file(const char *dir, const char *name)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_printf("%s/%s", dir, name);
	EXPECT_OK(fd_write_file_fast(AT_FDCWD, path, "x", 1, 0600, &err), &err);
}

static void wait_for_name(struct loop *l, struct seen *s, const char *name)
{
	while (!strstr(buf_str(&s->names), name))
		loop_run_once(l, 1000);
}

TEST(a_file_that_is_renamed_into_the_folder_is_seen)
{
	struct seen s = {0};
	const char *dir = test_dir();
	struct loop *l = watch(dir, &s);
	write_file(dir, "exit.json");
	wait_for_name(l, &s, "exit.json");
	loop_dir_free(s.dir);
	loop_free(l);
	buf_done(&s.names);
}

TEST(a_deleted_file_is_seen)
{
	struct seen s = {0};
	const char *dir = test_dir();
	write_file(dir, "gone");
	struct loop *l = watch(dir, &s);
	CLEANUP(free) char *path = mem_printf("%s/gone", dir);
	unlink(path);
	wait_for_name(l, &s, "gone");
	loop_dir_free(s.dir);
	loop_free(l);
	buf_done(&s.names);
}

TEST(two_watches_on_one_folder_both_see_and_one_may_go)
{
	struct err err = ERR_INIT;
	struct seen a = {.free_in_callback = true}, b = {0};
	const char *dir = test_dir();
	struct loop *l = watch(dir, &a);
	b.dir = loop_dir_new(l, dir, on_change, &b, &err);
	assert_non_null(b.dir);
	write_file(dir, "one");
	wait_for_name(l, &b, "one");
	assert_null(a.dir);
	size_t seen_by_a = a.names.len;
	assert_true(seen_by_a > 0);
	write_file(dir, "two");
	wait_for_name(l, &b, "two");
	assert_int_equal(a.names.len, seen_by_a);
	loop_dir_free(b.dir);
	loop_free(l);
	buf_done(&a.names);
	buf_done(&b.names);
}

TEST(a_folder_that_is_removed_reports_no_name)
{
	struct seen s = {0};
	CLEANUP(free) char *dir = mem_printf("%s/below", test_dir());
	assert_int_equal(mkdir(dir, 0700), 0);
	struct loop *l = watch(dir, &s);
	rmdir(dir);
	while (!s.unknown)
		loop_run_once(l, 1000);
	loop_dir_free(s.dir);
	loop_free(l);
}

TEST(a_folder_that_is_not_there_cannot_be_watched)
{
	struct err err = ERR_INIT;
	struct loop *l = NULL;
	EXPECT_OK(loop_new(&l, &err), &err);
	assert_null(loop_dir_new(l, "/no/such/folder", on_change, NULL, &err));
	assert_int_equal(err.code, ERR_NOT_FOUND);
	loop_free(l);
}
