/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP/1.1 server: libmicrohttpd driven by the event loop, one thread, no locks.
 *
 * Ideas. A table of routes says everything about a call: method, path, who may, what body, and what the
 * documentation says; the router refuses what is not in it. An exchange is one request and its answer. A
 * handler answers exactly once, now or later, by one of the http_reply_ functions; while it waits the
 * connection is suspended and costs nothing.
 *
 * Invariants: no handler runs before the exchange was admitted by config.authenticate (HTTP_OPEN routes
 * aside); a client that vanishes never frees an exchange that a handler still owes an answer to; everything a
 * client sizes has a limit.
 *
 * Rooms above give routes and never see libmicrohttpd. Add a route: one line in the table of its noun in
 * src/api/.
 */
#ifndef NET_HTTP_SERVER_H
#define NET_HTTP_SERVER_H

#include <jansson.h>
#include "base/arena.h"
#include "base/buf.h"
#include "loop/loop.h"
#include "net/http_uri.h"

#define HTTP_HEADER_BYTES_MAX 32768 /* request line and headers */
#define HTTP_CONNECTIONS_MAX 1024
/* Above it the oldest connection that never proved who it is gives way to a new one. */
#define HTTP_CONNECTIONS_CALM 768
#define HTTP_BODIES_BYTES_MAX (512 * 1024 * 1024) /* of all bodies that are held in memory */
#define HTTP_HEADER_DEADLINE_MS 10000 /* from the first byte (or the accept) to the end of the headers */
#define HTTP_IDLE_MS 60000	      /* kept-alive and silent */
#define HTTP_BODY_GRACE_MS 20000      /* a body may start this slow */
#define HTTP_BODY_RATE_MIN 4096	      /* bytes per second after that */
#define HTTP_STREAM_HIGH (256 * 1024) /* waiting bytes at which a writer should pause */
#define HTTP_STREAM_LOW (64 * 1024)

struct http_server;
struct http_exchange;

/* The rule of a route: the least role, and whose things it is about. 0 is no rule: a route without one is
 * refused at start. */
enum http_auth {
	HTTP_OPEN = 1, /* anybody */
	HTTP_VIEWER,   /* any credential */
	HTTP_MEMBER,
	HTTP_ADMIN,
	HTTP_PLATFORM,	  /* an administrator of the platform */
	HTTP_ROLE = 0x0f, /* mask of the above */
	/* Of the organisation that the path names as {org}: the caller's own, or any one for an administrator
	 * of the platform. Without it: the caller's own. */
	HTTP_OF_ORG = 0x10,
};
enum http_body {
	HTTP_BODY_NONE,	  /* a short one is dropped unread */
	HTTP_BODY_JSON,	  /* an object, parsed into x->json */
	HTTP_BODY_BYTES,  /* whole, in x->body */
	HTTP_BODY_STREAM, /* handler runs before the body and calls http_upload_begin */
};
struct http_param {
	const char *name, *type, *text; /* type: "string", "integer", "boolean" */
};
typedef void http_handler_fn(struct http_exchange *x, void *app);
struct http_route {
	const char *method;
	const char *path; /* "/api/v1/jobs/{job}"; "{key...}" as the last part takes one or more segments */
	int auth;	  /* enum http_auth: a role, perhaps with HTTP_OF_ORG */
	enum http_body body;
	size_t body_max_bytes;
	http_handler_fn *handle; /* GET routes answer HEAD too */
	/* Documentation, and for 'query' also the rule: other parameters are refused. */
	const char *tag, *summary;
	const struct http_param *query; /* ends with a NULL name; NULL = none */
	const char *request, *response; /* schema names; NULL = none, "bytes", "text", "events" */
	int status;			/* of success */
	int cost; /* of a call, in units that the application limits by time; 0 = nothing */
	/* Any query and a slash at the end are taken, and a POST of a page of ours needs no CSRF token:
	 * another program's pages, which change nothing here. */
	bool is_passage;
};

struct http_server_config {
	struct loop *loop;
	const char *address; /* numeric; "127.0.0.1" */
	int port;	     /* 0 = any */
	int listen_fd;	     /* > 0: a listening socket, taken, instead of address and port */
	const char *const
	    *host_names; /* allowed in Host beside IP literals and "localhost"; NULL-terminated; kept */
	const struct http_route *const
	    *routes; /* tables, each ends with a NULL method; the list ends with NULL; kept */
	/* For GET of a path outside /api/ that no route has: the console. NULL = 404. */
	http_handler_fn *fallback;
	/* Instead of routes: is called for every request right after its head, with x->target only, and does
	 * all else by itself: other protocols on HTTP (S3), which have their own rules about paths and who
	 * may. Bodies come by http_upload_begin. NULL = routes. */
	http_handler_fn *raw;
	int64_t raw_body_max_bytes;
	/* PEM, kept; NULL = no TLS. */
	const char *tls_certificate, *tls_key;
	/* Decides about an exchange whose route is not HTTP_OPEN: calls http_admit or http_reply_error, now
	 * or later. */
	http_handler_fn *authenticate;
	void *app;		 /* handed to all handlers; kept */
	size_t bodies_max_bytes; /* 0 = HTTP_BODIES_BYTES_MAX */
};
int http_server_new(const struct http_server_config *config, struct http_server **ret, struct err *err);
int http_server_port(const struct http_server *s);
size_t http_server_busy(const struct http_server *s); /* exchanges in progress */
void http_server_quiesce(struct http_server *s);      /* accepts nobody any more */
void http_server_free(struct http_server *s);	      /* breaks off what is in progress; NULL is fine */

