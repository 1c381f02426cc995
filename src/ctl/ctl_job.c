/* SPDX-License-Identifier: Apache-2.0 */
/* The mover of jobs: one durable step at a time, each with its event; what comes next is read from row and
 * task. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/unit.h"
#include "ctl/ctl_int.h"

struct job_move {
	struct ctl_op op;
	struct ctl_job *cj; /* loop's thread only */
	struct job after;   /* its specification is borrowed and not read */
	int64_t version_before;
	struct event event;
};

int64_t job_event_make(struct event *e, const char *subject, int64_t time_ms, const char *reason,
		       const char *actor, const char *fmt, ...)
{
	bool is_good = strcmp(actor, "controller") != 0 || strcmp(reason, "queued") == 0 ||
		       strcmp(reason, "starting") == 0 || strcmp(reason, "running") == 0 ||
		       strcmp(reason, "ready") == 0 || strcmp(reason, "completed") == 0 ||
		       strcmp(reason, "cancelled") == 0;
	*e = (struct event){.time_ms = time_ms};
	snprintf(e->subject, sizeof(e->subject), "%s", subject);
	snprintf(e->type, sizeof(e->type), "%s", is_good ? "Normal" : "Warning");
	snprintf(e->reason, sizeof(e->reason), "%s", reason);
	snprintf(e->actor, sizeof(e->actor), "%s", actor);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(e->message, sizeof(e->message), fmt, ap);
	va_end(ap);
	return time_ms;
}

/* ---- life in memory ---- */

static void again_due(void *arg)
{
	job_dirty(arg);
}

static void want_start(struct ctl_want *w)
{
	job_start(CONTAINER_OF(w, struct ctl_job, want));
}

/* Why it waits is kept in memory only: it changes with everything that starts or ends. */
static void want_explain(struct ctl_want *w, const char *reason, const char *message)
{
	struct ctl_job *cj = CONTAINER_OF(w, struct ctl_job, want);
	if (strcmp(cj->job->reason, reason) == 0 && strcmp(cj->job->message, message) == 0)
		return;
	snprintf(cj->job->reason, sizeof(cj->job->reason), "%s", reason);
	snprintf(cj->job->message, sizeof(cj->job->message), "%s", message);
	notify_job_soon(cj);
}

static void want_preempt(struct ctl_want *w)
{
	struct ctl_job *cj = CONTAINER_OF(w, struct ctl_job, want);
	cj->preempted = cj->job->attempt;
	job_dirty(cj);
}

static const struct ctl_want_ops want_ops = {
    .start = want_start, .preempt = want_preempt, .explain = want_explain};

static void notice_due(void *arg)
{
	notify_job(arg);
}

void job_dirty(struct ctl_job *cj)
{
	if (list_empty(&cj->dirty))
		list_append(&cj->ctl->dirty_jobs, &cj->dirty);
}

/* A wall clock that jumped while we were away shortens no state to less than a minute. */
static void deadline_read(struct ctl_job *cj)
{
	int64_t left = cj->job->deadline_ms - ctl_wall(cj->ctl);
	if (left < 60000 && !cj->ctl->attached)
		left = 60000;
	if (cj->job->state == JOB_STARTING && left > CTL_STARTING_MS)
		left = CTL_STARTING_MS;
	cj->deadline_at_ms = cj->job->deadline_ms ? ctl_now(cj->ctl) + left : 0;
}

/* The wait before a retry goes on where it was; a wall clock that jumped back does not make it longer than it
 * could have been. */
static void backoff_read(struct ctl_job *cj)
{
	int64_t left = cj->job->retry_at_ms - ctl_wall(cj->ctl);
	int64_t most = job_spec_backoff_ms(&cj->job->spec, cj->job->charged);
	most += most / 10;
	if (cj->job->retry_at_ms && left > 0)
		cj->not_before_ms = ctl_now(cj->ctl) + (left < most ? left : most);
}

