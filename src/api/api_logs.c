/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs as a stream of bytes: from the task while it exists, from the collected object afterwards, at the same
 * offset, so that a reader never sees the switch. A follower of a job goes on with the next attempt where one
 * ends.
 *
 * The end rule: what the owner's state said before a read began counts for that read. A read that returns
 * nothing after the owner had ended is the end; after a newer attempt had begun it is the end of this
 * attempt.
 */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "core/store_layout.h"

#define LOG_BLOCK_BYTES 65536
#define FOLLOW_POLL_MS 200 /* only while the task is alive and the reader has everything */

struct log_stream {
	struct http_exchange *x; /* NULL once closed */
	struct api *api;
	struct ctl_watch *watch;
	struct loop_timer *timer;
	struct principal who;
	struct api_stream stream;
	bool cut; /* before the first bytes were there: the key is worth nothing any more */
	char owner[16];
	bool is_job, follow;
	int64_t slot;	      /* of a model's replica; -1 = the first there is */
	int64_t index, tasks; /* of a job: which task of how many */
	int64_t attempt;      /* being read */
	int64_t offset, tail;
	/* As last heard of the owner. */
	int64_t newest_attempt;
	bool ended, alive;
	/* One read on the pool at a time; what was known when it began. */
	bool reading, started, was_ended, starved;
	int64_t was_newest;
	char task[TASK_NAME_MAX + 1], key[96];
	char *block;
	ssize_t got;
	struct err err;
};

const struct http_param api_log_params[] = {{"offset", "integer", "first byte; default 0"},
					    {"follow", "integer", "1: go on until the end of the job"},
					    {"attempt", "integer", "default the newest"},
					    {"task", "integer", "which one, from 0; default 0"},
					    {"tail", "integer", "only the last bytes, this many"},
					    {NULL}};
const struct http_param api_model_log_params[] = {
    {"offset", "integer", "first byte; default 0"},
    {"follow", "integer", "1: go on with the next attempts, as long as there is the replica"},
    {"attempt", "integer", "default the replica's newest"},
    {"replica", "integer", "default the first one"},
    {"tail", "integer", "only the last bytes, this many"},
    {NULL}};

static void log_stream_free(struct log_stream *l)
{
	free(l->block);
	free(l);
}

/* ---- on the pool ---- */

static ssize_t read_collected(struct log_stream *l, int64_t offset, void *data, size_t len, struct err *err)
{
	struct blob_store *b = l->api->config.blobs;
	struct blob_get *get = NULL;
	struct blob_info info;
	*err = ERR_INIT;
	int r = b->ops->get_open(b, l->who.org, l->who.org, l->key, NULL, &get, &info, err);
	if (r == -ERR_NOT_FOUND) { /* nothing was written yet */
		*err = ERR_INIT;
		return 0;
	}
	if (r < 0)
		return r;
	ssize_t n = b->ops->get_read(get, offset, data, len, err);
	b->ops->get_close(get);
	return n;
}

static ssize_t read_at(struct log_stream *l, int64_t offset, void *data, size_t len, struct err *err)
{
	struct backend *b = l->api->config.backend;
	ssize_t n = b->ops->log_read(b, l->task, offset, data, len, err);
	return n == -ERR_NOT_FOUND ? read_collected(l, offset, data, len, err) : n;
}

/* The size, by doubling and halving: neither source tells it. */
static int find_size(struct log_stream *l, int64_t *ret)
{
	int64_t below = 0, above = LOG_BLOCK_BYTES; /* size is in (below, above] once above is past the end */
	char byte;
	ssize_t n;
	while ((n = read_at(l, above, &byte, 1, &l->err)) > 0) {
		below = above;
		above *= 2;
	}
	while (n >= 0 && below < above) {
		int64_t middle = below + (above - below) / 2;
		n = read_at(l, middle, &byte, 1, &l->err);
		if (n > 0)
			below = middle + 1;
		else
			above = middle;
	}
	*ret = below;
	return n < 0 ? -l->err.code : 0;
}

static void read_block(void *arg)
{
	struct log_stream *l = arg;
	int64_t size = 0;
	l->err = ERR_INIT;
	l->got = -1;
	if (!l->started && l->tail >= 0) {
		if (find_size(l, &size) < 0)
			return;
		l->offset = size > l->tail ? size - l->tail : 0;
		l->tail = -1;
	}
	l->got = read_at(l, l->offset, l->block, LOG_BLOCK_BYTES, &l->err);
}

/* ---- on the loop ---- */

static void log_done(void *arg);

