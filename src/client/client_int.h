/* SPDX-License-Identifier: Apache-2.0 */
/* What only the client room sees: preparing curl handles and reading error answers. */
#ifndef CLIENT_CLIENT_INT_H
#define CLIENT_CLIENT_INT_H

#include <curl/curl.h>
#include "client/client.h"

struct client {
	char *endpoint; /* without a slash at the end */
	char *token;
	long limit_ms; /* of a call; 0 = none */
	CURL *curl;    /* reused by blocking calls, so that connections stay open */
};

/* Sets URL, credential and limits on a fresh or reset handle. Returns the header list (owned,
 * curl_slist_free_all after the transfer) to which the caller may append before setting it. */
struct curl_slist *client_prepare(struct client *c, CURL *curl, const char *method, const char *path);
struct curl_slist *client_header(struct curl_slist *list, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Error of a transfer that failed below HTTP. Returns -code. */
int client_transport_error(struct client *c, CURLcode code, struct err *err);
/* Error of an answer with status >= 400. Returns -code. */
int client_answer_error(long status, const struct buf *body, struct err *err);

#endif