struct ctl_job *job_adopt(struct ctl *c, struct job *job)
{
	struct ctl_job *cj = MEM_NEW(struct ctl_job);
	cj->ctl = c;
	cj->job = job;
	list_init(&cj->dirty);
	list_init(&cj->waiters);
	list_init(&cj->waits);
	list_init(&cj->elements);
	list_init(&cj->in_array);
	list_init(&cj->by_array);
	cj->again = (struct ctl_timer){.fn = again_due, .arg = cj};
	cj->notice = (struct ctl_timer){.fn = notice_due, .arg = cj};
	map_set(c->jobs, job->id, cj);
	want_init(&cj->want, c, &want_ops);
	cj->want.id = job->id;
	array_join(cj);
	if (job->spec.array.count) {
		list_append(&c->arrays, &cj->by_array);
		array_show(cj);
	}
	quota_count(c, job->org, job->user, 1);
	deadline_read(cj);
	backoff_read(cj);
	job_place(cj);
	job_dirty(cj);
	return cj;
}

void job_drop(struct ctl_job *cj)
{
	struct ctl *c = cj->ctl;
	timer_clear(c, &cj->again);
	timer_clear(c, &cj->notice);
	depend_end(cj);
	gang_forget(cj);
	want_move(&cj->want, WANT_NOWHERE);
	quota_count(c, cj->job->org, cj->job->user, -1);
	arrays_wake(c, cj->job->org);
	list_remove(&cj->dirty);
	list_remove(&cj->in_array);
	list_remove(&cj->by_array);
	while (!list_empty(&cj->elements))
		list_remove(cj->elements.next);
	map_delete(c->jobs, cj->job->id);
	job_free(cj->job);
	free(cj);
}

/* From the wall clock of specifications and rows to the one that the scheduler goes by. */
static int64_t monotonic_of(struct ctl *c, int64_t unix_ms)
{
	int64_t at = ctl_now(c) + unix_ms - ctl_wall(c);
	return at > 1 ? at : 1;
}

/* When it is stopped at the latest, counted from its start: what the specification says, and what that takes.
 */
static int64_t run_limit(struct ctl *c, const struct job_spec *s)
{
	int64_t limit = s->max_duration_ms
			    ? s->max_duration_ms + CTL_PREPARE_MS + CTL_OVERTIME_MS + s->grace_period_ms
			    : 0;
	int64_t left = s->deadline_ms - ctl_wall(c) + s->grace_period_ms;
	if (s->deadline_ms && left > 0 && (!limit || left < limit))
		limit = left;
	return limit;
}

void job_want_fill(struct ctl *c, const struct job *job, struct sched_item *ret)
{
	const struct job_spec *s = &job->spec;
	int64_t median = history_median(c, job->org, s->name), limit = run_limit(c, s);
	*ret = (struct sched_item){.org = job->org,
				   .user = job->user,
				   .name = s->name,
				   .labels = s->node_labels,
				   .purpose = PURPOSE_TRAINING,
				   .want = s->limits,
				   .tasks = s->tasks,
				   .priority = s->priority,
				   .seq = job->seq,
				   .estimate_ms = limit && median > limit ? limit : median,
				   .basis = median ? SCHED_BASIS_HISTORY : SCHED_BASIS_NONE,
				   .grace_ms = s->grace_period_ms,
				   .limit_ms = limit,
				   .is_preemptible = s->preemptible};
	if (s->start_after_ms > ctl_wall(c))
		ret->not_before_ms = monotonic_of(c, s->start_after_ms);
	if (job->state == JOB_STARTING || job->state == JOB_RUNNING)
		ret->started_ms = monotonic_of(c, job->started_ms);
}

