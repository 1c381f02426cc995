/* SPDX-License-Identifier: Apache-2.0 */
/* TensorBoards: create for a job or an address, look, remove; and their pages, which pass through with the
 * caller's login checked here. Nothing of the caller's credentials goes on to the container. */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "net/http_client.h"

#define QUESTION_BYTES_MAX (1024 * 1024)
#define ANSWER_BYTES_MAX (64 * 1024 * 1024)
#define ANSWER_MS 120000

/* ---- create ---- */

struct creation {
	struct http_exchange *x;
	struct service_spec spec;
};

static void creation_free(struct creation *c)
{
	service_spec_done(&c->spec);
	free(c);
}

static void submit(struct creation *c)
{
	struct http_exchange *x = c->x;
	struct api *a = x->app;
	struct ctl_idempotency idem = api_idempotency(x);
	ctl_service_create(a->config.ctl, api_principal(x), SERVICE_TENSORBOARD, &c->spec, &idem,
			   api_done_created, x);
	creation_free(c);
}

/* Everything of a job: what it writes to its summaries' place, and event files among its outputs. */
static void job_found(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct creation *c = arg;
	if (err->code) {
		http_reply_error(c->x, err);
		creation_free(c);
		return;
	}
	free(c->spec.job);
	c->spec.job = NULL;
	c->spec.uri = mem_printf("fds://%s/jobs/%s", result->job->org, result->job->id);
	submit(c);
}

static void post_tensorboard(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	struct creation *c = MEM_NEW(struct creation);
	c->x = x;
	service_spec_init(&c->spec);
	if (service_spec_parse_tensorboard(x->json, &c->spec, &err) < 0) {
		http_reply_error(x, &err);
		creation_free(c);
	} else if (c->spec.job) {
		ctl_job_get(a->config.ctl, api_principal(x), c->spec.job, job_found, c);
	} else {
		submit(c);
	}
}

/* ---- look, remove ---- */

static void list_tensorboards(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	struct ctl_list_query q;
	int r = api_list_query(x, &q, &err);
	q.kind = SERVICE_TENSORBOARD;
	if (r < 0)
		http_reply_error(x, &err);
	else
		ctl_service_list(a->config.ctl, api_principal(x), &q, api_reply_services, x);
}

static void get_tensorboard(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_service_get(a->config.ctl, api_principal(x), SERVICE_TENSORBOARD, http_param(x, "tensorboard"),
			api_done_ok, x);
}

static void delete_tensorboard(struct http_exchange *x, void *app)
{
	struct api *a = app;
	const char *name = http_param(x, "tensorboard");
	struct ctl_idempotency idem = api_idempotency_of(x, name);
	ctl_service_delete(a->config.ctl, api_principal(x), SERVICE_TENSORBOARD, name, &idem,
			   api_done_accepted, x);
}

/* ---- pages ---- */

static void answered(void *arg, struct http_response *response, const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code) {
		struct err named = *err;
		if (named.code == ERR_TOO_LARGE) /* it is not what was asked that is too large */
			named.code = ERR_BACKEND;
		err_wrap(&named, "asking TensorBoard '%s'", x->uri.segments[1]);
		http_reply_error(x, &named);
		return;
	}
	const char *type = response->content_type;
	http_reply_buf(x, response->status, *type ? type : "application/octet-stream", &response->body);
}

static int dial(struct api *a, const struct service *s, struct err *err)
{
	struct backend *b = a->config.backend;
	char task[TASK_NAME_MAX + 1];
	const char *why = *s->message ? s->message : "it answers as soon as it is ready";
	if (s->state != SERVICE_READY)
		return err_set(err, ERR_UNAVAILABLE, "TensorBoard '%s' is %s: %s", s->spec.name,
			       service_state_word(s->state), why);
	if (!b->ops->dial)
		return err_set(err, ERR_UNSUPPORTED, "this backend cannot reach a TensorBoard");
	ctl_service_task_name(s, &s->replicas[0], task);
	int fd = b->ops->dial(b, task, err);
	if (fd >= 0)
		return fd;
	log_debug("tensorboard.dial task=%s error=\"%s\"", task, err->msg);
	*err = ERR_INIT;
	return err_set(err, ERR_UNAVAILABLE,
		       "TensorBoard '%s' does not answer; it is started again when this lasts: "
		       "'cloudml tensorboard describe %s' shows it",
		       s->spec.name, s->spec.name);
}

