/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's REST API: predict, status, metadata. */
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "net/grpc.h"
#include "serving/http.h"
#include "serving/json_tensor.h"
#include "serving/predict.h"
#include "serving/rest_route.h"

#define NS_PER_MS 1000000

/* The original's mapping of its codes; it differs from err_http in ERR_STATE and friends. */
static int status_of(int code)
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
		return 503;
	case GRPC_DEADLINE_EXCEEDED:
		return 504;
	default:
		return 500;
	}
}

static void reply_error(struct http_call *c, const struct err *err)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "{\"error\":");
	json_text_write_string(&b, str_from(err->msg));
	buf_adds(&b, "}\n");
	http_reply(c, status_of(err->code), HTTP_JSON, &b);
}

struct rest_predict {
	struct http_call *call;
	bool rows;
};

static void predict_done(struct predict *p)
{
	struct rest_predict *rest = p->owner;
	struct http_call *c = rest->call;
	struct err err = p->err;
	struct buf b = BUF_INIT;
	int r = -err.code;

	if (r == 0)
		r = json_predict_write(rest->rows, p->signature, p->output_index, p->outputs, p->output_count,
				       &b, &err);
	predict_free(p);
	if (r >= 0) {
		buf_addc(&b, '\n');
		http_reply(c, 200, HTTP_JSON, &b);
		return;
	}
	buf_done(&b);
	reply_error(c, &err);
}

static int read_predict(struct predict *p, struct http_call *c, struct err *err)
{
	struct rest_predict *rest = p->owner;
	struct json_predict_head head;
	int r = json_predict_scan(c->body, &p->arena, &head, err);

	if (r < 0)
		return r;
	rest->rows = head.rows;
	p->spec.signature = head.signature;
	r = predict_resolve(p, err);
	if (r < 0) {
		if (err->code == ERR_STATE)
			err_set(
			    err, ERR_INVALID, "Serving signature name: \"%.*s\" not found in signature def",
			    (int)(head.signature.len > 200 ? 200 : head.signature.len), head.signature.data);
		return -err->code;
	}
	return json_predict_inputs(&head, p->signature, &p->arena, &p->inputs, &p->input_count, err);
}

static void handle_predict(struct http_call *c, const struct rest_route *route)
{
	struct predict *p = predict_new(c->server, (size_t)c->server->options->message_bytes_max);
	struct rest_predict *rest = arena_alloc(&p->arena, sizeof(*rest));

	rest->call = c;
	p->owner = rest;
	p->done = predict_done;
	p->spec = route->spec;
	p->deadline_ns = clock_monotonic_ns() + c->server->options->rest_timeout_ms * NS_PER_MS;
	if (read_predict(p, c, &p->err) < 0)
		p->done(p);
	else
		predict_start(p);
}

static void write_status(const struct model_version *v, struct buf *b)
{
	buf_printf(b,
		   "  {\n   \"version\": \"%lld\",\n   \"state\": \"%s\",\n   \"status\": {\n    "
		   "\"error_code\": \"%s\",\n"
		   "    \"error_message\": ",
		   (long long)v->number, version_state_word(v->state),
		   grpc_status_name(err_grpc(v->err.code)));
	json_text_write_string(b, str_from(v->err.msg));
	buf_adds(b, "\n   }\n  }");
}

static int answer_status(struct http_call *c, const struct rest_route *route, struct buf *b, struct err *err)
{
	const struct model *m = registry_find(&c->server->registry, route->spec.name);
	size_t count = 0;

	buf_adds(b, "{\n \"model_version_status\": [\n");
	for (size_t i = 0; m && i < m->version_count; i++) {
		if (route->spec.has_version && route->spec.version != m->versions[i]->number)
			continue;
		buf_adds(b, count++ ? ",\n" : "");
		write_status(m->versions[i], b);
	}
	buf_adds(b, "\n ]\n}\n");
	return count > 0 ? 0 : model_status_missing(&route->spec, m != NULL, err);
}

static void write_info(const struct signature_tensor *t, struct buf *b)
{
	const struct dtype_info *info = dtype_info((uint64_t)t->dtype);

	json_text_write_string(b, str_from(t->alias));
	buf_printf(b, ": {\"dtype\": \"%s\", \"tensor_shape\": {\"dim\": [",
		   info ? info->enum_name : "DT_INVALID");
	for (int i = 0; i < t->rank; i++)
		buf_printf(b, "%s{\"size\": \"%lld\", \"name\": \"\"}", i ? ", " : "", (long long)t->dims[i]);
	buf_printf(b, "], \"unknown_rank\": %s}, \"name\": ", t->unknown_rank ? "true" : "false");
	json_text_write_string(b, str_from(t->tensor_name));
	buf_addc(b, '}');
}

static void write_infos(const char *key, const struct signature_tensor *items, size_t count, struct buf *b)
{
	buf_printf(b, "     \"%s\": {", key);
	for (size_t i = 0; i < count; i++) {
		buf_adds(b, i ? ",\n      " : "\n      ");
		write_info(&items[i], b);
	}
	buf_adds(b, "\n     },\n");
}

static void write_signatures(const struct signature_set *set, struct buf *b)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct signature *s = &set->items[i];
		buf_adds(b, i ? ",\n    " : "    ");
		json_text_write_string(b, str_from(s->name));
		buf_adds(b, ": {\n");
		write_infos("inputs", s->inputs, s->input_count, b);
		write_infos("outputs", s->outputs, s->output_count, b);
		buf_adds(b, "     \"method_name\": ");
		json_text_write_string(b, str_from(s->method_name));
		buf_adds(b, ",\n     \"defaults\": {}\n    }");
	}
}

static int answer_metadata(struct http_call *c, const struct rest_route *route, struct buf *b,
			   struct err *err)
{
	CLEANUP(model_version) struct model_version *v = NULL;
	int r = registry_resolve(&c->server->registry, &route->spec, &v, err);

	if (r < 0)
		return r;
	buf_adds(b, "{\n \"model_spec\": {\n  \"name\": ");
	json_text_write_string(b, route->spec.name);
	buf_printf(b, ",\n  \"signature_name\": \"\",\n  \"version\": \"%lld\"\n },\n", (long long)v->number);
	buf_adds(b, " \"metadata\": {\n  \"signature_def\": {\n   \"signature_def\": {\n");
	write_signatures(model_version_signatures(v), b);
	buf_adds(b, "\n   }\n  }\n }\n}\n");
	return 0;
}

static int answer_get(struct http_call *c, const struct rest_route *route, struct buf *b, struct err *err)
{
	switch (route->verb) {
	case REST_STATUS:
		return answer_status(c, route, b, err);
	case REST_METADATA:
		return answer_metadata(c, route, b, err);
	default:
		return err_set(err, ERR_UNSUPPORTED, "classify and regress are not offered; use predict");
	}
}

void tfs_rest_handle(struct http_call *c)
{
	struct arena arena = ARENA_INIT(16384);
	struct rest_route route;
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT;

	if (rest_route_parse(c->method, c->path, &arena, &route, &err) < 0) {
		reply_error(c, &err);
	} else if (route.verb == REST_PREDICT) {
		handle_predict(c, &route);
	} else if (answer_get(c, &route, &b, &err) < 0) {
		buf_done(&b);
		reply_error(c, &err);
	} else {
		http_reply(c, 200, HTTP_JSON, &b);
	}
	arena_done(&arena);
}
