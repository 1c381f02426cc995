/* SPDX-License-Identifier: Apache-2.0 */
/* One request: its checks, its body, the handler, and the two sides that may let go of it in any order. */
#include "net/http_server_int.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/http_header.h"

#define EXCHANGE_ARENA_MAX (1024 * 1024)
#define NONE_BODY_MAX 4096    /* of a call that takes no body */
#define DROP_MAX (256 * 1024) /* bytes of a refused body that are read so that the client sees the answer */

static void exchange_free(struct exchange *x)
{
	if (x->response)
		MHD_destroy_response(x->response);
	json_decref(x->pub.json);
	if (x->server) {
		x->server->bodies_bytes -= x->body_held;
		list_remove(&x->link);
	}
	buf_done(&x->pub.body);
	buf_done(&x->out);
	arena_done(&x->pub.arena);
	free(x);
}

void exchange_unref(struct exchange *x)
{
	if (--x->refs == 0)
		exchange_free(x);
}

void exchange_suspend(struct exchange *x)
{
	if (x->suspended)
		return;
	x->suspended = true;
	MHD_suspend_connection(x->mhd);
}

void exchange_resume(struct exchange *x)
{
	loop_fd_free(x->gone_watch);
	x->gone_watch = NULL;
	if (!x->suspended)
		return;
	x->suspended = false;
	if (x->mhd) {
		MHD_resume_connection(x->mhd);
		http_server_kick(x->server);
	}
}

const char *http_header(const struct http_exchange *pub, const char *name)
{
	const struct exchange *x = CONTAINER_OF(pub, const struct exchange, pub);
	return x->mhd ? MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, name) : NULL;
}

const char *http_query(const struct http_exchange *x, const char *name)
{
	return http_uri_query(&x->uri, name);
}

int http_query_int(const struct http_exchange *x, const char *name, int64_t min, int64_t max, int64_t *ret,
		   struct err *err)
{
	const char *s = http_query(x, name);
	if (!s)
		return 0;
	char *end = NULL;
	errno = 0;
	long long value = strtoll(s, &end, 10);
	if (!*s || *end || errno || value < min || value > max || strspn(s, "+-0123456789") != strlen(s))
		return err_set(err, ERR_INVALID,
			       "the query parameter '%s' is '%.32s', not a whole number from %lld to %lld",
			       name, s, (long long)min, (long long)max);
	*ret = value;
	return 0;
}

const char *http_client_address(struct http_exchange *pub)
{
	const struct exchange *x = EXCHANGE(pub);
	const union MHD_ConnectionInfo *info =
	    x->mhd ? MHD_get_connection_info(x->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS) : NULL;
	char text[NI_MAXHOST] = "-";
	socklen_t len = !info || !info->client_addr		  ? 0
			: info->client_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
								  : sizeof(struct sockaddr_in6);
	if (len && getnameinfo(info->client_addr, len, text, sizeof(text), NULL, 0, NI_NUMERICHOST) != 0)
		snprintf(text, sizeof(text), "-");
	return arena_strndup(&pub->arena, text, strlen(text));
}

/* ---- the head ---- */

struct header_walk {
	void (*fn)(void *arg, const char *name, const char *value);
	void *arg;
};

static enum MHD_Result walk_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_walk *w = cls;
	w->fn(w->arg, name, value ? value : "");
	return MHD_YES;
}

struct head_count {
	int content_length, transfer_encoding, host;
	const char *encoding;
};

static enum MHD_Result count_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct head_count *n = cls;
	if (!strcasecmp(name, "Content-Length"))
		n->content_length++;
	else if (!strcasecmp(name, "Host"))
		n->host++;
	else if (!strcasecmp(name, "Transfer-Encoding")) {
		n->transfer_encoding++;
		n->encoding = value;
	}
	return MHD_YES;
}

/* What two parsers could read differently is refused, and the connection with it. */
static int check_framing(struct exchange *x, struct err *err)
{
	struct head_count n = {0};
	MHD_get_connection_values(x->mhd, MHD_HEADER_KIND, count_header, &n);
	if (n.content_length > 1 || n.transfer_encoding > 1 || n.host > 1 ||
	    (n.content_length && n.transfer_encoding))
		return err_set(err, ERR_INVALID, "the request says twice how long it is or whom it is for");
	if (n.encoding && strcasecmp(n.encoding, "chunked"))
		return err_set(err, ERR_INVALID, "transfer encoding '%.32s' is not understood", n.encoding);
	const char *length = http_header(&x->pub, "Content-Length");
	if (length && (!*length || strspn(length, "0123456789") != strlen(length) || strlen(length) > 18))
		return err_set(err, ERR_INVALID, "Content-Length is not a number");
	x->pub.body_length = n.encoding ? -1 : length ? strtoll(length, NULL, 10) : 0;
	return 0;
}

