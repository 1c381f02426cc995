/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads in parts, which go on after an interruption: 'cloudml store cp' of large files. */
#include "api/api_store.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define PART_BYTES_MAX (INT64_C(5) << 30)
#define LIST_PARTS_MAX 100000 /* that one page of a list looks at, and those of one upload more */
/* An upload of ours may be gone on with by another call; what an S3 client began is its own. */
#define OUR_MARK "{\"api\":1}"

static struct store_call *upload_call(struct http_exchange *x, struct api *a)
{
	struct store_call *c = store_call_new(x, a);
	c->upload = http_query(x, "upload");
	return c;
}

static bool upload_check(struct store_call *c)
{
	if (!c->upload || strlen(c->upload) > BLOB_UPLOAD_ID_MAX)
		err_set(&c->err, ERR_INVALID, "the query parameter 'upload' names no upload");
	return !store_call_failed(c) && store_call_check(c);
}

/* ---- begin, end ---- */

static void begin_upload(void *arg)
{
	struct store_call *c = arg;
	const struct blob_put_options o = {
	    .content_type = "application/octet-stream", .expected_size = -1, .attributes = OUR_MARK};
	store_call_result(
	    c, c->blobs->ops->upload_begin(c->blobs, c->org, c->bucket, c->key, &o, c->upload_id, &c->err));
}

static void upload_begun(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	http_reply_json(c->x, 201, json_pack("{s:s, s:s}", "key", c->key, "upload", c->upload_id));
	store_call_free(c);
}

static void post_upload(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	if (store_call_check(c))
		api_work(app, begin_upload, upload_begun, c);
}

static void abort_upload(void *arg)
{
	struct store_call *c = arg;
	store_call_result(
	    c, c->blobs->ops->upload_abort(c->blobs, c->org, c->bucket, c->key, c->upload, &c->err));
}

static void upload_aborted(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	http_reply_empty(c->x, 204);
	store_call_free(c);
}

static void delete_upload(struct http_exchange *x, void *app)
{
	struct store_call *c = upload_call(x, app);
	if (upload_check(c))
		api_work(app, abort_upload, upload_aborted, c);
}

static void complete_upload(void *arg)
{
	struct store_call *c = arg;
	const struct blob_put_options o = {.expected_size = -1};
	store_call_result(c, c->blobs->ops->upload_complete(c->blobs, c->org, c->bucket, c->key, c->upload,
							    c->parts.items, c->parts.count, &o, &c->info,
							    &c->err));
}

static void read_part(struct store_call *c, const json_t *object)
{
	struct blob_part *part = &c->parts.items[c->parts.count];
	CLEANUP(free) char *etag = NULL;
	int64_t number = 0;
	struct json_reader j;
	json_reader_begin(&j, object, "a part");
	json_get_int(&j, "number", 1, BLOB_PART_MAX, &number);
	json_get_string(&j, "etag", BLOB_ETAG_MAX, &etag);
	if (!number || !etag)
		json_reader_fail(&j, "a part has a number and an etag");
	if (json_reader_end(&j, &c->err) < 0)
		return;
	part->number = (int)number;
	snprintf(part->etag, sizeof(part->etag), "%s", etag);
	c->parts.count++;
}

static void put_upload(struct http_exchange *x, void *app)
{
	struct store_call *c = upload_call(x, app);
	struct json_reader j;
	size_t i;
	const json_t *object;
	if (!upload_check(c))
		return;
	json_reader_begin(&j, x->json, "the end of an upload");
	const json_t *parts = json_get_array(&j, "parts", BLOB_PART_MAX);
	if (!json_array_size(parts))
		json_reader_fail(&j, "'parts' is empty");
	json_reader_end(&j, &c->err);
	c->parts.items = mem_alloc((json_array_size(parts) + 1) * sizeof(*c->parts.items));
	json_array_foreach(parts, i, object)
	{
		if (!c->err.code && !json_is_object(object))
			err_set(&c->err, ERR_INVALID, "a part is {\"number\": 1, \"etag\": …}");
		if (!c->err.code)
			read_part(c, object);
	}
	if (!store_call_failed(c))
		api_work(app, complete_upload, store_call_committed, c);
}

/* ---- what there is ---- */

/* One that has ended meanwhile has none. */
static int sum_parts(struct store_call *c, struct blob_entry *e, size_t *ret_count)
{
	struct blob_parts parts = {0};
	int r = c->blobs->ops->part_list(c->blobs, c->org, c->bucket, e->key, e->upload_id, 0, BLOB_PART_MAX,
					 &parts, &c->err);
	e->info.size_bytes = 0;
	for (size_t i = 0; i < parts.count; i++)
		e->info.size_bytes += parts.items[i].size_bytes;
	*ret_count += parts.count;
	free(parts.items);
	return r == -ERR_NOT_FOUND ? 0 : r;
}

/* A page ends early when its uploads have very many parts. */
static void list_uploads(void *arg)
{
	struct store_call *c = arg;
	struct blob_list *l = &c->list;
	size_t parts = 0;
	int r = c->blobs->ops->upload_list(c->blobs, c->org, c->bucket, c->prefix, c->after, c->after_version,
					   BLOB_LIST_MAX, l, &c->err);
	for (size_t i = 0; i < l->count && r >= 0; i++) {
		r = sum_parts(c, &l->entries[i], &parts);
		if (parts < LIST_PARTS_MAX)
			continue;
		l->truncated |= i + 1 < l->count;
		while (l->count > i + 1) {
			struct blob_entry *cut = &l->entries[--l->count];
			free(cut->key);
			free(cut->upload_id);
		}
	}
	store_call_result(c, r);
}

