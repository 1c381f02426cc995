/* SPDX-License-Identifier: Apache-2.0 */
/* The n-th allocation of the database fails, once or from then on: the request fails, nothing is lost,
 * nothing breaks. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "unit/store/power_vfs.h"
#include "unit/store/store_fixture.h"

#define JOBS 6

static sqlite3_mem_methods real;
static int allocations, fail_at, failed;
static bool for_ever;

static bool is_due(void)
{
	allocations++;
	bool due = fail_at && (allocations == fail_at || (for_ever && allocations > fail_at));
	failed += due;
	return due;
}

static void *failing_malloc(int size)
{
	return is_due() ? NULL : real.xMalloc(size);
}

static void *failing_realloc(void *p, int size)
{
	return is_due() ? NULL : real.xRealloc(p, size);
}

static void install(void)
{
	static bool done;
	if (done)
		return;
	done = true;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real), SQLITE_OK);
	sqlite3_mem_methods ours = real;
	ours.xMalloc = failing_malloc;
	ours.xRealloc = failing_realloc;
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &ours), SQLITE_OK);
	assert_int_equal(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0),
			 SQLITE_OK); /* no pool that hides some */
	power_vfs_install();
}

static void fail_nth(int n, bool ever)
{
	allocations = failed = 0;
	fail_at = n;
	for_ever = ever;
}

static struct store *open_at(const char *path, struct err *err)
{
	struct store *s = NULL;
	return store_open(&(struct store_config){.path = path}, &s, err) < 0 ? NULL : s;
}

static int list_all(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_jobs page = {0};
	struct store_list_query q = {.org = "default", .state = -1, .limit = 100};
	int r = store_job_list(tx, &q, &page, err);
	store_jobs_done(&page);
	return r;
}

/* Opens, writes and reads; what is acknowledged is noted. */
static void use(const char *path, bool acked[JOBS])
{
	struct err err = ERR_INIT;
	char id[16];
	struct store *s = open_at(path, &err);
	if (!s) {
		assert_int_not_equal(err.code, 0);
		return;
	}
	for (int i = 0; i < JOBS; i++) {
		snprintf(id, sizeof(id), "j%d", i);
		int r = fixture_insert(s, id, &err);
		assert_true(r >= 0 || err.code != 0);
		acked[i] = acked[i] || r >= 0;
		store_run(s, list_all, NULL, &err);
	}
	store_close(s);
}

static int sweep(bool ever)
{
	int rounds = 0;
	const int stride = getenv("TEST_EACH") ? 1 : 5;
	for (int n = 1;; n += 1 + (int)rng_below(&test_rng, (uint64_t)stride)) {
		struct err err = ERR_INIT;
		bool acked[JOBS] = {false};
		char id[16];
		power_restore_image();
		fail_nth(n, ever);
		use("/memory.db", acked);
		int did = failed;
		fail_nth(0, false);
		struct store *s = open_at("/memory.db", &err);
		if (!s)
			fail_msg("allocation %d: the store does not open any more: %s", n, err.msg);
		EXPECT_OK(fixture_check(s, &err), &err);
		for (int i = 0; i < JOBS; i++) {
			snprintf(id, sizeof(id), "j%d", i);
			if (acked[i])
				assert_int_equal(fixture_has(s, id), 1);
		}
		store_close(s);
		if (!did)
			return rounds;
		rounds++;
	}
}

TEST(any_allocation_of_the_database_may_fail)
{
	install();
	store_close(fixture_open("/memory.db"));
	power_keep_image();
	int once = sweep(false), ever = sweep(true);
	assert_true(once > 200 && ever > 200);
	print_message("%d allocations failed once, %d from there on: 0 acknowledged lost\n", once, ever);
}
