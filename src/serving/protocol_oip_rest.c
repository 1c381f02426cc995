/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol over HTTP: routes and their answers. Infer requests are in oip_rest_infer.c. */
#include <string.h>
#include "serving/http.h"
#include "serving/json_text.h"
#include "serving/oip_describe.h"
#include "serving/oip_repository.h"
#include "serving/oip_rest.h"
#include "serving/oip_route.h"
#include "serving/rest_run.h"

static int status_of(int code)
{
	return code == ERR_METHOD ? 405 : rest_status(code);
}

void oip_rest_error(struct http_call *c, const struct err *err)
{
	struct buf b = BUF_INIT;

	buf_adds(&b, "{\"error\":");
	json_text_write_string(&b, str_from(err->msg));
	buf_addc(&b, '}');
	if (err->code == ERR_BUSY || err->code == ERR_LIMIT)
		http_add_header(c, "Retry-After", "1");
	http_reply(c, status_of(err->code), HTTP_JSON, &b);
}

static void answer_health(struct http_call *c, bool ready_asked)
{
	bool ready = oip_server_ready(c->server), ok = !ready_asked || ready;
	struct buf b = BUF_INIT;

	/* The texts of the protocol disagree on the key. */
	buf_printf(&b, "{\"live\":%s", ok ? "true" : "false");
	buf_printf(&b, ready_asked ? ",\"ready\":%s}" : "}", ready ? "true" : "false");
	http_reply(c, ok ? 200 : 503, HTTP_JSON, &b);
}

static int answer_model(struct http_call *c, const struct oip_route *route, struct buf *b, struct err *err)
{
	CLEANUP(model_version) struct model_version *v = NULL;
	int r = oip_resolve(c->server, &route->spec, &v, err);

	if (r < 0)
		return r;
	if (route->verb == OIP_MODEL)
		oip_write_metadata(registry_find(&c->server->registry, route->spec.name), v, b);
	else
		oip_write_config(v, b);
	return 0;
}

static void answer_model_ready(struct http_call *c, const struct oip_route *route)
{
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT;
	int r = oip_model_ready(c->server, &route->spec, &err);

	buf_adds(&b, "{\"name\":");
	json_text_write_string(&b, route->spec.name);
	buf_printf(&b, ",\"ready\":%s", r >= 0 ? "true" : "false");
	if (r < 0) {
		buf_adds(&b, ",\"error\":");
		json_text_write_string(&b, str_from(err.msg));
	}
	buf_addc(&b, '}');
	http_reply(c, status_of(err.code), HTTP_JSON, &b);
}

static int answer_stats(struct http_call *c, const struct oip_route *route, struct buf *b, struct err *err)
{
	CLEANUP(model_version) struct model_version *v = NULL;
	bool one = route->spec.name.len > 0;
	int r = one ? oip_resolve(c->server, &route->spec, &v, err) : 0;

	if (r >= 0)
		oip_write_stats(&c->server->registry, one ? &route->spec : NULL, b);
	return r;
}

/* The body of an index request: {"ready": true} leaves out what is not ready. */
static int wants_ready(struct str body, bool *ret, struct err *err)
{
	struct arena arena = ARENA_INIT(4096);
	struct json_text j;
	struct str key;
	bool first = true;
	int r = 0;

	*ret = false;
	json_text_init(&j, body);
	if (body.len == 0)
		return 0;
	while ((r = json_text_member(&j, &first, &arena, &key, err)) > 0) {
		if (!str_eq(key, "ready"))
			r = json_text_skip(&j, NULL, err);
		else
			r = json_text_bool(&j, ret, err);
		if (r < 0)
			break;
	}
	arena_done(&arena);
	return r < 0 ? r : json_text_end(&j, err);
}

static int answer_index(struct http_call *c, struct buf *b, struct err *err)
{
	bool only_ready;
	int r = wants_ready(c->body, &only_ready, err);

	if (r >= 0)
		oip_write_index(&c->server->registry, only_ready, b);
	return r;
}

static int answer(struct http_call *c, const struct oip_route *route, struct buf *b, struct err *err)
{
	switch (route->verb) {
	case OIP_SERVER:
		oip_write_server(b);
		return 0;
	case OIP_OPENAPI:
		buf_add(b, (const char *)oip_openapi, oip_openapi_len);
		return 0;
	case OIP_MODELS:
		oip_write_models(&c->server->registry, b);
		return 0;
	case OIP_STATS:
		return answer_stats(c, route, b, err);
	case OIP_INDEX:
		return answer_index(c, b, err);
	default:
		return answer_model(c, route, b, err);
	}
}

static void answer_now(struct http_call *c, const struct oip_route *route)
{
	struct err err = ERR_INIT;
	struct buf b = BUF_INIT;

	if (answer(c, route, &b, &err) >= 0) {
		http_reply(c, 200, HTTP_JSON, &b);
		return;
	}
	buf_done(&b);
	oip_rest_error(c, &err);
}

static void repository_done(void *arg, const struct err *err)
{
	struct http_call *c = arg;
	struct buf b = BUF_INIT;

	if (err->code) {
		oip_rest_error(c, err);
		return;
	}
	buf_adds(&b, "{}");
	http_reply(c, 200, HTTP_JSON, &b);
}

static void change_repository(struct http_call *c, const struct oip_route *route)
{
	struct oip_change change = {.name = route->spec.name, .load = route->verb == OIP_LOAD};
	struct err err = ERR_INIT;

	if (oip_change_parameters_json(c->body, &err) < 0)
		oip_rest_error(c, &err);
	else
		oip_repository_change(c->server, &change, repository_done, c);
}

static void refuse(struct http_call *c, const struct oip_route *route, const struct err *err)
{
	if (err->code == ERR_METHOD)
		http_add_header(c, "Allow", route->allowed);
	oip_rest_error(c, err);
}

void oip_rest_handle(struct http_call *c)
{
	struct arena arena = ARENA_INIT(16384);
	struct oip_route route;
	struct err err = ERR_INIT;

	if (oip_route_parse(c->method, c->path, &arena, &route, &err) < 0)
		refuse(c, &route, &err);
	else if (route.verb == OIP_INFER)
		oip_rest_infer(c, &route);
	else if (route.verb == OIP_LIVE || route.verb == OIP_READY)
		answer_health(c, route.verb == OIP_READY);
	else if (route.verb == OIP_MODEL_READY)
		answer_model_ready(c, &route);
	else if (route.verb == OIP_LOAD || route.verb == OIP_UNLOAD)
		change_repository(c, &route);
	else
		answer_now(c, &route);
	arena_done(&arena);
}