void job_place(struct ctl_job *cj)
{
	bool is_queued = cj->job->state == JOB_QUEUED && !cj->busy;
	if (cj->job->spec.array.count)
		return; /* its elements want something */
	job_want_fill(cj->ctl, cj->job, &cj->want.item);
	if (cj->job->state == JOB_STARTING || cj->job->state == JOB_RUNNING) {
		want_move(&cj->want, WANT_PLACED);
	} else if (is_queued && cj->not_before_ms <= ctl_now(cj->ctl) && !cj->tasks) {
		want_move(&cj->want, WANT_WAITS);
	} else {
		want_move(&cj->want, WANT_NOWHERE);
		if (is_queued && cj->not_before_ms > ctl_now(cj->ctl))
			timer_set_earlier(cj->ctl, &cj->again, cj->not_before_ms);
	}
}

/* ---- the mover ---- */

static int move_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct job_move *m = CONTAINER_OF(op, struct job_move, op);
	int r = store_job_update(tx, &m->after, m->version_before, err);
	return r < 0 ? r : store_event_insert(tx, m->after.org, &m->event, err);
}

static void row_copy(struct job *to, const struct job *from)
{
	struct job_spec spec = to->spec;
	struct progress progress = to->progress;
	struct job_elements elements = to->elements;
	*to = *from;
	to->spec = spec;
	to->progress = progress;
	to->elements = elements; /* elements may have moved meanwhile */
}

static void answer_waiters(struct ctl_job *cj)
{
	struct ctl_result result = {.job = cj->job};
	struct err err = ERR_INIT;
	bool came_late = cj->job->state == JOB_COMPLETED || cj->job->state == JOB_FAILED;
	if (came_late && !cj->job->cancel_requested) {
		err_set(&err, ERR_STATE, "job '%s' has ended already (%s)", cj->job->id,
			job_state_word(cj->job->state));
		result.job = NULL;
	}
	waiters_answer(&cj->waiters, &result, &err);
}

static void move_apply(struct ctl_job *cj, const struct job_move *m)
{
	struct ctl *c = cj->ctl;
	enum job_state before = cj->job->state;
	row_copy(cj->job, &m->after);
	struct job *job = cj->job;
	log_info("job.move job=%s org=%s from=%s to=%s attempt=%lld reason=%s", job->id, job->org,
		 job_state_word(before), job_state_word(job->state), (long long)job->attempt, job->reason);
	struct ctl_counts *counts = ctl_counts_of(c, job->org);
	counts->jobs[before]--;
	counts->jobs[job->state]++;
	array_tell(cj, before);
	if (job->state == JOB_COMPLETED && !job->spec.array.count)
		history_add(c, job->org, job->spec.name, job->ended_ms - job->started_ms);
	if (before != job->state) {
		deadline_read(cj);
		job->progress = PROGRESS_NONE;
		if (job->spec.array.count)
			array_show(cj);
	}
	if (before == JOB_SUBMITTED)
		depend_end(cj);
	if (job_state_is_terminal(job->state))
		depend_tell(c, job);
	gang_dirty(cj);
	if (job_state_is_terminal(job->state) || job->cancel_requested)
		answer_waiters(cj);
	ctl_want_schedule(c);
	job_place(cj);
	job_dirty(cj);
	notify_job(cj);
	if (job_state_is_terminal(job->state))
		job_drop(cj);
}

static void move_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct job_move *m = CONTAINER_OF(op, struct job_move, op);
	struct ctl_job *cj = m->cj;
	cj->busy = false;
	FP("ctl.move.durable");
	if (r >= 0) {
		move_apply(cj, m);
		return;
	}
	log_warn("job.move_failed job=%s to=%s error=\"%s\"", cj->job->id, job_state_word(m->after.state),
		 err->msg);
	waiters_answer(&cj->waiters, NULL, err);
	cj->not_before_ms = ctl_now(cj->ctl) + ctl_backoff(cj->ctl, 1);
	timer_set_earlier(cj->ctl, &cj->again, cj->not_before_ms);
	job_place(cj);
	ctl_want_schedule(cj->ctl);
}

static void move_release(struct ctl_op *op)
{
	free(CONTAINER_OF(op, struct job_move, op));
}

