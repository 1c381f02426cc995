/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the JSON bodies of predict, classify and regress. */
#include "serving/rest_run.h"

#include "net/grpc.h"
#include "serving/inference.h"
#include "serving/json_tensor.h"
#include "serving/predict.h"

#define NS_PER_MS 1000000

/* The original's mapping of its codes; it differs from err_http in ERR_STATE and friends. */
int rest_status(int code)
{
	switch (err_grpc(code)) {
	case GRPC_OK:
		return 200;
	case GRPC_INVALID_ARGUMENT:
	case GRPC_FAILED_PRECONDITION:
	case GRPC_OUT_OF_RANGE:
		return 400;
	case GRPC_UNAUTHENTICATED:
		return 401;
	case GRPC_PERMISSION_DENIED:
		return 403;
	case GRPC_NOT_FOUND:
		return 404;
	case GRPC_ALREADY_EXISTS:
	case GRPC_ABORTED:
		return 409;
	case GRPC_RESOURCE_EXHAUSTED:
		return code == ERR_TOO_LARGE ? 413 : 429;
	case GRPC_CANCELLED:
		return 499;
	case GRPC_UNIMPLEMENTED:
		return 501;
	case GRPC_UNAVAILABLE:
		return code == ERR_BUSY ? 429 : 503;
	case GRPC_DEADLINE_EXCEEDED:
		return 504;
	default:
		return 500;
	}
}

void rest_write_error(const struct err *err, struct buf *b)
{
	buf_adds(b, "{\n    \"error\": ");
	json_text_write_string(b, str_from(err->msg));
	buf_adds(b, "\n}\n");
}

struct rest_work {
	struct http_call *call;
	enum rest_verb verb;
	bool rows;
	void (*done)(void *arg, const struct err *err, struct buf *takes_json);
	void *arg;
};

static enum inference_kind kind_of(const struct rest_work *w)
{
	return w->verb == REST_CLASSIFY ? INFERENCE_CLASSIFY : INFERENCE_REGRESS;
}

static int write_answer(const struct rest_work *w, struct predict *p, struct buf *b, struct err *err)
{
	struct inference_result result;
	int r;

	if (w->verb == REST_PREDICT)
		return json_predict_write(w->rows, p->signature, p->output_index, p->outputs, p->output_count,
					  b, err);
	r = inference_read(p, kind_of(w), &result, err);
	if (r >= 0)
		inference_write_json(&result, b);
	return r;
}

static void work_done(struct predict *p)
{
	struct rest_work w = *(struct rest_work *)p->owner;
	struct buf b = BUF_INIT;
	int r = -p->err.code;

	if (r == 0)
		r = write_answer(&w, p, &b, &p->err);
	struct err err = r < 0 ? p->err : ERR_INIT;
	predict_free(p);
	w.call->cancel = NULL;
	if (r >= 0)
		buf_addc(&b, '\n');
	else
		buf_done(&b);
	w.done(w.arg, &err, &b);
}

/* The route goes away before the answer is there. */
static struct str copy(struct predict *p, struct str s)
{
	return (struct str){s.len ? arena_strndup(&p->arena, s.data, s.len) : NULL, s.len};
}

static int resolve(struct predict *p, struct str signature, struct err *err)
{
	int r;

	p->spec.signature = signature;
	r = predict_resolve(p, err);
	if (r < 0 && err->code == ERR_STATE)
		return err_set(err, ERR_INVALID,
			       "Serving signature name: \"%.*s\" not found in signature def",
			       (int)(signature.len > 200 ? 200 : signature.len), signature.data);
	return r;
}

static int read_body(struct predict *p, struct rest_work *w, struct str body, struct err *err)
{
	struct json_predict_head head;
	struct example_body examples;
	int r;

	if (w->verb != REST_PREDICT) {
		r = example_json_read(body, &p->arena, &examples, err);
		if (r >= 0)
			r = resolve(p, examples.signature, err);
		return r < 0 ? r : inference_prepare(p, kind_of(w), &examples.examples, err);
	}
	r = json_predict_scan(body, &p->arena, &head, err);
	if (r < 0)
		return r;
	w->rows = head.rows;
	r = resolve(p, head.signature, err);
	if (r < 0)
		return r;
	return json_predict_inputs(&head, p->signature, &p->arena, &p->inputs, &p->input_count, err);
}

static void client_left(struct http_call *c)
{
	predict_cancel(c->user);
}

void rest_run(struct http_call *call, const struct rest_route *route, struct str body,
	      void (*done)(void *arg, const struct err *err, struct buf *takes_json), void *arg)
{
	struct server *server = call->server;
	struct predict *p = predict_new(server, (size_t)server->options->message_bytes_max);
	struct rest_work *w = arena_alloc(&p->arena, sizeof(*w));
	int64_t timeout_ms = server->options->rest_timeout_ms;

	*w = (struct rest_work){.call = call, .verb = route->verb, .done = done, .arg = arg};
	p->owner = w;
	p->done = work_done;
	if (route->timeout_ms > 0 && route->timeout_ms < timeout_ms)
		timeout_ms = route->timeout_ms;
	p->deadline_ns = call->arrived_ns + timeout_ms * NS_PER_MS;
	p->spec = route->spec;
	p->spec.name = copy(p, route->spec.name);
	p->spec.label = copy(p, route->spec.label);
	p->count.entry = METRIC_REST;
	p->count.api = route->verb == REST_CLASSIFY  ? METRIC_CLASSIFY
		       : route->verb == REST_REGRESS ? METRIC_REGRESS
						     : METRIC_PREDICT;
	if (read_body(p, w, body, &p->err) < 0) {
		p->done(p);
		return;
	}
	call->user = p;
	call->cancel = client_left;
	predict_start(p);
}
