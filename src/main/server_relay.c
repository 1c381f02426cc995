/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from one socket to another: each direction has one buffer, read again when it is empty. */
#include "main/server_relay.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/list.h"
#include "base/mem.h"

#define BUFFER 65536

struct connection;
struct side {
	struct connection *connection;
	int fd;
	struct loop_fd *watch;
	char *data; /* read from here, to be written to the other side */
	size_t from, to;
	bool has_ended; /* the peer writes nothing more */
	bool is_shut;	/* and the other side was told */
};
struct connection {
	struct list node;
	struct relay *relay;
	struct side sides[2]; /* the client, the server */
	bool is_connecting;
};
struct relay {
	struct loop *loop;
	int fd;
	struct loop_fd *watch;
	struct list connections;
	int count;
	char target[256];
};

static const char nobody[] = "{\"error\":{\"code\":\"unavailable\",\"message\":\"no server has the database "
			     "at the moment; try again in a "
			     "few seconds\"}}\n";

static void connection_free(struct connection *c)
{
	for (int i = 0; i < 2; i++) {
		loop_fd_free(c->sides[i].watch);
		if (c->sides[i].fd >= 0)
			close(c->sides[i].fd);
		free(c->sides[i].data);
	}
	list_remove(&c->node);
	c->relay->count--;
	free(c);
}

/* The answer fits into any socket's buffer. What the client has sent is read first: closing a socket with
 * unread bytes would break the answer off. */
