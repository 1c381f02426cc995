/* SPDX-License-Identifier: Apache-2.0 */
/* Changes in folders, by one inotify instance for all of them. Not uv_fs_event: that one reports every write
 * and no close after write. */
#include "loop/loop_int.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>
#include "base/mem.h"

#define ENTRY_EVENTS (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE)
#define FOLDER_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF)

struct loop_dir {
	struct list bucket;
	struct loop *loop;
	int watch; /* inotify's number; the same for all who watch the same folder */
	bool dead; /* freed while events were being handed out */
	void (*fn)(void *arg, const char *name);
	void *arg;
};

static struct list *bucket_of(struct loop *l, int watch)
{
	return &l->dirs[(unsigned int)watch % DIR_BUCKETS];
}

void loop_dirs_init(struct loop *l)
{
	l->inotify_fd = -1;
	for (size_t i = 0; i < DIR_BUCKETS; i++)
		list_init(&l->dirs[i]);
}

static void notify_bucket(struct loop *l, struct list *bucket, int watch, const char *name)
{
	struct loop_dir *d;
	LIST_EACH(d, bucket, bucket)
	{
		if (d->dead || (watch >= 0 && d->watch != watch))
			continue;
		loop_note(l);
		d->fn(d->arg, name);
	}
}

static void handle_event(struct loop *l, const struct inotify_event *e)
{
	if (e->mask & IN_Q_OVERFLOW) {
		for (size_t i = 0; i < DIR_BUCKETS; i++)
			notify_bucket(l, &l->dirs[i], -1, NULL);
		return;
	}
	if (e->mask & IN_IGNORED)
		return;
	notify_bucket(l, bucket_of(l, e->wd), e->wd, e->len ? e->name : NULL);
}

static void bury_dead(struct loop *l)
{
	l->dirs_dead = false;
	for (size_t i = 0; i < DIR_BUCKETS; i++) {
		struct loop_dir *d;
		LIST_EACH(d, &l->dirs[i], bucket)
		{
			if (!d->dead)
				continue;
			list_remove(&d->bucket);
			free(d);
		}
	}
}

static void on_inotify(void *arg, int events)
{
	struct loop *l = arg;
	_Alignas(struct inotify_event) char data[16384];
	ssize_t n = read(l->inotify_fd, data, sizeof(data));
	l->dirs_dispatching++;
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const void *)(data + at);
		handle_event(l, e);
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	if (--l->dirs_dispatching == 0 && l->dirs_dead)
		bury_dead(l);
}

static int start_inotify(struct loop *l, struct err *err)
{
	CLEANUP(fd) int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot start inotify");
	struct err e = ERR_INIT;
	l->inotify = loop_fd_new(l, fd, LOOP_READ, on_inotify, l, &e);
	if (!l->inotify)
		return err_set(err, e.code, "%s", e.msg);
	l->inotify_fd = fd;
	fd = -1;
	return 0;
}

struct loop_dir *loop_dir_new(struct loop *l, const char *path, void (*fn)(void *arg, const char *name),
			      void *arg, struct err *err)
{
	if (l->inotify_fd < 0 && start_inotify(l, err) < 0)
		return NULL;
	int watch = inotify_add_watch(l->inotify_fd, path, ENTRY_EVENTS | FOLDER_EVENTS | IN_ONLYDIR);
	if (watch < 0 && errno == ENOSPC) {
		err_set(err, ERR_LIMIT,
			"cannot watch '%s': too many folders are watched; raise the sysctl %s", path,
			"fs.inotify.max_user_watches");
		return NULL;
	}
	if (watch < 0) {
		err_sys(err, errno, "cannot watch '%s'", path);
		return NULL;
	}
	struct loop_dir *d = MEM_NEW(struct loop_dir);
	*d = (struct loop_dir){.loop = l, .watch = watch, .fn = fn, .arg = arg};
	list_append(bucket_of(l, watch), &d->bucket);
	return d;
}

static bool is_watched(struct loop *l, int watch)
{
	struct loop_dir *d;
	LIST_EACH(d, bucket_of(l, watch), bucket)
	if (!d->dead && d->watch == watch)
		return true;
	return false;
}

void loop_dir_free(struct loop_dir *d)
{
	if (!d)
		return;
	struct loop *l = d->loop;
	d->dead = true;
	if (!is_watched(l, d->watch))
		inotify_rm_watch(l->inotify_fd,
				 d->watch); /* fails when the folder is gone; so is the watch then */
	if (l->dirs_dispatching) {
		l->dirs_dead = true;
		return;
	}
	list_remove(&d->bucket);
	free(d);
}

void loop_dirs_done(struct loop *l)
{
	loop_fd_free(STEAL(l->inotify));
	cleanup_fd(&l->inotify_fd);
}
