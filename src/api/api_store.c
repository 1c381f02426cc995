/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets and objects. */
#include "api/api_store.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define OBJECT_BYTES_MAX (INT64_C(1) << 36) /* 64 GiB in one upload */

struct store_call *store_call_new(struct http_exchange *x, struct api *a)
{
	struct store_call *c = MEM_NEW(struct store_call);
	c->x = x;
	c->api = a;
	c->blobs = a->config.blobs;
	snprintf(c->org, sizeof(c->org), "%s", api_principal(x)->org);
	c->bucket = http_param(x, "bucket");
	c->key = http_param(x, "key");
	c->version = http_query(x, "version");
	return c;
}

void store_call_result(struct store_call *c, int r)
{
	if (r >= 0)
		c->err = ERR_INIT;
}

void store_call_free(struct store_call *c)
{
	blob_list_done(&c->list);
	free(c->state.attributes);
	lifecycle_done(&c->rules);
	free(c->removals);
	free(c->part_sizes);
	free(c->parts.items);
	free(c);
}

bool store_call_failed(struct store_call *c)
{
	if (!c->err.code)
		return false;
	http_reply_error(c->x, &c->err);
	store_call_free(c);
	return true;
}

bool store_call_check(struct store_call *c)
{
	if (c->bucket)
		core_name_check("bucket", c->bucket, &c->err);
	if (c->key && !c->err.code)
		uri_key_check(c->key, false, &c->err);
	return !store_call_failed(c);
}

/* ---- buckets ---- */

static void read_buckets(void *arg)
{
	struct store_call *c = arg;
	store_call_result(c, c->blobs->ops->bucket_list(c->blobs, c->org, &c->list, &c->err));
}

static void buckets_read(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	json_t *list = json_array();
	for (size_t i = 0; i < c->list.count; i++)
		json_array_append_new(list, json_pack("{s:s}", "name", c->list.entries[i].key));
	http_reply_json(c->x, 200, json_pack("{s:o}", "data", list));
	store_call_free(c);
}

static void list_buckets(struct http_exchange *x, void *app)
{
	api_work(app, read_buckets, buckets_read, store_call_new(x, app));
}

static void make_bucket(void *arg)
{
	struct store_call *c = arg;
	store_call_result(c, c->blobs->ops->bucket_create(c->blobs, c->org, c->bucket, &c->err));
}

static void bucket_made(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	http_reply_json(c->x, 201, json_pack("{s:s}", "name", c->bucket));
	store_call_free(c);
}

static void put_bucket(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	if (store_call_check(c))
		api_work(app, make_bucket, bucket_made, c);
}

/* ---- lists ---- */

static void read_list(void *arg)
{
	struct store_call *c = arg;
	if (c->with_versions) {
		store_call_result(c, c->blobs->ops->list_versions(c->blobs, c->org, c->bucket, c->prefix,
								  c->after, c->after_version, c->delimiter,
								  (size_t)c->limit, &c->list, &c->err));
		return;
	}
	store_call_result(c, c->blobs->ops->list(c->blobs, c->org, c->bucket, c->prefix, c->after,
						 c->delimiter, (size_t)c->limit, &c->list, &c->err));
}

static json_t *format_entry(const struct store_call *c, const struct blob_entry *e)
{
	if (e->is_prefix)
		return json_pack("{s:s}", "prefix", e->key);
	json_t *j = json_pack("{s:s, s:I, s:I, s:s}", "key", e->key, "size", (json_int_t)e->info.size_bytes,
			      "modified_ms", (json_int_t)e->info.modified_ms, "etag", e->info.etag);
	if (c->with_versions)
		store_format_version(j, &e->info);
	return j;
}

static void list_read(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	json_t *list = json_array();
	for (size_t i = 0; i < c->list.count; i++)
		json_array_append_new(list, format_entry(c, &c->list.entries[i]));
	http_reply_json(c->x, 200, json_pack("{s:o, s:b}", "data", list, "truncated", c->list.truncated));
	store_call_free(c);
}

