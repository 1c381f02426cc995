/* SPDX-License-Identifier: Apache-2.0 */
/* The backend of this machine: what core/backend.h asks for, made of tasks (local_task.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/failpoint.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/local_int.h"
#include "local/task_socket.h"
#include "local/task_series.h"

static struct local *local_of(struct backend *b)
{
	return CONTAINER_OF(b, struct local, base);
}

static int attach(struct backend *b, const struct backend_observer *o, struct err *err)
{
	struct local *l = local_of(b);
	if (l->observer.arg || l->attached)
		return err_set(err, ERR_STATE, "the backend is attached already");
	l->observer = *o;
	local_attach(l);
	return 0;
}

static struct resources machine_capacity(void)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN), pages = sysconf(_SC_PHYS_PAGES);
	return (struct resources){.cpu_milli = (cores > 0 ? cores : 1) * 1000,
				  .memory_bytes = (int64_t)pages * sysconf(_SC_PAGESIZE)};
}

static void capacity(struct backend *b, struct resources *ret)
{
	*ret = local_of(b)->capacity;
}

static char *const *labels(struct backend *b)
{
	return local_of(b)->config.labels;
}

/* The folder of the same name goes first. */
static int launch_after_removal(struct local_task *t, const struct task_spec *spec, struct err *err)
{
	if (t->again)
		return 0;
	struct task_spec *again = MEM_NEW(struct task_spec);
	task_spec_init(again);
	int r = local_copy_spec(spec, again, err);
	if (r < 0) {
		task_spec_done(again);
		free(again);
		return r;
	}
	t->again = again;
	return 0;
}

/* It will not be launched again, and its removal is told. */
static void give_up_again(struct local_task *t)
{
	if (t->again)
		task_spec_done(t->again);
	free(t->again);
	t->again = NULL;
	t->unreported = false;
}

static int launch(struct backend *b, const struct task_spec *spec, struct err *err)
{
	struct local *l = local_of(b);
	struct local_task *t = map_get(l->tasks, spec->name);
	if (t && t->step != STEP_REMOVE)
		return 0;
	int r = path_check(spec->name, strlen(spec->name), err);
	if (r < 0 || strchr(spec->name, '/') || spec->name[0] == '.')
		return err_set(err, ERR_INVALID, "'%s' is not a name for a task", spec->name);
	if (spec->limits.gpu > 0)
		return err_set(err, ERR_UNSUPPORTED, "this machine has no GPU for tasks; ask for none");
	r = spec->kind == TASK_MODEL ? local_port_get(l, spec, err) : 0;
	if (r < 0)
		return r;
	return t ? launch_after_removal(t, spec, err) : local_launch_new(l, spec, err);
}

static int stop(struct backend *b, const char *task, enum fail_class why, int64_t grace_ms, struct err *err)
{
	struct local_task *t = map_get(local_of(b)->tasks, task);
	if (t && t->step == STEP_REMOVE)
		give_up_again(t);
	if (t && t->step == STEP_COLLECT && why == FAIL_CANCELLED)
		local_collect_give_up(t);
	if (!t || t->step >= STEP_COLLECT)
		return 0;
	t->stop = (struct task_stop){.why = why, .grace_ms = grace_ms < 0 ? 0 : grace_ms};
	t->has_stop = true;
	if (t->step == STEP_LAUNCH)
		return 0; /* written as soon as the folder is whole */
	CLEANUP(fd) int folder_fd = local_task_open(t, err);
	FP("local.stop.before");
	int r = folder_fd < 0 ? folder_fd : folder_write_stop(folder_fd, &t->stop, err);
	FP("local.stop.after");
	return r;
}

struct gone {
	struct local *local;
	char name[TASK_NAME_MAX + 1];
};

static void report_gone(void *arg)
{
	struct gone *g = arg;
	const struct backend_observer *o = &g->local->observer;
	if (!g->local->closed && o->task_removed)
		o->task_removed(o->arg, g->name);
	g->local->busy--;
	free(g);
}

static int remove_task(struct backend *b, const char *task, struct err *err)
{
	struct local *l = local_of(b);
	struct local_task *t = map_get(l->tasks, task);
	if (!t) {
		struct gone *g = MEM_NEW(struct gone);
		g->local = l;
		strncpy(g->name, task, TASK_NAME_MAX);
		l->busy++;
		loop_post(l->config.loop, report_gone, g);
		return 0;
	}
	if (t->step < STEP_ENDED)
		return err_set(err, ERR_STATE, "task '%s' has not ended; stop it first", task);
	if (t->step == STEP_REMOVE)
		give_up_again(t);
	if (t->step == STEP_ENDED)
		local_remove(t);
	return 0;
}

