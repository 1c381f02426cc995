/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Xiaomi's FDS on the gateway's port: the same handlers, chosen by its own parameters, answering in JSON.
 * Names and shapes are those that the galaxy-fds-sdk expects.
 */
#include "s3/s3_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

static void copy_fds(struct s3_request *r);
static void rename_fds(struct s3_request *r);

#define ON_BUCKET true, false
#define ON_KEY false, true
#define ON_SERVICE false, false
/* method, bucket, key, parameter, header, changes, has a body */
static const struct s3_operation operations[] = {
    {"GET", ON_SERVICE, NULL, NULL, false, false, list_buckets},
    {"PUT", ON_BUCKET, NULL, NULL, true, true, create_bucket},
    {"HEAD", ON_BUCKET, NULL, NULL, false, false, head_bucket},
    {"DELETE", ON_BUCKET, NULL, NULL, true, false, delete_bucket},
    {"GET", ON_BUCKET, NULL, NULL, false, false, list_objects_v1},
    {"GET", ON_BUCKET, "acl", NULL, false, false, get_acl},
    {"PUT", ON_BUCKET, "deleteObjects", NULL, true, true, delete_objects},
    {"GET", ON_KEY, NULL, NULL, false, false, get_object},
    {"GET", ON_KEY, "metadata", NULL, false, false, get_object},
    {"HEAD", ON_KEY, NULL, NULL, false, false, head_object},
    {"PUT", ON_KEY, NULL, NULL, true, true, put_object},
    {"DELETE", ON_KEY, NULL, NULL, true, false, delete_object},
    {"GET", ON_KEY, "acl", NULL, false, false, get_acl},
    {"PUT", ON_KEY, "cp", NULL, true, true, copy_fds},
    {"PUT", ON_KEY, "renameTo", NULL, true, false, rename_fds},
    {"PUT", ON_KEY, "uploads", NULL, true, false, create_multipart_upload},
    {"PUT", ON_KEY, "partNumber", NULL, true, true, upload_part},
    {"PUT", ON_KEY, "uploadId", NULL, true, true, complete_multipart_upload},
    {"DELETE", ON_KEY, "uploadId", NULL, true, false, abort_multipart_upload},
    {0},
};

/* Parameters that choose an operation; partNumber before uploadId, which it comes with. */
static const char *const subresources[] = {"acl",
					   "deleteObjects",
					   "cp",
					   "renameTo",
					   "uploads",
					   "partNumber",
					   "uploadId",
					   "accessLog",
					   "antiStealingLink",
					   "authorizedBuckets",
					   "cors",
					   "cropImage",
					   "domain",
					   "lifecycle",
					   "metadata",
					   "migrate2",
					   "prefetch",
					   "quota",
					   "refresh",
					   "restore",
					   "restoreArchive",
					   "setOutsideAccess",
					   "versionIds",
					   "versioning",
					   NULL};

enum s3_error fds_choose(struct s3_request *r)
{
	return operation_choose(r, operations, subresources);
}

/* ---- answers ---- */

void fds_reply(struct s3_request *r, json_t *j)
{
	struct buf b = BUF_INIT;
	json_write(j, &b);
	json_decref(j);
	reply_headers(r);
	http_reply_buf(r->x, 200, "application/json", &b);
	request_free(r);
}

/* The signature in it would make the object readable by everybody who sees the answer: none is given. */
void fds_reply_put(struct s3_request *r)
{
	fds_reply(r, json_pack("{s:s, s:s, s:s, s:s, s:i}", "bucketName", r->bucket, "objectName", r->key,
			       "accessKeyId", r->access_key, "signature", "", "expires", 0));
}

json_t *fds_owner(const struct s3_request *r)
{
	return json_pack("{s:s, s:s}", "id", r->who.org, "displayName", r->who.org);
}

/* ---- bodies of JSON ---- */

