/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a bucket or an object; versioning; many removals at once. */
#include "api/api_store.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static const char *const versioning_words[] = {
    [BLOB_VERSIONING_OFF] = "off", [BLOB_VERSIONING_ON] = "on", [BLOB_VERSIONING_SUSPENDED] = "suspended"};

void store_format_version(json_t *j, const struct blob_info *info)
{
	json_object_set_new(j, "version", json_string(info->version));
	json_object_set_new(j, "is_latest", json_boolean(info->is_latest));
	json_object_set_new(j, "is_delete_marker", json_boolean(info->is_delete_marker));
}

/* ---- an object ---- */

/* Sizes of parts are the opened object's, so that they are of the same version as the rest. */
static int read_parts(struct store_call *c, struct blob_get *g)
{
	int r = 0;
	c->part_sizes = mem_alloc(((size_t)c->info.part_count + 1) * sizeof(*c->part_sizes));
	for (int i = 0; i < c->info.part_count && r >= 0; i++) {
		int64_t offset;
		r = c->blobs->ops->get_part(g, i + 1, &offset, &c->part_sizes[i], &c->err);
	}
	return r;
}

static void stat_object(void *arg)
{
	struct store_call *c = arg;
	struct blob_get *g = NULL;
	int r =
	    c->blobs->ops->get_open(c->blobs, c->org, c->bucket, c->key, c->version, &g, &c->info, &c->err);
	if (r >= 0) {
		r = read_parts(c, g);
		c->blobs->ops->get_close(g);
	}
	store_call_result(c, r);
}

static void object_known(void *arg)
{
	struct store_call *c = arg;
	const struct blob_info *i = &c->info;
	if (store_call_failed(c))
		return;
	json_t *j =
	    json_pack("{s:s, s:I, s:s, s:I, s:s?, s:s}", "key", c->key, "size", (json_int_t)i->size_bytes,
		      "etag", i->etag, "modified_ms", (json_int_t)i->modified_ms, "sha256",
		      *i->sha256 ? i->sha256 : NULL, "content_type", i->content_type);
	store_format_version(j, i);
	json_object_set_new(j, "parts", json_integer(i->part_count));
	json_t *sizes = json_array();
	for (int k = 0; k < i->part_count; k++)
		json_array_append_new(sizes, json_integer(c->part_sizes[k]));
	json_object_set_new(j, "part_sizes", sizes);
	http_reply_json(c->x, 200, j);
	store_call_free(c);
}

static void get_object_state(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	if (store_call_check(c))
		api_work(app, stat_object, object_known, c);
}

/* ---- a bucket ---- */

/* What S3 clients keep with the bucket stays. */
static int change_bucket(struct store_call *c)
{
	const struct blob_ops *ops = c->blobs->ops;
	CLEANUP(free) char *attributes = NULL;
	int r = ops->bucket_stat(c->blobs, c->org, c->bucket, &c->state, &c->err);
	if (r >= 0 && c->sets_rules)
		r = lifecycle_into_bucket(c->state.attributes, &c->rules, &attributes, &c->err);
	if (r < 0)
		return r;
	free(c->state.attributes);
	c->state.attributes = NULL;
	return ops->bucket_set(c->blobs, c->org, c->bucket,
			       c->versioning >= 0 ? (enum blob_versioning)c->versioning : c->state.versioning,
			       attributes, &c->err);
}

static void stat_bucket(void *arg)
{
	struct store_call *c = arg;
	int r = c->versioning >= 0 || c->sets_rules ? change_bucket(c) : 0;
	if (r >= 0)
		r = c->blobs->ops->bucket_stat(c->blobs, c->org, c->bucket, &c->state, &c->err);
	lifecycle_done(&c->rules);
	if (r >= 0)
		r = lifecycle_of_bucket(c->state.attributes, &c->rules, &c->err);
	store_call_result(c, r);
}

static void bucket_known(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	http_reply_json(c->x, 200,
			json_pack("{s:s, s:I, s:s, s:I, s:I, s:o}", "name", c->bucket, "created_ms",
				  (json_int_t)c->state.created_ms, "versioning",
				  versioning_words[c->state.versioning], "objects",
				  (json_int_t)c->state.objects, "bytes", (json_int_t)c->state.bytes,
				  "lifecycle", lifecycle_format(&c->rules)));
	store_call_free(c);
}

static void get_bucket_state(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	c->versioning = -1;
	if (store_call_check(c))
		api_work(app, stat_bucket, bucket_known, c);
}

