/* SPDX-License-Identifier: Apache-2.0 */
/* Models: create from a job or an address, change, look, remove; predictions pass through. */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/http_client.h"

#define PREDICT_BYTES_MAX (64 * 1024 * 1024)
#define PREDICT_MS 120000

/* ---- create, update ---- */

struct creation {
	struct http_exchange *x;
	struct api *api;
	struct service_spec spec;
	int64_t base_revision; /* of an update; 0 = a new one */
	struct err err;
};

static void creation_free(struct creation *c)
{
	service_spec_done(&c->spec);
	free(c);
}

static void creation_fail(struct creation *c, const struct err *err)
{
	http_reply_error(c->x, err);
	creation_free(c);
}

static void resolve(void *arg)
{
	struct creation *c = arg;
	if (api_model_resolve(c->api->config.blobs, api_principal(c->x)->org, &c->spec, &c->err) >= 0)
		c->err = ERR_INIT;
}

static void resolved(void *arg)
{
	struct creation *c = arg;
	if (c->err.code) {
		creation_fail(c, &c->err);
		return;
	}
	if (c->base_revision) {
		const char *name = http_param(c->x, "model");
		struct ctl_idempotency idem = api_idempotency_of(c->x, name);
		ctl_service_update(c->api->config.ctl, api_principal(c->x), name, &c->spec, c->base_revision,
				   &idem, api_done_ok, c->x);
		creation_free(c);
		return;
	}
	struct ctl_idempotency idem = api_idempotency(c->x);
	ctl_service_create(c->api->config.ctl, api_principal(c->x), SERVICE_MODEL, &c->spec, &idem,
			   api_done_created, c->x);
	creation_free(c);
}

static void job_found(void *arg, const struct ctl_result *result, const struct err *not_found)
{
	struct creation *c = arg;
	if (not_found->code) {
		creation_fail(c, not_found);
		return;
	}
	const struct job *job = result->job;
	if (job->state != JOB_COMPLETED) {
		err_set(&c->err, ERR_STATE, "job '%s' is %s; a model can be made of a completed job", job->id,
			job_state_word(job->state));
		creation_fail(c, &c->err);
		return;
	}
	free(c->spec.job);
	c->spec.job = mem_strdup(job->id);
	api_work(c->api, resolve, resolved, c);
}

static void post_model(struct http_exchange *x, void *app)
{
	struct creation *c = MEM_NEW(struct creation);
	c->x = x;
	c->api = app;
	service_spec_init(&c->spec);
	int r = service_spec_parse(x->json, &c->spec, &c->err);
	if (r == 0 && c->spec.uri && c->spec.job)
		r = err_set(&c->err, ERR_INVALID, "model has 'uri' and 'job'; give one of them");
	if (r < 0)
		creation_fail(c, &c->err);
	else if (c->spec.job)
		ctl_job_get(c->api->config.ctl, api_principal(x), c->spec.job, job_found, c);
	else
		api_work(c->api, resolve, resolved, c);
}

/* The changes over what is there; files that are named anew are looked at. */
static void change(void *arg, const struct ctl_result *result, const struct err *not_found)
{
	struct creation *c = arg;
	const json_t *changes = c->x->json;
	if (not_found->code) {
		creation_fail(c, not_found);
		return;
	}
	c->base_revision = result->service->revision;
	service_spec_copy(&result->service->spec, &c->spec);
	if (service_spec_patch(&c->spec, changes, &c->err) < 0)
		creation_fail(c, &c->err);
	else if (!c->spec.uri)
		ctl_job_get(c->api->config.ctl, api_principal(c->x), c->spec.job, job_found, c);
	else if (json_object_get(changes, "uri") || json_object_get(changes, "weights"))
		api_work(c->api, resolve, resolved, c);
	else
		resolved(c);
}

static void patch_model(struct http_exchange *x, void *app)
{
	struct creation *c = MEM_NEW(struct creation);
	c->x = x;
	c->api = app;
	service_spec_init(&c->spec);
	ctl_service_get(c->api->config.ctl, api_principal(x), SERVICE_MODEL, http_param(x, "model"), change,
			c);
}

/* ---- look, remove ---- */

void api_reply_services(void *arg, const struct service *const *services, size_t count, bool more,
			const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, service_format(services[i]));
	json_t *next = more && count ? json_integer(services[count - 1]->seq) : json_null();
	http_reply_json(x, 200, json_pack("{s:o, s:o}", "data", list, "next", next));
}

static void list_models(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	struct ctl_list_query q;
	int r = api_list_query(x, &q, &err);
	if (r == 0 && http_query(x, "state")) {
		enum service_state state;
		r = service_state_parse(http_query(x, "state"), &state, &err);
		q.state = r == 0 ? (int)state : -1;
	}
	if (r < 0)
		http_reply_error(x, &err);
	else
		ctl_service_list(a->config.ctl, api_principal(x), &q, api_reply_services, x);
}

static void get_model(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_service_get(a->config.ctl, api_principal(x), SERVICE_MODEL, http_param(x, "model"), api_done_ok,
			x);
}

