/* SPDX-License-Identifier: Apache-2.0 */
/* Answers: whole ones, and streams that wait for the slower side. */
#include "net/http_server_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"

#define STREAM_BLOCK_BYTES 65536

/* On every answer. A handler's own Cache-Control wins. */
static const struct {
	const char *name, *value;
} security_headers[] = {
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
};

/* The console's files may load each other. What an API answers may hold a stranger's bytes: whatever a
 * browser takes it for, nothing in it runs. */
static const char console_policy[] =
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
static const char api_policy[] = "default-src 'none'; sandbox; frame-ancestors 'none'";

/* Pages of another program, in a container of ours: they load what is theirs, and may compile. */
static const char passage_policy[] =
    "default-src 'self'; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; "
    "img-src 'self' data: blob:; font-src 'self' data:; style-src 'self' 'unsafe-inline' data:; "
    "script-src 'self' 'unsafe-eval'";

static const char *choose_policy(const struct exchange *x)
{
	if (x->pub.route && x->pub.route->is_passage)
		return passage_policy;
	bool is_console = x->pub.route && !x->pub.route->handle;
	return is_console ? console_policy : api_policy;
}

void http_reply_header(struct http_exchange *pub, const char *name, const char *value)
{
	struct exchange *x = EXCHANGE(pub);
	struct http_reply_field *f = arena_alloc(&pub->arena, sizeof(*f));
	f->name = arena_strndup(&pub->arena, name, strlen(name));
	f->value = arena_strndup(&pub->arena, value, strlen(value));
	f->next = x->fields;
	x->fields = f;
}

static void add_headers(struct exchange *x, const char *content_type)
{
	bool cached = false, is_raw = x->server && x->server->config.raw;
	if (!is_raw)
		MHD_add_response_header(x->response, "Content-Security-Policy", choose_policy(x));
	for (size_t i = 0; i < ARRAY_LEN(security_headers) && !is_raw; i++)
		MHD_add_response_header(x->response, security_headers[i].name, security_headers[i].value);
	for (const struct http_reply_field *f = x->fields; f; f = f->next) {
		cached |= !strcasecmp(f->name, "Cache-Control");
		MHD_add_response_header(x->response, f->name, f->value);
	}
	if (!cached && !is_raw)
		MHD_add_response_header(x->response, "Cache-Control", "no-store");
	if (content_type)
		MHD_add_response_header(x->response, "Content-Type", content_type);
}

/* The reply is made: whoever owed it is free, libmicrohttpd goes on. */
static void reply_made(struct exchange *x, int status, const char *content_type)
{
	add_headers(x, content_type);
	x->status = status;
	x->replied = true;
	exchange_resume(x);
	exchange_unref(x);
}

enum MHD_Result exchange_send(struct exchange *x)
{
	if (!x->response)
		return MHD_NO;
	x->stage = STAGE_SENDING;
	log_debug("http.answer method=%s target=%s status=%d", x->pub.method, x->connection->target,
		  x->status);
	enum MHD_Result r = MHD_queue_response(x->mhd, (unsigned)x->status, x->response);
	MHD_destroy_response(x->response);
	x->response = NULL;
	return r;
}

void http_reply_buf(struct http_exchange *pub, int status, const char *content_type, struct buf *body)
{
	struct exchange *x = EXCHANGE(pub);
	size_t len = body->len;
	x->response = MHD_create_response_from_buffer(len, buf_steal(body), MHD_RESPMEM_MUST_FREE);
	reply_made(x, status, content_type);
}

void http_reply_bytes(struct http_exchange *x, int status, const char *content_type, const void *data,
		      size_t len)
{
	struct buf body = BUF_INIT;
	buf_add(&body, data, len);
	http_reply_buf(x, status, content_type, &body);
}

void http_reply_static(struct http_exchange *pub, int status, const char *content_type, const void *data,
		       size_t len)
{
	struct exchange *x = EXCHANGE(pub);
	x->response = MHD_create_response_from_buffer(len, (void *)data, MHD_RESPMEM_PERSISTENT);
	reply_made(x, status, content_type);
}

void http_reply_empty(struct http_exchange *x, int status)
{
	http_reply_static(x, status, NULL, "", 0);
}

static ssize_t read_nothing(void *cls, uint64_t pos, char *data, size_t max)
{
	return MHD_CONTENT_READER_END_WITH_ERROR;
}

void http_reply_head(struct http_exchange *pub, int status, const char *content_type, int64_t length)
{
	struct exchange *x = EXCHANGE(pub);
	x->response = MHD_create_response_from_callback((uint64_t)length, 1, read_nothing, NULL, NULL);
	reply_made(x, status, content_type);
}

