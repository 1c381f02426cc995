/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs: submit, look, cancel, remove, history, metrics. */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "core/store_layout.h"

#define METRICS_BYTES_MAX (32 * 1024 * 1024)

/* ---- submit ---- */

struct submission {
	struct http_exchange *x;
	struct api *api;
	struct job_spec spec;
	struct uri package;
	struct err err;
};

static void submission_free(struct submission *s)
{
	job_spec_done(&s->spec);
	free(s);
}

static void submission_send(struct submission *s)
{
	struct ctl_idempotency idem = api_idempotency(s->x);
	ctl_job_submit(s->api->config.ctl, api_principal(s->x), &s->spec, &idem, api_done_created, s->x);
	submission_free(s);
}

static void stat_package(void *arg)
{
	struct submission *s = arg;
	struct blob_store *b = s->api->config.blobs;
	struct blob_info info;
	if (b->ops->stat(b, api_principal(s->x)->org, s->package.bucket, s->package.key, NULL, &info, NULL,
			 &s->err) >= 0)
		s->err = ERR_INIT;
}

static void package_known(void *arg)
{
	struct submission *s = arg;
	if (!s->err.code) {
		submission_send(s);
		return;
	}
	if (s->err.code == ERR_NOT_FOUND)
		api_reply_failure(
		    s->x, ERR_INVALID,
		    "package '%s' is not in the store; upload it first (PUT /api/v1/store/%s/%s)",
		    s->spec.package, s->package.bucket, s->package.key);
	else
		http_reply_error(s->x, &s->err);
	submission_free(s);
}

static void post_job(struct http_exchange *x, void *app)
{
	struct submission *s = MEM_NEW(struct submission);
	s->x = x;
	s->api = app;
	job_spec_init(&s->spec);
	int r = job_spec_parse(x->json, &s->spec, &s->err);
	if (r == 0 && s->spec.package)
		r = uri_parse(s->spec.package, &s->package, &s->err);
	if (r < 0) {
		http_reply_error(x, &s->err);
		submission_free(s);
	} else if (s->spec.package) {
		api_work(app, stat_package, package_known, s);
	} else {
		submission_send(s);
	}
}

/* ---- look ---- */

static void reply_jobs(void *arg, const struct job *const *jobs, size_t count, bool more,
		       const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, job_format(jobs[i]));
	json_t *next = more && count ? json_integer(jobs[count - 1]->seq) : json_null();
	http_reply_json(x, 200, json_pack("{s:o, s:o}", "data", list, "next", next));
}

static void list_jobs(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	struct ctl_list_query q;
	int r = api_list_query(x, &q, &err);
	q.array = http_query(x, "array");
	if (r == 0 && http_query(x, "state")) {
		enum job_state state;
		r = job_state_parse(http_query(x, "state"), &state, &err);
		q.state = r == 0 ? (int)state : -1;
	}
	if (r < 0)
		http_reply_error(x, &err);
	else
		ctl_job_list(a->config.ctl, api_principal(x), &q, reply_jobs, x);
}

static void get_job(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_job_get(a->config.ctl, api_principal(x), http_param(x, "job"), api_done_ok, x);
}

static void job_explained(void *arg, const struct ctl_result *result, const struct err *err)
{
	if (err->code)
		http_reply_error(arg, err);
	else
		http_reply_json(arg, 200, json_incref(result->explanation));
}

static void explain_job(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_job_explain(a->config.ctl, api_principal(x), http_param(x, "job"), job_explained, x);
}

static void cancel_job(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct ctl_idempotency idem = api_idempotency(x);
	ctl_job_cancel(a->config.ctl, api_principal(x), http_param(x, "job"), &idem, api_done_accepted, x);
}

/* Events are kept by id; the path may hold a name. */
static void job_found_events(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct http_exchange *x = arg;
	struct api *a = x->app;
	struct err bad = ERR_INIT;
	int64_t after = 0;
	if (err->code)
		http_reply_error(x, err);
	else if (http_query_int(x, "after", 0, INT64_MAX, &after, &bad) < 0)
		http_reply_error(x, &bad);
	else
		ctl_events(a->config.ctl, api_principal(x), result->job->id, after, api_reply_events, x);
}

static void get_job_events(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_job_get(a->config.ctl, api_principal(x), http_param(x, "job"), job_found_events, x);
}

/* ---- remove ---- */

