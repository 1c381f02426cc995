/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon: socket, loop glue, connections and their deadlines. */
#include "net/http_server_int.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define TURNS_MAX 16 /* calls of libmicrohttpd before others on the loop get theirs */

static void server_turn(struct http_server *s)
{
	MHD_UNSIGNED_LONG_LONG wait_ms = 0;
	s->kicked = false;
	for (int i = 0; i < TURNS_MAX; i++) {
		MHD_run(s->daemon);
		bool waits = MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES;
		if (waits && wait_ms == 0)
			continue;
		if (s->kicked) /* somebody answered during this turn */
			break;
		if (waits)
			loop_timer_set(s->turn_timer, (int64_t)wait_ms, 0);
		else
			loop_timer_clear(s->turn_timer);
		return;
	}
	loop_timer_set(s->turn_timer, 0, 0);
}

void http_server_kick(struct http_server *s)
{
	if (s->kicked || s->stopping)
		return;
	s->kicked = true;
	loop_timer_set(s->turn_timer, 0, 0);
}

static void on_readable(void *arg, int events)
{
	server_turn(arg);
}

static void on_turn_timer(void *arg)
{
	server_turn(arg);
}

/* The socket is shut, not closed: libmicrohttpd owns it and sees the end of the stream. */
static void break_off(struct http_connection *c, const char *why)
{
	log_debug("http.break fd=%d why=%s", c->fd, why);
	c->broken = true;
	shutdown(c->fd, SHUT_RDWR);
}

static void on_deadline_timer(void *arg)
{
	struct http_server *s = arg;
	struct http_connection *c;
	int64_t now = clock_monotonic_ms(&clock_real), nearest = 0;
	LIST_EACH(c, &s->connections, link)
	{
		if (c->deadline_ms && c->deadline_ms <= now) {
			break_off(c, "deadline");
			c->deadline_ms = 0;
		}
		if (c->deadline_ms && (!nearest || c->deadline_ms < nearest))
			nearest = c->deadline_ms;
	}
	s->deadline_armed_ms = nearest;
	if (nearest)
		loop_timer_set(s->deadline_timer, nearest - now, 0);
}

/* A later deadline leaves the timer alone: it fires early, looks again and goes back to sleep. */
void http_connection_deadline(struct http_connection *c, int64_t monotonic_ms)
{
	struct http_server *s = c->server;
	c->deadline_ms = monotonic_ms;
	if (!monotonic_ms || (s->deadline_armed_ms && s->deadline_armed_ms <= monotonic_ms))
		return;
	int64_t after = monotonic_ms - clock_monotonic_ms(&clock_real);
	s->deadline_armed_ms = monotonic_ms;
	loop_timer_set(s->deadline_timer, after > 0 ? after : 0, 0);
}

/* Whoever opens connections to keep others out loses his own first: the oldest that never proved who it is,
 * then the oldest that has nothing in progress. */
static void make_room(struct http_server *s)
{
	struct http_connection *c, *victim = NULL;
	if (s->connection_count <= HTTP_CONNECTIONS_CALM)
		return;
	LIST_EACH(c, &s->connections, link)
	{
		if (c->broken)
			continue;
		if (!c->known) {
			victim = c;
			break;
		}
		if (!victim && !c->busy)
			victim = c;
	}
	if (victim)
		break_off(victim, "room");
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **context,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http_server *s = cls;
	struct http_connection *c = *context;
	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		c = MEM_NEW(struct http_connection);
		c->server = s;
		c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
		make_room(s);
		list_append(&s->connections, &c->link);
		s->connection_count++;
		http_connection_deadline(c, clock_monotonic_ms(&clock_real) + HTTP_HEADER_DEADLINE_MS);
		*context = c;
	} else if (c) {
		list_remove(&c->link);
		s->connection_count--;
		free(c->target);
		free(c);
		*context = NULL;
	}
}

static void *on_target(void *cls, const char *target, struct MHD_Connection *mhd)
{
	struct http_connection *c =
	    MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
	free(c->target);
	c->target = mem_strdup(target);
	int64_t deadline_ms = clock_monotonic_ms(&clock_real) + HTTP_HEADER_DEADLINE_MS;
	if (!c->deadline_ms || deadline_ms < c->deadline_ms)
		http_connection_deadline(c, deadline_ms);
	return NULL;
}

/* The target is decoded by http_uri.c, from the raw text. */
static size_t keep_escapes(void *cls, struct MHD_Connection *mhd, char *s)
{
	return strlen(s);
}

static void __attribute__((format(printf, 2, 0))) log_mhd(void *cls, const char *fmt, va_list ap)
{
	char text[256];
	vsnprintf(text, sizeof(text), fmt, ap);
	text[strcspn(text, "\n")] = 0;
	log_debug("http.library text=\"%s\"", text);
}

