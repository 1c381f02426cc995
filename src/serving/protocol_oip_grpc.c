/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol over gRPC: inference.GRPCInferenceService. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/grpc.h"
#include "net/pb.h"
#include "serving/oip_describe.h"
#include "serving/oip_grpc.h"
#include "serving/oip_repository.h"
#include "serving/oip_route.h"

#define SERVICE "/inference.GRPCInferenceService/"

static int encode_reply(struct oip_infer *in, struct predict *p, struct buf *b, struct err *err)
{
	size_t size = oip_pb_reply_size(&in->request, p);
	struct pb_mark wrapped = {0};
	int r;

	if (size > INT32_MAX)
		return err_set(err, ERR_TOO_LARGE, "the answer is larger than a message may be");
	if (in->wrap_field)
		buf_reserve(b, size + 16);
	rpc_reply_begin(b);
	if (in->wrap_field)
		wrapped = pb_begin(b, in->wrap_field, size);
	r = oip_pb_reply(&in->request, p, in->wrap_field != 0, b, in->wrap_field ? NULL : &in->views, err);
	if (in->wrap_field)
		pb_close(b, wrapped);
	return r;
}

static void predict_finished(struct predict *p)
{
	struct oip_infer *in = p->owner;
	struct buf reply = BUF_INIT;
	struct err err;

	if (p->err.code)
		oip_explain(p, &p->err);
	else
		encode_reply(in, p, &reply, &p->err);
	err = p->err;
	if (in->slot)
		*in->slot = NULL;
	predict_free(p); /* before the message goes, which its names are views of */
	if (err.code)
		buf_done(&reply);
	in->done(in, &err, &reply);
	free(in);
}

static int read_infer(struct predict *p, struct oip_infer *in, struct str message, struct shared *memory,
		      struct err *err)
{
	int r = oip_pb_decode(message, memory, &p->arena, &in->request, err);

	if (r >= 0)
		r = oip_version_parse(in->request.model_version, &p->spec, err);
	if (r >= 0 && in->request.model_name.len == 0)
		r = err_set(err, ERR_INVALID, "model_name is empty");
	p->spec.name = in->request.model_name;
	p->spec.signature = in->request.signature;
	p->inputs = in->request.inputs;
	p->input_count = in->request.input_count;
	p->filter = in->request.outputs;
	p->filter_count = in->request.output_count;
	return r;
}

void oip_grpc_infer(struct server *s, struct str message, struct shared *memory, int64_t deadline_ns,
		    const struct oip_infer *how)
{
	struct predict *p = predict_new(s, (size_t)s->options->message_bytes_max);
	struct oip_infer *in = MEM_NEW(struct oip_infer);

	*in = *how;
	p->owner = in;
	p->done = predict_finished;
	p->deadline_ns = deadline_ns;
	if (in->slot)
		*in->slot = p;
	if (read_infer(p, in, message, memory, &p->err) < 0)
		p->done(p);
	else
		predict_start(p);
}

static void unary_done(struct oip_infer *in, const struct err *err, struct buf *takes_reply)
{
	if (err->code)
		rpc_fail(in->owner, err);
	else
		rpc_reply_views(in->owner, takes_reply, in->views);
}

static void client_left(struct rpc_call *c)
{
	if (c->user)
		predict_cancel(c->user);
}

static void handle_infer(struct rpc_call *c)
{
	struct oip_infer how = {.owner = c, .done = unary_done, .slot = (struct predict **)&c->user};

	c->cancel = client_left;
	oip_grpc_infer(c->server, c->message, c->memory, c->deadline_ns, &how);
}

/* Requests with the name of a model (field 1) and a version (field 2). */
static int read_model(struct rpc_call *c, struct model_spec *ret, struct err *err)
{
	struct str version = {"", 0};
	struct pb p;
	struct pb_field f;
	int r;

	*ret = (struct model_spec){.name = {"", 0}};
	pb_init_str(&p, c->message);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, 1, PB_BYTES))
			pb_text(&p, &f, &ret->name);
		else if (pb_is(&f, 2, PB_BYTES))
			pb_text(&p, &f, &version);
	}
	r = pb_end(&p, "request", err);
	return r < 0 ? r : oip_version_parse(version, ret, err);
}

static int answer_live(struct rpc_call *c, struct buf *b, struct err *err)
{
	pb_add_varint(b, 1, 1);
	return 0;
}

static int answer_ready(struct rpc_call *c, struct buf *b, struct err *err)
{
	pb_add_varint(b, 1, oip_server_ready(c->server));
	return 0;
}

static int answer_model_ready(struct rpc_call *c, struct buf *b, struct err *err)
{
	struct err why = ERR_INIT;
	struct model_spec spec;
	int r = read_model(c, &spec, err);

	if (r < 0)
		return r;
	pb_add_varint(b, 1, oip_model_ready(c->server, &spec, &why) >= 0);
	return 0;
}

static int answer_server(struct rpc_call *c, struct buf *b, struct err *err)
{
	oip_encode_server(b);
	return 0;
}

static int answer_metadata(struct rpc_call *c, struct buf *b, struct err *err)
{
	CLEANUP(model_version) struct model_version *v = NULL;
	struct model_spec spec;
	int r = read_model(c, &spec, err);

	if (r >= 0)
		r = oip_resolve(c->server, &spec, &v, err);
	if (r >= 0)
		oip_encode_metadata(registry_find(&c->server->registry, spec.name), v, b);
	return r;
}

