/* SPDX-License-Identifier: Apache-2.0 */
/* A model's metrics: every ready replica is asked for its Prometheus series over its own socket; counts and
 * histograms are summed, quantiles are taken from the sum. */
#include "api/api_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "api/model_series.h"
#include "net/http_client.h"

#define SERIES_BYTES_MAX (4 * 1024 * 1024)
#define SERIES_MS 5000

struct asked {
	struct gather *gather;
	int64_t slot;
	char error[160];
	struct model_series figures;
};

struct gather {
	struct http_exchange *x;
	struct api *api;
	char name[CORE_NAME_MAX + 1];
	size_t waiting, count;
	struct asked asked[SERVICE_SLOTS_MAX];
};

/* ---- telling ---- */

/* Sums of nonsense may be beyond what an integer holds. */
static json_int_t whole(double count)
{
	return count < 9e15 ? (json_int_t)count : (json_int_t)9e15;
}

static json_t *quantile(const struct model_series *f, double q)
{
	double us = model_series_quantile_us(f, q);
	return us < 0 ? json_null() : json_real(round(us) / 1000);
}

static json_t *figures_format(const struct model_series *f)
{
	return json_pack("{s:I, s:I, s:I, s:o, s:o}", "requests", whole(f->requests), "errors",
			 whole(f->errors), "in_flight", whole(f->in_flight), "p50_ms", quantile(f, 0.5),
			 "p99_ms", quantile(f, 0.99));
}

static void gather_reply(struct gather *g)
{
	struct model_series sum = {0};
	json_t *replicas = json_array();
	for (size_t i = 0; i < g->count; i++) {
		struct asked *a = &g->asked[i];
		json_t *one =
		    a->error[0] ? json_pack("{s:s}", "error", a->error) : figures_format(&a->figures);
		json_object_set_new(one, "replica", json_integer(a->slot));
		json_array_append_new(replicas, one);
		model_series_add(&sum, &a->figures);
	}
	json_t *j = figures_format(&sum);
	json_object_set_new(j, "replicas", replicas);
	json_object_set_new(j, "time_ms", json_integer(clock_wall_ms(g->api->config.clock)));
	http_reply_json(g->x, 200, j);
	free(g);
}

/* ---- asking ---- */

static void answered(void *arg, struct http_response *response, const struct err *err)
{
	struct asked *a = arg;
	struct gather *g = a->gather;
	if (err->code)
		snprintf(a->error, sizeof(a->error), "%.159s", err->msg);
	else if (response->status != 200)
		snprintf(a->error, sizeof(a->error), "it answered with status %d", response->status);
	else
		model_series_read(&a->figures, (char *)buf_str(&response->body), g->name);
	if (--g->waiting == 0)
		gather_reply(g);
}

static bool ask(struct gather *g, const struct service *s, const struct replica *r)
{
	struct backend *b = g->api->config.backend;
	struct asked *a = &g->asked[g->count++];
	struct http_call call = {.method = "GET",
				 .address = "model",
				 .path = "/metrics",
				 .answer_max_bytes = SERIES_BYTES_MAX,
				 .timeout_ms = SERIES_MS,
				 .among = &g->api->calls};
	char task[TASK_NAME_MAX + 1];
	struct err err = ERR_INIT;
	*a = (struct asked){.gather = g, .slot = r->slot};
	ctl_service_task_name(s, r, task);
	int fd = b->ops->dial ? b->ops->dial(b, task, &err)
			      : err_set(&err, ERR_UNSUPPORTED, "this backend cannot ask single replicas");
	if (fd < 0) {
		snprintf(a->error, sizeof(a->error), "%.159s", err.msg);
		return false;
	}
	http_client_call_on(g->api->config.loop, fd, &call, answered, a);
	return true;
}

static void found(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	const struct service *s = result->service;
	struct gather *g = MEM_NEW(struct gather);
	g->x = x;
	g->api = x->app;
	snprintf(g->name, sizeof(g->name), "%s", s->spec.name);
	for (size_t i = 0; i < s->replica_count; i++)
		if (s->replicas[i].state && !strcmp(s->replicas[i].state, "ready"))
			g->waiting += ask(g, s, &s->replicas[i]);
	if (!g->waiting)
		gather_reply(g);
}

void api_model_metrics(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_service_get(a->config.ctl, api_principal(x), SERVICE_MODEL, http_param(x, "model"), found, x);
}
