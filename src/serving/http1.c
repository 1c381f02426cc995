/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 for REST: libmicrohttpd without a listening socket, its epoll descriptor inside our loop. */
#include <assert.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "serving/http.h"
#include "serving/inflate.h"
#include "serving/rest_run.h"

#define CONNECTION_MEMORY ((size_t)32 * 1024) /* bounds request line and headers */
#define IDLE_SECONDS 75
#define BROKEN_MAX 64 /* shut already and still counted */
#define NS_PER_MS 1000000

struct http1 {
	struct server *server;
	struct MHD_Daemon *daemon;
	struct loop_source source;
	struct list connections;
	struct list left; /* of them, those whose client has closed its side */
	bool dirty;	  /* libmicrohttpd has something to do that epoll does not tell */
};

struct h1_connection {
	struct list node, left_node;
	struct http1 *http1;
	struct loop_source watch; /* does the client leave? libmicrohttpd may not notice, and not look */
	struct h1_call *call;	  /* complete and not answered yet, else NULL */
	struct loop_timer timer;  /* what is awaited must be there by then */
	int fd;
	bool busy;   /* between the end of the headers and the end of the answer */
	bool left;   /* the client has closed its side, or all */
	bool broken; /* shut by us; libmicrohttpd will see it */
};

struct h1_call {
	struct http_call call;
	struct held_call held;
	struct h1_connection *connection;
	struct MHD_Connection *mhd;
	struct buf body, inflated;
	int64_t counted_bytes; /* of server->request_bytes */
	size_t body_max;
	bool too_large, no_memory, inflate, suspended, answered;
	int status;
	const char *content_type;
	struct buf answer;
	struct {
		const char *name;
		char *value; /* owned */
	} headers[HTTP_HEADERS_MAX];
	int header_count;
};

static void timer_set(struct h1_connection *c, int64_t ms)
{
	server_loop_timer_start(c->http1->server->loop, &c->timer, clock_monotonic_ns() + ms * NS_PER_MS);
}

/* libmicrohttpd sees the end and cleans up. */
static void break_off(struct h1_connection *c)
{
	c->broken = true;
	shutdown(c->fd, SHUT_RDWR);
	c->http1->dirty = true;
}

static void on_timer(struct loop_timer *t)
{
	struct h1_connection *c = CONTAINER_OF(t, struct h1_connection, timer);

	break_off(c);
}

static struct h1_connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info ? info->socket_context : NULL;
}

/* Nobody waits for the answer of a suspended call any more. */
static void call_left(struct h1_call *call)
{
	struct err left = ERR_INIT;
	struct buf body = BUF_INIT;

	if (server_unhold(&call->held)) {
		err_set(&left, ERR_CANCELLED, "the client has left");
		rest_write_error(&left, &body);
		http_reply(&call->call, rest_status(ERR_CANCELLED), HTTP_JSON, &body);
	} else if (call->call.cancel) {
		call->call.cancel(&call->call);
	}
}

static void on_left(struct loop_source *source, uint32_t events)
{
	struct h1_connection *c = CONTAINER_OF(source, struct h1_connection, watch);

	server_loop_remove(c->http1->server->loop, &c->watch);
	c->left = true;
	list_append(&c->http1->left, &c->left_node);
	c->http1->dirty = true;
	if (c->call && c->call->suspended)
		call_left(c->call);
}

/* libmicrohttpd misses an end that came together with the last bytes. Whoever has left ends here, unless
 * there are bytes to read or an answer is on its way. */
static void end_those_who_left(struct http1 *h)
{
	struct h1_connection *c;
	int unread;

	LIST_EACH(c, &h->left, left_node)
	if (!c->call && !c->broken && ioctl(c->fd, FIONREAD, &unread) == 0 && unread == 0)
		break_off(c);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http1 *h = cls;
	struct h1_connection *c = *socket_context;

	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		c = MEM_NEW(struct h1_connection);
		c->http1 = h;
		c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		c->timer.on_timer = on_timer;
		c->watch = (struct loop_source){.fd = c->fd, .on_event = on_left};
		list_init(&c->left_node);
		list_append(&h->connections, &c->node);
		server_loop_add(h->server->loop, &c->watch, EPOLLRDHUP, NULL);
		*socket_context = c;
		timer_set(c, h->server->options->header_timeout_ms);
		return;
	}
	server_loop_timer_stop(h->server->loop, &c->timer);
	server_loop_remove(h->server->loop, &c->watch);
	list_remove(&c->left_node);
	list_remove(&c->node);
	free(c);
	server_connection_end(h->server);
}

/* The request line is there: from now the headers have a deadline. */
static void *on_request_line(void *cls, const char *uri, struct MHD_Connection *mhd)
{
	struct h1_connection *c = connection_of(mhd);

	if (c && !c->busy)
		timer_set(c, c->http1->server->options->header_timeout_ms);
	return NULL;
}

/* Paths are decoded once, by the router. */
static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *text)
{
	return strlen(text);
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **request,
			 enum MHD_RequestTerminationCode code)
{
	struct h1_call *call = *request;