static void patch_bucket(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	CLEANUP(free) char *word = NULL;
	struct json_reader j;
	c->versioning = -1;
	json_reader_begin(&j, x->json, "the change of a bucket");
	json_get_string(&j, "versioning", 16, &word);
	const json_t *rules = json_get_array(&j, "lifecycle", LIFECYCLE_RULES_MAX);
	if (word && !strcmp(word, "on"))
		c->versioning = BLOB_VERSIONING_ON;
	else if (word && !strcmp(word, "suspended"))
		c->versioning = BLOB_VERSIONING_SUSPENDED;
	else if (word)
		json_reader_fail(&j, "versioning '%s' is neither 'on' nor 'suspended'", word);
	if (json_reader_end(&j, &c->err) >= 0 && rules)
		c->sets_rules = lifecycle_parse(rules, &c->rules, &c->err) >= 0;
	if (!store_call_failed(c) && store_call_check(c))
		api_work(app, stat_bucket, bucket_known, c);
}

/* ---- removals ---- */

static void remove_objects(void *arg)
{
	struct store_call *c = arg;
	store_call_result(
	    c, c->blobs->ops->remove_many(c->blobs, c->org, c->bucket, c->removals, c->count, &c->err));
}

static void objects_removed(void *arg)
{
	struct store_call *c = arg;
	json_int_t removed = 0;
	if (store_call_failed(c))
		return;
	json_t *list = json_array();
	for (size_t i = 0; i < c->count; i++) {
		const struct blob_removal *item = &c->removals[i];
		json_t *j = json_pack("{s:s}", "key", item->key);
		if (item->version)
			json_object_set_new(j, "version", json_string(item->version));
		if (item->err.code)
			json_object_set_new(j, "error",
					    json_pack("{s:s, s:s}", "code", err_word(item->err.code),
						      "message", item->err.msg));
		else
			removed++;
		json_array_append_new(list, j);
	}
	http_reply_json(c->x, 200, json_pack("{s:I, s:o}", "removed", removed, "data", list));
	store_call_free(c);
}

/* The texts stay the request's. */
static void read_removal(struct store_call *c, const json_t *object)
{
	struct blob_removal *item = &c->removals[c->count];
	CLEANUP(free) char *key = NULL;
	CLEANUP(free) char *version = NULL;
	struct json_reader j;
	json_reader_begin(&j, object, "an object to remove");
	json_get_string(&j, "key", BLOB_KEY_MAX, &key);
	json_get_string(&j, "version", BLOB_VERSION_MAX, &version);
	if (!key)
		json_reader_fail(&j, "an object to remove has no key");
	if (json_reader_end(&j, &c->err) < 0 || uri_key_check(key, false, &c->err) < 0)
		return;
	item->key = json_string_value(json_object_get(object, "key"));
	item->version = json_string_value(json_object_get(object, "version"));
	c->count++;
}

static void post_removals(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	struct json_reader j;
	size_t i;
	const json_t *object;
	if (!store_call_check(c))
		return;
	json_reader_begin(&j, x->json, "removals");
	const json_t *objects = json_get_array(&j, "objects", BLOB_LIST_MAX);
	if (!json_array_size(objects))
		json_reader_fail(&j, "'objects' names nothing to remove");
	json_reader_end(&j, &c->err);
	c->removals = mem_alloc((json_array_size(objects) + 1) * sizeof(*c->removals));
	json_array_foreach(objects, i, object)
	{
		if (!c->err.code && !json_is_object(object))
			err_set(&c->err, ERR_INVALID, "an object to remove is {\"key\": …}");
		if (!c->err.code)
			read_removal(c, object);
	}
	if (!store_call_failed(c))
		api_work(app, remove_objects, objects_removed, c);
}

static const struct http_param version_params[] = {{"version", "string", "instead of the newest version"},
						   {NULL}};

const struct http_route api_store_bucket_routes[] = {
    {"GET", "/api/v1/store-objects/{bucket}/{key...}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_object_state,
     "store", "What is known of an object", version_params, NULL, "ObjectState", 200},
    {"POST", "/api/v1/store-copies/{bucket}/{key...}", HTTP_MEMBER, HTTP_BODY_JSON, 16384, store_copy_post,
     "store", "Copy or move an object inside the store", NULL, "CopySource", "StoredObject", 201},
    {"POST", "/api/v1/store-removals/{bucket}", HTTP_MEMBER, HTTP_BODY_JSON, 4 << 20, post_removals, "store",
     "Remove many objects or versions", NULL, "Removals", "RemovalsResult", 200},
    {"GET", "/api/v1/store-buckets/{bucket}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_bucket_state, "store",
     "What is known of a bucket", NULL, NULL, "BucketState", 200},
    {"PATCH", "/api/v1/store-buckets/{bucket}", HTTP_MEMBER, HTTP_BODY_JSON, 262144, patch_bucket, "store",
     "Change a bucket: versions, life-cycle rules", NULL, "BucketChange", "BucketState", 200},
    {.method = NULL},
};
