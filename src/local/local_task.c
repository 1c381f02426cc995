/* SPDX-License-Identifier: Apache-2.0 */
/* One task as the server sees it: started, watched, seen to end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "core/store_layout.h"
#include "local/local_int.h"
#include "local/fd_drop.h"
#include "local/store_relay.h"

struct local_task *local_task_new(struct local *l, const char *name)
{
	struct local_task *t = MEM_NEW(struct local_task);
	t->local = l;
	t->pid_fd = -1;
	t->folder = mem_printf("%s/%s", l->tasks_folder, name);
	snprintf(t->name, sizeof(t->name), "%s", name);
	task_spec_init(&t->spec);
	t->status = (struct task_status){.phase = TASK_PREPARING, .progress = PROGRESS_NONE};
	memcpy(t->status.name, t->name, sizeof(t->name));
	map_set(l->tasks, name, t);
	if (map_count(l->tasks) == 1)
		local_poll_begin(l);
	return t;
}

static void stop_watching(struct local_task *t)
{
	loop_dir_free(t->watch);
	t->watch = NULL;
	loop_fd_free(t->pid_watch);
	t->pid_watch = NULL;
	fd_drop(&t->pid_fd);
	loop_child_free(t->child);
	t->child = NULL;
}

void local_task_free(void *task)
{
	struct local_task *t = task;
	stop_watching(t);
	loop_timer_free(t->retry_timer);
	store_seen_free(t->seen);
	task_spec_done(&t->spec);
	task_plan_done(&t->plan);
	if (t->again)
		task_spec_done(t->again);
	free(t->again);
	free(t->folder);
	free(t);
}

int local_task_open(const struct local_task *t, struct err *err)
{
	int fd = open(t->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? err_sys(err, errno, "cannot open task folder '%s'", t->name) : fd;
}

void local_task_report(struct local_task *t)
{
	const struct backend_observer *o = &t->local->observer;
	if (o->task_changed && !t->local->closed)
		o->task_changed(o->arg, &t->status);
}

void local_task_work(struct local_task *t, void (*work)(void *), void (*done)(void *))
{
	t->local->busy++;
	loop_work(t->local->config.loop, work, done, t);
}

bool local_task_work_done(struct local_task *t)
{
	t->local->busy--;
	return !t->local->closed;
}

static void read_status(struct local_task *t, int folder_fd)
{
	struct task_status status = {0};
	struct err err = ERR_INIT;
	if (folder_read_status(folder_fd, &status, &err) < 0) {
		if (err.code != ERR_NOT_FOUND)
			log_debug("task.status task=%s error=\"%s\"", t->name, err.msg);
		return;
	}
	/* Only forward, and never the end: that is what exit.json and collecting say. */
	if (status.phase < t->status.phase || status.phase >= TASK_EXITED ||
	    memcmp(&status, &t->status, sizeof(status)) == 0)
		return;
	t->status = status;
	memcpy(t->status.name, t->name, sizeof(t->name));
	local_task_report(t);
}

static void on_folder(void *arg, const char *name)
{
	struct local_task *t = arg;
	if (!name || strcmp(name, FOLDER_STATUS) == 0 || strcmp(name, FOLDER_EXIT) == 0 ||
	    strcmp(name, FOLDER_STARTED) == 0)
		local_task_examine(t);
}

static void on_shim_gone(void *arg, int events)
{
	struct local_task *t = arg;
	loop_fd_free(t->pid_watch);
	t->pid_watch = NULL;
	local_task_examine(t);
}

/* The process id in the lock is right as long as the lock is held; seen after the pidfd was made. */
static void watch_process(struct local_task *t, int folder_fd)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	if (t->pid_fd >= 0 || fd_read_file(folder_fd, FOLDER_LOCK, 32, &text, &err) < 0)
		return;
	int pid = atoi(buf_str(&text));
	if (pid <= 1)
		return;
	t->pid_fd = pidfd_open(pid, 0);
	if (t->pid_fd < 0 || !folder_is_locked(folder_fd)) {
		fd_drop(&t->pid_fd);
		return; /* the timer looks again */
	}
	t->pid_watch = loop_fd_new(t->local->config.loop, t->pid_fd, LOOP_READ, on_shim_gone, t, &err);
}

static void watch_folder(struct local_task *t)
{
	struct err err = ERR_INIT;
	if (t->watch)
		return;
	t->watch = loop_dir_new(t->local->config.loop, t->folder, on_folder, t, &err);
	if (!t->watch) /* too many watches: the timer looks as well */
		log_warn("task.watch task=%s error=\"%s\"", t->name, err.msg);
}

