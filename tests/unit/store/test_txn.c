/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: order, shared commits, savepoints, the thread, kills. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "unit/store/fault_vfs.h"
#include "unit/store/postgres_fixture.h"
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
	CLEANUP(free) char *path = mem_strdup(fixture_path("shared.db"));
	struct store *s = fixture_open(path);
	fault_vfs_reset();
	struct numbered *all = submit_many(s, order, 100);
	assert_int_equal(store_queued(s), 100);
	assert_true(store_pump_commit(s));
	if (!fixture_is_postgres())
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
	EXPECT_OK(store_open(fixture_config(path, order->loop), &s, &err), &err);
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
	EXPECT_OK(store_open(fixture_config(path, loop), &s, &err), &err);
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

static void storm(const struct store_config *config, int ack_fd)
{
	struct store *s = NULL;
	struct err err = ERR_INIT;
	char id[16];
	if (store_open(config, &s, &err) < 0)
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
		const struct store_config *config = fixture_config(path, NULL);
		pid_t pid = fork();
		if (pid == 0) {
			close(fds[0]);
			storm(config, fds[1]);
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
		if (fixture_is_postgres())
			postgres_break_connections(); /* and waits until they are gone */
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
