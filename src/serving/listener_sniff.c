/* SPDX-License-Identifier: Apache-2.0 */
/* Telling protocols apart by a connection's first bytes, which stay in the socket. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "serving/listener_int.h"
#include "serving/tls.h"

#define NS_PER_MS 1000000
#define TLS_HANDSHAKE 22 /* type of a TLS connection's first record */

/* A connection whose protocol is not known yet. */
struct sniff {
	struct list node;
	struct listener *listener;
	struct loop_source source;
	struct loop_timer timer;
	struct sockaddr_storage address;
	socklen_t address_len;
	bool tls;
};

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
#define PREFACE_LEN (sizeof(preface) - 1)

#define TLS_ONLY "this port speaks TLS; use https:// or a secure gRPC channel"
static const char plain_http1[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
				  "Connection: close\r\n\r\n{\"error\":\"" TLS_ONLY "\"}\n";
/* GOAWAY with INADEQUATE_SECURITY (RFC 9113, 7). No SETTINGS before it: they would make the connection a
 * success, and gRPC clients try again at once instead of telling the caller. */
static const char plain_http2[] = "\0\0\103\7\0\0\0\0\0"
				  "\0\0\0\0\0\0\0\14" TLS_ONLY;
_Static_assert(sizeof(TLS_ONLY) - 1 + 8 == 0103, "the length of the GOAWAY frame counts its text");

/* Forgets the connection; returns its descriptor, which is the caller's. */
static int sniff_end(struct sniff *s)
{
	int fd = s->source.fd;

	server_loop_timer_stop(s->listener->server->loop, &s->timer);
	server_loop_remove(s->listener->server->loop, &s->source);
	list_remove(&s->node);
	free(s);
	return fd;
}

static void sniff_close(struct sniff *s)
{
	struct server *server = s->listener->server;

	close(sniff_end(s));
	server_connection_end(server);
}

static void sniff_timeout(struct loop_timer *t)
{
	sniff_close(CONTAINER_OF(t, struct sniff, timer));
}

/* Says why in the client's own protocol, as far as the socket takes it. */
static void refuse_plain(struct sniff *s, bool is_http2)
{
	int fd = s->source.fd;
	char request[16384];

	/* Bytes that nobody has read would turn the close into a reset that overtakes the answer. */
	(void)!recv(fd, request, sizeof(request), MSG_DONTWAIT);
	if (is_http2)
		(void)!send(fd, plain_http2, sizeof(plain_http2) - 1, MSG_NOSIGNAL);
	else
		(void)!send(fd, plain_http1, sizeof(plain_http1) - 1, MSG_NOSIGNAL);
	shutdown(fd, SHUT_WR);
	sniff_close(s);
}

/* By 'n' > 0 first bytes. False when more must come. */
static bool hand_on(struct sniff *s, const char *head, size_t n)
{
	struct server *server = s->listener->server;
	struct sockaddr_storage address = s->address;
	socklen_t address_len = s->address_len;
	bool may_be_http2 = memcmp(head, preface, n) == 0;

	if (may_be_http2 && n < PREFACE_LEN)
		return false;
	if (s->tls && head[0] == TLS_HANDSHAKE)
		tls_accept(server->tls, sniff_end(s), &address, address_len);
	else if (s->tls)
		refuse_plain(s, may_be_http2);
	else if (may_be_http2)
		http2_accept(server->http2, sniff_end(s));
	else
		http1_accept(server->http1, sniff_end(s), &address, address_len);
	return true;
}

static void sniff_event(struct loop_source *source, uint32_t events)
{
	struct sniff *s = CONTAINER_OF(source, struct sniff, source);
	char head[PREFACE_LEN];
	ssize_t n = recv(source->fd, head, sizeof(head), MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || (!hand_on(s, head, (size_t)n) && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))))
		sniff_close(s);
	/* else: handed on, or more must come; the edge-triggered watch tells when */
}

void listener_sniff(struct listener *l, int fd, bool tls, const struct sockaddr_storage *address,
		    socklen_t address_len)
{
	struct sniff *s = MEM_NEW(struct sniff);
	struct err err = ERR_INIT;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on,
		   sizeof(on)); /* fails on a Unix socket, which needs none */
	l->server->connections++;
	s->listener = l;
	s->source.fd = fd;
	s->source.on_event = sniff_event;
	s->timer.on_timer = sniff_timeout;
	s->address = *address;
	s->address_len = address_len;
	s->tls = tls;
	list_append(&l->sniffing, &s->node);
	server_loop_timer_start(l->server->loop, &s->timer,
				clock_monotonic_ns() + l->server->options->header_timeout_ms * NS_PER_MS);
	if (server_loop_add(l->server->loop, &s->source, EPOLLIN | EPOLLRDHUP | EPOLLET, &err) < 0)
		sniff_close(s);
}

void listener_decrypted(void *arg, int fd, const struct sockaddr_storage *address, socklen_t address_len)
{
	listener_sniff(arg, fd, false, address, address_len);
}

void listener_sniff_end(struct listener *l)
{
	struct sniff *s;

	LIST_EACH(s, &l->sniffing, node)
	sniff_close(s);
}