struct removal {
	struct http_exchange *x;
	struct api *api;
	char id[16];
	struct err err;
};

/* Objects first: a row without objects can be removed again, objects without a row would stay for ever. */
static void remove_objects(void *arg)
{
	struct removal *m = arg;
	struct blob_store *b = m->api->config.blobs;
	const char *org = api_principal(m->x)->org;
	char prefix[64];
	snprintf(prefix, sizeof(prefix), "jobs/%s/", m->id);
	int r = 0;
	for (bool more = true; more && r >= 0;) {
		struct blob_list list = {0};
		r = b->ops->list(b, org, org, prefix, NULL, 0, BLOB_LIST_MAX, &list, &m->err);
		for (size_t i = 0; i < list.count && r >= 0; i++)
			r = b->ops->remove(b, org, org, list.entries[i].key, &m->err);
		more = list.truncated;
		blob_list_done(&list);
	}
	if (r >= 0 || r == -ERR_NOT_FOUND) /* the bucket was never made */
		m->err = ERR_INIT;
}

static void row_removed(void *arg, const struct ctl_result *result, const struct err *err)
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

static void remove_row(struct http_exchange *x, const char *id)
{
	struct api *a = x->app;
	struct ctl_idempotency idem = api_idempotency(x);
	ctl_job_delete(a->config.ctl, api_principal(x), id, &idem, row_removed, x);
}

static void objects_removed(void *arg)
{
	struct removal *m = arg;
	if (m->err.code)
		http_reply_error(m->x, &m->err);
	else
		remove_row(m->x, m->id);
	free(m);
}

static void job_found_removal(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code == ERR_NOT_FOUND && http_header(x, "Idempotency-Key")) {
		remove_row(x, http_param(x, "job")); /* by a request before this one? its key knows */
		return;
	}
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	const struct job *job = result->job;
	if (!job_state_is_terminal(job->state)) {
		api_reply_failure(x, ERR_STATE, "job '%s' is %s; cancel it first", job->id,
				  job_state_word(job->state));
		return;
	}
	struct removal *m = MEM_NEW(struct removal);
	m->x = x;
	m->api = x->app;
	snprintf(m->id, sizeof(m->id), "%s", job->id);
	api_work(m->api, remove_objects, objects_removed, m);
}

/* Nothing is removed for a key that was another request's. */
static void key_known(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct http_exchange *x = arg;
	struct api *a = x->app;
	if (err->code)
		http_reply_error(x, err);
	else
		ctl_job_get(a->config.ctl, api_principal(x), http_param(x, "job"), job_found_removal, x);
}

static void delete_job(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct ctl_idempotency idem = api_idempotency(x);
	if (idem.key)
		ctl_key_check(a->config.ctl, api_principal(x), &idem, key_known, x);
	else
		ctl_job_get(a->config.ctl, api_principal(x), http_param(x, "job"), job_found_removal, x);
}

/* ---- metrics ---- */

struct metrics_read {
	struct http_exchange *x;
	struct api *api;
	char task[TASK_NAME_MAX + 1], key[96];
	json_t *series;
	struct err err;
};

static int parse_object(struct blob_store *s, struct blob_get *get, int64_t size, json_t **ret,
			struct err *err)
{
	if (size > METRICS_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE, "the metrics are larger than %d bytes", METRICS_BYTES_MAX);
	CLEANUP(free) char *text = mem_alloc((size_t)size + 1);
	ssize_t n = 0, got = 0;
	while (got < size && (n = s->ops->get_read(get, got, text + got, (size_t)(size - got), err)) > 0)
		got += n;
	return n < 0 ? (int)n : json_parse(text, (size_t)got, METRICS_BYTES_MAX, ret, err);
}

static int read_collected(struct metrics_read *m, struct err *err)
{
	struct blob_store *s = m->api->config.blobs;
	const char *org = api_principal(m->x)->org;
	struct blob_get *get = NULL;
	struct blob_info info;
	int r = s->ops->get_open(s, org, org, m->key, NULL, &get, &info, err);
	if (r < 0)
		return r == -ERR_NOT_FOUND ? 0 : r;
	r = parse_object(s, get, info.size_bytes, &m->series, err);
	s->ops->get_close(get);
	return r;
}

