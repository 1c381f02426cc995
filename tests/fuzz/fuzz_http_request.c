/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a connection against the real server with a route of every kind. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/log.h"
#include "net/http_server.h"

static struct loop *loop;
static struct http_server *server;

static void answer(struct http_exchange *x, void *app)
{
	http_reply_bytes(x, 200, "text/plain", buf_str(&x->body), x->body.len);
}

static int upload_data(void *arg, const void *data, size_t len, struct err *err)
{
	return memchr(data, '!', len) ? err_set(err, ERR_DISK_FULL, "full") : 0;
}

static void upload_end(void *arg)
{
	http_reply_empty(arg, 201);
}

static void upload_aborted(void *arg)
{
}

static const struct http_upload_ops upload_ops = {upload_data, upload_end, upload_aborted};

static void upload(struct http_exchange *x, void *app)
{
	http_upload_begin(x, &upload_ops, x);
}

static void authenticate(struct http_exchange *x, void *app)
{
	struct err err = {.code = ERR_UNAUTHENTICATED, .msg = "no token"};
	if (http_header(x, "Authorization"))
		http_admit(x, app);
	else
		http_reply_error(x, &err);
}

static const struct http_route routes[] = {
    {"GET", "/a/{x}", HTTP_OPEN, HTTP_BODY_NONE, 0, answer, "t", "a", NULL, NULL, NULL, 200},
    {"POST", "/j", HTTP_VIEWER, HTTP_BODY_JSON, 1000, answer, "t", "j", NULL, NULL, NULL, 200},
    {"POST", "/b", HTTP_OPEN, HTTP_BODY_BYTES, 1000, answer, "t", "b", NULL, NULL, NULL, 200},
    {"PUT", "/u/{x...}", HTTP_OPEN, HTTP_BODY_STREAM, 10000, upload, "t", "u", NULL, NULL, NULL, 201},
    {.method = NULL},
};
static const struct http_route *const tables[] = {routes, NULL};

static void begin(void)
{
	struct err err = ERR_INIT;
	struct http_server_config config = {
	    .address = "127.0.0.1", .routes = tables, .authenticate = authenticate};
	log_set_level(LOG_ERROR + 1);
	if (loop_new(&loop, &err) < 0)
		abort();
	config.loop = loop;
	if (http_server_new(&config, &server, &err) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char block[4096];
	if (!server)
		begin();
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)http_server_port(server)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger reset = {1, 0}; /* no sockets that wait in the kernel */
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		abort();
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	if (size > 60000)
		size = 60000;
	(void)!send(fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (loop_run_once(loop, 1))
		while (recv(fd, block, sizeof(block), MSG_DONTWAIT) > 0)
			;
	close(fd);
	while (http_server_busy(server))
		loop_run_once(loop, 10);
	return 0;
}
