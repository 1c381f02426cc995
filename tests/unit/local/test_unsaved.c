/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a job whose output is more than its organisation may store: a real store, a folder, no
 * container. */
#include "unit/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "blobs/blobs.h"
#include "local/local_int.h"

#define ORG "team"
#define TASK "j1-1-0"
#define START_MS 1000

static int64_t now_ms;
static int64_t now(struct clock *c)
{
	return now_ms;
}
static struct clock test_clock = {now, now};

static void nothing(void *arg)
{
	(void)arg;
}

struct place {
	struct local local;
	struct local_task *task; /* the map's */
	char *folder;
};

/* The task as it is found after its program's end, also after a restart. */
static struct local_task *find_task(struct place *p, enum fail_class fail, const char *message)
{
	struct local_task *t = local_task_new(&p->local, TASK);
	snprintf(t->spec.name, sizeof(t->spec.name), "%s", TASK);
	snprintf(t->spec.org, sizeof(t->spec.org), "%s", ORG);
	snprintf(t->spec.owner, sizeof(t->spec.owner), "j1");
	t->spec.attempt = 1;
	t->record.fail = fail;
	snprintf(t->record.message, sizeof(t->record.message), "%s", message);
	t->step = STEP_COLLECT;
	return t;
}

static void write_file(const char *folder, const char *name, size_t size)
{
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_printf("%s/%s", folder, name);
	CLEANUP(free) char *data = mem_alloc(size + 1);
	memset(data, 'x', size);
	EXPECT_OK(fd_write_file(AT_FDCWD, path, data, size, 0600, &err), &err);
}

