/* SPDX-License-Identifier: Apache-2.0 */
/* Calls on objects. */
#include "fds_store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <nettle/base64.h>
#include <nettle/md5.h>
#include "base/mem.h"

static void take_answer(const struct fds_answer *a, int64_t size, struct fds_object *ret)
{
	ret->size = size;
	ret->modified_ns = a->modified_ns;
	memcpy(ret->etag, a->etag, sizeof(ret->etag));
}

int fds_object_stat(struct fds_store *s, const struct fds_path *at, struct fds_object *ret, struct err *err)
{
	CLEANUP(fds_call) struct fds_call c = {.doing = "looking at", .method = "HEAD", .at = at};
	int r = fds_call_run(s, &c, err);
	if (r < 0)
		return r;
	if (c.answer.length < 0)
		return err_set(err, ERR_BACKEND, "the store does not say how long 'fds://%s/%.300s' is",
			       at->bucket, at->key);
	take_answer(&c.answer, c.answer.length, ret);
	return 0;
}

ssize_t fds_object_read(struct fds_store *s, const struct fds_path *at, int64_t offset, char *data,
			size_t len, struct fds_object *ret, struct err *err)
{
	char range[64];
	snprintf(range, sizeof(range), "bytes=%lld-%lld", (long long)offset,
		 (long long)(offset + (int64_t)len - 1));
	CLEANUP(fds_call)
	struct fds_call c = {.doing = "reading",
			     .method = "GET",
			     .at = at,
			     .headers = {{"range", range}},
			     .into = data,
			     .max = len};
	int r = fds_call_run(s, &c, err);
	if (c.answer.status == 416 && r < 0) {
		*err = ERR_INIT;
		take_answer(&c.answer, c.answer.total, ret);
		return 0;
	}
	if (r < 0)
		return r;
	/* An empty object may come as a whole; anything else that ignores the range would be taken for its
	 * beginning. */
	bool whole = c.answer.status == 200 && offset == 0 && c.answer.total < 0;
	if (whole)
		c.answer.total = (int64_t)c.got;
	if (!whole && (c.answer.range_start != offset || c.answer.total < 0 ||
		       c.answer.range_end - c.answer.range_start + 1 != (int64_t)c.got))
		return err_set(err, ERR_BACKEND,
			       "reading 'fds://%s/%.300s': the store sent another range than asked for",
			       at->bucket, at->key);
	take_answer(&c.answer, c.answer.total, ret);
	return (ssize_t)c.got;
}

int fds_object_put(struct fds_store *s, const struct fds_path *at, const void *data, size_t len,
		   struct err *err)
{
	CLEANUP(fds_call)
	struct fds_call c = {
	    .doing = "writing", .method = "PUT", .at = at, .data = len ? data : NULL, .len = len};
	return fds_call_run(s, &c, err);
}

int fds_object_copy(struct fds_store *s, const struct fds_path *from, const struct fds_path *to, int64_t size,
		    struct err *err)
{
	if (size > FDS_COPY_MAX) {
		struct fds_upload u = {.store = s, .at = *to};
		int r = fds_upload_begin(&u, err);
		if (r >= 0)
			r = fds_upload_add_object(&u, from, size, err);
		if (r >= 0)
			r = fds_upload_complete(&u, err);
		fds_upload_abort(&u);
		return r;
	}
	CLEANUP(buf) struct buf source = BUF_INIT;
	char etag[FDS_ETAG_MAX + 1];
	buf_printf(&source, "/%s/", from->bucket);
	fds_encode(&source, from->key, true);
	CLEANUP(fds_call)
	struct fds_call c = {.doing = "copying to",
			     .method = "PUT",
			     .at = to,
			     .headers = {{"x-amz-copy-source", buf_str(&source)}}};
	int r = fds_call_run(s, &c, err);
	return r < 0 ? r
		     : fds_xml_value(buf_str(&c.text), c.text.len, "CopyObjectResult/ETag", etag,
				     sizeof(etag), err);
}