static void delete_model(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct ctl_idempotency idem = api_idempotency_of(x, http_param(x, "model"));
	ctl_service_delete(a->config.ctl, api_principal(x), SERVICE_MODEL, http_param(x, "model"), &idem,
			   api_done_accepted, x);
}

static void get_model_events(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	int64_t after = 0;
	char subject[CORE_NAME_MAX + 8];
	if (core_name_check("model", http_param(x, "model"), &err) < 0 ||
	    http_query_int(x, "after", 0, INT64_MAX, &after, &err) < 0) {
		http_reply_error(x, &err);
		return;
	}
	snprintf(subject, sizeof(subject), "model/%s", http_param(x, "model"));
	ctl_events(a->config.ctl, api_principal(x), subject, after, api_reply_events, x);
}

/* ---- predictions ---- */

static void answered(void *arg, struct http_response *response, const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code) {
		struct err named = *err;
		err_wrap(&named, "asking model '%s'", http_param(x, "model"));
		http_reply_error(x, &named);
		return;
	}
	/* The server of a model runs what its author made: whatever it calls its answer, ours is JSON. */
	http_reply_buf(x, response->status, "application/json", &response->body);
}

static void forward(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct http_exchange *x = arg;
	struct api *a = x->app;
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	const struct service *s = result->service;
	if (s->state != SERVICE_READY || !s->address[0]) {
		api_reply_failure(x, ERR_UNAVAILABLE, "model '%s' is %s%s%s", s->spec.name,
				  service_state_word(s->state), *s->message ? ": " : "", s->message);
		return;
	}
	bool predict = !strcmp(x->method, "POST");
	char path[160];
	snprintf(path, sizeof(path), "/v1/models/%s%s", s->spec.name, predict ? ":predict" : "/metadata");
	struct http_call call = {.method = predict ? "POST" : "GET",
				 .address = s->address,
				 .path = path,
				 .content_type = predict ? "application/json" : NULL,
				 .body = x->body.data,
				 .body_len = x->body.len,
				 .answer_max_bytes = PREDICT_BYTES_MAX,
				 .timeout_ms = PREDICT_MS,
				 .among = &a->calls};
	http_client_call(a->config.loop, &call, answered, x);
}

static void ask_model(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_service_get(a->config.ctl, api_principal(x), SERVICE_MODEL, http_param(x, "model"), forward, x);
}

static const struct http_param list_params[] = {
    {"state", "string", "only models in this state"},
    {"name", "string", "only this one"},
    {"limit", "integer", "at most this many, 1 to 1000; default 100"},
    {"before", "integer", "only models made before this one: 'next' of the page before"},
    {NULL}};
static const struct http_param event_params[] = {{"after", "integer", "only events after this seq"}, {NULL}};

const struct http_route api_model_routes[] = {
    {"POST", "/api/v1/models", HTTP_MEMBER, HTTP_BODY_JSON, CORE_SPEC_BYTES_MAX, post_model, "models",
     "Serve a model", NULL, "ModelSpec", "Model", 201, 10},
    {"GET", "/api/v1/models", HTTP_VIEWER, HTTP_BODY_NONE, 0, list_models, "models", "List models",
     list_params, NULL, "ModelList", 200},
    {"GET", "/api/v1/models/{model}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_model, "models", "A model", NULL,
     NULL, "Model", 200},
    {"PATCH", "/api/v1/models/{model}", HTTP_MEMBER, HTTP_BODY_JSON, CORE_SPEC_BYTES_MAX, patch_model,
     "models", "Change a model without a gap", NULL, "ModelChanges", "Model", 200},
    {"GET", "/api/v1/models/{model}/metrics", HTTP_VIEWER, HTTP_BODY_NONE, 0, api_model_metrics, "models",
     "Requests, errors and latency, summed over the replicas", NULL, NULL, "ModelMetrics", 200},
    {"DELETE", "/api/v1/models/{model}", HTTP_MEMBER, HTTP_BODY_NONE, 0, delete_model, "models",
     "Stop and remove a model", NULL, NULL, "Model", 202},
    {"GET", "/api/v1/models/{model}/events", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_model_events, "models",
     "History of a model", event_params, NULL, "EventList", 200},
    {"GET", "/api/v1/models/{model}/logs", HTTP_VIEWER, HTTP_BODY_NONE, 0, api_model_logs, "models",
     "What a model server wrote", api_model_log_params, NULL, "text", 200},
    {"GET", "/api/v1/models/{model}/metadata", HTTP_VIEWER, HTTP_BODY_NONE, 0, ask_model, "models",
     "Signatures, as TensorFlow Serving tells them", NULL, NULL, "Object", 200},
    {"POST", "/api/v1/models/{model}/predict", HTTP_VIEWER, HTTP_BODY_BYTES, PREDICT_BYTES_MAX, ask_model,
     "models", "Predict, body and answer as TensorFlow Serving's", NULL, "Object", "Object", 200},
    {.method = NULL},
};
