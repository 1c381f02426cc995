/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front door of the typed client of our own API: what the command line (and later C programs) call.
 *
 * Ideas: one blocking call per request on libcurl; errors come back as the server's own error values; a
 * follow holds a watch and a log stream at once and reconnects when the server restarts. Nothing here prints.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <jansson.h>
#include "base/buf.h"
#include "base/err.h"

#define CLIENT_ANSWER_BYTES_MAX (64 << 20)

struct client;

/* Copies both. token NULL = no credential. Returns owned. */
int client_new(const char *endpoint, const char *token, struct client **ret, struct err *err);
void client_free(struct client *c);
const char *client_endpoint(const struct client *c);
/* From here on a call that takes longer ends with ERR_TIMEOUT; 0 = no limit, as at first. */
void client_limit(struct client *c, long limit_ms);

/* One JSON call. path starts with '/' and is encoded already (client_escape). body may be NULL; borrows it.
 * idempotency_key may be NULL. *ret is owned by the caller, NULL for an empty answer; ret may be NULL.
 * Errors: the server's, or ERR_UNAVAILABLE when it cannot be reached. */
int client_call(struct client *c, const char *method, const char *path, const json_t *body,
		const char *idempotency_key, json_t **ret, struct err *err);

/* Percent-encodes one path segment, or a key with its slashes kept. Returns owned. */
char *client_escape(const char *text, bool keep_slash);

/* Uploads size_bytes from fd's start to a store object; progress may be NULL. sha256 NULL or hex. */
typedef void client_progress_fn(void *arg, int64_t done_bytes, int64_t total_bytes);
int client_upload(struct client *c, const char *path, int fd, int64_t size_bytes, const char *sha256,
		  client_progress_fn *progress, void *arg, json_t **ret, struct err *err);
/* The same of size_bytes from 'offset' on. Fails when nothing moves for a minute. */
int client_upload_at(struct client *c, const char *path, int fd, int64_t offset, int64_t size_bytes,
		     const char *sha256, client_progress_fn *progress, void *arg, json_t **ret,
		     struct err *err);
/* Hands the body to sink as it arrives; a negative answer of sink stops with ERR_CANCELLED. */
typedef int client_sink_fn(void *arg, const void *data, size_t len);
int client_download(struct client *c, const char *path, client_sink_fn *sink, void *arg, struct err *err);
/* The same of size_bytes > 0 from 'offset' on. Fails when nothing moves for a minute. */
int client_download_range(struct client *c, const char *path, int64_t offset, int64_t size_bytes,
			  client_sink_fn *sink, void *arg, struct err *err);

/* Watches one subject by Server-Sent Events and, beside it, streams a log. Ends when on_change answers
 * non-zero and the log has ended (or there is none), or when *stop is set (from a signal handler). Reconnects
 * with the log's offset kept when the connection breaks; on_note hears of it and gets NULL when the
 * connection is back. */
struct client_follow {
	const char *watch_path;
	const char *log_path; /* "/api/v1/jobs/ID/logs"; NULL = none */
	int64_t log_offset;
	int (*on_change)(void *arg, const char *event,
			 const json_t *data); /* 1 = final, negative = stop with this */
	void (*on_log)(void *arg, const void *data, size_t len);
	void (*on_idle)(void *arg); /* about five times a second; may be NULL */
	void (*on_note)(void *arg, const char *note);
	void *arg;
	volatile const int *stop;
};
int client_follow(struct client *c, struct client_follow *f, struct err *err); /* ERR_CANCELLED on *stop */

/* gRPC Predict of TensorFlow Serving at "host:port": 'request' is {"inputs"|"instances", "signature_name"?}
 * as for REST, 'metadata' the model's TensorFlow Serving metadata document (names, dtypes, shapes). The
 * answer has the REST shape
 * {"outputs"|"predictions": …}, owned by the caller. */
int client_grpc_predict(const char *address, const char *model, const json_t *metadata, const json_t *request,
			json_t **ret, struct err *err);

/* Where the server is and who we are: CLOUDML_ENDPOINT and CLOUDML_TOKEN, else ~/.config/cloudml/config.json
 * {"endpoint", "token"} (unless a data folder is named), else the data folder's run/server.json and
 * root-token. A file's token is only taken for the endpoint that the file names. */
struct client_config {
	char *endpoint, *token; /* NULL when unknown */
	char *data_folder;
};
void client_config_load(const char *data_folder, struct client_config *ret);
void client_config_done(struct client_config *c);
/* Writes this user's configuration file, readable by them alone. endpoint NULL: removes it. */
int client_config_save(const char *endpoint, const char *token, struct err *err);
/* The flag, else CLOUDML_DATA, else /var/lib/cloudml for root, else $XDG_DATA_HOME/cloudml or
 * ~/.local/share/cloudml. Absolute; returns owned. */
char *client_data_folder(const char *flag);

#endif
