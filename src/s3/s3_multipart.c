/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads. */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "net/http_header.h"

#define STORE(r) ((r)->s3->config.blobs)
#define OPS(r) (STORE(r)->ops)
#define COPY_BLOCK (1024 * 1024)

struct upload_work {
	struct s3_work work;
	char id[BLOB_UPLOAD_ID_MAX + 1];
	char *attributes; /* owned */
	const char *upload;
	struct blob_part *parts; /* owned */
	size_t count;
	struct blob_parts listed;
	int64_t after, limit;
	struct blob_info info;
	struct s3_composite composite;
	char checksum[80];
	const char *from_bucket, *from_key, *from_version;
	int number;
	enum s3_error refused;
};

static void upload_work_free(struct upload_work *w)
{
	free(w->attributes);
	free(w->parts);
	free(w->listed.items);
	free(w);
}

static struct upload_work *upload_work_new(struct s3_request *r, void (*run)(struct s3_work *w),
					   void (*done)(struct s3_work *w))
{
	struct upload_work *w = MEM_NEW(struct upload_work);
	w->work = (struct s3_work){.r = r, .run = run, .done = done};
	w->upload = request_query(r, "uploadId");
	return w;
}

static void result(struct s3_work *w, int r)
{
	if (r >= 0)
		w->err = ERR_INIT;
}

/* ---- create ---- */

static void create_run(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	struct blob_put_options o = {.content_type = request_header(r, "content-type"),
				     .expected_size = -1,
				     .attributes = w->attributes};
	result(work, OPS(r)->upload_begin(STORE(r), r->who.org, r->bucket, r->key, &o, w->id, &work->err));
}

static void create_done(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_BUCKET);
	else if (r->is_fds)
		fds_reply(r, json_pack("{s:s, s:s, s:s}", "bucketName", r->bucket, "objectName", r->key,
				       "uploadId", w->id));
	else {
		struct buf b = BUF_INIT;
		if (w->composite.kind) {
			http_reply_header(r->x, "x-amz-checksum-algorithm", checksum_word(w->composite.kind));
			http_reply_header(r->x, "x-amz-checksum-type", composite_type(&w->composite));
		}
		xml_begin(&b, "InitiateMultipartUploadResult");
		xml_text(&b, "Bucket", r->bucket);
		xml_text(&b, "Key", r->key);
		xml_text(&b, "UploadId", w->id);
		xml_close(&b, "InitiateMultipartUploadResult");
		reply_xml(r, 200, &b);
	}
	upload_work_free(w);
}

void create_multipart_upload(struct s3_request *r)
{
	enum s3_error e;
	CLEANUP(json) json_t *j = attributes_of_request(r, &e);
	struct s3_composite composite = {0};
	if (!e)
		e = composite_choose(request_header(r, "x-amz-checksum-algorithm"),
				     request_header(r, "x-amz-checksum-type"), &composite);
	if (e) {
		reply_error(r, e, NULL);
		return;
	}
	composite_keep(j, &composite);
	struct upload_work *w = upload_work_new(r, create_run, create_done);
	w->composite = composite;
	w->attributes = attributes_text(j);
	work_start(&w->work);
}

/* ---- complete ---- */

/* The part of the upload that the document names by number and ETag; NULL when there is none. */
static const struct blob_part *find_listed(const struct blob_parts *all, size_t *at,
					   const struct blob_part *named)
{
	while (*at < all->count && all->items[*at].number < named->number)
		(*at)++;
	const struct blob_part *p = *at < all->count ? &all->items[*at] : NULL;
	return p && p->number == named->number && strcmp(p->etag, named->etag) == 0 ? p : NULL;
}

/* Sizes and checksums of the parts that are asked for, as they were kept. */
static enum s3_error read_listed(struct upload_work *w, const struct blob_parts *all)
{
	size_t at = 0;
	for (size_t i = 0; i < w->count; i++) {
		struct blob_part *named = &w->parts[i];
		if (i && named->number <= named[-1].number)
			return S3_INVALID_PART_ORDER;
		const struct blob_part *p = find_listed(all, &at, named);
		if (!p || (*named->checksum && strcmp(named->checksum, p->checksum) != 0))
			return S3_INVALID_PART;
		named->size_bytes = p->size_bytes;
		memcpy(named->checksum, p->checksum, sizeof(named->checksum));
	}
	return S3_OK;
}

