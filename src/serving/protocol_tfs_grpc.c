/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow Serving's gRPC services: predictions, metadata, states. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "net/grpc.h"
#include "net/pb.h"
#include "serving/predict.h"
#include "serving/predict_pb.h"
#include "serving/rpc.h"
#include "serving/tensor_pb.h"

#define METADATA_FIELD "signature_def"
#define SIGNATURE_MAP_TYPE "type.googleapis.com/tensorflow.serving.SignatureDefMap"
#define METADATA_FIELDS_MAX 16

/* outputs[alias] of the reply: the elements of a large tensor become a view behind what b holds then. */
static void reply_output(struct predict *p, size_t i, struct buf *b, struct rpc_views **views)
{
	const char *alias = p->signature->outputs[p->output_index[i]].alias;
	struct tensor *t = &p->outputs[i];
	bool as_content = p->server->options->tensor_content;
	bool viewed = predict_may_view(p, i) && tensor_pb_is_plain(t, as_content);
	size_t size = tensor_pb_size(t), more = viewed ? t->bytes : 0;

	buf_reserve(b, size - more + strlen(alias) + 32);
	struct pb_mark entry = pb_begin(b, 1, size + strlen(alias) + 4), value;
	pb_add_string(b, 1, alias);
	value = pb_begin(b, 2, size);
	if (viewed)
		tensor_pb_encode_head(t, as_content, b);
	else
		tensor_pb_encode(t, as_content, b);
	pb_close_before(b, value, more);
	pb_close_before(b, entry, more);
	if (!viewed)
		return;
	if (!*views)
		*views = rpc_views_new(p->output_count);
	rpc_views_add(*views, b, t);
}

static void reply_predict(struct predict *p, struct buf *b, struct rpc_views **views)
{
	rpc_reply_begin(b);
	for (size_t i = 0; i < p->output_count; i++)
		reply_output(p, i, b, views);
	model_spec_encode(b, 2, p->version, p->signature->name);
}

static void predict_done(struct predict *p)
{
	struct rpc_call *c = p->owner;
	struct buf reply = BUF_INIT;
	struct rpc_views *views = NULL;
	struct err err;
	size_t bytes = 0;

	for (size_t i = 0; i < p->output_count; i++)
		bytes += tensor_pb_size(&p->outputs[i]);
	if (p->err.code == 0 && bytes > INT32_MAX)
		err_set(&p->err, ERR_TOO_LARGE, "the answer has %zu bytes, a message holds at most %d", bytes,
			INT32_MAX);
	if (p->err.code == 0)
		reply_predict(p, &reply, &views);
	err = p->err;
	predict_free(p);
	if (err.code == 0)
		rpc_reply_views(c, &reply, views);
	else
		rpc_fail(c, &err);
}

static void predict_left(struct rpc_call *c)
{
	predict_cancel(c->user);
}

static void handle_predict(struct rpc_call *c)
{
	struct predict *p = predict_new(c->server, (size_t)c->server->options->message_bytes_max);
	struct predict_request request;
	int r = predict_pb_decode(c->message, c->memory, &p->arena, &request, &p->err);

	p->owner = c;
	p->done = predict_done;
	if (r < 0) {
		predict_done(p);
		return;
	}
	p->spec = request.spec;
	p->deadline_ns = c->deadline_ns;
	p->inputs = request.inputs;
	p->input_count = request.input_count;
	p->filter = request.filter;
	p->filter_count = request.filter_count;
	c->user = p;
	c->cancel = predict_left;
	predict_start(p);
}

/* The model_spec (field 1) and the strings of field 2 of a request. */
static int decode_spec_request(struct rpc_call *c, struct model_spec *spec, struct str *fields,
			       size_t *field_count, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r;

	*spec = (struct model_spec){0};
	pb_init_str(&p, c->message);
	while (pb_next(&p, &f)) {
		if (pb_is(&f, 2, PB_BYTES) && fields && *field_count < METADATA_FIELDS_MAX)
			pb_text(&p, &f, &fields[(*field_count)++]);
		r = pb_is(&f, 1, PB_BYTES) ? model_spec_decode(f.bytes, spec, err) : 0;
		if (r < 0)
			return r;
	}
	return pb_end(&p, "request", err);
}

