/* SPDX-License-Identifier: Apache-2.0 */
/* Writing objects: PUT, copy, tags, removal. */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

#define STORE(r) ((r)->s3->config.blobs)
#define OPS(r) (STORE(r)->ops)

static const char *unquoted(struct s3_request *r, const char *etag)
{
	size_t len = strlen(etag);
	return len >= 2 && etag[0] == '"' && etag[len - 1] == '"'
		   ? arena_strndup(&r->x->arena, etag + 1, len - 2)
		   : etag;
}

/* If-None-Match: * and If-Match of a write. */
static enum s3_error read_conditions(struct s3_request *r, struct blob_put_options *o)
{
	const char *none = request_header(r, "if-none-match"), *match = request_header(r, "if-match");
	if (none && strcmp(none, "*") != 0)
		return S3_NOT_IMPLEMENTED;
	o->if_absent = none != NULL;
	o->if_etag = match ? unquoted(r, match) : NULL;
	return S3_OK;
}

static void reply_version(struct s3_request *r, const struct blob_info *info)
{
	if (strcmp(info->version, BLOB_NULL_VERSION) != 0)
		http_reply_header(r->x, "x-amz-version-id", info->version);
}

static void reply_checksum(struct s3_request *r)
{
	if (!r->checksum_kind || !*r->checksum)
		return;
	http_reply_header(r->x, checksum_header(r, r->checksum_kind), r->checksum);
}

static void put_done(struct s3_request *r, const struct blob_info *info, const struct err *err)
{
	if (err->code) {
		reply_err(r, err, S3_NO_SUCH_KEY);
		return;
	}
	if (r->is_fds && request_query(r, "uploadId")) {
		fds_reply(r, json_pack("{s:i, s:s, s:I}", "partNumber", atoi(request_query(r, "partNumber")),
				       "etag", info->etag, "partSize", (json_int_t)info->size_bytes));
		return;
	}
	if (r->is_fds) {
		fds_reply_put(r);
		return;
	}
	http_reply_header(r->x, "ETag", arena_printf(&r->x->arena, "\"%s\"", info->etag));
	reply_version(r, info);
	reply_checksum(r);
	if (r->checksum_kind && !request_query(r, "uploadId"))
		http_reply_header(r->x, "x-amz-checksum-type", "FULL_OBJECT");
	reply_empty(r, 200);
}

/* "a=1&b=2" of x-amz-tagging. */
static enum s3_error header_tags(struct s3_request *r, json_t *attributes)
{
	const char *text = request_header(r, "x-amz-tagging");
	if (!text || !*text)
		return S3_OK;
	/* A query by form: the same rules as those of a request's. */
	struct s3_request form = {.x = r->x};
	enum s3_error e = request_form(&form, text);
	json_t *tags = json_object();
	for (size_t i = 0; i < form.query_count && !e; i++)
		e = tag_add(tags, form.query[i].name, form.query[i].value);
	json_object_set_new(attributes, "t", tags);
	return e ? S3_INVALID_TAG : S3_OK;
}

void put_object(struct s3_request *r)
{
	struct blob_put *put = NULL;
	struct err err = ERR_INIT;
	struct blob_put_options o = {.content_type = request_header(r, "content-type"),
				     .expected_size = body_length(r),
				     .etag = BLOB_HASH_MD5};
	enum s3_error e;
	r->attributes = attributes_of_request(r, &e);
	if (!e)
		e = header_tags(r, r->attributes);
	if (!e)
		e = read_conditions(r, &o);
	if (!e && o.expected_size > S3_OBJECT_MAX)
		e = S3_ENTITY_TOO_LARGE;
	if (e)
		reply_error(r, e, NULL);
	else if (OPS(r)->put_begin(STORE(r), r->who.org, r->bucket, r->key, &o, &put, &err) < 0)
		reply_err(r, &err, S3_NO_SUCH_BUCKET);
	else
		body_to_put(r, put, false, put_done);
}

/* ---- calls that need the pool ---- */

