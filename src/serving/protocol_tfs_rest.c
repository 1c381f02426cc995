/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's REST API: predict, classify, regress, status, metadata. */
#include <string.h>
#include <strings.h>
#include "net/grpc.h"
#include "serving/http.h"
#include "serving/json_text.h"
#include "serving/rest_run.h"

static void reply_error(struct http_call *c, const struct err *err)
{
	struct buf b = BUF_INIT;

	rest_write_error(err, &b);
	if (err->code == ERR_BUSY || err->code == ERR_LIMIT)
		http_add_header(c, "Retry-After", "1");
	http_reply(c, rest_status(err->code), HTTP_JSON, &b);
}

static void run_done(void *arg, const struct err *err, struct buf *takes_json)
{
	if (err->code)
		reply_error(arg, err);
	else
		http_reply(arg, 200, HTTP_JSON, takes_json);
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
		if (!model_spec_matches(&route->spec, m, m->versions[i]))
			continue;
		buf_adds(b, count++ ? ",\n" : "");
		write_status(m->versions[i], b);
	}
	buf_adds(b, "\n ]\n}\n");
	return count > 0 ? 0 : model_status_missing(&route->spec, m != NULL, err);
}

static void write_info(const struct signature_tensor *t, struct buf *b)
{
	char dtype[DTYPE_NAME_MAX];

	dtype_format_name(t->dtype_number, dtype);
	json_text_write_string(b, str_from(t->alias));
	buf_printf(b, ": {\"dtype\": \"%s\", \"tensor_shape\": {\"dim\": [", dtype);
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

/* A browser asks before it sends a request from another site's page. */
static int answer_options(struct http_call *c, struct err *err)
{
	const char *origin = http_header(c, "Origin");

	if (origin && (strncasecmp(origin, "http://", 7) == 0 || strncasecmp(origin, "https://", 8) == 0))
		return 0;
	return err_set(err, ERR_STATE, "OPTIONS needs an Origin header that begins with http:// or https://");
}

static int answer(struct http_call *c, struct arena *arena, struct buf *b, struct err *err)
{
	struct rest_route route;
	int r;

	if (strcmp(c->method, "OPTIONS") == 0)
		return answer_options(c, err);
	r = rest_route_parse(c->method, c->path, arena, &route, err);
	if (r < 0)
		return r;
	switch (route.verb) {
	case REST_STATUS:
		return answer_status(c, &route, b, err);
	case REST_METADATA:
		return answer_metadata(c, &route, b, err);
	default:
		r = http_timeout(c, &route.timeout_ms, err);
		if (r < 0)
			return r;
		rest_run(c, &route, c->body, run_done, c);
		return 1;
	}
}

void tfs_rest_handle(struct http_call *c)
{
	struct arena arena = ARENA_INIT(16384);
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT;
	int r = answer(c, &arena, &b, &err);

	if (r < 0) {
		buf_done(&b);
		reply_error(c, &err);
	} else if (r == 0) {
		http_reply(c, 200, HTTP_JSON, &b);
	}
	arena_done(&arena);
}
