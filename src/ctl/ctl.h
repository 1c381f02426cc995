/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The controller: wishes in the store, observations from a backend, decisions from sched. The only mover of
 * state.
 *
 * Ideas. Every change is one durable transaction (row + event) before anybody hears of it and before anything
 * happens outside: intent first. Live jobs and services are also held in memory; the store is the truth.
 * Results come by callback on the loop's thread after the commit.
 *
 * Invariants: an acknowledged job exists once; at most one attempt of a job is live (attempt = fencing
 * token); terminal states never change; a reported task without an owner row is removed.
 *
 * ctl does no I/O of its own: store, backend, clock, rng and blob deletion are given, so that tests/sim runs
 * it whole under virtual time.
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "base/clock.h"
#include "base/rng.h"
#include "core/backend.h"
#include "core/framework.h"
#include "core/quota.h"
#include "core/service.h"
#include "store/store.h"

struct ctl;

struct ctl_config {
	struct store *store; /* all kept */
	struct backend *backend;
	const struct catalogue *catalogue;
	struct clock *clock;
	struct rng *rng;
	const char *bind_address; /* of model services, as the backend's; NULL = "127.0.0.1" */
	/* Asks to be called: ctl_tick() no later than at this monotonic time. */
	void (*wake_at)(void *arg, int64_t monotonic_ms);
	void *wake_arg;
	/* Removes every object and bucket of an organisation that is being deleted, then calls done, later,
	 * on the loop's thread; may be asked again for the same. NULL = there are none. What it was asked is
	 * done or given up before ctl_free. */
	void (*org_empty)(void *arg, const char *org,
			  void (*done)(void *done_arg, int r, const struct err *err), void *done_arg);
	void *org_empty_arg;
	/* What an organisation may hold in the store is known now, or has changed; and what it holds. At
	 * once, from memory. NULL = there is no store. */
	void (*storage_limit)(void *arg, const char *org, const struct quota_storage *most);
	void (*storage_used)(void *arg, const char *org, struct quota_storage *ret);
	void *storage_arg;
};

/* Reads live rows, attaches to the backend; 'ready' is called once when every live row has met its task. */
int ctl_new(const struct ctl_config *config, struct ctl **ret, struct err *err);
void ctl_on_ready(struct ctl *c, void (*ready)(void *arg), void *arg);
void ctl_tick(struct ctl *c); /* deadlines, retries, scheduling */
/* Tasks go on. Close the backend first (ctl is its observer) and the store afterwards. Whoever still waits
 * for a result is called from here with ERR_CANCELLED; watches must be freed before. NULL is fine. */
void ctl_free(struct ctl *c);

/* Who holds this bearer token ("cml_KEYID_SECRET"). Answers at once from memory (keys are read at start and
 * kept in step); compares in constant time. ERR_UNAUTHENTICATED for unknown, wrong, malformed and expired
 * alike. */
int ctl_authenticate(struct ctl *c, const char *token, struct principal *ret, struct err *err);
/* The same for a key that was shown before: who holds it now. ERR_UNAUTHENTICATED when it is gone or expired.
 */
int ctl_principal(struct ctl *c, const char *key_id, struct principal *ret, struct err *err);

/* The attempt of a job that runs now, and what the job's user may do: for the program's own access to the
 * store. *ret is a view until the loop's next turn. ERR_UNAUTHENTICATED: that attempt is not live, or not the
 * present one, or its user or organisation is gone. */
int ctl_attempt_find(struct ctl *c, const char *id, int64_t attempt, const struct job **ret,
		     enum role *ret_role, struct err *err);
/* The same of the replica of a TensorBoard. */
int ctl_replica_find(struct ctl *c, const char *id, int64_t attempt, const struct service **ret,
		     struct err *err);

/* Idempotency: 'key' NULL or 1 to 128 printable characters. Same organisation, key and body digest → the
 * first answer again (replayed true); other digest → ERR_CONFLICT. */