static void uploads_listed(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	json_t *list = json_array();
	for (size_t i = 0; i < c->list.count; i++)
		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:I, s:I}", "key", c->list.entries[i].key,
						"upload", c->list.entries[i].upload_id, "begun_ms",
						(json_int_t)c->list.entries[i].info.modified_ms, "bytes",
						(json_int_t)c->list.entries[i].info.size_bytes));
	http_reply_json(c->x, 200, json_pack("{s:o, s:b}", "data", list, "truncated", c->list.truncated));
	store_call_free(c);
}

static void get_uploads(struct http_exchange *x, void *app)
{
	struct store_call *c = store_call_new(x, app);
	c->prefix = http_query(x, "prefix") ? http_query(x, "prefix") : "";
	c->after = http_query(x, "after");
	c->after_version = http_query(x, "after_upload");
	if (store_call_check(c))
		api_work(app, list_uploads, uploads_listed, c);
}

static void list_parts(void *arg)
{
	struct store_call *c = arg;
	const struct blob_ops *ops = c->blobs->ops;
	CLEANUP(free) char *mark = NULL;
	int r = ops->upload_stat(c->blobs, c->org, c->bucket, c->key, c->upload, &mark, &c->err);
	c->is_ours = mark && !strcmp(mark, OUR_MARK);
	if (r >= 0)
		r = ops->part_list(c->blobs, c->org, c->bucket, c->key, c->upload, 0, BLOB_PART_MAX,
				   &c->parts, &c->err);
	store_call_result(c, r);
}

static void parts_listed(void *arg)
{
	struct store_call *c = arg;
	if (store_call_failed(c))
		return;
	json_t *list = json_array();
	for (size_t i = 0; i < c->parts.count; i++)
		json_array_append_new(list, json_pack("{s:i, s:I, s:s}", "number", c->parts.items[i].number,
						      "size", (json_int_t)c->parts.items[i].size_bytes,
						      "etag", c->parts.items[i].etag));
	http_reply_json(c->x, 200, json_pack("{s:o, s:b}", "data", list, "resumable", c->is_ours));
	store_call_free(c);
}

static void get_upload(struct http_exchange *x, void *app)
{
	struct store_call *c = upload_call(x, app);
	if (upload_check(c))
		api_work(app, list_parts, parts_listed, c);
}

/* ---- one part ---- */

static void begin_part(void *arg)
{
	struct store_call *c = arg;
	const struct blob_put_options o = {.expected_size = c->length, .etag = BLOB_HASH_MD5};
	store_call_result(c, c->blobs->ops->part_begin(c->blobs, c->org, c->bucket, c->key, c->upload,
						       (int)c->part, &o, &c->put, &c->err));
}

static void put_part(struct http_exchange *x, void *app)
{
	struct store_call *c = upload_call(x, app);
	c->length = x->body_length;
	http_query_int(x, "part", 1, BLOB_PART_MAX, &c->part, &c->err);
	if (!c->err.code && !c->part)
		err_set(&c->err, ERR_INVALID, "the query parameter 'part' is a number from 1 to %d",
			BLOB_PART_MAX);
	if (upload_check(c))
		api_work(app, begin_part, store_call_receive, c);
}

static const struct http_param upload_params[] = {{"upload", "string", "which upload"}, {NULL}};
static const struct http_param part_params[] = {
    {"upload", "string", "which upload"}, {"part", "integer", "its number, 1 to 10000"}, {NULL}};
static const struct http_param uploads_params[] = {
    {"prefix", "string", "only of keys that begin with this"},
    {"after", "string", "only keys behind this one"},
    {"after_upload", "string", "of the key 'after': only uploads behind this one"},
    {NULL}};

const struct http_route api_store_upload_routes[] = {
    {"GET", "/api/v1/store-uploads/{bucket}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_uploads, "store",
     "Uploads in parts that have not ended", uploads_params, NULL, "UploadList", 200},
    {"POST", "/api/v1/store-uploads/{bucket}/{key...}", HTTP_MEMBER, HTTP_BODY_NONE, 0, post_upload, "store",
     "Begin an upload in parts", NULL, NULL, "Upload", 201},
    {"GET", "/api/v1/store-uploads/{bucket}/{key...}", HTTP_VIEWER, HTTP_BODY_NONE, 0, get_upload, "store",
     "Parts that an upload has", upload_params, NULL, "UploadParts", 200},
    {"PUT", "/api/v1/store-uploads/{bucket}/{key...}", HTTP_MEMBER, HTTP_BODY_JSON, 2 << 20, put_upload,
     "store", "Make an object of the parts", upload_params, "UploadEnd", "StoredObject", 201},
    {"DELETE", "/api/v1/store-uploads/{bucket}/{key...}", HTTP_MEMBER, HTTP_BODY_NONE, 0, delete_upload,
     "store", "Forget an upload and its parts", upload_params, NULL, NULL, 204},
    {"PUT", "/api/v1/store-parts/{bucket}/{key...}", HTTP_MEMBER, HTTP_BODY_STREAM, PART_BYTES_MAX, put_part,
     "store", "Write a part; 5 MiB or more, but for the last", part_params, "bytes", "StoredObject", 201},
    {.method = NULL},
};