/* What entering a state does to the record. */
static void state_enter(struct job *job, enum job_state to, int64_t now_ms)
{
	assert(job_state_may_move(job->state, to));
	job->state = to;
	job->deadline_ms = 0;
	job->retry_at_ms = 0;
	if (to == JOB_QUEUED) {
		job->queued_ms = now_ms;
		if (!job->attempt && job->spec.queue_timeout_ms)
			job->deadline_ms = job->created_ms + job->spec.queue_timeout_ms;
	} else if (job->spec.array.count && !job_state_is_terminal(to)) {
		job->started_ms = job->started_ms ? job->started_ms : now_ms;
		job->running_ms = to == JOB_RUNNING ? now_ms : 0;
		return; /* its elements have deadlines, it has none */
	} else if (to == JOB_STARTING) {
		job->attempt++;
		job->started_ms = now_ms;
		job->running_ms = 0;
		job->exit_code = -1;
		job->exit_signal = 0;
		job->fail = FAIL_NONE;
		job->deadline_ms = now_ms + CTL_STARTING_MS;
	} else if (to == JOB_RUNNING) {
		job->running_ms = now_ms;
		if (job->spec.max_duration_ms)
			job->deadline_ms = now_ms + job->spec.max_duration_ms + CTL_OVERTIME_MS;
	} else {
		job->ended_ms = now_ms;
	}
	bool has_task = to == JOB_STARTING || to == JOB_RUNNING;
	if (has_task && job->spec.deadline_ms &&
	    (!job->deadline_ms || job->spec.deadline_ms < job->deadline_ms))
		job->deadline_ms = job->spec.deadline_ms;
}

/* A move begins as a copy of the row; the caller changes the copy, then commits it. */
static struct job_move *move_begin(struct ctl_job *cj, enum job_state to, const char *reason)
{
	struct job_move *m = MEM_NEW(struct job_move);
	m->op = (struct ctl_op){.run = move_run, .finish = move_finish, .release = move_release};
	m->cj = cj;
	m->after = *cj->job;
	m->version_before = cj->job->version;
	m->after.version++;
	if (to != cj->job->state)
		state_enter(&m->after, to, ctl_wall(cj->ctl));
	snprintf(m->after.reason, sizeof(m->after.reason), "%s", reason);
	m->after.message[0] = 0;
	return m;
}

static void move_commit(struct job_move *m, const char *actor)
{
	struct ctl_job *cj = m->cj;
	const char *word =
	    m->after.state == cj->job->state ? m->after.reason : job_state_word(m->after.state);
	bool is_retry = m->after.state == JOB_QUEUED && cj->job->state != JOB_SUBMITTED;
	job_event_make(&m->event, cj->job->id, ctl_wall(cj->ctl), is_retry ? "retry" : word, actor, "%s",
		       m->after.message[0] ? m->after.message : m->after.reason);
	cj->busy = true;
	timer_clear(cj->ctl, &cj->again);
	if (cj->job->state == JOB_QUEUED && m->after.state != JOB_STARTING)
		want_move(&cj->want, WANT_NOWHERE);
	ctl_op_submit(cj->ctl, &m->op);
}

static void move_simple(struct ctl_job *cj, enum job_state to, const char *reason, const char *message,
			const char *actor)
{
	struct job_move *m = move_begin(cj, to, reason);
	snprintf(m->after.message, sizeof(m->after.message), "%s", message);
	move_commit(m, actor);
}

void job_queue(struct ctl_job *cj)
{
	move_simple(cj, JOB_QUEUED, "queued", "waits for its turn", "controller");
}

void job_fail(struct ctl_job *cj, const char *reason, enum fail_class fail, const char *message)
{
	struct job_move *m = move_begin(cj, JOB_FAILED, reason);
	m->after.fail = fail;
	snprintf(m->after.message, sizeof(m->after.message), "%s", message);
	move_commit(m, "controller");
}