static int check_head(struct exchange *x, const char **ret_allow, struct err *err)
{
	const struct http_server_config *config = &x->server->config;
	const char *host = http_header(&x->pub, "Host");
	if (!config->raw && !http_host_is_allowed(host, config->host_names))
		return err_set(
		    err, ERR_DENIED,
		    "the Host header does not name this server; use its IP address or 'localhost', "
		    "or start the server with --allow-host NAME");
	if (config->raw) {
		x->pub.route = &x->server->raw_route;
		return 0;
	}
	int r = http_uri_parse(x->connection->target, &x->pub.arena, &x->pub.uri, err);
	if (r < 0)
		return r;
	r = http_router_find(config, &x->pub, x->params, ret_allow, err);
	if (r < 0)
		return r;
	const struct http_route *route = x->pub.route;
	int64_t max = route->body == HTTP_BODY_NONE ? NONE_BODY_MAX : (int64_t)route->body_max_bytes;
	if (x->pub.body_length > max)
		return err_set(err, ERR_TOO_LARGE, "the body has %lld bytes; %s %s takes at most %lld",
			       (long long)x->pub.body_length, route->method, route->path, (long long)max);
	return 0;
}

static void dispatch(struct exchange *x)
{
	x->dispatched = true;
	x->pub.route->handle(&x->pub, x->pub.app);
}

void http_headers_each(const struct http_exchange *pub,
		       void (*fn)(void *arg, const char *name, const char *value), void *arg)
{
	const struct exchange *x = CONTAINER_OF(pub, const struct exchange, pub);
	struct header_walk walk = {fn, arg};
	if (x->mhd)
		MHD_get_connection_values(x->mhd, MHD_HEADER_KIND, walk_header, &walk);
}

void http_known(struct http_exchange *pub)
{
	struct exchange *x = EXCHANGE(pub);
	if (x->connection)
		x->connection->known = true;
}

static void dispatch_fallback(struct exchange *x)
{
	x->dispatched = true;
	x->server->config.fallback(&x->pub, x->pub.app);
}

void http_admit(struct http_exchange *pub, void *principal)
{
	struct exchange *x = EXCHANGE(pub);
	if (!x->mhd) { /* the server was stopped meanwhile */
		exchange_unref(x);
		return;
	}
	x->admitted = true;
	x->connection->known |= principal != NULL;
	pub->principal = principal;
	if (pub->route->body == HTTP_BODY_STREAM)
		dispatch(x);
	exchange_resume(x);
}

static struct exchange *exchange_new(struct http_server *s, struct MHD_Connection *mhd, const char *method)
{
	struct exchange *x = MEM_NEW(struct exchange);
	x->server = s;
	x->mhd = mhd;
	x->connection = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	x->refs = 2; /* libmicrohttpd, and whoever owes the reply */
	x->pub.app = s->config.app;
	x->pub.arena = ARENA_INIT(EXCHANGE_ARENA_MAX);
	x->pub.method = arena_strndup(&x->pub.arena, method, strlen(method));
	x->pub.target = arena_strndup(&x->pub.arena, x->connection->target, strlen(x->connection->target));
	x->is_head = !strcmp(method, "HEAD");
	x->connection->busy = true;
	list_append(&s->exchanges, &x->link);
	s->exchange_count++;
	return x;
}

static void begin(struct exchange *x)
{
	struct err err = ERR_INIT;
	const char *allow = NULL;
	int r = check_framing(x, &err);
	if (r < 0) {
		x->pub.body_length = INT64_MAX; /* never read on */
		http_reply_header(&x->pub, "Connection", "close");
	} else {
		r = check_head(x, &allow, &err);
	}
	if (r < 0) {
		if (allow)
			http_reply_header(&x->pub, "Allow", allow);
		http_reply_error(&x->pub, &err);
	} else if ((x->pub.route->auth & HTTP_ROLE) == HTTP_OPEN) {
		http_admit(&x->pub, NULL);
	} else {
		x->server->config.authenticate(&x->pub, x->pub.app);
	}
}

static void start_body(struct exchange *x)
{
	x->stage = STAGE_BODY;
	if (!x->pub.body_length)
		return;
	x->body_start_ms = clock_monotonic_ms(&clock_real);
	http_connection_deadline(x->connection, x->body_start_ms + HTTP_BODY_GRACE_MS);
}

/* A reply before the body: small bodies are read and dropped so that the connection can stay. */
static enum MHD_Result refuse_body(struct exchange *x)
{
	const char *expect = http_header(&x->pub, "Expect");
	if (x->pub.body_length > DROP_MAX || x->pub.body_length < 0 || (expect && x->pub.body_length))
		return exchange_send(x);
	x->drop_body = true;
	start_body(x);
	return MHD_YES;
}

static enum MHD_Result on_head(struct exchange *x)
{
	if (x->replied)
		return refuse_body(x);
	bool waits = !x->admitted || (x->pub.route->body == HTTP_BODY_STREAM && !x->upload);
	if (waits) {
		exchange_suspend(x);
		return MHD_YES;
	}
	start_body(x);
	return MHD_YES;
}

/* ---- the body ---- */

static void upload_abort(struct exchange *x)
{
	const struct http_upload_ops *ops = x->upload;
	x->upload = NULL;
	if (ops)
		ops->aborted(x->upload_arg);
}

