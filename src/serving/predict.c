/* SPDX-License-Identifier: Apache-2.0 */
/* One prediction: resolve, check, compute inline or on a worker. */
#include "serving/predict.h"

#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "serving/batcher.h"
#include "serving/rpc.h"

/* A model whose runs take less than this on average runs on the loop's thread when nothing waits: waking a
 * worker on another processor and being woken again costs about as much. */
#define INLINE_RUN_NS 200000
#define AVERAGE_SHIFT 3 /* a new measurement weighs 1/8 */

struct predict *predict_new(struct server *server, size_t memory_max)
{
	struct predict *p = MEM_NEW(struct predict);

	p->server = server;
	p->arena = ARENA_INIT(memory_max);
	p->deadline_ns = INT64_MAX;
	p->started_ns = clock_monotonic_ns();
	server_call_begin(server);
	return p;
}

bool predict_may_view(const struct predict *p, size_t i)
{
	const struct tensor *t = &p->outputs[i];

	return t->bytes >= RPC_VIEW_MIN && t->owner && t->dtype != DT_STRING &&
	       p->version->runtime->ops->outlive;
}

struct model_metrics *predict_metrics(struct predict *p)
{
	struct model *m = p->version->model;

	if (!m->metrics)
		m->metrics = metrics_place(p->server->metrics, str_from(m->name));
	return m->metrics;
}

static void count_request(struct predict *p)
{
	struct metric_request *count = &p->count;

	count->code = p->err.code;
	count->latency_ns = clock_monotonic_ns() - p->started_ns;
	count->run_ns = p->err.code ? 0 : p->run_ns;
	if (p->version)
		metrics_add(predict_metrics(p), count);
	else
		metrics_count(p->server->metrics,
			      registry_find(&p->server->registry, p->spec.name) ? p->spec.name
										: (struct str){"", 0},
			      count);
}

static uint64_t rows_of(const struct predict *p)
{
	const struct tensor *t = p->input_count > 0 ? &p->inputs[0].tensor : NULL;

	return t && t->rank > 0 ? (uint64_t)t->dims[0] : 1;
}

static void count_stats(const struct predict *p)
{
	struct model_stats *s = &p->version->stats;
	int64_t now = clock_monotonic_ns();

	if (p->err.code) {
		s->fail_count++;
		s->fail_ns += (uint64_t)(now - p->started_ns);
		return;
	}
	s->success_count++;
	s->success_ns += (uint64_t)(now - p->started_ns);
	s->input_ns += (uint64_t)(p->queued_ns - p->started_ns);
	s->queue_ns += (uint64_t)(p->run_start_ns - p->queued_ns);
	s->infer_ns += (uint64_t)p->run_ns;
	s->output_ns += (uint64_t)(now - p->run_start_ns - p->run_ns);
	s->inference_count += rows_of(p);
	s->last_ms = (uint64_t)clock_wall_ms(&clock_real);
}

void predict_free(struct predict *p)
{
	struct server *server = p->server;

	if (p->count.api != METRIC_NONE)
		count_request(p);
	if (p->version && p->queued_ns > 0)
		count_stats(p);
	for (size_t i = 0; i < p->output_count; i++)
		tensor_done(&p->outputs[i]);
	if (p->version)
		model_version_unref(p->version);
	server->request_bytes -= p->counted_bytes;
	arena_done(&p->arena);
	free(p);
	server_call_end(server);
}

int predict_resolve(struct predict *p, struct err *err)
{
	struct str name = p->spec.signature.len > 0 ? p->spec.signature : STR(SIGNATURE_DEFAULT);
	int r = registry_resolve(&p->server->registry, &p->spec, &p->version, err);

	if (r < 0)
		return r;
	p->signature = signature_find(model_version_signatures(p->version), name);
	if (!p->signature)
		return err_set(err, ERR_STATE, "Serving signature key \"%.*s\" not found.",
			       (int)(name.len > 200 ? 200 : name.len), name.data);
	return 0;
}

static void add_name(struct buf *b, struct str name)
{
	if (b->len > 160)
		return;
	buf_adds(b, b->len > 0 ? "," : "");
	buf_add(b, name.data, name.len > 60 ? 60 : name.len);
}

static int inputs_mismatch(struct predict *p, struct err *err)
{
	const struct signature *s = p->signature;
	CLEANUP(buf) struct buf extra = BUF_INIT, missing = BUF_INIT;

	for (size_t i = 0; i < p->input_count; i++)
		if (signature_input_index(s, p->inputs[i].name) < 0)
			add_name(&extra, p->inputs[i].name);
	for (size_t i = 0; i < s->input_count; i++)
		if (!p->ordered[i])
			add_name(&missing, str_from(s->inputs[i].alias));
	return err_set(
	    err, ERR_INVALID,
	    "input size does not match signature: %zu!=%zu. Sent extra: {%s}. Missing but required: {%s}.",
	    p->input_count, s->input_count, buf_str(&extra), buf_str(&missing));
}

