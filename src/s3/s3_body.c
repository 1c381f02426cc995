/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies. Nothing is committed before length, hash, signatures, Content-MD5 and checksum agree. */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>
#include "base/digest.h"
#include "base/mem.h"

#define CHECKSUM_HEADER "x-amz-checksum-"

struct s3_body {
	struct s3_request *r;
	bool is_chunked;
	struct s3_chunks chunks;
	int64_t length;	    /* decoded so far */
	struct digest hash; /* of the whole */
	struct md5_ctx md5;
	bool want_md5, want_hash;
	unsigned char md5_announced[MD5_DIGEST_SIZE];
	enum checksum_kind kind;
	struct checksum *checksum;
	char announced[64], computed[64]; /* base64 */

	struct blob_put *put; /* NULL: bytes are collected */
	struct buf bytes;
	size_t bytes_max;
	s3_body_done_fn *done;
	s3_bytes_done_fn *bytes_done;
	/* on the pool */
	struct s3_work work;
	struct blob_info info;
	enum s3_error failed;
	bool is_part, replied;
};

static void body_free(struct s3_body *b)
{
	chunks_done(&b->chunks);
	buf_done(&b->bytes);
	checksum_free(b->checksum);
	if (b->put)
		b->r->s3->config.blobs->ops->put_abort(b->put);
	free(b);
}

int64_t body_length(const struct s3_request *r)
{
	const char *decoded = request_header(r, "x-amz-decoded-content-length");
	if (r->payload == S3_PAYLOAD_HASHED || r->payload == S3_PAYLOAD_UNSIGNED)
		return r->x->body_length;
	char *end;
	long long n = decoded ? strtoll(decoded, &end, 10) : -1;
	return decoded && *decoded && !*end && n >= 0 ? n : -1;
}

static int refuse(struct s3_body *b, enum s3_error e, struct err *err)
{
	b->failed = e;
	return err_set(err, ERR_INVALID, "%s", "the body is refused");
}

/* ---- decoded bytes ---- */

static int take(struct s3_body *b, const char *data, size_t len, struct err *err)
{
	b->length += (int64_t)len;
	if (b->want_hash)
		digest_update(&b->hash, data, len);
	if (b->want_md5)
		md5_update(&b->md5, len, (const uint8_t *)data);
	if (b->checksum)
		checksum_update(b->checksum, data, len);
	if (b->put)
		return b->r->s3->config.blobs->ops->put_write(b->put, data, len, err);
	if (b->bytes.len + len > b->bytes_max)
		return refuse(b, S3_ENTITY_TOO_LARGE, err);
	buf_add(&b->bytes, data, len);
	return 0;
}

static int chunk_data(void *arg, const char *data, size_t len, struct err *err)
{
	return take(arg, data, len, err);
}

static void chunk_trailer(void *arg, const char *name, const char *value)
{
	struct s3_body *b = arg;
	if (strncasecmp(name, CHECKSUM_HEADER, sizeof(CHECKSUM_HEADER) - 1) == 0 &&
	    b->kind == checksum_kind_of(name + sizeof(CHECKSUM_HEADER) - 1))
		snprintf(b->announced, sizeof(b->announced), "%s", value);
}

static const struct s3_chunk_ops chunk_ops = {chunk_data, chunk_trailer};

/* ---- at the end ---- */

static enum s3_error check_end(struct s3_body *b)
{
	struct s3_request *r = b->r;
	int64_t announced = body_length(r);
	enum s3_error e = b->is_chunked ? chunks_end(&b->chunks) : S3_OK;
	if (e)
		return e;
	if (announced >= 0 && announced != b->length)
		return S3_INCOMPLETE_BODY;
	if (r->payload == S3_PAYLOAD_HASHED) {
		char hash[65];
		digest_hex(&b->hash, hash);
		if (!digest_equal(hash, r->content_sha256, 64))
			return S3_CONTENT_SHA256_MISMATCH;
	}
	if (b->want_md5) {
		uint8_t raw[MD5_DIGEST_SIZE];
		md5_digest(&b->md5, sizeof(raw), raw);
		if (memcmp(raw, b->md5_announced, sizeof(raw)) != 0)
			return S3_BAD_DIGEST;
	}
	if (b->checksum) {
		checksum_base64(b->checksum, b->computed);
		if (b->announced[0] && strcmp(b->announced, b->computed) != 0)
			return S3_CHECKSUM_MISMATCH;
		bool is_promised = request_header(r, "x-amz-trailer") != NULL;
		if (is_promised && !b->announced[0])
			return S3_INCOMPLETE_BODY;
	}
	return S3_OK;
}