static void pass_on(void *arg, const struct ctl_result *result, const struct err *not_found)
{
	struct http_exchange *x = arg;
	struct api *a = x->app;
	struct err err = *not_found;
	if (!err.code && x->uri.segment_count == 2 && !x->uri.trailing_slash) {
		CLEANUP(free) char *with_slash = mem_printf("/tensorboard/%s/", result->service->spec.name);
		http_reply_header(x, "Location", with_slash);
		http_reply_empty(x, 302);
		return;
	}
	int fd = err.code ? -1 : dial(a, result->service, &err);
	if (fd < 0) {
		http_reply_error(x, &err);
		return;
	}
	const char *type = http_header(x, "Content-Type");
	bool is_post = !strcmp(x->method, "POST");
	struct http_call call = {.method = is_post ? "POST" : "GET",
				 .address = "tensorboard",
				 .path = x->target,
				 .content_type = is_post ? type : NULL,
				 .body = x->body.data,
				 .body_len = x->body.len,
				 .answer_max_bytes = ANSWER_BYTES_MAX,
				 .timeout_ms = ANSWER_MS,
				 .among = &a->calls};
	http_client_call_on(a->config.loop, fd, &call, answered, x);
}

static void pass(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_service_get(a->config.ctl, api_principal(x), SERVICE_TENSORBOARD, x->uri.segments[1], pass_on, x);
}

static const struct http_param list_params[] = {
    {"state", "string", "only those in this state"},
    {"name", "string", "only this one"},
    {"limit", "integer", "at most this many, 1 to 1000; default 100"},
    {"before", "integer", "only those made before this one: 'next' of the page before"},
    {NULL}};

const struct http_route api_tensorboard_routes[] = {
    {"POST", "/api/v1/tensorboards", HTTP_MEMBER, HTTP_BODY_JSON, CORE_SPEC_BYTES_MAX, post_tensorboard,
     "tensorboards", "Show a job or a folder of the store in TensorBoard", NULL, "TensorboardSpec",
     "Tensorboard", 201, 10},
    {"GET", "/api/v1/tensorboards", HTTP_VIEWER, HTTP_BODY_NONE, 0, list_tensorboards, "tensorboards",
     "List TensorBoards", list_params, NULL, "TensorboardList", 200},
    {"GET", "/api/v1/tensorboards/{tensorboard}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_tensorboard,
     "tensorboards", "A TensorBoard", NULL, NULL, "Tensorboard", 200},
    {"DELETE", "/api/v1/tensorboards/{tensorboard}", HTTP_MEMBER, HTTP_BODY_NONE, 0, delete_tensorboard,
     "tensorboards", "Stop and remove a TensorBoard", NULL, NULL, "Tensorboard", 202},
    {"GET", "/api/v1/tensorboards/{tensorboard}/logs", HTTP_VIEWER, HTTP_BODY_NONE, 0, api_tensorboard_logs,
     "tensorboards", "What a TensorBoard wrote", api_model_log_params, NULL, "text", 200},
    {"GET", "/tensorboard/{tensorboard...}", HTTP_VIEWER, HTTP_BODY_NONE, 0, pass, "tensorboards",
     "The pages of a TensorBoard", NULL, NULL, "bytes", 200, .is_passage = true},
    {"POST", "/tensorboard/{tensorboard...}", HTTP_VIEWER, HTTP_BODY_BYTES, QUESTION_BYTES_MAX, pass,
     "tensorboards", "Questions that the pages of a TensorBoard ask", NULL, "bytes", "bytes", 200,
     .is_passage = true},
    {.method = NULL},
};