/* Any thread: touches nothing but the folder. Returns the fd (owned) or -code. */
static int open_task(struct local *l, const char *task, struct err *err)
{
	if (path_check(task, strlen(task), err) < 0 || strchr(task, '/') || *task == '.')
		return err_set(err, ERR_NOT_FOUND, "no task '%s'", task);
	CLEANUP(fd) int tasks_fd = open(l->tasks_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tasks_fd < 0)
		return err_sys(err, errno, "cannot open '%s'", l->tasks_folder);
	int fd = path_open(tasks_fd, task, O_RDONLY | O_DIRECTORY, 0, err);
	return fd == -ERR_NOT_FOUND ? err_set(err, ERR_NOT_FOUND, "no task '%s'", task) : fd;
}

static int set_weights(struct backend *b, const char *task, const char *weights, struct err *err)
{
	struct local_task *t = map_get(local_of(b)->tasks, task);
	if (!t || t->step > STEP_WATCH)
		return 0;
	CLEANUP(fd) int folder_fd = local_task_open(t, err);
	return folder_fd < 0 ? folder_fd
			     : fd_write_file(folder_fd, FOLDER_WEIGHTS, weights, strlen(weights), 0600, err);
}

static int dial(struct backend *b, const char *task, struct err *err)
{
	CLEANUP(fd) int folder_fd = open_task(local_of(b), task, err);
	return folder_fd < 0 ? folder_fd : task_socket_connect(folder_fd, FOLDER_CONTROL_SOCKET, err);
}

static void forget(struct backend *b, const char *owner)
{
	map_delete(local_of(b)->ports, owner);
}

static ssize_t log_read(struct backend *b, const char *task, int64_t offset, void *data, size_t len,
			struct err *err)
{
	CLEANUP(fd) int folder_fd = open_task(local_of(b), task, err);
	if (folder_fd < 0)
		return folder_fd;
	CLEANUP(fd) int fd = openat(folder_fd, FOLDER_LOG, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot open the log of '%s'", task);
	ssize_t n;
	do
		n = pread(fd, data, len, offset);
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_sys(err, errno, "cannot read the log of '%s'", task) : n;
}

static int metrics_read(struct backend *b, const char *task, json_t **ret, struct err *err)
{
	CLEANUP(fd) int folder_fd = open_task(local_of(b), task, err);
	return folder_fd < 0 ? folder_fd : task_series_read(folder_fd, ret, err);
}

static json_t *describe(struct backend *b)
{
	struct local *l = local_of(b);
	return json_pack("{s:s, s:s, s:s, s:b, s:b, s:s, s:I, s:o}", "name", "local", "runtime",
			 l->runtime.name, "cgroup", cgroup_mode_word(l->runtime.cgroup), "rootless",
			 l->runtime.rootless, "egress", l->runtime.slirp_path[0] != 0, "why", l->runtime.why,
			 "tasks", (json_int_t)map_count(l->tasks), "labels",
			 json_from_strings(l->config.labels));
}

/* Works on the pool hold pointers: they are waited for. */
static void close_backend(struct backend *b)
{
	struct local *l = local_of(b);
	l->closed = true;
	while (l->busy)
		loop_run_once(l->config.loop, 1000);
	loop_timer_free(l->poll_timer);
	map_free(l->tasks);
	map_free(l->ports);
	uids_close(l->uids);
	free(l->tasks_folder);
	free((char *)l->config.data_folder);
	free((char *)l->config.bind_address);
	strings_free((char **)l->config.labels);
	free(l);
}

static const struct backend_ops ops = {
    .name = "local",
    .attach = attach,
    .capacity = capacity,
    .labels = labels,
    .launch = launch,
    .stop = stop,
    .remove = remove_task,
    .set_weights = set_weights,
    .dial = dial,
    .forget = forget,
    .log_read = log_read,
    .metrics_read = metrics_read,
    .describe = describe,
    .close = close_backend,
};

int local_new(const struct local_config *config, struct backend **ret, struct err *err)
{
	struct runtime runtime;
	struct uids *uids = NULL;
	if (!config->data_folder || config->data_folder[0] != '/')
		return err_set(err, ERR_INVALID, "the data folder must be an absolute path");
	int r = runtime_detect(&runtime, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *folder = mem_printf("%s/tasks", config->data_folder);
	r = path_make_absolute_dirs(folder, 0755, err);
	if (r == 0)
		r = uids_open(config->data_folder, &uids, err);
	if (r < 0)
		return r;
	struct local *l = MEM_NEW(struct local);
	l->base.ops = &ops;
	l->config = *config;
	l->config.data_folder = mem_strdup(config->data_folder);
	l->config.labels = config->labels ? strings_copy(config->labels) : NULL;
	l->config.bind_address = mem_strdup(config->bind_address ? config->bind_address : "127.0.0.1");
	l->runtime = runtime;
	l->tasks_folder = STEAL(folder);
	l->uids = uids;
	l->capacity = machine_capacity();
	l->tasks = map_new(local_task_free);
	l->ports = map_new(local_port_free);
	*ret = &l->base;
	return 0;
}
