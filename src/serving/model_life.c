/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one version: loading with retries, serving, unloading after its last request. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "serving/batcher.h"
#include "serving/model_life_int.h"
#include "serving/warmup.h"

#define NS_PER_US 1000
#define RETRIES 5

static void settle(struct model_life *l, struct model_version *v);

/* On a thread: touches only what the job owns. */
static void load_run(struct loop_job *j)
{
	struct model_version *v = CONTAINER_OF(j, struct model_version, job);
	const struct serving_options *o = v->life->server->options;
	const struct runtime_ops *ops = runtime_find(v->path);
	struct runtime_model *m = NULL;
	uint64_t print_after = 0;
	int64_t bytes;
	int r = model_print(v->path, &bytes, &v->job_print, &v->job_err);

	if (!ops)
		r = err_set(&v->job_err, ERR_NOT_FOUND, "the model at '%s' is gone", v->path);
	if (r >= 0)
		r = ops->load(&v->life->runtime, v->path, &m, &v->job_err);
	if (r >= 0 && o->warm_up)
		r = warmup_run(m, v->path, o, &v->job_err);
	if (r >= 0)
		r = model_print(v->path, &bytes, &print_after, &v->job_err);
	if (r >= 0 && print_after != v->job_print)
		r = err_set(&v->job_err, ERR_UNAVAILABLE, "the files at '%s' changed while they were read",
			    v->path);
	if (r < 0 && m)
		m->ops->unload(m);
	else
		v->loaded = m;
}

static void submit_load(struct model_version *v);

static void retry_due(struct loop_timer *t)
{
	submit_load(CONTAINER_OF(t, struct model_version, retry));
}

static int retries_of(const struct model_life *l, const struct model_version *v)
{
	if (v->parked)
		return 0; /* the next request tries again */
	if (l->server->options->load_retries >= 0)
		return l->server->options->load_retries;
	return l->registry->starting ? 0 : RETRIES;
}

static void load_failed(struct model_life *l, struct model_version *v)
{
	v->err = v->job_err;
	v->print = v->job_print;
	log_warn("model.load_failed model=%s version=%lld try=%d error=%s", v->model_name,
		 (long long)v->number, v->tries + 1, v->err.msg);
	if (v->wanted && v->tries++ < retries_of(l, v)) {
		v->retry.on_timer = retry_due;
		server_loop_timer_start(l->server->loop, &v->retry,
					clock_monotonic_ns() + l->server->options->load_retry_us * NS_PER_US);
		model_reload_check(l); /* some do not wait for the retries */
		return;
	}
	model_version_move(v, v->parked && v->wanted ? VERSION_START : VERSION_END);
	settle(l, v);
}

static void load_done(struct loop_job *j)
{
	struct model_version *v = CONTAINER_OF(j, struct model_version, job);

	if (!v->loaded) {
		load_failed(v->life, v);
		return;
	}
	v->runtime = STEAL(v->loaded);
	v->err = ERR_INIT;
	v->parked = false;
	v->run_ns = 0;
	v->used = ++v->life->registry->uses;
	model_version_move(v, VERSION_AVAILABLE);
	log_info("model.ready model=%s version=%lld runtime=%s", v->model_name, (long long)v->number,
		 v->runtime->ops->name);
	settle(v->life, v);
}

static void submit_load(struct model_version *v)
{
	v->job.run = load_run;
	v->job.done = load_done;
	v->job_err = ERR_INIT;
	worker_pool_submit(&v->life->pool, &v->job);
}

static bool model_has(const struct model *m, enum version_state state)
{
	for (size_t i = 0; i < m->version_count; i++)
		if (m->versions[i]->state == state)
			return true;
	return false;
}

/* START → LOADING, or it waits for memory, or is parked because there is none. */
void model_version_start(struct model_life *l, struct model_version *v)
{
	bool in_use = v->parked || model_has(v->model, VERSION_AVAILABLE);
	struct err err = ERR_INIT;
	int r = model_memory_make(l, v, in_use, &err);

	v->queued = r == 0 && in_use;
	if (r != 0) {
		v->tries = 0;
		model_version_move(v, VERSION_LOADING);
	}
	if (r > 0) {
		submit_load(v);
	} else if (r < 0) {
		v->err = err;
		v->print = v->found_print;
		v->parked = false;
		model_version_move(v, VERSION_END);
		settle(l, v);
	} else if (!in_use) {
		v->parked = true;
		settle(l, v);
	}
}