static void refuse_rest(struct exchange *x, const struct err *err)
{
	x->drop_body = true;
	upload_abort(x);
	if (!x->replied)
		http_reply_error(&x->pub, err);
}

static int hold_body(struct exchange *x, const char *data, size_t len, struct err *err)
{
	struct http_server *s = x->server;
	if (len > s->config.bodies_max_bytes - s->bodies_bytes)
		return err_set(err, ERR_UNAVAILABLE,
			       "requests in progress use all memory that is for them; try again later");
	s->bodies_bytes += len;
	x->body_held += len;
	buf_add(&x->pub.body, data, len);
	return 0;
}

static enum MHD_Result on_body(struct exchange *x, const char *data, size_t len)
{
	x->body_seen += (int64_t)len;
	http_connection_deadline(x->connection, x->body_start_ms + HTTP_BODY_GRACE_MS +
						    x->body_seen * 1000 / HTTP_BODY_RATE_MIN);
	if (x->drop_body) {
		x->body_dropped += (int64_t)len;
		return x->body_dropped > DROP_MAX ? MHD_NO : MHD_YES;
	}
	struct err err = ERR_INIT;
	const struct http_route *route = x->pub.route;
	if (route->body == HTTP_BODY_NONE)
		return x->body_seen > NONE_BODY_MAX ? MHD_NO : MHD_YES;
	if (x->body_seen > (int64_t)route->body_max_bytes)
		err_set(&err, ERR_TOO_LARGE, "the body is larger than %zu bytes", route->body_max_bytes);
	else if (!x->upload)
		hold_body(x, data, len, &err);
	else if (x->upload->data(x->upload_arg, data, len, &err) >= 0)
		err = ERR_INIT; /* only the result tells failure */
	if (err.code)
		refuse_rest(x, &err);
	return MHD_YES;
}

static int parse_json(struct exchange *x, struct err *err)
{
	struct buf *body = &x->pub.body;
	int r = json_parse(buf_str(body), body->len, x->pub.route->body_max_bytes, &x->pub.json, err);
	if (r < 0)
		return err_wrap(err, "the body is not JSON");
	if (!json_is_object(x->pub.json))
		return err_set(err, ERR_INVALID, "the body is not a JSON object");
	return 0;
}

static void on_request_whole(struct exchange *x)
{
	struct err err = ERR_INIT;
	x->stage = STAGE_ANSWER;
	http_connection_deadline(x->connection, 0);
	if (x->replied)
		return;
	if (x->upload) {
		const struct http_upload_ops *ops = x->upload;
		x->upload = NULL;
		ops->end(x->upload_arg);
	} else if (x->pub.route->body == HTTP_BODY_JSON && parse_json(x, &err) < 0) {
		http_reply_error(&x->pub, &err);
	} else if (x->pub.route->handle) {
		dispatch(x);
	} else {
		dispatch_fallback(x);
	}
}

void http_upload_begin(struct http_exchange *pub, const struct http_upload_ops *ops, void *arg)
{
	struct exchange *x = EXCHANGE(pub);
	if (!x->mhd) { /* the server was stopped meanwhile */
		ops->aborted(arg);
		exchange_unref(x);
		return;
	}
	x->upload = ops;
	x->upload_arg = arg;
	exchange_resume(x);
}

/* ---- libmicrohttpd's side ---- */

enum MHD_Result exchange_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
				const char *version, const char *data, size_t *data_size, void **context)
{
	struct http_server *s = cls;
	struct exchange *x = *context;
	if (s->stopping)
		return MHD_NO;
	if (!x) {
		*context = x = exchange_new(s, mhd, method);
		http_connection_deadline(x->connection, 0);
		begin(x);
	}
	if (x->stage == STAGE_HEAD)
		return on_head(x);
	if (*data_size) {
		size_t len = *data_size;
		*data_size = 0;
		return on_body(x, data, len);
	}
	if (x->stage == STAGE_BODY)
		on_request_whole(x);
	if (x->replied)
		return exchange_send(x);
	exchange_suspend(x);
	return MHD_YES;
}

void exchange_completed(void *cls, struct MHD_Connection *mhd, void **context,
			enum MHD_RequestTerminationCode why)
{
	struct http_server *s = cls;
	struct exchange *x = *context;
	if (!x)
		return;
	*context = NULL;
	x->mhd = NULL;
	list_remove(&x->link);
	list_append(&s->leaving, &x->link);
	s->exchange_count--;
	if (!s->stopping)
		http_connection_deadline(x->connection, clock_monotonic_ms(&clock_real) + HTTP_IDLE_MS);
	x->connection->busy = false;
	x->connection = NULL;
	if (x->upload) { /* nobody owes a reply any more */
		upload_abort(x);
		if (!x->replied)
			exchange_unref(x);
	} else if (!x->replied && !x->dispatched && x->admitted) {
		exchange_unref(x); /* broken off before its handler ran */
	}
	exchange_stream_close(x);
	exchange_unref(x);
}
