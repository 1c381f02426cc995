/* SPDX-License-Identifier: Apache-2.0 */
/* Holds on the object store's files, for those who copy the data folder: each has a deadline, so that a
 * client that died holds nothing for long. */
#include "api/api_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define HOLDS_MAX 16
#define HOLD_MS (10 * 60 * 1000)

struct store_hold {
	struct list node;
	struct api *api;
	char id[17];
	struct loop_timer *deadline;
};

static void hold_free(struct store_hold *h)
{
	struct blob_store *blobs = h->api->config.blobs;
	list_remove(&h->node);
	h->api->hold_count--;
	loop_timer_free(h->deadline);
	blobs->ops->release(blobs);
	free(h);
}

static void on_deadline(void *arg)
{
	hold_free(arg);
}

void api_holds_open(struct api *a)
{
	list_init(&a->holds);
}

void api_holds_close(struct api *a)
{
	struct store_hold *h;
	LIST_EACH(h, &a->holds, node)
	hold_free(h);
}

static struct store_hold *find_hold(struct api *a, const char *id)
{
	struct store_hold *h;
	LIST_EACH(h, &a->holds, node)
	if (!strcmp(h->id, id))
		return h;
	return NULL;
}

/* Also the log's position: what is copied up to there is the store of this moment. */
static void reply_hold(struct http_exchange *x, int status, const struct store_hold *h)
{
	struct blob_store *blobs = h->api->config.blobs;
	struct blob_position position;
	blobs->ops->position(blobs, &position);
	http_reply_json(x, status,
			json_pack("{s:s, s:I, s:I, s:I}", "id", h->id, "hold_ms", (json_int_t)HOLD_MS,
				  "segment", (json_int_t)position.segment, "end", (json_int_t)position.end));
}

static void post_hold(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct blob_store *blobs = a->config.blobs;
	if (!blobs->ops->hold) {
		api_reply_failure(x, ERR_UNSUPPORTED, "the store '%s' has no files to hold",
				  blobs->ops->name);
		return;
	}
	if (a->hold_count >= HOLDS_MAX) {
		api_reply_failure(x, ERR_LIMIT,
				  "%d copies of the object store are being made; wait until one ends",
				  HOLDS_MAX);
		return;
	}
	struct store_hold *h = MEM_NEW(struct store_hold);
	h->api = a;
	rng_id(a->config.rng, h->id, sizeof(h->id) - 1);
	h->deadline = loop_timer_new(a->config.loop, on_deadline, h);
	loop_timer_set(h->deadline, HOLD_MS, 0);
	list_append(&a->holds, &h->node);
	a->hold_count++;
	blobs->ops->hold(blobs);
	reply_hold(x, 201, h);
}

static struct store_hold *hold_of(struct http_exchange *x, struct api *a)
{
	struct store_hold *h = find_hold(a, http_param(x, "hold"));
	if (!h)
		api_reply_failure(x, ERR_NOT_FOUND, "there is no hold '%s' (any more); begin the copy again",
				  http_param(x, "hold"));
	return h;
}

static void renew_hold(struct http_exchange *x, void *app)
{
	struct store_hold *h = hold_of(x, app);
	if (!h)
		return;
	loop_timer_set(h->deadline, HOLD_MS, 0);
	reply_hold(x, 200, h);
}

static void delete_hold(struct http_exchange *x, void *app)
{
	struct store_hold *h = hold_of(x, app);
	if (!h)
		return;
	hold_free(h);
	http_reply_empty(x, 204);
}

const struct http_route api_hold_routes[] = {
    {"POST", "/api/v1/store-holds", HTTP_PLATFORM, HTTP_BODY_NONE, 0, post_hold, "store",
     "Keep the files of objects that are deleted from now on, for 'cloudml backup'", NULL, NULL, "StoreHold",
     201},
    {"POST", "/api/v1/store-holds/{hold}", HTTP_PLATFORM, HTTP_BODY_NONE, 0, renew_hold, "store",
     "Hold for another ten minutes, and tell how long the log is", NULL, NULL, "StoreHold", 200},
    {"DELETE", "/api/v1/store-holds/{hold}", HTTP_PLATFORM, HTTP_BODY_NONE, 0, delete_hold, "store",
     "Let what was deleted go", NULL, NULL, NULL, 204},
    {.method = NULL},
};
