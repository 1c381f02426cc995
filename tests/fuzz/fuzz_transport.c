/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's bytes from its first on: protocol by first bytes, HTTP/2 callbacks, HTTP/1, and what answers
 * without a model. The first byte of the input says how large the pieces are that arrive; at the end the
 * client closes its side. Whatever was sent, the connection ends, no call and no counted byte is left. */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "serving/listener_int.h"
#include "serving/metrics.h"
#include "serving/model_life.h"
#include "serving/server.h"

#define HANG_NS ((int64_t)20 * 1000000000)
#define PIECE_UNIT 8

static struct serving_options options;
static struct server server = {.options = &options};
static struct listener listener = {.server = &server};

struct client {
	int fd;
	const uint8_t *data;
	size_t len, piece;
	bool ended;
	int64_t due_ns;
};

static void set_up(void)
{
	struct err err = ERR_INIT;
	int r;

	serving_options_init(&options);
	registry_init(&server.registry);
	server.metrics = metrics_new();
	list_init(&server.watchers);
	list_init(&listener.sniffing);
	server_hold_init(&server);
	r = server_loop_new(1, &server.loop, &err);
	assert(r >= 0);
	r = http1_new(&server, &server.http1, &err);
	assert(r >= 0);
	r = http2_new(&server, &server.http2, &err);
	assert(r >= 0);
	r = model_life_new(&server, &server.life, &err);
	assert(r >= 0);
}

/* One piece more before each wait of the loop; answers are thrown away. */
static int before_wait(void *arg)
{
	struct client *c = arg;
	char answer[65536];
	ssize_t n;

	while (recv(c->fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	n = send(c->fd, c->data, c->piece < c->len ? c->piece : c->len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		c->len = 0; /* the server listens no more */
	if (n > 0) {
		c->data += n;
		c->len -= (size_t)n;
	}
	if (c->len == 0 && !c->ended) {
		c->ended = true;
		shutdown(c->fd, SHUT_WR);
	}
	http2_before_wait(server.http2);
	http1_before_wait(server.http1);
	if (server.connections == 0 && server.calls == 0)
		server_loop_stop(server.loop);
	assert(clock_monotonic_ns() < c->due_ns);
	return c->ended ? 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sockaddr_storage address = {.ss_family = AF_UNIX};
	int pair[2], r;

	if (size == 0)
		return 0;
	if (!server.loop)
		set_up();
	r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair);
	assert(r == 0);
	struct client c = {.fd = pair[0], .data = data + 1, .len = size - 1};
	c.piece = data[0] ? (size_t)data[0] * PIECE_UNIT : size;
	c.due_ns = clock_monotonic_ns() + HANG_NS;
	listener_sniff(&listener, pair[1], false, &address, sizeof(sa_family_t));
	server_loop_run(server.loop, before_wait, &c);
	close(pair[0]);
	assert(server.connections == 0 && server.calls == 0 && server.request_bytes == 0);
	return 0;
}
