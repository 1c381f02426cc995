/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of an HTTP/2 connection: one gRPC call each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "serving/copies.h"
#include "serving/http2_int.h"
#include "serving/inflate.h"

#define NS_PER_MS 1000000
#define NS_PER_S 1000000000

static void message_free(struct shared *shared)
{
	struct h2_message *m = CONTAINER_OF(shared, struct h2_message, shared);

	grpc_reader_done(&m->reader);
	free(m->inflated);
	free(m);
}

void h2_stream_count(struct h2_stream *s, int64_t bytes)
{
	s->server->request_bytes += bytes - s->counted_bytes;
	s->counted_bytes = bytes;
}

static void stream_free(struct h2_stream *s)
{
	h2_stream_count(s, 0);
	list_remove(&s->node);
	list_remove(&s->incoming_node);
	list_remove(&s->outgoing_node);
	grpc_reader_done(&s->reader);
	buf_done(&s->reply);
	if (s->views)
		shared_unref(&s->views->shared);
	buf_done(&s->in);
	free(s);
}

/* The protocol is done with the call: the request's bytes go, the stream stays until its answer is sent. */
static void end_call(struct h2_stream *s)
{
	shared_unref(s->call.memory);
	s->call.memory = NULL;
	s->running = false;
	h2_stream_count(s, 0);
	server_call_end(s->server);
}

void h2_stream_detach(struct h2_stream *s)
{
	s->connection = NULL;
	if (server_unhold(&s->held))
		end_call(s);
	if (s->begun && s->flow.ops->gone)
		s->flow.ops->gone(&s->flow);
	if (s->running) {
		list_remove(&s->node);
		list_remove(&s->incoming_node);
		list_remove(&s->outgoing_node);
		if (s->call.cancel)
			s->call.cancel(&s->call); /* s may be gone */
	} else {
		stream_free(s);
	}
}

void h2_connection_watch(struct h2_connection *c)
{
	struct server *server = c->http2->server;
	int64_t oldest_ns = INT64_MAX;

	if (!list_empty(&c->incoming))
		oldest_ns = LIST_ENTRY(c->incoming.next, struct h2_stream, incoming_node)->started_ns;
	if (!list_empty(&c->outgoing)) {
		int64_t taken_ns = LIST_ENTRY(c->outgoing.next, struct h2_stream, outgoing_node)->taken_ns;
		oldest_ns = taken_ns < oldest_ns ? taken_ns : oldest_ns;
	}
	if (oldest_ns == INT64_MAX)
		server_loop_timer_stop(server->loop, &c->idle);
	else
		server_loop_timer_start(server->loop, &c->idle,
					oldest_ns + server->options->body_timeout_ms * NS_PER_MS);
}

static size_t reply_left(const struct h2_stream *s)
{
	size_t left = s->reply.len - s->reply_sent - s->view_sent;

	for (size_t i = s->view; s->views && i < s->views->count; i++)
		left += s->views->items[i].len;
	return left;
}

void h2_stream_taken(struct h2_stream *s)
{
	s->taken_ns = clock_monotonic_ns();
	list_remove(&s->outgoing_node);
	if (reply_left(s) > 0)
		list_append(&s->connection->outgoing, &s->outgoing_node);
}

static nghttp2_nv header(const char *name, const char *value, size_t value_len)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), value_len,
			    NGHTTP2_NV_FLAG_NO_COPY_NAME};
}

static ssize_t rejection_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t length,
			      uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct h2_stream *s = source->ptr;
	size_t left = s->reply.len - s->reply_sent;

	*flags |= NGHTTP2_DATA_FLAG_NO_COPY | (left <= length ? NGHTTP2_DATA_FLAG_EOF : 0);
	return (ssize_t)(left < length ? left : length);
}

static void reject_http(struct h2_stream *s, const char *status)
{
	nghttp2_nv headers[] = {header(":status", status, 3), header("content-type", "application/json", 16)};
	nghttp2_data_provider provider = {.source.ptr = s, .read_callback = rejection_read};

	s->answered = true;
	buf_adds(&s->reply, "{\"error\":\"HTTP/2 is for gRPC here; use HTTP/1.1 for REST\"}\n");
	nghttp2_submit_response(s->connection->session, s->id, headers, 2, s->is_head ? NULL : &provider);
}

void h2_stream_fail(struct h2_stream *s, const struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	char status[16];
	nghttp2_nv headers[] = {header(":status", "200", 3), header("content-type", "application/grpc", 16),
				header("grpc-status", status, 0), header("grpc-message", NULL, 0)};

	grpc_message_encode(&text, err->msg);
	headers[2].valuelen = (size_t)snprintf(status, sizeof(status), "%d", err_grpc(err->code));
	headers[3].value = (uint8_t *)buf_str(&text);
	headers[3].valuelen = text.len;
	s->answered = true;
	nghttp2_submit_headers(s->connection->session, NGHTTP2_FLAG_END_STREAM, s->id, NULL, headers, 4,
			       NULL);
}

