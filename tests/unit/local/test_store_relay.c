/* SPDX-License-Identifier: Apache-2.0 */
/* The way to the store: bytes both ways, half-closed connections, limits, a server that is away. */
#include "unit/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"
#include "local/netns.h"
#include "local/store_relay.h"
#include "local/task_socket.h"

struct place {
	struct loop *loop;
	struct store_relay *relay;
	int folder_fd, server_fd, port;
};

static void open_place(struct place *p, bool has_server)
{
	struct err err = ERR_INIT;
	const char *folder = test_dir();
	struct sockaddr_in a;
	socklen_t len = sizeof(a);
	int fd = netns_listen(0);
	assert_true(fd >= 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(ntohl(a.sin_addr.s_addr), INADDR_LOOPBACK);
	p->port = ntohs(a.sin_port);
	p->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	p->server_fd = has_server ? task_socket_listen(p->folder_fd, STORE_RELAY_SOCKET, &err) : -1;
	assert_true(p->server_fd >= 0 || !has_server);
	EXPECT_OK(loop_new(&p->loop, &err), &err);
	EXPECT_OK(store_relay_new(p->loop, fd, folder, &p->relay, &err), &err);
}

static void close_place(struct place *p)
{
	store_relay_free(p->relay);
	loop_free(p->loop);
	close(p->folder_fd);
	cleanup_fd(&p->server_fd);
}

static int dial(const struct place *p)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons((uint16_t)p->port),
				.sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

/* The server's end of the next connection. */
static int serve(struct place *p)
{
	for (;;) {
		int fd = accept4(p->server_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd >= 0)
			return fd;
		loop_run_once(p->loop, 100);
	}
}

static char pattern_at(size_t i)
{
	return (char)(i * 2654435761u >> 13);
}

/* Sends 'len' bytes of the pattern and the end, and sees them come out. */
static void carry(struct place *p, int from, int to, size_t len)
{
	size_t sent = 0, got = 0;
	char block[70000];
	for (bool over = false; !over;) {
		size_t want = len - sent < sizeof(block) ? len - sent : sizeof(block);
		for (size_t i = 0; i < want; i++)
			block[i] = pattern_at(sent + i);
		ssize_t n = want ? send(from, block, want, MSG_NOSIGNAL) : 0;
		sent += n > 0 ? (size_t)n : 0;
		if (n > 0 && sent == len)
			assert_int_equal(shutdown(from, SHUT_WR), 0);
		loop_run_once(p->loop, 10);
		while ((n = read(to, block, sizeof(block))) > 0) {
			for (ssize_t i = 0; i < n; i++)
				if (block[i] != pattern_at(got + (size_t)i))
					fail_msg("byte %zu is another one", got + (size_t)i);
			got += (size_t)n;
		}
		over = n == 0;
		assert_true(n >= 0 || errno == EAGAIN);
	}
	assert_int_equal(got, len);
}

TEST(bytes_and_ends_go_both_ways)
{
	struct place p;
	open_place(&p, true);
	int inside = dial(&p), server = serve(&p);
	carry(&p, inside, server, (8 << 20) + 7);
	/* One way is over, the other is not. */
	assert_int_equal(store_relay_count(p.relay), 1);
	carry(&p, server, inside, (8 << 20) + 9);
	while (store_relay_count(p.relay))
		loop_run_once(p.loop, 100);
	close(inside);
	close(server);
	close_place(&p);
}

TEST(a_connection_waits_for_a_server_that_is_away)
{
	struct place p;
	struct err err = ERR_INIT;
	open_place(&p, false);
	int inside = dial(&p);
	while (store_relay_count(p.relay) != 1)
		loop_run_once(p.loop, 100);
	p.server_fd = task_socket_listen(p.folder_fd, STORE_RELAY_SOCKET, &err);
	int server = serve(&p);
	carry(&p, inside, server, 5);
	close(inside);
	close(server);
	while (store_relay_count(p.relay))
		loop_run_once(p.loop, 100);
	close_place(&p);
}

TEST(no_more_than_so_many_connections_are_carried)
{
	struct place p;
	int inside[STORE_RELAY_CONNECTIONS_MAX + 3];
	open_place(&p, false);
	for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
		inside[i] = dial(&p);
		loop_run_once(p.loop, 0);
	}
	while (store_relay_count(p.relay) < STORE_RELAY_CONNECTIONS_MAX)
		loop_run_once(p.loop, 100);
	for (int i = 0; i < 20; i++)
		loop_run_once(p.loop, 1);
	assert_int_equal(store_relay_count(p.relay), STORE_RELAY_CONNECTIONS_MAX);
	for (size_t i = 0; i < ARRAY_LEN(inside); i++)
		close(inside[i]);
	close_place(&p);
}

TEST(a_server_that_goes_takes_its_connections_along)
{
	struct place p;
	char byte;
	open_place(&p, true);
	int inside = dial(&p), server = serve(&p);
	close(server);
	while (read(inside, &byte, 1) != 0)
		loop_run_once(p.loop, 100);
	close(inside);
	while (store_relay_count(p.relay))
		loop_run_once(p.loop, 100);
	close_place(&p);
}
