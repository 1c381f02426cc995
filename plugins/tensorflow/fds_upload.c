/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads. */
#include "fds_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

int fds_upload_begin(struct fds_upload *u, struct err *err)
{
	CLEANUP(fds_call)
	struct fds_call c = {
	    .doing = "beginning to write", .method = "POST", .at = &u->at, .query = "uploads="};
	int r = fds_call_run(u->store, &c, err);
	if (r >= 0)
		r = fds_xml_value(buf_str(&c.text), c.text.len, "InitiateMultipartUploadResult/UploadId",
				  u->id, sizeof(u->id), err);
	if (r < 0)
		return r;
	if (!u->id[0])
		return err_set(err, ERR_BACKEND, "the store gave no name to an upload");
	u->count = 0;
	u->bytes = 0;
	return 0;
}

static void add_id(const struct fds_upload *u, struct buf *query)
{
	buf_adds(query, "uploadId=");
	fds_encode(query, u->id, false);
}

static int add_part(struct fds_upload *u, struct fds_call *c, size_t len, struct err *err)
{
	CLEANUP(buf) struct buf query = BUF_INIT;
	if (u->count == FDS_PARTS_MAX)
		return err_set(
		    err, ERR_TOO_LARGE,
		    "'fds://%s/%.300s' needs more than %d parts; set CLOUDML_S3_PART_BYTES to more",
		    u->at.bucket, u->at.key, FDS_PARTS_MAX);
	buf_printf(&query, "partNumber=%d&", u->count + 1);
	add_id(u, &query);
	c->query = buf_str(&query);
	int r = fds_call_run(u->store, c, err);
	if (r >= 0 && !c->answer.etag[0]) /* a copied part has it in its document */
		r = fds_xml_value(buf_str(&c->text), c->text.len, "CopyPartResult/ETag", c->answer.etag,
				  sizeof(c->answer.etag), err);
	if (r < 0)
		return r;
	if (!c->answer.etag[0])
		return err_set(err, ERR_BACKEND, "the store gave no ETag to a part");
	u->etags = mem_realloc(u->etags, (size_t)(u->count + 1) * sizeof(*u->etags));
	memcpy(u->etags[u->count++], c->answer.etag, sizeof(*u->etags));
	u->bytes += (int64_t)len;
	return 0;
}

int fds_upload_add(struct fds_upload *u, const void *data, size_t len, struct err *err)
{
	CLEANUP(fds_call)
	struct fds_call c = {.doing = "writing", .method = "PUT", .at = &u->at, .data = data, .len = len};
	return add_part(u, &c, len, err);
}

int fds_upload_add_object(struct fds_upload *u, const struct fds_path *from, int64_t size, struct err *err)
{
	CLEANUP(buf) struct buf source = BUF_INIT;
	/* Equal pieces, so that none is too small. */
	int64_t pieces = (size + FDS_COPY_MAX - 1) / FDS_COPY_MAX, at = 0;
	buf_printf(&source, "/%s/", from->bucket);
	fds_encode(&source, from->key, true);
	for (int64_t i = 1; i <= pieces; i++) {
		int64_t end = size / pieces * i + size % pieces * i / pieces;
		char range[64];
		snprintf(range, sizeof(range), "bytes=%lld-%lld", (long long)at, (long long)end - 1);
		CLEANUP(fds_call)
		struct fds_call c = {
		    .doing = "copying to",
		    .method = "PUT",
		    .at = &u->at,
		    .headers = {{"x-amz-copy-source", buf_str(&source)}, {"x-amz-copy-source-range", range}}};
		int r = add_part(u, &c, (size_t)(end - at), err);
		if (r < 0)
			return r;
		at = end;
	}
	return 0;
}

static void forget(struct fds_upload *u)
{
	free(u->etags);
	u->etags = NULL;
	u->id[0] = '\0';
	u->count = 0;
}

/* An attempt whose answer was lost has taken the upload away: is this the object that it made? */
static bool is_complete(struct fds_upload *u)
{
	struct fds_object o;
	struct err ignored = ERR_INIT;
	char end[32];
	snprintf(end, sizeof(end), "-%d\"", u->count);
	if (fds_object_stat(u->store, &u->at, &o, &ignored) < 0 || o.size != u->bytes)
		return false;
	size_t len = strlen(o.etag), end_len = strlen(end);
	return len > end_len && !strcmp(o.etag + len - end_len, end);
}

int fds_upload_complete(struct fds_upload *u, struct err *err)
{
	CLEANUP(buf) struct buf query = BUF_INIT, body = BUF_INIT;
	char etag[FDS_ETAG_MAX + 1];
	add_id(u, &query);
	buf_adds(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	for (int i = 0; i < u->count; i++) {
		buf_printf(&body, "<Part><PartNumber>%d</PartNumber><ETag>", i + 1);
		for (const char *p = u->etags[i]; *p; p++)
			buf_printf(&body, *p == '"' || *p == '<' || *p == '&' ? "&#%d;" : "%c", *p);
		buf_adds(&body, "</ETag></Part>");
	}
	buf_adds(&body, "</CompleteMultipartUpload>");
	CLEANUP(fds_call)
	struct fds_call c = {.doing = "completing",
			     .method = "POST",
			     .at = &u->at,
			     .query = buf_str(&query),
			     .data = body.data,
			     .len = body.len};
	int r = fds_call_run(u->store, &c, err);
	if (r >= 0)
		r = fds_xml_value(buf_str(&c.text), c.text.len, "CompleteMultipartUploadResult/ETag", etag,
				  sizeof(etag), err);
	else if (c.was_uncertain && c.answer.status == 404 && is_complete(u)) {
		*err = ERR_INIT;
		r = 0;
	}
	if (r >= 0)
		forget(u);
	return r;
}

void fds_upload_abort(struct fds_upload *u)
{
	struct err ignored = ERR_INIT;
	if (u->id[0]) {
		CLEANUP(buf) struct buf query = BUF_INIT;
		add_id(u, &query);
		CLEANUP(fds_call)
		struct fds_call c = {
		    .doing = "giving up", .method = "DELETE", .at = &u->at, .query = buf_str(&query)};
		fds_call_run(u->store, &c, &ignored);
	}
	forget(u);
}