struct ctl_idempotency {
	const char *key;
	const char *body_sha256; /* hex */
};

/* One result: exactly one of err->code != 0 and the noun set; views for the call. */
struct ctl_result {
	const struct job *job;
	const struct service *service;
	const struct cron *cron;
	json_t *explanation; /* beside the job, of ctl_job_explain() only */
	bool replayed;
};
typedef void ctl_done_fn(void *arg, const struct ctl_result *result, const struct err *err);

/* Limits. */
#define CTL_LIVE_JOBS_MAX 100000   /* of one organisation */
#define CTL_SERVICES_MAX 1000	   /* of one organisation */
#define CTL_SERVICE_UPDATES_MAX 16 /* of one service, that wait to become durable */

/* Changes. Borrow their arguments; call done exactly once, later. Check role: a viewer may change nothing. */
void ctl_job_submit(struct ctl *c, const struct principal *who, const struct job_spec *spec,
		    const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg);
/* Many at once, in one transaction: each is made or refused by itself. Takes the jobs of the array, of which
 * only the specification is filled in; NULL where refusals[i] says why the caller could not read it. With a
 * key the whole batch is made once. */
#define CTL_BATCH_MAX 1000
struct ctl_batch_item {
	struct err err; /* code 0: made */
	char id[16], name[CORE_NAME_MAX + 1];
	enum job_state state;
};
struct ctl_batch_result { /* views for the call */
	const struct ctl_batch_item *items;
	size_t count;
	bool replayed;
};
typedef void ctl_batch_fn(void *arg, const struct ctl_batch_result *result, const struct err *err);
void ctl_job_submit_batch(struct ctl *c, const struct principal *who, struct job **jobs,
			  const struct err *refusals, size_t count, const struct ctl_idempotency *idem,
			  ctl_batch_fn *done, void *arg);
void ctl_job_cancel(struct ctl *c, const struct principal *who, const char *id,
		    const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg);
/* Before a call that has to do something else first: ERR_CONFLICT when the key was another request's,
 * ERR_INVALID when it is no key. Answers without a noun. */
void ctl_key_check(struct ctl *c, const struct principal *who, const struct ctl_idempotency *idem,
		   ctl_done_fn *done, void *arg);
/* ERR_STATE when live. With a key, also a success without a job: it was deleted by the first request. */
void ctl_job_delete(struct ctl *c, const struct principal *who, const char *id,
		    const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg);
void ctl_service_create(struct ctl *c, const struct principal *who, enum service_kind kind,
			const struct service_spec *spec, const struct ctl_idempotency *idem,
			ctl_done_fn *done, void *arg);
/* spec: the whole new wish, made of the service as it was at 'base_revision' (service_spec_patch);
 * ERR_CONFLICT when there is a newer one, ERR_STATE when it stops or has failed. Answers when the wish is
 * durable. */
void ctl_service_update(struct ctl *c, const struct principal *who, const char *name,
			const struct service_spec *spec, int64_t base_revision,
			const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg);
/* With a key that was used before: the first answer again, also when the service is gone. */
void ctl_service_delete(struct ctl *c, const struct principal *who, enum service_kind kind, const char *name,
			const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg);

/* Crons. create takes the cron, of which only the specification is filled in. A repeated delete answers
 * without a cron. change: CTL_CRON_PAUSE, _RESUME or _DELETE. find is a view until the loop's next turn; list
 * oldest first, the array is owned by the caller. */
#define CTL_CRONS_MAX 1000 /* of one organisation */
enum ctl_cron_change { CTL_CRON_PAUSE, CTL_CRON_RESUME, CTL_CRON_DELETE };
void ctl_cron_create(struct ctl *c, const struct principal *who, struct cron *cron,
		     const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg);
void ctl_cron_change(struct ctl *c, const struct principal *who, const char *name, enum ctl_cron_change what,
		     const struct ctl_idempotency *idem, ctl_done_fn *done, void *arg);
