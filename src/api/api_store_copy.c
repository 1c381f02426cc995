/* SPDX-License-Identifier: Apache-2.0 */
/* Copies and moves inside the store: no byte leaves it. */
#include "api/api_store.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

/* What was written while it was copied stays. Only a write between this look and the removal could be lost,
 * and that not where versions are kept. */
static int remove_source(struct store_call *c)
{
	const struct blob_ops *ops = c->blobs->ops;
	struct blob_info now;
	int r = ops->stat(c->blobs, c->org, c->from_bucket, c->from_key, NULL, &now, NULL, &c->err);
	if (r == -ERR_NOT_FOUND)
		return 0;
	if (r < 0)
		return r;
	if (strcmp(now.etag, c->info.etag) != 0 || now.size_bytes != c->info.size_bytes)
		return err_set(&c->err, ERR_CONFLICT,
			       "object '%s' was written while it was moved, and is at both places now; move "
			       "it again",
			       c->from_key);
	return ops->remove(c->blobs, c->org, c->from_bucket, c->from_key, &c->err);
}

static void copy_stored(void *arg)
{
	struct store_call *c = arg;
	const struct blob_put_options o = {.expected_size = -1};
	int r = c->blobs->ops->copy(c->blobs, c->org, c->from_bucket, c->from_key, c->version, c->bucket,
				    c->key, &o, &c->info, &c->err);
	if (r >= 0 && c->moves)
		r = remove_source(c);
	store_call_result(c, r);
}

static void stored_copied(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	http_reply_json(c->x, 201,
			json_pack("{s:s, s:I, s:s, s:I, s:s}", "key", c->key, "size",
				  (json_int_t)c->info.size_bytes, "etag", c->info.etag, "modified_ms",
				  (json_int_t)c->info.modified_ms, "version", c->info.version));
	store_call_free(c);
}

/* The texts stay the request's. */
static void read_source(struct store_call *c, const json_t *body)
{
	CLEANUP(free) char *bucket = NULL;
	CLEANUP(free) char *key = NULL;
	CLEANUP(free) char *version = NULL;
	struct json_reader j;
	json_reader_begin(&j, body, "what to copy");
	json_get_string(&j, "bucket", CORE_NAME_MAX, &bucket);
	json_get_string(&j, "key", BLOB_KEY_MAX, &key);
	json_get_string(&j, "version", BLOB_VERSION_MAX, &version);
	json_get_bool(&j, "move", &c->moves);
	if (!bucket || !key)
		json_reader_fail(&j, "'bucket' and 'key' name what to copy");
	if (json_reader_end(&j, &c->err) < 0 || core_name_check("bucket", bucket, &c->err) < 0 ||
	    uri_key_check(key, false, &c->err) < 0)
		return;
	c->from_bucket = json_string_value(json_object_get(body, "bucket"));
	c->from_key = json_string_value(json_object_get(body, "key"));
	c->version = json_string_value(json_object_get(body, "version"));
	if (c->version && c->moves)
		err_set(&c->err, ERR_INVALID, "a version cannot be moved; copy it");
	else if (!c->version && !strcmp(bucket, c->bucket) && !strcmp(key, c->key))
		err_set(&c->err, ERR_INVALID, "object '%s' cannot be copied onto itself", key);
}

void store_copy_post(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	if (!store_call_check(c))
		return;
	read_source(c, x->json);
	if (!store_call_failed(c))
		api_work(app, copy_stored, stored_copied, c);
}
