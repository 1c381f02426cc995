/* SPDX-License-Identifier: Apache-2.0 */
/* Crons: make, look, pause, resume, remove, history. */
#include "api/api_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static void post_cron(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	struct cron *cron = cron_new();
	if (cron_parse(x->json, cron, &err) < 0) {
		http_reply_error(x, &err);
		cron_free(cron);
		return;
	}
	struct ctl_idempotency idem = api_idempotency(x);
	ctl_cron_create(a->config.ctl, api_principal(x), cron, &idem, api_done_created, x);
}

static void list_crons(struct http_exchange *x, void *app)
{
	struct api *a = app;
	size_t count;
	CLEANUP(free)
	const struct cron **all = ctl_cron_list(a->config.ctl, api_principal(x)->org, &count);
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, cron_format(all[i]));
	http_reply_json(x, 200, json_pack("{s:o}", "data", list));
}

static void get_cron(struct http_exchange *x, void *app)
{
	struct api *a = app;
	const char *name = http_param(x, "cron");
	const struct cron *cron = ctl_cron_find(a->config.ctl, api_principal(x)->org, name);
	if (cron)
		http_reply_json(x, 200, cron_format(cron));
	else
		api_reply_failure(x, ERR_NOT_FOUND, "there is no cron '%.80s'; run 'cloudml cron list'",
				  name);
}

static void change(struct http_exchange *x, enum ctl_cron_change what, ctl_done_fn *done)
{
	struct api *a = x->app;
	struct ctl_idempotency idem = api_idempotency(x);
	ctl_cron_change(a->config.ctl, api_principal(x), http_param(x, "cron"), what, &idem, done, x);
}

static void pause_cron(struct http_exchange *x, void *app)
{
	change(x, CTL_CRON_PAUSE, api_done_ok);
}

static void resume_cron(struct http_exchange *x, void *app)
{
	change(x, CTL_CRON_RESUME, api_done_ok);
}

static void cron_removed(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	if (result->replayed)
		http_reply_header(x, "Idempotent-Replay", "true");
	http_reply_empty(x, 204);
}

static void delete_cron(struct http_exchange *x, void *app)
{
	change(x, CTL_CRON_DELETE, cron_removed);
}

static void get_cron_events(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	int64_t after = 0;
	char subject[CORE_NAME_MAX + 8];
	if (http_query_int(x, "after", 0, INT64_MAX, &after, &err) < 0) {
		http_reply_error(x, &err);
		return;
	}
	snprintf(subject, sizeof(subject), "cron/%.63s", http_param(x, "cron"));
	ctl_events(a->config.ctl, api_principal(x), subject, after, api_reply_events, x);
}

static const struct http_param event_params[] = {{"after", "integer", "only events after this seq"}, {NULL}};

const struct http_route api_cron_routes[] = {
    {"POST", "/api/v1/crons", HTTP_MEMBER, HTTP_BODY_JSON, CORE_SPEC_BYTES_MAX, post_cron, "crons",
     "Submit a job again and again", NULL, "CronSpec", "Cron", 201},
    {"GET", "/api/v1/crons", HTTP_VIEWER, HTTP_BODY_NONE, 0, list_crons, "crons", "List crons, oldest first",
     NULL, NULL, "CronList", 200},
    {"GET", "/api/v1/crons/{cron}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_cron, "crons",
     "A cron by its name or id", NULL, NULL, "Cron", 200},
    {"GET", "/api/v1/crons/{cron}/events", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_cron_events, "crons",
     "History of a cron", event_params, NULL, "EventList", 200},
    {"POST", "/api/v1/crons/{cron}/pause", HTTP_MEMBER, HTTP_BODY_NONE, 0, pause_cron, "crons",
     "No jobs until it is resumed", NULL, NULL, "Cron", 200},
    {"POST", "/api/v1/crons/{cron}/resume", HTTP_MEMBER, HTTP_BODY_NONE, 0, resume_cron, "crons",
     "Jobs again, from the next tick on", NULL, NULL, "Cron", 200},
    {"DELETE", "/api/v1/crons/{cron}", HTTP_MEMBER, HTTP_BODY_NONE, 0, delete_cron, "crons",
     "Remove a cron; its jobs stay", NULL, NULL, NULL, 204},
    {.method = NULL},
};
