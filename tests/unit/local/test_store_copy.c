/* SPDX-License-Identifier: Apache-2.0 */
/* Saving what untrusted code left in its output folder. */
#include "unit/test.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"
#include "blobs/blobs.h"
#include "local/store_seen.h"

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

static struct store_put_stats put_tree_how(struct place *p, struct store_put_how how)
{
	struct err err = ERR_INIT;
	struct store_put_stats stats;
	const struct store_place at = {p->store, "team", "team"};
	EXPECT_OK(store_put_tree(&at, "out", p->tree_fd, &how, &stats, &err), &err);
	return stats;
}

static struct store_put_stats put_tree(struct place *p)
{
	return put_tree_how(p, (struct store_put_how){0});
}

/* "" when it is not there. */
static const char *content_of(struct place *p, const char *key)
{
	static char text[64];
	struct blob_get *get;
	struct err err = ERR_INIT;
	text[0] = '\0';
	if (p->store->ops->get_open(p->store, "team", "team", key, NULL, &get, NULL, &err) < 0)
		return text;
	ssize_t n = p->store->ops->get_read(get, 0, text, sizeof(text) - 1, &err);
	text[n > 0 ? n : 0] = '\0';
	p->store->ops->get_close(get);
	return text;
}

static void write_file(struct place *p, const char *name, const char *content)
{
	struct err err = ERR_INIT;
	EXPECT_OK(fd_write_file(p->tree_fd, name, content, strlen(content), 0600, &err), &err);
}

static int64_t modified_ms(struct place *p, const char *key)
{
	struct blob_info info;
	struct err err = ERR_INIT;
	EXPECT_OK(p->store->ops->stat(p->store, "team", "team", key, NULL, &info, NULL, &err), &err);
	return info.modified_ms;
}

TEST(a_tree_that_changes_is_saved_as_it_settles)
{
	struct place p = open_place();
	struct store_seen *seen = store_seen_new();
	const struct store_put_how at_once = {.seen = seen, .settled_ms = -1},
				   settled = {.seen = seen, .settled_ms = 3600 * 1000}, last = {.seen = seen};
	const struct store_place at = {p.store, "team", "team"};
	struct err err = ERR_INIT;
	/* What was written just now waits. */
	write_file(&p, "a", "one");
	put_tree_how(&p, settled);
	EXPECT_STR("young", content_of(&p, "out/a"), "");
	put_tree_how(&p, at_once);
	EXPECT_STR("settled", content_of(&p, "out/a"), "one");
	/* What has not changed is not put again, what has is. */
	int64_t first_ms = modified_ms(&p, "out/a");
	while (clock_wall_ms(&clock_real) <= first_ms)
		continue;
	put_tree_how(&p, at_once);
	assert_int_equal(modified_ms(&p, "out/a"), first_ms);
	write_file(&p, "a", "two");
	write_file(&p, "gone", "x");
	write_file(&p, "replaced", "x");
	put_tree_how(&p, at_once);
	EXPECT_STR("changed", content_of(&p, "out/a"), "two");
	EXPECT_STR("more", content_of(&p, "out/gone"), "x");
	/* The last pass makes it what the tree is, but for what others have put there. */
	assert_int_equal(unlinkat(p.tree_fd, "gone", 0), 0);
	assert_int_equal(unlinkat(p.tree_fd, "replaced", 0), 0);
	EXPECT_OK(store_put_bytes(&at, "out/replaced", "", "y", 1, &err), &err);
	EXPECT_OK(store_put_bytes(&at, "out/a", "", "z", 1, &err), &err);
	write_file(&p, "late", "last");
	put_tree_how(&p, last);
	EXPECT_STR("a", content_of(&p, "out/a"), "two");
	EXPECT_STR("gone", content_of(&p, "out/gone"), "");
	EXPECT_STR("replaced", content_of(&p, "out/replaced"), "y");
	EXPECT_STR("late", content_of(&p, "out/late"), "last");
	store_seen_free(seen);
	close_place(&p);
}

TEST(an_event_file_is_saved_while_it_grows)
{
	struct place p = open_place();
	struct store_seen *seen = store_seen_new();
	const struct store_put_how settled = {.seen = seen, .settled_ms = 3600 * 1000}, last = {.seen = seen};
	assert_int_equal(mkdirat(p.tree_fd, "tfevents.folder", 0755), 0);
	write_file(&p, "events.out.tfevents.1.host", "one");
	write_file(&p, "tfevents.folder/other", "one");
	put_tree_how(&p, settled);
	EXPECT_STR("young", content_of(&p, "out/events.out.tfevents.1.host"), "one");
	EXPECT_STR("another file", content_of(&p, "out/tfevents.folder/other"), "");
	write_file(&p, "events.out.tfevents.1.host", "one two");
	put_tree_how(&p, settled);
	EXPECT_STR("grown", content_of(&p, "out/events.out.tfevents.1.host"), "one two");
	write_file(&p, "events.out.tfevents.1.host", "one two three");
	put_tree_how(&p, last);
	EXPECT_STR("whole", content_of(&p, "out/events.out.tfevents.1.host"), "one two three");
	EXPECT_STR("all", content_of(&p, "out/tfevents.folder/other"), "one");
	store_seen_free(seen);
	close_place(&p);
}

/* Not every write shows in the times of a file. */
TEST(what_is_written_to_a_mapping_is_not_missed)
{
	struct place p = open_place();
	struct store_seen *seen = store_seen_new();
	make_file(p.tree_fd, "mapped", 5);
	CLEANUP(fd) int fd = openat(p.tree_fd, "mapped", O_RDWR | O_CLOEXEC);
	char *text = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(text != MAP_FAILED);
	memcpy(text, "first", 5);
	put_tree_how(&p, (struct store_put_how){.seen = seen, .settled_ms = -1});
	EXPECT_STR("first", content_of(&p, "out/mapped"), "first");
	memcpy(text, "again", 5);
	put_tree_how(&p, (struct store_put_how){.seen = seen});
	EXPECT_STR("last", content_of(&p, "out/mapped"), "again");
	munmap(text, 5);
	store_seen_free(seen);
	close_place(&p);
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
