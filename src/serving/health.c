/* SPDX-License-Identifier: Apache-2.0 */
/* The standard health service, see health.h. */
#include "serving/health.h"

#include <stdlib.h>
#include "base/mem.h"
#include "net/pb.h"
#include "serving/rpc.h"

enum { HEALTH_SERVING = 1, HEALTH_NOT_SERVING = 2, HEALTH_SERVICE_UNKNOWN = 3 };

static int decode_service(const struct server *s, struct str message, struct str *ret, struct err *err)
{
	struct pb p;
	struct pb_field f;

	if (!s->options->health_service)
		return err_set(err, ERR_UNSUPPORTED, "the health service is switched off");
	*ret = (struct str){"", 0};
	pb_init_str(&p, message);
	while (pb_next(&p, &f))
		if (pb_is(&f, 1, PB_BYTES))
			pb_text(&p, &f, ret);
	return pb_end(&p, "HealthCheckRequest", err);
}

static bool is_known(struct str service)
{
	static const char *const names[] = {"", "ModelService", "PredictionService",
					    "tensorflow.serving.ModelService",
					    "tensorflow.serving.PredictionService"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (str_eq(service, names[i]))
			return true;
	return false;
}

static uint64_t status_now(const struct server *s)
{
	return registry_is_ready(&s->registry) && !s->draining ? HEALTH_SERVING : HEALTH_NOT_SERVING;
}

static void begin_reply(struct buf *b, uint64_t status)
{
	rpc_reply_begin(b);
	pb_add_varint(b, 1, status);
}

static void handle_check(struct rpc_call *c)
{
	struct buf reply = BUF_INIT;
	struct err err = ERR_INIT;
	struct str service;
	int r = decode_service(c->server, c->message, &service, &err);

	if (r >= 0 && !is_known(service))
		r = err_set(&err, ERR_NOT_FOUND, "unknown service");
	if (r < 0) {
		rpc_fail(c, &err);
		return;
	}
	begin_reply(&reply, status_now(c->server));
	rpc_reply(c, &reply);
}

/* A client that watches; in server->watchers. */
struct watcher {
	struct list node;
	struct rpc_stream *stream;
	bool unknown; /* watches a service that there is not: told once */
	uint64_t told;
};

/* The stream may be gone afterwards, and others of its connection too. */
static void tell(struct watcher *w, uint64_t status)
{
	struct buf reply = BUF_INIT;

	w->told = status;
	begin_reply(&reply, status);
	rpc_stream_send(w->stream, &reply);
}

static void watch_message(struct rpc_stream *s, struct str message, struct shared *memory)
{
	struct err err = ERR_INIT;
	struct str service;
	struct watcher *w;
	int r = decode_service(s->server, message, &service, &err);

	if (r >= 0 && s->user)
		r = err_set(&err, ERR_INVALID, "Watch takes one message, more were sent");
	if (r < 0) {
		rpc_stream_end(s, &err);
		return;
	}
	w = MEM_NEW(struct watcher);
	w->stream = s;
	w->unknown = !is_known(service);
	list_append(&s->server->watchers, &w->node);
	s->user = w;
	tell(w, w->unknown ? HEALTH_SERVICE_UNKNOWN : status_now(s->server));
}

static void watch_half_close(struct rpc_stream *s)
{
	struct err err = ERR_INIT;

	if (s->user)
		return; /* the client only listens now */
	err_set(&err, ERR_INVALID, "Watch needs a message");
	rpc_stream_end(s, &err);
}

static void watch_drain(struct rpc_stream *s)
{
	struct watcher *w = s->user;
	struct err err = ERR_INIT;

	if (w && w->told == HEALTH_SERVING)
		tell(w, HEALTH_NOT_SERVING);
	err_set(&err, ERR_UNAVAILABLE, "the server shuts down");
	rpc_stream_end(s, &err);
}

static void watch_gone(struct rpc_stream *s)
{
	struct watcher *w = s->user;

	if (!w)
		return;
	list_remove(&w->node);
	free(w);
}

static struct watcher *find_untold(struct server *s, uint64_t now)
{
	struct watcher *w;

	LIST_EACH(w, &s->watchers, node)
	if (!w->unknown && w->told != now)
		return w;
	return NULL;
}

void health_before_wait(struct server *s)
{
	struct watcher *w;
	uint64_t now;

	if (list_empty(&s->watchers))
		return;
	now = status_now(s);
	while ((w = find_untold(s, now)) != NULL)
		tell(w, now);
}

static const struct rpc_stream_ops watch_ops = {
    .message = watch_message, .half_close = watch_half_close, .drain = watch_drain, .gone = watch_gone};

const struct rpc_method health_rpc_methods[] = {
    {"/grpc.health.v1.Health/Check", handle_check, NULL, NULL},
    {"/grpc.health.v1.Health/Watch", NULL, NULL, &watch_ops},
    {NULL, NULL, NULL, NULL},
};
