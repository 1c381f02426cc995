/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-Sent Events: a snapshot of what lives, "sync", then every change. What changes while the snapshot is
 * read, or while the client has not read what it was sent, is only remembered by name and read again later: a
 * client that is slow skips states in between, but its last word about a noun is always the newest.
 */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/map.h"
#include "base/mem.h"
#include "net/sse.h"

#define HEARTBEAT_MS 15000
#define CHANGED_MAX 10000 /* nouns; a client with more to read again is sent away and will begin anew */
#define PAGE_JOBS 200
#define SNAPSHOT_JOBS_MAX 1000 /* of one state, newest first */

struct watcher {
	struct http_exchange *x; /* NULL once closed */
	struct api *api;
	struct ctl_watch *watch;
	struct loop_timer *heartbeat;
	struct principal who;
	struct api_stream stream;
	char job[CORE_NAME_MAX + 1], model[CORE_NAME_MAX + 1]; /* "" = all */
	int state;					       /* of the snapshot's present list */
	int64_t before_seq, listed;			       /* in that list */
	bool listing, synced;
	bool full, waiting;  /* the client has enough to read; the snapshot goes on when it has read */
	struct map *changed; /* job's id → NULL; "model/NAME" → its newest event, which may be its last */
};

static void watcher_free(struct watcher *w)
{
	map_free(w->changed);
	free(w);
}

static void send_bytes(struct watcher *w, const struct buf *b)
{
	if (!http_stream_write(w->x, buf_str(b), b->len))
		w->full = true;
}

static void add_noun(struct buf *out, const char *event, json_t *j)
{
	struct buf text = BUF_INIT;
	json_write(j, &text);
	json_decref(j);
	sse_event(out, event, buf_str(&text));
	buf_done(&text);
}

static bool wants_job(const struct watcher *w, const struct job *job)
{
	return !*w->model && (!*w->job || !strcmp(job->id, w->job));
}

static bool wants_service(const struct watcher *w, const struct service *s)
{
	return service_kind_of(s) == SERVICE_MODEL && !*w->job &&
	       (!*w->model || !strcmp(s->spec.name, w->model));
}

static bool is_ready(const struct watcher *w)
{
	return w->synced && !w->full && !w->listing;
}

static void remember(struct watcher *w, const struct job *job, const struct service *service)
{
	if (job) {
		map_set(w->changed, job->id, NULL);
	} else {
		CLEANUP(free) char *key = mem_printf("model/%s", service->spec.name);
		struct buf text = BUF_INIT;
		add_noun(&text, "model", service_format(service));
		map_set(w->changed, key, buf_steal(&text));
	}
	if (map_count(w->changed) > CHANGED_MAX)
		http_stream_fail(w->x);
}

static void heard(void *arg, const struct job *job, const struct service *service)
{
	struct watcher *w = arg;
	if (!(job && wants_job(w, job)) && !(service && wants_service(w, service)))
		return;
	if (!is_ready(w) || map_count(w->changed)) {
		remember(w, job, service);
		return;
	}
	CLEANUP(buf) struct buf out = BUF_INIT;
	if (job)
		add_noun(&out, "job", job_format(job));
	else
		add_noun(&out, "model", service_format(service));
	send_bytes(w, &out);
}

static void beat(void *arg)
{
	struct watcher *w = arg;
	CLEANUP(buf) struct buf out = BUF_INIT;
	sse_comment(&out, "alive");
	if (!w->full)
		send_bytes(w, &out);
}

static void on_changed(void *arg, const struct ctl_result *result, const struct err *err);

static void send_changed(struct watcher *w)
{
	while (is_ready(w) && map_count(w->changed)) {
		size_t pos = 0;
		const char *found;
		void *event;
		map_next(w->changed, &pos, &found, &event);
		CLEANUP(free) char *key = mem_strdup(found);
		CLEANUP(free) char *text = map_take(w->changed, key);
		if (text) {
			struct buf out = BUF_INIT;
			buf_adds(&out, text);
			send_bytes(w, &out);
			buf_done(&out);
			continue;
		}
		w->listing = true;
		ctl_job_get(w->api->config.ctl, &w->who, key, on_changed, w);
	}
}

static void list_next(struct watcher *w);

static void want(void *arg)
{
	struct watcher *w = arg;
	w->full = false;
	if (w->waiting) {
		w->waiting = false;
		list_next(w);
	} else {
		send_changed(w);
	}
}

static void closed(void *arg)
{
	struct watcher *w = arg;
	w->x = NULL;
	ctl_watch_free(w->watch);
	loop_timer_free(w->heartbeat);
	api_stream_leave(w->api, &w->stream);
	if (!w->listing)
		watcher_free(w);
}

static const struct http_stream_ops watch_stream = {want, closed};

/* ---- snapshot ---- */

static void sync_now(struct watcher *w)
{
	CLEANUP(buf) struct buf out = BUF_INIT;
	sse_event(&out, "sync", "{}");
	w->synced = true;
	send_bytes(w, &out);
	send_changed(w);
}