bool model_life_demand(struct model_version *v)
{
	if (v->state == VERSION_UNLOADING)
		v->queued = true;
	else if (v->state == VERSION_START && !v->queued)
		model_version_start(v->life, v);
	return v->state != VERSION_END;
}

static void unload_run(struct loop_job *j)
{
	struct model_version *v = CONTAINER_OF(j, struct model_version, job);

	v->leaving->ops->unload(v->leaving);
	v->leaving = NULL;
}

static void unload_done(struct loop_job *j)
{
	struct model_version *v = CONTAINER_OF(j, struct model_version, job);

	batch_lanes_free(STEAL(v->lanes)); /* they know the signatures that are gone */
	log_info("model.unloaded model=%s version=%lld", v->model_name, (long long)v->number);
	model_version_move(v, v->parked && v->wanted ? VERSION_START : VERSION_END);
	settle(v->life, v);
}

void model_life_unused(struct model_version *v)
{
	v->leaving = STEAL(v->runtime);
	v->job.run = unload_run;
	v->job.done = unload_done;
	worker_pool_submit(&v->life->pool, &v->job);
}

static void unload(struct model_version *v)
{
	v->parked = false;
	model_version_move(v, VERSION_UNLOADING);
	if (v->refs == 1)
		model_life_unused(v);
}

/* Memory may have become free: those that wait for it try again. */
static void start_queued(struct model_life *l)
{
	const char *name;
	void *value;

	if (l->server->options->model_memory_bytes == 0)
		return;
	for (size_t i = 0; map_next(l->registry->models, &i, &name, &value);) {
		struct model *m = value;
		for (size_t k = 0; k < m->version_count; k++)
			if (m->versions[k]->queued && m->versions[k]->state == VERSION_START)
				model_version_start(l, m->versions[k]);
	}
}

/* A version has arrived somewhere. */
static void settle(struct model_life *l, struct model_version *v)
{
	if (v->state != VERSION_UNLOADING)
		server_release(l->server, v);
	model_reconcile(l, v->model);
	start_queued(l);
	model_reload_check(l);
}

static void start_wanted(struct model_life *l, struct model *m)
{
	for (size_t i = 0; i < m->version_count; i++) {
		struct model_version *v = m->versions[i];
		if (!v->wanted)
			continue;
		if (v->state == VERSION_END && v->err.code == 0)
			model_version_move(v, VERSION_START);
		if (v->state != VERSION_START || v->parked || v->queued)
			continue;
		if (l->server->options->lazy_load && !model_has(m, VERSION_AVAILABLE))
			v->parked = true;
		else
			model_version_start(l, v);
	}
}

/* May versions that nobody wants go? Yes when another one can serve and none is on its way. */
static bool replaced(const struct model *m)
{
	bool any = false, can_serve = false;

	for (size_t i = 0; i < m->version_count; i++) {
		const struct model_version *v = m->versions[i];
		if (!v->wanted)
			continue;
		any = true;
		can_serve |= v->state == VERSION_AVAILABLE || v->parked;
		if (!v->parked && (v->state == VERSION_START || v->state == VERSION_LOADING))
			return false;
	}
	return can_serve || !any;
}

static void drop_unwanted(struct model_life *l, struct model *m)
{
	bool may_go = replaced(m);

	for (size_t i = 0; i < m->version_count; i++) {
		struct model_version *v = m->versions[i];
		if (v->wanted)
			continue;
		if (v->state == VERSION_AVAILABLE && may_go) {
			unload(v);
		} else if (v->state == VERSION_START || (v->state == VERSION_LOADING && v->retry.place > 0)) {
			server_loop_timer_stop(l->server->loop, &v->retry);
			v->parked = v->queued = false;
			model_version_move(v, VERSION_END);
			server_release(l->server, v);
		}
	}
}

void model_reconcile(struct model_life *l, struct model *m)
{
	start_wanted(l, m);
	drop_unwanted(l, m);
}