/* What belongs to the content besides its bytes is known now. */
static void describe(struct s3_body *b)
{
	struct s3_request *r = b->r;
	r->checksum_kind = b->kind;
	snprintf(r->checksum, sizeof(r->checksum), "%s", b->computed);
	CLEANUP(free) char *text = NULL;
	if (b->is_part)
		text = b->checksum ? mem_printf("%s=%s", checksum_word(b->kind), b->computed) : NULL;
	else {
		if (b->checksum)
			json_object_set_new(
			    r->attributes, "c",
			    json_pack("[s,s,s]", checksum_word(b->kind), b->computed, "FULL_OBJECT"));
		text = attributes_text(r->attributes);
	}
	r->s3->config.blobs->ops->put_attributes(b->put, text);
}

static void finish(struct s3_body *b, const struct blob_info *info, const struct err *err)
{
	struct s3_request *r = b->r;
	s3_body_done_fn *done = b->done;
	body_free(b);
	done(r, info, err);
}

static void commit_run(struct s3_work *w)
{
	struct s3_body *b = CONTAINER_OF(w, struct s3_body, work);
	struct blob_put *put = STEAL(b->put);
	if (b->r->s3->config.blobs->ops->put_commit(put, &b->info, &w->err) >= 0)
		w->err = ERR_INIT;
}

static void commit_done(struct s3_work *w)
{
	struct s3_body *b = CONTAINER_OF(w, struct s3_body, work);
	struct err err = w->err;
	struct blob_info info = b->info;
	finish(b, &info, &err);
}

/* From the store's thread: the answer is the loop's. */
static void commit_posted(void *arg)
{
	struct s3_body *b = arg;
	b->r->s3->works--;
	commit_done(&b->work);
}

static void committed(void *arg, int r, const struct blob_info *info, const struct err *err)
{
	struct s3_body *b = arg;
	if (r >= 0)
		b->info = *info;
	else
		b->work.err = *err;
	loop_post(b->r->s3->config.loop, commit_posted, b);
}

static void commit(struct s3_body *b)
{
	const struct blob_ops *ops = b->r->s3->config.blobs->ops;
	describe(b);
	b->work = (struct s3_work){.r = b->r, .run = commit_run, .done = commit_done};
	if (!ops->put_is_small(b->put)) {
		work_start(&b->work);
		return;
	}
	b->r->s3->works++;
	ops->put_commit_async(STEAL(b->put), committed, b);
}

static void on_end(void *arg)
{
	struct s3_body *b = arg;
	struct s3_request *r = b->r;
	enum s3_error e = check_end(b);
	if (e) {
		body_free(b);
		reply_error(r, e, NULL);
	} else if (b->put)
		commit(b);
	else {
		s3_bytes_done_fn *done = b->bytes_done;
		struct str bytes = {arena_strndup(&r->x->arena, buf_str(&b->bytes), b->bytes.len),
				    b->bytes.len};
		body_free(b);
		if (bytes.data)
			done(r, bytes);
		else
			reply_error(r, S3_ENTITY_TOO_LARGE, NULL);
	}
}

static int on_data(void *arg, const void *data, size_t len, struct err *err)
{
	struct s3_body *b = arg;
	if (b->replied)
		return 0;
	int r = b->is_chunked ? chunks_take(&b->chunks, data, len, err) : take(b, data, len, err);
	if (r >= 0)
		return 0;
	/* The answer is ours to give, in S3's form; what else comes is dropped by the server. */
	if (b->chunks.failed)
		b->failed = b->chunks.failed;
	enum s3_error e = b->failed ? b->failed : error_of(err, S3_NO_SUCH_BUCKET);
	b->replied = true;
	http_reply_header(b->r->x, "Connection", "close");
	struct s3_request *copy = MEM_NEW(struct s3_request);
	*copy = *b->r;
	copy->attributes = NULL;
	copy->work = NULL;
	reply_error(copy, e, b->failed ? NULL : err->msg);
	return r;
}