enum s3_error fds_names(struct str body, struct arena *arena, struct blob_removal *items, size_t *ret_count)
{
	CLEANUP(json) json_t *j = NULL;
	struct err err = ERR_INIT;
	size_t i;
	json_t *name;
	if (json_parse(body.data, body.len, S3_XML_MAX, &j, &err) < 0 || !json_array_size(j) ||
	    json_array_size(j) > DELETE_MAX)
		return S3_INVALID_ARGUMENT;
	json_array_foreach(j, i, name)
	{
		const char *key = json_string_value(name);
		if (!key || !*key)
			return S3_INVALID_ARGUMENT;
		items[i] = (struct blob_removal){.key = arena_strndup(arena, key, strlen(key))};
	}
	*ret_count = json_array_size(j);
	return S3_OK;
}

enum s3_error fds_parts(struct str body, struct blob_part *parts, size_t *ret_count)
{
	CLEANUP(json) json_t *j = NULL;
	struct err err = ERR_INIT;
	size_t i;
	json_t *part;
	if (json_parse(body.data, body.len, 4 * S3_XML_MAX, &j, &err) < 0)
		return S3_INVALID_ARGUMENT;
	json_t *list = json_object_get(j, "uploadPartResultList");
	if (!json_array_size(list) || json_array_size(list) > BLOB_PART_MAX)
		return S3_INVALID_ARGUMENT;
	json_array_foreach(list, i, part)
	{
		const char *etag = json_string_value(json_object_get(part, "etag"));
		int64_t number = json_integer_value(json_object_get(part, "partNumber"));
		if (!etag || !*etag || strlen(etag) > BLOB_ETAG_MAX || number < 1 || number > BLOB_PART_MAX)
			return S3_INVALID_ARGUMENT;
		parts[i] = (struct blob_part){.number = (int)number};
		memcpy(parts[i].etag, etag, strlen(etag) + 1);
	}
	*ret_count = json_array_size(list);
	return S3_OK;
}

static void copy_with_body(struct s3_request *r, struct str body)
{
	CLEANUP(json) json_t *j = NULL;
	struct err err = ERR_INIT;
	const char *bucket = NULL, *key = NULL;
	if (json_parse(body.data, body.len, S3_XML_MAX, &j, &err) >= 0) {
		bucket = json_string_value(json_object_get(j, "srcBucketName"));
		key = json_string_value(json_object_get(j, "srcObjectName"));
	}
	if (!bucket || !key) {
		reply_error(r, S3_INVALID_ARGUMENT, "the body must name srcBucketName and srcObjectName");
		return;
	}
	CLEANUP(buf) struct buf source = BUF_INIT;
	uri_encode(&source, bucket, true);
	buf_addc(&source, '/');
	uri_encode(&source, key, false);
	request_add_header(r, "x-amz-copy-source", buf_str(&source));
	copy_object(r);
}

static void copy_fds(struct s3_request *r)
{
	body_to_bytes(r, S3_XML_MAX, copy_with_body);
}

/* ---- rename: a copy, then the old name goes; a crash between leaves both ---- */

static void rename_run(struct s3_work *w)
{
	struct s3_request *r = w->r;
	struct blob_store *s = r->s3->config.blobs;
	const char *to = request_query(r, "renameTo");
	struct blob_put_options o = {.expected_size = -1};
	struct blob_info info;
	int n = s->ops->copy(s, r->who.org, r->bucket, r->key, NULL, r->bucket, to, &o, &info, &w->err);
	if (n >= 0 && strcmp(to, r->key) != 0)
		n = s->ops->remove(s, r->who.org, r->bucket, r->key, &w->err);
	if (n >= 0)
		w->err = ERR_INIT;
}

static void rename_done(struct s3_work *w)
{
	struct s3_request *r = w->r;
	if (w->err.code)
		reply_err(r, &w->err, S3_NO_SUCH_KEY);
	else
		reply_empty(r, 200);
	free(w);
}

static void rename_fds(struct s3_request *r)
{
	struct err err = ERR_INIT;
	if (blob_key_check(request_query(r, "renameTo"), &err) < 0) {
		reply_error(r, S3_INVALID_ARGUMENT, err.msg);
		return;
	}
	/* It changes two objects, of which only the first was asked for. */
	if (!scope_may_write(r, r->bucket, request_query(r, "renameTo"))) {
		reply_error(r, S3_ACCESS_DENIED, NULL);
		return;
	}
	struct s3_work *w = MEM_NEW(struct s3_work);
	*w = (struct s3_work){.r = r, .run = rename_run, .done = rename_done};
	work_start(w);
}
