/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 without TLS (prior knowledge) for gRPC: connections on nghttp2. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "serving/http2_int.h"

#define READ_BYTES ((size_t)128 * 1024)
#define READS_PER_TURN 4 /* then others get their turn */
#define WINDOW_BYTES (1 << 20)
#define CONTINUATIONS_MAX 8
#define OUTBOUND_ACKS_MAX 1000
#define SETTINGS_MAX 32

static void connection_free(struct h2_connection *c)
{
	struct http2 *h = c->http2;

	server_loop_timer_stop(h->server->loop, &c->idle);
	server_loop_remove(h->server->loop, &c->source);
	list_remove(&c->node);
	list_remove(&c->answered_node);
	nghttp2_session_del(c->session); /* tells no stream */
	struct h2_stream *s;
	LIST_EACH(s, &c->streams, node)
	h2_stream_detach(s);
	close(c->source.fd);
	out_queue_done(&c->out);
	free(c);
	server_connection_end(h->server);
}

static bool flush_out(struct h2_connection *c)
{
	return out_queue_send(&c->out, c->source.fd);
}

static bool is_finished(struct h2_connection *c)
{
	if (c->out.waiting > 0 || nghttp2_session_want_write(c->session))
		return false;
	return !nghttp2_session_want_read(c->session) || (c->draining && list_empty(&c->streams));
}

void h2_connection_update(struct h2_connection *c)
{
	struct server_loop *loop = c->http2->server->loop;
	bool broken = false;

	if (c->updating) /* an answer given while bytes are read or sent goes out at the end of that */
		return;
	c->updating = true;
	do { /* until the socket is full or nothing is left: nobody would wake us otherwise */
		if (c->out.waiting < H2_OUT_HIGH && nghttp2_session_want_write(c->session))
			broken = nghttp2_session_send(c->session) != 0;
		broken = !flush_out(c) || broken;
	} while (!broken && c->out.waiting == 0 && nghttp2_session_want_write(c->session));
	c->updating = false;
	if (broken || is_finished(c)) {
		connection_free(c);
		return;
	}
	h2_connection_watch(c);
	server_loop_change(loop, &c->source, EPOLLIN | (c->out.waiting > 0 ? EPOLLOUT : 0));
}

void h2_connection_update_soon(struct h2_connection *c)
{
	if (c->updating)
		return;
	list_remove(&c->answered_node);
	list_append(&c->http2->answered, &c->answered_node);
}

void http2_before_wait(struct http2 *h)
{
	while (!list_empty(&h->answered)) {
		struct h2_connection *c = LIST_ENTRY(h->answered.next, struct h2_connection, answered_node);
		list_remove(&c->answered_node);
		h2_connection_update(c);
	}
}

/* False when the connection must close. */
static bool read_in(struct h2_connection *c)
{
	for (int i = 0; i < READS_PER_TURN; i++) {
		ssize_t n = recv(c->source.fd, c->http2->in, READ_BYTES, 0), used;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (n == 0)
			return false;
		used = nghttp2_session_mem_recv(c->session, c->http2->in, (size_t)n);
		if (used < 0)
			return false;
		if ((size_t)n < READ_BYTES)
			return true;
	}
	return true;
}

/* Frees the connection after a GOAWAY that says why, as far as it fits. */
static void say_goodbye(struct h2_connection *c)
{
	c->updating = true;
	if (c->out.waiting == 0)
		nghttp2_session_send(c->session);
	flush_out(c);
	connection_free(c);
}

static void connection_event(struct loop_source *source, uint32_t events)
{
	struct h2_connection *c = CONTAINER_OF(source, struct h2_connection, source);
	bool alive = true;

	c->updating = true;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		alive = read_in(c);
	c->updating = false;
	if (!alive) {
		say_goodbye(c);
		return;
	}
	h2_connection_update(c);
}

static void idle_timeout(struct loop_timer *t)
{
	struct h2_connection *c = CONTAINER_OF(t, struct h2_connection, idle);

	/* Headers or a body did not arrive in time, or an answer was not taken: a reset would keep a slow
	 * client's connection alive. */
	nghttp2_session_terminate_session(c->session, NGHTTP2_ENHANCE_YOUR_CALM);
	say_goodbye(c);
}

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t len, int flags, void *user)
{
	struct h2_connection *c = user;

	if (c->out.waiting >= H2_OUT_HIGH)
		return NGHTTP2_ERR_WOULDBLOCK;
	out_queue_add(&c->out, data, len);
	return (ssize_t)len;
}