	if (!call)
		return;
	call->connection->http1->server->request_bytes -= call->counted_bytes;
	MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0U);
	call->connection->busy = false;
	call->connection->call = NULL;
	call->connection->http1->dirty |= call->connection->left;
	/* An answer that was made before the drain said nothing of an end: its client may have sent more. */
	if (call->connection->http1->server->draining && !call->connection->http1->server->lingering)
		break_off(call->connection);
	else
		timer_set(call->connection, IDLE_SECONDS * 1000);
	buf_done(&call->body);
	buf_done(&call->inflated);
	buf_done(&call->answer);
	for (int i = 0; i < call->header_count; i++)
		free(call->headers[i].value);
	free(call);
	*request = NULL;
}

static void add_headers(const struct h1_call *call, struct MHD_Response *response)
{
	const struct server *s = call->connection->http1->server;

	for (int i = 0; i < call->header_count; i++)
		MHD_add_response_header(response, call->headers[i].name, call->headers[i].value);
	if (s->options->cors) {
		MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, "*");
		MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS,
					"GET, POST, OPTIONS");
		MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
					"Content-Type, Content-Encoding");
	}
	if (s->draining)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONNECTION, "close");
}

static enum MHD_Result queue(struct h1_call *call, int status, const char *content_type, struct buf *body)
{
	const struct server *s = call->connection->http1->server;
	size_t len = body->len;
	struct MHD_Response *response =
	    MHD_create_response_from_buffer(len, buf_steal(body), MHD_RESPMEM_MUST_FREE);
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
	add_headers(call, response);
	/* Of an answer that nobody takes; libmicrohttpd sees what goes out. */
	MHD_set_connection_option(call->mhd, MHD_CONNECTION_OPTION_TIMEOUT,
				  (unsigned)((s->options->body_timeout_ms + 999) / 1000));
	r = MHD_queue_response(call->mhd, (unsigned)status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result refuse(struct h1_call *call, int status, const char *message)
{
	struct buf body = BUF_INIT;

	buf_printf(&body, "{\"error\":\"%s\"}\n", message); /* our own texts: nothing to escape */
	return queue(call, status, HTTP_JSON, &body);
}

static enum MHD_Result count_lengths(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
	*(int *)cls += strcasecmp(key, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0;
	return MHD_YES;
}

/* The first look at a request: its headers are complete, its body is to come. */
static enum MHD_Result begin(struct h1_call *call)
{
	struct server *s = call->connection->http1->server;
	const char *length =
	    MHD_lookup_connection_value(call->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	const char *coding =
	    MHD_lookup_connection_value(call->mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_ENCODING);
	int lengths = 0;

	call->body_max = http_body_max(&call->call);
	call->connection->busy = true;
	timer_set(call->connection, s->options->body_timeout_ms);
	MHD_get_connection_values(call->mhd, MHD_HEADER_KIND, count_lengths, &lengths);
	if (lengths > 1 || (length && MHD_lookup_connection_value(call->mhd, MHD_HEADER_KIND,
								  MHD_HTTP_HEADER_TRANSFER_ENCODING)))
		return refuse(call, 400, "the length of the body is given twice");
	if (length && strtoull(length, NULL, 10) > call->body_max)
		return refuse(call, 413, "the body is larger than this server takes");
	call->inflate = coding && (strcasecmp(coding, "gzip") == 0 || strcasecmp(coding, "deflate") == 0);
	if (coding && !call->inflate && strcasecmp(coding, "identity") != 0)
		return refuse(call, 415, "Content-Encoding must be gzip, deflate or identity");
	return MHD_YES;
}

static void count_bytes(struct h1_call *call, int64_t bytes)
{
	call->connection->http1->server->request_bytes += bytes - call->counted_bytes;
	call->counted_bytes = bytes;
}

static void take_body(struct h1_call *call, const char *data, size_t len)
{
	if (call->no_memory || call->too_large)
		return;
	count_bytes(call, (int64_t)(call->body.len + len));
	call->no_memory = server_check_memory(call->connection->http1->server, NULL) < 0;
	call->too_large = len > call->body_max - call->body.len;
	if (call->no_memory || call->too_large) { /* only at the end can an answer be given */
		buf_done(&call->body);
		count_bytes(call, 0);
		return;
	}
	buf_add(&call->body, data, len);
}

static void run_call(struct held_call *c)
{
	struct h1_call *call = CONTAINER_OF(c, struct h1_call, held);

	http_handle(&call->call);
}

static enum MHD_Result dispatch(struct h1_call *call)
{
	struct server *s = call->connection->http1->server;
	struct err err = ERR_INIT;

	server_loop_timer_stop(s->loop, &call->connection->timer);
	if (call->too_large)
		return refuse(call, 413, "the body is larger than this server takes");
	if (call->no_memory)
		return refuse(call, 429,
			      "requests in flight hold all memory there is for them; try again later");
	if (call->inflate) {
		if (inflate_all(call->body.data, call->body.len, call->body_max, &call->inflated, &err) < 0)
			return refuse(call, err.code == ERR_TOO_LARGE ? 413 : 400,
				      "the compressed body cannot be read");
		buf_done(&call->body);
		count_bytes(call, (int64_t)call->inflated.len);
	}
	struct buf *body = call->inflate ? &call->inflated : &call->body;
	call->call.body = (struct str){buf_str(body), body->len};
	call->connection->call = call;
	call->call.arrived_ns = clock_monotonic_ns();
	call->held.run = run_call;
	server_run_call(s, &call->held);
	if (call->answered)
		return queue(call, call->status, call->content_type, &call->answer);
	call->suspended = true;
	MHD_suspend_connection(call->mhd);
	if (call->connection->left)
		call_left(call);
	return MHD_YES;
}

const char *http_header(struct http_call *c, const char *name)
{
	return MHD_lookup_connection_value(CONTAINER_OF(c, struct h1_call, call)->mhd, MHD_HEADER_KIND, name);
}

void http_add_header(struct http_call *c, const char *name, const char *value)
{
	struct h1_call *call = CONTAINER_OF(c, struct h1_call, call);

	assert(call->header_count < HTTP_HEADERS_MAX);
	call->headers[call->header_count].name = name;
	call->headers[call->header_count++].value = mem_strdup(value);
}

void http_reply(struct http_call *c, int status, const char *content_type, struct buf *takes_body)
{
	struct h1_call *call = CONTAINER_OF(c, struct h1_call, call);

	if (status >= 400) {
		call->held.deadline_ns = http_deadline(c);
		if (server_hold(c->server, &call->held)) {
			c->cancel = NULL; /* of the attempt that is over */
			buf_done(takes_body);
			return;
		}
	}
	c->cancel = NULL;
	count_bytes(call, call->counted_bytes + (int64_t)takes_body->len);
	call->answered = true;
	call->status = status;
	call->content_type = content_type;
	call->answer = *takes_body;
	*takes_body = BUF_INIT;
	if (!call->suspended)
		return;
	call->suspended = false;
	MHD_resume_connection(call->mhd);
	call->connection->http1->dirty = true;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
				  const char *version, const char *data, size_t *len, void **request)
{
	struct http1 *h = cls;
	struct h1_call *call = *request;

	if (!call) {
		call = MEM_NEW(struct h1_call);
		call->connection = connection_of(mhd);
		call->mhd = mhd;
		call->call = (struct http_call){.server = h->server, .method = method, .path = url};
		*request = call;
		return begin(call);
	}
	if (*len > 0) {
		take_body(call, data, *len);
		*len = 0;
		return MHD_YES;
	}
	if (call->answered)
		return queue(call, call->status, call->content_type, &call->answer);
	return dispatch(call);
}

static void on_epoll(struct loop_source *source, uint32_t events)
{
	struct http1 *h = CONTAINER_OF(source, struct http1, source);

	MHD_run(h->daemon);
}

int http1_before_wait(struct http1 *h)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (h->dirty) {
		h->dirty = false;
		MHD_run(h->daemon);
	}
	if (MHD_get_timeout(h->daemon, &ms) != MHD_YES)
		ms = UINT64_MAX;
	if (ms == 0)
		h->dirty = true;
	else
		end_those_who_left(h);
	if (h->dirty)
		return 0;
	return ms == UINT64_MAX ? -1 : ms > 1000 ? 1000 : (int)ms;
}

int http1_new(struct server *s, struct http1 **ret, struct err *err)
{
	struct http1 *h = MEM_NEW(struct http1);
	int r;

	h->server = s;
	list_init(&h->connections);
	list_init(&h->left);
	h->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_request, h,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
	    MHD_OPTION_URI_LOG_CALLBACK, on_request_line, h, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, h,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned)s->options->connections_max + BROKEN_MAX, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_END);
	if (!h->daemon) {
		free(h);
		return err_set(err, ERR_INTERNAL, "cannot start the HTTP/1 server");
	}
	h->source.fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
	h->source.on_event = on_epoll;
	r = server_loop_add(s->loop, &h->source, EPOLLIN, err);
	if (r < 0) {
		MHD_stop_daemon(h->daemon);
		free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void http1_free(struct http1 *h)
{
	if (!h)
		return;
	server_loop_remove(h->server->loop, &h->source);
	MHD_stop_daemon(h->daemon);
	free(h);
}

void http1_accept(struct http1 *h, int fd, const void *address, unsigned address_len)
{
	if (MHD_add_connection(h->daemon, fd, address, address_len) != MHD_YES) {
		/* libmicrohttpd has closed the descriptor; no notification came. */
		log_warn("http1.refused");
		server_connection_end(h->server);
		return;
	}
	h->dirty = true;
}

bool http1_drop_idle(struct http1 *h)
{
	struct h1_connection *c;

	LIST_EACH(c, &h->connections, node)
	{
		if (c->busy || c->broken)
			continue;
		break_off(c);
		return true;
	}
	return false;
}

void http1_drain(struct http1 *h)
{
	struct h1_connection *c;

	LIST_EACH(c, &h->connections, node)
	if (!c->busy)
		shutdown(c->fd, SHUT_RDWR);
	h->dirty = true;
}
