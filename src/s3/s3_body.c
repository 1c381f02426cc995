/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies. aws-chunked ("Signature Calculations … Transferring Payload in Multiple Chunks"): each chunk is
 * "SIZE[;chunk-signature=HEX]\r\n" bytes "\r\n", the last one has size 0 and is followed by trailers
 * "name:value\r\n". Nothing is committed before length, hash, signatures, Content-MD5 and checksum agree.
 */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <nettle/md5.h>
#include <nettle/sha2.h>
#include "base/digest.h"
#include "base/mem.h"

#define LINE_MAX 1024
#define CHUNK_MAX (INT64_C(5) << 30)
#define TRAILERS_MAX 8

enum stage { STAGE_SIZE, STAGE_DATA, STAGE_DATA_END, STAGE_TRAILER, STAGE_OVER };

struct s3_body {
	struct s3_request *r;
	enum stage stage;
	bool is_chunked, is_signed;
	struct buf line;
	int64_t chunk_left, length; /* decoded so far */
	char chunk_signature[65];
	struct digest hash; /* of the chunk, or of the whole */
	struct md5_ctx md5;
	bool want_md5, want_hash;
	unsigned char md5_announced[MD5_DIGEST_SIZE];
	enum checksum_kind kind;
	struct checksum *checksum;
	char announced[64], computed[64]; /* base64 */
	struct buf trailers;		  /* as they are signed */
	size_t trailer_count;
	char trailer_signature[65];

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
	buf_done(&b->line);
	buf_done(&b->trailers);
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

static bool check_chunk_signature(struct s3_body *b)
{
	char hash[65], want[65];
	if (!b->is_signed)
		return true;
	digest_hex(&b->hash, hash);
	digest_init(&b->hash);
	sign_next(&b->r->signing, "PAYLOAD", hash, want);
	return digest_equal(want, b->chunk_signature, 64);
}

/* "1000;chunk-signature=…" */
static int read_size_line(struct s3_body *b, struct err *err)
{
	static const char mark[] = "chunk-signature=";
	char *end;
	const char *line = buf_str(&b->line);
	size_t digits = strspn(line, "0123456789abcdefABCDEF");
	if (digits == 0 || digits > 12 || (line[digits] && line[digits] != ';'))
		return refuse(b, S3_INCOMPLETE_BODY, err);
	b->chunk_left = strtoll(line, &end, 16);
	const char *signature = strstr(line, mark);
	signature = signature ? signature + sizeof(mark) - 1 : "";
	if (b->is_signed && strlen(signature) != 64)
		return refuse(b, S3_SIGNATURE, err);
	snprintf(b->chunk_signature, sizeof(b->chunk_signature), "%s", signature);
	if (b->chunk_left > CHUNK_MAX)
		return refuse(b, S3_ENTITY_TOO_LARGE, err);
	b->stage = b->chunk_left ? STAGE_DATA : STAGE_TRAILER;
	if (!b->chunk_left && !check_chunk_signature(b))
		return refuse(b, S3_SIGNATURE, err);
	return 0;
}

static int read_trailer(struct s3_body *b, struct err *err)
{
	static const char sum[] = "x-amz-checksum-", signature[] = "x-amz-trailer-signature";
	char *line = b->line.data;
	if (b->line.len == 0) {
		b->stage = STAGE_OVER;
		return 0;
	}
	char *colon = strchr(line, ':');
	if (!colon || ++b->trailer_count > TRAILERS_MAX)
		return refuse(b, S3_INCOMPLETE_BODY, err);
	*colon = '\0';
	const char *value = colon + 1 + strspn(colon + 1, " ");
	if (strcasecmp(line, signature) == 0) {
		snprintf(b->trailer_signature, sizeof(b->trailer_signature), "%s", value);
		return 0;
	}
	buf_printf(&b->trailers, "%s:%s\n", line, value);
	if (strncasecmp(line, sum, sizeof(sum) - 1) == 0 &&
	    b->kind == checksum_kind_of(line + sizeof(sum) - 1))
		snprintf(b->announced, sizeof(b->announced), "%s", value);
	return 0;
}

static int end_line(struct s3_body *b, struct err *err)
{
	int r = 0;
	if (b->line.len && b->line.data[b->line.len - 1] == '\r')
		b->line.data[--b->line.len] = '\0';
	if (b->stage == STAGE_SIZE)
		r = read_size_line(b, err);
	else if (b->stage == STAGE_TRAILER)
		r = read_trailer(b, err);
	else if (b->line.len) /* between a chunk's bytes and the next size */
		r = refuse(b, S3_INCOMPLETE_BODY, err);
	else
		b->stage = STAGE_SIZE;
	buf_clear(&b->line);
	return r;
}

static int take_line(struct s3_body *b, const char **data, size_t *len, struct err *err)
{
	const char *end = memchr(*data, '\n', *len);
	size_t n = end ? (size_t)(end - *data) : *len;
	if (b->line.len + n > LINE_MAX)
		return refuse(b, S3_INCOMPLETE_BODY, err);
	buf_add(&b->line, *data, n);
	*data += n + (end != NULL);
	*len -= n + (end != NULL);
	return end ? end_line(b, err) : 0;
}

static int take_chunked(struct s3_body *b, const char *data, size_t len, struct err *err)
{
	while (len) {
		if (b->stage == STAGE_OVER)
			return refuse(b, S3_INCOMPLETE_BODY, err);
		if (b->stage != STAGE_DATA) {
			int r = take_line(b, &data, &len, err);
			if (r < 0)
				return r;
			continue;
		}
		size_t n = (int64_t)len < b->chunk_left ? len : (size_t)b->chunk_left;
		int r = take(b, data, n, err);
		if (r < 0)
			return r;
		data += n;
		len -= n;
		b->chunk_left -= (int64_t)n;
		if (b->chunk_left)
			continue;
		if (!check_chunk_signature(b))
			return refuse(b, S3_SIGNATURE, err);
		b->stage = STAGE_DATA_END;
	}
	return 0;
}

/* ---- at the end ---- */

static enum s3_error check_end(struct s3_body *b)
{
	struct s3_request *r = b->r;
	int64_t announced = body_length(r);
	if (b->is_chunked && b->stage != STAGE_OVER && !(b->stage == STAGE_TRAILER && b->line.len == 0))
		return S3_INCOMPLETE_BODY;
	if (announced >= 0 && announced != b->length)
		return S3_INCOMPLETE_BODY;
	if (r->payload == S3_PAYLOAD_HASHED) {
		char hash[65];
		digest_hex(&b->hash, hash);
		if (!digest_equal(hash, r->content_sha256, 64))
			return S3_CONTENT_SHA256_MISMATCH;
	}
	if (r->payload == S3_PAYLOAD_CHUNKS_TRAILER) {
		char hash[65], want[65];
		digest_of(buf_str(&b->trailers), b->trailers.len, hash);
		sign_next(&r->signing, "TRAILER", hash, want);
		if (strlen(b->trailer_signature) != 64 || !digest_equal(want, b->trailer_signature, 64))
			return S3_SIGNATURE;
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
	int r = b->is_chunked ? take_chunked(b, data, len, err) : take(b, data, len, err);
	if (r >= 0)
		return 0;
	/* The answer is ours to give, in S3's form; what else comes is dropped by the server. */
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
	static const char sum[] = "x-amz-checksum-";
	struct s3_request *r = b->r;
	const char *md5 = request_header(r, "content-md5"), *trailer = request_header(r, "x-amz-trailer");
	if (md5) {
		if (!base64_decode(md5, b->md5_announced, sizeof(b->md5_announced)))
			return S3_INVALID_DIGEST;
		b->want_md5 = true;
	}
	for (size_t i = 0; i < r->header_count; i++) {
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
	b->is_signed = r->payload == S3_PAYLOAD_CHUNKS || r->payload == S3_PAYLOAD_CHUNKS_TRAILER;
	b->is_chunked = b->is_signed || r->payload == S3_PAYLOAD_UNSIGNED_TRAILER;
	b->want_hash = b->is_signed || r->payload == S3_PAYLOAD_HASHED;
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