/* Every list of the snapshot ends here; false when nobody listens any more. */
static bool listed(struct watcher *w, const struct err *err)
{
	w->listing = false;
	if (!w->x) {
		watcher_free(w);
		return false;
	}
	if (err->code && err->code != ERR_NOT_FOUND) {
		http_stream_fail(w->x);
		return false;
	}
	return true;
}

/* A job that is gone by now has no state to tell. */
static void on_changed(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct watcher *w = arg;
	CLEANUP(buf) struct buf out = BUF_INIT;
	if (!listed(w, err))
		return;
	if (!err->code && result->job) {
		add_noun(&out, "job", job_format(result->job));
		send_bytes(w, &out);
	}
	send_changed(w);
}

static void on_services(void *arg, const struct service *const *services, size_t count, bool more,
			const struct err *err)
{
	struct watcher *w = arg;
	struct buf out = BUF_INIT;
	if (!listed(w, err))
		return;
	for (size_t i = 0; i < count; i++)
		if (services[i]->state != SERVICE_DELETED && wants_service(w, services[i]))
			add_noun(&out, "model", service_format(services[i]));
	send_bytes(w, &out);
	buf_done(&out);
	sync_now(w);
}

static void on_jobs(void *arg, const struct job *const *jobs, size_t count, bool more, const struct err *err)
{
	struct watcher *w = arg;
	struct buf out = BUF_INIT;
	if (!listed(w, err))
		return;
	for (size_t i = 0; i < count; i++)
		add_noun(&out, "job", job_format(jobs[i]));
	send_bytes(w, &out);
	buf_done(&out);
	w->listed += (int64_t)count;
	w->before_seq = count ? jobs[count - 1]->seq : 0;
	if (!more || !count || w->listed >= SNAPSHOT_JOBS_MAX) {
		w->state++;
		w->before_seq = w->listed = 0;
	}
	list_next(w);
}

static void on_one(void *arg, const struct ctl_result *result, const struct err *err)
{
	struct watcher *w = arg;
	struct buf out = BUF_INIT;
	if (!listed(w, err))
		return;
	if (!err->code && result->job)
		add_noun(&out, "job", job_format(result->job));
	if (!err->code && result->service)
		add_noun(&out, "model", service_format(result->service));
	send_bytes(w, &out);
	buf_done(&out);
	sync_now(w);
}

static void list_next(struct watcher *w)
{
	struct ctl *ctl = w->api->config.ctl;
	if (w->full) {
		w->waiting = true;
		return;
	}
	while (w->state < JOB_STATE_COUNT && job_state_is_terminal(w->state))
		w->state++;
	w->listing = true;
	if (*w->job) {
		ctl_job_get(ctl, &w->who, w->job, on_one, w);
	} else if (*w->model) {
		ctl_service_get(ctl, &w->who, SERVICE_MODEL, w->model, on_one, w);
	} else if (w->state < JOB_STATE_COUNT) {
		struct ctl_list_query q = {
		    .state = w->state, .limit = PAGE_JOBS, .before_seq = w->before_seq};
		ctl_job_list(ctl, &w->who, &q, on_jobs, w);
	} else {
		struct ctl_list_query q = {.state = -1, .limit = 1000};
		ctl_service_list(ctl, &w->who, &q, on_services, w);
	}
}

static void cut(void *arg)
{
	struct watcher *w = arg;
	http_stream_fail(w->x);
}

static void get_watch(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct err err = ERR_INIT;
	const char *job = http_query(x, "job"), *model = http_query(x, "model");
	if (job && model)
		err_set(&err, ERR_INVALID, "watch takes 'job' or 'model', not both");
	if (!err.code && job)
		core_name_check("job", job, &err);
	if (!err.code && model)
		core_name_check("model", model, &err);
	struct watcher *w = MEM_NEW(struct watcher);
	if (err.code || api_stream_enter(a, &w->stream, api_principal(x), cut, w, &err) < 0) {
		http_reply_error(x, &err);
		free(w);
		return;
	}
	w->x = x;
	w->api = a;
	w->who = *api_principal(x);
	w->changed = map_new(free);
	snprintf(w->job, sizeof(w->job), "%s", job ? job : "");
	snprintf(w->model, sizeof(w->model), "%s", model ? model : "");
	w->watch = ctl_watch_new(a->config.ctl, w->who.org, heard, w);
	w->heartbeat = loop_timer_new(a->config.loop, beat, w);
	loop_timer_set(w->heartbeat, HEARTBEAT_MS, HEARTBEAT_MS);
	w->listing = true; /* keeps w if the stream is closed at once */
	http_reply_stream(x, 200, "text/event-stream", -1, &watch_stream, w);
	w->listing = false;
	if (w->x)
		list_next(w);
	else
		watcher_free(w);
}

static const struct http_param watch_params[] = {
    {"job", "string", "only this job"}, {"model", "string", "only this model"}, {NULL}};

const struct http_route api_watch_routes[] = {
    {"GET", "/api/v1/watch", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_watch, "watch",
     "Changes of jobs and models as they happen", watch_params, NULL, "events", 200},
    {.method = NULL},
};
