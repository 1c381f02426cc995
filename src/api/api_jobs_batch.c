/* SPDX-License-Identifier: Apache-2.0 */
/* Many jobs in one request: each is read, checked and answered by itself, all are made in one transaction. */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

struct batch {
	struct http_exchange *x;
	struct api *api;
	struct job **jobs; /* NULL where refused */
	struct err *refusals;
	size_t count;
};

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		job_free(b->jobs[i]);
	free(b->jobs);
	free(b->refusals);
	free(b);
}

static json_t *item_format(const struct ctl_batch_item *item)
{
	if (item->err.code)
		return json_pack("{s:{s:s, s:s}}", "error", "code", err_word(item->err.code), "message",
				 item->err.msg);
	return json_pack("{s:s, s:s, s:s}", "id", item->id, "name", item->name, "state",
			 job_state_word(item->state));
}

static void batch_done(void *arg, const struct ctl_batch_result *result, const struct err *err)
{
	struct http_exchange *x = arg;
	if (err->code) {
		http_reply_error(x, err);
		return;
	}
	json_t *list = json_array();
	size_t refused = 0;
	for (size_t i = 0; i < result->count; i++) {
		refused += result->items[i].err.code != 0;
		json_t *item = item_format(&result->items[i]);
		json_array_append_new(list, item ? item : json_object());
	}
	if (result->replayed)
		http_reply_header(x, "Idempotent-Replay", "true");
	http_reply_json(x, 200,
			json_pack("{s:I, s:I, s:o}", "created", (json_int_t)(result->count - refused),
				  "refused", (json_int_t)refused, "data", list));
}

static void batch_send(struct batch *b)
{
	struct ctl_idempotency idem = api_idempotency(b->x);
	ctl_job_submit_batch(b->api->config.ctl, api_principal(b->x), b->jobs, b->refusals, b->count, &idem,
			     batch_done, b->x);
	batch_free(b);
}

static void refuse(struct batch *b, size_t i)
{
	job_free(b->jobs[i]);
	b->jobs[i] = NULL;
}

/* Most batches name one package again and again: it is looked at once. */
static void stat_packages(void *arg)
{
	struct batch *b = arg;
	struct blob_store *s = b->api->config.blobs;
	const struct job *same = NULL;
	for (size_t i = 0; i < b->count; i++) {
		struct job *job = b->jobs[i];
		struct err *err = &b->refusals[i];
		struct blob_info info;
		struct uri uri;
		if (!job || !job->spec.package)
			continue;
		if (same && !strcmp(same->spec.package, job->spec.package))
			continue;
		int r = uri_parse(job->spec.package, &uri, err);
		if (r >= 0)
			r = s->ops->stat(s, api_principal(b->x)->org, uri.bucket, uri.key, NULL, &info, NULL,
					 err);
		if (r == -ERR_NOT_FOUND)
			err_set(err, ERR_INVALID, "package '%.200s' is not in the store; upload it first",
				job->spec.package);
		if (r < 0)
			refuse(b, i);
		else
			same = job;
	}
}

static void packages_known(void *arg)
{
	batch_send(arg);
}

/* Most batches are one specification again and again: it is read once. */
static int read_job(struct batch *b, const json_t *list, size_t i)
{
	json_t *j = json_array_get(list, i);
	b->jobs[i] = job_new();
	if (i && b->jobs[i - 1] && json_equal(json_array_get(list, i - 1), j))
		return job_spec_copy(&b->jobs[i - 1]->spec, &b->jobs[i]->spec);
	return job_spec_parse(j, &b->jobs[i]->spec, &b->refusals[i]);
}

static bool read_jobs(struct batch *b, const json_t *list)
{
	bool has_package = false;
	for (size_t i = 0; i < b->count; i++) {
		if (read_job(b, list, i) < 0)
			refuse(b, i);
		else
			has_package |= b->jobs[i]->spec.package != NULL;
	}
	return has_package;
}

void api_job_batch(struct http_exchange *x, void *app)
{
	const json_t *list = json_object_get(x->json, "jobs");
	size_t count = json_array_size(list);
	if (!json_is_array(list) || json_object_size(x->json) != 1) {
		api_reply_failure(x, ERR_INVALID,
				  "a batch is {\"jobs\": [specification, …]} and nothing else");
		return;
	}
	if (count < 1 || count > CTL_BATCH_MAX) {
		api_reply_failure(x, ERR_INVALID, "the batch has %zu jobs; it may have 1 to %d", count,
				  CTL_BATCH_MAX);
		return;
	}
	struct batch *b = MEM_NEW(struct batch);
	b->x = x;
	b->api = app;
	b->count = count;
	b->jobs = mem_alloc(count * sizeof(*b->jobs));
	b->refusals = mem_alloc(count * sizeof(*b->refusals));
	if (read_jobs(b, list))
		api_work(b->api, stat_packages, packages_known, b);
	else
		batch_send(b);
}
