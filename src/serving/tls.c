/* SPDX-License-Identifier: Apache-2.0 */
/* TLS connections, see tls.h.
 *
 * A connection shakes hands, is open, and closes: when its server side has ended, what GnuTLS still holds and
 * the farewell go out, and what the client still sends is thrown away until it ends or a timer does, so that
 * no reset overtakes the answer. */
#include "serving/tls.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "serving/tls_keys.h"

#define RECORD_BYTES 16384
#define RECORDS_PER_TURN 8 /* then others get their turn */
#define CLOSING_NS ((int64_t)5 * 1000000000)
#define NS_PER_MS 1000000

struct tls {
	struct server *server;
	struct tls_keys *keys;
	tls_ready_fn *ready;
	void *arg;
	struct list shaking, open, closing; /* oldest first */
	char record[RECORD_BYTES];	    /* one for all connections */
};

enum tls_phase { TLS_SHAKING, TLS_OPEN, TLS_CLOSING };

struct tls_connection {
	struct list node;
	struct tls *tls;
	struct tls_credentials *credentials;
	gnutls_session_t session;
	enum tls_phase phase;
	struct loop_source outer, inner; /* the client; our end of the pair, -1 until there is one */
	struct loop_timer timer;
	struct sockaddr_storage address;
	socklen_t address_len;
	struct buf up;	   /* decrypted, not taken by the server yet */
	bool up_ended;	   /* nothing more goes to the server */
	bool half_sent;	   /* GnuTLS holds a record, or the farewell, that the client does not take yet */
	bool inner_paused; /* not watched: an end of the server side would be reported all the time */
	bool bye_begun, bye_sent;
};

static void connection_end(struct tls_connection *c)
{
	struct tls *t = c->tls;

	server_loop_timer_stop(t->server->loop, &c->timer);
	server_loop_remove(t->server->loop, &c->outer);
	list_remove(&c->node);
	gnutls_deinit(c->session);
	tls_credentials_unref(c->credentials);
	close(c->outer.fd);
	if (c->inner.fd >= 0) {
		server_loop_remove(t->server->loop, &c->inner);
		close(c->inner.fd);
	}
	buf_done(&c->up);
	if (c->phase == TLS_OPEN)
		t->server->relays--;
	free(c);
	server_connection_end(t->server);
}

static void on_timer(struct loop_timer *timer)
{
	connection_end(CONTAINER_OF(timer, struct tls_connection, timer));
}

/* False when the server side cannot be watched. */
static bool watch_inner(struct tls_connection *c)
{
	struct server_loop *loop = c->tls->server->loop;
	uint32_t events = (c->half_sent ? 0 : EPOLLIN) | (c->up.len > 0 ? EPOLLOUT : 0);
	struct err err = ERR_INIT;

	if (!events && !c->inner_paused)
		server_loop_remove(loop, &c->inner);
	else if (events && c->inner_paused && server_loop_add(loop, &c->inner, events, &err) < 0)
		return false;
	else if (events)
		server_loop_change(loop, &c->inner, events);
	c->inner_paused = !events;
	return true;
}

static bool watch(struct tls_connection *c)
{
	bool want_in = c->phase == TLS_CLOSING ? c->bye_sent : c->up.len == 0 && !c->up_ended;

	server_loop_change(c->tls->server->loop, &c->outer,
			   (want_in ? EPOLLIN : 0) | (c->half_sent ? EPOLLOUT : 0));
	return c->phase != TLS_OPEN || watch_inner(c);
}

static bool must_wait(ssize_t r)
{
	return r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED;
}

/* The client has said all, or is gone: the server reads an end. */
static void end_up(struct tls_connection *c)
{
	c->up_ended = true;
	if (c->up.len == 0)
		shutdown(c->inner.fd, SHUT_WR);
}

/* When the server side listens no more, the rest of the request goes nowhere; its answer still comes. */
static void give_up(struct tls_connection *c, const char *data, size_t len)
{
	ssize_t n = send(c->inner.fd, data, len, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		c->up_ended = true;
		return;
	}
	if (n < 0)
		n = 0;
	if ((size_t)n < len)
		buf_add(&c->up, data + n, len - (size_t)n);
}

