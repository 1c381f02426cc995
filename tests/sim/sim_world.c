/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated machine: virtual time, tasks that live and end by plan, and a backend that reports them late.
 */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "sim/sim.h"

static int64_t between(struct sim *s, int64_t low, int64_t high)
{
	return low + (int64_t)rng_below(&s->world, (uint64_t)(high - low + 1));
}

void world_trace(struct sim *s, const char *fmt, ...)
{
	va_list ap;
	buf_printf(&s->trace, "%lld ", (long long)s->now_ms);
	va_start(ap, fmt);
	buf_vprintf(&s->trace, fmt, ap);
	va_end(ap);
	buf_addc(&s->trace, '\n');
}

struct sim_event *world_after(struct sim *s, int64_t ms, void (*fn)(struct sim_event *e), const char *name,
			      uint64_t stamp)
{
	struct sim_event *e = MEM_NEW(struct sim_event);
	e->at_ms = s->now_ms + ms;
	e->order = ++s->order;
	e->fn = fn;
	e->sim = s;
	e->stamp = stamp;
	snprintf(e->name, sizeof(e->name), "%s", name);
	struct list *at = s->events.prev;
	while (at != &s->events && LIST_ENTRY(at, struct sim_event, node)->at_ms > e->at_ms)
		at = at->prev;
	list_append(at->next, &e->node);
	return e;
}

struct sim_marks *sim_marks_of(struct sim *s, const char *owner)
{
	struct sim_marks *m = map_get(s->marks, owner);
	if (!m) {
		m = MEM_NEW(struct sim_marks);
		map_set(s->marks, owner, m);
	}
	return m;
}

/* ---- reports ---- */

static void on_report(struct sim_event *e)
{
	struct sim *s = e->sim;
	struct sim_task *t = map_get(s->tasks, e->name);
	if (!s->is_observed || e->stamp != s->attachment || !t)
		return;
	world_trace(s, "report %s %s", e->name, task_phase_word(t->status.phase));
	struct task_status copy = t->status;
	s->observer.task_changed(s->observer.arg, &copy);
}

static void on_report_removed(struct sim_event *e)
{
	struct sim *s = e->sim;
	if (!s->is_observed || e->stamp != s->attachment || map_get(s->tasks, e->name))
		return;
	world_trace(s, "report %s removed", e->name);
	s->observer.task_removed(s->observer.arg, e->name);
}

static void report(struct sim *s, const char *name)
{
	if (s->is_observed)
		world_after(s, between(s, 0, 300), on_report, name, s->attachment);
}

/* ---- the life of a task ---- */

static void task_die(struct sim *s, struct sim_task *t, enum task_phase phase, enum fail_class fail)
{
	struct sim_marks *m = sim_marks_of(s, t->status.owner);
	t->is_alive = false;
	t->status.phase = phase;
	t->status.fail = fail;
	t->status.port = 0;
	t->status.exit_code = fail == FAIL_NONE ? 0 : 1;
	if (fail != FAIL_NONE)
		snprintf(t->status.message, sizeof(t->status.message), "ended by plan: %s", fail_word(fail));
	m->live--;
	sim_marks_of(s, t->place)->live--;
	/* A gang has succeeded when all tasks of one attempt have. */
	char attempt[64];
	snprintf(attempt, sizeof(attempt), "%s#%lld", t->status.owner, (long long)t->status.attempt);
	bool is_success =
	    phase == TASK_EXITED && fail == FAIL_NONE && ++sim_marks_of(s, attempt)->successes == t->tasks;
	if (is_success && ++m->successes > 1)
		sim_break(s, "'%s' completed %lld times", t->status.owner, (long long)m->successes);
	resources_sub(&s->in_use, &t->limits);
	world_trace(s, "die %s %s %s", t->status.name, task_phase_word(phase), fail_word(fail));
	report(s, t->status.name);
}

void world_kill(struct sim *s, struct sim_task *t, enum fail_class fail)
{
	task_die(s, t, fail == FAIL_LOST ? TASK_LOST : TASK_EXITED, fail);
}

