/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's gRPC methods on examples: Classify, Regress, MultiInference. */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/pb.h"
#include "serving/inference.h"
#include "serving/predict_pb.h"
#include "serving/rpc.h"

#define TASKS_MAX 64

enum {
	REQUEST_SPEC = 1,  /* of ClassificationRequest and RegressionRequest */
	REQUEST_TASKS = 1, /* of MultiInferenceRequest */
	REQUEST_INPUT = 2, /* of all three */
	TASK_SPEC = 1,
	TASK_METHOD = 2,
	RESPONSE_RESULT = 1, /* of ClassificationResponse and RegressionResponse */
	RESPONSE_SPEC = 2,
	RESPONSE_RESULTS = 1, /* of MultiInferenceResponse */
	RESULT_SPEC = 1,      /* of InferenceResult */
	RESULT_CLASSIFICATION = 2,
	RESULT_REGRESSION = 3,
};

/* A result as field 'field' of the message that b holds. ERR_TOO_LARGE past what a message may hold. */
static int encode_result(struct predict *p, enum inference_kind kind, uint32_t field, struct buf *b,
			 struct err *err)
{
	struct inference_result result;
	struct pb_mark mark;
	int r = inference_read(p, kind, &result, err);

	if (r < 0)
		return r;
	mark = pb_begin(b, field, 4096);
	inference_encode(&result, b);
	pb_close(b, mark);
	if (b->len > INT32_MAX)
		return err_set(err, ERR_TOO_LARGE, "the answer has %zu bytes, a message holds at most %d",
			       b->len, INT32_MAX);
	return 0;
}

/* One Classify or Regress. */
struct single {
	struct rpc_call *call;
	enum inference_kind kind;
};

static void single_done(struct predict *p)
{
	struct single *s = p->owner;
	struct rpc_call *c = s->call;
	struct buf reply = BUF_INIT;
	struct err err;

	rpc_reply_begin(&reply);
	if (p->err.code == 0 && encode_result(p, s->kind, RESPONSE_RESULT, &reply, &p->err) >= 0)
		model_spec_encode(&reply, RESPONSE_SPEC, p->version, p->signature->name);
	err = p->err;
	predict_free(p);
	if (err.code == 0) {
		rpc_reply(c, &reply);
		return;
	}
	buf_done(&reply);
	rpc_fail(c, &err);
}

static int read_single(struct predict *p, struct rpc_call *c, enum inference_kind kind, struct err *err)
{
	struct example_list examples;
	struct str input = {"", 0};
	struct pb pb;
	struct pb_field f;
	int r = 0;

	pb_init_str(&pb, c->message);
	while (r >= 0 && pb_next(&pb, &f)) {
		if (pb_is(&f, REQUEST_INPUT, PB_BYTES))
			input = f.bytes;
		else if (pb_is(&f, REQUEST_SPEC, PB_BYTES))
			r = model_spec_decode(f.bytes, &p->spec, err);
	}
	if (r >= 0)
		r = pb_end(&pb, "request", err);
	if (r >= 0)
		r = predict_resolve(p, err);
	if (r >= 0)
		r = example_pb_decode(input, &p->arena, &examples, err);
	if (r >= 0)
		r = inference_prepare(p, kind, &examples, err);
	return r;
}

static void single_left(struct rpc_call *c)
{
	predict_cancel(c->user);
}

static void handle_single(struct rpc_call *c, enum inference_kind kind)
{
	struct predict *p = predict_new(c->server, (size_t)c->server->options->message_bytes_max);
	struct single *s = arena_alloc(&p->arena, sizeof(*s));

	s->call = c;
	s->kind = kind;
	p->owner = s;
	p->done = single_done;
	p->deadline_ns = c->deadline_ns;
	p->count.api = kind == INFERENCE_CLASSIFY ? METRIC_CLASSIFY : METRIC_REGRESS;
	if (read_single(p, c, kind, &p->err) < 0) {
		p->done(p);
		return;
	}
	c->user = p;
	c->cancel = single_left;
	predict_start(p);
}

static void handle_classify(struct rpc_call *c)
{
	handle_single(c, INFERENCE_CLASSIFY);
}