static enum s3_error check_announced(struct upload_work *w)
{
	struct s3_request *r = w->work.r;
	const char *type = request_header(r, "x-amz-checksum-type");
	const char *size = request_header(r, "x-amz-mp-object-size");
	int64_t bytes = 0;
	for (size_t i = 0; i < w->count; i++)
		bytes += w->parts[i].size_bytes;
	if (size && (strspn(size, "0123456789") != strlen(size) || strtoll(size, NULL, 10) != bytes))
		return S3_INVALID_REQUEST;
	if (type && (!w->composite.kind || strcmp(type, composite_type(&w->composite)) != 0))
		return S3_INVALID_REQUEST;
	static const enum checksum_kind kinds[] = {CHECKSUM_CRC32, CHECKSUM_CRC32C, CHECKSUM_CRC64NVME,
						   CHECKSUM_SHA1, CHECKSUM_SHA256};
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const char *announced = request_header(r, checksum_header(r, kinds[i]));
		if (announced && kinds[i] != w->composite.kind)
			return S3_INVALID_REQUEST;
		if (announced && !composite_matches(announced, w->checksum))
			return S3_BAD_DIGEST;
	}
	return S3_OK;
}

/* The attributes of the object, with the checksum that its parts' checksums make. */
static enum s3_error describe(struct upload_work *w, const struct blob_parts *all)
{
	CLEANUP(json) json_t *j = w->attributes ? json_loads(w->attributes, 0, NULL) : NULL;
	if (!j)
		j = json_object();
	w->composite = composite_take(j);
	enum s3_error e = read_listed(w, all);
	if (!e && w->composite.kind && composite_compute(&w->composite, w->parts, w->count, w->checksum))
		e = S3_INVALID_PART;
	if (!e)
		e = check_announced(w);
	if (w->composite.kind)
		json_object_set_new(j, "c",
				    json_pack("[s,s,s]", checksum_word(w->composite.kind), w->checksum,
					      composite_type(&w->composite)));
	free(w->attributes);
	w->attributes = attributes_text(j);
	return e;
}

static int prepare(struct upload_work *w, struct err *err)
{
	struct s3_request *r = w->work.r;
	struct blob_parts all = {0};
	int n = OPS(r)->upload_stat(STORE(r), r->who.org, r->bucket, r->key, w->upload, &w->attributes, err);
	if (n >= 0)
		n = OPS(r)->part_list(STORE(r), r->who.org, r->bucket, r->key, w->upload, 0, BLOB_PART_MAX,
				      &all, err);
	if (n >= 0)
		w->refused = describe(w, &all);
	free(all.items);
	return n;
}

static void complete_run(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	if (prepare(w, &work->err) < 0 || w->refused)
		return;
	work->err = ERR_INIT;
	const char *none = request_header(r, "if-none-match"), *match = request_header(r, "if-match");
	struct blob_put_options o = {
	    .expected_size = -1, .if_absent = none && strcmp(none, "*") == 0, .attributes = w->attributes};
	if (match)
		o.if_etag = match;
	result(work, OPS(r)->upload_complete(STORE(r), r->who.org, r->bucket, r->key, w->upload, w->parts,
					     w->count, &o, &w->info, &work->err));
}

/* The store's words for what is wrong with the parts. */
static enum s3_error complete_error(const struct err *err)
{
	if (err->code == ERR_TOO_LARGE)
		return S3_ENTITY_TOO_SMALL;
	if (err->code == ERR_INVALID)
		return strstr(err->msg, "ascending") ? S3_INVALID_PART_ORDER : S3_INVALID_PART;
	return S3_OK;
}

