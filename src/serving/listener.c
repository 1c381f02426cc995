/* SPDX-License-Identifier: Apache-2.0 */
/* Listening sockets, see listener.h. */
#include "serving/listener_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "serving/tls.h"

#define BACKLOG 1024
#define ACCEPTS_PER_TURN 64
#define NS_PER_MS 1000000
#define PAUSE_NS ((int64_t)100 * NS_PER_MS) /* after running out of descriptors */

static void pause_accepting(struct listen_socket *k)
{
	struct server_loop *loop = k->listener->server->loop;

	log_warn("listener.full error=%s", strerror(errno));
	server_loop_change(loop, &k->source, 0);
	server_loop_timer_start(loop, &k->pause, clock_monotonic_ns() + PAUSE_NS);
}

static void pause_over(struct loop_timer *t)
{
	struct listen_socket *k = CONTAINER_OF(t, struct listen_socket, pause);

	server_loop_change(k->listener->server->loop, &k->source, EPOLLIN);
}

static bool is_full(const struct server *s)
{
	return server_clients(s) >= s->options->connections_max;
}

/* A connection that nobody uses gives way: clients open another when they need one, and whoever opens them to
 * keep others out keeps out himself. */
static bool make_room(struct server *s)
{
	return tls_drop_closing(s->tls) || http2_drop_idle(s->http2) || http1_drop_idle(s->http1);
}

static void accept_event(struct loop_source *source, uint32_t events)
{
	struct listen_socket *k = CONTAINER_OF(source, struct listen_socket, source);
	struct listener *l = k->listener;
	struct sockaddr_storage address;

	for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
		socklen_t len = sizeof(address);
		int fd = accept4(source->fd, (struct sockaddr *)&address, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
				pause_accepting(k);
			return;
		}
		if (!k->is_control && is_full(l->server) && !make_room(l->server))
			close(fd);
		else
			listener_sniff(l, fd, k->tls, &address, len);
	}
}

static int bind_port(const struct serving_options *o, int port, struct err *err)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	bool is_v4 = inet_pton(AF_INET, o->address, &v4.sin_addr) == 1;
	CLEANUP(fd) int fd = -1;
	int on = 1, r;

	if (!is_v4 && inet_pton(AF_INET6, o->address, &v6.sin6_addr) != 1)
		return err_set(err, ERR_INVALID, "'%s' is no numeric IPv4 or IPv6 address", o->address);
	fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, errno, "cannot create a socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	r = is_v4 ? bind(fd, (struct sockaddr *)&v4, sizeof(v4))
		  : bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (r < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(err, errno, "cannot listen on '%s' port %d", o->address, port);
	r = fd;
	fd = -1;
	return r;
}

static int bound_port(int fd)
{
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return 0;
	if (address.ss_family == AF_INET6)
		return ntohs(((struct sockaddr_in6 *)&address)->sin6_port);
	return address.ss_family == AF_INET ? ntohs(((struct sockaddr_in *)&address)->sin_port) : 0;
}

static int make_socket(const struct serving_options *o, const struct sockaddr_un *address, struct err *err)
{
	const char *path = address->sun_path;
	CLEANUP(fd) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r;

	if (fd < 0)
		return err_sys(err, errno, "cannot create a socket");
	unlink(path);
	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0)
		return err_sys(err, errno, "cannot listen on '%s'", o->socket_path);
	if ((o->socket_mode >= 0 && chmod(path, (mode_t)o->socket_mode) < 0) || listen(fd, BACKLOG) < 0) {
		r = err_sys(err, errno, "cannot listen on '%s'", o->socket_path);
		unlink(path);
		return r;
	}
	r = fd;
	fd = -1;
	return r;
}

/* The name goes from one server to the next at once, as with the original: who comes last has it, whether the
 * one before is gone or still answers what it has. Any other file is not touched. */
