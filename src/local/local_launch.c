/* SPDX-License-Identifier: Apache-2.0 */
/* From the wish to a folder that a shim can take: plan and specification durably, package or model from the
 * store. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "core/uri.h"
#include "local/exit_record.h"
#include "local/local_int.h"
#include "local/store_copy.h"

int local_plan(struct local *l, const struct task_spec *spec, struct task_plan *ret, struct err *err)
{
	const struct framework *f =
	    catalogue_find(l->config.catalogue, spec->framework, spec->framework_version, err);
	if (!f)
		return -err->code;
	int r = uids_get(l->uids, spec->org, &ret->uid_base, err);
	if (r == 0)
		r = uids_get(l->uids, "", &ret->env_uid_base, err);
	if (r < 0)
		return r;
	ret->title = mem_strdup(f->title && *f->title ? f->title : f->name);
	ret->packages = strings_copy(f->packages);
	ret->env = strings_copy(f->env);
	ret->download_bytes = f->download_bytes > 0 ? f->download_bytes : 0;
	ret->disk_bytes = f->disk_bytes > 0 ? f->disk_bytes : 0;
	ret->bind_address = mem_strdup(l->config.bind_address);
	ret->port_first = l->config.port_first;
	ret->port_last = l->config.port_last;
	return 0;
}

static int export_package(struct local_task *t, int folder_fd, struct err *err)
{
	struct uri uri;
	int r = uri_parse(t->spec.package, &uri, err);
	if (r < 0)
		return r;
	const struct store_place at = {t->local->config.blobs, t->spec.org, uri.bucket};
	const char *slash = strrchr(uri.key, '/'), *name = slash ? slash + 1 : uri.key;
	if (!*name || *name == '.')
		return err_set(err, ERR_INVALID, "'%s' is not the address of an archive", t->spec.package);
	CLEANUP(free) char *path = mem_printf("package/%s", name);
	r = store_get_file(&at, uri.key, folder_fd, path, err);
	if (r == -ERR_NOT_FOUND)
		return err_set(err, ERR_NOT_FOUND, "the package '%s' is not in the store; upload it again",
			       t->spec.package);
	return r < 0 ? err_wrap(err, "fetching the package") : 0;
}

static int export_model(struct local_task *t, int folder_fd, struct err *err)
{
	struct uri uri;
	int r = uri_parse(t->spec.model_uri ? t->spec.model_uri : "", &uri, err);
	if (r < 0)
		return r;
	const struct store_place at = {t->local->config.blobs, t->spec.org, uri.bucket};
	r = path_mkdirs(folder_fd, "model", 0755, err);
	CLEANUP(fd) int model_fd = r < 0 ? -1 : path_open(folder_fd, "model", O_RDONLY | O_DIRECTORY, 0, err);
	if (model_fd < 0)
		return r < 0 ? r : model_fd;
	r = store_get_model(&at, &uri, t->spec.model_version, t->spec.model_weights, model_fd, err);
	return r < 0 ? err_wrap(err, "fetching the model") : 0;
}

/* The folder must be in the list of tasks durably before the shim is in it. */
static int make_folder(struct local_task *t, struct err *err)
{
	if (mkdir(t->folder, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make task folder '%s'", t->folder);
	CLEANUP(fd) int parent_fd = open(t->local->tasks_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent_fd < 0)
		return err_sys(err, errno, "cannot open '%s'", t->local->tasks_folder);
	return fd_sync(parent_fd, err);
}

static int write_folder(struct local_task *t, struct err *err)
{
	int r = make_folder(t, err);
	if (r < 0)
		return r;
	CLEANUP(fd) int folder_fd = local_task_open(t, err);
	if (folder_fd < 0)
		return folder_fd;
	FP("local.launch.folder");
	if (!folder_has(folder_fd, FOLDER_SPEC)) {
		r = folder_write_plan(folder_fd, &t->plan, err);
		FP("local.launch.plan");
		if (r == 0)
			r = folder_write_spec(folder_fd, &t->spec, err);
		if (r < 0)
			return r;
	}
	if (t->spec.kind == TASK_MODEL)
		return export_model(t, folder_fd, err);
	return t->spec.package && *t->spec.package ? export_package(t, folder_fd, err) : 0;
}

static void launch_work(void *arg)
{
	struct local_task *t = arg;
	if (write_folder(t, &t->err) >= 0)
		t->err = ERR_INIT; /* may hold an error that was overcome */
}

static void fail_launch(struct local_task *t);

static void on_retry(void *arg)
{
	fail_launch(arg);
}

/* Written here, because no shim ran. A full disk may not even take the record: then again later. */
static void fail_launch(struct local_task *t)
{
	struct err err = ERR_INIT;
	struct task_exit record;
	exit_record_of_err(&t->err, false, FAIL_NONE, &record);
	record.ended_ms = clock_wall_ms(t->local->config.clock);
	CLEANUP(fd) int folder_fd = local_task_open(t, &err);
	int r = folder_fd < 0 ? folder_fd : folder_write_exit(folder_fd, &record, &err);
	if (r == 0 || r == -ERR_EXISTS || folder_fd == -ERR_NOT_FOUND) {
		t->record = record;
		t->step = STEP_COLLECT;
		local_collect(t);
		return;
	}
	log_warn("task.launch task=%s error=\"%s\"", t->name, err.msg);
	if (!t->retry_timer)
		t->retry_timer = loop_timer_new(t->local->config.loop, on_retry, t);
	loop_timer_set(t->retry_timer, 1000, 0);
}

void local_launch_failed(struct local_task *t, const struct err *err)
{
	t->step = STEP_LAUNCH;
	t->err = *err;
	fail_launch(t);
}

static void launch_done(void *arg)
{
	struct local_task *t = arg;
	struct err err = ERR_INIT;
	if (!local_task_work_done(t))
		return;
	if (t->err.code) {
		log_debug("task.launch task=%s error=\"%s\"", t->name, t->err.msg);
		fail_launch(t);
		return;
	}
	if (t->has_stop) { /* asked for meanwhile: the shim reads it first and ends at once */
		CLEANUP(fd) int folder_fd = local_task_open(t, &err);
		if (folder_fd >= 0)
			folder_write_stop(folder_fd, &t->stop, &err);
	}
	FP("local.spawn.before");
	local_task_spawn(t);
	FP("local.spawn.after");
}

void local_launch(struct local_task *t)
{
	t->step = STEP_LAUNCH;
	local_task_work(t, launch_work, launch_done);
}

/* A copy by way of the format that the folder has anyhow. */
int local_copy_spec(const struct task_spec *spec, struct task_spec *ret, struct err *err)
{
	CLEANUP(json) json_t *j = task_spec_format(spec);
	return j ? task_spec_parse(j, ret, err)
		 : err_set(err, ERR_INTERNAL, "cannot format the task's specification");
}

int local_launch_new(struct local *l, const struct task_spec *spec, struct err *err)
{
	struct local_task *t = local_task_new(l, spec->name);
	int r = local_copy_spec(spec, &t->spec, err);
	if (r == 0)
		r = local_plan(l, &t->spec, &t->plan, err);
	if (r < 0) {
		map_delete(l->tasks, spec->name);
		return r;
	}
	task_status_of_spec(&t->status, &t->spec);
	local_launch(t);
	return 0;
}