void sim_hang(struct sim *s, struct sim_task *t)
{
	t->status.unhealthy = 3;
	snprintf(t->status.message, sizeof(t->status.message), "3 health checks in a row failed");
	world_trace(s, "hang %s", t->status.name);
	report(s, t->status.name);
}

size_t sim_serving(struct sim *s)
{
	size_t count = 0;
	const char *name;
	void *value;
	for (size_t i = 0; map_next(s->tasks, &i, &name, &value);) {
		const struct sim_task *t = value;
		count += t->is_alive && t->status.phase == TASK_READY && !t->is_stopping;
	}
	return count;
}

struct sim_task *sim_serving_one(struct sim *s, const char *part)
{
	const char *name;
	void *value;
	for (size_t i = 0; map_next(s->tasks, &i, &name, &value);) {
		struct sim_task *t = value;
		if (t->is_alive && t->status.phase == TASK_READY && strstr(name, part))
			return t;
	}
	return NULL;
}

static enum fail_class planned_end(struct sim_task *t)
{
	bool is_good = t->plan.fails && t->status.attempt > t->plan.fails;
	return is_good || t->index != t->plan.bad_task % t->tasks ? FAIL_NONE : t->plan.fail;
}

static struct sim_task *event_task(struct sim_event *e)
{
	struct sim_task *t = map_get(e->sim->tasks, e->name);
	return t && t->stamp == e->stamp && t->is_alive ? t : NULL;
}

static void on_end(struct sim_event *e)
{
	struct sim_task *t = event_task(e);
	if (!t)
		return;
	bool vanishes = planned_end(t) == FAIL_LOST;
	task_die(e->sim, t, vanishes ? TASK_LOST : TASK_EXITED, planned_end(t));
}

/* All tasks of one owner share a port. */
static unsigned hash_of(const char *text)
{
	unsigned h = 7;
	for (; *text; text++)
		h = h * 31 + (unsigned char)*text;
	return h;
}

static void on_running(struct sim_event *e)
{
	struct sim *s = e->sim;
	struct sim_task *t = event_task(e);
	if (!t)
		return;
	if (planned_end(t) == FAIL_ENVIRONMENT || (int)rng_below(&s->world, 100) < s->lose_percent) {
		bool vanishes = planned_end(t) != FAIL_ENVIRONMENT;
		task_die(s, t, vanishes ? TASK_LOST : TASK_EXITED, vanishes ? FAIL_LOST : FAIL_ENVIRONMENT);
		return;
	}
	t->status.phase = TASK_RUNNING;
	if (t->status.kind == TASK_MODEL && planned_end(t) == FAIL_NONE) {
		t->status.phase = TASK_READY;
		t->status.port = 18500 + (int)(hash_of(t->status.owner) % 400);
	} else if (t->plan.run_ms >= 0) {
		world_after(s, t->plan.run_ms + 700 * t->index, on_end, t->status.name, t->stamp);
	}
	world_trace(s, "run %s", t->status.name);
	report(s, t->status.name);
}

static void on_killed(struct sim_event *e)
{
	struct sim_task *t = event_task(e);
	if (t)
		task_die(e->sim, t, TASK_EXITED, t->stopped_as);
}

static void on_remove(struct sim_event *e)
{
	struct sim *s = e->sim;
	struct sim_task *t = map_get(s->tasks, e->name);
	if (!t || t->stamp != e->stamp)
		return;
	world_trace(s, "remove %s", e->name);
	map_delete(s->tasks, e->name);
	if (s->is_observed)
		world_after(s, between(s, 0, 100), on_report_removed, e->name, s->attachment);
}

void world_lose_all(struct sim *s)
{
	const char *name;
	void *value;
	for (size_t i = 0; map_next(s->tasks, &i, &name, &value);)
		if (((struct sim_task *)value)->is_alive)
			task_die(s, value, TASK_LOST, FAIL_LOST);
}

/* ---- the backend ---- */

static struct sim *sim_of(struct backend *b)
{
	return CONTAINER_OF(b, struct sim, backend);
}

