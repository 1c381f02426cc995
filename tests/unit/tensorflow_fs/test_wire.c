/* SPDX-License-Identifier: Apache-2.0 */
#include "fds_wire.h"
#include "base/mem.h"
#include "unit/test.h"

struct source {
	const char *data;
	size_t len, at, step;
};

static ssize_t read_source(void *arg, void *data, size_t len, struct err *err)
{
	struct source *s = arg;
	size_t n = s->len - s->at;
	n = n > len ? len : n;
	n = n > s->step ? s->step : n;
	memcpy(data, s->data + s->at, n);
	s->at += n;
	return (ssize_t)n;
}

static int read_answer(const char *text, size_t step, size_t max, struct fds_answer *a, struct buf *body,
		       struct err *err)
{
	struct source source = {text, strlen(text), 0, step};
	CLEANUP(free) struct fds_wire *w = MEM_NEW(struct fds_wire);
	w->read = read_source;
	w->arg = &source;
	struct fds_body b = {.text = body, .max = max};
	buf_clear(body);
	*err = ERR_INIT;
	int r = fds_wire_head(w, a, err);
	return r < 0 ? r : fds_wire_body(w, a, false, &b, err);
}

TEST(answers_are_read_whole_and_byte_by_byte)
{
	static const struct {
		const char *text;
		int status;
		const char *body;
	} rows[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, "hello"},
	    {"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
	     200, "hello"},
	    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n", 404, ""},
	    {"HTTP/1.0 200 OK\n\nuntil the end", 200, "until the end"},
	    {"HTTP/1.1 204 No Content\r\n\r\n", 204, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (size_t step = 1; step < 100; step += 7) {
			struct err err = ERR_INIT;
			struct fds_answer a;
			CLEANUP(buf) struct buf body = BUF_INIT;
			EXPECT_OK(read_answer(rows[i].text, step, 100, &a, &body, &err), &err);
			EXPECT_INT(rows[i].text, a.status, rows[i].status);
			EXPECT_STR(rows[i].text, buf_str(&body), rows[i].body);
		}
}

TEST(headers_of_an_object_are_read)
{
	struct err err = ERR_INIT;
	struct fds_answer a;
	CLEANUP(buf) struct buf body = BUF_INIT;
	EXPECT_OK(read_answer("HTTP/1.1 206 Partial\r\nContent-Range: bytes 2-4/10\r\nETag: "
			      "\"abc-2\"\r\nConnection: Close\r\n"
			      "Last-Modified: Fri, 24 May 2013 00:00:00 GMT\r\nContent-Length: 3\r\n\r\nxyz",
			      50, 3, &a, &body, &err),
		  &err);
	EXPECT_INT("start", a.range_start, 2);
	EXPECT_INT("end", a.range_end, 4);
	EXPECT_INT("total", a.total, 10);
	EXPECT_INT("modified", a.modified_ns / 1000000000, 1369353600);
	assert_string_equal(a.etag, "\"abc-2\"");
	assert_true(a.close);
}

TEST(what_is_no_answer_is_refused)
{
	static const char *const rows[] = {
	    "HTTP/2 200\r\n\r\n",
	    "HTTP/1.1 20 OK\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 3x\r\n\r\nabc",
	    "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
	    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
	    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
	    "HTTP/1.1 206 OK\r\nContent-Range: bytes 5-2/10\r\nContent-Length: 0\r\n\r\n",
	    "HTTP/1.1 206 OK\r\nContent-Range: bytes 0-9/5\r\nContent-Length: 0\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
	    "HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"
	    "012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345"
	    "6789x",
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct fds_answer a;
		CLEANUP(buf) struct buf body = BUF_INIT;
		EXPECT_INT(rows[i], read_answer(rows[i], 1000, 100, &a, &body, &err), -ERR_BACKEND);
	}
}

TEST(an_answer_that_breaks_off_is_not_taken_for_whole)
{
	static const char *const rows[] = {
	    "", "HTTP/1.1 200 OK\r\nContent-Le", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
	    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct fds_answer a;
		CLEANUP(buf) struct buf body = BUF_INIT;
		EXPECT_INT(rows[i], read_answer(rows[i], 1000, 100, &a, &body, &err), -ERR_UNAVAILABLE);
	}
}

TEST(headers_without_end_are_refused)
{
	struct err err = ERR_INIT;
	struct fds_answer a;
	CLEANUP(buf) struct buf text = BUF_INIT, body = BUF_INIT;
	buf_adds(&text, "HTTP/1.1 200 OK\r\n");
	while (text.len <= FDS_HEAD_MAX)
		buf_adds(&text, "X-Y: z\r\n");
	EXPECT_ERR(read_answer(text.data, 1000, 100, &a, &body, &err), ERR_BACKEND, &err, "too long");
}