/* The task's own while it exists, then what was collected; none yet is no error. */
static void read_metrics(void *arg)
{
	struct metrics_read *m = arg;
	struct backend *b = m->api->config.backend;
	int r = b->ops->metrics_read(b, m->task, &m->series, &m->err);
	if (r == -ERR_NOT_FOUND)
		r = read_collected(m, &m->err);
	if (r >= 0)
		m->err = ERR_INIT;
}

static void metrics_known(void *arg)
{
	struct metrics_read *m = arg;
	if (m->err.code)
		http_reply_error(m->x, &m->err);
	else
		http_reply_json(m->x, 200, json_pack("{s:o}", "data", m->series ? m->series : json_object()));
	free(m);
}

static void job_found_metrics(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct http_exchange *x = arg;
	struct err bad = ERR_INIT;
	int64_t attempt = 0, task = 0;
	if (err->code || http_query_int(x, "attempt", 0, INT32_MAX, &attempt, &bad) < 0 ||
	    api_task_index(x, result->job, &task, &bad) < 0) {
		http_reply_error(x, err->code ? err : &bad);
		return;
	}
	struct metrics_read *m = MEM_NEW(struct metrics_read);
	m->x = x;
	m->api = x->app;
	attempt = attempt ? attempt : result->job->attempt;
	ctl_job_task_name(result->job, attempt, task, m->task);
	store_task_key(result->job->id, "metrics", attempt, task, "json", m->key);
	api_work(m->api, read_metrics, metrics_known, m);
}

static void get_job_metrics(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_job_get(a->config.ctl, api_principal(x), http_param(x, "job"), job_found_metrics, x);
}

static const struct http_param list_params[] = {
    {"state", "string", "only jobs in this state"},
    {"name", "string", "only jobs of this name"},
    {"array", "string", "the elements of this array; without it, an array is one job of the list"},
    {"limit", "integer", "at most this many, 1 to 1000; default 100"},
    {"before", "integer", "only jobs submitted before this one: 'next' of the page before"},
    {NULL}};
static const struct http_param event_params[] = {{"after", "integer", "only events after this seq"}, {NULL}};
static const struct http_param metric_params[] = {{"attempt", "integer", "default the newest"},
						  {"task", "integer", "which one, from 0; default 0"},
						  {NULL}};

const struct http_route api_job_routes[] = {
    {"POST", "/api/v1/jobs", HTTP_MEMBER, HTTP_BODY_JSON, CORE_SPEC_BYTES_MAX, post_job, "jobs",
     "Submit a job", NULL, "JobSpec", "Job", 201, 1},
    {"POST", "/api/v1/jobs:batch", HTTP_MEMBER, HTTP_BODY_JSON, API_BATCH_BYTES_MAX, api_job_batch, "jobs",
     "Submit many jobs in one transaction", NULL, "JobBatch", "JobBatchResult", 200, 10},
    {"GET", "/api/v1/jobs", HTTP_VIEWER, HTTP_BODY_NONE, 0, list_jobs, "jobs", "List jobs, newest first",
     list_params, NULL, "JobList", 200},
    {"GET", "/api/v1/jobs/{job}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_job, "jobs",
     "A job by its id, or the newest of a name", NULL, NULL, "Job", 200},
    {"GET", "/api/v1/jobs/{job}/explain", HTTP_VIEWER, HTTP_BODY_NONE, 0, explain_job, "jobs",
     "Why a job waits, when it starts, what would help", NULL, NULL, "Explanation", 200},
    {"POST", "/api/v1/jobs/{job}/cancel", HTTP_MEMBER, HTTP_BODY_NONE, 0, cancel_job, "jobs", "Cancel a job",
     NULL, NULL, "Job", 202},
    {"DELETE", "/api/v1/jobs/{job}", HTTP_MEMBER, HTTP_BODY_NONE, 0, delete_job, "jobs",
     "Remove an ended job with its logs and outputs", NULL, NULL, NULL, 204},
    {"GET", "/api/v1/jobs/{job}/events", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_job_events, "jobs",
     "History of a job", event_params, NULL, "EventList", 200},
    {"GET", "/api/v1/jobs/{job}/logs", HTTP_VIEWER, HTTP_BODY_NONE, 0, api_job_logs, "jobs",
     "What a job wrote", api_log_params, NULL, "text", 200},
    {"GET", "/api/v1/jobs/{job}/metrics", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_job_metrics, "jobs",
     "Series of a job's numbers", metric_params, NULL, "Metrics", 200},
    {.method = NULL},
};
