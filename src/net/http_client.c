/* SPDX-License-Identifier: Apache-2.0 */
/* One call: connect, write, read, done. */
#include "net/http_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/mem.h"

#define READ_BLOCK_BYTES 65536

struct client_call {
	struct list link; /* among others; or alone */
	int fd;
	struct loop_fd *watch;
	struct loop_timer *timer;
	char *address;
	struct buf request;
	size_t sent;
	struct http_response_reader reader;
	http_call_done_fn *done;
	void *arg;
};

static void call_finish(struct client_call *c, const struct err *err)
{
	list_remove(&c->link);
	loop_fd_free(c->watch);
	loop_timer_free(c->timer);
	if (c->fd >= 0)
		close(c->fd);
	c->done(c->arg, err->code ? NULL : &c->reader.response, err);
	http_response_reader_done(&c->reader);
	buf_done(&c->request);
	free(c->address);
	free(c);
}

static void call_fail_sys(struct client_call *c, int sys)
{
	struct err err = ERR_INIT;
	err_set(&err, ERR_UNAVAILABLE, "cannot reach '%s': %s", c->address, strerror(sys));
	call_finish(c, &err);
}

static void on_timeout(void *arg)
{
	struct client_call *c = arg;
	struct err err = ERR_INIT;
	err_set(&err, ERR_TIMEOUT, "'%s' did not answer in time", c->address);
	call_finish(c, &err);
}

static bool write_some(struct client_call *c)
{
	while (c->sent < c->request.len) {
		ssize_t n = send(c->fd, c->request.data + c->sent, c->request.len - c->sent, MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			call_fail_sys(c, errno);
			return false;
		}
		c->sent += (size_t)n;
	}
	loop_fd_set(c->watch, LOOP_READ);
	return true;
}

static void read_some(struct client_call *c)
{
	char block[READ_BLOCK_BYTES];
	struct err err = ERR_INIT;
	ssize_t n = recv(c->fd, block, sizeof(block), 0);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		call_fail_sys(c, errno);
		return;
	}
	int r = n == 0 ? http_response_reader_end(&c->reader, &err)
		       : http_response_reader_feed(&c->reader, block, (size_t)n, &err);
	if (r < 0)
		call_finish(c, &err);
	else if (c->reader.part == RESPONSE_WHOLE)
		call_finish(c, &(struct err){0});
}

static void on_event(void *arg, int events)
{
	struct client_call *c = arg;
	if ((events & LOOP_WRITE) && !write_some(c))
		return;
	if (events & LOOP_READ)
		read_some(c);
}

static int parse_address(const char *text, struct sockaddr_in *ret)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	if (!colon || (size_t)(colon - text) >= sizeof(host))
		return -1;
	memcpy(host, text, (size_t)(colon - text));
	host[colon - text] = 0;
	*ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
	return inet_pton(AF_INET, host, &ret->sin_addr) == 1 ? 0 : -1;
}

static int call_connect(struct client_call *c)
{
	struct sockaddr_in address;
	if (parse_address(c->address, &address) < 0)
		return -EINVAL;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		return -errno;
	int one = 1;
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) < 0 && errno != EINPROGRESS)
		return -errno;
	return 0;
}

static void write_request(struct client_call *c, const struct http_call *call)
{
	buf_printf(&c->request, "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", call->method,
		   call->path, call->address);
	if (call->content_type)
		buf_printf(&c->request, "Content-Type: %s\r\n", call->content_type);
	if (call->body_len || strcmp(call->method, "GET"))
		buf_printf(&c->request, "Content-Length: %zu\r\n", call->body_len);
	buf_adds(&c->request, "\r\n");
	buf_add(&c->request, call->body, call->body_len);
}

/* The failure of a start is told by the timer, so that it never comes from inside of the call. */
static void on_start_failed(void *arg)
{
	call_fail_sys(arg, ECONNREFUSED);
}

static struct client_call *call_new(const struct http_call *call, http_call_done_fn *done, void *arg)
{
	struct client_call *c = MEM_NEW(struct client_call);
	list_init(&c->link);
	if (call->among)
		list_append(call->among, &c->link);
	c->fd = -1;
	c->address = mem_strdup(call->address);
	c->done = done;
	c->arg = arg;
	http_response_reader_init(&c->reader, call->answer_max_bytes);
	write_request(c, call);
	return c;
}

static void call_start(struct client_call *c, struct loop *loop, int64_t timeout_ms, bool is_connected)
{
	if (is_connected)
		c->watch = loop_fd_new(loop, c->fd, LOOP_READ | LOOP_WRITE, on_event, c, NULL);
	c->timer = loop_timer_new(loop, c->watch ? on_timeout : on_start_failed, c);
	loop_timer_set(c->timer, c->watch ? timeout_ms : 0, 0);
}

void http_client_call(struct loop *loop, const struct http_call *call, http_call_done_fn *done, void *arg)
{
	struct client_call *c = call_new(call, done, arg);
	call_start(c, loop, call->timeout_ms, call_connect(c) == 0);
}

void http_client_call_on(struct loop *loop, int fd, const struct http_call *call, http_call_done_fn *done,
			 void *arg)
{
	struct client_call *c = call_new(call, done, arg);
	c->fd = fd;
	call_start(c, loop, call->timeout_ms, true);
}

void http_client_end(struct list *calls)
{
	while (!list_empty(calls)) {
		struct client_call *c = LIST_ENTRY(calls->next, struct client_call, link);
		struct err err = ERR_INIT;
		err_set(&err, ERR_UNAVAILABLE, "'%s' was not waited for: this server ends", c->address);
		call_finish(c, &err);
	}
}