static void complete_done(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	enum s3_error e = complete_error(&work->err);
	if (w->refused)
		reply_error(r, w->refused, NULL);
	else if (e)
		reply_error(r, e, work->err.msg);
	else if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_UPLOAD);
	else if (r->is_fds)
		fds_reply_put(r);
	else {
		struct buf b = BUF_INIT;
		const char *host = request_header(r, "host");
		if (strcmp(w->info.version, BLOB_NULL_VERSION) != 0)
			http_reply_header(r->x, "x-amz-version-id", w->info.version);
		xml_begin(&b, "CompleteMultipartUploadResult");
		xml_text(&b, "Location",
			 arena_printf(&r->x->arena, "http%s://%s/%s/%s", r->s3->config.tls_key ? "s" : "",
				      host ? host : "", r->bucket, r->key));
		xml_text(&b, "Bucket", r->bucket);
		xml_text(&b, "Key", r->key);
		xml_etag(&b, w->info.etag);
		if (w->composite.kind) {
			xml_text(&b,
				 arena_printf(&r->x->arena, "Checksum%s", checksum_word(w->composite.kind)),
				 w->checksum);
			xml_text(&b, "ChecksumType", composite_type(&w->composite));
		}
		xml_close(&b, "CompleteMultipartUploadResult");
		reply_xml(r, 200, &b);
	}
	upload_work_free(w);
}

static void complete_with_body(struct s3_request *r, struct str body)
{
	struct upload_work *w = upload_work_new(r, complete_run, complete_done);
	w->parts = mem_alloc(BLOB_PART_MAX * sizeof(*w->parts));
	enum s3_error e =
	    r->is_fds ? fds_parts(body, w->parts, &w->count) : document_parts(body, w->parts, &w->count);
	if (e) {
		upload_work_free(w);
		reply_error(r, e, NULL);
		return;
	}
	work_start(&w->work);
}

void complete_multipart_upload(struct s3_request *r)
{
	body_to_bytes(r, 4 * S3_XML_MAX, complete_with_body);
}

/* ---- abort, list ---- */

static void abort_run(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	result(work, OPS(r)->upload_abort(STORE(r), r->who.org, r->bucket, r->key, w->upload, &work->err));
}

static void abort_done(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	if (work->err.code)
		reply_err(work->r, &work->err, S3_NO_SUCH_UPLOAD);
	else
		reply_empty(work->r, 204);
	upload_work_free(w);
}

void abort_multipart_upload(struct s3_request *r)
{
	work_start(&upload_work_new(r, abort_run, abort_done)->work);
}

static void list_run(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	result(work, OPS(r)->part_list(STORE(r), r->who.org, r->bucket, r->key, w->upload, (int)w->after,
				       (size_t)w->limit, &w->listed, &work->err));
}

/* "CRC32=base64" as it was kept with the part. */
static void add_checksum(struct buf *b, struct s3_request *r, const char *text)
{
	const char *equals = strchr(text, '=');
	if (equals)
		xml_text(b, arena_printf(&r->x->arena, "Checksum%.*s", (int)(equals - text), text),
			 equals + 1);
}

static void list_done(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	if (work->err.code) {
		reply_err(r, &work->err, S3_NO_SUCH_UPLOAD);
		upload_work_free(w);
		return;
	}
	struct buf b = BUF_INIT;
	xml_begin(&b, "ListPartsResult");
	xml_text(&b, "Bucket", r->bucket);
	xml_text(&b, "Key", r->key);
	xml_text(&b, "UploadId", w->upload);
	xml_int(&b, "PartNumberMarker", w->after);
	if (w->listed.truncated)
		xml_int(&b, "NextPartNumberMarker", w->listed.items[w->listed.count - 1].number);
	xml_int(&b, "MaxParts", w->limit);
	xml_bool(&b, "IsTruncated", w->listed.truncated);
	for (size_t i = 0; i < w->listed.count; i++) {
		const struct blob_part *p = &w->listed.items[i];
		xml_open(&b, "Part");
		xml_int(&b, "PartNumber", p->number);
		xml_time(&b, "LastModified", p->modified_ms);
		xml_etag(&b, p->etag);
		xml_int(&b, "Size", p->size_bytes);
		add_checksum(&b, r, p->checksum);
		xml_close(&b, "Part");
	}
	xml_text(&b, "StorageClass", "STANDARD");
	xml_close(&b, "ListPartsResult");
	reply_xml(r, 200, &b);
	upload_work_free(w);
}

void list_parts(struct s3_request *r)
{
	struct upload_work *w = upload_work_new(r, list_run, list_done);
	enum s3_error e = request_int(r, "part-number-marker", 0, BLOB_PART_MAX, 0, &w->after);
	if (!e)
		e = request_int(r, "max-parts", 1, INT32_MAX, BLOB_LIST_MAX, &w->limit);
	if (e) {
		upload_work_free(w);
		reply_error(r, e, NULL);
		return;
	}
	if (w->limit > BLOB_LIST_MAX)
		w->limit = BLOB_LIST_MAX;
	work_start(&w->work);
}