static const struct rpc_view *next_view(const struct h2_stream *s)
{
	return s->views && s->view < s->views->count ? &s->views->items[s->view] : NULL;
}

/* The next 'length' bytes of the reply: views stay where they are. */
static void send_reply(struct h2_stream *s, struct out_queue *out, size_t length)
{
	while (length > 0) {
		const struct rpc_view *v = next_view(s);
		size_t own = (v ? v->at : s->reply.len) - s->reply_sent;
		size_t n = own > 0 ? own : v->len - s->view_sent;
		n = n < length ? n : length;
		length -= n;
		if (own > 0) {
			out_queue_add(out, s->reply.data + s->reply_sent, n);
			copies_count(COPY_OUT, n);
			s->reply_sent += n;
			continue;
		}
		out_queue_add_view(out, (const char *)v->data + s->view_sent, n, &s->views->shared);
		s->view_sent += n;
		if (s->view_sent == v->len) {
			s->view++;
			s->view_sent = 0;
		}
	}
}

static ssize_t reply_read(nghttp2_session *session, int32_t id, uint8_t *to, size_t length, uint32_t *flags,
			  nghttp2_data_source *source, void *user)
{
	struct h2_stream *s = source->ptr;
	size_t left = reply_left(s);
	size_t n = left < length ? left : length;
	nghttp2_nv trailers[] = {header("grpc-status", "0", 1)};

	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (n == left) {
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(session, id, trailers, 1) != 0)
			return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	}
	return (ssize_t)n;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_header,
			size_t length, nghttp2_data_source *source, void *user)
{
	struct h2_connection *c = user;
	struct h2_stream *s = source->ptr;

	if (c->out.waiting >= H2_OUT_HIGH)
		return NGHTTP2_ERR_WOULDBLOCK;
	out_queue_add(&c->out, frame_header, 9);
	send_reply(s, &c->out, length);
	h2_stream_taken(s);
	if (s->begun)
		h2_flow_sent(s);
	return 0;
}

static void views_free(struct shared *shared)
{
	struct rpc_views *views = CONTAINER_OF(shared, struct rpc_views, shared);

	for (size_t i = 0; i < views->count; i++)
		tensor_done(&views->items[i].tensor);
	free(views);
}

struct rpc_views *rpc_views_new(size_t max)
{
	struct rpc_views *views = mem_alloc(sizeof(*views) + max * sizeof(views->items[0]));

	shared_init(&views->shared, views_free);
	return views;
}

void rpc_views_add(struct rpc_views *views, const struct buf *b, struct tensor *takes_tensor)
{
	views->items[views->count++] =
	    (struct rpc_view){b->len, takes_tensor->data, takes_tensor->bytes, *takes_tensor};
	takes_tensor->owner = NULL;
	takes_tensor->release = NULL;
}

void rpc_reply(struct rpc_call *call, struct buf *takes_message)
{
	rpc_reply_views(call, takes_message, NULL);
}

void rpc_reply_views(struct rpc_call *call, struct buf *takes_message, struct rpc_views *takes_views)
{
	struct h2_stream *s = CONTAINER_OF(call, struct h2_stream, call);
	nghttp2_nv headers[] = {header(":status", "200", 3), header("content-type", "application/grpc", 16)};
	nghttp2_data_provider provider = {.source.ptr = s, .read_callback = reply_read};

	end_call(s);
	s->reply = *takes_message;
	*takes_message = BUF_INIT;
	s->views = takes_views;
	if (!s->connection) {
		stream_free(s);
		return;
	}
	grpc_prefix_write((uint8_t *)s->reply.data, false, (uint32_t)(reply_left(s) - GRPC_PREFIX_BYTES));
	h2_stream_count(s, (int64_t)reply_left(s));
	h2_stream_taken(s);
	s->answered = true;
	nghttp2_submit_response(s->connection->session, s->id, headers, 2, &provider);
	h2_connection_update_soon(s->connection);
}