static int bind_path(struct listener *l, struct err *err)
{
	const struct serving_options *o = l->server->options;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t room = sizeof(address.sun_path);
	struct stat st;
	int fd;

	if ((size_t)snprintf(address.sun_path, room, "%s.%d", o->socket_path, (int)getpid()) >= room)
		return err_set(err, ERR_INVALID, "socket path '%s' is longer than %zu bytes", o->socket_path,
			       room - 1 - strlen(".4194304"));
	if (lstat(o->socket_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return err_set(err, ERR_EXISTS, "cannot listen on '%s': there is a file that is no socket",
			       o->socket_path);
	fd = make_socket(o, &address, err);
	if (fd < 0)
		return fd;
	if (lstat(address.sun_path, &l->path_stat) < 0 || rename(address.sun_path, o->socket_path) < 0) {
		err_sys(err, errno, "cannot listen on '%s'", o->socket_path);
		unlink(address.sun_path);
		close(fd);
		return -err->code;
	}
	l->has_path = true;
	return fd;
}

/* Unless it is another server's by now. */
static void remove_path(const struct listener *l)
{
	const char *path = l->server->options->socket_path;
	struct stat st;

	if (l->has_path && lstat(path, &st) == 0 && st.st_dev == l->path_stat.st_dev &&
	    st.st_ino == l->path_stat.st_ino)
		unlink(path);
}

/* Takes the descriptor (negative: an error that was told already). */
static int add_socket(struct listener *l, int fd, struct err *err)
{
	struct listen_socket *k = &l->sockets[l->count];
	int r;

	if (fd < 0)
		return fd;
	*k = (struct listen_socket){.listener = l, .source.fd = fd};
	k->source.on_event = accept_event;
	k->pause.on_timer = pause_over;
	k->tls = l->server->tls != NULL;
	r = fd_set_nonblock(fd, err);
	if (r >= 0)
		r = server_loop_add(l->server->loop, &k->source, l->waits ? 0 : EPOLLIN, err);
	if (r < 0)
		close(fd);
	else
		l->count++;
	return r;
}

static int add_control(struct listener *l, struct err *err)
{
	int r = l->server->options->control_fd < 0 ? 0 : add_socket(l, l->server->options->control_fd, err);

	if (r >= 0 && l->count) {
		l->sockets[0].is_control = true;
		l->sockets[0].tls = false;
		l->waits = true;
	}
	return r;
}

static int add_sockets(struct listener *l, struct err *err)
{
	const struct serving_options *o = l->server->options;
	int r = add_control(l, err);

	if (r >= 0)
		r = add_socket(l, o->listen_fd >= 0 ? o->listen_fd : bind_port(o, o->port, err), err);

	if (r >= 0)
		log_info("serving.listen address=%s port=%d", o->listen_fd >= 0 ? "inherited" : o->address,
			 bound_port(l->sockets[l->count - 1].source.fd));
	if (r >= 0 && o->rest_port > 0 && (o->listen_fd >= 0 || o->rest_port != o->port)) {
		r = add_socket(l, bind_port(o, o->rest_port, err), err);
		if (r >= 0) {
			l->sockets[l->count - 1].tls &= !o->plain_rest;
			log_info("serving.listen address=%s port=%d", o->address, o->rest_port);
		}
	}
	if (r >= 0 && o->socket_path) {
		r = add_socket(l, bind_path(l, err), err);
		if (r >= 0)
			log_info("serving.listen path=%s", o->socket_path);
	}
	return r;
}

int listener_new(struct server *s, struct listener **ret, struct err *err)
{
	struct listener *l = MEM_NEW(struct listener);
	int r;

	l->server = s;
	list_init(&l->sniffing);
	if (s->tls)
		tls_on_ready(s->tls, listener_decrypted, l);
	r = add_sockets(l, err);
	if (r < 0) {
		listener_free(l);
		return r;
	}
	*ret = l;
	return 0;
}

void listener_open(struct listener *l)
{
	for (size_t i = 0; i < l->count && l->waits; i++)
		server_loop_change(l->server->loop, &l->sockets[i].source, EPOLLIN);
	l->waits = false;
}

void listener_stop(struct listener *l)
{
	for (size_t i = 0; i < l->count; i++) {
		server_loop_timer_stop(l->server->loop, &l->sockets[i].pause);
		server_loop_remove(l->server->loop, &l->sockets[i].source);
		close(l->sockets[i].source.fd);
	}
	remove_path(l);
	l->has_path = false;
	l->count = 0;
}

void listener_free(struct listener *l)
{
	if (!l)
		return;
	listener_stop(l);
	listener_sniff_end(l);
	free(l);
}
