/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes between a container's connections and the server's socket. */
#include "local/store_relay.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "local/fd_drop.h"
#include "local/task_socket.h"

#define BLOCK_BYTES ((size_t)128 << 10)
#define BLOCKS_PER_TURN 8
#define ACCEPTS_PER_TURN 16
#define RETRY_MS 100

/* What goes one way. */
struct flow {
	char *block; /* owned */
	size_t from, len;
	bool ended, told; /* the reader has seen the end; the other side was told of it */
};

enum { INSIDE, SERVER };

struct connection {
	struct list node;
	struct store_relay *relay;
	int fds[2];
	struct loop_fd *watches[2];
	struct flow flows[2];	  /* by where they come from */
	struct loop_timer *retry; /* while the server is away */
	int64_t give_up_ms;	  /* monotonic */
};

struct store_relay {
	struct loop *loop;
	char *folder;
	int listen_fd;
	struct loop_fd *watch;
	struct list connections;
	size_t count;
};

static void connection_free(struct connection *c)
{
	struct store_relay *r = c->relay;
	for (int side = 0; side < 2; side++) {
		loop_fd_free(c->watches[side]);
		fd_drop(&c->fds[side]);
		free(c->flows[side].block);
	}
	loop_timer_free(c->retry);
	list_remove(&c->node);
	free(c);
	if (r->count-- == STORE_RELAY_CONNECTIONS_MAX && r->watch)
		loop_fd_set(r->watch, LOOP_READ);
}

static bool would_wait(void)
{
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* Fills an empty block; false when the connection is broken. */
static bool flow_read(struct flow *f, int fd)
{
	if (f->len || f->ended)
		return true;
	ssize_t n = read(fd, f->block, BLOCK_BYTES);
	if (n < 0)
		return would_wait();
	f->ended = n == 0;
	f->from = 0;
	f->len = (size_t)n;
	return true;
}

static bool flow_write(struct flow *f, int fd)
{
	if (f->len) {
		ssize_t n = send(fd, f->block + f->from, f->len, MSG_NOSIGNAL);
		if (n < 0)
			return would_wait();
		f->from += (size_t)n;
		f->len -= (size_t)n;
	}
	if (f->ended && !f->len && !f->told) {
		shutdown(fd, SHUT_WR);
		f->told = true;
	}
	return true;
}

static bool flow_move(struct flow *f, int from_fd, int to_fd)
{
	for (int i = 0; i < BLOCKS_PER_TURN; i++) {
		if (!flow_read(f, from_fd))
			return false;
		bool had_some = f->len != 0;
		if (!flow_write(f, to_fd))
			return false;
		if (!had_some || f->len)
			break;
	}
	return true;
}

static void watch_again(struct connection *c)
{
	for (int side = 0; side < 2; side++) {
		const struct flow *in = &c->flows[side], *out = &c->flows[!side];
		loop_fd_set(c->watches[side],
			    (!in->ended && !in->len ? LOOP_READ : 0) | (out->len ? LOOP_WRITE : 0));
	}
}

static void on_bytes(void *arg, int events)
{
	struct connection *c = arg;
	bool is_whole = flow_move(&c->flows[INSIDE], c->fds[INSIDE], c->fds[SERVER]) &&
			flow_move(&c->flows[SERVER], c->fds[SERVER], c->fds[INSIDE]);
	if (!is_whole || (c->flows[INSIDE].told && c->flows[SERVER].told))
		connection_free(c);
	else
		watch_again(c);
}

static bool begin_flows(struct connection *c)
{
	struct err err = ERR_INIT;
	for (int side = 0; side < 2; side++) {
		c->flows[side].block = mem_alloc(BLOCK_BYTES);
		c->watches[side] = loop_fd_new(c->relay->loop, c->fds[side], LOOP_READ, on_bytes, c, &err);
		if (!c->watches[side])
			return false;
	}
	return true;
}

/* The server may be away for a moment. */
static void on_connect(void *arg)
{
	struct connection *c = arg;
	struct err err = ERR_INIT;
	int folder_fd = open(c->relay->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	c->fds[SERVER] = folder_fd < 0 ? -1 : task_socket_connect(folder_fd, STORE_RELAY_SOCKET, &err);
	fd_drop(&folder_fd);
	if (c->fds[SERVER] >= 0) {
		if (!begin_flows(c))
			connection_free(c);
	} else if (clock_monotonic_ms(&clock_real) >= c->give_up_ms) {
		connection_free(c);
	} else {
		loop_timer_set(c->retry, RETRY_MS, 0);
	}
}

static void connection_new(struct store_relay *r, int fd)
{
	struct connection *c = MEM_NEW(struct connection);
	c->relay = r;
	c->fds[INSIDE] = fd;
	c->fds[SERVER] = -1;
	c->retry = loop_timer_new(r->loop, on_connect, c);
	c->give_up_ms = clock_monotonic_ms(&clock_real) + STORE_RELAY_PATIENCE_MS;
	list_append(&r->connections, &c->node);
	r->count++;
	on_connect(c);
}

static void on_accept(void *arg, int events)
{
	struct store_relay *r = arg;
	for (int i = 0; i < ACCEPTS_PER_TURN && r->count < STORE_RELAY_CONNECTIONS_MAX; i++) {
		int fd = accept4(r->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			break;
		connection_new(r, fd);
	}
	loop_fd_set(r->watch, r->count < STORE_RELAY_CONNECTIONS_MAX ? LOOP_READ : 0);
}

int store_relay_new(struct loop *l, int listen_fd, const char *folder, struct store_relay **ret,
		    struct err *err)
{
	struct store_relay *r = MEM_NEW(struct store_relay);
	r->loop = l;
	r->folder = mem_strdup(folder);
	r->listen_fd = listen_fd;
	list_init(&r->connections);
	r->watch = loop_fd_new(l, listen_fd, LOOP_READ, on_accept, r, err);
	if (!r->watch) {
		store_relay_free(r);
		return -err->code;
	}
	*ret = r;
	return 0;
}

size_t store_relay_count(const struct store_relay *r)
{
	return r->count;
}

void store_relay_free(struct store_relay *r)
{
	struct connection *c;
	if (!r)
		return;
	loop_fd_free(r->watch);
	r->watch = NULL;
	LIST_EACH(c, &r->connections, node)
	{
		connection_free(c);
	}
	fd_drop(&r->listen_fd);
	free(r->folder);
	free(r);
}