void rpc_fail(struct rpc_call *call, const struct err *err)
{
	struct h2_stream *s = CONTAINER_OF(call, struct h2_stream, call);

	s->held.deadline_ns = s->call.deadline_ns;
	if (server_hold(s->server, &s->held)) {
		s->call.cancel = NULL; /* of the attempt that is over */
		return;
	}
	end_call(s);
	if (!s->connection) {
		stream_free(s);
		return;
	}
	h2_stream_fail(s, err);
	h2_connection_update_soon(s->connection);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_connection *c = user;
	struct h2_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	s = MEM_NEW(struct h2_stream);
	s->connection = c;
	s->server = c->http2->server;
	s->id = frame->hd.stream_id;
	s->started_ns = clock_monotonic_ns();
	s->call.server = s->server;
	s->call.deadline_ns = INT64_MAX;
	list_init(&s->node);
	list_init(&s->incoming_node);
	list_init(&s->outgoing_node);
	list_append(&c->streams, &s->node);
	list_append(&c->incoming, &s->incoming_node);
	nghttp2_session_set_stream_user_data(session, s->id, s);
	return 0;
}

static void take_header(struct h2_stream *s, struct str name, struct str value)
{
	int64_t timeout_ns;

	if (str_eq(name, ":method")) {
		s->is_post = str_eq(value, "POST");
		s->is_head = str_eq(value, "HEAD");
	} else if (str_eq(name, ":path") && value.len < H2_PATH_MAX) {
		memcpy(s->path, value.data, value.len);
		s->path[value.len] = 0;
	} else if (str_eq(name, "content-type")) {
		s->is_grpc = value.len >= 16 && memcmp(value.data, "application/grpc", 16) == 0 &&
			     (value.len == 16 || value.data[16] == '+' || value.data[16] == ';');
	} else if (str_eq(name, "grpc-encoding")) {
		s->gzip = str_eq(value, "gzip") || str_eq(value, "deflate");
		s->unknown_encoding = !s->gzip && !str_eq(value, "identity");
	} else if (str_eq(name, "grpc-timeout")) {
		struct err err = ERR_INIT;
		s->failed_header |= grpc_timeout_parse(value, &timeout_ns, &err) < 0;
		if (!s->failed_header &&
		    __builtin_add_overflow(s->started_ns, timeout_ns, &s->call.deadline_ns))
			s->call.deadline_ns = INT64_MAX;
	}
}

/* A request below one that has begun: nghttp2 would pass over it, RFC 9113 (5.1.1) ends the connection. */
static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
	if (hd->type == NGHTTP2_HEADERS &&
	    hd->stream_id <= nghttp2_session_get_last_proc_stream_id(session) &&
	    !nghttp2_session_find_stream(session, hd->stream_id))
		nghttp2_session_terminate_session(session, NGHTTP2_PROTOCOL_ERROR);
	return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *user)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	if (!s || frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	s->header_bytes += name_len + value_len + 32;
	if (s->header_bytes <= H2_HEADER_BYTES_MAX)
		take_header(s, (struct str){(const char *)name, name_len},
			    (struct str){(const char *)value, value_len});
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		   void *user)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);
	struct err err = ERR_INIT;
	size_t used;
	int r;

	if (s && s->begun) {
		nghttp2_session_consume_connection(session, len);
		h2_flow_data(s, data, len);
		return 0;
	}
	nghttp2_session_consume(session, id, len);
	if (!s || s->answered)
		return 0;
	if (s->reader.prefix_len == 0)
		s->reader.payload_offset = s->method ? s->method->payload_offset : NULL;
	r = grpc_reader_feed(&s->reader, data, len, (size_t)s->server->options->message_bytes_max, &used,
			     &err);
	if (r >= 0 && used < len)
		r = err_set(&err, ERR_UNSUPPORTED, "a unary call takes one message, more were sent");
	h2_stream_count(s, (int64_t)s->reader.message_len);
	if (r >= 0)
		r = server_check_memory(s->server, &err);
	if (r < 0) {
		grpc_reader_done(&s->reader);
		h2_stream_count(s, 0);
		h2_stream_fail(s, &err);
	}
	return 0;
}

static int inflate_message(struct h2_stream *s, struct h2_message *m, struct str *ret_bytes, struct err *err)
{
	CLEANUP(buf) struct buf out = BUF_INIT;
	int r;

	if (!s->gzip)
		return err_set(err, ERR_INTERNAL,
			       "message is compressed but grpc-encoding names no compression");
	r = inflate_all(m->reader.message, m->reader.message_len,
			(size_t)s->server->options->message_bytes_max, &out, err);
	if (r < 0)
		return r;
	grpc_reader_done(&m->reader);
	ret_bytes->len = out.len;
	ret_bytes->data = m->inflated = buf_steal(&out);
	return 0;
}