static void on_attached(struct sim_event *e)
{
	struct sim *s = e->sim;
	const char *name;
	void *value;
	if (!s->is_observed || e->stamp != s->attachment)
		return;
	for (size_t i = 0; map_next(s->tasks, &i, &name, &value);) {
		struct task_status copy = ((struct sim_task *)value)->status;
		s->observer.task_changed(s->observer.arg, &copy);
	}
	world_trace(s, "attached");
	s->observer.attached(s->observer.arg);
}

static int sim_attach(struct backend *b, const struct backend_observer *o, struct err *err)
{
	struct sim *s = sim_of(b);
	s->observer = *o;
	s->is_observed = true;
	s->attachment = ++s->stamp;
	world_after(s, s->options.attach_ms + between(s, 0, 200), on_attached, "", s->attachment);
	return 0;
}

static void sim_capacity(struct backend *b, struct resources *ret)
{
	struct sim *s = sim_of(b);
	*ret = (struct resources){s->options.cpu_milli, s->options.memory_bytes, s->options.gpu};
}

static int refuse(struct sim *s, struct sim_plan *plan, const struct task_spec *spec, struct err *err)
{
	const char *name = spec->name;
	if (plan && plan->refuse > 0 && spec->index == plan->bad_task % spec->tasks) {
		plan->refuse--;
		world_trace(s, "refuse %s", name);
		return err_set(err, plan->refuse_code, "launch of '%s' is refused by plan", name);
	}
	if ((int)rng_below(&s->world, 100) < s->refuse_percent) {
		world_trace(s, "refuse %s", name);
		return err_set(err, rng_below(&s->world, 2) ? ERR_BACKEND : ERR_DISK_FULL,
			       "launch of '%s' failed", name);
	}
	return 0;
}

/* No task of an earlier attempt may live beside one of a later. */
static void check_fence(struct sim *s, const struct sim_task *t)
{
	const char *name;
	void *value;
	for (size_t i = 0; t->status.kind == TASK_JOB && map_next(s->tasks, &i, &name, &value);) {
		const struct sim_task *other = value;
		if (other->is_alive && strcmp(other->status.owner, t->status.owner) == 0 &&
		    other->status.attempt != t->status.attempt)
			sim_break(s, "'%s' was launched while '%s' lives", t->status.name, name);
	}
}

static int sim_launch(struct backend *b, const struct task_spec *spec, struct err *err)
{
	struct sim *s = sim_of(b);
	if (s->is_doomed)
		return 0;
	const char *workload = spec->kind == TASK_MODEL ? spec->model_name : spec->command[1];
	char versioned[CORE_NAME_MAX + 24];
	snprintf(versioned, sizeof(versioned), "%s@%lld", workload, (long long)spec->model_version);
	struct sim_plan *plan = map_get(s->plans, versioned);
	if (!plan)
		plan = map_get(s->plans, workload);
	if (map_get(s->tasks, spec->name))
		return 0;
	int r = refuse(s, plan, spec, err);
	if (r < 0)
		return r;
	struct sim_task *t = MEM_NEW(struct sim_task);
	snprintf(t->status.name, sizeof(t->status.name), "%s", spec->name);
	snprintf(t->status.owner, sizeof(t->status.owner), "%s", spec->owner);
	t->status.kind = spec->kind;
	t->status.attempt = spec->attempt;
	t->status.progress = PROGRESS_NONE;
	t->status.exit_code = -1;
	if (spec->kind == TASK_MODEL)
		snprintf(t->status.weights, sizeof(t->status.weights), "%s",
			 spec->model_weights ? spec->model_weights : "");
	snprintf(t->place, sizeof(t->place), "%s/%s", spec->owner, strrchr(spec->name, '-') + 1);
	t->plan = plan ? *plan : (struct sim_plan){.prepare_ms = 1000, .run_ms = 10000};
	t->limits = spec->limits;
	t->index = spec->index;
	t->tasks = spec->tasks;
	t->stamp = ++s->stamp;
	t->is_alive = true;
	check_fence(s, t);
	map_set(s->tasks, spec->name, t);
	resources_add(&s->in_use, &spec->limits);
	struct sim_marks *m = sim_marks_of(s, spec->owner);
	m->starts++;
	m->live++;
	if (++sim_marks_of(s, t->place)->live > 1)
		sim_break(s, "'%s' has more than one live attempt", t->place);
	world_trace(s, "launch %s", spec->name);
	world_after(s, t->plan.prepare_ms, on_running, spec->name, t->stamp);
	report(s, spec->name);
	return 0;
}

