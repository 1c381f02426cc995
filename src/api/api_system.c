/* SPDX-License-Identifier: Apache-2.0 */
/* The platform itself: health, version, status, catalogue, description of the API. */
#include "api/api_int.h"

#include <unistd.h>

static void get_health(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	if (ctl_health(a->config.ctl, &err) < 0)
		http_reply_error(x, &err);
	else
		http_reply_json(x, 200, json_pack("{s:s}", "status", "ok"));
}

static void get_version(struct http_exchange *x, void *app)
{
	http_reply_json(x, 200, json_pack("{s:s, s:s}", "version", CLOUDML_VERSION, "api", "v1"));
}

static void get_openapi(struct http_exchange *x, void *app)
{
	http_reply_json(x, 200, api_openapi());
}

static json_t *format_resources(const struct resources *r)
{
	return json_pack("{s:f, s:I, s:I}", "cpu", (double)r->cpu_milli / 1000.0, "memory",
			 (json_int_t)r->memory_bytes, "gpu", (json_int_t)r->gpu);
}

static void get_status(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct ctl_status s = {0};
	ctl_status(a->config.ctl, api_principal(x)->org, &s);
	json_t *jobs = json_object(), *models = json_object();
	for (int i = 0; i < JOB_STATE_COUNT; i++)
		json_object_set_new(jobs, job_state_word(i), json_integer(s.jobs_by_state[i]));
	for (int i = 0; i < SERVICE_DELETED; i++)
		json_object_set_new(models, service_state_word(i), json_integer(s.services_by_state[i]));
	json_t *j = json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "version", CLOUDML_VERSION, "uptime_ms",
			      (json_int_t)(clock_monotonic_ms(a->config.clock) - a->started_ms), "backend",
			      a->config.backend->ops->describe(a->config.backend), "capacity",
			      format_resources(&s.capacity), "used", format_resources(&s.used), "jobs", jobs,
			      "models", models);
	/* Where and as what the server runs is the platform's affair. */
	if (api_principal(x)->is_platform) {
		json_object_set_new(j, "pid", json_integer(getpid()));
		json_object_set_new(j, "data_folder", json_string(a->config.data_folder));
	}
	http_reply_json(x, 200, j);
}

static void get_frameworks(struct http_exchange *x, void *app)
{
	struct api *a = app;
	json_t *list = json_array();
	for (size_t i = 0; i < a->config.catalogue->count; i++)
		json_array_append_new(list, framework_format(&a->config.catalogue->items[i]));
	http_reply_json(x, 200, json_pack("{s:o}", "data", list));
}

const struct http_route api_system_routes[] = {
    {"GET", "/healthz", HTTP_OPEN, HTTP_BODY_NONE, 0, get_health, "system", "Is the server alive", NULL, NULL,
     "Health", 200},
    {"GET", "/api/v1/healthz", HTTP_OPEN, HTTP_BODY_NONE, 0, get_health, "system", "Is the server alive",
     NULL, NULL, "Health", 200},
    {"GET", "/api/v1/version", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_version, "system", "Version", NULL, NULL,
     "Version", 200},
    {"GET", "/api/v1/openapi.json", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_openapi, "system",
     "This description of the API", NULL, NULL, "Object", 200, 20},
    {"GET", "/api/v1/status", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_status, "system",
     "Capacity, use and counts", NULL, NULL, "Status", 200},
    {"GET", "/api/v1/frameworks", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_frameworks, "system",
     "The catalogue of frameworks", NULL, NULL, "FrameworkList", 200},
    {.method = NULL},
};