void http_reply_file(struct http_exchange *pub, int status, const char *content_type, int fd, int64_t offset,
		     int64_t length)
{
	struct exchange *x = EXCHANGE(pub);
	x->response = MHD_create_response_from_fd_at_offset64((uint64_t)length, fd, (uint64_t)offset);
	reply_made(x, status, content_type);
}

void http_reply_json(struct http_exchange *x, int status, json_t *j)
{
	struct buf body = BUF_INIT;
	json_write(j, &body);
	buf_addc(&body, '\n');
	json_decref(j);
	http_reply_buf(x, status, "application/json", &body);
}

void http_reply_error(struct http_exchange *x, const struct err *err)
{
	int status = err_http(err->code);
	json_t *text = json_string(err->msg);
	if (status == 401)
		http_reply_header(x, "WWW-Authenticate", "Bearer realm=\"cloudml\"");
	if (status >= 500)
		log_warn("http.error method=%s status=%d message=\"%s\"", x->method, status, err->msg);
	http_reply_json(x, status,
			json_pack("{s:{s:s,s:o}}", "error", "code", err_word(err->code), "message",
				  text ? text : json_string("the request holds bytes that are not UTF-8")));
}

/* ---- streams ---- */

void exchange_stream_close(struct exchange *x)
{
	const struct http_stream_ops *ops = x->stream;
	if (!ops)
		return;
	loop_fd_free(x->gone_watch);
	x->gone_watch = NULL;
	x->stream = NULL;
	ops->closed(x->stream_arg);
}

static void on_response_freed(void *cls)
{
	struct exchange *x = cls;
	exchange_stream_close(x);
	exchange_unref(x);
}

/* The connection is suspended and libmicrohttpd does not look at it: the end of the client's stream must wake
 * it. A client that sends its next request early is not gone; then we stop looking. */
static void on_maybe_gone(void *arg, int events)
{
	struct exchange *x = arg;
	char byte;
	ssize_t n = recv(x->connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0) {
		loop_fd_free(x->gone_watch);
		x->gone_watch = NULL;
		return;
	}
	x->failed = true;
	exchange_resume(x);
}

static void stream_sleep(struct exchange *x)
{
	exchange_suspend(x);
	if (!x->gone_watch) /* without it, the next write finds out */
		x->gone_watch =
		    loop_fd_new(x->server->config.loop, x->connection->fd, LOOP_READ, on_maybe_gone, x, NULL);
}

static void stream_want(struct exchange *x)
{
	if (x->ended || x->wanting || x->out.len - x->out_at >= HTTP_STREAM_LOW)
		return;
	x->wanting = true;
	x->stream->want(x->stream_arg);
	x->wanting = false;
}

static ssize_t on_read(void *cls, uint64_t pos, char *data, size_t max)
{
	struct exchange *x = cls;
	if (!x->stream || !x->server || x->server->stopping)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (x->out.len == x->out_at)
		stream_want(x);
	size_t n = x->out.len - x->out_at;
	if (n == 0) {
		if (x->failed)
			return MHD_CONTENT_READER_END_WITH_ERROR;
		if (x->ended)
			return MHD_CONTENT_READER_END_OF_STREAM;
		stream_sleep(x);
		return 0;
	}
	if (n > max)
		n = max;
	memcpy(data, x->out.data + x->out_at, n);
	x->out_at += n;
	if (x->out_at == x->out.len) {
		x->out_at = 0;
		buf_clear(&x->out);
	}
	stream_want(x);
	return (ssize_t)n;
}

void http_reply_stream(struct http_exchange *pub, int status, const char *content_type, int64_t length,
		       const struct http_stream_ops *ops, void *arg)
{
	struct exchange *x = EXCHANGE(pub);
	if (!x->mhd) { /* the server was stopped meanwhile */
		ops->closed(arg);
		exchange_unref(x);
		return;
	}
	x->stream = ops;
	x->stream_arg = arg;
	x->refs++;
	x->response = MHD_create_response_from_callback(length < 0 ? MHD_SIZE_UNKNOWN : (uint64_t)length,
							STREAM_BLOCK_BYTES, on_read, x, on_response_freed);
	reply_made(x, status, content_type);
}

bool http_stream_write(struct http_exchange *pub, const void *data, size_t len)
{
	struct exchange *x = EXCHANGE(pub);
	if (x->out_at >= HTTP_STREAM_LOW) {
		buf_consume(&x->out, x->out_at);
		x->out_at = 0;
	}
	buf_add(&x->out, data, len);
	if (len)
		exchange_resume(x);
	return x->out.len - x->out_at < HTTP_STREAM_HIGH;
}

void http_stream_end(struct http_exchange *pub)
{
	struct exchange *x = EXCHANGE(pub);
	x->ended = true;
	exchange_resume(x);
}

void http_stream_fail(struct http_exchange *pub)
{
	struct exchange *x = EXCHANGE(pub);
	x->failed = x->ended = true;
	exchange_resume(x);
}