static void list_objects(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	const char *prefix = http_query(x, "prefix"), *delimiter = http_query(x, "delimiter");
	if (!store_call_check(c))
		return;
	c->prefix = prefix ? prefix : "";
	c->after = http_query(x, "after");
	c->after_version = http_query(x, "after_version");
	c->with_versions = http_query(x, "versions") != NULL;
	c->limit = BLOB_LIST_MAX;
	http_query_int(x, "limit", 1, BLOB_LIST_MAX, &c->limit, &c->err);
	if (c->with_versions && strcmp(http_query(x, "versions"), "true"))
		err_set(&c->err, ERR_INVALID, "the query parameter 'versions' can only be 'true'");
	if (c->after_version && !c->with_versions)
		err_set(&c->err, ERR_INVALID, "'after_version' goes with 'versions=true'");
	if (delimiter && *delimiter && strcmp(delimiter, "/"))
		err_set(&c->err, ERR_INVALID, "the query parameter 'delimiter' can only be '/'");
	if (delimiter && !strcmp(delimiter, "/"))
		c->delimiter = "/";
	if (!store_call_failed(c))
		api_work(app, read_list, list_read, c);
}

/* ---- objects ---- */

static void open_object(void *arg)
{
	struct store_call *c = arg;
	store_call_result(c, c->blobs->ops->get_open(c->blobs, c->org, c->bucket, c->key, c->version, &c->get,
						     &c->info, &c->err));
}

static ssize_t source_read(void *arg, int64_t offset, void *data, size_t len, struct err *err)
{
	struct store_call *c = arg;
	return c->blobs->ops->get_read(c->get, offset, data, len, err);
}

static void source_close(void *arg)
{
	struct store_call *c = arg;
	c->blobs->ops->get_close(c->get);
	c->api->works--;
	store_call_free(c);
}

static const struct http_source_ops object_source = {source_read, source_close};

static void object_opened(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	c->api->works++; /* until the source is closed */
	/* A stranger's object must not run as a page of ours. */
	http_reply_header(c->x, "Content-Disposition", "attachment");
	struct http_download d = {.size = c->info.size_bytes,
				  .etag = c->info.etag,
				  .content_type = c->info.content_type,
				  .ops = &object_source,
				  .arg = c};
	http_reply_download(c->x, &d);
}

static void get_object(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	if (store_call_check(c))
		api_work(app, open_object, object_opened, c);
}

static void remove_object(void *arg)
{
	struct store_call *c = arg;
	if (!c->version) {
		store_call_result(c, c->blobs->ops->remove(c->blobs, c->org, c->bucket, c->key, &c->err));
		return;
	}
	struct blob_removal one = {.key = c->key, .version = c->version};
	store_call_result(c, c->blobs->ops->remove_many(c->blobs, c->org, c->bucket, &one, 1, &c->err));
	if (!c->err.code)
		c->err = one.err;
}

static void object_removed(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	http_reply_empty(c->x, 204);
	store_call_free(c);
}

static void delete_object(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	if (store_call_check(c))
		api_work(app, remove_object, object_removed, c);
}

/* ---- upload ---- */

static int upload_data(void *arg, const void *data, size_t len, struct err *err)
{
	struct store_call *c = arg;
	return c->blobs->ops->put_write(c->put, data, len, err);
}

static void commit_object(void *arg)
{
	struct store_call *c = arg;
	store_call_result(c, c->blobs->ops->put_commit(c->put, &c->info, &c->err));
}

void store_call_committed(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	http_reply_json(c->x, 201,
			json_pack("{s:s, s:I, s:s, s:I}", "key", c->key, "size",
				  (json_int_t)c->info.size_bytes, "etag", c->info.etag, "modified_ms",
				  (json_int_t)c->info.modified_ms));
	store_call_free(c);
}

static void upload_end(void *arg)
{
	struct store_call *c = arg;
	api_work(c->api, commit_object, store_call_committed, c);
}

static void abort_object(void *arg)
{
	struct store_call *c = arg;
	c->blobs->ops->put_abort(c->put);
}

static void object_aborted(void *arg)
{
	store_call_free(arg);
}

static void upload_aborted(void *arg)
{
	struct store_call *c = arg;
	api_work(c->api, abort_object, object_aborted, c);
}

static const struct http_upload_ops object_upload = {upload_data, upload_end, upload_aborted};

