/* SPDX-License-Identifier: Apache-2.0 */
/* What the nouns of the API share. */
#ifndef API_API_INT_H
#define API_API_INT_H

#include "api/api.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "core/uri.h"
#include "net/http_server.h"

/* Followers of logs and watchers: of all, of one organisation, of one of its users. */
#define API_STREAMS_MAX 512
#define API_STREAMS_OF_ORG_MAX 256
#define API_STREAMS_OF_USER_MAX 128
#define API_SESSION_SECRET_BYTES 32

struct api {
	struct api_config config;
	struct http_server *server;
	int64_t started_ms; /* monotonic */
	unsigned char session_secret[API_SESSION_SECRET_BYTES];
	struct map *ended_sessions; /* digest of the claim → struct api_session_end; until it would expire */
	size_t works;		    /* pool work and open sources that use us */
	struct list calls;	    /* of net/http_client.h, ended with us */
	size_t streams;		    /* see API_STREAMS_MAX */
	struct map *user_buckets, *org_buckets, *guess_buckets, *address_buckets; /* api_limit.c */
	struct list open_streams;						  /* of struct api_stream */
	struct loop_timer *expiry;	 /* of the first key among those of open streams */
	struct store_check *store_check; /* api_store_check.c; NULL = none yet */
	struct list holds;		 /* of struct store_hold; api_holds.c */
	size_t hold_count;
	struct map *streams_of; /* "ORG" and "ORG/USER" → size_t; only those with some */
};

/* Tables, one per noun, joined by api_routes.c. */
extern const struct http_route api_system_routes[], api_snapshot_routes[], api_hold_routes[],
    api_session_routes[], api_job_routes[], api_cron_routes[], api_model_routes[], api_tensorboard_routes[],
    api_store_routes[], api_store_bucket_routes[], api_store_check_routes[], api_store_upload_routes[],
    api_watch_routes[], api_org_routes[], api_user_routes[], api_key_routes[], api_quota_routes[],
    api_usage_routes[];
extern const struct http_route *const api_routes[];

const struct principal *api_principal(const struct http_exchange *x);
/* api_auth.c: token or session; the rule of the route. */
void api_authenticate(struct http_exchange *x, void *app);
/* api_session.c: the session of the request's cookie; false without a valid one. */
struct api_session {
	struct principal who;
	char csrf[DIGEST_HEX_LEN + 1];
};
bool api_session_find(struct api *a, const struct http_exchange *x, struct api_session *ret);
/* Reads the secret that cookies are signed with from the data folder, makes it at the first start. */
int api_session_open(struct api *a, struct err *err);
void api_session_close(struct api *a);
/* A page of another origin is refused. */
int api_check_origin(const struct http_exchange *x, struct err *err);

/* loop_work that api_free waits for. */
void api_work(struct api *a, void (*work)(void *arg), void (*done)(void *arg), void *arg);
/* api_streams.c: one who follows; embedded in what the follower keeps. 'cut' is called when the key of who is
 * no longer worth anything: end it. */
struct api_stream {
	struct list node;
	struct principal who;
	void (*cut)(void *arg);
	void *arg;
};
void api_streams_open(struct api *a);
void api_streams_close(struct api *a);
/* Is there room for one more follower? ERR_LIMIT. On success api_stream_leave must follow. */
int api_stream_enter(struct api *a, struct api_stream *s, const struct principal *who, void (*cut)(void *arg),
		     void *arg, struct err *err);
void api_stream_leave(struct api *a, struct api_stream *s);

/* api_limit.c. ERR_LIMIT, and Retry-After on the answer. */
void api_limits_open(struct api *a);
void api_limits_close(struct api *a);
int api_limit_check(struct http_exchange *x, struct api *a, const struct principal *who, struct err *err);
/* Before a token of a login is looked at; and after it was found wrong, with that error in *err. */
int api_login_check(struct http_exchange *x, struct api *a, const char *token, struct err *err);
int api_login_failed(struct http_exchange *x, struct api *a, const char *token, struct err *err);

/* "Idempotency-Key" and the digest of method, path and body, in the exchange's arena. */
struct ctl_idempotency api_idempotency(struct http_exchange *x);
/* The same, and the digest is also of the method and of which noun the call is about. */
struct ctl_idempotency api_idempotency_of(struct http_exchange *x, const char *noun);
void api_reply_failure(struct http_exchange *x, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* ctl_done_fn with the exchange as arg: 200, 201, 202 with the noun. */
void api_done_ok(void *arg, const struct ctl_result *result, const struct err *err);
void api_done_created(void *arg, const struct ctl_result *result, const struct err *err);
void api_done_accepted(void *arg, const struct ctl_result *result, const struct err *err);
/* limit, before, state, name. */
int api_list_query(const struct http_exchange *x, struct ctl_list_query *ret, struct err *err);
/* A page of services of either kind, {data, next}, to the exchange 'arg'. */
void api_reply_services(void *arg, const struct service *const *services, size_t count, bool more,
			const struct err *err);
void api_reply_events(void *arg, const struct event *events, size_t count, const struct err *err);

/* api_logs.c: the log of a job's attempts or of a service. */
/* "task" of the query: one that the job has. ERR_NOT_FOUND, ERR_INVALID. */
int api_task_index(struct http_exchange *x, const struct job *job, int64_t *ret, struct err *err);
void api_job_logs(struct http_exchange *x, void *app);
void api_model_logs(struct http_exchange *x, void *app);
void api_tensorboard_logs(struct http_exchange *x, void *app);
extern const struct http_param api_log_params[], api_model_log_params[];

/* api_jobs_batch.c */
#define API_BATCH_BYTES_MAX (16 * 1024 * 1024)
void api_job_batch(struct http_exchange *x, void *app);

/* api_store_check.c: tells a check that is under way to stop; and frees what it has found. */
void api_store_check_stop(struct api *a);
void api_store_check_free(struct api *a);

/* api_holds.c */
void api_holds_open(struct api *a);
void api_holds_close(struct api *a); /* releases what is held: who copies is told at the next renewal */

/* api_model_source.c: from spec->job or spec->uri to files that are there. Blocks: pool. Replaces spec->uri
 * and spec->framework. */
int api_model_resolve(struct blob_store *blobs, const char *org, struct service_spec *spec, struct err *err);

/* api_model_metrics.c */
void api_model_metrics(struct http_exchange *x, void *app);

/* api_console.c */
void api_console(struct http_exchange *x, void *app);

#endif
