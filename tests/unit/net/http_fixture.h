/* SPDX-License-Identifier: Apache-2.0 */
/* A server on a loop of its own and a client that lets it run while it waits. */
#ifndef TESTS_UNIT_NET_HTTP_FIXTURE_H
#define TESTS_UNIT_NET_HTTP_FIXTURE_H

#include "net/http_server.h"

#define FIXTURE_BODIES_MAX 4096

struct http_fixture {
	struct loop *loop;
	struct http_server *server;
	struct http_exchange *waiting; /* of GET /later: answered by the test */
	int closed;		       /* streams that were closed */
	int uploads_ended, uploads_aborted;
	int64_t uploaded;
};
void fixture_open(struct http_fixture *f);
void fixture_close(struct http_fixture *f);
/* Connects and sends; returns the socket. */
int fixture_send(struct http_fixture *f, const char *request);
/* Runs the loop until the peer has closed or 'until' is in what was received; returns owned text. */
char *fixture_receive(struct http_fixture *f, int fd, const char *until);
/* One request with "Connection: close": the whole answer; returns owned. */
char *fixture_ask(struct http_fixture *f, const char *request);
/* Runs the loop until *value == wanted. */
void fixture_until(struct http_fixture *f, const int *value, int wanted);

#endif
