/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aws-chunked ("Signature Calculations … Transferring Payload in Multiple Chunks"): each chunk is
 * "SIZE[;chunk-signature=HEX]\r\n" bytes "\r\n", the last one has size 0 and is followed by trailers
 * "name:value\r\n" and an empty line, which some clients leave out.
 */
#include "s3/s3_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define LINE_MAX 1024
#define CHUNK_MAX (INT64_C(5) << 30)
#define TRAILERS_MAX 8

void chunks_init(struct s3_chunks *c, enum s3_payload payload, struct s3_signing *signing,
		 const struct s3_chunk_ops *ops, void *arg)
{
	*c = (struct s3_chunks){
	    .is_signed = payload == S3_PAYLOAD_CHUNKS || payload == S3_PAYLOAD_CHUNKS_TRAILER,
	    .has_trailer = payload == S3_PAYLOAD_CHUNKS_TRAILER || payload == S3_PAYLOAD_UNSIGNED_TRAILER,
	    .signing = signing,
	    .ops = ops,
	    .arg = arg};
	digest_init(&c->hash);
}

void chunks_done(struct s3_chunks *c)
{
	buf_done(&c->line);
	buf_done(&c->trailers);
}

static int refuse(struct s3_chunks *c, enum s3_error e, struct err *err)
{
	c->failed = e;
	return err_set(err, ERR_INVALID, "%s", "the body is refused");
}

static bool chunk_is_signed(struct s3_chunks *c)
{
	char hash[65], want[65];
	if (!c->is_signed)
		return true;
	digest_hex(&c->hash, hash);
	digest_init(&c->hash);
	sign_next(c->signing, "PAYLOAD", hash, want);
	return digest_equal(want, c->signature, 64);
}

/* "1000;chunk-signature=…"; another extension means nothing where nothing is signed. */
static int read_size(struct s3_chunks *c, struct err *err)
{
	static const char mark[] = ";chunk-signature=";
	const char *line = buf_str(&c->line);
	size_t digits = strspn(line, "0123456789abcdefABCDEF");
	if (digits == 0 || digits > 12 || (line[digits] && line[digits] != ';') ||
	    strlen(line) != c->line.len)
		return refuse(c, S3_INCOMPLETE_BODY, err);
	c->left = strtoll(line, NULL, 16);
	if (c->is_signed) {
		const char *signature = line + digits + sizeof(mark) - 1;
		if (strncmp(line + digits, mark, sizeof(mark) - 1) != 0 || strlen(signature) != 64)
			return refuse(c, S3_SIGNATURE, err);
		memcpy(c->signature, signature, 65);
	}
	if (c->left > CHUNK_MAX)
		return refuse(c, S3_ENTITY_TOO_LARGE, err);
	c->stage = c->left ? CHUNKS_DATA : CHUNKS_TRAILER;
	if (!c->left && !chunk_is_signed(c))
		return refuse(c, S3_SIGNATURE, err);
	return 0;
}

static int read_trailer(struct s3_chunks *c, struct err *err)
{
	char *line = c->line.data, *colon;
	if (c->line.len == 0) {
		c->stage = CHUNKS_OVER;
		return 0;
	}
	if (!c->has_trailer || ++c->trailer_count > TRAILERS_MAX || strlen(line) != c->line.len ||
	    !(colon = strchr(line, ':')))
		return refuse(c, S3_INCOMPLETE_BODY, err);
	*colon = '\0';
	const char *value = colon + 1 + strspn(colon + 1, " ");
	if (strcasecmp(line, "x-amz-trailer-signature") == 0) {
		snprintf(c->trailer_signature, sizeof(c->trailer_signature), "%s", value);
		return 0;
	}
	buf_printf(&c->trailers, "%s:%s\n", line, value);
	c->ops->trailer(c->arg, line, value);
	return 0;
}

static int end_line(struct s3_chunks *c, struct err *err)
{
	int r = 0;
	if (!c->line.len || c->line.data[c->line.len - 1] != '\r')
		return refuse(c, S3_INCOMPLETE_BODY, err);
	c->line.data[--c->line.len] = '\0';
	if (c->stage == CHUNKS_SIZE)
		r = read_size(c, err);
	else if (c->stage == CHUNKS_TRAILER)
		r = read_trailer(c, err);
	else if (c->line.len) /* between a chunk's bytes and the next size */
		r = refuse(c, S3_INCOMPLETE_BODY, err);
	else
		c->stage = CHUNKS_SIZE;
	buf_clear(&c->line);
	return r;
}

static int take_line(struct s3_chunks *c, const char **data, size_t *len, struct err *err)
{
	const char *end = memchr(*data, '\n', *len);
	size_t n = end ? (size_t)(end - *data) : *len;
	if (c->line.len + n > LINE_MAX)
		return refuse(c, S3_INCOMPLETE_BODY, err);
	buf_add(&c->line, *data, n);
	*data += n + (end != NULL);
	*len -= n + (end != NULL);
	return end ? end_line(c, err) : 0;
}

static int take_data(struct s3_chunks *c, const char **data, size_t *len, struct err *err)
{
	size_t n = (int64_t)*len < c->left ? *len : (size_t)c->left;
	if (c->is_signed)
		digest_update(&c->hash, *data, n);
	int r = c->ops->data(c->arg, *data, n, err);
	if (r < 0)
		return r;
	*data += n;
	*len -= n;
	c->left -= (int64_t)n;
	if (c->left)
		return 0;
	c->stage = CHUNKS_DATA_END;
	return chunk_is_signed(c) ? 0 : refuse(c, S3_SIGNATURE, err);
}

int chunks_take(struct s3_chunks *c, const char *data, size_t len, struct err *err)
{
	while (len) {
		if (c->stage == CHUNKS_OVER)
			return refuse(c, S3_INCOMPLETE_BODY, err);
		int r =
		    c->stage == CHUNKS_DATA ? take_data(c, &data, &len, err) : take_line(c, &data, &len, err);
		if (r < 0)
			return r;
	}
	return 0;
}

enum s3_error chunks_end(struct s3_chunks *c)
{
	if (c->stage != CHUNKS_OVER && !(c->stage == CHUNKS_TRAILER && c->line.len == 0))
		return S3_INCOMPLETE_BODY;
	if (!c->is_signed || !c->has_trailer)
		return S3_OK;
	char hash[65], want[65];
	digest_of(buf_str(&c->trailers), c->trailers.len, hash);
	sign_next(c->signing, "TRAILER", hash, want);
	bool is_right = strlen(c->trailer_signature) == 64 && digest_equal(want, c->trailer_signature, 64);
	return is_right ? S3_OK : S3_SIGNATURE;
}