static void handle_regress(struct rpc_call *c)
{
	handle_single(c, INFERENCE_REGRESS);
}

/* Several signatures of one version on the same examples. */
struct multi;
struct task {
	struct multi *multi;
	enum inference_kind kind;
	struct predict *predict;
};
struct multi {
	struct rpc_call *call;
	struct arena arena; /* the examples */
	int64_t counted_bytes, started_ns;
	size_t task_count, waiting;
	struct task tasks[TASKS_MAX];
	struct err err;
};

/* All tasks are one request; the runs add up. */
static void count_multi(struct multi *m)
{
	struct metric_request count = {.api = METRIC_MULTI_INFERENCE, .code = m->err.code};
	const struct predict *first = m->task_count ? m->tasks[0].predict : NULL;

	count.latency_ns = clock_monotonic_ns() - m->started_ns;
	for (size_t i = 0; i < m->task_count && count.code == 0; i++)
		count.run_ns += m->tasks[i].predict->run_ns;
	count.examples = first && first->inputs ? first->inputs->tensor.count : 0;
	metrics_count(m->call->server->metrics,
		      first && first->version ? str_from(first->version->model_name) : (struct str){"", 0},
		      &count);
}

static void multi_free(struct multi *m)
{
	struct server *server = m->call->server;

	count_multi(m);
	for (size_t i = 0; i < m->task_count; i++)
		predict_free(m->tasks[i].predict);
	server->request_bytes -= m->counted_bytes;
	arena_done(&m->arena);
	free(m);
}

static int encode_multi(struct multi *m, struct buf *b, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < m->task_count && r >= 0; i++) {
		struct predict *p = m->tasks[i].predict;
		struct pb_mark mark = pb_begin(b, RESPONSE_RESULTS, 4096);
		if (p->err.code) {
			*err = p->err;
			return -err->code;
		}
		model_spec_encode(b, RESULT_SPEC, p->version, p->signature->name);
		r = encode_result(p, m->tasks[i].kind,
				  m->tasks[i].kind == INFERENCE_CLASSIFY ? RESULT_CLASSIFICATION
									 : RESULT_REGRESSION,
				  b, err);
		pb_close(b, mark);
	}
	return r;
}

static void multi_finish(struct multi *m)
{
	struct rpc_call *c = m->call;
	struct buf reply = BUF_INIT;
	struct err err;

	rpc_reply_begin(&reply);
	if (m->err.code == 0)
		encode_multi(m, &reply, &m->err);
	err = m->err;
	multi_free(m);
	if (err.code == 0) {
		rpc_reply(c, &reply);
		return;
	}
	buf_done(&reply);
	rpc_fail(c, &err);
}

static void task_done(struct predict *p)
{
	struct task *t = p->owner;

	if (--t->multi->waiting == 0)
		multi_finish(t->multi);
}

/* The version that the first task has resolved answers for all. */
static int resolve_task(struct multi *m, struct predict *p, struct err *err)
{
	const struct predict *first = m->tasks[0].predict;
	const char *name = first->version ? first->version->model_name : NULL;

	if (p->spec.name.len == 0)
		return err_set(err, ERR_INVALID, "Found ModelSpec with an empty model name in the tasks");
	if (p != first) {
		if (!str_eq(p->spec.name, name))
			return err_set(err, ERR_INVALID,
				       "All ModelSpecs in a MultiInferenceRequest must access the same model "
				       "name: '%s' and '%.*s'",
				       name, (int)(p->spec.name.len > 100 ? 100 : p->spec.name.len),
				       p->spec.name.data);
		p->spec.label = (struct str){0};
		p->spec.has_version = true;
		p->spec.version = first->version->number;
	}
	return predict_resolve(p, err);
}

