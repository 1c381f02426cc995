/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 responses (RFC 9112): head, then a body by length, by chunks or to the end. */
#include "net/http_message.h"

#include <string.h>
#include <strings.h>
#include "base/mem.h"

#define CHUNK_LINE_MAX 256

void http_response_reader_init(struct http_response_reader *r, size_t body_max_bytes)
{
	*r = (struct http_response_reader){.body_max_bytes = body_max_bytes};
}

void http_response_reader_done(struct http_response_reader *r)
{
	buf_done(&r->waiting);
	buf_done(&r->response.body);
}

static int refuse(struct err *err, const char *what)
{
	return err_set(err, ERR_BACKEND, "the answer is not HTTP: %s", what);
}

static int take_length(struct http_response_reader *r, const char *value, size_t len, struct err *err)
{
	int64_t n = 0;
	if (r->part == RESPONSE_SIZED || len == 0 || len > 15)
		return refuse(err, "bad length");
	for (size_t i = 0; i < len; i++) {
		if (value[i] < '0' || value[i] > '9')
			return refuse(err, "bad length");
		n = n * 10 + (value[i] - '0');
	}
	if ((uint64_t)n > r->body_max_bytes)
		return err_set(err, ERR_TOO_LARGE, "the answer has %lld bytes, more than %zu", (long long)n,
			       r->body_max_bytes);
	r->part = RESPONSE_SIZED;
	r->left = n;
	return 0;
}

/* ASCII without line ends and other controls, which would go on as a header more where the type is passed on.
 */
static bool is_text(const char *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)value[i] < 0x20 || (unsigned char)value[i] > 0x7e)
			return false;
	return true;
}

static int take_header(struct http_response_reader *r, const char *line, size_t len, struct err *err)
{
	const char *colon = memchr(line, ':', len);
	if (!colon || colon == line)
		return refuse(err, "a header without a name");
	size_t name_len = (size_t)(colon - line);
	const char *value = colon + 1, *end = line + len;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	size_t value_len = (size_t)(end - value);
	if (name_len == 14 && !strncasecmp(line, "content-length", 14))
		return take_length(r, value, value_len, err);
	if (name_len == 17 && !strncasecmp(line, "transfer-encoding", 17)) {
		if (value_len != 7 || strncasecmp(value, "chunked", 7) || r->part != RESPONSE_HEAD)
			return refuse(err, "bad transfer encoding");
		r->part = RESPONSE_CHUNKED;
	}
	if (name_len == 12 && !strncasecmp(line, "content-type", 12) && is_text(value, value_len) &&
	    value_len < sizeof(r->response.content_type)) {
		memcpy(r->response.content_type, value, value_len);
		r->response.content_type[value_len] = 0;
	}
	return 0;
}

static int take_head(struct http_response_reader *r, const char *head, size_t len, struct err *err)
{
	if (len < 12 || strncmp(head, "HTTP/1.", 7) || head[8] != ' ' || memchr(head, 0, len))
		return refuse(err, "no status line");
	r->response.status = 0;
	for (int i = 9; i < 12; i++) {
		if (head[i] < '0' || head[i] > '9')
			return refuse(err, "no status");
		r->response.status = r->response.status * 10 + (head[i] - '0');
	}
	if (r->response.status < 100 || r->response.status > 599)
		return refuse(err, "no such status");
	const char *line = strstr(head, "\r\n") + 2, *end = head + len;
	while (line < end) {
		const char *next = strstr(line, "\r\n");
		int res = take_header(r, line, (size_t)(next - line), err);
		if (res < 0)
			return res;
		line = next + 2;
	}
	return 0;
}

