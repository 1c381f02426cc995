/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: order, shared commits, savepoints, the thread, failing disks, kills. */
#include <signal.h>
#include <stdio.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "unit/store/fault_vfs.h"
#include "unit/store/store_fixture.h"

#define MANY 1000

struct order {
	int ran[MANY], done[MANY];
	int ran_count, done_count, failed;
	struct loop *loop;
};
struct numbered {
	struct order *order;
	int number;
	char id[16];
	int r;
	struct err err;
};

static int numbered_run(struct store_tx *tx, void *arg, struct err *err)
{
	struct numbered *n = arg;
	n->order->ran[n->order->ran_count++] = n->number;
	int r = fixture_insert_fn(tx, n->id, err);
	if (r >= 0 && n->number % 7 == 3)
		return err_set(err, ERR_INVALID, "number %d fails after it has written", n->number);
	return r;
}

static void numbered_done(void *arg, int r, const struct err *err)
{
	struct numbered *n = arg;
	n->r = r;
	n->err = *err;
	n->order->failed += r < 0;
	n->order->done[n->order->done_count++] = n->number;
	if (n->order->loop && n->order->done_count == MANY)
		loop_stop(n->order->loop);
}

static struct numbered *submit_many(struct store *s, struct order *order, int count)
{
	struct numbered *all = mem_alloc(sizeof(*all) * (size_t)count);
	for (int i = 0; i < count; i++) {
		all[i].order = order;
		all[i].number = i;
		snprintf(all[i].id, sizeof(all[i].id), "j%d", i);
		store_submit(s, numbered_run, numbered_done, &all[i]);
	}
	return all;
}

static void expect_in_order(struct store *s, struct numbered *all, struct order *order, int count)
{
	assert_int_equal(order->done_count, count);
	for (int i = 0; i < count; i++) {
		assert_int_equal(order->ran[i], i);
		assert_int_equal(order->done[i], i);
		assert_int_equal(all[i].r, i % 7 == 3 ? -ERR_INVALID : 0);
		assert_int_equal(fixture_has(s, all[i].id), i % 7 != 3);
	}
}

TEST(requests_share_a_commit_and_one_that_fails_hurts_no_other)
{
	struct err err = ERR_INIT;
	struct order *order = MEM_NEW(struct order);
	fault_vfs_install();
	struct store *s = fixture_open(fixture_path("shared.db"));
	fault_vfs_reset();
	struct numbered *all = submit_many(s, order, 100);
	assert_int_equal(store_queued(s), 100);
	assert_true(store_pump_commit(s));
	assert_int_equal(fault_vfs.syncs, 1);
	assert_int_equal(order->done_count, 0);
	assert_true(store_pump_deliver(s));
	expect_in_order(s, all, order, 100);
	EXPECT_OK(fixture_check(s, &err), &err);
	store_close(s);
	free(all);
	free(order);
}

TEST(the_thread_completes_in_order_on_the_loop)
{
	struct err err = ERR_INIT;
	struct order *order = MEM_NEW(struct order);
	struct store *s = NULL;
	CLEANUP(free) char *path = mem_strdup(fixture_path("thread.db"));
	store_close(fixture_open(path));
	EXPECT_OK(loop_new(&order->loop, &err), &err);
	EXPECT_OK(store_open(&(struct store_config){.path = path, .loop = order->loop}, &s, &err), &err);
	struct numbered *all = submit_many(s, order, MANY);
	loop_run(order->loop);
	expect_in_order(s, all, order, MANY);
	store_close(s);
	loop_free(order->loop);
	free(all);
	free(order);
}

TEST(closing_runs_what_is_queued)
{
	struct err err = ERR_INIT;
	struct order *order = MEM_NEW(struct order);
	struct loop *loop = NULL;
	struct store *s = NULL;
	CLEANUP(free) char *path = mem_strdup(fixture_path("closing.db"));
	store_close(fixture_open(path));
	EXPECT_OK(loop_new(&loop, &err), &err);
	EXPECT_OK(store_open(&(struct store_config){.path = path, .loop = loop}, &s, &err), &err);
	struct numbered *all = submit_many(s, order, 50);
	store_close(s);
	assert_int_equal(order->done_count, 50);
	loop_run_once(loop, 0);
	loop_free(loop);
	s = fixture_open(path);
	expect_in_order(s, all, order, 50);
	store_close(s);
	free(all);
	free(order);
}

TEST(dropping_answers_everybody)
{
	struct order *order = MEM_NEW(struct order);
	struct store *s = fixture_open(":memory:");
	struct numbered *all = submit_many(s, order, 10);
	store_drop(s);
	assert_int_equal(order->done_count, 10);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(all[i].r, -ERR_CANCELLED);
		assert_int_equal(fixture_has(s, all[i].id), 0);
	}
	store_close(s);
	free(all);
	free(order);
}

TEST(a_full_disk_rolls_back_and_the_store_goes_on)
{
	struct err err = ERR_INIT;
	fault_vfs_install();
	fault_vfs_reset();
	struct store *s = fixture_open(fixture_path("full.db"));
	EXPECT_OK(fixture_insert(s, "jbefore", &err), &err);
	fault_vfs.fail_write_at = fault_vfs.writes + 1;
	fault_vfs.for_ever = 1;
	for (int i = 0; i < 3; i++)
		EXPECT_ERR(fixture_insert(s, "jfull", &err), ERR_DISK_FULL, &err,
			   "disk of the metadata store is full");
	assert_false(store_has_failed(s, NULL));
	assert_int_equal(fixture_has(s, "jbefore"), 1);
	assert_int_equal(fixture_has(s, "jfull"), 0);
	fault_vfs_reset();
	EXPECT_OK(fixture_insert(s, "jfull", &err), &err);
	assert_int_equal(fixture_has(s, "jfull"), 1);
	EXPECT_OK(fixture_check(s, &err), &err);
	store_close(s);
}