/* metadata["signature_def"] = Any of SignatureDefMap. */
static void encode_metadata(const struct signature_set *set, struct buf *b)
{
	struct pb_mark entry = pb_begin(b, 2, 4096), any, map, item, value;

	pb_add_string(b, 1, METADATA_FIELD);
	any = pb_begin(b, 2, 4096);
	pb_add_string(b, 1, SIGNATURE_MAP_TYPE);
	map = pb_begin(b, 2, 4096);
	for (size_t i = 0; i < set->count; i++) {
		item = pb_begin(b, 1, 1024);
		pb_add_string(b, 1, set->items[i].name);
		value = pb_begin(b, 2, 1024);
		signature_encode(&set->items[i], b);
		pb_close(b, value);
		pb_close(b, item);
	}
	pb_close(b, map);
	pb_close(b, any);
	pb_close(b, entry);
}

static int answer_metadata(struct rpc_call *c, struct buf *b, struct err *err)
{
	CLEANUP(model_version) struct model_version *v = NULL;
	struct str fields[METADATA_FIELDS_MAX];
	struct model_spec spec;
	size_t count = 0;
	int r = decode_spec_request(c, &spec, fields, &count, err);

	if (r < 0)
		return r;
	if (spec.name.len == 0)
		return err_set(err, ERR_INVALID, "Missing ModelSpec");
	if (count == 0)
		return err_set(err, ERR_INVALID,
			       "GetModelMetadataRequest must specify at least one metadata_field");
	for (size_t i = 0; i < count; i++)
		if (!str_eq(fields[i], METADATA_FIELD))
			return err_set(err, ERR_INVALID, "Metadata field %.*s is not supported",
				       (int)(fields[i].len > 100 ? 100 : fields[i].len), fields[i].data);
	r = registry_resolve(&c->server->registry, &spec, &v, err);
	if (r < 0)
		return r;
	model_spec_encode(b, 1, v, NULL);
	encode_metadata(model_version_signatures(v), b);
	return 0;
}

static void encode_status(const struct model_version *v, struct buf *b)
{
	struct pb_mark status = pb_begin(b, 1, 0), error;

	pb_add_varint(b, 1, (uint64_t)v->number);
	pb_add_varint(b, 2, (uint64_t)v->state);
	error = pb_begin(b, 3, 0);
	if (v->err.code) {
		pb_add_varint(b, 1, (uint64_t)err_grpc(v->err.code));
		pb_add_string(b, 2, v->err.msg);
	}
	pb_close(b, error);
	pb_close(b, status);
}

static int answer_status(struct rpc_call *c, struct buf *b, struct err *err)
{
	const struct model *m;
	struct model_spec spec;
	size_t start = b->len;
	int r = decode_spec_request(c, &spec, NULL, NULL, err);

	if (r < 0)
		return r;
	m = registry_find(&c->server->registry, spec.name);
	for (size_t i = 0; m && i < m->version_count; i++)
		if (model_spec_matches(&spec, m, m->versions[i]))
			encode_status(m->versions[i], b);
	if (b->len > start)
		return 0;
	return model_status_missing(&spec, m != NULL, err);
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

static void handle_metadata(struct rpc_call *c)
{
	answer(c, answer_metadata);
}

static void handle_status(struct rpc_call *c)
{
	answer(c, answer_status);
}

const struct rpc_method tfs_rpc_methods[] = {
    {"/tensorflow.serving.PredictionService/Predict", handle_predict, predict_pb_payload, NULL},
    {"/tensorflow.serving.PredictionService/GetModelMetadata", handle_metadata, NULL, NULL},
    {"/tensorflow.serving.ModelService/GetModelStatus", handle_status, NULL, NULL},
    {"/tensorflow.serving.ModelService/HandleReloadConfigRequest", tfs_handle_reload, NULL, NULL},
    {NULL, NULL, NULL, NULL},
};