void job_run(struct ctl_job *cj)
{
	move_simple(cj, JOB_RUNNING, "running", "", "controller");
}

void job_array_move(struct ctl_job *cj, enum job_state to, const char *reason, const char *message)
{
	move_simple(cj, to, reason, message, "controller");
}

void job_start(struct ctl_job *cj)
{
	struct job_move *m = move_begin(cj, JOB_STARTING, "starting");
	snprintf(m->after.message, sizeof(m->after.message), "attempt %lld is being started",
		 (long long)m->after.attempt);
	gang_forget(cj);
	move_commit(m, "controller");
}

/* ---- ends of attempts ---- */

static void end_record(struct job *after, const struct task_status *end)
{
	after->exit_code = end->exit_code;
	after->exit_signal = end->exit_signal;
	after->fail = end->fail;
}

/* What was stopped for others goes back to the queue at once; what failed by itself waits, longer each time.
 */
static void end_with_retry(struct ctl_job *cj, const struct task_status *end, int64_t charged)
{
	struct job_move *m = move_begin(cj, JOB_QUEUED, "retry");
	struct job *after = &m->after;
	char wait[32];
	after->charged = charged;
	if (!fail_is_charged(end->fail)) {
		cj->not_before_ms = 0;
		snprintf(after->message, sizeof(after->message),
			 "attempt %lld ended (%s): %.300s; it counts against no limit and waits for its turn "
			 "again",
			 (long long)after->attempt, fail_word(end->fail), end->message);
		move_commit(m, "controller");
		return;
	}
	int64_t backoff = job_spec_backoff_ms(&cj->job->spec, charged);
	backoff += (int64_t)rng_below(cj->ctl->config.rng, (uint64_t)backoff / 10 + 1);
	unit_format_duration(backoff, wait);
	cj->not_before_ms = ctl_now(cj->ctl) + backoff;
	after->retry_at_ms = ctl_wall(cj->ctl) + backoff;
	snprintf(after->message, sizeof(after->message),
		 "attempt %lld of %lld ended (%s): %.300s; the next one starts in %s", (long long)charged,
		 (long long)job_spec_retry_limit(&cj->job->spec) + 1, fail_word(end->fail), end->message,
		 wait);
	move_commit(m, "controller");
}

void job_end_attempt(struct ctl_job *cj, const struct task_status *end)
{
	bool was_cancelled =
	    end->fail == FAIL_CANCELLED || (cj->job->cancel_requested && end->fail != FAIL_NONE);
	int64_t charged = cj->job->charged + (!was_cancelled && fail_is_charged(end->fail));
	if (!was_cancelled && job_spec_retries(&cj->job->spec, end->fail, charged)) {
		end_with_retry(cj, end, charged);
		return;
	}
	enum job_state to = end->fail == FAIL_NONE ? JOB_COMPLETED
			    : was_cancelled	   ? JOB_CANCELLED
						   : JOB_FAILED;
	const char *reason = to == JOB_COMPLETED   ? "completed"
			     : to == JOB_CANCELLED ? "cancelled"
						   : fail_word(end->fail);
	struct job_move *m = move_begin(cj, to, reason);
	end_record(&m->after, end);
	m->after.charged = charged;
	if (to == JOB_CANCELLED)
		m->after.fail = FAIL_CANCELLED;
	/* That it was cancelled needs no words, what is missing of its output does. */
	snprintf(m->after.message, sizeof(m->after.message), "%s",
		 to == JOB_CANCELLED && end->fail != FAIL_QUOTA ? "" : end->message);
	move_commit(m, "controller");
}

void job_array_end(struct ctl_job *cj, const struct task_status *end)
{
	enum job_state to = end->fail == FAIL_NONE	  ? JOB_COMPLETED
			    : end->fail == FAIL_CANCELLED ? JOB_CANCELLED
							  : JOB_FAILED;
	struct job_move *m = move_begin(cj, to, end->fail == FAIL_NONE ? "completed" : fail_word(end->fail));
	end_record(&m->after, end);
	snprintf(m->after.message, sizeof(m->after.message), "%s", end->message);
	move_commit(m, "controller");
}

