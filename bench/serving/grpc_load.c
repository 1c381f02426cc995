/* SPDX-License-Identifier: Apache-2.0 */
/* Load for a gRPC server: the same unary call over and over on C connections with S streams each.
 *
 * usage: grpc-load PORT PATH BODY-FILE CONNECTIONS STREAMS SECONDS
 * The file holds one message or many, each with its gRPC prefix; calls take them in turns. Prints one line of
 * JSON: calls that ended with grpc-status 0 inside the time, errors (any other end), microseconds of a call
 * at the median and at 99 of 100, and the bytes of the last answer's message. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"

#define CONNECTIONS_MAX 256
#define LATENCIES_MAX (1 << 22)
#define FILE_MAX (64 << 20)
#define PREFIX 5 /* flags and the message's length, big-endian */
#define NS_PER_S 1000000000LL

struct stream {
	struct connection *connection;
	int64_t started_ns;
	const char *body; /* what is left to be sent */
	size_t body_len;
	bool ok; /* grpc-status 0 came */
	bool free;
};
struct connection {
	int fd;
	nghttp2_session *session;
	struct stream *streams;
	const uint8_t *out; /* what nghttp2 still has to have sent */
	ssize_t out_len;
	uint32_t events;
};

static const char *path;
static char *bodies; /* all messages, one behind the other */
static size_t bodies_len, bodies_pos, answer_bytes;
static int stream_count, epoll_fd;
static volatile int64_t end_ns;
static long calls, errors;
static uint32_t *latencies_us;
static size_t latency_count;

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *to, size_t length, uint32_t *flags,
			 nghttp2_data_source *source, void *user)
{
	struct stream *s = source->ptr;
	size_t n = s->body_len < length ? s->body_len : length;

	memcpy(to, s->body, n);
	s->body += n;
	s->body_len -= n;
	if (s->body_len == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)n;
}

/* With its prefix. */
static size_t message_len(const char *p)
{
	uint32_t len;

	memcpy(&len, p + 1, sizeof(len));
	return PREFIX + ntohl(len);
}

#define HEADER(name, value)                                                                                  \
	{                                                                                                    \
		(uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), 0                        \
	}

static void call_start(struct stream *s)
{
	const nghttp2_nv headers[] = {HEADER(":method", "POST"),
				      HEADER(":scheme", "http"),
				      HEADER(":path", path),
				      HEADER(":authority", "localhost"),
				      HEADER("te", "trailers"),
				      HEADER("content-type", "application/grpc"),
				      HEADER("user-agent", "grpc-load")};
	nghttp2_data_provider provider = {.source.ptr = s, .read_callback = read_body};

	s->started_ns = clock_monotonic_ns();
	s->body = bodies + bodies_pos;
	s->body_len = message_len(s->body);
	bodies_pos += s->body_len;
	if (bodies_pos == bodies_len)
		bodies_pos = 0;
	s->ok = false;
	if (nghttp2_submit_request(s->connection->session, NULL, headers, ARRAY_LEN(headers), &provider, s) <
	    0)
		errors++;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	if (s && name_len == 11 && memcmp(name, "grpc-status", 11) == 0)
		s->ok = value_len == 1 && value[0] == '0';
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		   void *user)
{
	answer_bytes = len;
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct stream *s = nghttp2_session_get_stream_user_data(session, id);
	int64_t now = clock_monotonic_ns();

	if (!s)
		return 0;
	if (now < end_ns) {
		calls += s->ok;
		errors += !s->ok;
		if (latency_count < LATENCIES_MAX)
			latencies_us[latency_count++] = (uint32_t)((now - s->started_ns) / 1000);
		call_start(s);
	}
	return 0;
}