struct put_work {
	struct s3_work work;
	const char *from_bucket, *from_key, *from_version;
	bool replace;
	enum s3_error refused;
	struct blob_info from, info;
	char *attributes; /* owned */
	json_t *tags;	  /* owned; NULL = none are to be set */
	struct blob_removal *items;
	size_t count, denied; /* the last 'denied' ones are not to be tried */
	bool quiet;
};

static void put_work_free(struct put_work *w)
{
	free(w->attributes);
	json_decref(w->tags);
	free(w->items);
	free(w);
}

static struct put_work *put_work_new(struct s3_request *r, void (*run)(struct s3_work *w),
				     void (*done)(struct s3_work *w))
{
	struct put_work *w = MEM_NEW(struct put_work);
	w->work = (struct s3_work){.r = r, .run = run, .done = done};
	return w;
}

static void result(struct s3_work *w, int r)
{
	if (r >= 0)
		w->err = ERR_INIT;
}

/* ---- copy ---- */

enum s3_error copy_source(struct s3_request *r, const char **bucket, const char **key, const char **version)
{
	const char *text = request_header(r, "x-amz-copy-source");
	size_t len = strcspn(text, "?");
	char *path = request_decode(r, text, len);
	if (!path)
		return S3_INVALID_ARGUMENT;
	path += *path == '/';
	char *slash = strchr(path, '/');
	if (!slash || !slash[1])
		return S3_INVALID_ARGUMENT;
	*slash = '\0';
	*bucket = path;
	*key = slash + 1;
	*version = strncmp(text + len, "?versionId=", 11) == 0 ? text + len + 11 : NULL;
	return S3_OK;
}

enum s3_error copy_conditions(const struct s3_request *r, const struct blob_info *info)
{
	const char *match = request_header(r, "x-amz-copy-source-if-match");
	const char *none = request_header(r, "x-amz-copy-source-if-none-match");
	if (match && strstr(match, info->etag) == NULL && strcmp(match, "*") != 0)
		return S3_PRECONDITION_FAILED;
	if (none && (strstr(none, info->etag) || strcmp(none, "*") == 0))
		return S3_PRECONDITION_FAILED;
	return S3_OK;
}

static void copy_run(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	int n = OPS(r)->stat(STORE(r), r->who.org, w->from_bucket, w->from_key, w->from_version, &w->from,
			     NULL, &work->err);
	if (n < 0)
		return;
	w->refused = copy_conditions(r, &w->from);
	if (w->refused) {
		work->err = ERR_INIT;
		return;
	}
	struct blob_put_options o = {.expected_size = -1};
	if (w->replace) {
		o.attributes = w->attributes ? w->attributes : "";
		o.content_type = request_header(r, "content-type") ? request_header(r, "content-type") : "";
	}
	result(work, OPS(r)->copy(STORE(r), r->who.org, w->from_bucket, w->from_key, w->from_version,
				  r->bucket, r->key, &o, &w->info, &work->err));
}

static void copy_done(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	if (w->refused)
		reply_error(r, w->refused, NULL);
	else if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_KEY);
	else if (r->is_fds)
		fds_reply_put(r);
	else {
		struct buf b = BUF_INIT;
		reply_version(r, &w->info);
		if (strcmp(w->from.version, BLOB_NULL_VERSION) != 0)
			http_reply_header(r->x, "x-amz-copy-source-version-id", w->from.version);
		xml_begin(&b, "CopyObjectResult");
		xml_time(&b, "LastModified", w->info.modified_ms);
		xml_etag(&b, w->info.etag);
		xml_close(&b, "CopyObjectResult");
		reply_xml(r, 200, &b);
	}
	put_work_free(w);
}

void copy_object(struct s3_request *r)
{
	struct put_work *w = put_work_new(r, copy_run, copy_done);
	const char *directive = request_header(r, "x-amz-metadata-directive");
	enum s3_error e = copy_source(r, &w->from_bucket, &w->from_key, &w->from_version);
	w->replace = directive && strcmp(directive, "REPLACE") == 0;
	if (!e && directive && !w->replace && strcmp(directive, "COPY") != 0)
		e = S3_INVALID_ARGUMENT;
	if (!e && !w->replace && strcmp(w->from_bucket, r->bucket) == 0 && strcmp(w->from_key, r->key) == 0 &&
	    !w->from_version)
		e = S3_INVALID_REQUEST;
	if (!e && w->replace) {
		CLEANUP(json) json_t *j = attributes_of_request(r, &e);
		if (!e)
			e = header_tags(r, j);
		w->attributes = attributes_text(j);
	}
	if (e) {
		put_work_free(w);
		reply_error(r, e, NULL);
		return;
	}
	work_start(&w->work);
}