TEST(a_failed_fsync_stops_the_store_and_is_not_retried)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("fsync.db"));
	fault_vfs_install();
	fault_vfs_reset();
	struct store *s = fixture_open(path);
	EXPECT_OK(fixture_insert(s, "jbefore", &err), &err);
	fault_vfs.fail_sync_at = fault_vfs.syncs + 1;
	EXPECT_ERR(fixture_insert(s, "jlost", &err), ERR_IO, &err, "writing");
	int syncs = fault_vfs.syncs, writes = fault_vfs.writes;
	EXPECT_ERR(fixture_insert(s, "jafter", &err), ERR_UNAVAILABLE, &err, "stopped after a failed write");
	assert_int_equal(fault_vfs.syncs, syncs);
	assert_int_equal(fault_vfs.writes, writes);
	assert_true(store_has_failed(s, &err));
	store_close(s);
	fault_vfs_reset();
	s = fixture_open(path);
	assert_int_equal(fixture_has(s, "jbefore"), 1);
	assert_int_equal(fixture_has(s, "jafter"), 0);
	EXPECT_OK(fixture_check(s, &err), &err);
	store_close(s);
}

/* The n-th write or fsync fails, once or for ever, as a full disk or as a broken one: what was acknowledged
 * stays. */
static int torture_round(int n, int is_sync, int code, int for_ever)
{
	struct err err = ERR_INIT;
	char name[32], id[16];
	int acked[20] = {0};
	snprintf(name, sizeof(name), "torture-%d-%d-%d-%d.db", n, is_sync, code, for_ever);
	CLEANUP(free) char *path = mem_strdup(fixture_path(name));
	fault_vfs_reset();
	struct store *s = fixture_open(path);
	fault_vfs.write_code = code;
	fault_vfs.for_ever = for_ever;
	*(is_sync ? &fault_vfs.fail_sync_at : &fault_vfs.fail_write_at) =
	    (is_sync ? fault_vfs.syncs : fault_vfs.writes) + n;
	for (int i = 0; i < (int)ARRAY_LEN(acked); i++) {
		snprintf(id, sizeof(id), "j%d", i);
		acked[i] = fixture_insert(s, id, &err) >= 0;
	}
	int failed = fault_vfs.failed;
	store_close(s);
	fault_vfs_reset();
	s = fixture_open(path);
	EXPECT_OK(fixture_check(s, &err), &err);
	for (int i = 0; i < (int)ARRAY_LEN(acked); i++) {
		snprintf(id, sizeof(id), "j%d", i);
		if (acked[i])
			assert_int_equal(fixture_has(s, id), 1);
	}
	store_close(s);
	return failed;
}

TEST(any_failing_write_loses_nothing_acknowledged)
{
	int rounds = 0;
	fault_vfs_install();
	for (int for_ever = 0; for_ever < 2; for_ever++) {
		for (int n = 1; n <= 60; n += 3) {
			rounds += torture_round(n, 0, SQLITE_FULL, for_ever) > 0;
			rounds += torture_round(n, 0, SQLITE_IOERR_WRITE, for_ever) > 0;
		}
		for (int n = 1; n <= 20; n += 2)
			rounds += torture_round(n, 1, SQLITE_FULL, for_ever) > 0;
	}
	assert_true(rounds > 80);
	print_message("%d failing writes: 0 acknowledged jobs lost\n", rounds);
}

static void storm(const char *path, int ack_fd)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	char id[16];
	if (store_open(&(struct store_config){.path = path}, &s, &err) < 0)
		_exit(1);
	for (int i = 0;; i++) {
		snprintf(id, sizeof(id), "k%d-%d", (int)getpid(), i);
		if (fixture_insert(s, id, &err) < 0 || write(ack_fd, id, sizeof(id)) != (ssize_t)sizeof(id))
			_exit(1);
	}
}

TEST(a_kill_during_commits_loses_nothing_acknowledged)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_strdup(fixture_path("kill.db"));
	int total = 0;
	fault_vfs_reset();
	store_close(fixture_open(path));
	for (int round = 0; round < 25; round++) {
		int fds[2];
		char id[16], acked[2000][16];
		int count = 0, wanted = (int)rng_below(&test_rng, 60);
		assert_int_equal(pipe(fds), 0);
		pid_t pid = fork();
		if (pid == 0) {
			close(fds[0]);
			storm(path, fds[1]);
		}
		close(fds[1]);
		/* Killed when it has acknowledged that many; what it acknowledges meanwhile counts too. */
		while (count < wanted && read(fds[0], acked[count], sizeof(id)) == (ssize_t)sizeof(id))
			count++;
		kill(pid, SIGKILL);
		while (count < 2000 && read(fds[0], acked[count], sizeof(id)) == (ssize_t)sizeof(id))
			count++;
		close(fds[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		struct store *s = fixture_open(path);
		EXPECT_OK(fixture_check(s, &err), &err);
		for (int i = 0; i < count; i++)
			assert_int_equal(fixture_has(s, acked[i]), 1);
		total += count;
		store_close(s);
	}
	assert_true(total > 0);
	print_message("25 kills, %d acknowledged: 0 lost\n", total);
}
