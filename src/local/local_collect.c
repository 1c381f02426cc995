/* SPDX-License-Identifier: Apache-2.0 */
/* After the end: the container's remains, output, log and metrics into the store, the marker, the report; and
 * removal. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "core/store_layout.h"
#include "local/env.h"
#include "local/local_int.h"
#include "local/store_copy.h"
#include "local/task_container.h"
#include "local/task_log.h"
#include "local/task_series.h"

#define RETRY_FIRST_MS 1000
#define RETRY_LAST_MS 60000

/* What a killed shim leaves behind runs on: its container, or that of the environment it was building. */
static int end_orphans(struct local_task *t, struct err *err)
{
	char python[32], key[ENV_KEY_LEN + 1];
	struct err ignored = ERR_INIT;
	if (t->spec.framework && t->plan.bind_address && env_python(python, sizeof(python), &ignored) == 0) {
		struct env_want want = {.framework = t->spec.framework,
					.version = t->spec.framework_version,
					.packages = t->plan.packages,
					.requirements = t->spec.requirements,
					.org = t->spec.org,
					.python = python};
		env_key(&want, key);
		env_clean_orphan(t->local->config.data_folder, key);
		want.requirements = NULL; /* what it is built on may have been its work as well */
		env_key(&want, key);
		env_clean_orphan(t->local->config.data_folder, key);
	}
	return container_cleanup(t->name, t->folder, err);
}

static void note_skipped(struct local_task *t, int folder_fd, const struct store_put_stats *stats)
{
	struct task_log log = {.fd = -1};
	struct err err = ERR_INIT;
	char line[320];
	if (t->noted_skipped || task_log_open(&log, folder_fd, TASK_LOG_BYTES_MAX, &err) < 0)
		return;
	t->noted_skipped = true;
	snprintf(line, sizeof(line),
		 "%lld entries of the output are not kept, '%s' first: only regular files are, at most "
		 "%d, with names that can be keys",
		 (long long)stats->skipped, stats->first_skipped, STORE_TREE_FILES_MAX);
	task_log_note(&log, line);
	task_log_close(&log);
}

static int put_output(struct local_task *t, const struct store_place *at, int folder_fd, struct err *err)
{
	t->put = (struct store_put_stats){0};
	if (!folder_has(folder_fd, FOLDER_OUTPUT))
		return 0;
	CLEANUP(fd) int output_fd = path_open(folder_fd, FOLDER_OUTPUT, O_RDONLY | O_DIRECTORY, 0, err);
	if (output_fd < 0)
		return output_fd;
	CLEANUP(free) char *prefix = local_output_prefix(t);
	if (!t->seen) /* what is put again and again while the store is full is put once */
		t->seen = store_seen_new();
	const struct store_put_how how = {.seen = t->seen};
	int r = store_put_tree(at, prefix, output_fd, &how, &t->put, err);
	if ((r == 0 || r == -ERR_QUOTA) && t->put.skipped)
		note_skipped(t, folder_fd, &t->put);
	return r;
}

static void task_key(const struct local_task *t, const char *what, const char *extension,
		     char ret[STORE_TASK_KEY_MAX])
{
	if (t->spec.kind != TASK_JOB)
		snprintf(ret, STORE_TASK_KEY_MAX, "%s/%s/%s/%lld.%s",
			 t->spec.kind == TASK_MODEL ? "models" : "tensorboards", t->spec.owner, what,
			 (long long)t->spec.attempt, extension);
	else
		store_task_key(t->spec.owner, what, t->spec.attempt, t->spec.index, extension, ret);
}

static int put_log(struct local_task *t, const struct store_place *at, int folder_fd, struct err *err)
{
	char key[STORE_TASK_KEY_MAX];
	task_key(t, "logs", "log", key);
	if (!folder_has(folder_fd, FOLDER_LOG))
		return store_put_bytes(at, key, "text/plain; charset=utf-8", "", 0, err);
	CLEANUP(fd) int fd = path_open(folder_fd, FOLDER_LOG, O_RDONLY | O_NOFOLLOW, 0, err);
	return fd < 0 ? fd : store_put_fd(at, key, "text/plain; charset=utf-8", fd, err);
}

static int put_metrics(struct local_task *t, const struct store_place *at, int folder_fd, struct err *err)
{
	CLEANUP(json) json_t *series = NULL;
	CLEANUP(buf) struct buf text = BUF_INIT;
	int r = task_series_read(folder_fd, &series, err);
	if (r < 0)
		return r;
	json_write(series, &text);
	char key[STORE_TASK_KEY_MAX];
	task_key(t, "metrics", "json", key);
	return store_put_bytes(at, key, "application/json", text.data, text.len, err);
}