/* One request. Fields are to be read only. */
struct http_exchange {
	void *app;
	struct arena arena; /* lives as long as the exchange */
	const struct http_route *route;
	const char *method;
	const char *target; /* as it stood in the request line */
	struct http_uri uri;
	void *principal;     /* as given to http_admit; NULL on open routes */
	struct buf body;     /* HTTP_BODY_JSON, HTTP_BODY_BYTES */
	json_t *json;	     /* HTTP_BODY_JSON */
	int64_t body_length; /* announced; -1 = unknown (chunked), 0 = none */
};
const char *http_param(struct http_exchange *x, const char *name); /* of the path; "{key...}" joined by '/' */
const char *http_query(const struct http_exchange *x, const char *name);  /* NULL when absent */
const char *http_header(const struct http_exchange *x, const char *name); /* NULL when absent; view */
/* Integer query parameter in [min, max]; leaves *ret when absent. ERR_INVALID. */
int http_query_int(const struct http_exchange *x, const char *name, int64_t min, int64_t max, int64_t *ret,
		   struct err *err);

/* Of the other end of the connection, numeric, without a port; "-" when it is gone. In the arena. */
const char *http_client_address(struct http_exchange *x);

/* Calls fn with each header as it came. */
void http_headers_each(const struct http_exchange *x,
		       void (*fn)(void *arg, const char *name, const char *value), void *arg);
void http_known(
    struct http_exchange *x); /* a raw handler knows who asks: the connection is not a stranger's */

void http_admit(struct http_exchange *x, void *principal);

/* Upload: for HTTP_BODY_STREAM, instead of a reply. After it exactly one of end and aborted is called; data's
 * failure answers by itself and is followed by aborted. 'end' owes the reply. */
struct http_upload_ops {
	int (*data)(void *arg, const void *data, size_t len, struct err *err); /* must not block for long */
	void (*end)(void *arg);
	void (*aborted)(
	    void *arg); /* client vanished or data failed; the exchange must not be touched any more */
};
void http_upload_begin(struct http_exchange *x, const struct http_upload_ops *ops, void *arg);

/* Replies; exactly one per exchange, which must not be touched afterwards (streams: until 'closed'). */
void http_reply_header(struct http_exchange *x, const char *name,
		       const char *value);			      /* before the reply; copies */
void http_reply_json(struct http_exchange *x, int status, json_t *j); /* takes j */
void http_reply_error(struct http_exchange *x, const struct err *err);
void http_reply_bytes(struct http_exchange *x, int status, const char *content_type, const void *data,
		      size_t len); /* copies */
void http_reply_buf(struct http_exchange *x, int status, const char *content_type,
		    struct buf *body); /* takes */
void http_reply_static(struct http_exchange *x, int status, const char *content_type, const void *data,
		       size_t len); /* keeps data for ever */
void http_reply_empty(struct http_exchange *x, int status);
/* The answer to HEAD: says 'length', sends nothing. */
void http_reply_head(struct http_exchange *x, int status, const char *content_type, int64_t length);
/* Bytes of a file, by sendfile(2) where there is no TLS. Takes fd. */
void http_reply_file(struct http_exchange *x, int status, const char *content_type, int fd, int64_t offset,
		     int64_t length);

/* Streaming reply. 'length' -1 = unknown (chunked). */
struct http_stream_ops {
	void (*want)(
	    void *arg); /* fewer than HTTP_STREAM_LOW bytes wait (also right after the headers went out) */
	void (*closed)(void *arg); /* once, always: all sent or client gone; last use of the exchange */
};
void http_reply_stream(struct http_exchange *x, int status, const char *content_type, int64_t length,
		       const struct http_stream_ops *ops, void *arg);
/* Copies. Returns false when HTTP_STREAM_HIGH bytes or more wait: pause until want. */
bool http_stream_write(struct http_exchange *x, const void *data, size_t len);
void http_stream_end(struct http_exchange *x);
void http_stream_fail(struct http_exchange *x); /* breaks the connection off, so that the client sees it */

/* Download: a stream of a source of known size that blocks on reading; handles Range, If-None-Match and HEAD.
 */
struct http_source_ops {
	ssize_t (*read)(void *arg, int64_t offset, void *data, size_t len,
			struct err *err); /* on a pool thread */
	void (*close)(void *arg);	  /* once, on the loop's thread */
};
struct http_download {
	int64_t size;
	const char *etag;	  /* without quotes; "" = none */
	const char *content_type; /* "" = application/octet-stream */
	const struct http_source_ops *ops;
	void *arg; /* taken */
};
void http_reply_download(struct http_exchange *x, const struct http_download *d); /* borrows d */

#endif