static int answer_config(struct rpc_call *c, struct buf *b, struct err *err)
{
	CLEANUP(model_version) struct model_version *v = NULL;
	struct model_spec spec;
	int r = read_model(c, &spec, err);

	if (r >= 0)
		r = oip_resolve(c->server, &spec, &v, err);
	if (r >= 0)
		oip_encode_config(v, b);
	return r;
}

static int answer_stats(struct rpc_call *c, struct buf *b, struct err *err)
{
	CLEANUP(model_version) struct model_version *v = NULL;
	struct model_spec spec;
	int r = read_model(c, &spec, err);

	if (r >= 0 && spec.name.len > 0)
		r = oip_resolve(c->server, &spec, &v, err);
	if (r >= 0)
		oip_encode_stats(&c->server->registry, spec.name.len > 0 ? &spec : NULL, b);
	return r;
}

static int answer_index(struct rpc_call *c, struct buf *b, struct err *err)
{
	bool only_ready = false;
	struct str repository = {"", 0};
	struct pb p;
	struct pb_field f;
	int r;

	pb_init_str(&p, c->message);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, 1, PB_BYTES))
			pb_text(&p, &f, &repository); /* there is but one */
		else if (pb_is(&f, 2, PB_VARINT))
			only_ready = f.value != 0;
	}
	r = pb_end(&p, "RepositoryIndexRequest", err);
	if (r >= 0)
		oip_encode_index(&c->server->registry, only_ready, b);
	return r;
}

static void answer(struct rpc_call *c, int (*make)(struct rpc_call *, struct buf *, struct err *))
{
	struct buf reply = BUF_INIT;
	struct err err = ERR_INIT;

	rpc_reply_begin(&reply);
	if (make(c, &reply, &err) >= 0) {
		rpc_reply(c, &reply);
		return;
	}
	buf_done(&reply);
	rpc_fail(c, &err);
}

#define HANDLER(name)                                                                                        \
	static void handle_##name(struct rpc_call *c)                                                        \
	{                                                                                                    \
		answer(c, answer_##name);                                                                    \
	}
HANDLER(live)
HANDLER(ready)
HANDLER(model_ready)
HANDLER(server)
HANDLER(metadata)
HANDLER(config)
HANDLER(stats)
HANDLER(index)
#undef HANDLER

struct change_call {
	struct rpc_call *call;
	struct str name; /* view of the call's message */
};

static void change_done(void *arg, const struct err *err)
{
	struct change_call *cc = arg;
	struct buf reply = BUF_INIT;

	if (err->code) {
		rpc_fail(cc->call, err);
	} else {
		rpc_reply_begin(&reply);
		pb_add_str(&reply, 1, cc->name);
		pb_add_varint(&reply, 2, 1);
		rpc_reply(cc->call, &reply);
	}
	free(cc);
}

/* One dialect has the model's name in field 1; the other has the repository's there and the model's in
 * field 2.
 */
static int read_change(struct rpc_call *c, struct oip_change *ret, struct err *err)
{
	struct str first = {"", 0}, second = {"", 0};
	struct pb p;
	struct pb_field f;
	int r = 0;

	pb_init_str(&p, c->message);
	while (r >= 0 && pb_next(&p, &f)) {
		if (pb_is(&f, 1, PB_BYTES))
			pb_text(&p, &f, &first);
		else if (pb_is(&f, 2, PB_BYTES))
			pb_text(&p, &f, &second);
		else if (pb_is(&f, 3, PB_BYTES))
			r = oip_change_parameters_pb(f.bytes, err);
	}
	if (r >= 0)
		r = pb_end(&p, "request", err);
	ret->name = second.len > 0 ? second : first;
	if (r >= 0 && ret->name.len == 0)
		r = err_set(err, ERR_INVALID, "model_name is empty");
	return r;
}

static void change(struct rpc_call *c, bool load)
{
	struct oip_change change = {.load = load};
	struct change_call *cc;
	struct err err = ERR_INIT;

	if (read_change(c, &change, &err) < 0) {
		rpc_fail(c, &err);
		return;
	}
	cc = MEM_NEW(struct change_call);
	*cc = (struct change_call){.call = c, .name = change.name};
	oip_repository_change(c->server, &change, change_done, cc);
}

static void handle_load(struct rpc_call *c)
{
	change(c, true);
}

static void handle_unload(struct rpc_call *c)
{
	change(c, false);
}

const struct rpc_method oip_rpc_methods[] = {
    {SERVICE "ServerLive", handle_live, NULL, NULL},
    {SERVICE "ServerReady", handle_ready, NULL, NULL},
    {SERVICE "ModelReady", handle_model_ready, NULL, NULL},
    {SERVICE "ServerMetadata", handle_server, NULL, NULL},
    {SERVICE "ModelMetadata", handle_metadata, NULL, NULL},
    {SERVICE "ModelInfer", handle_infer, oip_pb_payload, NULL},
    {SERVICE "ModelStreamInfer", NULL, oip_pb_payload, &oip_stream_ops},
    {SERVICE "ModelConfig", handle_config, NULL, NULL},
    {SERVICE "ModelStatistics", handle_stats, NULL, NULL},
    {SERVICE "RepositoryIndex", handle_index, NULL, NULL},
    {SERVICE "RepositoryModelLoad", handle_load, NULL, NULL},
    {SERVICE "RepositoryModelUnload", handle_unload, NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
