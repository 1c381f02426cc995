/* SPDX-License-Identifier: Apache-2.0 */
/* Lists: objects (both versions of the call), versions, uploads, parts. */
#include "s3/s3_int.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

enum list_kind { LIST_V1, LIST_V2, LIST_VERSIONS, LIST_UPLOADS };

struct list_work {
	struct s3_work work;
	enum list_kind kind;
	const char *prefix, *delimiter, *after, *after_version, *token;
	bool encoded, with_owner;
	int64_t limit;
	struct blob_list list;
};

static void run(struct s3_work *work)
{
	struct list_work *w = CONTAINER_OF(work, struct list_work, work);
	struct s3_request *r = work->r;
	struct blob_store *s = r->s3->config.blobs;
	size_t limit = (size_t)w->limit;
	int n;
	if (w->kind == LIST_VERSIONS)
		n = s->ops->list_versions(s, r->who.org, r->bucket, w->prefix, w->after, w->after_version,
					  w->delimiter, limit, &w->list, &work->err);
	else if (w->kind == LIST_UPLOADS)
		n = s->ops->upload_list(s, r->who.org, r->bucket, w->prefix, w->after, w->after_version,
					limit, &w->list, &work->err);
	else
		n = s->ops->list(s, r->who.org, r->bucket, w->prefix, w->after, w->delimiter, limit, &w->list,
				 &work->err);
	if (n >= 0)
		work->err = ERR_INIT;
}

static void add_owner(struct buf *b, const struct s3_request *r, const char *name)
{
	xml_open(b, name);
	xml_text(b, "ID", r->who.org);
	xml_text(b, "DisplayName", r->who.org);
	xml_close(b, name);
}

static void add_object(struct buf *b, const struct list_work *w, const struct blob_entry *e)
{
	const char *name = w->kind != LIST_VERSIONS   ? "Contents"
			   : e->info.is_delete_marker ? "DeleteMarker"
						      : "Version";
	xml_open(b, name);
	xml_url(b, "Key", e->key, w->encoded);
	if (w->kind == LIST_VERSIONS) {
		xml_text(b, "VersionId", e->info.version);
		xml_bool(b, "IsLatest", e->info.is_latest);
	}
	xml_time(b, "LastModified", e->info.modified_ms);
	if (!e->info.is_delete_marker) {
		xml_etag(b, e->info.etag);
		xml_int(b, "Size", e->info.size_bytes);
		xml_text(b, "StorageClass", "STANDARD");
	}
	if (w->with_owner)
		add_owner(b, w->work.r, "Owner");
	xml_close(b, name);
}

static void add_upload(struct buf *b, const struct list_work *w, const struct blob_entry *e)
{
	xml_open(b, "Upload");
	xml_url(b, "Key", e->key, w->encoded);
	xml_text(b, "UploadId", e->upload_id);
	add_owner(b, w->work.r, "Initiator");
	add_owner(b, w->work.r, "Owner");
	xml_text(b, "StorageClass", "STANDARD");
	xml_time(b, "Initiated", e->info.modified_ms);
	xml_close(b, "Upload");
}

/* Tokens are the last entry's key in hexadecimal: nothing that a client could take for a key. */
static void add_token(struct buf *b, const char *key)
{
	xml_open(b, "NextContinuationToken");
	for (; *key; key++)
		buf_printf(b, "%02x", (unsigned char)*key);
	xml_close(b, "NextContinuationToken");
}

static void add_next(struct buf *b, const struct list_work *w)
{
	const struct blob_entry *last = &w->list.entries[w->list.count - 1];
	switch (w->kind) {
	case LIST_V1:
		xml_url(b, "NextMarker", last->key, w->encoded);
		break;
	case LIST_V2:
		add_token(b, last->key);
		break;
	case LIST_VERSIONS:
		xml_url(b, "NextKeyMarker", last->key, w->encoded);
		if (!last->is_prefix)
			xml_text(b, "NextVersionIdMarker", last->info.version);
		break;
	case LIST_UPLOADS:
		xml_url(b, "NextKeyMarker", last->key, w->encoded);
		xml_text(b, "NextUploadIdMarker", last->upload_id);
		break;
	}
}

static void add_head(struct buf *b, const struct list_work *w)
{
	struct s3_request *r = w->work.r;
	bool is_pair = w->kind == LIST_VERSIONS || w->kind == LIST_UPLOADS;
	xml_text(b, w->kind == LIST_UPLOADS ? "Bucket" : "Name", r->bucket);
	xml_url(b, "Prefix", w->prefix, w->encoded);
	if (w->kind == LIST_V1)
		xml_url(b, "Marker", w->after ? w->after : "", w->encoded);
	if (w->kind == LIST_V2) {
		const char *start = request_query(r, "start-after");
		xml_int(b, "KeyCount", (int64_t)w->list.count);
		if (w->token)
			xml_text(b, "ContinuationToken", w->token);
		if (start)
			xml_url(b, "StartAfter", start, w->encoded);
	}
	if (is_pair) {
		xml_url(b, "KeyMarker", w->after ? w->after : "", w->encoded);
		xml_text(b, w->kind == LIST_UPLOADS ? "UploadIdMarker" : "VersionIdMarker",
			 w->after_version ? w->after_version : "");
	}
	xml_int(b, w->kind == LIST_UPLOADS ? "MaxUploads" : "MaxKeys", w->limit);
	if (*w->delimiter)
		xml_url(b, "Delimiter", w->delimiter, w->encoded);
	if (w->encoded)
		xml_text(b, "EncodingType", "url");
	xml_bool(b, "IsTruncated", w->list.truncated && w->list.count);
	if (w->list.truncated && w->list.count)
		add_next(b, w);
}

