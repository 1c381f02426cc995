/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up records, see warmup.h. */
#include "serving/warmup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/pb.h"
#include "serving/predict_pb.h"
#include "serving/tfrecord.h"

#define FILE_NAME "assets.extra/tf_serving_warmup_requests"

enum {
	LOG_CLASSIFY = 2,
	LOG_REGRESS = 3,
	LOG_MULTI_INFERENCE = 4,
	LOG_SESSION_RUN = 5,
	LOG_PREDICT = 6,
	LOG_REQUEST = 1
};

/* The inputs in the signature's order; NULL with err set when they do not fit it. */
static const struct tensor **order(const struct signature *s, const struct predict_request *q,
				   struct arena *arena, struct err *err)
{
	const struct tensor **ordered = arena_alloc(arena, (s->input_count + 1) * sizeof(*ordered));

	for (size_t i = 0; i < q->input_count; i++) {
		int index = signature_input_index(s, q->inputs[i].name);
		if (index >= 0)
			ordered[index] = &q->inputs[i].tensor;
	}
	for (size_t i = 0; i < s->input_count; i++) {
		if (!ordered[i]) {
			err_set(err, ERR_INVALID, "input '%s' is missing", s->inputs[i].alias);
			return NULL;
		}
		if (signature_check_input(&s->inputs[i], ordered[i], err) < 0)
			return NULL;
	}
	return ordered;
}

static int run_all_outputs(struct runtime_model *m, const struct signature *s,
			   const struct tensor *const *inputs, struct err *err)
{
	struct tensor *outputs = mem_alloc((s->output_count + 1) * sizeof(*outputs));
	size_t index[SIGNATURE_TENSORS_MAX];
	int r;

	for (size_t i = 0; i < s->output_count; i++)
		index[i] = i;
	r = m->ops->run(m, s, inputs, index, s->output_count, outputs, err);
	for (size_t i = 0; r >= 0 && i < s->output_count; i++)
		tensor_done(&outputs[i]);
	free(outputs);
	return r;
}

static int run_predict(struct runtime_model *m, struct str request, struct arena *arena, struct err *err)
{
	struct predict_request q;
	const struct signature *s;
	const struct tensor **inputs;
	int r = predict_pb_decode(request, NULL, arena, &q, err);

	if (r < 0)
		return r;
	s = signature_find(m->ops->signatures(m), q.spec.signature);
	if (!s)
		return err_set(err, ERR_STATE, "Serving signature key \"%.*s\" not found.",
			       (int)(q.spec.signature.len > 200 ? 200 : q.spec.signature.len),
			       q.spec.signature.data);
	inputs = order(s, &q, arena, err);
	return inputs ? run_all_outputs(m, s, inputs, err) : -err->code;
}

static int run_record(struct runtime_model *m, struct str record, size_t memory_max, struct err *err)
{
	struct pb log, inner;
	struct pb_field f, g;
	int r = 0, kinds = 0;

	pb_init_str(&log, record);
	while (r >= 0 && pb_next(&log, &f)) {
		if (f.wire != PB_BYTES || f.number < LOG_CLASSIFY)
			continue;
		kinds++;
		if (f.number != LOG_PREDICT)
			return err_set(err, ERR_UNSUPPORTED, "it holds no predict_log (field %u)", f.number);
		struct str request = {"", 0};
		pb_init_str(&inner, f.bytes);
		while (pb_next(&inner, &g))
			if (pb_is(&g, LOG_REQUEST, PB_BYTES))
				request = g.bytes;
		r = pb_end(&inner, "PredictLog", err);
		if (r >= 0) {
			struct arena arena = ARENA_INIT(memory_max);
			r = run_predict(m, request, &arena, err);
			arena_done(&arena);
		}
	}
	if (r >= 0)
		r = pb_end(&log, "PredictionLog", err);
	if (r >= 0 && kinds == 0)
		r = err_set(err, ERR_INVALID, "it holds no request");
	return r;
}

static int run_records(struct runtime_model *m, struct str rest, size_t memory_max, int *ret_count,
		       struct err *err)
{
	struct str record;
	int r;

	while ((r = tfrecord_next(&rest, memory_max, &record, err)) > 0) {
		if (++*ret_count > WARMUP_RECORDS_MAX)
			return err_set(err, ERR_INVALID,
				       "Number of warmup records exceeded the maximum (%d) allowed. Please "
				       "reduce the number of "
				       "warmup records.",
				       WARMUP_RECORDS_MAX);
		r = run_record(m, record, memory_max, err);
		if (r < 0)
			break;
	}
	return r < 0 ? err_wrap(err, "warm-up record %d", *ret_count) : 0;
}

int warmup_run(struct runtime_model *m, const char *path, const struct serving_options *o, struct err *err)
{
	CLEANUP(free) char *file = mem_printf("%s/" FILE_NAME, path);
	CLEANUP(buf) struct buf text = BUF_INIT;
	int count = 0, r;

	if (access(file, F_OK) < 0)
		return 0;
	r = fd_read_file(AT_FDCWD, file, (size_t)o->request_bytes_max, &text, err);
	if (r >= 0)
		r = run_records(m, (struct str){buf_str(&text), text.len}, (size_t)o->message_bytes_max,
				&count, err);
	if (r >= 0)
		log_info("model.warm path=%s records=%d", path, count);
	return r;
}