/* One thing that the quota keeps out does not keep the next one out. */
static int past_quota(int r, struct err *refused, struct err *err)
{
	if (r != -ERR_QUOTA)
		return r;
	if (!refused->code)
		*refused = *err;
	*err = (struct err)ERR_INIT;
	return 0;
}

static int store_all(struct local_task *t, const struct store_place *at, int folder_fd, struct err *err)
{
	struct err refused = ERR_INIT;
	int r = at->store->ops->bucket_create(at->store, at->org, at->bucket, err);
	if (r == 0)
		r = past_quota(put_output(t, at, folder_fd, err), &refused, err);
	FP("local.collect.output");
	if (r == 0)
		r = past_quota(put_log(t, at, folder_fd, err), &refused, err);
	if (r == 0)
		r = past_quota(put_metrics(t, at, folder_fd, err), &refused, err);
	if (r < 0 || !refused.code)
		return r;
	if (t->is_last_try)
		return local_unsaved_write(t, folder_fd, &refused, err);
	*err = refused;
	return -err->code;
}

static int collect(struct local_task *t, struct err *err)
{
	struct err gone = ERR_INIT;
	FP("local.collect.before");
	int r = t->lost ? end_orphans(t, err) : 0;
	CLEANUP(fd) int folder_fd = local_task_open(t, &gone);
	if (r < 0 || folder_fd == -ERR_NOT_FOUND)
		return r;
	if (folder_fd < 0)
		return err_set(err, gone.code, "%s", gone.msg);
	if (!t->spec.org[0])
		return 0;
	if (folder_has(folder_fd, FOLDER_COLLECTED))
		return local_unsaved_read(t, folder_fd, err);
	struct blob_store *store = t->local->config.blobs;
	const struct store_place at = {store, t->spec.org, t->spec.org};
	r = store_all(t, &at, folder_fd, err);
	FP("local.collect.stored");
	r = r < 0 ? r : folder_write_mark(folder_fd, FOLDER_COLLECTED, err);
	FP("local.collect.marked");
	return r;
}

/* A job that has succeeded, and whose output is whole, never goes on from its checkpoints. */
static void drop_checkpoints(struct local_task *t)
{
	struct err err = ERR_INIT;
	if (!t->last_of_owner || t->lost || t->spec.kind != TASK_JOB || t->record.fail != FAIL_NONE ||
	    !t->spec.owner[0] || t->unsaved[0])
		return;
	CLEANUP(free)
	char *path = mem_printf("%s/checkpoints/%s", t->local->config.data_folder, t->spec.owner);
	if (path_remove_tree(AT_FDCWD, path, &err) < 0)
		log_warn("task.checkpoints task=%s error=\"%s\"", t->name, err.msg);
}

static void collect_work(void *arg)
{
	struct local_task *t = arg;
	if (collect(t, &t->err) < 0)
		return;
	t->err = ERR_INIT; /* may hold an error that was overcome */
	drop_checkpoints(t);
}

static void on_retry(void *arg)
{
	local_collect(arg);
}

static void collect_later(struct local_task *t)
{
	log_warn("task.collect task=%s error=\"%s\"", t->name, t->err.msg);
	t->retry_ms = t->retry_ms ? t->retry_ms * 2 : RETRY_FIRST_MS;
	if (t->retry_ms > RETRY_LAST_MS)
		t->retry_ms = RETRY_LAST_MS;
	t->status.progress = PROGRESS_NONE;
	snprintf(t->status.progress.phase, sizeof(t->status.progress.phase), "saving");
	snprintf(t->status.progress.text, sizeof(t->status.progress.text), "waits to save the output: %.120s",
		 t->err.msg);
	if (t->err.code == ERR_QUOTA)
		local_unsaved_wait(t, clock_monotonic_ms(t->local->config.clock));
	local_task_report(t);
	loop_timer_free(t->retry_timer);
	t->retry_timer = loop_timer_new(t->local->config.loop, on_retry, t);
	loop_timer_set(t->retry_timer, t->gives_up && t->err.code == ERR_QUOTA ? 0 : t->retry_ms, 0);
	t->collect_pauses = true;
}

void local_collect_give_up(struct local_task *t)
{
	t->gives_up = true;
	if (t->collect_pauses)
		loop_timer_set(t->retry_timer, 0, 0);
}

static void collect_done(void *arg)
{
	struct local_task *t = arg;
	if (!local_task_work_done(t))
		return;
	if (t->err.code) {
		collect_later(t);
		return;
	}
	t->step = STEP_ENDED;
	t->status.progress = PROGRESS_NONE;
	if (t->unsaved[0])
		log_warn("task.unsaved task=%s text=\"%s\"", t->name, t->unsaved);
	if (t->lost) {
		t->status.phase = TASK_LOST;
		t->status.port = 0;
		t->status.fail = FAIL_LOST;
		snprintf(t->status.message, sizeof(t->status.message),
			 "the task vanished: its supervisor was killed or this machine was restarted%s%s",
			 t->unsaved[0] ? "; " : "", t->unsaved);
	} else {
		local_unsaved_end(t, &t->record);
		task_status_exited(&t->status, &t->record);
	}
	local_task_report(t);
}