static void log_read(struct log_stream *l)
{
	if (l->reading || !l->x)
		return;
	l->reading = true;
	l->starved = false;
	l->was_ended = l->ended;
	l->was_newest = l->newest_attempt;
	loop_timer_clear(l->timer);
	if (l->is_job) {
		struct job job = {0};
		snprintf(job.id, sizeof(job.id), "%s", l->owner);
		job.attempt = l->attempt;
		job.spec.tasks = l->tasks;
		ctl_job_task_name(&job, l->attempt, l->index, l->task);
	} else {
		struct replica r = {.slot = l->slot, .attempt = l->attempt};
		struct service s = {0};
		snprintf(s.id, sizeof(s.id), "%s", l->owner);
		ctl_service_task_name(&s, &r, l->task);
	}
	if (l->is_job)
		store_task_key(l->owner, "logs", l->attempt, l->index, "log", l->key);
	else
		snprintf(l->key, sizeof(l->key), "%s/%s/logs/%lld.log",
			 l->owner[0] == service_kind_letter(SERVICE_MODEL) ? "models" : "tensorboards",
			 l->owner, (long long)l->attempt);
	api_work(l->api, read_block, log_done, l);
}

static void log_want(void *arg)
{
	struct log_stream *l = arg;
	if (!l->starved)
		log_read(l);
}

static void log_closed(void *arg)
{
	struct log_stream *l = arg;
	l->x = NULL;
	ctl_watch_free(l->watch);
	loop_timer_free(l->timer);
	api_stream_leave(l->api, &l->stream);
	if (!l->reading)
		log_stream_free(l);
}

static const struct http_stream_ops log_stream_ops = {log_want, log_closed};

static void log_nothing(struct log_stream *l)
{
	if (!l->follow) {
		http_stream_end(l->x);
	} else if (l->attempt < l->was_newest) {
		l->attempt = l->attempt && l->is_job ? l->attempt + 1 : l->was_newest;
		l->offset = 0;
		log_read(l);
	} else if (l->was_ended) {
		http_stream_end(l->x);
	} else {
		l->starved = true;
		if (l->ended || l->newest_attempt != l->was_newest)
			log_read(l);
		else if (l->alive)
			loop_timer_set(l->timer, FOLLOW_POLL_MS, 0);
	}
}

static void log_start(struct log_stream *l)
{
	char text[32];
	l->started = true;
	snprintf(text, sizeof(text), "%lld", (long long)l->offset);
	http_reply_header(l->x, "X-Log-Offset", text);
	snprintf(text, sizeof(text), "%lld", (long long)l->attempt);
	http_reply_header(l->x, "X-Log-Attempt", text);
	http_reply_stream(l->x, 200, "text/plain; charset=utf-8", -1, &log_stream_ops, l);
}

static void log_done(void *arg)
{
	struct log_stream *l = arg;
	l->reading = false;
	if (!l->x) {
		log_stream_free(l);
		return;
	}
	if (l->cut) {
		l->got = -1;
		err_set(&l->err, ERR_UNAUTHENTICATED, "the token is not valid; run 'cloudml login'");
	}
	if (l->got < 0 && !l->started) {
		http_reply_error(l->x, &l->err);
		log_closed(l);
		return;
	}
	if (!l->started) {
		l->reading = true; /* what was read is not yet handed on */
		log_start(l);
		l->reading = false;
		if (!l->x) {
			log_stream_free(l);
			return;
		}
	}
	if (l->got < 0) {
		http_stream_fail(l->x);
	} else if (l->got == 0) {
		log_nothing(l);
	} else {
		l->offset += l->got;
		if (http_stream_write(l->x, l->block, (size_t)l->got))
			log_read(l);
	}
}

static void log_timer(void *arg)
{
	log_read(arg);
}

static void learn_job(struct log_stream *l, const struct job *job)
{
	l->newest_attempt = job->attempt;
	l->tasks = job->spec.tasks;
	l->ended = job_state_is_terminal(job->state);
	l->alive = job->state == JOB_STARTING || job->state == JOB_RUNNING;
}

/* The replica that is read; or the first one. */
static const struct replica *replica_find(const struct log_stream *l, const struct service *s)
{
	const struct replica *first = NULL;
	for (size_t i = 0; i < s->replica_count; i++) {
		const struct replica *r = &s->replicas[i];
		if (l->slot >= 0 ? r->slot == l->slot : !first || (first->draining && !r->draining))
			first = r;
	}
	return first;
}