void job_end_without_task(struct ctl_job *cj, enum fail_class fail, const char *message)
{
	struct task_status end = {.exit_code = -1, .fail = fail};
	snprintf(end.message, sizeof(end.message), "%s", message);
	job_end_attempt(cj, &end);
}

/* ---- what comes next ---- */

static void advance_cancel(struct ctl_job *cj)
{
	struct ctl_waiter *first = LIST_ENTRY(cj->waiters.next, struct ctl_waiter, node);
	bool has_task = cj->job->state == JOB_STARTING || cj->job->state == JOB_RUNNING;
	struct job_move *m =
	    move_begin(cj, has_task ? cj->job->state : JOB_CANCELLED, has_task ? "cancelling" : "cancelled");
	m->after.cancel_requested = true;
	if (!has_task)
		m->after.fail = FAIL_CANCELLED;
	snprintf(m->after.message, sizeof(m->after.message), "cancelled by %s", first->user);
	move_commit(m, first->user);
}

/* A job that never started has a deadline of its own; a retry has none. */
static bool queue_time_is_over(struct ctl_job *cj)
{
	char limit[32];
	if (!cj->deadline_at_ms || cj->job->attempt)
		return false;
	if (ctl_now(cj->ctl) < cj->deadline_at_ms) {
		timer_set_earlier(cj->ctl, &cj->again, cj->deadline_at_ms);
		return false;
	}
	char message[sizeof(cj->job->message)];
	unit_format_duration(cj->job->spec.queue_timeout_ms, limit);
	snprintf(message, sizeof(message),
		 "was not started within its queue_timeout of %s (%.300s); submit it again with more time or "
		 "a smaller request",
		 limit, cj->job->message);
	job_fail(cj, "queue_timeout", FAIL_TIMEOUT, message);
	return true;
}

/* It could not end in time any more, were it started now. */
static bool deadline_is_over(struct ctl_job *cj)
{
	const struct job_spec *s = &cj->job->spec;
	int64_t left = s->deadline_ms - s->max_duration_ms - ctl_wall(cj->ctl);
	char deadline[32];
	if (!s->deadline_ms)
		return false;
	if (left > 0) {
		timer_set_earlier(cj->ctl, &cj->again, ctl_now(cj->ctl) + left);
		return false;
	}
	struct job_move *m = move_begin(cj, JOB_FAILED, "deadline");
	unit_format_time(s->deadline_ms, deadline);
	m->after.fail = FAIL_TIMEOUT;
	snprintf(m->after.message, sizeof(m->after.message),
		 "cannot end before its deadline of %s any more (%.300s); submit it again with a later one",
		 deadline, cj->job->message);
	move_commit(m, "controller");
	return true;
}

void job_advance(struct ctl_job *cj)
{
	if (cj->busy)
		return;
	struct job *job = cj->job;
	if (!list_empty(&cj->waiters)) {
		if (!job->cancel_requested) {
			advance_cancel(cj);
			return;
		}
		answer_waiters(cj);
	}
	if (job->spec.array.count && job->state != JOB_SUBMITTED) {
		array_advance(cj);
	} else if (job->state == JOB_SUBMITTED) {
		if (ctl_now(cj->ctl) < cj->not_before_ms)
			timer_set_earlier(cj->ctl, &cj->again, cj->not_before_ms);
		else if (!queue_time_is_over(cj))
			depend_advance(cj);
	} else if (job->state == JOB_QUEUED) {
		if (queue_time_is_over(cj) || deadline_is_over(cj))
			return;
		if (cj->tasks || cj->want.place != WANT_WAITS)
			job_place(cj); /* what is left of the last attempt goes first */
	} else {
		gang_advance(cj);
	}
}