static int bind_address(const char *address, int port, struct sockaddr_storage *ret, socklen_t *ret_len,
			struct err *err)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret;
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons((uint16_t)port);
		*ret_len = sizeof(*v4);
		return 0;
	}
	if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(*v6);
		return 0;
	}
	return err_set(err, ERR_INVALID, "'%s' is not an IP address to listen on", address);
}

static int listen_socket(const struct http_server_config *config, int *ret_port, struct err *err)
{
	struct sockaddr_storage address;
	socklen_t len = 0;
	int r = bind_address(config->address, config->port, &address, &len, err);
	if (r < 0)
		return r;
	CLEANUP(fd) int fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a socket");
	int one = 1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&address, len) < 0 || listen(fd, 1024) < 0) {
		if (errno == EADDRINUSE)
			return err_set(err, ERR_CONFLICT,
				       "another program listens on %s port %d; give another with --listen",
				       config->address, config->port);
		return err_sys(err, errno, "cannot listen on %s port %d", config->address, config->port);
	}
	if (getsockname(fd, (struct sockaddr *)&address, &len) < 0)
		return err_sys(err, errno, "cannot read the port that was given");
	*ret_port = ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
							: ((struct sockaddr_in *)&address)->sin_port);
	int out = fd;
	fd = -1;
	return out;
}

static int start_daemon(struct http_server *s, struct err *err)
{
	bool has_tls = s->config.tls_certificate != NULL;
	/* The loop ignores SIGPIPE; unless libmicrohttpd knows, it does not use sendfile(2). */
	s->daemon = MHD_start_daemon(
	    MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | (has_tls ? MHD_USE_TLS : 0), 0,
	    NULL, NULL, exchange_access, s, MHD_OPTION_EXTERNAL_LOGGER, log_mhd, s, MHD_OPTION_LISTEN_SOCKET,
	    s->listen_fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
	    MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)HTTP_HEADER_BYTES_MAX + 16384,
	    MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(HTTP_IDLE_MS / 1000), MHD_OPTION_STRICT_FOR_CLIENT, 1,
	    MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_NOTIFY_COMPLETED, exchange_completed,
	    s, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1, MHD_OPTION_URI_LOG_CALLBACK, on_target, s,
	    MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, s,
	    has_tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, s->config.tls_certificate,
	    MHD_OPTION_HTTPS_MEM_KEY, s->config.tls_key, MHD_OPTION_END);
	if (!s->daemon)
		return err_set(err, ERR_INTERNAL, "cannot start the HTTP server");
	s->listen_fd = -1;
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	s->watch = loop_fd_new(s->config.loop, info->epoll_fd, LOOP_READ, on_readable, s, err);
	return s->watch ? 0 : -err->code;
}

int http_server_new(const struct http_server_config *config, struct http_server **ret, struct err *err)
{
	int r = config->raw ? 0 : http_router_check(config->routes, err);
	if (r < 0)
		return r;
	struct http_server *s = MEM_NEW(struct http_server);
	s->config = *config;
	s->raw_route = (struct http_route){.auth = HTTP_OPEN,
					   .body = HTTP_BODY_STREAM,
					   .body_max_bytes = (size_t)config->raw_body_max_bytes,
					   .handle = config->raw,
					   .method = "*",
					   .path = "*"};
	if (!s->config.bodies_max_bytes)
		s->config.bodies_max_bytes = HTTP_BODIES_BYTES_MAX;
	list_init(&s->connections);
	list_init(&s->exchanges);
	list_init(&s->leaving);
	s->turn_timer = loop_timer_new(config->loop, on_turn_timer, s);
	s->deadline_timer = loop_timer_new(config->loop, on_deadline_timer, s);
	s->listen_fd = r = config->listen_fd > 0 ? config->listen_fd : listen_socket(config, &s->port, err);
	if (r >= 0)
		r = start_daemon(s, err);
	if (r < 0) {
		http_server_free(s);
		return r;
	}
	server_turn(s);
	*ret = s;
	return 0;
}

int http_server_port(const struct http_server *s)
{
	return s->port;
}

size_t http_server_busy(const struct http_server *s)
{
	return s->exchange_count;
}

void http_server_quiesce(struct http_server *s)
{
	int fd = MHD_quiesce_daemon(s->daemon);
	if (fd >= 0)
		close(fd);
}

/* Their handlers still owe an answer, to nobody. */
static void forget_exchanges(struct list *exchanges)
{
	struct exchange *x;
	LIST_EACH(x, exchanges, link)
	{
		x->server = NULL;
		list_remove(&x->link);
	}
}

void http_server_free(struct http_server *s)
{
	if (!s)
		return;
	s->stopping = true;
	struct exchange *x;
	LIST_EACH(x, &s->exchanges, link)
	exchange_resume(x);
	loop_fd_free(s->watch);
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	forget_exchanges(&s->exchanges);
	forget_exchanges(&s->leaving);
	if (s->listen_fd >= 0)
		close(s->listen_fd);
	loop_timer_free(s->turn_timer);
	loop_timer_free(s->deadline_timer);
	free(s);
}