/* Everything that nghttp2 needs to know, once per process. */
static int make_templates(struct http2 *h, struct err *err)
{
	if (nghttp2_session_callbacks_new(&h->callbacks) != 0 || nghttp2_option_new(&h->option) != 0)
		return err_set(err, ERR_NO_MEMORY, "no memory for HTTP/2");
	nghttp2_session_callbacks_set_send_callback(h->callbacks, on_send);
	h2_stream_callbacks(h->callbacks);
	nghttp2_option_set_stream_reset_rate_limit(h->option, H2_RESET_BURST, H2_RESETS_PER_SECOND);
	nghttp2_option_set_max_continuations(h->option, CONTINUATIONS_MAX);
	nghttp2_option_set_max_outbound_ack(h->option, OUTBOUND_ACKS_MAX);
	nghttp2_option_set_max_settings(h->option, SETTINGS_MAX);
	nghttp2_option_set_no_auto_window_update(h->option, 1); /* calls of many messages are held back */
	nghttp2_option_set_server_fallback_rfc7540_priorities(h->option, 0);
	return 0;
}

int http2_new(struct server *s, struct http2 **ret, struct err *err)
{
	struct http2 *h = MEM_NEW(struct http2);
	int r;

	h->server = s;
	list_init(&h->connections);
	list_init(&h->answered);
	h->in = mem_alloc(READ_BYTES);
	r = make_templates(h, err);
	if (r < 0) {
		http2_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void http2_free(struct http2 *h)
{
	if (!h)
		return;
	struct h2_connection *c;
	LIST_EACH(c, &h->connections, node)
	connection_free(c);
	nghttp2_session_callbacks_del(h->callbacks);
	nghttp2_option_del(h->option);
	free(h->in);
	free(h);
}

static bool start_session(struct h2_connection *c)
{
	const nghttp2_settings_entry settings[] = {
	    {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
	    {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
	    {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, H2_HEADER_BYTES_MAX},
	};

	return nghttp2_session_server_new2(&c->session, c->http2->callbacks, c, c->http2->option) == 0 &&
	       nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) == 0 &&
	       nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0,
						     H2_CONNECTION_WINDOW) == 0;
}

void http2_accept(struct http2 *h, int fd)
{
	struct h2_connection *c = MEM_NEW(struct h2_connection);
	struct err err = ERR_INIT;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		   sizeof(on)); /* fails on a Unix socket, which needs none */
	c->http2 = h;
	c->source.fd = fd;
	c->source.on_event = connection_event;
	c->idle.on_timer = idle_timeout;
	list_init(&c->streams);
	list_init(&c->incoming);
	list_init(&c->outgoing);
	list_init(&c->node);
	list_init(&c->answered_node);
	list_append(&h->connections, &c->node);
	if (!start_session(c) || server_loop_add(h->server->loop, &c->source, EPOLLIN, &err) < 0) {
		log_warn("http2.refused reason=%s", err.code ? err.msg : "no memory");
		connection_free(c);
		return;
	}
	if (h->server->draining)
		nghttp2_submit_shutdown_notice(c->session);
	connection_event(&c->source, EPOLLIN);
}

bool http2_drop_idle(struct http2 *h)
{
	struct h2_connection *c;

	LIST_EACH(c, &h->connections, node)
	{
		if (!list_empty(&c->streams) || c->updating)
			continue;
		connection_free(c);
		return true;
	}
	return false;
}

void http2_drain_notice(struct http2 *h)
{
	struct h2_connection *c;

	LIST_EACH(c, &h->connections, node)
	{
		nghttp2_submit_shutdown_notice(c->session);
		h2_connection_update(c);
	}
}

void http2_drain(struct http2 *h)
{
	struct h2_connection *c;
	struct h2_stream *s;

	LIST_EACH(c, &h->connections, node)
	{
		c->draining = true;
		c->updating = true;
		LIST_EACH(s, &c->streams, node)
		if (s->begun)
			h2_flow_drain(s);
		c->updating = false;
		nghttp2_submit_goaway(c->session, NGHTTP2_FLAG_NONE,
				      nghttp2_session_get_last_proc_stream_id(c->session), NGHTTP2_NO_ERROR,
				      NULL, 0);
		h2_connection_update(c);
	}
}
