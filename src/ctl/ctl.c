/* SPDX-License-Identifier: Apache-2.0 */
/* The controller's life: loading, attaching, the pump, ticks, ops on their way to the store, the end. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"

int64_t ctl_now(struct ctl *c)
{
	return clock_monotonic_ms(c->config.clock);
}

int64_t ctl_wall(struct ctl *c)
{
	return clock_wall_ms(c->config.clock);
}

/* Doubles with each failure, with a tenth of jitter, so that what failed together does not return together.
 */
int64_t ctl_backoff(struct ctl *c, int64_t failures)
{
	int64_t ms = CTL_BACKOFF_FIRST_MS;
	for (int64_t i = 1; i < failures && ms < CTL_BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > CTL_BACKOFF_MAX_MS)
		ms = CTL_BACKOFF_MAX_MS;
	return ms + (int64_t)rng_below(c->config.rng, (uint64_t)ms / 10 + 1);
}

struct ctl_counts *ctl_counts_of(struct ctl *c, const char *org)
{
	struct ctl_counts *counts = map_get(c->counts, org);
	if (!counts) {
		counts = MEM_NEW(struct ctl_counts);
		map_set(c->counts, org, counts);
	}
	return counts;
}

int ctl_health(struct ctl *c, struct err *err)
{
	return store_has_failed(c->config.store, err) ? -err->code : 0;
}

/* ---- ops ---- */

static void ctl_unref(struct ctl *c)
{
	if (--c->refs == 0)
		free(c);
}

static int op_run(struct store_tx *tx, void *arg, struct err *err)
{
	struct ctl_op *op = arg;
	return op->run(tx, op, err);
}

static void op_done(void *arg, int r, const struct err *err)
{
	struct ctl_op *op = arg;
	struct ctl *c = op->ctl;
	list_remove(&op->node);
	if (!c->closed)
		op->finish(op, r, err);
	op->release(op);
	if (!c->closed)
		ctl_pump(c);
	ctl_unref(c);
}

void ctl_op_submit(struct ctl *c, struct ctl_op *op)
{
	op->ctl = c;
	c->refs++;
	list_append(&c->ops, &op->node);
	store_submit(c->config.store, op_run, op_done, op);
}

/* ---- waiters ---- */

void waiter_add(struct list *waiters, const char *user, ctl_done_fn *done, void *arg)
{
	struct ctl_waiter *w = MEM_NEW(struct ctl_waiter);
	w->done = done;
	w->arg = arg;
	memcpy(w->user, user, strnlen(user, CORE_NAME_MAX));
	list_append(waiters, &w->node);
}

void waiters_answer(struct list *waiters, const struct ctl_result *result, const struct err *err)
{
	static const struct err none = ERR_INIT;
	static const struct ctl_result nothing = {0};
	while (!list_empty(waiters)) {
		struct ctl_waiter *w = LIST_ENTRY(waiters->next, struct ctl_waiter, node);
		list_remove(&w->node);
		w->done(w->arg, result ? result : &nothing, err ? err : &none);
		free(w);
	}
}

/* ---- pump ---- */

void ctl_want_schedule(struct ctl *c)
{
	c->schedule_wanted = true;
}

static bool pump_once(struct ctl *c)
{
	if (!list_empty(&c->dirty_tasks)) {
		struct ctl_task *t = LIST_ENTRY(c->dirty_tasks.next, struct ctl_task, dirty);
		list_remove(&t->dirty);
		task_advance(t);
		return true;
	}
	if (!list_empty(&c->dirty_jobs)) {
		struct ctl_job *cj = LIST_ENTRY(c->dirty_jobs.next, struct ctl_job, dirty);
		list_remove(&cj->dirty);
		job_advance(cj);
		return true;
	}
	if (!list_empty(&c->dirty_services)) {
		struct ctl_service *cs = LIST_ENTRY(c->dirty_services.next, struct ctl_service, dirty);
		list_remove(&cs->dirty);
		service_advance(cs);
		return true;
	}
	return false;
}

/* Scheduling is left to the next tick, so that all that happens in one turn of the loop is one pass. */
void ctl_pump(struct ctl *c)
{
	if (c->is_pumping)
		return;
	c->is_pumping = true;
	while (pump_once(c))
		;
	c->is_pumping = false;
	if (c->schedule_wanted && c->attached)
		timer_set_earlier(c, &c->schedule, ctl_now(c));
	if (c->heap_count)
		c->config.wake_at(c->config.wake_arg, c->heap[1]->at_ms);
	if (c->attached && c->ready) {
		void (*ready)(void *arg) = STEAL(c->ready);
		ready(c->ready_arg);
	}
}

void ctl_tick(struct ctl *c)
{
	timers_run(c, ctl_now(c));
	ctl_pump(c);
}

static void on_schedule_due(void *arg)
{
	struct ctl *c = arg;
	if (!c->attached)
		return;
	c->schedule_wanted = false;
	ctl_schedule(c);
}

/* ---- expiry of idempotency keys ---- */

struct expire_op {
	struct ctl_op op;
	int64_t now_ms;
};

static int expire_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	int64_t now_ms = CONTAINER_OF(op, struct expire_op, op)->now_ms;
	int r = store_idempotency_expire(tx, now_ms, err);
	return r < 0 ? r : store_audit_expire(tx, now_ms, err);
}

static void expire_finish(struct ctl_op *op, int r, const struct err *err)
{
	if (r < 0)
		log_warn("store.expire error=\"%s\"", err->msg);
}

static void expire_release(struct ctl_op *op)
{
	free(CONTAINER_OF(op, struct expire_op, op));
}

