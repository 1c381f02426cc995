/* SPDX-License-Identifier: Apache-2.0 */
/* The server over a real socket: rules, limits, late answers, clients that go away. */
#include "http_fixture.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "unit/test.h"

#define HEAD "Host: localhost\r\nConnection: close\r\n"
#define AUTH "Authorization: Bearer good\r\n"

TEST(every_request_gets_its_answer)
{
	static const struct {
		const char *request, *status, *part;
	} rows[] = {
	    {"GET /api/hello HTTP/1.1\r\n" HEAD "\r\n", "200", "\r\n\r\nhello"},
	    {"GET /api/hello/a%20b HTTP/1.1\r\n" HEAD "\r\n", "200", "\r\n\r\na b"},
	    {"GET /api/rest/a/b/c HTTP/1.1\r\n" HEAD "\r\n", "200", "\r\n\r\na/b/c"},
	    {"GET /api/hello?n=1 HTTP/1.1\r\n" HEAD "\r\n", "200", "hello"},
	    {"GET /api/hello?m=1 HTTP/1.1\r\n" HEAD "\r\n", "400", "no query parameter 'm'"},
	    {"GET /api/hello/ HTTP/1.1\r\n" HEAD "\r\n", "404", "not_found"},
	    {"GET /api/nothing HTTP/1.1\r\n" HEAD "\r\n", "404", "not_found"},
	    {"GET / HTTP/1.1\r\n" HEAD "\r\n", "404", "not_found"},
	    {"POST /api/hello HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n", "405", "Allow: GET, HEAD"},
	    {"GET /api/../x HTTP/1.1\r\n" HEAD "\r\n", "400", "'..'"},
	    {"GET /api/hello HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", "403",
	     "Host header"},
	    {"GET /api/hello HTTP/1.1\r\nConnection: close\r\n\r\n", "400", ""},
	    {"GET /api/hello HTTP/1.1\r\n" HEAD "Host: localhost\r\n\r\n", "400", "twice"},
	    {"GET /api/secret HTTP/1.1\r\n" HEAD "\r\n", "401", "WWW-Authenticate: Bearer"},
	    {"GET /api/secret HTTP/1.1\r\n" HEAD AUTH "\r\n", "200", "hello"},
	    {"POST /api/json HTTP/1.1\r\n" HEAD AUTH "Content-Length: 7\r\n\r\n{\"a\":1}", "200",
	     "{\"a\":1}"},
	    {"POST /api/json HTTP/1.1\r\n" HEAD AUTH
	     "Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n",
	     "200", "{\"a\":1}"},
	    {"POST /api/json HTTP/1.1\r\n" HEAD AUTH "Content-Length: 2\r\n\r\n[]", "400",
	     "not a JSON object"},
	    {"POST /api/json HTTP/1.1\r\n" HEAD AUTH "Content-Length: 1\r\n\r\n{", "400", "not JSON"},
	    {"POST /api/json HTTP/1.1\r\n" HEAD AUTH "Content-Length: 300000\r\n\r\n", "413", "at most 1000"},
	    {"POST /api/json HTTP/1.1\r\n" HEAD "Content-Length: 7\r\n\r\n{\"a\":1}", "401", "no token"},
	    {"POST /api/json HTTP/1.1\r\n" HEAD AUTH
	     "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n",
	     "400", ""},
	    {"POST /api/json HTTP/1.1\r\n" HEAD AUTH
	     "Content-Length: 7\r\nContent-Length: 7\r\n\r\n{\"a\":1}",
	     "400", ""},
	    {"POST /api/json HTTP/1.1\r\n" HEAD AUTH "Transfer-Encoding: gzip\r\n\r\n", "400", ""},
	};
	struct http_fixture f;
	fixture_open(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *text = fixture_ask(&f, rows[i].request);
		if (strncmp(text, "HTTP/1.1 ", 9) || strncmp(text + 9, rows[i].status, 3) ||
		    !strstr(text, rows[i].part))
			fail_msg("%s\nanswered\n%s\nbut wanted %s with '%s'", rows[i].request, text,
				 rows[i].status, rows[i].part);
		free(text);
	}
	fixture_close(&f);
}

TEST(every_answer_has_the_security_headers)
{
	struct http_fixture f;
	fixture_open(&f);
	char *text = fixture_ask(&f, "GET /api/nothing HTTP/1.1\r\n" HEAD "\r\n");
	assert_non_null(strstr(text, "X-Content-Type-Options: nosniff"));
	assert_non_null(strstr(text, "default-src 'none'; sandbox; frame-ancestors 'none'"));
	assert_non_null(strstr(text, "Referrer-Policy: no-referrer"));
	assert_non_null(strstr(text, "Cache-Control: no-store"));
	free(text);
	fixture_close(&f);
}