static void connection_refuse(struct connection *c)
{
	char answer[512], rest[4096];
	int len = snprintf(
	    answer, sizeof(answer),
	    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
	    "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
	    strlen(nobody), nobody);
	while (recv(c->sides[0].fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
	if (send(c->sides[0].fd, answer, (size_t)len, MSG_NOSIGNAL) == len)
		shutdown(c->sides[0].fd, SHUT_WR);
	connection_free(c);
}

static struct side *other(struct side *s)
{
	return &s->connection->sides[s == s->connection->sides];
}

/* Reads while its own buffer is empty, writes while the other's is not. */
static void side_watch(struct side *s)
{
	const struct side *peer = other(s);
	int events = 0;
	if (s->from == s->to && !s->has_ended && !s->connection->is_connecting)
		events |= LOOP_READ;
	if (peer->from < peer->to || (s->connection->is_connecting && s == &s->connection->sides[1]))
		events |= LOOP_WRITE;
	loop_fd_set(s->watch, events);
}

/* -1: the connection is over. */
static int side_read(struct side *s)
{
	if (s->from < s->to || s->has_ended)
		return 0;
	ssize_t n = read(s->fd, s->data, BUFFER);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -1;
	s->from = 0;
	s->to = (size_t)n;
	s->has_ended = n == 0;
	return 0;
}

static int side_flush(struct side *s)
{
	struct side *peer = other(s);
	while (s->from < s->to) {
		ssize_t n = send(peer->fd, s->data + s->from, s->to - s->from, MSG_NOSIGNAL);
		if (n < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -1;
		s->from += (size_t)n;
	}
	if (s->has_ended && !s->is_shut) {
		s->is_shut = true;
		shutdown(peer->fd, SHUT_WR);
	}
	return 0;
}

static int connect_result(const struct connection *c)
{
	int sys = 0;
	socklen_t len = sizeof(sys);
	getsockopt(c->sides[1].fd, SOL_SOCKET, SO_ERROR, &sys, &len);
	return sys;
}

static void on_side(void *arg, int events)
{
	struct side *s = arg;
	struct connection *c = s->connection;
	if (c->is_connecting && s == c->sides) { /* the client hung up */
		connection_free(c);
		return;
	}
	if (c->is_connecting && connect_result(c) != 0) {
		connection_refuse(c);
		return;
	}
	c->is_connecting = false;
	if (((events & LOOP_READ) && side_read(s) < 0) || side_flush(s) < 0 || side_flush(other(s)) < 0 ||
	    (c->sides[0].is_shut && c->sides[1].is_shut)) {
		connection_free(c);
		return;
	}
	side_watch(&c->sides[0]);
	side_watch(&c->sides[1]);
}

/* Returns a socket that is connecting, or -1. */
static int connect_target(const char *target)
{
	char host[256];
	const char *colon = strrchr(target, ':');
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found = NULL;
	if (!colon)
		return -1;
	const char *begin = *target == '[' ? target + 1 : target;
	size_t len = (size_t)(colon - begin) - (*target == '[');
	snprintf(host, sizeof(host), "%.*s", (int)len, begin);
	if (getaddrinfo(host, colon + 1, &hints, &found) != 0)
		return -1;
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, found->ai_addr, found->ai_addrlen) < 0 && errno != EINPROGRESS) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(found);
	return fd;
}

static void connection_begin(struct relay *r, int fd)
{
	struct connection *c = MEM_NEW(struct connection);
	struct err err = ERR_INIT;
	c->relay = r;
	c->is_connecting = true;
	r->count++;
	list_append(&r->connections, &c->node);
	int fds[2] = {fd, *r->target ? connect_target(r->target) : -1};
	for (int i = 0; i < 2; i++) {
		c->sides[i] = (struct side){.connection = c, .fd = fds[i], .data = mem_alloc(BUFFER)};
		if (fds[i] >= 0)
			c->sides[i].watch = loop_fd_new(r->loop, fds[i], 0, on_side, &c->sides[i], &err);
	}
	if (fds[1] < 0 || err.code) {
		connection_refuse(c);
		return;
	}
	side_watch(&c->sides[0]);
	side_watch(&c->sides[1]);
}

static void on_listen(void *arg, int events)
{
	struct relay *r = arg;
	for (;;) {
		int fd = accept4(r->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			break;
		if (r->count < RELAY_CONNECTIONS_MAX)
			connection_begin(r, fd);
		else
			close(fd);
	}
	loop_fd_set(r->watch, LOOP_READ);
}

static int listen_on(const char *address, int port, struct err *err)
{
	char service[16];
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_NUMERICSERV | AI_NUMERICHOST | AI_PASSIVE},
			*found = NULL;
	int yes = 1;
	snprintf(service, sizeof(service), "%d", port);
	if (getaddrinfo(address, service, &hints, &found) != 0)
		return err_set(err, ERR_INVALID, "'%s' is not an address to listen on", address);
	int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (fd < 0 || bind(fd, found->ai_addr, found->ai_addrlen) < 0 || listen(fd, 512) < 0) {
		err_sys(err, errno, "cannot listen on %s port %d", address, port);
		if (fd >= 0)
			close(fd);
		fd = -err->code;
	}
	freeaddrinfo(found);
	return fd;
}

int relay_new(struct loop *l, const char *address, int port, struct relay **ret, struct err *err)
{
	int fd = listen_on(address, port, err);
	if (fd < 0)
		return fd;
	struct relay *r = MEM_NEW(struct relay);
	r->loop = l;
	r->fd = fd;
	list_init(&r->connections);
	r->watch = loop_fd_new(l, fd, LOOP_READ, on_listen, r, err);
	if (!r->watch) {
		close(fd);
		free(r);
		return -err->code;
	}
	*ret = r;
	return 0;
}

int relay_port(const struct relay *r)
{
	struct sockaddr_storage at;
	char service[16] = "0";
	socklen_t len = sizeof(at);
	if (getsockname(r->fd, (struct sockaddr *)&at, &len) == 0)
		getnameinfo((struct sockaddr *)&at, len, NULL, 0, service, sizeof(service), NI_NUMERICSERV);
	return atoi(service);
}

void relay_target(struct relay *r, const char *address)
{
	snprintf(r->target, sizeof(r->target), "%s", address);
}

void relay_free(struct relay *r)
{
	if (!r)
		return;
	while (!list_empty(&r->connections))
		connection_free(LIST_ENTRY(r->connections.next, struct connection, node));
	loop_fd_free(r->watch);
	close(r->fd);
	free(r);
}