/* Returns 1 when the head was taken, 0 when more bytes are needed. */
static int read_head(struct http_response_reader *r, struct err *err)
{
	const char *text = buf_str(&r->waiting);
	const char *end = strstr(text, "\r\n\r\n");
	if (!end) {
		if (r->waiting.len > HTTP_RESPONSE_HEAD_MAX || strlen(text) != r->waiting.len)
			return refuse(err, "no end of the headers");
		return 0;
	}
	int res = take_head(r, text, (size_t)(end + 2 - text), err);
	if (res < 0)
		return res;
	buf_consume(&r->waiting, (size_t)(end + 4 - text));
	if (r->response.status >= 100 && r->response.status < 200) { /* interim: the real one follows */
		r->part = RESPONSE_HEAD;
		return 1;
	}
	if (r->response.status == 204 || r->response.status == 304)
		r->part = RESPONSE_WHOLE;
	else if (r->part == RESPONSE_HEAD)
		r->part = RESPONSE_TO_END;
	return 1;
}

static int take_body(struct http_response_reader *r, size_t len, struct err *err)
{
	if (r->response.body.len + len > r->body_max_bytes)
		return err_set(err, ERR_TOO_LARGE, "the answer is larger than %zu bytes", r->body_max_bytes);
	buf_add(&r->response.body, r->waiting.data, len);
	buf_consume(&r->waiting, len);
	return 1;
}

static int parse_chunk_size(const char *line, size_t len, int64_t *ret, struct err *err)
{
	int64_t n = 0;
	size_t i = 0;
	for (; i < len && i < 8; i++) {
		const char *digits = "0123456789abcdef", *at;
		char c = line[i] >= 'A' && line[i] <= 'F' ? (char)(line[i] + 32) : line[i];
		if (!c || !(at = strchr(digits, c)))
			break;
		n = n * 16 + (at - digits);
	}
	if (i == 0 || (i < len && line[i] != ';' && line[i] != ' '))
		return refuse(err, "bad chunk");
	*ret = n;
	return 0;
}

/* One step: size line, data, or the line end behind data. */
static int read_chunk(struct http_response_reader *r, struct err *err)
{
	if (r->chunk_data && r->left > 0) {
		size_t n = r->waiting.len < (size_t)r->left ? r->waiting.len : (size_t)r->left;
		if (n == 0)
			return 0;
		r->left -= (int64_t)n;
		return take_body(r, n, err);
	}
	const char *text = buf_str(&r->waiting), *end = strstr(text, "\r\n");
	if (!end)
		return r->waiting.len > CHUNK_LINE_MAX ? refuse(err, "bad chunk") : 0;
	size_t len = (size_t)(end - text);
	int res = 0;
	if (r->trailers) {
		if (len == 0)
			r->part = RESPONSE_WHOLE;
	} else if (r->chunk_data) {
		r->chunk_data = false;
		res = len ? refuse(err, "bad chunk") : 0;
	} else {
		res = parse_chunk_size(text, len, &r->left, err);
		r->chunk_data = r->left > 0;
		r->trailers = r->left == 0;
	}
	buf_consume(&r->waiting, len + 2);
	return res < 0 ? res : 1;
}

static int read_sized(struct http_response_reader *r, struct err *err)
{
	size_t n = r->waiting.len < (size_t)r->left ? r->waiting.len : (size_t)r->left;
	r->left -= (int64_t)n;
	int res = n ? take_body(r, n, err) : 0;
	if (r->left == 0)
		r->part = RESPONSE_WHOLE;
	return res < 0 ? res : 0;
}

int http_response_reader_feed(struct http_response_reader *r, const char *data, size_t len, struct err *err)
{
	int res = 1;
	buf_add(&r->waiting, data, len);
	while (res > 0 && r->part != RESPONSE_WHOLE) {
		switch (r->part) {
		case RESPONSE_HEAD:
			res = read_head(r, err);
			break;
		case RESPONSE_CHUNKED:
			res = read_chunk(r, err);
			break;
		case RESPONSE_SIZED:
			res = read_sized(r, err);
			break;
		default:
			res = r->waiting.len ? take_body(r, r->waiting.len, err) : 0;
			break;
		}
	}
	return res < 0 ? res : 0;
}

int http_response_reader_end(struct http_response_reader *r, struct err *err)
{
	if (r->part == RESPONSE_TO_END)
		r->part = RESPONSE_WHOLE;
	if (r->part != RESPONSE_WHOLE)
		return err_set(err, ERR_BACKEND, "the connection ended in the middle of the answer");
	return 0;
}
