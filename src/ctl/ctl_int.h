/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What only the room ctl sees.
 *
 * Everything is driven by level, not by edge: whatever happens (an observation, a commit, a time) only marks
 * nouns as dirty; job_advance(), service_advance() and task_advance() look at the row and at what is known of
 * the task, and do the next thing. A write that fails changes nothing and is tried again later from the same
 * place.
 */
#ifndef CTL_CTL_INT_H
#define CTL_CTL_INT_H

#include "base/list.h"
#include "base/map.h"
#include "ctl/ctl.h"
#include "sched/sched.h"

#define CTL_PREPARE_MS (60 * INT64_C(1000)) /* what environment and package may take in estimates */
#define CTL_NODE "local"
#define CTL_SUBMITTED_MS                                                                                     \
	(60 * INT64_C(1000)) /* deadline of submitted: for the record, the owner is ctl itself */
#define CTL_STARTING_MS (60 * 60 * INT64_C(1000)) /* environments may be large */
#define CTL_OVERTIME_MS (60 * INT64_C(1000)) /* for the backend to enforce max_duration before ctl does */
#define CTL_STOP_GRACE_MS INT64_C(10000)
#define CTL_REPEAT_MS (30 * INT64_C(1000)) /* stop and remove are asked for again */
#define CTL_BACKOFF_FIRST_MS INT64_C(1000)
#define CTL_BACKOFF_MAX_MS (300 * INT64_C(1000))
#define CTL_PROGRESS_MS 200			   /* at most five notices a second */
#define CTL_SERVICE_FAILURES_MAX 5		   /* in a row, then the service has failed */
#define CTL_UPDATE_FAILURES_MAX 2		   /* the same of a replica that an update brought */
#define CTL_DRAIN_MS (60 * INT64_C(1000))	   /* for requests in flight on a replica that goes */
#define CTL_HUNG_GRACE_MS INT64_C(2000)		   /* for a replica that is replaced because it hangs */
#define CTL_SERVICE_STEADY_MS (60 * INT64_C(1000)) /* ready for so long: the row of failures ends */
#define CTL_EXPIRE_MS (3600 * INT64_C(1000))	   /* old idempotency keys are deleted */

struct ctl_timer {
	void (*fn)(void *arg);
	void *arg;
	int64_t at_ms; /* monotonic */
	size_t slot;   /* in the heap, from 1; 0 = not set */
};

/* A request to the store on its way. 'finish' runs unless the controller is gone; then the caller of 'done'
 * has been told already. 'release' always runs. */
struct ctl_op {
	struct list node;
	struct ctl *ctl;
	int (*run)(struct store_tx *tx, struct ctl_op *op,
		   struct err *err); /* database thread: only the op's own data */
	void (*finish)(struct ctl_op *op, int r, const struct err *err);
	void (*abandon)(struct ctl_op *op, const struct err *err); /* may be NULL */
	void (*release)(struct ctl_op *op);
};

struct ctl_waiter {
	struct list node;
	ctl_done_fn *done;
	void *arg;
	char user[CORE_NAME_MAX + 1];
};

/* One thing that wants resources: the next attempt of a job, a replica of a service. It waits, or it is
 * placed (its resources are counted), or neither. Embedded in the noun; the scheduler knows nothing else. */
struct ctl_want;
struct ctl_want_ops {
	void (*start)(struct ctl_want *w); /* the decision; it is placed already */
	/* Stop it, class FAIL_PREEMPTED, and leave its place when it has ended. NULL: permanent, never asked.
	 */
	void (*preempt)(struct ctl_want *w);
	/* Why it waits; may be what was said before. Texts are views. */
	void (*explain)(struct ctl_want *w, const char *reason, const char *message);
};
enum want_place { WANT_NOWHERE, WANT_WAITS, WANT_PLACED };
struct ctl_want {
	struct ctl *ctl;
	const struct ctl_want_ops *ops;
	struct sched_item item; /* what it asks for, the next time that it waits or is placed */
	enum want_place place;
	struct sched_item live; /* what the scheduler knows; item->name is 'name' */
	char name[CORE_NAME_MAX + 1];
	const char *id; /* of the job; NULL for others */
};

