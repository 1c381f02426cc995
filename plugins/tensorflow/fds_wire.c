/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 answers (RFC 9112), read. */
#include "fds_wire.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include "base/mem.h"

#define LINE_MAX_BYTES 8192
#define INTERIM_MAX 8
#define LENGTH_MAX ((int64_t)1 << 50)

static int no_answer(struct err *err, const char *what)
{
	return err_set(err, ERR_BACKEND, "the store's answer is no HTTP: %s", what);
}

static int fill(struct fds_wire *w, struct err *err)
{
	w->at = w->end = 0;
	ssize_t n = w->read(w->arg, w->waiting, sizeof(w->waiting), err);
	if (n < 0)
		return (int)n;
	if (n == 0)
		return err_set(err, ERR_UNAVAILABLE, "the store closed the connection in an answer");
	w->end = (size_t)n;
	return 0;
}

/* One line without its end. */
static int read_line(struct fds_wire *w, char line[LINE_MAX_BYTES], struct err *err)
{
	size_t len = 0;
	for (;;) {
		int r = w->at == w->end ? fill(w, err) : 0;
		if (r < 0)
			return r;
		char c = w->waiting[w->at++];
		if (++w->head_bytes > FDS_HEAD_MAX)
			return no_answer(err, "its headers are too long");
		if (c == '\n')
			break;
		if (len == LINE_MAX_BYTES - 1 || c == '\0')
			return no_answer(err, c ? "a line is too long" : "a line has a zero byte");
		line[len++] = c;
	}
	if (len && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	return 0;
}

/* Digits only; -1 for anything else or more than LENGTH_MAX. Moves *s behind them. */
static int64_t read_number(const char **s)
{
	int64_t n = 0;
	if (**s < '0' || **s > '9')
		return -1;
	for (; **s >= '0' && **s <= '9'; (*s)++) {
		n = n * 10 + (**s - '0');
		if (n > LENGTH_MAX)
			return -1;
	}
	return n;
}

static int set_length(struct fds_answer *a, const char *value, struct err *err)
{
	int64_t n = read_number(&value);
	if (n < 0 || *value || (a->length >= 0 && a->length != n))
		return no_answer(err, "its Content-Length is no number");
	a->length = n;
	return 0;
}

/* "bytes 0-99/1000", "bytes * /1000" (without the space) */
static int set_range(struct fds_answer *a, const char *value, struct err *err)
{
	if (strncmp(value, "bytes ", 6) != 0)
		return no_answer(err, "its Content-Range has another unit than bytes");
	value += 6;
	if (*value == '*')
		value++;
	else {
		a->range_start = read_number(&value);
		value += *value == '-';
		a->range_end = read_number(&value);
		if (a->range_start < 0 || a->range_end < a->range_start)
			return no_answer(err, "its Content-Range makes no sense");
	}
	if (*value++ != '/')
		return no_answer(err, "its Content-Range makes no sense");
	if (strcmp(value, "*") == 0)
		return 0;
	a->total = read_number(&value);
	if (a->total < 0 || *value || a->range_end >= a->total)
		return no_answer(err, "its Content-Range makes no sense");
	return 0;
}

static int set_encoding(struct fds_answer *a, const char *value, struct err *err)
{
	if (strcasecmp(value, "chunked") != 0 || a->chunked)
		return no_answer(err, "it has a Transfer-Encoding besides chunked");
	a->chunked = true;
	return 0;
}

static int set_connection(struct fds_answer *a, const char *value, struct err *err)
{
	a->close = a->close || strcasestr(value, "close") != NULL;
	return 0;
}

static int set_etag(struct fds_answer *a, const char *value, struct err *err)
{
	size_t len = strlen(value);
	for (size_t i = 0; i < len; i++)
		if (value[i] < ' ' || value[i] > '~')
			return no_answer(err, "its ETag is not text");
	if (len > FDS_ETAG_MAX)
		return no_answer(err, "its ETag is too long");
	memcpy(a->etag, value, len + 1);
	return 0;
}

static int set_modified(struct fds_answer *a, const char *value, struct err *err)
{
	struct tm tm = {0};
	if (strptime(value, "%a, %d %b %Y %H:%M:%S", &tm))
		a->modified_ns = (int64_t)timegm(&tm) * 1000000000;
	return 0;
}

static const struct {
	const char *name;
	int (*set)(struct fds_answer *a, const char *value, struct err *err);
} headers[] = {
    {"content-length", set_length}, {"content-range", set_range}, {"transfer-encoding", set_encoding},
    {"connection", set_connection}, {"etag", set_etag},		  {"last-modified", set_modified},
};

static int take_header(struct fds_answer *a, char *line, struct err *err)
{
	char *colon = strchr(line, ':');
	if (!colon || colon == line || line[0] == ' ' || line[0] == '\t')
		return no_answer(err, "a header has no name");
	*colon = '\0';
	char *value = colon + 1 + strspn(colon + 1, " \t");
	size_t len = strlen(value);
	while (len && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		value[--len] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		if (strcasecmp(line, headers[i].name) == 0)
			return headers[i].set(a, value, err);
	return 0;
}

static int read_status(struct fds_answer *a, const char *line, struct err *err)
{
	if (strncmp(line, "HTTP/1.", 7) != 0 || (line[7] != '0' && line[7] != '1') || line[8] != ' ')
		return no_answer(err, "it does not start with HTTP/1.1");
	const char *s = line + 9;
	int64_t status = read_number(&s);
	if (s != line + 12 || status < 100 || (*s && *s != ' '))
		return no_answer(err, "its status is no number of three digits");
	*a = (struct fds_answer){.status = (int)status,
				 .length = -1,
				 .total = -1,
				 .range_start = -1,
				 .range_end = -1,
				 .close = line[7] == '0'};
	return 0;
}

int fds_wire_head(struct fds_wire *w, struct fds_answer *ret, struct err *err)
{
	char line[LINE_MAX_BYTES];
	w->head_bytes = 0;
	for (int i = 0; i < INTERIM_MAX; i++) {
		int r = read_line(w, line, err);
		if (r >= 0)
			r = read_status(ret, line, err);
		while (r >= 0) {
			r = read_line(w, line, err);
			if (r < 0 || !line[0])
				break;
			r = take_header(ret, line, err);
		}
		if (r < 0)
			return r;
		if (ret->chunked && ret->length >= 0)
			return no_answer(err, "it has a length and chunks");
		if (ret->status >= 200)
			return 0;
	}
	return no_answer(err, "interim answers without an end");
}

/* n bytes of the body; n may be more than there are when to_end. */
static int take_bytes(struct fds_wire *w, int64_t n, bool to_end, struct fds_body *b, struct err *err)
{
	while (n > 0) {
		size_t room = b->max - b->len;
		/* What is long goes straight to where it belongs. */
		if (w->at == w->end && b->into && !to_end && n >= (int64_t)sizeof(w->waiting) &&
		    (size_t)n <= room) {
			ssize_t got = w->read(w->arg, b->into + b->len, (size_t)n, err);
			if (got <= 0)
				return got < 0 ? (int)got
					       : err_set(err, ERR_UNAVAILABLE,
							 "the store closed the connection in an answer");
			b->len += (size_t)got;
			n -= got;
			continue;
		}
		if (w->at == w->end) {
			struct err end = ERR_INIT;
			int r = fill(w, &end);
			if (r == -ERR_UNAVAILABLE && to_end)
				return 0;
			if (r < 0) {
				*err = end;
				return r;
			}
		}
		size_t len = w->end - w->at;
		if ((int64_t)len > n)
			len = (size_t)n;
		if (len > room)
			return err_set(err, ERR_BACKEND,
				       "the store's answer has more than the %zu bytes allowed", b->max);
		if (b->into)
			memcpy(b->into + b->len, w->waiting + w->at, len);
		else if (b->text)
			buf_add(b->text, w->waiting + w->at, len);
		b->len += len;
		w->at += len;
		n -= (int64_t)len;
	}
	return 0;
}

static int64_t chunk_size(const char *line)
{
	int64_t n = 0;
	size_t digits = strspn(line, "0123456789abcdefABCDEF");
	if (!digits || digits > 12 || (line[digits] && line[digits] != ';' && line[digits] != ' '))
		return -1;
	n = strtoll(line, NULL, 16);
	return n;
}

static int take_chunks(struct fds_wire *w, struct fds_body *b, struct err *err)
{
	char line[LINE_MAX_BYTES];
	for (;;) {
		w->head_bytes = 0;
		int r = read_line(w, line, err);
		if (r < 0)
			return r;
		int64_t n = chunk_size(line);
		if (n < 0)
			return no_answer(err, "a chunk has no size");
		if (n == 0)
			break;
		r = take_bytes(w, n, false, b, err);
		if (r >= 0)
			r = read_line(w, line, err);
		if (r < 0)
			return r;
		if (line[0])
			return no_answer(err, "a chunk is longer than its size");
	}
	for (;;) {
		int r = read_line(w, line, err); /* trailers */
		if (r < 0 || !line[0])
			return r;
	}
}

int fds_wire_body(struct fds_wire *w, struct fds_answer *a, bool is_head, struct fds_body *body,
		  struct err *err)
{
	if (is_head || a->status == 204 || a->status == 304)
		return 0;
	if (a->chunked)
		return take_chunks(w, body, err);
	if (a->length >= 0)
		return take_bytes(w, a->length, false, body, err);
	a->close = true;
	return take_bytes(w, LENGTH_MAX, true, body, err);
}