static int sim_stop(struct backend *b, const char *name, enum fail_class why, int64_t grace_ms,
		    struct err *err)
{
	struct sim *s = sim_of(b);
	if (s->is_doomed)
		return 0;
	struct sim_task *t = map_get(s->tasks, name);
	world_trace(s, "stop %s %s", name, fail_word(why));
	if (!t || !t->is_alive)
		return 0;
	t->stopped_as = why;
	t->is_stopping = true;
	world_after(s, t->plan.ignores_stop ? grace_ms : between(s, 0, 500), on_killed, name, t->stamp);
	return 0;
}

static int sim_set_weights(struct backend *b, const char *name, const char *weights, struct err *err)
{
	struct sim *s = sim_of(b);
	struct sim_task *t = map_get(s->tasks, name);
	world_trace(s, "weights %s %s", name, weights);
	if (!t || !t->is_alive)
		return 0;
	snprintf(t->status.weights, sizeof(t->status.weights), "%s", weights);
	report(s, name);
	return 0;
}

static int sim_remove(struct backend *b, const char *name, struct err *err)
{
	struct sim *s = sim_of(b);
	if (s->is_doomed)
		return 0;
	struct sim_task *t = map_get(s->tasks, name);
	world_trace(s, "forget %s", name);
	if (t && t->is_alive)
		sim_break(s, "'%s' was removed alive", name);
	if (t)
		world_after(s, between(s, 0, 500), on_remove, name, t->stamp);
	return 0;
}

static ssize_t sim_log_read(struct backend *b, const char *task, int64_t offset, void *data, size_t len,
			    struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "a simulated task writes no log");
}

static int sim_metrics_read(struct backend *b, const char *task, json_t **ret, struct err *err)
{
	return err_set(err, ERR_NOT_FOUND, "a simulated task has no metrics");
}

static json_t *sim_describe(struct backend *b)
{
	return json_pack("{s:s}", "name", b->ops->name);
}

static void sim_close(struct backend *b)
{
	sim_of(b)->is_observed = false;
}

static const struct backend_ops sim_ops = {
    .name = "sim",
    .attach = sim_attach,
    .capacity = sim_capacity,
    .launch = sim_launch,
    .stop = sim_stop,
    .set_weights = sim_set_weights,
    .remove = sim_remove,
    .log_read = sim_log_read,
    .metrics_read = sim_metrics_read,
    .describe = sim_describe,
    .close = sim_close,
};

static int64_t sim_wall(struct clock *c)
{
	struct sim *s = CONTAINER_OF(c, struct sim, clock);
	return INT64_C(1800000000000) + s->now_ms + s->wall_offset_ms;
}

static int64_t sim_monotonic(struct clock *c)
{
	return CONTAINER_OF(c, struct sim, clock)->now_ms;
}

void world_init(struct sim *s)
{
	s->clock = (struct clock){.wall_ms = sim_wall, .monotonic_ms = sim_monotonic};
	s->backend.ops = &sim_ops;
	s->now_ms = 1000;
	list_init(&s->events);
	s->tasks = map_new(free);
	s->plans = map_new(free);
	s->marks = map_new(free);
	s->told = map_new(free);
	rng_seed(&s->world, s->options.seed);
	rng_seed(&s->ids, s->options.seed ^ 0x9e3779b97f4a7c15u);
}

void world_done(struct sim *s)
{
	struct sim_event *e;
	LIST_EACH(e, &s->events, node)
	{
		free(e);
	}
	map_free(s->tasks);
	map_free(s->plans);
	map_free(s->marks);
	map_free(s->told);
	buf_done(&s->trace);
}
