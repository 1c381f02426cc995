/* SPDX-License-Identifier: Apache-2.0 */
/* Infer requests over HTTP: body, prediction, answer, compressed when the client likes that. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/deflate.h"
#include "serving/oip.h"
#include "serving/oip_repository.h"
#include "serving/oip_rest.h"

#define BINARY_TYPE "application/octet-stream"
#define COMPRESS_MIN ((size_t)1024)	    /* smaller answers gain nothing */
#define COMPRESS_INLINE ((size_t)64 * 1024) /* larger ones are compressed on a worker */
#define NS_PER_MS 1000000

struct infer {
	struct http_call *call;
	struct oip_request request;
	struct loop_job job;
	enum http_coding coding;
	const char *content_type;
	struct buf body, packed;
	struct err err;
};

static void infer_free(struct infer *in)
{
	buf_done(&in->body);
	buf_done(&in->packed);
	free(in);
}

static void fail(struct infer *in, const struct err *err)
{
	oip_rest_error(in->call, err);
	infer_free(in);
}

static void send(struct infer *in)
{
	bool packed = in->coding != CODING_IDENTITY;

	if (packed)
		http_add_header(in->call, "Content-Encoding", http_coding_name(in->coding));
	http_reply(in->call, 200, in->content_type, packed ? &in->packed : &in->body);
	infer_free(in);
}

static void pack_run(struct loop_job *j)
{
	struct infer *in = CONTAINER_OF(j, struct infer, job);

	deflate_all(in->body.data, in->body.len, in->coding, &in->packed, &in->err);
}

static void pack_done(struct loop_job *j)
{
	struct infer *in = CONTAINER_OF(j, struct infer, job);
	struct server *s = in->call->server;

	if (in->err.code)
		fail(in, &in->err);
	else
		send(in);
	server_call_end(s);
}

static void pack(struct infer *in)
{
	in->coding = in->body.len < COMPRESS_MIN
			 ? CODING_IDENTITY
			 : http_coding_accepted(http_header(in->call, "Accept-Encoding"));
	if (in->coding == CODING_IDENTITY) {
		send(in);
		return;
	}
	server_call_begin(in->call->server);
	in->job = (struct loop_job){.run = pack_run, .done = pack_done};
	if (in->body.len > COMPRESS_INLINE) {
		server_loop_submit(in->call->server->loop, &in->job);
		return;
	}
	pack_run(&in->job);
	pack_done(&in->job);
}

static void infer_done(struct predict *p)
{
	struct infer *in = p->owner;
	struct err err = p->err;
	char text[24];
	size_t json_len = 0;

	if (err.code == 0)
		oip_json_reply(&in->request, p, &in->body, &json_len, &err);
	else
		oip_explain(p, &err);
	p->err = err;
	predict_free(p);
	in->call->cancel = NULL;
	if (err.code) {
		fail(in, &err);
		return;
	}
	in->content_type = HTTP_JSON;
	if (json_len > 0) {
		snprintf(text, sizeof(text), "%zu", json_len);
		http_add_header(in->call, OIP_HEADER_LENGTH, text);
		in->content_type = BINARY_TYPE;
	}
	pack(in);
}

static int read_request(struct predict *p, struct infer *in, struct err *err)
{
	const char *header_length = http_header(in->call, OIP_HEADER_LENGTH);
	bool raw = header_length && strcmp(header_length, "0") == 0;
	int64_t timeout_ms = p->server->options->rest_timeout_ms;
	int r = http_timeout(in->call, &timeout_ms, err);

	p->deadline_ns = in->call->arrived_ns + timeout_ms * NS_PER_MS;
	if (r < 0)
		return r;
	if (raw) {
		r = predict_resolve(p, err);
		if (r >= 0)
			r = oip_raw_decode(in->call->body, p->signature, &p->arena, &in->request, err);
	} else {
		r = oip_body_decode(in->call->body, header_length, &p->arena, &in->request, err);
		p->spec.signature = in->request.signature;
	}
	p->inputs = in->request.inputs;
	p->input_count = in->request.input_count;
	p->filter = in->request.outputs;
	p->filter_count = in->request.output_count;
	return r;
}

static void client_left(struct http_call *c)
{
	predict_cancel(c->user);
}

void oip_rest_infer(struct http_call *c, const struct oip_route *route)
{
	struct predict *p = predict_new(c->server, (size_t)c->server->options->message_bytes_max);
	struct infer *in = MEM_NEW(struct infer);
	char *name = arena_alloc(&p->arena, route->spec.name.len + 1);

	memcpy(name, route->spec.name.data, route->spec.name.len); /* the route is gone before the end */
	in->call = c;
	p->owner = in;
	p->done = infer_done;
	p->count.entry = METRIC_REST;
	p->spec = route->spec;
	p->spec.name.data = name;
	if (read_request(p, in, &p->err) < 0) {
		p->done(p);
		return;
	}
	c->user = p;
	c->cancel = client_left;
	predict_start(p);
}