TEST(bodies_in_memory_have_a_limit_together)
{
	struct http_fixture f;
	fixture_open(&f);
	char half[2048], whole[4096];
	snprintf(half, sizeof(half),
		 "POST /api/bytes HTTP/1.1\r\n" HEAD AUTH "Content-Length: 3000\r\n\r\n%01600d", 0);
	snprintf(whole, sizeof(whole),
		 "POST /api/bytes HTTP/1.1\r\n" HEAD AUTH "Content-Length: 3000\r\n\r\n%03000d", 0);
	int slow[2] = {fixture_send(&f, half), fixture_send(&f, half)};
	char *text = fixture_ask(&f, whole);
	assert_non_null(strstr(text, " 503 "));
	assert_non_null(strstr(text, "try again"));
	free(text);
	for (int i = 0; i < 2; i++)
		close(slow[i]);
	for (bool served = false; !served; free(text)) { /* as soon as it is seen that they are gone */
		text = fixture_ask(&f, whole);
		served = strstr(text, " 200 ");
	}
	fixture_close(&f);
}

TEST(a_late_answer_reaches_its_client)
{
	struct http_fixture f;
	fixture_open(&f);
	int fd = fixture_send(&f, "GET /api/later HTTP/1.1\r\n" HEAD "\r\n");
	while (!f.waiting)
		loop_run_once(f.loop, 20);
	assert_int_equal(http_server_busy(f.server), 1);
	http_reply_bytes(f.waiting, 200, "text/plain", "late", 4);
	char *text = fixture_receive(&f, fd, NULL);
	assert_non_null(strstr(text, "\r\n\r\nlate"));
	free(text);
	close(fd);
	fixture_close(&f);
}

TEST(an_answer_to_a_client_that_is_gone_does_no_harm)
{
	struct http_fixture f;
	fixture_open(&f);
	int fd = fixture_send(&f, "GET /api/later HTTP/1.1\r\n" HEAD "\r\n");
	while (!f.waiting)
		loop_run_once(f.loop, 20);
	close(fd);
	loop_run_once(f.loop, 20);
	http_reply_bytes(f.waiting, 200, "text/plain", "late", 4);
	while (http_server_busy(f.server))
		loop_run_once(f.loop, 20);
	fixture_close(&f);
}

TEST(an_answer_after_the_server_is_gone_does_no_harm)
{
	struct http_fixture f;
	fixture_open(&f);
	int fd = fixture_send(&f, "GET /api/later HTTP/1.1\r\n" HEAD "\r\n");
	while (!f.waiting)
		loop_run_once(f.loop, 20);
	http_server_free(f.server);
	f.server = NULL;
	http_reply_bytes(f.waiting, 200, "text/plain", "late", 4);
	close(fd);
	fixture_close(&f);
}

TEST(a_stream_waits_for_a_slow_reader_and_hears_that_it_left)
{
	struct http_fixture f;
	fixture_open(&f);
	int fd = fixture_send(&f, "GET /api/endless HTTP/1.1\r\n" HEAD "\r\n");
	char *text = fixture_receive(&f, fd, "\r\n\r\n");
	free(text);
	for (int i = 0; i < 50; i++) /* nobody reads: nothing may spin or grow */
		loop_run_once(f.loop, 1);
	assert_int_equal(f.closed, 0);
	close(fd);
	fixture_until(&f, &f.closed, 1);
	fixture_close(&f);
}

TEST(a_silent_stream_hears_that_its_client_left)
{
	struct http_fixture f;
	fixture_open(&f);
	int fd = fixture_send(&f, "GET /api/silent HTTP/1.1\r\n" HEAD "\r\n");
	char *text = fixture_receive(&f, fd, ": here");
	assert_non_null(strstr(text, ": here"));
	free(text);
	close(fd);
	fixture_until(&f, &f.closed, 1);
	fixture_close(&f);
}