struct ctl_job {
	struct ctl *ctl;
	struct job *job;
	struct ctl_want want;
	struct list dirty;
	struct list elements, by_array; /* of an array: its live ones, and its place among the arrays */
	struct list in_array;		/* of an element */
	bool is_short;			/* of an array: a quota keeps it from making elements */
	struct list waiters;		/* for a cancel */
	struct list waits;		/* for the ends of other jobs (ctl_depend.c) */
	size_t waits_open;
	char waits_broken[400]; /* which end was not the one it waited for; "" = none */
	struct ctl_timer again, notice;
	bool busy;	  /* a move is on its way to the store */
	int64_t launched; /* by this process, of the present attempt: so many tasks, the first ones */
	char *refusal;	  /* why one of them cannot be launched; NULL = none was refused for good */
	enum fail_class refused;
	int64_t preempted;	/* the attempt that is being stopped for others; 0 = none */
	size_t tasks;		/* known ones, of any attempt */
	int64_t not_before_ms;	/* monotonic: start or launch no earlier */
	int64_t refusals;	/* launches refused in a row, for the backoff */
	int64_t deadline_at_ms; /* monotonic; 0 = none */
	int64_t notified_ms;
};

/* Of the replica in one slot: what need not be durable. */
struct ctl_replica {
	struct ctl_service *cs;
	struct ctl_want want;
	bool launched;	 /* by this process, the present attempt */
	int64_t attempt; /* of its record; 0 = the slot is free */
	int64_t not_before_ms, deadline_at_ms, running_at_ms, ready_at_ms, asked_weights_ms; /* monotonic */
	int64_t failures, refusals;							     /* in a row */
	char asked_weights[TASK_WEIGHTS_MAX + 1];
	char message[200]; /* why it waits */
};

struct ctl_service_change;
struct ctl_service {
	struct ctl *ctl;
	struct service *service; /* another object after every move */
	struct list dirty;
	struct list waiters;		     /* for a delete */
	struct list updates;		     /* wishes that are not durable yet */
	struct ctl_service_change *deletion; /* idempotency key of the delete; NULL = none */
	struct ctl_timer again, notice;
	bool busy;
	size_t tasks;
	size_t tasks_of[SERVICE_SLOTS_MAX]; /* of any attempt */
	struct ctl_replica replicas[SERVICE_SLOTS_MAX];
	int64_t notified_ms;
};

struct ctl_task {
	struct ctl *ctl;
	struct task_status status;
	struct list dirty;
	struct ctl_timer again;
	uint64_t ended;	  /* in the order in which ends were seen; 0 = it lives */
	int64_t asked_ms; /* stop or remove, monotonic; 0 = not asked */
	bool asked_removal;
};

struct ctl_watch {
	struct list node;
	struct ctl *ctl;
	char org[CORE_NAME_MAX + 1];
	ctl_watch_fn *fn;
	void *arg;
};

struct ctl_quota {
	struct map *users; /* name -> int64_t: unfinished jobs */
};

struct ctl_counts {
	int64_t jobs[JOB_STATE_COUNT];
};

struct ctl {
	struct ctl_config config;
	int refs; /* one of the owner, one of each op */
	bool closed, attached;
	bool is_pumping, schedule_wanted;
	void (*ready)(void *arg);
	void *ready_arg;
	struct map *keys, *users, *orgs; /* who may ask: id, "ORG/USER", name */
	struct map *jobs, *services, *tasks, *counts, *quotas;
	struct map *purges; /* of organisations that are being deleted */
	void (*on_rights)(void *arg);
	void *on_rights_arg;
	struct map *upstreams; /* id of a job → who waits for its end (ctl_depend.c) */
	struct map *crons;     /* id → struct ctl_cron */
	struct list ops, watches;
	struct list arrays; /* live ones */
	struct sched *sched;
	uint64_t ends;	     /* of tasks, seen so far */
	struct map *history; /* "ORG\nNAME" -> struct history */
	struct list dirty_jobs, dirty_services, dirty_tasks;
	struct ctl_timer **heap;
	size_t heap_count, heap_cap;
	struct ctl_timer schedule, expire;
	struct list *watch_next; /* where the walk over the watches goes on */
};

