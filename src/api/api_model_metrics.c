/* SPDX-License-Identifier: Apache-2.0 */
/* A model's metrics: every ready replica is asked for its Prometheus series over its own socket; counts and
 * histograms are summed, quantiles are taken from the sum. */
#include "api/api_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/http_client.h"

#define SERIES_BYTES_MAX (4 * 1024 * 1024)
#define SERIES_MS 5000
#define BOUNDS_MAX 64
#define COUNT_SERIES ":tensorflow:serving:request_count{"
#define BUCKET_SERIES ":tensorflow:serving:request_latency_bucket{"
#define IN_FLIGHT_SERIES "cloudml_serving_requests_in_flight "

struct figures {
	double requests, errors, in_flight;
	double bounds[BOUNDS_MAX], below[BOUNDS_MAX]; /* µs; requests that took at most so long */
	size_t bound_count;
};

struct asked {
	struct gather *gather;
	int64_t slot;
	char error[160];
	struct figures figures;
};

struct gather {
	struct http_exchange *x;
	struct api *api;
	char name[CORE_NAME_MAX + 1];
	size_t waiting, count;
	struct asked asked[SERVICE_SLOTS_MAX];
};

/* ---- reading ---- */

/* The value of a label in "{…}", cut at cap. */
static bool label(const char *line, const char *key, char *ret, size_t cap)
{
	char with[32];
	snprintf(with, sizeof(with), "%s=\"", key);
	const char *at = strstr(line, with);
	if (!at)
		return false;
	at += strlen(with);
	snprintf(ret, cap, "%.*s", (int)strcspn(at, "\"\n"), at);
	return true;
}

static double value(const char *line)
{
	const char *brace = strrchr(line, '}'), *space = strchr(brace ? brace : line, ' ');
	double v = space ? strtod(space, NULL) : 0;
	return isfinite(v) && v >= 0 ? v : 0;
}

static void add_bucket(struct figures *f, double bound, double count)
{
	size_t i = 0;
	while (i < f->bound_count && f->bounds[i] < bound)
		i++;
	if (i < f->bound_count && f->bounds[i] == bound) {
		f->below[i] += count;
		return;
	}
	if (f->bound_count == BOUNDS_MAX)
		return;
	memmove(&f->bounds[i + 1], &f->bounds[i], (f->bound_count - i) * sizeof(double));
	memmove(&f->below[i + 1], &f->below[i], (f->bound_count - i) * sizeof(double));
	f->bounds[i] = bound;
	f->below[i] = count;
	f->bound_count++;
}

static void read_line(struct figures *f, const char *line, const char *model)
{
	char text[CORE_NAME_MAX + 1];
	bool is_count = str_starts(line, COUNT_SERIES), is_bucket = str_starts(line, BUCKET_SERIES);
	if (str_starts(line, IN_FLIGHT_SERIES))
		f->in_flight += value(line);
	if (!is_count && !is_bucket)
		return;
	if (!label(line, "model_name", text, sizeof(text)) || strcmp(text, model))
		return;
	if (is_bucket && label(line, "le", text, sizeof(text)))
		add_bucket(f, strtod(text, NULL), value(line));
	if (is_count)
		f->requests += value(line);
	if (is_count && label(line, "status", text, sizeof(text)) && strcmp(text, "OK"))
		f->errors += value(line);
}

/* What a model's author made wrote this: nothing of it is believed to be well formed. */
static void read_series(struct figures *f, char *text, const char *model)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_line(f, line, model);
}

/* ---- telling ---- */

/* By even spread inside a bucket; NULL without requests. */
static json_t *quantile_ms(const struct figures *f, double q)
{
	double total = f->bound_count ? f->below[f->bound_count - 1] : 0, want = q * total;
	double low = 0, count_low = 0;
	if (total <= 0)
		return json_null();
	for (size_t i = 0; i < f->bound_count; i++) {
		double high = f->bounds[i], count = f->below[i] - count_low;
		if (f->below[i] >= want && count > 0) {
			double us = isfinite(high) ? low + (high - low) * (want - count_low) / count : low;
			return json_real(round(us) / 1000);
		}
		low = isfinite(high) ? high : low;
		count_low = f->below[i];
	}
	return json_real(round(low) / 1000);
}

static json_t *figures_format(const struct figures *f)
{
	return json_pack("{s:I, s:I, s:I, s:o, s:o}", "requests", (json_int_t)f->requests, "errors",
			 (json_int_t)f->errors, "in_flight", (json_int_t)f->in_flight, "p50_ms",
			 quantile_ms(f, 0.5), "p99_ms", quantile_ms(f, 0.99));
}

static void figures_add(struct figures *sum, const struct figures *f)
{
	sum->requests += f->requests;
	sum->errors += f->errors;
	sum->in_flight += f->in_flight;
	for (size_t i = 0; i < f->bound_count; i++)
		add_bucket(sum, f->bounds[i], f->below[i]);
}

static void gather_reply(struct gather *g)
{
	struct figures sum = {0};
	json_t *replicas = json_array();
	for (size_t i = 0; i < g->count; i++) {
		struct asked *a = &g->asked[i];
		json_t *one =
		    a->error[0] ? json_pack("{s:s}", "error", a->error) : figures_format(&a->figures);
		json_object_set_new(one, "replica", json_integer(a->slot));
		json_array_append_new(replicas, one);
		figures_add(&sum, &a->figures);
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
		read_series(&a->figures, (char *)buf_str(&response->body), g->name);
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
				 .timeout_ms = SERIES_MS};
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
	ctl_service_get(a->config.ctl, api_principal(x), http_param(x, "model"), found, x);
}
