/* SPDX-License-Identifier: Apache-2.0 */
/* A model service's address: the shim listens in the host's network, the server inside has no network but
 * that socket. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "local/fd_drop.h"
#include "local/shim_int.h"
#include "local/text_clean.h"

#define BACKLOG 1024

static int listen_at(const char *address, int port, int *ret_fd)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool is4 = inet_pton(AF_INET, address, &in.sin_addr) == 1;
	if (!is4 && inet_pton(AF_INET6, address, &in6.sin6_addr) != 1)
		return EINVAL;
	CLEANUP(fd) int fd = socket(is4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return errno;
	const struct sockaddr *a = is4 ? (const struct sockaddr *)&in : (const struct sockaddr *)&in6;
	if (bind(fd, a, is4 ? sizeof(in) : sizeof(in6)) < 0 || listen(fd, BACKLOG) < 0)
		return errno;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* The port it had before, if there was one and it is free; else the first free one of the range. */
static int take_port(struct shim *s, struct err *err)
{
	const struct task_plan *p = &s->plan;
	int sys = EADDRINUSE;
	if (s->spec.port_hint > 0) {
		s->port = (int)s->spec.port_hint;
		sys = listen_at(p->bind_address, s->port, &s->listen_fd);
	}
	for (int64_t port = p->port_first; sys && sys != EINVAL && port > 0 && port <= p->port_last; port++) {
		s->port = (int)port;
		sys = listen_at(p->bind_address, s->port, &s->listen_fd);
	}
	if (sys == EADDRINUSE)
		return err_set(err, ERR_LIMIT,
			       "all ports from %lld to %lld are in use; stop a model or widen the range",
			       (long long)p->port_first, (long long)p->port_last);
	return sys ? err_sys(err, sys, "cannot listen on '%s'", p->bind_address) : 0;
}

/* One line of JSON: {"ready": true, …} or {"error": "…"}. */
static void take_ready_line(struct shim *s)
{
	CLEANUP(json) json_t *j = json_loadb(s->ready_text, s->ready_len, 0, NULL);
	const char *error = json_string_value(json_object_get(j, "error"));
	char clean[400];
	if (json_is_true(json_object_get(j, "ready"))) {
		s->status.port = s->port;
		shim_set_phase(s, TASK_READY, "ready");
		return;
	}
	free(s->serve_error);
	if (!error)
		error = "the model server's answer was not understood";
	text_clean(error, strlen(error), clean, sizeof(clean));
	s->serve_error = mem_strdup(clean);
}

static void on_ready(void *arg, int events)
{
	struct shim *s = arg;
	ssize_t n = read(s->ready_fd, s->ready_text + s->ready_len, sizeof(s->ready_text) - s->ready_len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		s->ready_len += (size_t)n;
	bool whole = memchr(s->ready_text, '\n', s->ready_len) || s->ready_len == sizeof(s->ready_text);
	if (n > 0 && !whole)
		return;
	if (s->ready_len)
		take_ready_line(s);
	loop_fd_free(s->ready_watch);
	s->ready_watch = NULL;
}

int shim_model_open(struct shim *s, struct err *err)
{
	int ends[2];
	int r = take_port(s, err);
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys(err, errno, "cannot make a pipe");
	s->ready_fd = ends[0];
	s->ready_write_fd = ends[1];
	r = fd_set_nonblock(s->ready_fd, err);
	if (r < 0)
		return r;
	s->ready_watch = loop_fd_new(s->loop, s->ready_fd, LOOP_READ, on_ready, s, err);
	return s->ready_watch ? 0 : -err->code;
}

void shim_model_started(struct shim *s)
{
	fd_drop(&s->ready_write_fd);
	/* Ours would keep clients waiting for ever after the server has died. */
	fd_drop(&s->listen_fd);
}

void shim_model_close(struct shim *s)
{
	if (s->ready_watch && s->ready_fd >= 0)
		on_ready(s, LOOP_READ); /* what it said last */
	loop_fd_free(s->ready_watch);
	s->ready_watch = NULL;
	shim_model_started(s);
	fd_drop(&s->ready_fd);
}
