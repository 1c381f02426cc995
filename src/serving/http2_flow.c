/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC calls of many messages: reading at the pace at which the client takes the answers.
 *
 * Bytes wait in s->in, at most a stream's window of them, while more than FLOW_OUT_HIGH bytes of answers have
 * not been sent; only what was taken out of s->in is credited to the client's window. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/copies.h"
#include "serving/http2_int.h"

#define FLOW_OUT_HIGH ((size_t)64 * 1024)

static struct h2_stream *stream_of(struct rpc_stream *flow)
{
	return CONTAINER_OF(flow, struct h2_stream, flow);
}

static size_t unsent(const struct h2_stream *s)
{
	return s->reply.len - s->reply_sent;
}

static size_t unread(const struct h2_stream *s)
{
	return s->in.len - s->in_used;
}

static int submit_trailers(struct h2_stream *s)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	char status[16];
	size_t len = (size_t)snprintf(status, sizeof(status), "%d", err_grpc(s->end.code));
	nghttp2_nv trailers[] = {
	    {(uint8_t *)"grpc-status", (uint8_t *)status, 11, len, NGHTTP2_NV_FLAG_NONE},
	    {(uint8_t *)"grpc-message", NULL, 12, 0, NGHTTP2_NV_FLAG_NONE},
	};

	grpc_message_encode(&text, s->end.msg);
	trailers[1].value = (uint8_t *)buf_str(&text);
	trailers[1].valuelen = text.len;
	return nghttp2_submit_trailer(s->connection->session, s->id, trailers, s->end.code ? 2 : 1);
}

static ssize_t flow_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t length, uint32_t *flags,
			 nghttp2_data_source *source, void *user)
{
	struct h2_stream *s = source->ptr;
	size_t n = unsent(s) < length ? unsent(s) : length;

	if (n == 0 && !s->ended) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (s->ended && n == unsent(s)) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (submit_trailers(s) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)n;
}

/* There is something new to send. */
static void wake(struct h2_stream *s)
{
	nghttp2_nv headers[] = {
	    {(uint8_t *)":status", (uint8_t *)"200", 7, 3, NGHTTP2_NV_FLAG_NONE},
	    {(uint8_t *)"content-type", (uint8_t *)"application/grpc", 12, 16, NGHTTP2_NV_FLAG_NONE},
	};
	nghttp2_data_provider provider = {.source.ptr = s, .read_callback = flow_read};
	struct h2_connection *c = s->connection;

	if (!s->responded) {
		s->responded = true;
		nghttp2_submit_response(c->session, s->id, headers, 2, &provider);
	} else if (s->deferred) {
		s->deferred = false;
		nghttp2_session_resume_data(c->session, s->id);
	}
	h2_connection_update(c);
}

void rpc_stream_send(struct rpc_stream *flow, struct buf *takes_message)
{
	struct h2_stream *s = stream_of(flow);
	struct buf message = *takes_message;

	*takes_message = BUF_INIT;
	if (s->connection && !s->ended) {
		grpc_prefix_write((uint8_t *)message.data, false,
				  (uint32_t)(message.len - GRPC_PREFIX_BYTES));
		buf_add(&s->reply, message.data, message.len);
		if (list_empty(&s->outgoing_node))
			h2_stream_taken(s);
		copies_count(COPY_OUT, message.len);
		buf_done(&message);
		wake(s);
		return;
	}
	buf_done(&message);
}

void rpc_stream_end(struct rpc_stream *flow, const struct err *err)
{
	struct h2_stream *s = stream_of(flow);

	if (!s->connection || s->ended)
		return;
	s->ended = true;
	s->end = err ? *err : ERR_INIT;
	if (s->responded) {
		wake(s);
		return;
	}
	h2_stream_fail(s, &s->end);
	h2_connection_update(s->connection);
}

static int hand_over(struct h2_stream *s, struct err *err)
{
	struct h2_message *m;
	struct str bytes;
	int r = h2_message_take(s, &m, &bytes, err);

	if (r < 0)
		return r;
	s->flow.ops->message(&s->flow, bytes, &m->shared);
	shared_unref(&m->shared);
	return 0;
}

/* Takes bytes out of s->in up to the end of one message. */
static int take_bytes(struct h2_stream *s, struct err *err)
{
	size_t used = 0;
	int r = grpc_reader_feed(&s->reader, s->in.data + s->in_used, unread(s),
				 (size_t)s->server->options->message_bytes_max, &used, err);

	s->in_used += used;
	if (s->in_used > s->in.len / 2) { /* each byte moves once at most */
		buf_consume(&s->in, s->in_used);
		s->in_used = 0;
	}
	nghttp2_session_consume_stream(s->connection->session, s->id, used);
	h2_stream_count(s, (int64_t)(s->in.len + s->reader.message_len));
	return r < 0 ? r : server_check_memory(s->server, err);
}

/* Messages for as long as there are some and the client takes the answers. */
static void pump(struct h2_stream *s)
{
	struct err err = ERR_INIT;
	int r = 0;

	if (s->pumping) /* an answer to a message is going out */
		return;
	s->pumping = true;
	while (r >= 0 && !s->ended && !s->on_hold && unread(s) > 0 && unsent(s) < FLOW_OUT_HIGH) {
		r = take_bytes(s, &err);
		if (r >= 0 && grpc_reader_complete(&s->reader))
			r = hand_over(s, &err);
	}
	if (r >= 0 && !s->ended && s->end_received && unread(s) == 0 && !s->half_closed) {
		s->half_closed = true;
		if (s->reader.prefix_len > 0)
			r = err_set(&err, ERR_INTERNAL, "the request ended before its message was complete");
		else
			s->flow.ops->half_close(&s->flow);
	}
	if (r < 0)
		rpc_stream_end(&s->flow, &err);
	if (s->ended) { /* nothing of the client is read any more, but its window goes on */
		nghttp2_session_consume_stream(s->connection->session, s->id, unread(s));
		buf_done(&s->in);
		s->in_used = 0;
		grpc_reader_done(&s->reader);
		h2_stream_count(s, 0);
	}
	s->pumping = false;
}

void rpc_stream_hold(struct rpc_stream *flow, bool hold)
{
	struct h2_stream *s = stream_of(flow);
	struct h2_connection *c = s->connection;
	bool updating;

	if (s->on_hold == hold)
		return;
	s->on_hold = hold;
	if (hold || !c || s->ended)
		return;
	updating = c->updating;
	c->updating = true; /* answers go out when all messages that can be handed over were */
	pump(s);
	c->updating = updating;
	h2_connection_update(c);
}

void h2_flow_begin(struct h2_stream *s)
{
	s->begun = true;
	s->flow = (struct rpc_stream){.server = s->server, .ops = s->method->stream};
}

void h2_flow_data(struct h2_stream *s, const void *data, size_t len)
{
	if (s->ended) {
		nghttp2_session_consume_stream(s->connection->session, s->id, len);
		return;
	}
	buf_add(&s->in, data, len);
	pump(s);
}

void h2_flow_end_received(struct h2_stream *s)
{
	pump(s);
}

void h2_flow_sent(struct h2_stream *s)
{
	if (unsent(s) == 0) {
		buf_clear(&s->reply);
		s->reply_sent = 0;
	}
	if (!s->ended)
		pump(s);
}

void h2_flow_drain(struct h2_stream *s)
{
	struct err err = ERR_INIT;

	if (s->flow.ops->drain) {
		s->flow.ops->drain(&s->flow);
		return;
	}
	err_set(&err, ERR_UNAVAILABLE, "the server shuts down");
	rpc_stream_end(&s->flow, &err);
}