static int read_task(struct multi *m, struct str bytes, struct err *err)
{
	struct task *t = &m->tasks[m->task_count];
	struct str method = {"", 0};
	struct predict *p;
	struct pb pb;
	struct pb_field f;
	int r = 0;

	if (m->task_count == TASKS_MAX)
		return err_set(err, ERR_INVALID, "more than %d tasks in a MultiInferenceRequest", TASKS_MAX);
	p = predict_new(m->call->server, (size_t)m->call->server->options->message_bytes_max);
	p->owner = t;
	p->done = task_done;
	p->deadline_ns = m->call->deadline_ns;
	p->count.api = METRIC_NONE; /* counted together */
	t->multi = m;
	t->predict = p;
	m->task_count++;
	pb_init_str(&pb, bytes);
	while (r >= 0 && pb_next(&pb, &f)) {
		if (pb_is(&f, TASK_METHOD, PB_BYTES))
			pb_text(&pb, &f, &method);
		else if (pb_is(&f, TASK_SPEC, PB_BYTES))
			r = model_spec_decode(f.bytes, &p->spec, err);
	}
	if (r >= 0)
		r = pb_end(&pb, "InferenceTask", err);
	if (r < 0)
		return r;
	if (!str_eq(method, INFERENCE_METHOD_CLASSIFY) && !str_eq(method, INFERENCE_METHOD_REGRESS))
		return err_set(err, ERR_UNSUPPORTED, "Unsupported signature method_name: %.*s",
			       (int)(method.len > 100 ? 100 : method.len), method.data);
	t->kind = str_eq(method, INFERENCE_METHOD_CLASSIFY) ? INFERENCE_CLASSIFY : INFERENCE_REGRESS;
	r = resolve_task(m, p, err);
	for (size_t i = 0; r >= 0 && i + 1 < m->task_count; i++)
		if (m->tasks[i].predict->signature == p->signature)
			r = err_set(err, ERR_INVALID, "Duplicate evaluation of signature: %s",
				    p->signature->name);
	return r;
}

static int read_multi(struct multi *m, struct err *err)
{
	struct server *server = m->call->server;
	struct example_list examples;
	struct str input = {"", 0};
	struct pb pb;
	struct pb_field f;
	int r = 0;

	pb_init_str(&pb, m->call->message);
	while (r >= 0 && pb_next(&pb, &f)) {
		if (pb_is(&f, REQUEST_INPUT, PB_BYTES))
			input = f.bytes;
		else if (pb_is(&f, REQUEST_TASKS, PB_BYTES))
			r = read_task(m, f.bytes, err);
	}
	if (r >= 0)
		r = pb_end(&pb, "MultiInferenceRequest", err);
	if (r >= 0 && m->task_count == 0)
		r = err_set(err, ERR_INVALID, "a MultiInferenceRequest needs at least one task");
	if (r >= 0)
		r = example_pb_decode(input, &m->arena, &examples, err);
	for (size_t i = 0; r >= 0 && i < m->task_count; i++)
		r = inference_prepare(m->tasks[i].predict, m->tasks[i].kind, &examples, err);
	m->counted_bytes = (int64_t)m->arena.used_bytes;
	server->request_bytes += m->counted_bytes;
	return r < 0 ? r : server_check_memory(server, err);
}

static void multi_left(struct rpc_call *c)
{
	struct multi *m = c->user;

	m->waiting++; /* what is cancelled may end at once */
	for (size_t i = 0; i < m->task_count; i++)
		predict_cancel(m->tasks[i].predict);
	if (--m->waiting == 0)
		multi_finish(m);
}

static void handle_multi(struct rpc_call *c)
{
	struct multi *m = MEM_NEW(struct multi);

	m->call = c;
	m->started_ns = clock_monotonic_ns();
	m->arena = ARENA_INIT((size_t)c->server->options->message_bytes_max);
	if (read_multi(m, &m->err) < 0) {
		multi_finish(m);
		return;
	}
	c->user = m;
	c->cancel = multi_left;
	m->waiting = m->task_count + 1; /* one for this function: tasks may end at once */
	for (size_t i = 0; i < m->task_count; i++)
		predict_start(m->tasks[i].predict);
	if (--m->waiting == 0)
		multi_finish(m);
}

const struct rpc_method tfs_inference_rpc_methods[] = {
    {"/tensorflow.serving.PredictionService/Classify", handle_classify, NULL, NULL},
    {"/tensorflow.serving.PredictionService/Regress", handle_regress, NULL, NULL},
    {"/tensorflow.serving.PredictionService/MultiInference", handle_multi, NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
