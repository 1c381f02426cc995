/* SPDX-License-Identifier: Apache-2.0 */
/* The client against our own server, and against nobody. */
#include "http_fixture.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net/http_client.h"
#include "unit/test.h"

struct outcome {
	int calls, status;
	char type[128], body[256];
	struct err err;
};

static void note(void *arg, struct http_response *response, const struct err *err)
{
	struct outcome *o = arg;
	o->calls++;
	o->err = *err;
	if (!response)
		return;
	o->status = response->status;
	snprintf(o->type, sizeof(o->type), "%s", response->content_type);
	snprintf(o->body, sizeof(o->body), "%s", buf_str(&response->body));
}

static struct outcome call(struct http_fixture *f, struct http_call c, const char *address)
{
	struct outcome o = {0};
	char own[64];
	snprintf(own, sizeof(own), "127.0.0.1:%d", http_server_port(f->server));
	c.address = address ? address : own;
	if (!c.timeout_ms)
		c.timeout_ms = 60000;
	if (!c.answer_max_bytes)
		c.answer_max_bytes = 2000000;
	http_client_call(f->loop, &c, note, &o);
	assert_int_equal(o.calls, 0); /* never from inside */
	fixture_until(f, &o.calls, 1);
	return o;
}

TEST(a_call_brings_status_type_and_body)
{
	struct http_fixture f;
	fixture_open(&f);
	struct outcome o = call(&f, (struct http_call){.method = "GET", .path = "/api/hello"}, NULL);
	EXPECT_INT("status", o.status, 200);
	EXPECT_STR("type", o.type, "text/plain");
	EXPECT_STR("body", o.body, "hello");
	o = call(&f, (struct http_call){.method = "GET", .path = "/api/nothing"}, NULL);
	EXPECT_INT("status", o.status, 404);
	o = call(&f, (struct http_call){.method = "POST", .path = "/api/json", .body = "{}", .body_len = 2},
		 NULL);
	EXPECT_INT("status", o.status, 401);
	fixture_close(&f);
}

TEST(an_answer_that_is_too_large_is_refused)
{
	struct http_fixture f;
	fixture_open(&f);
	struct http_call c = {.method = "GET", .path = "/api/download", .answer_max_bytes = 1000};
	struct outcome o = call(&f, c, NULL);
	EXPECT_INT("code", o.err.code, ERR_TOO_LARGE);
	c.answer_max_bytes = 1000000;
	o = call(&f, c, NULL);
	EXPECT_INT("code", o.err.code, 0);
	c.path = "/api/endless";
	o = call(&f, c, NULL);
	EXPECT_INT("code", o.err.code, ERR_TOO_LARGE);
	fixture_close(&f);
}

TEST(a_silent_server_is_given_up)
{
	struct http_fixture f;
	fixture_open(&f);
	struct outcome o =
	    call(&f, (struct http_call){.method = "GET", .path = "/api/silent", .timeout_ms = 50}, NULL);
	EXPECT_INT("code", o.err.code, ERR_TIMEOUT);
	fixture_close(&f);
}

TEST(nobody_at_the_address_is_told)
{
	struct http_fixture f;
	char address[64];
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(own);
	fixture_open(&f);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* bound, but nobody listens */
	assert_int_equal(bind(fd, (struct sockaddr *)&own, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&own, &len), 0);
	snprintf(address, sizeof(address), "127.0.0.1:%d", ntohs(own.sin_port));
	struct http_call c = {.method = "GET", .path = "/"};
	struct outcome o = call(&f, c, address);
	EXPECT_INT("code", o.err.code, ERR_UNAVAILABLE);
	o = call(&f, c, "nonsense");
	EXPECT_INT("code", o.err.code, ERR_UNAVAILABLE);
	close(fd);
	fixture_close(&f);
}

TEST(calls_that_are_ended_together_are_told_and_leave_nothing_behind)
{
	struct http_fixture f;
	struct outcome a = {0}, b = {0}, other = {0};
	struct list calls;
	char own[64];
	fixture_open(&f);
	list_init(&calls);
	snprintf(own, sizeof(own), "127.0.0.1:%d", http_server_port(f.server));
	struct http_call c = {.method = "GET",
			      .path = "/api/hello",
			      .address = own,
			      .answer_max_bytes = 1000,
			      .timeout_ms = 60000,
			      .among = &calls};
	http_client_call(f.loop, &c, note, &a);
	fixture_until(&f, &a.calls, 1);
	EXPECT_INT("code", a.err.code, 0);
	assert_true(list_empty(&calls)); /* one that is done is not among them */
	a = (struct outcome){0};
	c.path = "/api/silent";
	http_client_call(f.loop, &c, note, &a);
	http_client_call(f.loop, &c, note, &b);
	c.among = NULL;
	c.path = "/api/hello";
	http_client_call(f.loop, &c, note, &other);
	http_client_end(&calls);
	EXPECT_INT("calls", a.calls + b.calls, 2);
	EXPECT_INT("code", a.err.code, ERR_UNAVAILABLE);
	EXPECT_INT("code", b.err.code, ERR_UNAVAILABLE);
	assert_true(list_empty(&calls));
	fixture_until(&f, &other.calls, 1);
	EXPECT_INT("status", other.status, 200);
	fixture_close(&f);
}
