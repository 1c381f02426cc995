/* SPDX-License-Identifier: Apache-2.0 */
/* The task folder's files, its log, its series and the registry of user ids. */
#include "unit/test.h"

#include <fcntl.h>
#include <math.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "local/task_folder.h"
#include "local/task_log.h"
#include "local/task_series.h"
#include "local/uids.h"

static int open_folder(void)
{
	return open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

TEST(a_plan_comes_back_as_it_was_written)
{
	CLEANUP(fd) int folder = open_folder();
	CLEANUP(task_plan) struct task_plan back = {0};
	char *packages[] = {"a==1", "b==2", NULL};
	const struct task_plan plan = {.title = "T",
				       .packages = packages,
				       .download_bytes = 7,
				       .disk_bytes = 8,
				       .uid_base = 165536,
				       .env_uid_base = 100000,
				       .bind_address = "::1",
				       .port_first = 1,
				       .port_last = 2};
	struct err err = ERR_INIT;
	EXPECT_OK(folder_write_plan(folder, &plan, &err), &err);
	EXPECT_OK(folder_read_plan(folder, &back, &err), &err);
	EXPECT_STR("title", back.title, "T");
	EXPECT_STR("package", back.packages[1], "b==2");
	assert_int_equal(back.uid_base, 165536);
	EXPECT_STR("address", back.bind_address, "::1");
}

TEST(an_exit_record_is_written_once)
{
	CLEANUP(fd) int folder = open_folder();
	const struct task_exit first = {.exit_code = 3, .fail = FAIL_USER, .message = "why", .ended_ms = 5};
	const struct task_exit second = {.exit_code = 0};
	struct task_exit back = {0};
	struct err err = ERR_INIT;
	EXPECT_ERR(folder_read_exit(folder, &back, &err), ERR_NOT_FOUND, &err, "exit.json");
	EXPECT_OK(folder_write_exit(folder, &first, &err), &err);
	EXPECT_ERR(folder_write_exit(folder, &second, &err), ERR_EXISTS, &err, "already");
	EXPECT_OK(folder_read_exit(folder, &back, &err), &err);
	assert_int_equal(back.exit_code, 3);
	assert_int_equal(back.fail, FAIL_USER);
	EXPECT_STR("message", back.message, "why");
}

/* A message that was cut within a character, or quotes a program that does not write UTF-8. */
TEST(an_exit_record_is_written_whatever_the_message_holds)
{
	CLEANUP(fd) int folder = open_folder();
	struct task_exit record = {.exit_code = 1, .fail = FAIL_ENVIRONMENT}, back = {0};
	struct err err = ERR_INIT;
	memset(record.message, 'a', sizeof(record.message) - 1);
	memcpy(record.message + 3, "\xff\n\x1b[2J", 6);
	record.message[sizeof(record.message) - 2] = (char)0xe2;
	EXPECT_OK(folder_write_exit(folder, &record, &err), &err);
	EXPECT_OK(folder_read_exit(folder, &back, &err), &err);
	assert_memory_equal(back.message, "aaa? aaa", 8);
}

TEST(a_stop_wish_with_an_unknown_class_is_refused)
{
	CLEANUP(fd) int folder = open_folder();
	struct task_stop stop;
	struct err err = ERR_INIT;
	const char text[] = "{\"why\": \"boredom\", \"grace_ms\": 5}";
	EXPECT_OK(fd_write_file(folder, FOLDER_STOP, text, sizeof(text) - 1, 0600, &err), &err);
	EXPECT_ERR(folder_read_stop(folder, &stop, &err), ERR_INVALID, &err, "class of failure");
}

TEST(a_lock_tells_a_living_shim_from_a_dead_one)
{
	CLEANUP(fd) int folder = open_folder();
	struct err err = ERR_INIT;
	assert_false(folder_is_locked(folder));
	int lock = fd_lock_file(folder, FOLDER_LOCK, false, &err);
	assert_true(lock >= 0);
	assert_true(folder_is_locked(folder));
	close(lock);
	assert_false(folder_is_locked(folder));
}

TEST(a_log_stops_at_its_limit_and_says_so)
{
	CLEANUP(fd) int folder = open_folder();
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct task_log log;
	struct err err = ERR_INIT;
	EXPECT_OK(task_log_open(&log, folder, 10, &err), &err);
	assert_true(task_log_write(&log, "12345678", 8));
	assert_true(task_log_write(&log, "90abcdef\nlast words\n", 20));
	assert_true(task_log_write(&log, "never", 5));
	EXPECT_STR("last line", log.last_line, "last words");
	task_log_close(&log);
	EXPECT_OK(fd_read_file(folder, FOLDER_LOG, 4096, &text, &err), &err);
	assert_int_equal(strncmp(text.data, "1234567890\ncloudml: the log has reached its limit", 49), 0);
	assert_null(strstr(text.data, "never"));
}

TEST(the_last_line_is_clean_text)
{
	CLEANUP(fd) int folder = open_folder();
	struct task_log log;
	struct err err = ERR_INIT;
	EXPECT_OK(task_log_open(&log, folder, TASK_LOG_BYTES_MAX, &err), &err);
	static const char text[] = "\x1b[31mValueError\x1b[0m: \xff"
				   "caf\xc3\xa9\n\n   \n";
	assert_true(task_log_write(&log, text, sizeof(text) - 1));
	EXPECT_STR("last line", log.last_line, "ValueError: ?caf\xc3\xa9");
	task_log_close(&log);
}

TEST(series_are_read_whole_and_torn_lines_are_left_out)
{
	CLEANUP(fd) int folder = open_folder();
	CLEANUP(json) json_t *all = NULL;
	struct task_series series;
	struct err err = ERR_INIT;
	EXPECT_OK(task_series_open(&series, folder, &err), &err);
	task_series_add(&series, "loss", 1000, 1, 0.5);
	task_series_add(&series, "loss", 1001, 2, NAN);
	task_series_add(&series, "acc", 1002, -1, 2);
	EXPECT_OK(fd_write_all(series.fd, "[\"loss\", 1003", 13, &err), &err);
	task_series_close(&series);
	EXPECT_OK(task_series_read(folder, &all, &err), &err);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(all, &text);
	EXPECT_STR("series", buf_str(&text), "{\"loss\":[[1000,1,0.5]],\"acc\":[[1002,-1,2.0]]}");
}

TEST(long_series_are_thinned_evenly)
{
	CLEANUP(fd) int folder = open_folder();
	CLEANUP(json) json_t *all = NULL;
	struct task_series series;
	struct err err = ERR_INIT;
	EXPECT_OK(task_series_open(&series, folder, &err), &err);
	for (int i = 0; i < 20000; i++)
		task_series_add(&series, "x", i, i, i);
	task_series_close(&series);
	EXPECT_OK(task_series_read(folder, &all, &err), &err);
	const json_t *x = json_object_get(all, "x");
	assert_true(json_array_size(x) < TASK_SERIES_POINTS_MAX);
	assert_true(json_array_size(x) >= TASK_SERIES_POINTS_MAX / 2 - 1);
	assert_int_equal(json_integer_value(json_array_get(json_array_get(x, 0), 0)), 0);
	assert_true(json_integer_value(json_array_get(json_array_get(x, json_array_size(x) - 1), 0)) > 19900);
}

TEST(user_ids_stay_the_same_and_are_never_shared)
{
	const char *folder = test_dir();
	struct uids *u = NULL;
	struct err err = ERR_INIT;
	int64_t acme = 0, rival = 0, builder = 0, again = 0;
	EXPECT_OK(uids_open(folder, &u, &err), &err);
	EXPECT_OK(uids_get(u, "acme", &acme, &err), &err);
	EXPECT_OK(uids_get(u, "", &builder, &err), &err);
	EXPECT_OK(uids_get(u, "rival", &rival, &err), &err);
	uids_close(u);
	EXPECT_OK(uids_open(folder, &u, &err), &err);
	EXPECT_OK(uids_get(u, "acme", &again, &err), &err);
	uids_close(u);
	assert_int_equal(acme, again);
	assert_int_equal(builder, UIDS_FIRST);
	assert_true(acme >= builder + 65536 && rival >= acme + 65536);
}
