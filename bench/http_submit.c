/* SPDX-License-Identifier: Apache-2.0 */
/* Durable submissions a second over HTTP: N connections that each submit, wait for the answer and submit
 * again; then the same with cancelling. A first job takes all cores, so that the others wait. Usage:
 * http-submit PORT TOKEN [CONNECTIONS [SECONDS]] */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"

#define CALLS_MAX 2000000
#define ID_LEN 10

struct client {
	int fd;
	char answer[16384];
	size_t len;
	int64_t sent_ns;
};
struct phase {
	const char *name;
	int64_t *taken_ns;
	size_t sent, count, failed;
	double seconds;
};

static const char *token;
static int epoll_fd;
static double cores;
static char (*ids)[ID_LEN + 1]; /* of the jobs that were submitted */
static size_t id_count;

static void die(const char *what, const char *detail)
{
	fprintf(stderr, "http-submit: %s: %s\n", what, detail);
	exit(1);
}

static void dial(struct client *c, int port)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
	int one = 1;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("cannot connect", "is the server there?");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &e);
}

static void ask(struct client *c, const char *method, const char *path, const char *headers, const char *body)
{
	char text[2048];
	int n = snprintf(text, sizeof(text),
			 "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n%s"
			 "Content-Length: %zu\r\n\r\n%s",
			 method, path, token, headers, strlen(body), body);
	c->len = 0;
	c->sent_ns = clock_monotonic_ns();
	if (send(c->fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		die("cannot send", path);
}

/* True when the whole answer is there. */
static bool receive(struct client *c)
{
	ssize_t n = recv(c->fd, c->answer + c->len, sizeof(c->answer) - 1 - c->len, 0);
	if (n <= 0)
		die("the server closed a connection", "see its log");
	c->len += (size_t)n;
	c->answer[c->len] = 0;
	const char *end = strstr(c->answer, "\r\n\r\n"), *length = strstr(c->answer, "Content-Length: ");
	return end && length && c->len >= (size_t)(end + 4 - c->answer) + (size_t)atoi(length + 16);
}

static const char *ask_and_wait(struct client *c, const char *method, const char *path, const char *body)
{
	ask(c, method, path, "", body);
	while (!receive(c))
		;
	return c->answer;
}

static void submit(struct client *c, size_t number)
{
	char headers[96], body[160];
	snprintf(headers, sizeof(headers), "Idempotency-Key: bench-%d-%zu\r\n", (int)getpid(), number);
	snprintf(body, sizeof(body), "{\"name\":\"bench\",\"command\":[\"true\"],\"cpu\":%g}", cores);
	ask(c, "POST", "/api/v1/jobs", headers, body);
}

static void cancel(struct client *c, size_t number)
{
	char path[64];
	snprintf(path, sizeof(path), "/api/v1/jobs/%s/cancel", ids[number]);
	ask(c, "POST", path, "", "");
}

static void keep_id(const struct client *c)
{
	const char *id = strstr(c->answer, "\"id\":\"");
	if (id && id_count < CALLS_MAX)
		snprintf(ids[id_count++], ID_LEN + 1, "%.*s", ID_LEN, id + 6);
}

static void note(struct phase *p, const struct client *c)
{
	if (strncmp(c->answer, "HTTP/1.1 20", 11)) {
		if (!p->failed++)
			fprintf(stderr, "http-submit: %s\n", c->answer);
	} else {
		p->taken_ns[p->count++] = clock_monotonic_ns() - c->sent_ns;
	}
}

/* Until 'limit' calls were sent or the time is over; every call sent is answered at the end. */
static void run(struct phase *p, struct client *clients, int count, double seconds, size_t limit,
		void (*send_call)(struct client *c, size_t number), void (*answered)(const struct client *c))
{
	struct epoll_event events[256];
	int64_t begin = clock_monotonic_ns(), end = begin + (int64_t)(seconds * 1e9);
	size_t open = 0;
	p->taken_ns = mem_alloc(sizeof(*p->taken_ns) * CALLS_MAX);
	for (int i = 0; i < count && p->sent < limit; i++, open++)
		send_call(&clients[i], p->sent++);
	while (open) {
		int n = epoll_wait(epoll_fd, events, 256, 10000);
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;
			if (!receive(c))
				continue;
			note(p, c);
			if (answered)
				answered(c);
			if (clock_monotonic_ns() < end && p->sent < limit)
				send_call(c, p->sent++);
			else
				open--;
		}
	}
	p->seconds = (double)(clock_monotonic_ns() - begin) / 1e9;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return x < y ? -1 : x > y;
}

static void report(struct phase *p, int connections)
{
	size_t n = p->count;
	qsort(p->taken_ns, n, sizeof(*p->taken_ns), by_size);
	printf("{\"call\": \"%s\", \"connections\": %d, \"seconds\": %.1f, \"count\": %zu, \"per_second\": "
	       "%.0f, "
	       "\"p50_ms\": %.2f, \"p99_ms\": %.2f, \"failed\": %zu}\n",
	       p->name, connections, p->seconds, n, (double)n / p->seconds,
	       n ? (double)p->taken_ns[n / 2] / 1e6 : 0, n ? (double)p->taken_ns[n * 99 / 100] / 1e6 : 0,
	       p->failed);
	free(p->taken_ns);
}

static void hold_machine(struct client *c)
{
	char body[160];
	const char *status = strstr(ask_and_wait(c, "GET", "/api/v1/status", ""), "\"capacity\":{\"cpu\":");
	if (!status)
		die("the server tells no capacity", c->answer);
	cores = atof(status + strlen("\"capacity\":{\"cpu\":"));
	snprintf(body, sizeof(body), "{\"name\":\"holder\",\"command\":[\"sleep\",\"100000\"],\"cpu\":%g}",
		 cores);
	if (!strstr(ask_and_wait(c, "POST", "/api/v1/jobs", body), " 201 "))
		die("the first job was refused", c->answer);
}

static void release_machine(struct client *c)
{
	ask_and_wait(c, "POST", "/api/v1/jobs/holder/cancel", "");
	while (!strstr(ask_and_wait(c, "GET", "/api/v1/jobs/holder", ""), "\"ended_ms\":1"))
		usleep(10000);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		die("usage", "http-submit PORT TOKEN [CONNECTIONS [SECONDS]]");
	int count = argc > 3 ? atoi(argv[3]) : 64, seconds = argc > 4 ? atoi(argv[4]) : 5;
	struct client *clients = mem_alloc(sizeof(*clients) * (size_t)count);
	struct phase submits = {.name = "submit"}, cancels = {.name = "cancel"};
	token = argv[2];
	ids = mem_alloc(sizeof(*ids) * CALLS_MAX);
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	for (int i = 0; i < count; i++)
		dial(&clients[i], atoi(argv[1]));
	hold_machine(&clients[0]);
	run(&submits, clients, count, seconds, CALLS_MAX, submit, keep_id);
	report(&submits, count);
	run(&cancels, clients, count, 600, id_count, cancel, NULL);
	report(&cancels, count);
	release_machine(&clients[0]);
	return submits.failed || cancels.failed;
}