/* ---- removal ---- */

static void delete_run(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	size_t count = w->count - w->denied;
	if (count)
		result(work,
		       OPS(r)->remove_many(STORE(r), r->who.org, r->bucket, w->items, count, &work->err));
}

static void delete_done(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	const struct blob_removal *item = &w->items[0];
	if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_BUCKET);
	else if (item->err.code)
		reply_err(r, &item->err, S3_NO_SUCH_KEY);
	else {
		if (item->ret.is_delete_marker)
			http_reply_header(r->x, "x-amz-delete-marker", "true");
		if (*item->ret.version)
			reply_version(r, &item->ret);
		reply_empty(r, 204);
	}
	put_work_free(w);
}

void delete_object(struct s3_request *r)
{
	struct put_work *w = put_work_new(r, delete_run, delete_done);
	w->items = mem_alloc(sizeof(*w->items));
	w->items[0] = (struct blob_removal){.key = r->key, .version = request_query(r, "versionId")};
	w->count = 1;
	work_start(&w->work);
}

static void delete_many_done(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	if (work->err.code) {
		reply_err(r, &work->err, S3_NO_SUCH_BUCKET);
		put_work_free(w);
		return;
	}
	if (r->is_fds) {
		json_t *failed = json_array();
		for (size_t i = 0; i < w->count; i++)
			if (w->items[i].err.code)
				json_array_append_new(failed,
						      json_pack("{s:s, s:s}", "object_name", w->items[i].key,
								"error", w->items[i].err.msg));
		put_work_free(w);
		fds_reply(r, failed);
		return;
	}
	struct buf b = BUF_INIT;
	xml_begin(&b, "DeleteResult");
	for (size_t i = 0; i < w->count; i++) {
		const struct blob_removal *item = &w->items[i];
		if (item->err.code == 0 && w->quiet)
			continue;
		xml_open(&b, item->err.code ? "Error" : "Deleted");
		xml_text(&b, "Key", item->key);
		if (item->version)
			xml_text(&b, "VersionId", item->version);
		if (item->err.code) {
			xml_text(&b, "Code", error_word(error_of(&item->err, S3_NO_SUCH_KEY)));
			xml_text(&b, "Message", item->err.msg);
		} else if (item->ret.is_delete_marker) {
			xml_bool(&b, "DeleteMarker", true);
			xml_text(&b, "DeleteMarkerVersionId", item->ret.version);
		}
		xml_close(&b, item->err.code ? "Error" : "Deleted");
	}
	xml_close(&b, "DeleteResult");
	reply_xml(r, 200, &b);
	put_work_free(w);
}

/* Those that the key may not remove go to the end, each with its error. */
static void deny_outside(struct put_work *w)
{
	struct s3_request *r = w->work.r;
	for (size_t i = 0; i < w->count - w->denied;) {
		struct blob_removal *item = &w->items[i];
		if (scope_may_write(r, r->bucket, item->key)) {
			i++;
			continue;
		}
		struct blob_removal *last = &w->items[w->count - ++w->denied], outside = *item;
		*item = *last;
		err_set(&outside.err, ERR_DENIED, "Access Denied");
		*last = outside;
	}
}

static void delete_with_body(struct s3_request *r, struct str body)
{
	struct put_work *w = put_work_new(r, delete_run, delete_many_done);
	w->items = mem_alloc(DELETE_MAX * sizeof(*w->items));
	enum s3_error e = r->is_fds ? fds_names(body, &r->x->arena, w->items, &w->count)
				    : document_delete(body, &r->x->arena, w->items, &w->count, &w->quiet);
	if (e) {
		put_work_free(w);
		reply_error(r, e, NULL);
		return;
	}
	deny_outside(w);
	work_start(&w->work);
}

