/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's half of the room. Files: local.c (vtable), local_attach.c (what is there after a restart),
 * local_task.c (watching one task), local_port.c (addresses of models), local_output.c (outputs of running
 * jobs), local_unsaved.c (outputs that do not fit), local_launch.c and local_collect.c (work on the pool
 * before and after the shim).
 */
#ifndef LOCAL_LOCAL_INT_H
#define LOCAL_LOCAL_INT_H

#include "base/clock.h"
#include "base/map.h"
#include "local/container.h"
#include "local/local.h"
#include "local/store_seen.h"
#include "local/task_folder.h"
#include "local/uids.h"

struct local {
	struct backend base;
	struct local_config config; /* with copies of the strings */
	struct runtime runtime;
	char *tasks_folder;
	struct uids *uids;
	struct resources capacity; /* read once: the kernel's answer is a file to be opened and parsed */
	struct map *tasks;	   /* name → struct local_task */
	struct map *ports;	   /* owner to struct local_port */
	struct backend_observer observer;
	bool attached, closed;
	struct loop_timer *poll_timer;
	size_t busy; /* works on the pool; close waits for them */
};

#define UNSAVED_WAIT_MS (INT64_C(3600) * 1000) /* for room in the store, after the end */
#define UNSAVED_TEXT_MAX 320

/* Where the server is with a task. Forward only, except that COLLECT repeats until it succeeds. */
enum local_step {
	STEP_LAUNCH,  /* the folder is being made */
	STEP_SPAWN,   /* the shim was started and did not say so yet */
	STEP_WATCH,   /* the shim lives */
	STEP_COLLECT, /* ended or lost; output goes to the store */
	STEP_ENDED,   /* reported */
	STEP_REMOVE,
};

struct local_task {
	struct local *local;
	char name[TASK_NAME_MAX + 1];
	char *folder;
	enum local_step step;
	struct task_spec spec;
	struct task_plan plan;
	struct task_status status; /* as last reported */
	struct task_exit record;
	bool lost, has_stop;
	struct task_stop stop; /* asked for before the folder was there */
	struct loop_child *child;
	struct loop_dir *watch;
	int pid_fd;
	struct loop_fd *pid_watch;
	struct loop_timer *retry_timer;
	int64_t retry_ms;
	bool noted_skipped, last_of_owner;
	/* local_unsaved.c: while the store takes no more */
	struct store_put_stats put;	/* of the last pass over the output */
	int64_t quota_since_ms;		/* monotonic; 0 = the store takes all */
	bool gives_up, is_last_try;	/* nobody wants it to wait; what is refused now is given up */
	bool collect_pauses;		/* until retry_timer */
	char unsaved[UNSAVED_TEXT_MAX]; /* what was given up; "" = nothing */
	/* local_output.c */
	struct store_seen *seen;	     /* what was saved while it runs; NULL = nothing */
	bool is_saving, collect_waits;	     /* a pass is on the pool; the last one comes after it */
	int64_t save_after_ms, save_took_ms; /* monotonic */
	bool port_asked;		     /* its shim, for the socket */
	bool unreported;		     /* being removed, and nobody was told that it exists */
	struct task_spec *again;	     /* launched again while it is being removed */
	struct err err;			     /* of the work on the pool */
};

/* local_task.c */
void local_poll_begin(struct local *l); /* looks at all tasks now and then, while there are any */
struct local_task *local_task_new(struct local *l, const char *name);
void local_task_free(void *task);
int local_task_open(const struct local_task *t, struct err *err); /* the folder's fd (owned) or -code */
void local_task_examine(struct local_task *t); /* looks at the folder and goes on from what is there */
void local_task_spawn(struct local_task *t);   /* the folder is ready */
void local_task_report(struct local_task *t);
void local_task_work(struct local_task *t, void (*work)(void *), void (*done)(void *));
bool local_task_work_done(struct local_task *t); /* first in each done: false = closing, t may be gone */

/* local_launch.c */
int local_copy_spec(const struct task_spec *spec, struct task_spec *ret,
		    struct err *err); /* into an initialised one */
int local_launch_new(struct local *l, const struct task_spec *spec,
		     struct err *err);				       /* a name that is free */
void local_launch_failed(struct local_task *t, const struct err *err); /* before there was a shim */
void local_launch(struct local_task *t); /* STEP_LAUNCH: writes the folder, then spawns */
int local_plan(struct local *l, const struct task_spec *spec, struct task_plan *ret, struct err *err);

/* local_port.c: the listening sockets of model services */
/* The owner's socket, opened when there is none: a descriptor that stays ours, or -code. ERR_LIMIT. */
int local_port_get(struct local *l, const struct task_spec *spec, struct err *err);
void local_port_adopt(struct local_task *t, int folder_fd); /* after a restart, from a shim that has it */
void local_port_free(void *port);

/* local_output.c */
char *local_output_prefix(const struct local_task *t); /* in the organisation's bucket; returns owned */
void local_output_look(struct local_task *t); /* now and then: saves what is there, while the program runs */

/* local_unsaved.c: outputs that are more than the organisation may store */
/* The next pass over the output, at now_ms (monotonic), is the last: somebody had time to make room. */
bool local_unsaved_ends(const struct local_task *t, int64_t now_ms);
void local_unsaved_wait(struct local_task *t, int64_t now_ms); /* notes that it waits, and says so */
/* Durably, before the mark of what was collected; t->unsaved is then what unsaved_read finds. */
int local_unsaved_write(struct local_task *t, int folder_fd, const struct err *why, struct err *err);
int local_unsaved_read(struct local_task *t, int folder_fd, struct err *err);
/* What was given up becomes part of how it ended: a job that ended well has failed. */
void local_unsaved_end(const struct local_task *t, struct task_exit *record);

/* local_collect.c */
void local_collect_give_up(struct local_task *t); /* it is cancelled: waits no longer for room */
void local_collect(struct local_task *t);	  /* STEP_COLLECT, then reports */
void local_remove(struct local_task *t);

/* local_attach.c */
void local_attach(struct local *l);

#endif
