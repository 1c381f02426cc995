/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the loop room share. */
#ifndef LOOP_LOOP_INT_H
#define LOOP_LOOP_INT_H

#include <pthread.h>
#include <uv.h>
#include "base/list.h"
#include "loop/loop.h"

struct post {
	struct post *next;
	void (*fn)(void *arg);
	void *arg;
};

#define DIR_BUCKETS 64

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_timer_t guard; /* bounds loop_run_once */

	pthread_mutex_t posts_lock; /* of the two below; the only lock, held for a few instructions */
	struct post *posts, **posts_end;

	uint64_t handled; /* callbacks of our users so far */
	bool once, timed_out;

	struct list
	    orphans; /* struct loop_child that was freed while its process runs; reaped when it ends */

	struct loop_fd *inotify; /* one instance for all folders: the kernel allows a user 128 of them */
	int inotify_fd;
	struct list dirs[DIR_BUCKETS]; /* struct loop_dir by watch number */
	int dirs_dispatching;
	bool dirs_dead; /* some were freed meanwhile */
};

/* Called before every callback of a user. In loop_run_once it also keeps the poll that follows from blocking.
 */
void loop_note(struct loop *l);
/* err_sys for libuv's negative errno. */
int loop_uv_error(struct err *err, int status, const char *what);
void loop_children_done(struct loop *l);
void loop_dirs_init(struct loop *l);
void loop_dirs_done(struct loop *l);

#endif