const struct cron *ctl_cron_find(struct ctl *c, const char *org, const char *name);
const struct cron **ctl_cron_list(struct ctl *c, const char *org, size_t *ret_count);

/* Reads. 'id' of a job: its id, or a name (the newest job of that name). ERR_NOT_FOUND also for another
 * organisation's. */
void ctl_job_get(struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done, void *arg);
/* Why it waits, its place in the order, who holds what is short, when it starts, what would help:
 * docs/api.md. Work of other organisations is not named. */
void ctl_job_explain(struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done,
		     void *arg);
void ctl_service_get(struct ctl *c, const struct principal *who, enum service_kind kind, const char *name,
		     ctl_done_fn *done, void *arg);

struct ctl_list_query {
	enum service_kind kind; /* of services */
	int state;		/* -1 = all; enum job_state or service_state */
	const char *name;	/* NULL = all; elements too */
	const char *array;	/* of jobs: the elements of this one; NULL = what is no element */
	int64_t before_seq;	/* newest first: seq < before_seq; 0 = from the newest */
	int64_t limit;		/* 1 to 1000 */
};
typedef void ctl_jobs_fn(void *arg, const struct job *const *jobs, size_t count, bool more,
			 const struct err *err);
typedef void ctl_services_fn(void *arg, const struct service *const *services, size_t count, bool more,
			     const struct err *err);
typedef void ctl_events_fn(void *arg, const struct event *events, size_t count, const struct err *err);
void ctl_job_list(struct ctl *c, const struct principal *who, const struct ctl_list_query *q,
		  ctl_jobs_fn *done, void *arg);
void ctl_service_list(struct ctl *c, const struct principal *who, const struct ctl_list_query *q,
		      ctl_services_fn *done, void *arg);
/* subject: a job's id, "model/NAME" or "tensorboard/NAME"; seq > after; oldest first; at most 1000. */
void ctl_events(struct ctl *c, const struct principal *who, const char *subject, int64_t after,
		ctl_events_fn *done, void *arg);

/* Name of a task, from 0, whose log and metrics belong to this attempt (0 = the newest). */
void ctl_job_task_name(const struct job *job, int64_t attempt, int64_t index, char ret[TASK_NAME_MAX + 1]);
void ctl_service_task_name(const struct service *s, const struct replica *r, char ret[TASK_NAME_MAX + 1]);

/* Watching: fn is called on the loop's thread after every durable change and on progress (at most 5 a second
 * each). Exactly one of job and service is set; a view for the call. */
struct ctl_watch;
typedef void ctl_watch_fn(void *arg, const struct job *job, const struct service *service);
struct ctl_watch *ctl_watch_new(struct ctl *c, const char *org, ctl_watch_fn *fn, void *arg); /* copies org */
void ctl_watch_free(struct ctl_watch *w);

/* Quotas, in memory: whoever keeps them sets those of every organisation before the controller is ready and
 * again after each change is durable; an organisation that was never set has quota_init()'s. The scheduler
 * goes by them from the next decision on. 'ret_used' is what the organisation's work holds now. */
void ctl_quota_set(struct ctl *c, const char *org, const struct quota *quota);
void ctl_quota_get(struct ctl *c, const char *org, struct quota *ret,
		   struct quota_limit ret_used[PURPOSE_COUNT]);

/* Counts and capacity for the status page. */
struct ctl_status {
	struct resources capacity, used;
	int64_t jobs_by_state[JOB_STATE_COUNT]; /* of this organisation; terminal ones from kept counters */
	int64_t services_by_state[SERVICE_STATE_COUNT];
};
void ctl_status(struct ctl *c, const char *org, struct ctl_status *ret);
/* ERR_UNAVAILABLE, with the reason, when the store has stopped for good. */
int ctl_health(struct ctl *c, struct err *err);

#endif