void delete_objects(struct s3_request *r)
{
	body_to_bytes(r, S3_XML_MAX, delete_with_body);
}

/* ---- tags ---- */

static void tags_read_run(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	result(work, OPS(r)->stat(STORE(r), r->who.org, r->bucket, r->key, request_query(r, "versionId"),
				  &w->info, &w->attributes, &work->err));
}

static void tags_read_done(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_KEY);
	else {
		CLEANUP(json) json_t *j = w->attributes ? json_loads(w->attributes, 0, NULL) : NULL;
		const char *name;
		json_t *value;
		struct buf b = BUF_INIT;
		reply_version(r, &w->info);
		xml_begin(&b, "Tagging");
		xml_open(&b, "TagSet");
		json_object_foreach(json_object_get(j, "t"), name, value)
		{
			xml_open(&b, "Tag");
			xml_text(&b, "Key", name);
			xml_text(&b, "Value", json_string_value(value));
			xml_close(&b, "Tag");
		}
		xml_close(&b, "TagSet");
		xml_close(&b, "Tagging");
		reply_xml(r, 200, &b);
	}
	put_work_free(w);
}

void get_object_tagging(struct s3_request *r)
{
	work_start(&put_work_new(r, tags_read_run, tags_read_done)->work);
}

static void tags_write_run(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	const char *version = request_query(r, "versionId");
	int n = OPS(r)->stat(STORE(r), r->who.org, r->bucket, r->key, version, &w->info, &w->attributes,
			     &work->err);
	if (n < 0)
		return;
	CLEANUP(json) json_t *j = w->attributes ? json_loads(w->attributes, 0, NULL) : NULL;
	if (!j)
		j = json_object();
	if (w->tags && json_object_size(w->tags))
		json_object_set(j, "t", w->tags);
	else
		json_object_del(j, "t");
	CLEANUP(free) char *text = attributes_text(j);
	result(work, OPS(r)->set_attributes(STORE(r), r->who.org, r->bucket, r->key, version,
					    text ? text : "", &work->err));
}

static void tags_write_done(struct s3_work *work)
{
	struct put_work *w = CONTAINER_OF(work, struct put_work, work);
	struct s3_request *r = work->r;
	if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_KEY);
	else {
		reply_version(r, &w->info);
		reply_empty(r, w->tags ? 200 : 204);
	}
	put_work_free(w);
}

static void tags_with_body(struct s3_request *r, struct str body)
{
	json_t *tags = json_object();
	enum s3_error e = document_tags(body, tags);
	if (e) {
		json_decref(tags);
		reply_error(r, e, NULL);
		return;
	}
	struct put_work *w = put_work_new(r, tags_write_run, tags_write_done);
	w->tags = tags;
	work_start(&w->work);
}

void put_object_tagging(struct s3_request *r)
{
	body_to_bytes(r, S3_XML_MAX, tags_with_body);
}

void delete_object_tagging(struct s3_request *r)
{
	work_start(&put_work_new(r, tags_write_run, tags_write_done)->work);
}

/* ---- parts: the same body ---- */

void upload_part(struct s3_request *r)
{
	struct blob_put *put = NULL;
	struct err err = ERR_INIT;
	int64_t number;
	struct blob_put_options o = {.expected_size = body_length(r), .etag = BLOB_HASH_MD5};
	/* FDS chooses by partNumber, which may come alone. */
	if (!request_query(r, "uploadId"))
		reply_error(r, S3_INVALID_ARGUMENT, "The parameter uploadId is missing");
	else if (request_int(r, "partNumber", 1, BLOB_PART_MAX, 0, &number) || !number)
		reply_error(r, S3_INVALID_ARGUMENT, "Part number must be an integer between 1 and 10000");
	else if (OPS(r)->part_begin(STORE(r), r->who.org, r->bucket, r->key, request_query(r, "uploadId"),
				    (int)number, &o, &put, &err) < 0)
		reply_err(r, &err, S3_NO_SUCH_BUCKET);
	else
		body_to_put(r, put, true, put_done);
}
