/* SPDX-License-Identifier: Apache-2.0 */
/* Responses that arrive in pieces. */
#include "net/http_message.h"
#include "unit/test.h"

/* Feeds 'step' bytes at a time, then the end. */
static int read_all(const char *text, size_t step, struct http_response_reader *r, struct err *err)
{
	size_t len = strlen(text);
	*err = ERR_INIT;
	http_response_reader_init(r, 1000);
	for (size_t at = 0; at < len; at += step) {
		int res = http_response_reader_feed(r, text + at, len - at < step ? len - at : step, err);
		if (res < 0)
			return res;
	}
	return http_response_reader_end(r, err);
}

TEST(a_response_reads_the_same_in_pieces_of_every_size)
{
	static const struct {
		const char *text;
		int status;
		const char *type, *body;
	} rows[] = {
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello", 200,
	     "text/plain", "hello"},
	    {"HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n", 404, "", ""},
	    {"HTTP/1.0 200 OK\r\n\r\nto the end", 200, "", "to the end"},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: "
	     "chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: 1\r\n\r\n",
	     200, "", "abc0123456789"},
	    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200, "", "ok"},
	    {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", ""},
	    {"HTTP/1.1 200 OK\r\nContent-Type: text/html\nX: y\r\nContent-Length: 0\r\n\r\n", 200, "", ""},
	    {"HTTP/1.1 200 OK\r\nContent-Type: a\rX: y\r\nContent-Length: 0\r\n\r\n", 200, "", ""},
	    {"HTTP/1.1 599 Odd\r\nContent-Length: 0\r\n\r\n", 599, "", ""},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		for (size_t step = 1; step <= strlen(rows[i].text); step++) {
			struct http_response_reader r;
			struct err err;
			EXPECT_OK(read_all(rows[i].text, step, &r, &err), &err);
			EXPECT_INT(rows[i].text, r.response.status, rows[i].status);
			EXPECT_STR(rows[i].text, r.response.content_type, rows[i].type);
			EXPECT_STR(rows[i].text, buf_str(&r.response.body), rows[i].body);
			http_response_reader_done(&r);
		}
}

TEST(a_broken_response_is_refused)
{
	static const struct {
		const char *text;
		int code;
	} rows[] = {
	    {"", ERR_BACKEND},
	    {"SSH-2.0-x\r\n\r\n", ERR_BACKEND},
	    {"HTTP/2 200 OK\r\n\r\n", ERR_BACKEND},
	    {"HTTP/1.1 2x0 OK\r\n\r\n", ERR_BACKEND},
	    {"HTTP/1.1 000 OK\r\n\r\n", ERR_BACKEND},
	    {"HTTP/1.1 099 OK\r\n\r\n", ERR_BACKEND},
	    {"HTTP/1.1 600 OK\r\n\r\n", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n", ERR_TOO_LARGE},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", ERR_BACKEND},
	    {"HTTP/1.1 200 OK\r\n: x\r\n\r\n", ERR_BACKEND},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct http_response_reader r;
		struct err err;
		EXPECT_ERR(read_all(rows[i].text, 7, &r, &err), rows[i].code, &err, "");
		http_response_reader_done(&r);
	}
}
