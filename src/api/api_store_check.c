/* SPDX-License-Identifier: Apache-2.0 */
/* The check of the whole store: one at a time, on the pool, looked at while it runs. */
#include "api/api_int.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"

/* Texts of what was found: what a disk that has lost everything says is cut, its number is not. */
#define FOUND_MAX 100000
#define FOUND_PAGE 1000

enum check_state { CHECK_RUNNING, CHECK_DONE, CHECK_STOPPED, CHECK_FAILED };
static const char *const state_words[] = {"running", "done", "stopped", "failed"};

struct store_check {
	struct api *api;
	enum check_state state; /* the loop's, as the two that follow */
	int64_t started_ms, ended_ms;
	atomic_bool stop;
	pthread_mutex_t lock; /* of what follows */
	struct blob_check so_far;
	char **found; /* found_count texts, owned */
	size_t found_count;
	struct err err;
};

static void check_free(struct store_check *k)
{
	if (!k)
		return;
	for (size_t i = 0; i < k->found_count; i++)
		free(k->found[i]);
	free(k->found);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static void note_found(void *arg, const char *what)
{
	struct store_check *k = arg;
	log_error("store.check found=\"%s\"", what);
	pthread_mutex_lock(&k->lock);
	if (k->found_count < FOUND_MAX) {
		if ((k->found_count & (k->found_count - 1)) == 0)
			k->found = mem_realloc(k->found,
					       (k->found_count ? 2 * k->found_count : 1) * sizeof(*k->found));
		k->found[k->found_count++] = mem_strdup(what);
	}
	pthread_mutex_unlock(&k->lock);
}

static bool note_progress(void *arg, const struct blob_check *so_far)
{
	struct store_check *k = arg;
	pthread_mutex_lock(&k->lock);
	k->so_far = *so_far;
	pthread_mutex_unlock(&k->lock);
	return !atomic_load(&k->stop);
}

static void run_check(void *arg)
{
	struct store_check *k = arg;
	struct blob_store *blobs = k->api->config.blobs;
	const struct blob_check_watch watch = {note_found, note_progress, k};
	struct blob_check result = {0};
	struct err err = ERR_INIT;
	int r = blobs->ops->check
		    ? blobs->ops->check(blobs, &watch, &result, &err)
		    : err_set(&err, ERR_UNSUPPORTED, "the store '%s' has no check", blobs->ops->name);
	pthread_mutex_lock(&k->lock);
	if (r == 0)
		k->so_far = result;
	else
		k->err = err;
	pthread_mutex_unlock(&k->lock);
}

static void check_ended(void *arg)
{
	struct store_check *k = arg;
	k->ended_ms = clock_wall_ms(k->api->config.clock);
	k->state = !k->err.code ? CHECK_DONE : k->err.code == ERR_CANCELLED ? CHECK_STOPPED : CHECK_FAILED;
	log_info("store.check state=%s objects=%lld bytes=%lld damaged=%lld faults=%lld",
		 state_words[k->state], (long long)k->so_far.objects, (long long)k->so_far.bytes,
		 (long long)k->so_far.damaged, (long long)k->so_far.faults);
}

void api_store_check_stop(struct api *a)
{
	if (a->store_check)
		atomic_store(&a->store_check->stop, true);
}

void api_store_check_free(struct api *a)
{
	check_free(a->store_check);
}

static void reply_state(struct http_exchange *x, struct api *a, int status, int64_t after)
{
	struct store_check *k = a->store_check;
	if (!k) {
		http_reply_json(
		    x, status,
		    json_pack("{s:s, s:i, s:i, s:[]}", "state", "none", "damaged", 0, "faults", 0, "found"));
		return;
	}
	pthread_mutex_lock(&k->lock);
	const struct blob_check *c = &k->so_far;
	json_t *found = json_array();
	for (size_t i = (size_t)after; i < k->found_count && i < (size_t)after + FOUND_PAGE; i++)
		json_array_append_new(found, json_string(k->found[i]));
	json_t *j =
	    json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "state", state_words[k->state],
		      "started_ms", (json_int_t)k->started_ms, "ended_ms", (json_int_t)k->ended_ms, "objects",
		      (json_int_t)c->objects, "bytes", (json_int_t)c->bytes, "objects_total",
		      (json_int_t)c->objects_total, "bytes_total", (json_int_t)c->bytes_total, "damaged",
		      (json_int_t)c->damaged, "faults", (json_int_t)c->faults, "found", found);
	if (k->state == CHECK_FAILED)
		json_object_set_new(j, "error", json_string(k->err.msg));
	pthread_mutex_unlock(&k->lock);
	http_reply_json(x, status, j);
}

static void post_check(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct store_check *old = a->store_check;
	if (!old || old->state != CHECK_RUNNING) {
		struct store_check *k = MEM_NEW(struct store_check);
		check_free(old);
		k->api = a;
		k->started_ms = clock_wall_ms(a->config.clock);
		pthread_mutex_init(&k->lock, NULL);
		a->store_check = k;
		api_work(a, run_check, check_ended, k);
	}
	reply_state(x, a, 202, 0);
}

static void get_check(struct http_exchange *x, void *app)
{
	struct err err = ERR_INIT;
	int64_t after = 0;
	if (http_query_int(x, "after", 0, FOUND_MAX, &after, &err) < 0)
		http_reply_error(x, &err);
	else
		reply_state(x, app, 200, after);
}

static void delete_check(struct http_exchange *x, void *app)
{
	api_store_check_stop(app);
	reply_state(x, app, 202, 0);
}

static const struct http_param check_params[] = {
    {"after", "integer", "leave out so many of the texts in 'found', which are at most 1000"}, {NULL}};

const struct http_route api_store_check_routes[] = {
    {"POST", "/api/v1/store-check", HTTP_PLATFORM, HTTP_BODY_NONE, 0, post_check, "store",
     "Check every object of the store, while it works", NULL, NULL, "StoreCheck", 202},
    {"GET", "/api/v1/store-check", HTTP_PLATFORM, HTTP_BODY_NONE, 0, get_check, "store",
     "What the check has found", check_params, NULL, "StoreCheck", 200},
    {"DELETE", "/api/v1/store-check", HTTP_PLATFORM, HTTP_BODY_NONE, 0, delete_check, "store",
     "Stop the check", NULL, NULL, "StoreCheck", 202},
    {.method = NULL},
};