int fds_object_delete(struct fds_store *s, const struct fds_path *at, struct err *err)
{
	CLEANUP(fds_call) struct fds_call c = {.doing = "deleting", .method = "DELETE", .at = at};
	return fds_call_run(s, &c, err);
}

int fds_object_list(struct fds_store *s, const struct fds_path *at, const char *prefix, bool flat,
		    const char *token, int limit, struct fds_list *ret, struct err *err)
{
	struct fds_path bucket = {0};
	CLEANUP(buf) struct buf query = BUF_INIT;
	memcpy(bucket.bucket, at->bucket, sizeof(bucket.bucket));
	if (token) {
		buf_adds(&query, "continuation-token=");
		fds_encode(&query, token, false);
		buf_addc(&query, '&');
	}
	buf_printf(&query,
		   "%sencoding-type=url&list-type=2&max-keys=%d&prefix=", flat ? "delimiter=%2F&" : "",
		   limit);
	fds_encode(&query, prefix, false);
	CLEANUP(fds_call)
	struct fds_call c = {.doing = "listing", .method = "GET", .at = &bucket, .query = buf_str(&query)};
	int r = fds_call_run(s, &c, err);
	if (r < 0)
		return r;
	CLEANUP(fds_list) struct fds_list list = {0};
	r = fds_xml_list(buf_str(&c.text), c.text.len, &list, err);
	for (size_t i = 0; i < list.count && r >= 0; i++)
		if (strncmp(list.entries[i].key, prefix, strlen(prefix)) != 0)
			r = err_set(err, ERR_BACKEND, "the store lists keys that were not asked for");
	if (r >= 0 && token && list.token && !strcmp(token, list.token))
		r = err_set(err, ERR_BACKEND, "the store's list has no end");
	if (r < 0)
		return err_wrap(err, "listing 'fds://%s/%.300s'", at->bucket, prefix);
	fds_list_clear(ret);
	*ret = list;
	list = (struct fds_list){0};
	return 0;
}

static void add_escaped(struct buf *b, const char *s)
{
	for (; *s; s++) {
		if (*s == '&' || *s == '<' || *s == '>' || *s == '"' || (unsigned char)*s < ' ')
			buf_printf(b, "&#%d;", *s);
		else
			buf_addc(b, *s);
	}
}

int fds_object_delete_many(struct fds_store *s, const struct fds_path *at, const struct fds_list *keys,
			   size_t *ret_failed, struct err *err)
{
	struct fds_path bucket = {0};
	CLEANUP(buf) struct buf body = BUF_INIT;
	struct md5_ctx md5;
	uint8_t sum[MD5_DIGEST_SIZE];
	char text[BASE64_ENCODE_RAW_LENGTH(MD5_DIGEST_SIZE) + 1] = "", code[64];
	memcpy(bucket.bucket, at->bucket, sizeof(bucket.bucket));
	buf_adds(&body, "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
	for (size_t i = 0; i < keys->count; i++) {
		buf_adds(&body, "<Object><Key>");
		add_escaped(&body, keys->entries[i].key);
		buf_adds(&body, "</Key></Object>");
	}
	buf_adds(&body, "</Delete>");
	md5_init(&md5);
	md5_update(&md5, body.len, (const uint8_t *)body.data);
	md5_digest(&md5, sizeof(sum), sum);
	base64_encode_raw(text, sizeof(sum), sum);
	*ret_failed = keys->count;
	CLEANUP(fds_call)
	struct fds_call c = {.doing = "deleting in",
			     .method = "POST",
			     .at = &bucket,
			     .query = "delete=",
			     .headers = {{"content-md5", text}},
			     .data = body.data,
			     .len = body.len};
	int r = fds_call_run(s, &c, err);
	if (r >= 0)
		r = fds_xml_deleted(buf_str(&c.text), c.text.len, ret_failed, code, err);
	if (r >= 0 && *ret_failed)
		r = err_set(err, ERR_DENIED, "the store did not delete %zu of %zu objects in 'fds://%s': %s",
			    *ret_failed, keys->count, at->bucket, code);
	return r;
}
