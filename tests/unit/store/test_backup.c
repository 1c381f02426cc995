/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of a database at work: whole, sound, with all that was acknowledged before they were begun. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "unit/store/store_fixture.h"

struct end {
	int count, r;
	struct err err;
	struct loop *loop;
};

static void on_end(void *arg, int r, const struct err *err)
{
	struct end *e = arg;
	e->count++;
	e->r = r;
	e->err = *err;
	if (e->loop)
		loop_stop(e->loop);
}

/* Every answered job is followed by another one. */
struct storm {
	struct store *store;
	char id[16];
	int count, acked;
	bool stop;
};

static int storm_run(struct store_tx *tx, void *arg, struct err *err)
{
	struct storm *s = arg;
	return fixture_insert_fn(tx, s->id, err);
}

static void storm_done(void *arg, int r, const struct err *err)
{
	struct storm *s = arg;
	assert_true(r >= 0);
	s->acked = s->count;
	if (s->stop)
		return;
	snprintf(s->id, sizeof(s->id), "s%d", ++s->count);
	store_submit(s->store, storm_run, storm_done, s);
}

static void storm_begin(struct storm *s, struct store *store)
{
	*s = (struct storm){.store = store, .count = 1};
	snprintf(s->id, sizeof(s->id), "s1");
	store_submit(store, storm_run, storm_done, s);
}

static void expect_whole(const char *path, int at_least)
{
	struct err err = ERR_INIT;
	struct store_backup_info info;
	char id[16];
	EXPECT_OK(store_backup_check(path, &info, &err), &err);
	assert_true(info.jobs >= at_least);
	assert_true(info.bytes > 0);
	struct store *copy = NULL;
	EXPECT_OK(store_open(&(struct store_config){.path = path}, &copy, &err), &err);
	for (int i = 1; i <= at_least; i++) {
		snprintf(id, sizeof(id), "s%d", i);
		assert_int_equal(fixture_has(copy, id), 1);
	}
	store_close(copy);
}

TEST(a_copy_is_made_between_commits)
{
	struct end end = {0};
	struct storm storm;
	CLEANUP(free) char *copy = mem_strdup(fixture_path("copy.db"));
	struct store *s = fixture_open(fixture_path("source.db"));
	storm_begin(&storm, s);
	while (storm.acked < 400)
		store_pump(s);
	int before = storm.acked;
	store_backup(s, copy, on_end, &end);
	while (!end.count)
		store_pump(s);
	EXPECT_OK(end.r, &end.err);
	assert_true(storm.acked > before); /* the storm went on */
	storm.stop = true;
	while (store_pump(s))
		;
	store_close(s);
	expect_whole(copy, before);
}

TEST(a_copy_is_made_by_the_thread_of_a_store_at_work)
{
	struct err err = ERR_INIT;
	struct end end = {0};
	struct storm storm;
	struct store *s = NULL;
	CLEANUP(free) char *path = mem_strdup(fixture_path("threaded.db"));
	CLEANUP(free) char *copy = mem_strdup(fixture_path("threaded-copy.db"));
	store_close(fixture_open(path));
	EXPECT_OK(loop_new(&end.loop, &err), &err);
	EXPECT_OK(store_open(&(struct store_config){.path = path, .loop = end.loop}, &s, &err), &err);
	storm_begin(&storm, s);
	while (storm.acked < 200)
		loop_run_once(end.loop, 1000);
	int before = storm.acked;
	store_backup(s, copy, on_end, &end);
	loop_run(end.loop);
	EXPECT_OK(end.r, &end.err);
	storm.stop = true;
	store_close(s);
	loop_run_once(end.loop, 0);
	loop_free(end.loop);
	expect_whole(copy, before);
}

TEST(one_copy_at_a_time_and_none_after_the_end)
{
	struct end first = {0}, second = {0};
	CLEANUP(free) char *copy = mem_strdup(fixture_path("one.db"));
	struct store *s = fixture_open(fixture_path("busy.db"));
	store_backup(s, copy, on_end, &first);
	store_backup(s, copy, on_end, &second);
	EXPECT_ERR(second.r, ERR_BUSY, &second.err, "another backup");
	store_close(s); /* runs what is queued, and a copy is that too */
	assert_int_equal(first.count, 1);
	EXPECT_OK(first.r, &first.err);
	expect_whole(copy, 0);
}

TEST(a_copy_that_cannot_be_written_says_so)
{
	struct end end = {0};
	struct store *s = fixture_open(fixture_path("unwritable.db"));
	store_backup(s, "/proc/none/copy.db", on_end, &end);
	while (!end.count)
		store_pump(s);
	EXPECT_ERR(end.r, ERR_IO, &end.err, "copying the metadata store");
	assert_false(store_has_failed(s, NULL)); /* the store itself is well */
	store_close(s);
}

TEST(a_damaged_copy_is_found)
{
	struct err err = ERR_INIT;
	struct end end = {0};
	struct store_backup_info info;
	char id[16];
	CLEANUP(free) char *copy = mem_strdup(fixture_path("damaged.db"));
	struct store *s = fixture_open(fixture_path("whole.db"));
	for (int i = 0; i < 200; i++) {
		snprintf(id, sizeof(id), "d%d", i);
		EXPECT_OK(fixture_insert(s, id, &err), &err);
	}
	store_backup(s, copy, on_end, &end);
	while (!end.count)
		store_pump(s);
	store_close(s);
	CLEANUP(file) FILE *f = fopen(copy, "r+");
	assert_int_equal(fseek(f, 3 * 4096, SEEK_SET), 0); /* a page in the middle */
	for (int i = 0; i < 4096 * 8; i++)
		fputc(0xa5, f);
	fflush(f);
	EXPECT_ERR(store_backup_check(copy, &info, &err), ERR_CORRUPT, &err, "checking the copy");
}