TEST(a_download_sends_what_was_asked_for)
{
	static const struct {
		const char *headers, *status, *part, *end;
	} rows[] = {
	    {"", "200", "Content-Length: 1000000\r\n", "klmn"},
	    {"Range: bytes=0-2\r\n", "206", "Content-Range: bytes 0-2/1000000\r\n", "\r\n\r\nabc"},
	    {"Range: bytes=-1\r\n", "206", "Content-Length: 1\r\n", "\r\n\r\nn"},
	    {"Range: bytes=1000000-\r\n", "416", "Content-Range: bytes */1000000\r\n", "\r\n\r\n"},
	    {"If-None-Match: \"tag\"\r\n", "304", "ETag: \"tag\"", "\r\n\r\n"},
	    {"Range: bytes=0-2\r\nIf-Range: \"other\"\r\n", "200", "Content-Length: 1000000\r\n", "klmn"},
	};
	struct http_fixture f;
	fixture_open(&f);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char request[256];
		snprintf(request, sizeof(request), "GET /api/download HTTP/1.1\r\n" HEAD "%s\r\n",
			 rows[i].headers);
		char *text = fixture_ask(&f, request);
		size_t len = strlen(text), end = strlen(rows[i].end);
		if (strncmp(text + 9, rows[i].status, 3) || !strstr(text, rows[i].part) || len < end ||
		    strcmp(text + len - end, rows[i].end))
			fail_msg("%s answered %.400s", rows[i].headers, text);
		free(text);
		fixture_until(&f, &f.closed, (int)i + 1);
	}
	char *text = fixture_ask(&f, "HEAD /api/download HTTP/1.1\r\n" HEAD "\r\n");
	assert_non_null(strstr(text, "Content-Length: 1000000\r\n"));
	assert_string_equal(text + strlen(text) - 4, "\r\n\r\n");
	free(text);
	fixture_until(&f, &f.closed, (int)(sizeof(rows) / sizeof(*rows)) + 1);
	fixture_close(&f);
}

TEST(an_upload_ends_or_is_broken_off)
{
	struct http_fixture f;
	fixture_open(&f);
	char *text =
	    fixture_ask(&f, "PUT /api/upload HTTP/1.1\r\n" HEAD AUTH "Content-Length: 5\r\n\r\n12345");
	assert_non_null(strstr(text, "HTTP/1.1 201"));
	free(text);
	assert_int_equal(f.uploads_ended, 1);
	assert_int_equal(f.uploaded, 5);
	text = fixture_ask(&f, "PUT /api/upload HTTP/1.1\r\n" HEAD AUTH "Content-Length: 5\r\n\r\n12!45");
	assert_non_null(strstr(text, "HTTP/1.1 507"));
	free(text);
	assert_int_equal(f.uploads_aborted, 1);
	text = fixture_ask(&f, "PUT /api/upload HTTP/1.1\r\n" HEAD "Content-Length: 5\r\n\r\n12345");
	assert_non_null(strstr(text, "HTTP/1.1 401"));
	free(text);
	int fd = fixture_send(&f, "PUT /api/upload HTTP/1.1\r\n" HEAD AUTH "Content-Length: 500\r\n\r\n123");
	while (f.uploaded < 13)
		loop_run_once(f.loop, 20);
	close(fd);
	fixture_until(&f, &f.uploads_aborted, 2);
	assert_int_equal(f.uploads_ended, 1);
	fixture_close(&f);
}

TEST(requests_on_one_connection_are_answered_in_order)
{
	struct http_fixture f;
	fixture_open(&f);
	char *text = fixture_ask(&f, "GET /api/hello/one HTTP/1.1\r\nHost: localhost\r\n\r\n"
				     "GET /api/nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
				     "GET /api/hello/two HTTP/1.1\r\n" HEAD "\r\n");
	const char *one = strstr(text, "\r\n\r\none"), *none = strstr(text, "HTTP/1.1 404");
	const char *two = strstr(text, "\r\n\r\ntwo");
	assert_true(one && none && two && one < none && none < two);
	free(text);
	fixture_close(&f);
}

static void never(struct http_exchange *x, void *app)
{
	fail();
}

TEST(a_route_without_a_whole_rule_is_refused_at_the_start)
{
	static const struct {
		const char *path;
		int auth;
	} rows[] = {{"/x", 0},
		    {"/x", HTTP_OF_ORG},
		    {"/x", HTTP_PLATFORM + 1},
		    {"/x", HTTP_ADMIN | 0x20},
		    {"/x", HTTP_ADMIN | HTTP_OF_ORG},
		    {"/orgs/{org}", HTTP_ADMIN},
		    {"/orgs/{org}", HTTP_OPEN | HTTP_OF_ORG}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct http_route open_door[] = {{.method = "GET", .handle = never, .summary = "x"},
						 {.method = NULL}};
		const struct http_route *const tables[] = {open_door, NULL};
		struct err err = ERR_INIT;
		struct http_server *s = NULL;
		struct http_server_config config = {.address = "127.0.0.1", .routes = tables};
		open_door[0].path = rows[i].path;
		open_door[0].auth = rows[i].auth;
		EXPECT_ERR(http_server_new(&config, &s, &err), ERR_INTERNAL, &err, "lacks a rule");
	}
}