static void fail(const char *what)
{
	fprintf(stderr, "grpc-load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void send_out(struct connection *c)
{
	uint32_t want = EPOLLIN;

	for (;;) {
		if (c->out_len == 0)
			c->out_len = nghttp2_session_mem_send(c->session, &c->out);
		if (c->out_len <= 0)
			break;
		ssize_t n = send(c->fd, c->out, (size_t)c->out_len, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN) {
			want |= EPOLLOUT;
			break;
		}
		if (n < 0)
			fail("send");
		c->out += n;
		c->out_len -= n;
	}
	if (want != c->events) {
		struct epoll_event e = {.events = want, .data.ptr = c};
		epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &e);
		c->events = want;
	}
}

static void receive(struct connection *c)
{
	static uint8_t in[256 * 1024];
	ssize_t n = recv(c->fd, in, sizeof(in), 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0 || nghttp2_session_mem_recv(c->session, in, (size_t)n) < 0)
		fail("the server closed a connection");
}

static void open_connection(struct connection *c, int port, const nghttp2_session_callbacks *callbacks)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
						   {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 16 << 20}};
	int on = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		fail("connect");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	fcntl(c->fd, F_SETFL, O_NONBLOCK);
	nghttp2_session_client_new(&c->session, callbacks, c);
	nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
	nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, 16 << 20);
	struct epoll_event e = {.events = c->events = EPOLLIN, .data.ptr = c};
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
	c->streams = mem_alloc((size_t)stream_count * sizeof(*c->streams));
	for (int i = 0; i < stream_count; i++) {
		c->streams[i].connection = c;
		call_start(&c->streams[i]);
	}
	send_out(c);
}

static void read_file(const char *name)
{
	FILE *f = fopen(name, "rb");
	size_t pos = 0;

	if (!f)
		fail(name);
	bodies = mem_alloc(FILE_MAX);
	bodies_len = fread(bodies, 1, FILE_MAX, f);
	fclose(f);
	while (bodies_len - pos >= PREFIX && bodies_len - pos >= message_len(bodies + pos))
		pos += message_len(bodies + pos);
	if (pos == 0 || pos != bodies_len) {
		fprintf(stderr, "grpc-load: %s is not made of gRPC messages\n", name);
		exit(2);
	}
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void stop(int number)
{
	end_ns = 0; /* what is on the way does not count */
}

int main(int argc, char **argv)
{
	static struct connection connections[CONNECTIONS_MAX];
	struct epoll_event ready[CONNECTIONS_MAX];
	nghttp2_session_callbacks *callbacks;

	if (argc != 7 || atoi(argv[4]) < 1 || atoi(argv[4]) > CONNECTIONS_MAX || atoi(argv[5]) < 1) {
		fputs("usage: grpc-load PORT PATH BODY-FILE CONNECTIONS STREAMS SECONDS\n", stderr);
		return 2;
	}
	path = argv[2];
	read_file(argv[3]);
	stream_count = atoi(argv[5]);
	latencies_us = mem_alloc(LATENCIES_MAX * sizeof(*latencies_us));
	signal(SIGINT, stop);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	int64_t start_ns = clock_monotonic_ns();
	end_ns = start_ns + (int64_t)(atof(argv[6]) * NS_PER_S);
	for (int i = 0; i < atoi(argv[4]); i++)
		open_connection(&connections[i], atoi(argv[1]), callbacks);
	while (clock_monotonic_ns() < end_ns) {
		int n = epoll_wait(epoll_fd, ready, CONNECTIONS_MAX, 100);
		for (int i = 0; i < n; i++) {
			struct connection *c = ready[i].data.ptr;
			if (ready[i].events & ~(uint32_t)EPOLLOUT)
				receive(c);
			send_out(c);
		}
	}
	double seconds = (double)(clock_monotonic_ns() - start_ns) / NS_PER_S;
	qsort(latencies_us, latency_count, sizeof(*latencies_us), by_value);
	printf("{\"calls\":%ld,\"errors\":%ld,\"seconds\":%.3f,\"p50_us\":%u,\"p99_us\":%u,\"bytes\":%zu}\n",
	       calls, errors, seconds, latencies_us[latency_count / 2],
	       latencies_us[latency_count * 99 / 100], answer_bytes);
	return 0;
}