static void begin_object(void *arg)
{
	struct store_call *c = arg;
	struct blob_put_options o = {
	    .content_type = c->content_type, .expected_size = c->length, .expected_sha256 = c->sha256};
	store_call_result(
	    c, c->blobs->ops->put_begin(c->blobs, c->org, c->bucket, c->key, &o, &c->put, &c->err));
}

void store_call_receive(void *arg)
{
	struct store_call *c = arg;
	if (!store_call_failed(c))
		http_upload_begin(c->x, &object_upload, c);
}

static const char *arena_header(struct http_exchange *x, const char *name)
{
	const char *value = http_header(x, name);
	return value ? arena_strndup(&x->arena, value, strlen(value)) : NULL;
}

static void put_object(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	if (!store_call_check(c))
		return;
	c->content_type = arena_header(x, "Content-Type");
	if (!c->content_type || strlen(c->content_type) >= sizeof(c->info.content_type))
		c->content_type = "";
	c->sha256 = arena_header(x, "X-Content-SHA256");
	c->length = x->body_length;
	if (c->sha256 && (strlen(c->sha256) != 64 || strspn(c->sha256, "0123456789abcdef") != 64))
		err_set(&c->err, ERR_INVALID, "X-Content-SHA256 is not 64 lower-case hexadecimal digits");
	if (!store_call_failed(c))
		api_work(app, begin_object, store_call_receive, c);
}

static const struct http_param list_params[] = {
    {"prefix", "string", "only keys that begin with this"},
    {"delimiter", "string", "'/' rolls keys up to folders"},
    {"after", "string", "only keys behind this one"},
    {"versions", "boolean", "true: all versions and delete markers"},
    {"after_version", "string", "of the key 'after': only versions behind this one"},
    {"limit", "integer", "at most this many, 1 to 1000"},
    {NULL}};

static const struct http_param version_params[] = {{"version", "string", "instead of the newest version"},
						   {NULL}};

/* ---- credentials for S3 clients ---- */

static void get_credentials(struct http_exchange *x, void *app)
{
	struct api *a = app;
	struct api_store_credentials c;
	struct err err = ERR_INIT;
	int r = a->config.store_credentials
		    ? a->config.store_credentials(a->config.store_credentials_arg, api_principal(x), &c, &err)
		    : err_set(&err, ERR_UNAVAILABLE, "this server has no S3 gateway");
	if (r < 0)
		http_reply_error(x, &err);
	else
		http_reply_json(x, 200,
				json_pack("{s:s,s:s,s:s,s:s}", "access_key_id", c.access_key,
					  "secret_access_key", c.secret, "endpoint", c.endpoint, "region",
					  "us-east-1"));
	explicit_bzero(&c, sizeof(c));
}

const struct http_route api_store_routes[] = {
    {"GET", "/api/v1/store-credentials", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_credentials, "store",
     "Access key and secret for S3 clients", NULL, NULL, "StoreCredentials", 200},
    {"GET", "/api/v1/store", HTTP_VIEWER, HTTP_BODY_NONE, 0, list_buckets, "store", "List buckets", NULL,
     NULL, "BucketList", 200},
    {"PUT", "/api/v1/store/{bucket}", HTTP_MEMBER, HTTP_BODY_NONE, 0, put_bucket, "store", "Make a bucket",
     NULL, NULL, "Bucket", 201},
    {"GET", "/api/v1/store/{bucket}", HTTP_VIEWER, HTTP_BODY_NONE, 0, list_objects, "store", "List objects",
     list_params, NULL, "ObjectList", 200},
    {"GET", "/api/v1/store/{bucket}/{key...}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_object, "store",
     "An object's bytes", version_params, NULL, "bytes", 200},
    {"PUT", "/api/v1/store/{bucket}/{key...}", HTTP_MEMBER, HTTP_BODY_STREAM, OBJECT_BYTES_MAX, put_object,
     "store", "Write an object", NULL, "bytes", "StoredObject", 201},
    {"DELETE", "/api/v1/store/{bucket}/{key...}", HTTP_MEMBER, HTTP_BODY_NONE, 0, delete_object, "store",
     "Remove an object", version_params, NULL, NULL, 204},
    {.method = NULL},
};
