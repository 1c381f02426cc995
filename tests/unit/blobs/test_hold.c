/* SPDX-License-Identifier: Apache-2.0 */
/* Holds: what a copy of the folder needs stays while it is made, and goes afterwards. */
#include "unit/blobs/blobs_test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char large[RECORD_DATA_MAX + 30000];
#define KEYS 12

static void put_large(struct blob_store *s, const char *key, char filling)
{
	struct err err = ERR_INIT;
	memset(large, filling, sizeof(large));
	EXPECT_OK(store_put(s, key, large, sizeof(large), &err), &err);
}

static void remove_key(struct blob_store *s, const char *key)
{
	struct err err = ERR_INIT;
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, key, &err), &err);
}

/* Waits for the compaction that a release begins, and does what it left. */
static void settle(struct blob_store *s)
{
	struct err err = ERR_INIT;
	EXPECT_OK(blobs_compact(s, 101, &err), &err);
}

static size_t count_segments(const char *dir)
{
	CLEANUP(free) char *path = mem_printf("%s/objects/segments", dir);
	CLEANUP(dir) DIR *d = opendir(path);
	size_t count = 0;
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));)
		count += e->d_name[0] != '.';
	return count;
}

TEST(files_of_deleted_and_replaced_objects_stay_until_the_last_hold_ends)
{
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	put_large(s, "deleted", 'a');
	put_large(s, "replaced", 'b');
	s->ops->hold(s);
	s->ops->hold(s);
	remove_key(s, "deleted");
	put_large(s, "replaced", 'c');
	assert_int_equal(count_files(dir), 3);
	s->ops->release(s);
	settle(s);
	assert_int_equal(count_files(dir), 3);
	s->ops->release(s);
	settle(s);
	assert_int_equal(count_files(dir), 1);
	remove_key(s, "replaced");
	assert_int_equal(count_files(dir), 0);
}

TEST(segments_are_not_compacted_during_a_hold_and_are_after_it)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	blobs_segment_bytes(s, 1);
	s->ops->hold(s);
	for (int i = 0; i < KEYS; i++)
		store_puts(s, "one", "again");
	blobs_segment_bytes(s, 1 << 20); /* what is moved needs few */
	size_t before = count_segments(dir);
	assert_true(before >= KEYS);
	assert_int_equal(blobs_compact(s, 101, &err), 0);
	assert_true(count_segments(dir) >= before);
	s->ops->release(s);
	settle(s);
	assert_true(count_segments(dir) < before);
}

/* What every key is, as text; and that the store finds nothing wrong with itself. Owned. */
static char *tell(struct blob_store *s)
{
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT;
	struct blob_list l = {0};
	struct blob_check check;
	EXPECT_OK(s->ops->list(s, ORG, BUCKET, NULL, NULL, NULL, 1000, &l, &err), &err);
	for (size_t i = 0; i < l.count; i++) {
		CLEANUP(buf) struct buf content = BUF_INIT;
		EXPECT_OK(store_get(s, l.entries[i].key, &content, &err), &err);
		buf_printf(&b, "%s %s %s\n", l.entries[i].key, l.entries[i].info.version,
			   l.entries[i].info.etag);
	}
	blob_list_done(&l);
	EXPECT_OK(blobs_check(s, NULL, &check, &err), &err);
	buf_printf(&b, "damaged %lld faults %lld\n", (long long)check.damaged, (long long)check.faults);
	return buf_steal(&b);
}

static void change_some(struct blob_store *s)
{
	struct err err = ERR_INIT;
	for (int i = 0; i < 3 * KEYS; i++) {
		char key[16], text[32];
		snprintf(key, sizeof(key), "k%d", (int)rng_below(&test_rng, KEYS));
		snprintf(text, sizeof(text), "words %d", i);
		switch (rng_below(&test_rng, 4)) {
		case 0:
			EXPECT_OK(s->ops->remove(s, ORG, BUCKET, key, &err), &err);
			break;
		case 1:
			put_large(s, key, (char)('a' + rng_below(&test_rng, 26)));
			break;
		default:
			store_puts(s, key, text);
		}
	}
}

/* As a backup does: the log up to the position, and the data files there are. */
static void copy_store(const char *from, const char *to, const struct blob_position *p)
{
	CLEANUP(free)
	char *script =
	    mem_printf("set -e; cd '%s/objects'; mkdir -p '%s/objects/segments'; "
		       "cp format epoch '%s/objects/'; cp -r files '%s/objects/'; "
		       "for s in $(ls segments); do [ $((0x$s)) -gt %u ] || cp segments/$s "
		       "'%s/objects/segments/'; done; "
		       "truncate -s %llu '%s/objects/segments/%08x'",
		       from, to, to, to, p->segment, to, (unsigned long long)p->end, to, p->segment);
	assert_int_equal(system(script), 0);
}

TEST(a_copy_that_is_made_during_a_hold_is_the_store_of_the_position)
{
	for (int round = 0; round < 4; round++) {
		const char *dir = test_dir(), *to = test_dir();
		CLEANUP(store) struct blob_store *s = store_open(dir);
		struct blob_position position;
		blobs_segment_bytes(s, 20000);
		change_some(s);
		s->ops->hold(s);
		change_some(s);
		CLEANUP(free) char *then = tell(s);
		assert_non_null(strstr(then, "damaged 0 faults 0"));
		s->ops->position(s, &position);
		change_some(s);
		settle(s);
		copy_store(dir, to, &position);
		s->ops->release(s);
		settle(s);
		CLEANUP(store) struct blob_store *copy = NULL;
		struct err err = ERR_INIT;
		EXPECT_OK(blobs_open(to, &copy, &err), &err);
		CLEANUP(free) char *copied = tell(copy);
		assert_string_equal(copied, then);
	}
}

/* A child, so that nothing of the store is closed. */
static void hold_remove_and_die(const char *dir)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct err err = ERR_INIT;
		struct blob_store *s = NULL;
		if (blobs_open(dir, &s, &err) < 0)
			_exit(1);
		s->ops->hold(s);
		if (s->ops->remove(s, ORG, BUCKET, "deleted", &err) < 0)
			_exit(2);
		kill(getpid(), SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

TEST(what_waited_when_the_store_was_killed_or_closed_goes_at_the_next_start)
{
	for (int killed = 0; killed < 2; killed++) {
		const char *dir = test_dir();
		CLEANUP(store) struct blob_store *s = store_open(dir);
		put_large(s, "deleted", 'a');
		put_large(s, "kept", 'b');
		if (killed) {
			store_close(STEAL(s));
			hold_remove_and_die(dir);
		} else {
			s->ops->hold(s);
			remove_key(s, "deleted");
			store_close(STEAL(s));
		}
		assert_int_equal(count_files(dir), 2);
		s = store_open(dir);
		assert_int_equal(count_files(dir), 1);
		CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
		assert_string_equal(keys, "kept");
	}
}