static void learn_service(struct log_stream *l, const struct service *s)
{
	const struct replica *r = replica_find(l, s);
	l->ended = !r || s->state == SERVICE_FAILED || s->state == SERVICE_DELETED;
	l->alive = !l->ended;
	if (!r)
		return;
	l->newest_attempt = r->attempt;
	l->slot = r->slot;
}

static void log_heard(void *arg, const struct job *job, const struct service *service)
{
	struct log_stream *l = arg;
	if (job && l->is_job && !strcmp(job->id, l->owner))
		learn_job(l, job);
	else if (service && !l->is_job && !strcmp(service->id, l->owner))
		learn_service(l, service);
	else
		return;
	if (l->starved)
		log_read(l);
}

/* ---- the calls ---- */

int api_task_index(struct http_exchange *x, const struct job *job, int64_t *ret, struct err *err)
{
	int r = http_query_int(x, "task", 0, JOB_TASKS_MAX - 1, ret, err);
	if (r == 0 && *ret > 0 && *ret >= job->spec.tasks)
		return err_set(err, ERR_NOT_FOUND, "there is no task %lld, the job has %lld, from 0",
			       (long long)*ret, (long long)job->spec.tasks);
	return r;
}

static void log_cut(void *arg)
{
	struct log_stream *l = arg;
	if (l->started)
		http_stream_fail(l->x);
	else
		l->cut = true;
}

static int log_query(struct log_stream *l, struct err *err)
{
	int64_t follow = 0, attempt = 0;
	l->tail = -1;
	int r = http_query_int(l->x, "offset", 0, INT64_MAX / 4, &l->offset, err);
	if (r == 0)
		r = http_query_int(l->x, "follow", 0, 1, &follow, err);
	if (r == 0)
		r = http_query_int(l->x, "attempt", 0, INT32_MAX, &attempt, err);
	if (r == 0)
		r = http_query_int(l->x, "tail", 0, INT64_MAX / 4, &l->tail, err);
	if (r == 0 && !l->is_job && !l->newest_attempt)
		r = err_set(err, ERR_NOT_FOUND,
			    "there is no replica %lld; look at them with 'cloudml models "
			    "describe'",
			    (long long)l->slot);
	if (r == 0 && l->is_job && attempt > l->newest_attempt)
		r = err_set(err, ERR_NOT_FOUND, "there is no attempt %lld, the newest is %lld",
			    (long long)attempt, (long long)l->newest_attempt);
	l->follow = follow;
	l->attempt = attempt ? attempt : l->newest_attempt;
	return r < 0 ? r : api_stream_enter(l->api, &l->stream, &l->who, log_cut, l, err);
}

static void log_begin(void *arg, const struct ctl_result *result, const struct err *not_found)
{
	struct http_exchange *x = arg;
	struct err err = ERR_INIT;
	if (not_found->code) {
		http_reply_error(x, not_found);
		return;
	}
	struct log_stream *l = MEM_NEW(struct log_stream);
	l->x = x;
	l->api = x->app;
	l->is_job = result->job != NULL;
	l->slot = -1;
	l->who = *api_principal(x);
	snprintf(l->owner, sizeof(l->owner), "%s", l->is_job ? result->job->id : result->service->id);
	if (!l->is_job && http_query_int(x, "replica", 0, SERVICE_SLOTS_MAX - 1, &l->slot, &err) < 0) {
		http_reply_error(x, &err);
		log_stream_free(l);
		return;
	}
	if (l->is_job)
		learn_job(l, result->job);
	else
		learn_service(l, result->service);
	if ((l->is_job && api_task_index(x, result->job, &l->index, &err) < 0) || log_query(l, &err) < 0) {
		http_reply_error(x, &err);
		log_stream_free(l);
		return;
	}
	l->block = mem_alloc(LOG_BLOCK_BYTES);
	l->timer = loop_timer_new(l->api->config.loop, log_timer, l);
	if (l->follow)
		l->watch = ctl_watch_new(l->api->config.ctl, l->who.org, log_heard, l);
	log_read(l);
}

void api_job_logs(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_job_get(a->config.ctl, api_principal(x), http_param(x, "job"), log_begin, x);
}

void api_model_logs(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_service_get(a->config.ctl, api_principal(x), SERVICE_MODEL, http_param(x, "model"), log_begin, x);
}

void api_tensorboard_logs(struct http_exchange *x, void *app)
{
	struct api *a = app;
	ctl_service_get(a->config.ctl, api_principal(x), SERVICE_TENSORBOARD, http_param(x, "tensorboard"),
			log_begin, x);
}