int h2_message_take(struct h2_stream *s, struct h2_message **ret, struct str *ret_bytes, struct err *err)
{
	struct h2_message *m = MEM_NEW(struct h2_message);
	int r;

	shared_init(&m->shared, message_free);
	m->reader = s->reader;
	copies_count(COPY_IN, m->reader.message_len + m->reader.moved);
	s->reader = (struct grpc_reader){0};
	*ret_bytes = (struct str){(const char *)m->reader.message, m->reader.message_len};
	r = m->reader.compressed ? inflate_message(s, m, ret_bytes, err) : 0;
	if (r < 0) {
		shared_unref(&m->shared);
		return r;
	}
	*ret = m;
	return 0;
}

/* What is wrong with a request as a whole, before its bytes are looked at. */
static int check_request(struct h2_stream *s, struct err *err)
{
	if (s->failed_header)
		return err_set(err, ERR_INTERNAL, "malformed grpc-timeout");
	if (s->unknown_encoding)
		return err_set(err, ERR_UNSUPPORTED,
			       "grpc-encoding is not supported; send identity, gzip or deflate");
	if (!grpc_reader_complete(&s->reader))
		return err_set(err, ERR_INTERNAL, "the request ended before its message was complete");
	return 0;
}

static bool is_call(struct h2_stream *s)
{
	if (s->is_post && s->is_grpc)
		return true;
	reject_http(s, s->is_post ? "415" : "405");
	return false;
}

/* A unary request is complete. */
static void run_call(struct held_call *c)
{
	struct h2_stream *s = CONTAINER_OF(c, struct h2_stream, held);

	s->method->handle(&s->call);
}

static void dispatch(struct h2_stream *s)
{
	struct h2_message *m;
	struct err err = ERR_INIT;
	int r;

	list_remove(&s->incoming_node);
	if (s->answered || !is_call(s))
		return;
	r = s->method ? check_request(s, &err)
		      : err_set(&err, ERR_UNSUPPORTED, "unknown method '%s'", s->path);
	if (r >= 0)
		r = h2_message_take(s, &m, &s->call.message, &err);
	if (r < 0) {
		h2_stream_count(s, 0);
		h2_stream_fail(s, &err);
		return;
	}
	h2_stream_count(s, (int64_t)s->call.message.len);
	s->call.memory = &m->shared;
	s->running = true;
	server_call_begin(s->server);
	s->held.run = run_call;
	server_run_call(s->server, &s->held);
}

/* A call of many messages begins with its headers, not with its end. */
static void on_request_headers(struct h2_stream *s)
{
	struct err err = ERR_INIT;
	int r = 0;

	if (s->header_bytes > H2_HEADER_BYTES_MAX) {
		list_remove(&s->incoming_node);
		err_set(&err, ERR_TOO_LARGE, "headers are larger than %zu bytes", H2_HEADER_BYTES_MAX);
		h2_stream_fail(s, &err);
		return;
	}
	s->method = rpc_method_find(s->path);
	if (!s->method || !s->method->stream || !is_call(s))
		return;
	list_remove(&s->incoming_node);
	if (s->failed_header || s->unknown_encoding)
		r = s->failed_header
			? err_set(&err, ERR_INTERNAL, "malformed grpc-timeout")
			: err_set(&err, ERR_UNSUPPORTED,
				  "grpc-encoding is not supported; send identity, gzip or deflate");
	if (r < 0)
		h2_stream_fail(s, &err);
	else
		h2_flow_begin(s);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
		return 0;
	s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (!s)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
		on_request_headers(s);
	if (!(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	s->end_received = true;
	if (s->begun)
		h2_flow_end_received(s);
	else if (!s->running)
		dispatch(s);
	return 0;
}

/* Mistakes that end streams cost the client nothing and us a request each, as its own resets do, which
 * nghttp2 counts. */
static void count_reset(struct h2_connection *c)
{
	int64_t now = clock_monotonic_ns(),
		forgotten = (now - c->resets_ns) / (NS_PER_S / H2_RESETS_PER_SECOND);

	if (forgotten > 0) {
		c->resets = c->resets > forgotten ? c->resets - forgotten : 0;
		c->resets_ns = now;
	}
	if (++c->resets > H2_RESET_BURST)
		nghttp2_session_terminate_session(c->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* An answer that went out before the request was complete: tell the client to stop sending. */
static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct h2_stream *s;

	if (frame->hd.type == NGHTTP2_RST_STREAM && frame->rst_stream.error_code != NGHTTP2_NO_ERROR &&
	    frame->rst_stream.error_code != NGHTTP2_REFUSED_STREAM)
		count_reset(user);
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	if (s && !s->end_received)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *user)
{
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

	if (s) {
		nghttp2_session_set_stream_user_data(session, id, NULL);
		h2_stream_detach(s);
	}
	return 0;
}

void h2_stream_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks, on_begin_frame);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
}