static void make_folder(const char *parent, const char *name)
{
	CLEANUP(free) char *path = mem_printf("%s/%s", parent, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void place_open(struct place *p, enum fail_class fail, const char *message)
{
	struct err err = ERR_INIT;
	const char *data = test_dir();
	now_ms = START_MS;
	*p = (struct place){.local = {.config = {.data_folder = data, .clock = &test_clock}}};
	struct local *l = &p->local;
	EXPECT_OK(blobs_open(test_dir(), &l->config.blobs, &err), &err);
	EXPECT_OK(loop_new(&l->config.loop, &err), &err);
	make_folder(data, "tasks");
	make_folder(data, "tasks/" TASK);
	make_folder(data, "tasks/" TASK "/output");
	make_folder(data, "checkpoints");
	make_folder(data, "checkpoints/j1");
	l->tasks_folder = mem_printf("%s/tasks", data);
	l->tasks = map_new(local_task_free);
	l->poll_timer = loop_timer_new(l->config.loop, nothing, l);
	p->task = find_task(p, fail, message);
	write_file(p->task->folder, "output/big", 20000);
	write_file(p->task->folder, "output/small", 10);
	write_file(p->task->folder, "log", 100);
	l->config.blobs->ops->quota_set(l->config.blobs, ORG, 10000, -1);
}

static void place_close(struct place *p)
{
	struct local *l = &p->local;
	map_free(l->tasks);
	loop_timer_free(l->poll_timer);
	loop_free(l->config.loop);
	l->config.blobs->ops->close(l->config.blobs);
	free(l->tasks_folder);
}

static void run_until_it_rests(struct place *p)
{
	while (p->local.busy || (!p->task->collect_pauses && p->task->step != STEP_ENDED))
		loop_run_once(p->local.config.loop, 1000);
}

/* At once: the timer's time is not the test's. */
static void collect(struct place *p)
{
	loop_timer_free(p->task->retry_timer);
	p->task->retry_timer = NULL;
	local_collect(p->task);
	run_until_it_rests(p);
}

static bool is_stored(struct place *p, const char *key)
{
	struct blob_store *s = p->local.config.blobs;
	struct blob_info info;
	struct err err = ERR_INIT;
	int r = s->ops->stat(s, ORG, ORG, key, NULL, &info, NULL, &err);
	assert_true(r >= 0 || r == -ERR_NOT_FOUND);
	return r >= 0;
}

static bool has_checkpoints(struct place *p)
{
	CLEANUP(free) char *path = mem_printf("%s/checkpoints/j1", p->local.config.data_folder);
	return access(path, F_OK) == 0;
}

static void expect_failed_for_quota(struct place *p)
{
	const struct task_status *s = &p->task->status;
	assert_int_equal(s->phase, TASK_EXITED);
	assert_int_equal(s->fail, FAIL_QUOTA);
	assert_non_null(strstr(s->message, "storage is full"));
	assert_non_null(
	    strstr(s->message, "1 files of 10 B of the output were saved, not 1 of 19.5 KiB, 'big' first"));
	assert_non_null(strstr(s->message, "of 10000 bytes"));
}

TEST(an_output_that_does_not_fit_waits_and_then_its_job_fails_and_says_so)
{
	struct place p;
	place_open(&p, FAIL_NONE, "");
	collect(&p);
	assert_int_equal(p.task->step, STEP_COLLECT);
	EXPECT_STR("phase", p.task->status.progress.phase, "saving");
	assert_non_null(strstr(p.task->status.progress.text, "1 files of 19.5 KiB wait 1h"));
	/* What fits is there already. */
	assert_true(is_stored(&p, "jobs/j1/output/small"));
	assert_true(is_stored(&p, "jobs/j1/logs/1.log"));
	assert_true(is_stored(&p, "jobs/j1/metrics/1.json"));
	assert_false(is_stored(&p, "jobs/j1/output/big"));
	now_ms += UNSAVED_WAIT_MS - 1;
	collect(&p);
	assert_int_equal(p.task->step, STEP_COLLECT);
	now_ms += 1;
	collect(&p);
	assert_int_equal(p.task->step, STEP_ENDED);
	expect_failed_for_quota(&p);
	assert_true(has_checkpoints(&p));
	/* Another server finds the same end. */
	map_delete(p.local.tasks, TASK);
	p.task = find_task(&p, FAIL_NONE, "");
	collect(&p);
	assert_int_equal(p.task->step, STEP_ENDED);
	expect_failed_for_quota(&p);
	assert_true(has_checkpoints(&p));
	place_close(&p);
}

TEST(an_output_is_whole_when_room_was_made_in_time)
{
	struct place p;
	place_open(&p, FAIL_NONE, "");
	collect(&p);
	assert_int_equal(p.task->step, STEP_COLLECT);
	p.local.config.blobs->ops->quota_set(p.local.config.blobs, ORG, 100000, -1);
	now_ms += 2 * UNSAVED_WAIT_MS; /* the last look counts, however late */
	collect(&p);
	assert_int_equal(p.task->step, STEP_ENDED);
	assert_int_equal(p.task->status.fail, FAIL_NONE);
	EXPECT_STR("message", p.task->status.message, "");
	assert_true(is_stored(&p, "jobs/j1/output/big"));
	assert_false(has_checkpoints(&p));
	place_close(&p);
}

TEST(a_job_that_failed_by_itself_keeps_its_class_and_says_what_is_missing)
{
	struct place p;
	place_open(&p, FAIL_USER, "the program exited with status 1");
	collect(&p);
	now_ms += UNSAVED_WAIT_MS;
	collect(&p);
	assert_int_equal(p.task->status.fail, FAIL_USER);
	assert_non_null(
	    strstr(p.task->status.message, "the program exited with status 1; the organisation's"));
	assert_non_null(strstr(p.task->status.message, "'big' first"));
	place_close(&p);
}

TEST(a_job_that_is_cancelled_does_not_wait_for_room)
{
	struct place p;
	place_open(&p, FAIL_CANCELLED, "cancelled");
	collect(&p);
	assert_int_equal(p.task->step, STEP_COLLECT);
	local_collect_give_up(p.task);
	while (p.task->step != STEP_ENDED)
		loop_run_once(p.local.config.loop, 1000);
	expect_failed_for_quota(&p);
	place_close(&p);
}

TEST(a_log_that_does_not_fit_is_missed_as_well)
{
	struct place p;
	place_open(&p, FAIL_NONE, "");
	p.local.config.blobs->ops->quota_set(p.local.config.blobs, ORG, -1, 2);
	collect(&p);
	assert_non_null(strstr(p.task->status.progress.text, "the log or the metrics wait 1h"));
	now_ms += UNSAVED_WAIT_MS;
	collect(&p);
	assert_int_equal(p.task->status.fail, FAIL_QUOTA);
	assert_non_null(
	    strstr(p.task->status.message, "2 files of 19.5 KiB of the output were saved, not the log"));
	place_close(&p);
}