/* ---- a part that is a copy ---- */

static int copy_range(struct upload_work *w, struct blob_get *get, int64_t first, int64_t length,
		      struct err *err)
{
	struct s3_request *r = w->work.r;
	struct blob_put *put = NULL;
	struct blob_put_options o = {.expected_size = length, .etag = BLOB_HASH_MD5};
	int n =
	    OPS(r)->part_begin(STORE(r), r->who.org, r->bucket, r->key, w->upload, w->number, &o, &put, err);
	if (n < 0)
		return n;
	CLEANUP(free) char *block = mem_alloc(COPY_BLOCK);
	struct checksum *sum = w->composite.kind ? checksum_new(w->composite.kind) : NULL;
	for (int64_t at = 0; at < length && n >= 0;) {
		size_t want = length - at < COPY_BLOCK ? (size_t)(length - at) : COPY_BLOCK;
		ssize_t got = OPS(r)->get_read(get, first + at, block, want, err);
		n = got < 0 ? (int)got : OPS(r)->put_write(put, block, (size_t)got, err);
		if (sum && n >= 0)
			checksum_update(sum, block, (size_t)got);
		at += got;
	}
	if (sum) {
		checksum_base64(sum, w->checksum);
		checksum_free(sum);
		CLEANUP(free)
		char *text = mem_printf("%s=%s", checksum_word(w->composite.kind), w->checksum);
		OPS(r)->put_attributes(put, text);
	}
	if (n < 0) {
		OPS(r)->put_abort(put);
		return n;
	}
	return OPS(r)->put_commit(put, &w->info, err);
}

static void part_copy_run(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	struct blob_get *get = NULL;
	struct blob_info from;
	int n = OPS(r)->get_open(STORE(r), r->who.org, w->from_bucket, w->from_key, w->from_version, &get,
				 &from, &work->err);
	if (n < 0)
		return;
	int64_t first = 0, length = from.size_bytes;
	const char *range = request_header(r, "x-amz-copy-source-range");
	w->refused = copy_conditions(r, &from);
	if (!w->refused && range &&
	    http_range_parse(range, from.size_bytes, &first, &length) != HTTP_RANGE_PART)
		w->refused = S3_INVALID_RANGE;
	if (!w->refused)
		n = OPS(r)->upload_stat(STORE(r), r->who.org, r->bucket, r->key, w->upload, &w->attributes,
					&work->err);
	if (!w->refused && n >= 0) {
		CLEANUP(json) json_t *j = w->attributes ? json_loads(w->attributes, 0, NULL) : NULL;
		w->composite = composite_take(j);
		n = copy_range(w, get, first, length, &work->err);
	}
	OPS(r)->get_close(get);
	result(work, n);
}

static void part_copy_done(struct s3_work *work)
{
	struct upload_work *w = CONTAINER_OF(work, struct upload_work, work);
	struct s3_request *r = work->r;
	if (w->refused)
		reply_error(r, w->refused, NULL);
	else if (work->err.code)
		reply_err(r, &work->err, S3_NO_SUCH_KEY);
	else {
		struct buf b = BUF_INIT;
		xml_begin(&b, "CopyPartResult");
		xml_time(&b, "LastModified", w->info.modified_ms);
		xml_etag(&b, w->info.etag);
		if (w->composite.kind)
			xml_text(&b,
				 arena_printf(&r->x->arena, "Checksum%s", checksum_word(w->composite.kind)),
				 w->checksum);
		xml_close(&b, "CopyPartResult");
		reply_xml(r, 200, &b);
	}
	upload_work_free(w);
}

void upload_part_copy(struct s3_request *r)
{
	struct upload_work *w = upload_work_new(r, part_copy_run, part_copy_done);
	int64_t number;
	enum s3_error e = copy_source(r, &w->from_bucket, &w->from_key, &w->from_version);
	if (!e && (request_int(r, "partNumber", 1, BLOB_PART_MAX, 0, &number) || !number))
		e = S3_INVALID_ARGUMENT;
	if (e) {
		upload_work_free(w);
		reply_error(r, e, NULL);
		return;
	}
	w->number = (int)number;
	work_start(&w->work);
}