static void on_aborted(void *arg)
{
	struct s3_body *b = arg;
	struct s3_request *r = b->r;
	body_free(b);
	request_free(r);
}

static const struct http_upload_ops upload = {on_data, on_end, on_aborted};

/* Content-MD5, and the checksum that comes in a header, in the trailer, or is only named. */
static enum s3_error prepare(struct s3_body *b)
{
	static const char sum[] = CHECKSUM_HEADER;
	struct s3_request *r = b->r;
	const char *md5 = request_header(r, "content-md5"), *trailer = request_header(r, "x-amz-trailer");
	if (b->is_chunked && request_header(r, "x-amz-decoded-content-length") && body_length(r) < 0)
		return S3_INVALID_ARGUMENT;
	if (md5) {
		if (!base64_decode(md5, b->md5_announced, sizeof(b->md5_announced)))
			return S3_INVALID_DIGEST;
		b->want_md5 = true;
	}
	/* With CompleteMultipartUpload it is the object's, not the document's. */
	bool is_of_body = r->operation->handle != complete_multipart_upload;
	for (size_t i = 0; i < r->header_count && is_of_body; i++) {
		const char *name = r->headers[i].name;
		if (strncmp(name, sum, sizeof(sum) - 1) != 0 ||
		    strcmp(name, "x-amz-checksum-algorithm") == 0 ||
		    strcmp(name, "x-amz-checksum-mode") == 0 || strcmp(name, "x-amz-checksum-type") == 0)
			continue;
		if (b->kind)
			return S3_INVALID_REQUEST;
		b->kind = checksum_kind_of(name + sizeof(sum) - 1);
		if (!b->kind)
			return S3_INVALID_REQUEST;
		snprintf(b->announced, sizeof(b->announced), "%s", r->headers[i].value);
	}
	/* A checksum that is signed with the headers must not give way to one that follows the bytes. */
	if (trailer && b->kind)
		return S3_INVALID_REQUEST;
	if (trailer && strncasecmp(trailer, sum, sizeof(sum) - 1) == 0)
		b->kind = checksum_kind_of(trailer + sizeof(sum) - 1);
	if (trailer && !b->kind)
		return S3_INVALID_REQUEST;
	const char *named = request_header(r, "x-amz-sdk-checksum-algorithm");
	if (!named)
		named = request_header(r, "x-amz-checksum-algorithm");
	if (!b->kind && named && *named && !(b->kind = checksum_kind_of(named)))
		return S3_INVALID_REQUEST;
	if (b->kind)
		b->checksum = checksum_new(b->kind);
	return S3_OK;
}

static struct s3_body *body_new(struct s3_request *r)
{
	struct s3_body *b = MEM_NEW(struct s3_body);
	b->r = r;
	b->want_hash = r->payload == S3_PAYLOAD_HASHED;
	b->is_chunked = !b->want_hash && r->payload != S3_PAYLOAD_UNSIGNED;
	chunks_init(&b->chunks, r->payload, &r->signing, &chunk_ops, b);
	digest_init(&b->hash);
	md5_init(&b->md5);
	return b;
}

static void begin(struct s3_body *b)
{
	struct s3_request *r = b->r;
	enum s3_error e = prepare(b);
	if (!e && b->put && body_length(r) < 0)
		e = S3_MISSING_CONTENT_LENGTH;
	if (e) {
		body_free(b);
		reply_error(r, e, NULL);
		return;
	}
	http_upload_begin(r->x, &upload, b);
}

void body_to_put(struct s3_request *r, struct blob_put *put, bool is_part, s3_body_done_fn *done)
{
	struct s3_body *b = body_new(r);
	b->put = put;
	b->is_part = is_part;
	b->done = done;
	begin(b);
}

void body_to_bytes(struct s3_request *r, size_t max, s3_bytes_done_fn *done)
{
	struct s3_body *b = body_new(r);
	b->bytes_max = max;
	b->bytes_done = done;
	begin(b);
}
