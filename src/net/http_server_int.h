/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the HTTP server: connections, exchanges and their stages. */
#ifndef NET_HTTP_SERVER_INT_H
#define NET_HTTP_SERVER_INT_H

#include <microhttpd.h>
#include "base/list.h"
#include "net/http_server.h"

struct http_server {
	struct http_server_config config;
	struct MHD_Daemon *daemon;
	int listen_fd; /* -1 once the daemon owns it */
	int port;
	bool stopping, kicked;
	struct loop_fd *watch;
	struct loop_timer *turn_timer;	   /* when libmicrohttpd wants to be called */
	struct loop_timer *deadline_timer; /* the nearest deadline of a connection */
	int64_t deadline_armed_ms;	   /* monotonic; 0 = not armed */
	struct list connections;	   /* oldest first */
	size_t connection_count;
	struct list exchanges; /* that libmicrohttpd knows */
	struct list leaving;   /* whose handlers still owe an answer that nobody gets */
	size_t exchange_count;
	size_t bodies_bytes;	     /* of all exchanges */
	struct http_route raw_route; /* of config.raw */
};

/* One TCP connection: what libmicrohttpd does not limit. */
struct http_connection {
	struct list link;
	struct http_server *server;
	int fd;
	char *target;	     /* of the present request */
	int64_t deadline_ms; /* monotonic; 0 = none */
	bool known;	     /* a request of it was admitted with a principal */
	bool busy;	     /* a request is in progress */
	bool broken;	     /* shut by us; libmicrohttpd will see it */
};
/* libmicrohttpd does not wake itself for a resumed connection: it gets its turn soon. */
void http_server_kick(struct http_server *s);
void http_connection_deadline(struct http_connection *c, int64_t monotonic_ms);

enum http_stage {
	STAGE_HEAD,    /* headers are in; not yet admitted */
	STAGE_BODY,    /* body is being collected, streamed or dropped */
	STAGE_ANSWER,  /* request is complete; the reply is owed */
	STAGE_SENDING, /* reply was handed to libmicrohttpd */
};
struct http_reply_field {
	struct http_reply_field *next;
	const char *name, *value;
};

struct exchange {
	struct http_exchange pub;
	struct list link;
	struct http_server *server; /* NULL once the server is gone */
	struct http_connection *connection;
	struct MHD_Connection *mhd; /* NULL once libmicrohttpd is done with the request */
	int refs; /* libmicrohttpd, the handler until it replied, the stream until it is closed */
	enum http_stage stage;
	bool suspended, admitted, dispatched, replied, drop_body, is_head;
	int64_t body_seen, body_dropped, body_start_ms;
	size_t body_held; /* of pub.body, counted in the server's bodies_bytes */
	const char *params[HTTP_SEGMENTS_MAX];
	struct http_reply_field *fields;
	/* Upload. */
	const struct http_upload_ops *upload;
	void *upload_arg;
	/* Reply. */
	struct MHD_Response *response;
	int status;
	/* Stream. */
	const struct http_stream_ops *stream;
	void *stream_arg;
	struct buf out;
	size_t out_at; /* bytes of out already sent */
	bool ended, failed, wanting;
	struct loop_fd *gone_watch; /* while suspended in a stream: sees the client go */
};
#define EXCHANGE(x) CONTAINER_OF(x, struct exchange, pub)

void exchange_unref(struct exchange *x);
void exchange_suspend(struct exchange *x);
void exchange_resume(struct exchange *x); /* nothing when it is not suspended */
/* The stream's owner hears 'closed', once. */
void exchange_stream_close(struct exchange *x);
/* Queues the reply that was made; MHD_NO breaks the connection off. */
enum MHD_Result exchange_send(struct exchange *x);

/* libmicrohttpd's callbacks. */
enum MHD_Result exchange_access(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
				const char *version, const char *data, size_t *data_size, void **context);
void exchange_completed(void *cls, struct MHD_Connection *mhd, void **context,
			enum MHD_RequestTerminationCode why);

/* Finds the route; fills x->pub.route and params. ERR_NOT_FOUND, ERR_METHOD (*ret_allow, in the arena). */
int http_router_find(const struct http_server_config *config, struct http_exchange *x, const char **params,
		     const char **ret_allow, struct err *err);
/* Refuses tables with a route without rule, handler or summary. */
int http_router_check(const struct http_route *const *routes, struct err *err);
#endif
