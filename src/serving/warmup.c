/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up records, see warmup.h. */
#include "serving/warmup.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/pb.h"
#include "serving/example.h"
#include "serving/inference.h"
#include "serving/predict_pb.h"
#include "serving/tfrecord.h"

#define FILE_NAME "assets.extra/tf_serving_warmup_requests"

enum {
	LOG_CLASSIFY = 2,
	LOG_REGRESS = 3,
	LOG_MULTI_INFERENCE = 4,
	LOG_PREDICT = 6,
	LOG_REQUEST = 1,
	REQUEST_SPEC = 1, /* or the tasks */
	REQUEST_INPUT = 2,
	TASK_SPEC = 1,
	TASK_METHOD = 2,
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

static int run_request(struct runtime_model *m, const struct predict_request *q, const char *method,
		       struct arena *arena, struct err *err)
{
	const struct signature *s = signature_find(m->ops->signatures(m), q->spec.signature);
	const struct tensor **inputs;

	if (!s)
		return err_set(err, ERR_STATE, "Serving signature key \"%.*s\" not found.",
			       (int)(q->spec.signature.len > 200 ? 200 : q->spec.signature.len),
			       q->spec.signature.data);
	if (method && strcmp(s->method_name, method) != 0)
		return err_set(err, ERR_INVALID, "signature '%s' is of method '%s', not '%s'", s->name,
			       s->method_name, method);
	inputs = order(s, q, arena, err);
	return inputs ? run_all_outputs(m, s, inputs, err) : -err->code;
}

static int run_predict(struct runtime_model *m, struct str request, struct arena *arena, struct err *err)
{
	struct predict_request q;
	int r = predict_pb_decode(request, NULL, arena, &q, err);

	return r < 0 ? r : run_request(m, &q, NULL, arena, err);
}

/* Classification and regression: serialized examples are the one input of a signature of the method. */
static int run_examples(struct runtime_model *m, struct str spec, struct str input, const char *method,
			struct arena *arena, struct err *err)
{
	struct named_tensor named = {.name = STR("inputs")};
	struct predict_request q = {.input_count = 1, .inputs = &named};
	struct example_list examples;
	int64_t count;
	int r = model_spec_decode(spec, &q.spec, err);

	if (r >= 0)
		r = example_pb_decode(input, arena, &examples, err);
	if (r < 0)
		return r;
	count = (int64_t)examples.count;
	r = tensor_set_shape(&named.tensor, DT_STRING, 1, &count, err);
	named.tensor.strings = examples.items;
	return r < 0 ? r : run_request(m, &q, method, arena, err);
}

/* The bytes of field 'number' of a message; empty when absent. */
static struct str bytes_of(struct str message, uint32_t number)
{
	struct str found = {"", 0};
	struct pb p;
	struct pb_field f;

	pb_init_str(&p, message);
	while (pb_next(&p, &f))
		if (pb_is(&f, number, PB_BYTES))
			found = f.bytes;
	return found;
}

static int run_multi(struct runtime_model *m, struct str request, struct arena *arena, struct err *err)
{
	static const char *const methods[] = {INFERENCE_METHOD_CLASSIFY, INFERENCE_METHOD_REGRESS};
	struct str input = bytes_of(request, REQUEST_INPUT);
	struct pb p;
	struct pb_field f;
	int r = 0;

	pb_init_str(&p, request);
	while (r >= 0 && pb_next(&p, &f)) {
		if (!pb_is(&f, REQUEST_SPEC, PB_BYTES)) /* a task */
			continue;
		struct str method = bytes_of(f.bytes, TASK_METHOD);
		const char *known = str_eq(method, methods[0])	 ? methods[0]
				    : str_eq(method, methods[1]) ? methods[1]
								 : NULL;
		if (!known)
			return err_set(err, ERR_UNSUPPORTED, "a task has the unknown method '%.*s'",
				       (int)(method.len > 100 ? 100 : method.len), method.data);
		r = run_examples(m, bytes_of(f.bytes, TASK_SPEC), input, known, arena, err);
	}
	return r < 0 ? r : pb_end(&p, "MultiInferenceRequest", err);
}

static int run_log(struct runtime_model *m, const struct pb_field *log, struct arena *arena, struct err *err)
{
	struct str request = bytes_of(log->bytes, LOG_REQUEST);
	struct str spec = bytes_of(request, REQUEST_SPEC), input = bytes_of(request, REQUEST_INPUT);

	switch (log->number) {
	case LOG_PREDICT:
		return run_predict(m, request, arena, err);
	case LOG_CLASSIFY:
		return run_examples(m, spec, input, INFERENCE_METHOD_CLASSIFY, arena, err);
	case LOG_REGRESS:
		return run_examples(m, spec, input, INFERENCE_METHOD_REGRESS, arena, err);
	case LOG_MULTI_INFERENCE:
		return run_multi(m, request, arena, err);
	default:
		return err_set(err, ERR_UNSUPPORTED,
			       "it holds a request of a kind that is not served (field %u)", log->number);
	}
}

static int run_record(struct runtime_model *m, struct str record, size_t memory_max, struct err *err)
{
	struct pb p;
	struct pb_field f;
	int r = 0, kinds = 0;

	pb_init_str(&p, record);
	while (r >= 0 && pb_next(&p, &f)) {
		struct arena arena = ARENA_INIT(memory_max);
		if (f.wire != PB_BYTES || f.number < LOG_CLASSIFY)
			continue;
		kinds++;
		r = run_log(m, &f, &arena, err);
		arena_done(&arena);
	}
	if (r >= 0)
		r = pb_end(&p, "PredictionLog", err);
	if (r >= 0 && kinds == 0)
		r = err_set(err, ERR_INVALID, "it holds no request");
	return r;
}

int warmup_run_records(struct runtime_model *m, struct str rest, size_t memory_max, int *ret_count,
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
		r = warmup_run_records(m, (struct str){buf_str(&text), text.len},
				       (size_t)o->message_bytes_max, &count, err);
	if (r >= 0)
		log_info("model.warm path=%s records=%d", path, count);
	return r;
}
