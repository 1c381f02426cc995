/* SPDX-License-Identifier: Apache-2.0 */
/* ModelStreamInfer: infer requests in a stream, answered in their order. Errors of a request are messages;
 * the stream goes on. */
#include <stdlib.h>
#include "base/list.h"
#include "base/mem.h"
#include "net/pb.h"
#include "serving/oip_grpc.h"
#include "serving/oip_pb_int.h"

#define OPEN_MAX 16 /* requests of a stream that have no answer yet; then it is not read */

enum { STREAM_ERROR = 1, STREAM_REPLY = 2 };

struct infer_stream {
	struct rpc_stream *stream; /* NULL when the client has left */
	struct list items;	   /* requests in their order, until their answer is sent */
	int count, running;
	bool half_closed, draining;
};
struct item {
	struct list node;
	struct infer_stream *stream;
	struct held_call held;	 /* its model may have to be loaded first */
	struct predict *predict; /* while it is on its way */
	struct str message;
	struct shared *memory;
	int64_t counted_bytes; /* of server->request_bytes */
	struct server *server;
	bool answered;
	struct buf answer;
};

static void item_free(struct item *item)
{
	item->stream->count--;
	list_remove(&item->node);
	buf_done(&item->answer);
	free(item);
}

static void stream_free(struct infer_stream *is)
{
	struct item *item;

	LIST_EACH(item, &is->items, node)
	item_free(item);
	free(is);
}

static void encode_error(const struct oip_request *request, const struct err *err, struct buf *b)
{
	struct pb_mark reply;

	pb_add_string(b, STREAM_ERROR, err->msg);
	reply = pb_begin(b, STREAM_REPLY, 0); /* tells which request it was */
	pb_add_str(b, INFER_MODEL_NAME, request->model_name);
	pb_add_str(b, INFER_ID, request->id);
	pb_close(b, reply);
}

static void end_stream(struct infer_stream *is)
{
	struct err err = ERR_INIT;

	if (!is->half_closed)
		err_set(&err, ERR_UNAVAILABLE, "the server shuts down");
	rpc_stream_end(is->stream, &err);
}

/* Sends the answers at the head of the queue; ends the stream behind the last one. */
static void send_answers(struct infer_stream *is)
{
	while (is->stream && !list_empty(&is->items)) {
		struct item *item = LIST_ENTRY(is->items.next, struct item, node);
		struct buf answer = item->answer;
		if (!item->answered)
			break;
		item->answer = BUF_INIT;
		item_free(item);
		rpc_stream_send(is->stream, &answer); /* may end with the client gone */
	}
	if (is->stream && is->count == 0 && (is->half_closed || is->draining))
		end_stream(is);
	else if (is->stream)
		rpc_stream_hold(is->stream, is->draining || is->count >= OPEN_MAX);
}

static void item_done(struct oip_infer *in, const struct err *err, struct buf *takes_reply)
{
	struct item *item = in->owner;
	struct infer_stream *is = item->stream;

	if (err->code && server_hold(item->server, &item->held))
		return;
	item->answer = *takes_reply;
	*takes_reply = BUF_INIT;
	if (err->code) {
		rpc_reply_begin(&item->answer);
		encode_error(&in->request, err, &item->answer);
	}
	item->answered = true;
	item->server->request_bytes -= item->counted_bytes;
	shared_unref(item->memory);
	if (is->stream)
		send_answers(is);
	if (--is->running == 0 && !is->stream) /* the client left, perhaps just now */
		stream_free(is);
}

static void run_item(struct held_call *held)
{
	struct item *item = CONTAINER_OF(held, struct item, held);
	struct oip_infer how = {
	    .owner = item, .wrap_field = STREAM_REPLY, .done = item_done, .slot = &item->predict};

	oip_grpc_infer(item->server, item->message, item->memory, INT64_MAX, &how);
}

static void on_message(struct rpc_stream *s, struct str message, struct shared *memory)
{
	struct infer_stream *is = s->user;
	struct item *item = MEM_NEW(struct item);

	if (!is) {
		is = s->user = MEM_NEW(struct infer_stream);
		is->stream = s;
		list_init(&is->items);
	}
	*item = (struct item){.stream = is, .memory = shared_ref(memory), .server = s->server};
	item->message = message;
	item->held.run = run_item;
	item->counted_bytes = (int64_t)message.len;
	s->server->request_bytes += item->counted_bytes;
	list_append(&is->items, &item->node);
	is->count++;
	is->running++;
	rpc_stream_hold(s, is->count >= OPEN_MAX);
	server_run_call(s->server, &item->held);
}

static void on_half_close(struct rpc_stream *s)
{
	struct infer_stream *is = s->user;

	if (is && is->count > 0)
		is->half_closed = true;
	else
		rpc_stream_end(s, NULL);
}

/* Requests that are open get their answers. */
static void on_drain(struct rpc_stream *s)
{
	struct infer_stream *is = s->user;
	struct err err = ERR_INIT;

	if (is && is->count > 0) {
		is->draining = true;
		rpc_stream_hold(s, true);
		return;
	}
	err_set(&err, ERR_UNAVAILABLE, "the server shuts down");
	rpc_stream_end(s, &err);
}

/* A request that waits for its model, and nobody for its answer. */
static void drop_held(struct item *item)
{
	item->answered = true;
	item->server->request_bytes -= item->counted_bytes;
	shared_unref(item->memory);
	item->stream->running--;
}

static void on_gone(struct rpc_stream *s)
{
	struct infer_stream *is = s->user;
	struct item *item;

	if (!is)
		return;
	is->stream = NULL;
	is->running++; /* stays while predictions are cancelled, which may end them */
	LIST_EACH(item, &is->items, node)
	{
		if (server_unhold(&item->held))
			drop_held(item);
		else if (item->predict)
			predict_cancel(item->predict);
	}
	if (--is->running == 0)
		stream_free(is);
}

const struct rpc_stream_ops oip_stream_ops = {
    .message = on_message, .half_close = on_half_close, .drain = on_drain, .gone = on_gone};