/* ctl.c */
int64_t ctl_now(struct ctl *c);	 /* monotonic */
int64_t ctl_wall(struct ctl *c); /* for records */
void ctl_pump(struct ctl *c);	 /* does what is dirty; every entry from outside ends with it */
void ctl_op_submit(struct ctl *c, struct ctl_op *op);
int64_t ctl_backoff(struct ctl *c, int64_t failures);
struct ctl_counts *ctl_counts_of(struct ctl *c, const char *org);
void ctl_want_schedule(struct ctl *c);
void waiters_answer(struct list *waiters, const struct ctl_result *result, const struct err *err);
void waiter_add(struct list *waiters, const char *user, ctl_done_fn *done, void *arg);

/* ctl_timer.c */
void timer_set(struct ctl *c, struct ctl_timer *t, int64_t at_ms);
void timer_set_earlier(struct ctl *c, struct ctl_timer *t, int64_t at_ms); /* keeps an earlier one */
void timer_clear(struct ctl *c, struct ctl_timer *t);
void timers_run(struct ctl *c, int64_t now_ms);

/* ctl_job.c: the mover of jobs */
struct ctl_job *job_adopt(struct ctl *c, struct job *job); /* takes job */
void job_drop(struct ctl_job *cj);
void job_dirty(struct ctl_job *cj);
void job_advance(struct ctl_job *cj);
void job_start(struct ctl_job *cj); /* the scheduler's decision */
void job_place(struct ctl_job *cj);
void job_want_fill(struct ctl *c, const struct job *job, struct sched_item *ret); /* views of job */
void job_queue(struct ctl_job *cj); /* the move to queued of one that waited */
void job_fail(struct ctl_job *cj, const char *reason, enum fail_class fail, const char *message);
void job_run(struct ctl_job *cj); /* the move to running */
/* The end of the attempt, which all its tasks have ended: a retry or the end of the job. */
void job_end_attempt(struct ctl_job *cj, const struct task_status *end);
void job_end_without_task(struct ctl_job *cj, enum fail_class fail, const char *message);

/* ctl_gang.c: the tasks of the present attempt, of which there may be one */
void gang_advance(struct ctl_job *cj);
void gang_forget(struct ctl_job *cj); /* what is known of an earlier attempt */
void gang_dirty(struct ctl_job *cj);

/* ctl_depend.c. resolve: on the database thread, before the row is made: names become ids; the job is
 * 'submitted' in place of 'queued' when it has to wait. ERR_INVALID, ERR_STATE. */
int depend_resolve(struct store_tx *tx, struct job *job, struct err *err);
/* 'tx' after a restart, when the ends of jobs that are not in memory must be read; else NULL. */
int depend_begin(struct ctl_job *cj, struct store_tx *tx, struct err *err);
void depend_end(struct ctl_job *cj);			     /* it waits no more */
void depend_tell(struct ctl *c, const struct job *ended);    /* to who waits for it */
const struct job *depend_who(struct ctl *c, const char *id); /* one that waits for it; NULL = none */
void depend_advance(struct ctl_job *cj);

void job_array_move(struct ctl_job *cj, enum job_state to, const char *reason, const char *message);
void job_array_end(struct ctl_job *cj, const struct task_status *end);

