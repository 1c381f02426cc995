/* SPDX-License-Identifier: Apache-2.0 */
/* SQLite on a disk that is full or broken: what was acknowledged stays. */
#include <stdio.h>
#include <sqlite3.h>
#include <stdlib.h>
#include "base/mem.h"
#include "unit/store/fault_vfs.h"
#include "unit/store/store_fixture.h"

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