static int order_inputs(struct predict *p, struct err *err)
{
	const struct signature *s = p->signature;
	size_t found = 0;
	int r;

	p->ordered = arena_alloc(&p->arena, (s->input_count + 1) * sizeof(struct tensor *));
	for (size_t i = 0; i < p->input_count; i++) {
		int index = signature_input_index(s, p->inputs[i].name);
		if (index < 0)
			continue;
		found += p->ordered[index] == NULL;
		p->ordered[index] = &p->inputs[i].tensor; /* the last one wins, as in any protobuf map */
	}
	if (found != s->input_count || found != p->input_count)
		return inputs_mismatch(p, err);
	for (size_t i = 0; i < s->input_count; i++) {
		r = signature_check_input(&s->inputs[i], p->ordered[i], err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int choose_outputs(struct predict *p, struct err *err)
{
	const struct signature *s = p->signature;
	size_t count = p->filter_count ? p->filter_count : s->output_count;

	if (count > s->output_count)
		return err_set(err, ERR_INVALID, "output_filter names %zu outputs, the signature has %zu",
			       count, s->output_count);
	p->output_index = arena_alloc(&p->arena, (count + 1) * sizeof(size_t));
	for (size_t i = 0; i < count; i++) {
		int index = p->filter_count ? signature_output_index(s, p->filter[i]) : (int)i;
		if (index < 0)
			return err_set(err, ERR_INVALID, "output tensor alias not found in signature: %.*s",
				       (int)(p->filter[i].len > 200 ? 200 : p->filter[i].len),
				       p->filter[i].data);
		for (size_t k = 0; k < i; k++)
			if (p->output_index[k] == (size_t)index)
				return err_set(err, ERR_INVALID, "duplicate output tensor alias: %s",
					       s->outputs[index].alias);
		p->output_index[i] = (size_t)index;
	}
	p->outputs = arena_alloc(&p->arena, (count + 1) * sizeof(struct tensor));
	p->output_count = count;
	return 0;
}

bool predict_begins(struct predict *p)
{
	p->run_start_ns = clock_monotonic_ns();
	if (atomic_load_explicit(&p->cancelled, memory_order_relaxed))
		err_set(&p->err, ERR_CANCELLED, "the client has left");
	else if (p->run_start_ns >= p->deadline_ns)
		err_set(&p->err, ERR_TIMEOUT, "the deadline passed before the model could run");
	else
		return true;
	p->output_count = 0;
	return false;
}

void predict_run(struct predict *p)
{
	struct runtime_model *runtime = p->version->runtime;
	int64_t start = clock_monotonic_ns();
	int r;

	if (!predict_begins(p))
		return;
	r = runtime->ops->run(runtime, p->signature, p->ordered, p->output_index, p->output_count, p->outputs,
			      &p->err);
	p->run_ns = clock_monotonic_ns() - start;
	if (r < 0)
		p->output_count = 0;
	else
		p->err.code = ERR_NONE; /* may hold an error that was overcome */
}

void predict_finish(struct predict *p)
{
	struct model_version *v = p->version;

	if (p->run_ns > 0 && p->err.code == 0)
		v->run_ns = v->run_ns ? v->run_ns + ((p->run_ns - v->run_ns) >> AVERAGE_SHIFT) : p->run_ns;
	p->done(p);
}

static void job_run(struct loop_job *j)
{
	predict_run(CONTAINER_OF(j, struct predict, job));
}

static void finish_alone(struct predict *p)
{
	p->version->stats.execution_count += p->run_ns > 0;
	if (p->passing)
		batcher_passed(p);
	predict_finish(p);
}

static void job_done(struct loop_job *j)
{
	finish_alone(CONTAINER_OF(j, struct predict, job));
}

/* What decoding has taken counts against the memory of all requests. */
static int count_arena(struct predict *p, struct err *err)
{
	struct server *s = p->server;

	p->counted_bytes = (int64_t)p->arena.used_bytes;
	s->request_bytes += p->counted_bytes;
	return server_check_memory(s, err);
}

bool predict_is_short(const struct server *s, const struct model_version *v)
{
	return !v->runtime->ops->waits && v->run_ns > 0 && v->run_ns < INLINE_RUN_NS &&
	       server_loop_pending(s->loop) == 0;
}

void predict_cancel(struct predict *p)
{
	atomic_store_explicit(&p->cancelled, true, memory_order_relaxed);
	if (p->lane)
		batcher_remove(p);
}

void predict_start(struct predict *p)
{
	int r = count_arena(p, &p->err);

	p->queued_ns = clock_monotonic_ns();
	if (r >= 0 && !p->version)
		r = predict_resolve(p, &p->err);
	if (r >= 0)
		r = order_inputs(p, &p->err);
	if (r >= 0)
		r = choose_outputs(p, &p->err);
	if (r < 0) {
		p->done(p);
		return;
	}
	if (p->server->batcher && batcher_takes(p->server->batcher, p))
		return;
	if (predict_is_short(p->server, p->version)) {
		predict_run(p);
		finish_alone(p);
		return;
	}
	p->job.run = job_run;
	p->job.done = job_done;
	server_loop_submit(p->server->loop, &p->job);
}
