/* SPDX-License-Identifier: Apache-2.0 */
/* All routes, and the life of the API. */
#include "api/api_int.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "base/mem.h"
#include "net/http_client.h"

const struct http_route *const api_routes[] = {api_system_routes,
					       api_snapshot_routes,
					       api_hold_routes,
					       api_session_routes,
					       api_job_routes,
					       api_cron_routes,
					       api_model_routes,
					       api_tensorboard_routes,
					       api_watch_routes,
					       api_store_routes,
					       api_store_bucket_routes,
					       api_store_check_routes,
					       api_store_upload_routes,
					       api_org_routes,
					       api_user_routes,
					       api_key_routes,
					       api_quota_routes,
					       api_usage_routes,
					       NULL};

int api_new(const struct api_config *config, struct api **ret, struct err *err)
{
	struct api *a = MEM_NEW(struct api);
	a->config = *config;
	list_init(&a->calls);
	a->started_ms = clock_monotonic_ms(config->clock);
	struct http_server_config http = {.loop = config->loop,
					  .address = config->address,
					  .port = config->port,
					  .host_names = config->host_names,
					  .routes = api_routes,
					  .fallback = api_console,
					  .authenticate = api_authenticate,
					  .app = a};
	api_streams_open(a);
	api_holds_open(a);
	api_limits_open(a);
	int r = api_session_open(a, err);
	if (r == 0)
		r = http_server_new(&http, &a->server, err);
	if (r < 0) {
		api_session_close(a);
		api_streams_close(a);
		api_limits_close(a);
		free(a);
		return r;
	}
	*ret = a;
	return 0;
}

int api_port(const struct api *a)
{
	return http_server_port(a->server);
}

void api_free(struct api *a, int grace_ms)
{
	if (!a)
		return;
	int64_t end_ms = clock_monotonic_ms(&clock_real) + grace_ms;
	http_server_quiesce(a->server);
	api_store_check_stop(a);
	while (http_server_busy(a->server) > a->streams && clock_monotonic_ms(&clock_real) < end_ms)
		loop_run_once(a->config.loop, 100);
	http_client_end(&a->calls);
	http_server_free(a->server);
	while (a->works)
		loop_run_once(a->config.loop, 100);
	api_store_check_free(a);
	api_holds_close(a);
	api_session_close(a);
	api_streams_close(a);
	api_limits_close(a);
	free(a);
}

/* ---- pool work ---- */

struct api_pool_work {
	struct api *api;
	void (*work)(void *arg);
	void (*done)(void *arg);
	void *arg;
};

static void run_work(void *arg)
{
	struct api_pool_work *w = arg;
	w->work(w->arg);
}

static void work_done(void *arg)
{
	struct api_pool_work *w = arg;
	w->api->works--;
	w->done(w->arg);
	free(w);
}

void api_work(struct api *a, void (*work)(void *arg), void (*done)(void *arg), void *arg)
{
	struct api_pool_work *w = MEM_NEW(struct api_pool_work);
	*w = (struct api_pool_work){a, work, done, arg};
	a->works++;
	loop_work(a->config.loop, run_work, work_done, w);
}

/* ---- small things that all nouns use ---- */

const struct principal *api_principal(const struct http_exchange *x)
{
	return x->principal;
}

void api_reply_failure(struct http_exchange *x, int code, const char *fmt, ...)
{
	struct err err = {.code = code};
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(err.msg, sizeof(err.msg), fmt, ap);
	va_end(ap);
	http_reply_error(x, &err);
}

struct ctl_idempotency api_idempotency(struct http_exchange *x)
{
	char *digest = arena_alloc(&x->arena, DIGEST_HEX_LEN + 1);
	struct digest d;
	digest_init(&d);
	digest_update(&d, x->method, strlen(x->method));
	for (size_t i = 0; i < x->uri.segment_count; i++) {
		digest_update(&d, "/", 1);
		digest_update(&d, x->uri.segments[i], strlen(x->uri.segments[i]));
	}
	digest_update(&d, "\n", 1);
	digest_update(&d, buf_str(&x->body), x->body.len);
	digest_hex(&d, digest);
	const char *key = http_header(x, "Idempotency-Key");
	return (struct ctl_idempotency){key ? arena_strndup(&x->arena, key, strlen(key)) : NULL, digest};
}

struct ctl_idempotency api_idempotency_of(struct http_exchange *x, const char *noun)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct ctl_idempotency idem = api_idempotency(x);
	buf_printf(&text, "%s %s\n", x->method, noun);
	buf_add(&text, x->body.data, x->body.len);
	digest_of(buf_str(&text), text.len, (char *)idem.body_sha256);
	return idem;
}

static void reply_result(struct http_exchange *x, int status, const struct ctl_result *result,
			 const struct err *err)
{
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	if (result->replayed)
		http_reply_header(x, "Idempotent-Replay", "true");
	http_reply_json(x, status,
			result->job    ? job_format(result->job)
			: result->cron ? cron_format(result->cron)
				       : service_format(result->service));
}

void api_done_ok(void *arg, const struct ctl_result *result, const struct err *err)
{
	reply_result(arg, 200, result, err);
}

void api_done_created(void *arg, const struct ctl_result *result, const struct err *err)
{
	reply_result(arg, 201, result, err);
}

void api_done_accepted(void *arg, const struct ctl_result *result, const struct err *err)
{
	reply_result(arg, 202, result, err);
}

int api_list_query(const struct http_exchange *x, struct ctl_list_query *ret, struct err *err)
{
	*ret = (struct ctl_list_query){.state = -1, .name = http_query(x, "name"), .limit = 100};
	int r = http_query_int(x, "limit", 1, 1000, &ret->limit, err);
	if (r == 0)
		r = http_query_int(x, "before", 1, INT64_MAX, &ret->before_seq, err);
	return r;
}

void api_reply_events(void *arg, const struct event *events, size_t count, const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, event_format(&events[i]));
	http_reply_json(x, 200, json_pack("{s:o}", "data", list));
}