/* The shim ended before it took the folder: its own words say why. */
static void fail_start(struct local_task *t, int folder_fd)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct err err = ERR_INIT;
	struct task_exit record = {.exit_code = -1, .fail = FAIL_PLATFORM};
	fd_read_file(folder_fd, "shim.log", 4096, &text, &err);
	snprintf(record.message, sizeof(record.message), "the task's supervisor could not be started: %.300s",
		 text.len ? buf_str(&text) : "it said nothing");
	for (char *p = record.message; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
			*p = ' ';
	record.ended_ms = clock_wall_ms(t->local->config.clock);
	err = ERR_INIT;
	if (folder_write_exit(folder_fd, &record, &err) < 0 && err.code != ERR_EXISTS) {
		log_warn("task.exit task=%s error=\"%s\"", t->name, err.msg);
		return; /* the timer comes back to it */
	}
	local_task_examine(t);
}

static void ended(struct local_task *t, bool lost)
{
	stop_watching(t);
	t->lost = lost;
	t->step = STEP_COLLECT;
	local_collect(t);
}

void local_task_examine(struct local_task *t)
{
	if (t->step != STEP_SPAWN && t->step != STEP_WATCH)
		return;
	struct err err = ERR_INIT;
	CLEANUP(fd) int folder_fd = local_task_open(t, &err);
	if (folder_fd < 0) {
		log_error("task.folder task=%s error=\"%s\"", t->name, err.msg);
		if (err.code == ERR_NOT_FOUND)
			ended(t, true);
		return;
	}
	bool alive =
	    folder_is_locked(folder_fd); /* before the record: it is written while the lock is held */
	if (folder_has(folder_fd, FOLDER_EXIT)) {
		int r = folder_read_exit(folder_fd, &t->record, &err);
		if (r < 0)
			log_error("task.exit task=%s error=\"%s\"", t->name, err.msg);
		read_status(t, folder_fd);
		ended(t, r < 0);
		return;
	}
	bool started = folder_has(folder_fd, FOLDER_STARTED);
	if (alive) {
		t->step = STEP_WATCH;
		watch_folder(t);
		watch_process(t, folder_fd);
		read_status(t, folder_fd);
		local_port_adopt(t, folder_fd);
	} else if (started && !t->child) {
		ended(t, true);
	} else if (!started && !t->child) {
		fail_start(t, folder_fd);
	}
}

static void on_child_exit(void *arg, int exit_code, int signal_number)
{
	struct local_task *t = arg;
	loop_child_free(t->child);
	t->child = NULL;
	local_task_examine(t);
}

/* Our environment and, in it alone, the secret of the program's key for the store. Returns owned. */
static char **shim_env(struct local_task *t)
{
	const struct local_config *config = &t->local->config;
	char key[STORE_JOB_KEY_MAX], secret[LOCAL_SECRET_MAX + 1] = "";
	if (config->store_secret && t->spec.kind != TASK_MODEL && t->spec.owner[0]) {
		store_job_key(t->spec.owner, t->spec.attempt, key);
		config->store_secret(config->store_secret_arg, key, secret);
	}
	size_t count = strings_count(environ);
	char **env = mem_alloc((count + 2) * sizeof(*env));
	for (size_t i = 0; i < count; i++)
		env[i] = mem_strdup(environ[i]);
	env[count] = secret[0] ? mem_printf(STORE_SECRET_VARIABLE "=%s", secret) : NULL;
	env[count + 1] = NULL;
	explicit_bzero(secret, sizeof(secret));
	return env;
}

void local_task_spawn(struct local_task *t)
{
	struct err err = ERR_INIT;
	t->step = STEP_SPAWN;
	CLEANUP(fd) int folder_fd = local_task_open(t, &err);
	CLEANUP(fd)
	int log_fd = folder_fd < 0 ? -1
				   : openat(folder_fd, "shim.log",
					    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	int port_fd = t->spec.kind == TASK_MODEL ? local_port_get(t->local, &t->spec, &err) : -1;
	if (t->spec.kind == TASK_MODEL && port_fd < 0) {
		local_launch_failed(t, &err);
		return;
	}
	char *argv[] = {"/proc/self/exe", "shim", t->folder, port_fd < 0 ? NULL : "3", NULL};
	const int fds[] = {-1, -1, log_fd, port_fd};
	CLEANUP(strings) char **env = shim_env(t);
	const struct loop_spawn spawn = {.argv = argv,
					 .env = env,
					 .fds = fds,
					 .fd_count = port_fd < 0 ? 3 : 4,
					 .cwd = "/",
					 .detached = true,
					 .on_exit = on_child_exit,
					 .arg = t};
	watch_folder(t);
	if (loop_child_new(t->local->config.loop, &spawn, &t->child, &err) < 0) {
		log_error("task.spawn task=%s error=\"%s\"", t->name, err.msg);
		t->child = NULL;
		local_task_examine(t);
	}
}