static json_t *fds_page(const struct list_work *w)
{
	const struct s3_request *r = w->work.r;
	json_t *objects = json_array(), *prefixes = json_array();
	bool is_cut = w->list.truncated && w->list.count;
	for (size_t i = 0; i < w->list.count; i++) {
		const struct blob_entry *e = &w->list.entries[i];
		if (e->is_prefix)
			json_array_append_new(prefixes, json_string(e->key));
		else
			json_array_append_new(objects,
					      json_pack("{s:s, s:o, s:I, s:I, s:s}", "name", e->key, "owner",
							fds_owner(r), "size", (json_int_t)e->info.size_bytes,
							"uploadTime", (json_int_t)e->info.modified_ms, "etag",
							e->info.etag));
	}
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:o, s:o}", "name", r->bucket, "prefix",
			 w->prefix, "delimiter", w->delimiter, "marker", w->after ? w->after : "",
			 "nextMarker", is_cut ? w->list.entries[w->list.count - 1].key : "", "maxKeys",
			 (json_int_t)w->limit, "truncated", is_cut, "objects", objects, "commonPrefixes",
			 prefixes);
}

static void done(struct s3_work *work)
{
	struct list_work *w = CONTAINER_OF(work, struct list_work, work);
	static const char *const roots[] = {[LIST_V1] = "ListBucketResult",
					    [LIST_V2] = "ListBucketResult",
					    [LIST_VERSIONS] = "ListVersionsResult",
					    [LIST_UPLOADS] = "ListMultipartUploadsResult"};
	if (work->err.code) {
		reply_err(work->r, &work->err, S3_NO_SUCH_BUCKET);
	} else if (work->r->is_fds) {
		fds_reply(work->r, fds_page(w));
	} else {
		struct buf b = BUF_INIT;
		xml_begin(&b, roots[w->kind]);
		add_head(&b, w);
		for (size_t i = 0; i < w->list.count; i++)
			if (w->list.entries[i].is_prefix)
				continue;
			else if (w->kind == LIST_UPLOADS)
				add_upload(&b, w, &w->list.entries[i]);
			else
				add_object(&b, w, &w->list.entries[i]);
		for (size_t i = 0; i < w->list.count; i++)
			if (w->list.entries[i].is_prefix) {
				xml_open(&b, "CommonPrefixes");
				xml_url(&b, "Prefix", w->list.entries[i].key, w->encoded);
				xml_close(&b, "CommonPrefixes");
			}
		xml_close(&b, roots[w->kind]);
		reply_xml(work->r, 200, &b);
	}
	blob_list_done(&w->list);
	free(w);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* NULL when it is none of ours. */
static const char *token_key(struct s3_request *r, const char *token)
{
	size_t len = strlen(token);
	if (len % 2 || strspn(token, "0123456789abcdef") != len)
		return NULL;
	char *key = arena_strndup(&r->x->arena, token, len / 2);
	for (size_t i = 0; i < len / 2; i++) {
		char hex[3] = {token[2 * i], token[2 * i + 1], '\0'};
		key[i] = (char)strtoul(hex, NULL, 16);
	}
	return key;
}

static void start(struct s3_request *r, struct list_work asked, const char *limit_name)
{
	const char *encoding = request_query(r, "encoding-type");
	asked.prefix = or_empty(request_query(r, "prefix"));
	asked.delimiter = or_empty(request_query(r, "delimiter"));
	asked.encoded = encoding != NULL;
	enum s3_error e = request_int(r, limit_name, 0, INT32_MAX, BLOB_LIST_MAX, &asked.limit);
	if (encoding && strcasecmp(encoding, "url") != 0)
		e = S3_INVALID_ARGUMENT;
	if (e) {
		reply_error(r, e, NULL);
		return;
	}
	if (asked.limit > BLOB_LIST_MAX)
		asked.limit = BLOB_LIST_MAX;
	struct list_work *w = MEM_NEW(struct list_work);
	*w = asked;
	w->work = (struct s3_work){.r = r, .run = run, .done = done};
	work_start(&w->work);
}

void list_objects_v1(struct s3_request *r)
{
	start(r, (struct list_work){.kind = LIST_V1, .after = request_query(r, "marker"), .with_owner = true},
	      r->is_fds ? "maxKeys" : "max-keys");
}

void list_objects_v2(struct s3_request *r)
{
	const char *token = request_query(r, "continuation-token"), *owner = request_query(r, "fetch-owner");
	struct list_work w = {.kind = LIST_V2,
			      .after = request_query(r, "start-after"),
			      .token = token,
			      .with_owner = owner && strcmp(owner, "true") == 0};
	if (token && (!*token || !(w.after = token_key(r, token)))) {
		reply_error(r, S3_INVALID_ARGUMENT, "The continuation token is not ours");
		return;
	}
	start(r, w, "max-keys");
}

static const char *null_if_empty(const char *s)
{
	return s && *s ? s : NULL;
}

void list_object_versions(struct s3_request *r)
{
	start(r,
	      (struct list_work){.kind = LIST_VERSIONS,
				 .after = null_if_empty(request_query(r, "key-marker")),
				 .after_version = null_if_empty(request_query(r, "version-id-marker")),
				 .with_owner = true},
	      "max-keys");
}

void list_multipart_uploads(struct s3_request *r)
{
	start(r,
	      (struct list_work){.kind = LIST_UPLOADS,
				 .after = null_if_empty(request_query(r, "key-marker")),
				 .after_version = null_if_empty(request_query(r, "upload-id-marker"))},
	      "max-uploads");
}