/* No other task of its owner runs, and of a gang all others have ended well. */
static bool is_last_of_owner(const struct local_task *t)
{
	const char *name;
	void *item;
	int64_t good = 1;
	for (size_t i = 0; map_next(t->local->tasks, &i, &name, &item);) {
		const struct local_task *other = item;
		if (other == t || strcmp(other->spec.owner, t->spec.owner) != 0)
			continue;
		if (other->step < STEP_COLLECT)
			return false;
		good +=
		    other->spec.attempt == t->spec.attempt && !other->lost && other->record.fail == FAIL_NONE;
	}
	return good >= t->spec.tasks;
}

void local_collect(struct local_task *t)
{
	t->collect_waits = t->is_saving;
	if (t->is_saving)
		return;
	t->last_of_owner = is_last_of_owner(t);
	t->collect_pauses = false;
	t->is_last_try = local_unsaved_ends(t, clock_monotonic_ms(t->local->config.clock));
	local_task_work(t, collect_work, collect_done);
}

/* ---- removal ---- */

/* Is a folder of another task of the same gang there? */
static bool has_sibling(const struct local_task *t)
{
	int stem = (int)(strrchr(t->name, '-') - t->name);
	for (int64_t i = 0; i < t->spec.tasks; i++) {
		CLEANUP(free)
		char *path = mem_printf("%s/%.*s-%lld", t->local->tasks_folder, stem, t->name, (long long)i);
		if (i != t->spec.index && access(path, F_OK) == 0)
			return true;
	}
	return false;
}

/* The last one that goes takes the network with it. Asked before and after the folder goes: the first for a
 * server that dies in between, the second for two that go at the same time. */
static int remove_network(const struct local_task *t, struct err *err)
{
	char name[TASK_NAME_MAX + 1];
	if (t->spec.kind != TASK_JOB || t->spec.tasks < 2 || has_sibling(t))
		return 0;
	task_container_network_name(&t->spec, name);
	return container_network_remove(name, err);
}

/* Out of the list of tasks at once: a folder that lost only some of its files would be taken for something
 * else. */
static int remove_folder(struct local_task *t, struct err *err)
{
	FP("local.remove.before");
	int r = container_cleanup(t->name, t->folder, err);
	if (r < 0)
		return r;
	FP("local.remove.cleaned");
	r = remove_network(t, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *aside = mem_printf("%s/.%s.removed", t->local->tasks_folder, t->name);
	if (rename(t->folder, aside) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot move '%s' aside", t->folder);
	FP("local.remove.aside");
	r = remove_network(t, err);
	if (r < 0)
		return r;
	return path_remove_tree(AT_FDCWD, aside, err);
}

static void remove_work(void *arg)
{
	struct local_task *t = arg;
	if (remove_folder(t, &t->err) >= 0)
		t->err = ERR_INIT;
}

static void on_remove_again(void *arg)
{
	local_remove(arg);
}

/* Takes spec, which may be NULL. What cannot be launched now is gone, as the controller sees at its next
 * look. */
static void launch_again(struct local *l, struct task_spec *spec)
{
	struct err err = ERR_INIT;
	if (!spec)
		return;
	if (!map_get(l->tasks, spec->name) && local_launch_new(l, spec, &err) < 0) {
		log_warn("task.launch task=%s error=\"%s\"", spec->name, err.msg);
		if (l->observer.task_removed)
			l->observer.task_removed(l->observer.arg, spec->name);
	}
	task_spec_done(spec);
	free(spec);
}

static void remove_done(void *arg)
{
	struct local_task *t = arg;
	if (!local_task_work_done(t))
		return;
	if (t->err.code) {
		log_warn("task.remove task=%s error=\"%s\"", t->name, t->err.msg);
		loop_timer_free(t->retry_timer);
		t->retry_timer = loop_timer_new(t->local->config.loop, on_remove_again, t);
		loop_timer_set(t->retry_timer, RETRY_FIRST_MS, 0);
		return;
	}
	struct local *l = t->local;
	char name[TASK_NAME_MAX + 1];
	memcpy(name, t->name, sizeof(name));
	bool reported = !t->unreported;
	struct task_spec *again = STEAL(t->again);
	map_delete(l->tasks, name);
	if (reported && l->observer.task_removed)
		l->observer.task_removed(l->observer.arg, name);
	launch_again(l, again);
}

void local_remove(struct local_task *t)
{
	t->step = STEP_REMOVE;
	local_task_work(t, remove_work, remove_done);
}