/* From the client to the server. False when the connection is broken. */
static bool pump_up(struct tls_connection *c)
{
	for (int i = 0; i < RECORDS_PER_TURN || gnutls_record_check_pending(c->session) > 0; i++) {
		if (c->up.len > 0 || c->up_ended)
			return true;
		ssize_t n = gnutls_record_recv(c->session, c->tls->record, RECORD_BYTES);
		if (must_wait(n))
			return true;
		if (n == 0 || n == GNUTLS_E_PREMATURE_TERMINATION)
			end_up(c);
		else if (n < 0 && gnutls_error_is_fatal((int)n) == 0 && n != GNUTLS_E_REHANDSHAKE)
			continue; /* a warning */
		else if (n < 0)
			return false;
		else
			give_up(c, c->tls->record, (size_t)n);
	}
	return true;
}

static void flush_up(struct tls_connection *c)
{
	struct buf rest = c->up;

	if (rest.len == 0)
		return;
	c->up = BUF_INIT;
	give_up(c, rest.data, rest.len);
	buf_done(&rest);
	if (c->up_ended && c->up.len == 0)
		end_up(c);
}

/* Sends 'len' bytes as one record, or what is left of the last. False when the connection is broken. */
static bool send_record(struct tls_connection *c, size_t len)
{
	ssize_t r =
	    gnutls_record_send(c->session, c->half_sent ? NULL : c->tls->record, c->half_sent ? 0 : len);

	c->half_sent = must_wait(r);
	return r >= 0 || c->half_sent;
}

/* Nothing more goes between the two sides. */
static void close_soon(struct tls_connection *c)
{
	struct server *s = c->tls->server;

	if (c->phase == TLS_OPEN) {
		server_loop_remove(s->loop, &c->inner);
		close(c->inner.fd);
		c->inner.fd = -1;
		s->relays--;
	}
	buf_done(&c->up);
	c->phase = TLS_CLOSING;
	list_remove(&c->node);
	list_append(&c->tls->closing, &c->node);
	server_loop_timer_start(s->loop, &c->timer, clock_monotonic_ns() + CLOSING_NS);
}

/* From the server to the client. False when the connection is broken. */
static bool pump_down(struct tls_connection *c)
{
	if (c->half_sent && !send_record(c, 0))
		return false;
	for (int i = 0; i < RECORDS_PER_TURN && !c->half_sent; i++) {
		ssize_t n = recv(c->inner.fd, c->tls->record, RECORD_BYTES, 0);
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return true;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			close_soon(c);
		if (n <= 0)
			return true;
		if (!send_record(c, (size_t)n))
			return false;
	}
	return true;
}

/* The farewell; then what the client still sends goes nowhere. */
static bool pump_closing(struct tls_connection *c)
{
	ssize_t n;

	if (!c->bye_begun && c->half_sent && !send_record(c, 0))
		return false;
	if (!c->bye_begun && c->half_sent)
		return true;
	c->bye_begun = true;
	if (!c->bye_sent) {
		int r = gnutls_bye(c->session, GNUTLS_SHUT_WR);
		c->half_sent = must_wait(r);
		if (c->half_sent)
			return true;
		if (r < 0)
			return false;
		c->bye_sent = true;
		shutdown(c->outer.fd, SHUT_WR);
	}
	n = recv(c->outer.fd, c->tls->record, RECORD_BYTES, 0);
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

static bool start_inner(struct tls_connection *c)
{
	struct tls *t = c->tls;
	struct err err = ERR_INIT;
	int pair[2], on = 1;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		log_warn("tls.no_pair errno=%d", errno);
		return false;
	}
	c->inner.fd = pair[0];
	if (server_loop_add(t->server->loop, &c->inner, EPOLLIN, &err) < 0) {
		close(pair[1]);
		return false;
	}
	c->phase = TLS_OPEN;
	list_remove(&c->node);
	list_append(&t->open, &c->node);
	server_loop_timer_stop(t->server->loop, &c->timer);
	t->server->relays++;
	/* Nothing of ours follows the handshake: a client with Nagle's algorithm would wait 40 ms for the
	 * acknowledgement before it sends its request. Fails on a Unix socket, which needs none. */
	setsockopt(c->outer.fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof(on));
	t->ready(t->arg, pair[1], &c->address, c->address_len);
	return true;
}

