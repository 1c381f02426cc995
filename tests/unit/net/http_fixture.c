/* SPDX-License-Identifier: Apache-2.0 */
/* Routes that show every kind of body, answer and rule. */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "unit/test.h"

#define ENDLESS_BLOCK 65536

static void hello(struct http_exchange *x, void *app)
{
	const char *name = http_param(x, "name");
	http_reply_bytes(x, 200, "text/plain", name ? name : "hello", strlen(name ? name : "hello"));
}

static void later(struct http_exchange *x, void *app)
{
	((struct http_fixture *)app)->waiting = x;
}

static void echo_json(struct http_exchange *x, void *app)
{
	http_reply_json(x, 200, json_incref(x->json));
}

static void write_endless(void *arg)
{
	static char block[ENDLESS_BLOCK];
	while (http_stream_write(arg, block, sizeof(block)))
		;
}

static void write_nothing(void *arg)
{
}

static void count_closed(void *arg)
{
	struct http_exchange *x = arg;
	((struct http_fixture *)x->app)->closed++;
}

static const struct http_stream_ops endless_ops = {write_endless, count_closed};
static const struct http_stream_ops silent_ops = {write_nothing, count_closed};

static void endless(struct http_exchange *x, void *app)
{
	http_reply_stream(x, 200, "application/octet-stream", -1, &endless_ops, x);
}

static void silent(struct http_exchange *x, void *app)
{
	http_reply_stream(x, 200, "text/event-stream", -1, &silent_ops, x);
	http_stream_write(x, ": here\n", 7);
}

static ssize_t read_letters(void *arg, int64_t offset, void *data, size_t len, struct err *err)
{
	for (size_t i = 0; i < len; i++)
		((char *)data)[i] = (char)('a' + (offset + (int64_t)i) % 26);
	return (ssize_t)len;
}

static void close_letters(void *arg)
{
	((struct http_fixture *)arg)->closed++;
}

static const struct http_source_ops letters = {read_letters, close_letters};

static void download(struct http_exchange *x, void *app)
{
	struct http_download d = {
	    .size = 1000000, .etag = "tag", .content_type = "text/plain", .ops = &letters, .arg = app};
	http_reply_download(x, &d);
}

static int upload_data(void *arg, const void *data, size_t len, struct err *err)
{
	struct http_exchange *x = arg;
	struct http_fixture *f = x->app;
	f->uploaded += (int64_t)len;
	if (memchr(data, '!', len))
		return err_set(err, ERR_DISK_FULL, "the disk is full");
	return 0;
}

static void upload_end(void *arg)
{
	struct http_exchange *x = arg;
	((struct http_fixture *)x->app)->uploads_ended++;
	http_reply_empty(x, 201);
}

static void upload_aborted(void *arg)
{
	struct http_exchange *x = arg;
	((struct http_fixture *)x->app)->uploads_aborted++;
}

static const struct http_upload_ops upload_ops = {upload_data, upload_end, upload_aborted};

static void upload(struct http_exchange *x, void *app)
{
	http_upload_begin(x, &upload_ops, x);
}

static void authenticate(struct http_exchange *x, void *app)
{
	const char *token = http_header(x, "Authorization");
	struct err err = ERR_INIT;
	if (token && !strcmp(token, "Bearer good")) {
		http_admit(x, app);
		return;
	}
	err_set(&err, ERR_UNAUTHENTICATED, "no token");
	http_reply_error(x, &err);
}

static const struct http_param params[] = {{"n", "integer", "a number"}, {NULL}};
static const struct http_route routes[] = {
    {"GET", "/api/hello", HTTP_OPEN, HTTP_BODY_NONE, 0, hello, "t", "hello", params, NULL, NULL, 200},
    {"GET", "/api/hello/{name}", HTTP_OPEN, HTTP_BODY_NONE, 0, hello, "t", "hello", NULL, NULL, NULL, 200},
    {"GET", "/api/rest/{name...}", HTTP_OPEN, HTTP_BODY_NONE, 0, hello, "t", "rest", NULL, NULL, NULL, 200},
    {"GET", "/api/secret", HTTP_VIEWER, HTTP_BODY_NONE, 0, hello, "t", "secret", NULL, NULL, NULL, 200},
    {"POST", "/api/json", HTTP_VIEWER, HTTP_BODY_JSON, 1000, echo_json, "t", "json", NULL, NULL, NULL, 200},
    {"POST", "/api/bytes", HTTP_VIEWER, HTTP_BODY_BYTES, 1 << 20, hello, "t", "bytes", NULL, NULL, NULL, 200},
    {"GET", "/api/later", HTTP_OPEN, HTTP_BODY_NONE, 0, later, "t", "later", NULL, NULL, NULL, 200},
    {"GET", "/api/endless", HTTP_OPEN, HTTP_BODY_NONE, 0, endless, "t", "endless", NULL, NULL, NULL, 200},
    {"GET", "/api/silent", HTTP_OPEN, HTTP_BODY_NONE, 0, silent, "t", "silent", NULL, NULL, NULL, 200},
    {"GET", "/api/download", HTTP_OPEN, HTTP_BODY_NONE, 0, download, "t", "download", NULL, NULL, NULL, 200},
    {"PUT", "/api/upload", HTTP_VIEWER, HTTP_BODY_STREAM, 1 << 30, upload, "t", "upload", NULL, NULL, NULL,
     201},
    {.method = NULL},
};
static const struct http_route *const tables[] = {routes, NULL};

void fixture_open(struct http_fixture *f)
{
	struct err err = ERR_INIT;
	*f = (struct http_fixture){0};
	EXPECT_OK(loop_new(&f->loop, &err), &err);
	struct http_server_config config = {.loop = f->loop,
					    .address = "127.0.0.1",
					    .routes = tables,
					    .authenticate = authenticate,
					    .app = f,
					    .bodies_max_bytes = FIXTURE_BODIES_MAX};
	EXPECT_OK(http_server_new(&config, &f->server, &err), &err);
}

void fixture_close(struct http_fixture *f)
{
	http_server_free(f->server);
	loop_free(f->loop);
}

int fixture_send(struct http_fixture *f, const char *request)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)http_server_port(f->server)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t len = strlen(request), sent = 0;
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	while (sent < len) {
		ssize_t n = send(fd, request + sent, len - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			break; /* refused early */
		sent += n > 0 ? (size_t)n : 0;
		loop_run_once(f->loop, 0);
	}
	return fd;
}

char *fixture_receive(struct http_fixture *f, int fd, const char *until)
{
	struct buf text = BUF_INIT;
	char block[4096];
	for (;;) {
		ssize_t n = recv(fd, block, sizeof(block), MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			buf_add(&text, block, (size_t)n);
		else
			loop_run_once(f->loop, 20);
		if (until && strstr(buf_str(&text), until))
			break;
	}
	return buf_steal(&text);
}

char *fixture_ask(struct http_fixture *f, const char *request)
{
	int fd = fixture_send(f, request);
	char *text = fixture_receive(f, fd, NULL);
	close(fd);
	return text;
}

void fixture_until(struct http_fixture *f, const int *value, int wanted)
{
	while (*value != wanted)
		loop_run_once(f->loop, 20);
}