static void on_expire_due(void *arg)
{
	struct ctl *c = arg;
	struct expire_op *e = MEM_NEW(struct expire_op);
	e->op = (struct ctl_op){.run = expire_run, .finish = expire_finish, .release = expire_release};
	e->now_ms = ctl_wall(c);
	ctl_op_submit(c, &e->op);
	timer_set(c, &c->expire, ctl_now(c) + CTL_EXPIRE_MS);
}

/* ---- life ---- */

static void count_keep(void *arg, const char *org, enum job_state state, int64_t count)
{
	ctl_counts_of(arg, org)->jobs[state] = count;
}

static int load_waits(struct store_tx *tx, struct ctl *c, struct err *err)
{
	const char *id;
	void *value;
	int r = 0;
	for (size_t i = 0; r >= 0 && map_next(c->jobs, &i, &id, &value);)
		if (((struct ctl_job *)value)->job->state == JOB_SUBMITTED)
			r = depend_begin(value, tx, err);
	return r;
}

static int load(struct store_tx *tx, void *arg, struct err *err)
{
	struct ctl *c = arg;
	struct store_jobs jobs = {0};
	struct store_services services = {0};
	int r = auth_load(tx, c, err);
	if (r >= 0)
		r = store_job_counts(tx, count_keep, c, err);
	if (r >= 0)
		r = history_load(tx, c, err);
	if (r >= 0)
		r = store_job_live(tx, &jobs, err);
	if (r >= 0)
		r = store_service_live(tx, &services, err);
	for (size_t i = 0; r >= 0 && i < jobs.count; i++)
		job_adopt(c, STEAL(jobs.items[i]));
	for (size_t i = 0; r >= 0 && i < services.count; i++)
		service_adopt(c, STEAL(services.items[i]));
	if (r >= 0)
		r = load_waits(tx, c, err);
	if (r >= 0)
		r = crons_load(tx, c, err);
	store_jobs_done(&jobs);
	store_services_done(&services);
	return r;
}

static struct ctl *ctl_alloc(const struct ctl_config *config)
{
	struct ctl *c = MEM_NEW(struct ctl);
	c->config = *config;
	if (!c->config.bind_address)
		c->config.bind_address = "127.0.0.1";
	c->refs = 1;
	c->keys = map_new(free);
	c->users = map_new(free);
	c->orgs = map_new(free);
	c->purges = map_new(purge_free);
	c->jobs = map_new(NULL);
	c->services = map_new(NULL);
	c->tasks = map_new(NULL);
	c->upstreams = map_new(NULL);
	c->crons = map_new(NULL);
	c->counts = map_new(free);
	c->quotas = map_new(quota_free);
	c->history = map_new(free);
	c->sched = sched_new();
	ctl_nodes_update(c);
	struct list *lists[] = {&c->ops,	&c->arrays,	    &c->watches,
				&c->dirty_jobs, &c->dirty_services, &c->dirty_tasks};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		list_init(lists[i]);
	c->schedule = (struct ctl_timer){.fn = on_schedule_due, .arg = c};
	c->expire = (struct ctl_timer){.fn = on_expire_due, .arg = c};
	return c;
}

int ctl_new(const struct ctl_config *config, struct ctl **ret, struct err *err)
{
	struct ctl *c = ctl_alloc(config);
	int r = store_run(config->store, load, c, err);
	if (r >= 0) {
		struct backend_observer o = ctl_observer;
		o.arg = c;
		r = config->backend->ops->attach(config->backend, &o, err);
	}
	if (r < 0) {
		ctl_free(c);
		return err_wrap(err, "starting the controller");
	}
	timer_set(c, &c->expire, ctl_now(c) + CTL_EXPIRE_MS);
	purge_resume(c);
	ctl_pump(c);
	*ret = c;
	return 0;
}

void ctl_on_ready(struct ctl *c, void (*ready)(void *arg), void *arg)
{
	c->ready = ready;
	c->ready_arg = arg;
	ctl_pump(c);
}

static void answer_all(struct ctl *c)
{
	struct err gone = ERR_INIT;
	const char *key;
	void *value;
	err_set(&gone, ERR_CANCELLED, "the server is stopping; try again");
	struct ctl_op *op;
	LIST_EACH(op, &c->ops, node)
	{
		if (op->abandon)
			op->abandon(op, &gone);
		list_remove(&op->node);
	}
	for (size_t i = 0; map_next(c->jobs, &i, &key, &value);)
		waiters_answer(&((struct ctl_job *)value)->waiters, NULL, &gone);
	for (size_t i = 0; map_next(c->services, &i, &key, &value);) {
		waiters_answer(&((struct ctl_service *)value)->waiters, NULL, &gone);
		service_abandon(value, &gone);
	}
}

void ctl_free(struct ctl *c)
{
	if (!c)
		return;
	assert(list_empty(&c->watches));
	const char *key;
	void *value;
	c->closed = true;
	answer_all(c);
	for (size_t i = 0; map_next(c->tasks, &i, &key, &value);)
		task_drop(value);
	for (size_t i = 0; map_next(c->jobs, &i, &key, &value);)
		job_drop(value);
	crons_free(c);
	for (size_t i = 0; map_next(c->services, &i, &key, &value);)
		service_drop(value);
	map_free(c->keys);
	map_free(c->users);
	map_free(c->orgs);
	map_free(c->purges);
	map_free(c->jobs);
	map_free(c->services);
	map_free(c->tasks);
	map_free(c->upstreams);
	map_free(c->crons);
	map_free(c->counts);
	map_free(c->quotas);
	map_free(c->history);
	sched_free(c->sched);
	free(c->heap);
	ctl_unref(c);
}