static bool shake_hands(struct tls_connection *c)
{
	int r;

	do
		r = gnutls_handshake(c->session);
	while (r < 0 && !must_wait(r) && !gnutls_error_is_fatal(r));
	if (must_wait(r)) {
		c->half_sent = gnutls_record_get_direction(c->session) == 1;
		return true;
	}
	c->half_sent = false;
	if (r >= 0)
		return start_inner(c);
	log_debug("tls.refused error=%s", gnutls_strerror(r));
	gnutls_alert_send_appropriate(c->session, r); /* as far as the socket takes it */
	close_soon(c);
	c->bye_begun = c->bye_sent = true;
	shutdown(c->outer.fd, SHUT_WR);
	return true;
}

static void step(struct tls_connection *c)
{
	bool alive = true;

	if (c->phase == TLS_SHAKING)
		alive = shake_hands(c);
	if (alive && c->phase == TLS_OPEN) {
		flush_up(c);
		alive = pump_up(c) && pump_down(c);
	}
	if (alive && c->phase == TLS_CLOSING)
		alive = pump_closing(c);
	if (!alive || !watch(c))
		connection_end(c);
}

static void on_outer(struct loop_source *source, uint32_t events)
{
	struct tls_connection *c = CONTAINER_OF(source, struct tls_connection, outer);

	/* A reset, which no reading finds out while nothing is to be read. We do not shut an open one. */
	if ((events & EPOLLERR) || ((events & EPOLLHUP) && c->phase != TLS_CLOSING))
		connection_end(c);
	else
		step(c);
}

static void on_inner(struct loop_source *source, uint32_t events)
{
	step(CONTAINER_OF(source, struct tls_connection, inner));
}

void tls_accept(struct tls *t, int fd, const struct sockaddr_storage *address, socklen_t address_len)
{
	struct tls_connection *c = MEM_NEW(struct tls_connection);
	struct err err = ERR_INIT;
	int r;

	c->tls = t;
	c->outer = (struct loop_source){.fd = fd, .on_event = on_outer};
	c->inner = (struct loop_source){.fd = -1, .on_event = on_inner};
	c->timer.on_timer = on_timer;
	c->address = *address;
	c->address_len = address_len;
	c->credentials = tls_keys_current(t->keys);
	list_append(&t->shaking, &c->node);
	server_loop_timer_start(t->server->loop, &c->timer,
				clock_monotonic_ns() + t->server->options->header_timeout_ms * NS_PER_MS);
	r = tls_session_new(t->keys, c->credentials, fd, &c->session, &err);
	if (r >= 0)
		r = server_loop_add(t->server->loop, &c->outer, EPOLLIN, &err);
	if (r < 0) {
		log_warn("tls.refused error=%s", err.msg);
		connection_end(c);
		return;
	}
	step(c);
}

bool tls_drop_closing(struct tls *t)
{
	if (!t || list_empty(&t->closing))
		return false;
	connection_end(LIST_ENTRY(t->closing.next, struct tls_connection, node));
	return true;
}

void tls_on_ready(struct tls *t, tls_ready_fn *ready, void *arg)
{
	t->ready = ready;
	t->arg = arg;
}

int tls_new(struct server *s, struct tls **ret, struct err *err)
{
	struct tls *t = MEM_NEW(struct tls);
	int r = tls_keys_new(s->options, &t->keys, err);

	if (r < 0) {
		free(t);
		return r;
	}
	t->server = s;
	list_init(&t->shaking);
	list_init(&t->open);
	list_init(&t->closing);
	*ret = t;
	return 0;
}

void tls_drain(struct tls *t)
{
	struct tls_connection *c;

	if (!t)
		return;
	LIST_EACH(c, &t->shaking, node)
	connection_end(c);
}

void tls_free(struct tls *t)
{
	struct tls_connection *c;

	if (!t)
		return;
	tls_drain(t);
	LIST_EACH(c, &t->open, node)
	connection_end(c);
	LIST_EACH(c, &t->closing, node)
	connection_end(c);
	tls_keys_free(t->keys);
	free(t);
}
