/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of model services: one listening socket for all replicas of an owner. We keep it as long as
 * the owner lives, and every shim has a copy, from which it comes back after our restart
 * (docs/design/0012-one-socket-for-replicas.md). */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "local/local_int.h"
#include "local/task_socket.h"

#define BACKLOG 1024

struct local_port {
	int fd;
};

void local_port_free(void *port)
{
	struct local_port *p = port;
	close(p->fd);
	free(p);
}

/* Takes fd. */
static void port_keep(struct local *l, const char *owner, int fd)
{
	struct local_port *p = MEM_NEW(struct local_port);
	p->fd = fd;
	map_set(l->ports, owner, p);
}

static int listen_at(const char *address, int port, int *ret_fd)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool is4 = inet_pton(AF_INET, address, &in.sin_addr) == 1;
	if (!is4 && inet_pton(AF_INET6, address, &in6.sin6_addr) != 1)
		return EINVAL;
	CLEANUP(fd) int fd = socket(is4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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

/* An owner that has a port keeps it: its clients know it. A new one gets the first free one of the range. */
static int port_open(struct local *l, const struct task_spec *spec, struct err *err)
{
	const struct local_config *config = &l->config;
	int sys = EADDRINUSE, fd = -1;
	if (spec->port_hint > 0) {
		sys = listen_at(config->bind_address, (int)spec->port_hint, &fd);
		if (sys == EADDRINUSE)
			return err_set(err, ERR_LIMIT,
				       "port %lld, the address of the model, is in use by another program; "
				       "end that program",
				       (long long)spec->port_hint);
	}
	for (int port = config->port_first; sys == EADDRINUSE && port > 0 && port <= config->port_last;
	     port++)
		sys = listen_at(config->bind_address, port, &fd);
	if (sys == EADDRINUSE)
		return err_set(err, ERR_LIMIT,
			       "all ports from %d to %d are in use; stop a model or widen the range",
			       config->port_first, config->port_last);
	if (sys)
		return err_sys(err, sys, "cannot listen on '%s'", config->bind_address);
	port_keep(l, spec->owner, fd);
	return 0;
}

void local_port_adopt(struct local_task *t, int folder_fd)
{
	struct err err = ERR_INIT;
	if (t->spec.kind != TASK_MODEL || t->port_asked || map_get(t->local->ports, t->spec.owner))
		return;
	CLEANUP(fd) int fd = task_socket_connect(folder_fd, FOLDER_PORT_SOCKET, &err);
	if (fd < 0) /* a shim that has just begun, or one of before there was such a socket */
		return;
	t->port_asked = true; /* one that takes the question and gives no answer is not waited for again */
	int port_fd = task_socket_receive(fd, &err);
	if (port_fd < 0)
		log_warn("task.port task=%s error=\"%s\"", t->name, err.msg);
	else
		port_keep(t->local, t->spec.owner, port_fd);
}

/* Another replica may have it, which was not looked at yet. */
static void ask_others(struct local *l, const char *owner)
{
	const char *name;
	void *item;
	struct err err = ERR_INIT;
	for (size_t i = 0; map_next(l->tasks, &i, &name, &item) && !map_get(l->ports, owner);) {
		struct local_task *t = item;
		if (t->step != STEP_WATCH || strcmp(t->spec.owner, owner))
			continue;
		CLEANUP(fd) int folder_fd = local_task_open(t, &err);
		t->port_asked = false;
		if (folder_fd >= 0)
			local_port_adopt(t, folder_fd);
	}
}

int local_port_get(struct local *l, const struct task_spec *spec, struct err *err)
{
	if (!map_get(l->ports, spec->owner))
		ask_others(l, spec->owner);
	const struct local_port *p = map_get(l->ports, spec->owner);
	if (!p) {
		int r = port_open(l, spec, err);
		if (r < 0)
			return r;
		p = map_get(l->ports, spec->owner);
	}
	return p->fd;
}