/* ctl_array.c */
void array_advance(struct ctl_job *cj);
void array_show(struct ctl_job *cj);			    /* its progress */
void array_join(struct ctl_job *cj);			    /* an element of an array, when it is one */
void array_tell(struct ctl_job *cj, enum job_state before); /* an element has moved */
void arrays_wake(struct ctl *c, const char *org);
int64_t array_live(const struct job *job); /* elements */

int64_t job_event_make(struct event *e, const char *subject, int64_t time_ms, const char *reason,
		       const char *actor, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* ctl_service.c: the mover of services; ctl_service_int.h, ctl_replica.c, ctl_rollout.c */
struct ctl_service *service_adopt(struct ctl *c, struct service *s); /* takes s */
void service_drop(struct ctl_service *cs);
int64_t service_count(struct ctl *c, const char *org); /* of all kinds */
void service_dirty(struct ctl_service *cs);
void service_advance(struct ctl_service *cs);
void service_abandon(struct ctl_service *cs, const struct err *err); /* its updates */
void service_refresh(struct ctl_service *cs); /* the words for its replicas; before anybody looks */
extern const struct ctl_want_ops replica_want_ops;
void rollout_add(struct service *s, size_t count); /* replicas of the present release */

/* ctl_launch.c */
int launch_job(struct ctl *c, const struct job *job, int64_t index, struct err *err);
int launch_service(struct ctl *c, const struct service *s, const struct replica *r, struct err *err);
int64_t ctl_service_task_slot(const char *task); /* from its name; -1 = none */
enum task_kind ctl_service_task_kind(const struct service *s);

/* ctl_cron.c */
int crons_load(struct store_tx *tx, struct ctl *c, struct err *err);
void crons_free(struct ctl *c);
void crons_forget(struct ctl *c, const char *org); /* the organisation is gone */

/* ctl_task.c */
extern const struct backend_observer ctl_observer;
struct ctl_task *task_find(struct ctl *c, const char *name);
struct ctl_task *task_know(struct ctl *c, const char *name, const char *owner, enum task_kind kind,
			   int64_t attempt);
void task_stop(struct ctl_task *t, enum fail_class why);
void task_stop_within(struct ctl_task *t, enum fail_class why, int64_t grace_ms);
void task_advance(struct ctl_task *t);
void task_dirty(struct ctl_task *t);
void task_drop(void *task);

/* ctl_schedule.c. The caller fills in want.item before it moves the want; it is copied then. */
void ctl_schedule(struct ctl *c);
void ctl_nodes_update(struct ctl *c); /* what the backend has */
void want_init(struct ctl_want *w, struct ctl *c, const struct ctl_want_ops *ops);
void want_refresh(struct ctl_want *w); /* says again why it waits; before somebody reads it */
void want_move(struct ctl_want *w, enum want_place to);

/* ctl_history.c: how long work of a name took */
void history_add(struct ctl *c, const char *org, const char *name, int64_t ms);
int64_t history_median(struct ctl *c, const char *org, const char *name); /* 0 = not known */
int history_load(struct store_tx *tx, struct ctl *c, struct err *err);

/* ctl_quota.c */
void quota_free(void *quota);
void quota_count(struct ctl *c, const char *org, const char *user, int by); /* of unfinished jobs */
int quota_check(struct ctl *c, const char *org, const char *user, int64_t more, struct err *err);

/* ctl_watch.c */
void notify_job(struct ctl_job *cj);	  /* now */
void notify_job_soon(struct ctl_job *cj); /* throttled */
void notify_service(struct ctl_service *cs);
void notify_service_soon(struct ctl_service *cs);

/* ctl_auth.c */
/* What a user may do in an organisation, which may be an administrator of the platform from another one;
 * ERR_UNAUTHENTICATED when one of them is gone. */
int auth_role_of(struct ctl *c, const char *org, const char *user, enum role *ret, struct err *err);
int auth_load(struct store_tx *tx, struct ctl *c, struct err *err);
int auth_may_change(const struct principal *who, struct err *err);

#endif
