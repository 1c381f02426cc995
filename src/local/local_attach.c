/* SPDX-License-Identifier: Apache-2.0 */
/* After a start: every task is derived again from its folder. */
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/local_int.h"

#define POLL_MS 2000 /* for what no event told */

struct found {
	char *name;
	struct task_spec spec;
	struct task_plan plan;
	struct task_status status;
	bool has_spec, has_exit, has_started;
	struct task_exit record;
};
struct scan {
	struct local *local;
	struct found *items;
	size_t count;
};

static void read_folder(struct scan *s, int tasks_fd, const char *name)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int fd = path_open(tasks_fd, name, O_RDONLY | O_DIRECTORY, 0, &err);
	if (fd < 0)
		return;
	s->items = mem_realloc(s->items, (s->count + 1) * sizeof(*s->items));
	struct found *f = &s->items[s->count++];
	*f = (struct found){.name = mem_strdup(name)};
	task_spec_init(&f->spec);
	f->has_spec = folder_read_spec(fd, &f->spec, &err) == 0;
	if (f->has_spec && folder_read_plan(fd, &f->plan, &err) < 0)
		log_warn("task.plan task=%s error=\"%s\"", name, err.msg);
	if (!f->has_spec && err.code != ERR_NOT_FOUND)
		log_error("task.spec task=%s error=\"%s\"", name, err.msg);
	task_status_of_spec(&f->status, &f->spec);
	memcpy(f->status.name, f->spec.name, sizeof(f->status.name));
	struct task_status status = {0};
	if (folder_read_status(fd, &status, &err) == 0 && status.phase < TASK_EXITED)
		f->status = status;
	f->has_exit = folder_read_exit(fd, &f->record, &err) == 0;
	f->has_started = folder_has(fd, FOLDER_STARTED);
}

static void scan_work(void *arg)
{
	struct scan *s = arg;
	struct err err = ERR_INIT;
	CLEANUP(dir) DIR *dir = opendir(s->local->tasks_folder);
	for (struct dirent *e; dir && (e = readdir(dir));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		if (e->d_name[0] != '.')
			read_folder(s, dirfd(dir), e->d_name);
		else if (path_remove_tree(dirfd(dir), e->d_name, &err) <
			 0) /* a removal that was interrupted */
			log_warn("task.remove folder=%s error=\"%s\"", e->d_name, err.msg);
	}
}

/* Takes what it needs from f. */
static void adopt(struct local *l, struct found *f)
{
	if (map_get(l->tasks, f->name)) /* launched while the folders were read */
		return;
	if (strlen(f->name) > TASK_NAME_MAX || (f->has_spec && strcmp(f->spec.name, f->name) != 0)) {
		log_warn("task.foreign folder=%s", f->name);
		return;
	}
	struct local_task *t = local_task_new(l, f->name);
	task_spec_done(&t->spec);
	t->spec = f->spec;
	t->plan = f->plan;
	task_spec_init(&f->spec);
	f->plan = (struct task_plan){0};
	t->status = f->status;
	memcpy(t->status.name, t->name, sizeof(t->name));
	t->record = f->record;
	if (!f->has_spec && !f->has_started) {
		t->unreported = true;
		local_remove(t);
		return;
	}
	local_task_report(t);
	if (!f->has_started && !f->has_exit) {
		local_launch(t);
		return;
	}
	t->step = STEP_WATCH;
	local_task_examine(t);
}

/* Without tasks nothing wakes the server. */
void local_poll_begin(struct local *l)
{
	if (l->poll_timer && map_count(l->tasks))
		loop_timer_set(l->poll_timer, POLL_MS, 0);
}

static void on_poll(void *arg)
{
	struct local *l = arg;
	const char *name;
	void *task;
	for (size_t i = 0; map_next(l->tasks, &i, &name, &task);) {
		local_task_examine(task);
		local_output_look(task);
	}
	local_poll_begin(l);
}

static void scan_done(void *arg)
{
	struct scan *s = arg;
	struct local *l = s->local;
	l->busy--;
	for (size_t i = 0; i < s->count; i++) {
		if (!l->closed)
			adopt(l, &s->items[i]);
		free(s->items[i].name);
		task_spec_done(&s->items[i].spec);
		task_plan_done(&s->items[i].plan);
	}
	free(s->items);
	free(s);
	if (l->closed)
		return;
	l->attached = true;
	l->poll_timer = loop_timer_new(l->config.loop, on_poll, l);
	local_poll_begin(l);
	if (l->observer.attached)
		l->observer.attached(l->observer.arg);
}

void local_attach(struct local *l)
{
	struct scan *s = MEM_NEW(struct scan);
	s->local = l;
	l->busy++;
	loop_work(l->config.loop, scan_work, scan_done, s);
}
