/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of a running server share. */
#ifndef SERVING_SERVER_H
#define SERVING_SERVER_H

#include <stdbool.h>
#include "serving/model.h"
#include "serving/server_loop.h"
#include "serving/serving.h"

struct http1;
struct http2;
struct tls;
struct metrics;
struct batcher;
struct model_life;

/* Embedded in every call of a transport, see server_hold.c. */
struct held_call {
	struct list node;
	struct server *server;		  /* while it is held, else NULL */
	struct model_version *version;	  /* that it waits for; NULL: for the end of the start */
	void (*run)(struct held_call *c); /* hands the call to its protocol, again each time */
	int64_t deadline_ns;		  /* its owner's: 0 or INT64_MAX = none */
	struct loop_timer timer;
	bool expired; /* the deadline has passed while it was held */
};

struct server {
	const struct serving_options *options;
	struct server_loop *loop;
	struct registry registry;
	struct model_life *life;
	struct http1 *http1;
	struct http2 *http2;
	struct tls *tls; /* NULL: no TLS */
	struct metrics *metrics;
	char *metrics_path;	   /* besides /metrics; NULL when metrics are off */
	struct list watchers;	   /* of the health service */
	struct batcher *batcher;   /* NULL when requests run one by one */
	struct list held;	   /* calls that wait for a model */
	struct held_call *current; /* being started */
	bool must_hold;		   /* resolving the current call failed, it shall wait for: */
	struct model_version *hold_version;
	int connections;       /* all kinds; one with TLS counts twice while its relay is open */
	int relays;	       /* those */
	int calls;	       /* requests being answered */
	int64_t request_bytes; /* of messages that have arrived and were not answered yet */
	bool draining;
	bool lingering; /* draining, but a connection that looks idle may still bring a request: it is told
			   then */
};

/* ERR_LIMIT when the requests in flight hold more than they may. */
int server_check_memory(const struct server *s, struct err *err);
void server_call_begin(struct server *s);
void server_call_end(struct server *s);
void server_connection_end(struct server *s);
int server_clients(const struct server *s); /* connections as clients count them */

void server_hold_init(struct server *s);
void server_hold_done(struct server *s); /* whoever is held gets the failure */
/* Starts a call: c->run hands it to its protocol. */
void server_run_call(struct server *s, struct held_call *c);
/* A protocol answers with a failure: true when the call is kept instead and will be run again. */
bool server_hold(struct server *s, struct held_call *c);
/* Nobody wants the answer any more: true when the call was held, and is not any more. */
bool server_unhold(struct held_call *c);
/* Runs the calls again that wait for this version. */
void server_release(struct server *s, struct model_version *v);

/* One accepted connection each; take the descriptor. Bytes that were peeked are still in the socket. */
int http1_new(struct server *s, struct http1 **ret, struct err *err);
void http1_free(struct http1 *h);
void http1_accept(struct http1 *h, int fd, const void *address, unsigned address_len);
/* Work that libmicrohttpd wants done before the loop waits; returns its wish for the wait in ms, -1 = none.
 */
int http1_before_wait(struct http1 *h);
bool http1_drop_idle(struct http1 *h); /* the oldest connection without a call; false when there is none */
void http1_drain(struct http1 *h);     /* closes idle connections; answers in flight go out and close */

int http2_new(struct server *s, struct http2 **ret, struct err *err);
void http2_free(struct http2 *h);
void http2_accept(struct http2 *h, int fd);
bool http2_drop_idle(struct http2 *h); /* the same */
/* Sends what was answered since the last call, in few writes; before the loop waits. */
void http2_before_wait(struct http2 *h);
/* Asks clients to open no more streams; those that come are answered. */
void http2_drain_notice(struct http2 *h);
void http2_drain(struct http2 *h); /* GOAWAY; connections close after their last answer */

#endif
