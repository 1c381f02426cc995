/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: connect, send, receive, keep. */
#include "fds_connection.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include "base/mem.h"

#define CONNECT_MS 10000

static int lost(struct err *err, int sys, const char *what)
{
	if (sys == EAGAIN || sys == EWOULDBLOCK || sys == ETIMEDOUT)
		return err_set(err, ERR_TIMEOUT, "the store did not answer in time (%s)", what);
	return err_set(err, ERR_UNAVAILABLE, "%s: %s", what,
		       strerrordesc_np(sys) ? strerrordesc_np(sys) : "lost");
}

static ssize_t receive(void *arg, void *data, size_t len, struct err *err)
{
	struct fds_connection *n = arg;
	for (;;) {
		ssize_t got = recv(n->fd, data, len, 0);
		if (got >= 0)
			return got;
		if (errno != EINTR)
			return lost(err, errno, "receiving");
	}
}

int fds_connection_send(struct fds_connection *n, struct iovec *parts, int count, struct err *err)
{
	while (count > 0) {
		struct msghdr m = {.msg_iov = parts, .msg_iovlen = (size_t)count};
		ssize_t sent = sendmsg(n->fd, &m, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return lost(err, errno, "sending");
		while (count > 0 && (size_t)sent >= parts->iov_len) {
			sent -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + sent;
			parts->iov_len -= (size_t)sent;
		}
	}
	return 0;
}

/* 0 or an errno. */
static int connect_in_time(int fd, const struct addrinfo *a, int timeout_ms)
{
	if (connect(fd, a->ai_addr, a->ai_addrlen) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int r;
	do
		r = poll(&p, 1, timeout_ms);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return ETIMEDOUT;
	int sys = 0;
	socklen_t len = sizeof(sys);
	if (r < 0 || getsockopt(fd, SOL_SOCKET, SO_ERROR, &sys, &len) < 0)
		return errno;
	return sys;
}

static void set_options(int fd, int timeout_ms)
{
	struct timeval t = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
	int on = 1;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static int open_socket(const struct fds_config *c, int *ret, struct err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list;
	int r = getaddrinfo(c->host, c->port, &hints, &list), sys = EHOSTUNREACH;
	if (r != 0)
		return err_set(err, r == EAI_AGAIN ? ERR_UNAVAILABLE : ERR_INVALID,
			       "cannot find the store's host '%s': %s", c->host, gai_strerror(r));
	int limit_ms = c->timeout_ms < CONNECT_MS ? c->timeout_ms : CONNECT_MS;
	for (struct addrinfo *a = list; a; a = a->ai_next) {
		int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (fd < 0) {
			sys = errno;
			continue;
		}
		sys = connect_in_time(fd, a, limit_ms);
		if (sys == 0) {
			set_options(fd, c->timeout_ms);
			*ret = fd;
			break;
		}
		close(fd);
	}
	freeaddrinfo(list);
	if (sys == 0)
		return 0;
	lost(err, sys, "cannot connect");
	return err_wrap(err, "store at '%s'", c->authority);
}

/* A server that closed an idle connection, or sent what nobody asked for, has made it readable. */
static bool is_quiet(const struct fds_connection *n)
{
	struct pollfd p = {.fd = n->fd, .events = POLLIN};
	return poll(&p, 1, 0) == 0;
}

static struct fds_connection *take_idle(struct fds_pool *p)
{
	struct fds_connection *n = NULL;
	pthread_mutex_lock(&p->lock);
	if (p->owner != getpid()) { /* the parent's: close our copies only */
		while (p->count)
			fds_connection_free(p->idle[--p->count]);
		p->owner = getpid();
	}
	while (p->count && !n) {
		n = p->idle[--p->count];
		if (!is_quiet(n)) {
			fds_connection_free(n);
			n = NULL;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return n;
}

int fds_pool_get(struct fds_pool *p, const struct fds_config *c, struct fds_connection **ret, struct err *err)
{
	*ret = take_idle(p);
	if (*ret)
		return 0;
	int fd = -1, r = open_socket(c, &fd, err);
	if (r < 0)
		return r;
	struct fds_connection *n = MEM_NEW(struct fds_connection);
	n->fd = fd;
	n->wire.read = receive;
	n->wire.arg = n;
	*ret = n;
	return 0;
}

void fds_pool_put(struct fds_pool *p, struct fds_connection *n)
{
	n->is_used = true;
	pthread_mutex_lock(&p->lock);
	if (p->owner == getpid() && p->count < FDS_IDLE_MAX && n->wire.at == n->wire.end) {
		p->idle[p->count++] = n;
		n = NULL;
	}
	pthread_mutex_unlock(&p->lock);
	fds_connection_free(n);
}

void fds_connection_free(struct fds_connection *n)
{
	if (!n)
		return;
	close(n->fd);
	free(n);
}

void fds_pool_done(struct fds_pool *p)
{
	while (p->count)
		fds_connection_free(p->idle[--p->count]);
}
