/* SPDX-License-Identifier: Apache-2.0 */
/* Rules and results of classify and regress signatures. */
#include "serving/inference.h"

#include <string.h>
#include "base/utf8.h"
#include "net/pb.h"
#include "serving/base64.h"
#include "serving/json_tensor.h"

#define INPUTS "inputs"
#define CLASSES "classes"
#define SCORES "scores"
#define OUTPUTS "outputs"

static const char *kind_word(enum inference_kind kind)
{
	return kind == INFERENCE_CLASSIFY ? "classification" : "regression";
}

static int check_signature(const struct signature *s, enum inference_kind kind, struct err *err)
{
	bool classify = kind == INFERENCE_CLASSIFY;
	const char *method = classify ? INFERENCE_METHOD_CLASSIFY : INFERENCE_METHOD_REGRESS;

	if (strcmp(s->method_name, method) != 0)
		return err_set(err, ERR_INVALID, "Expected %s signature method_name to be %s. Was: %s",
			       kind_word(kind), method, s->method_name);
	if (s->input_count != 1)
		return err_set(err, ERR_INVALID, "Expected one input Tensor, signature '%s' has %zu.",
			       s->name, s->input_count);
	if (s->output_count < 1 || s->output_count > (classify ? 2 : 1))
		return err_set(err, ERR_INVALID, "Expected %s, found %zu.",
			       classify ? "one or two output Tensors" : "one output Tensor", s->output_count);
	if (signature_input_index(s, STR(INPUTS)) < 0)
		return err_set(err, ERR_STATE,
			       "No %s inputs found in SignatureDef: '%s' names its input '%s'",
			       kind_word(kind), s->name, s->inputs[0].alias);
	if (!classify && signature_output_index(s, STR(OUTPUTS)) < 0)
		return err_set(err, ERR_STATE,
			       "No regression outputs found in SignatureDef: '%s' names its output '%s'",
			       s->name, s->outputs[0].alias);
	if (classify && signature_output_index(s, STR(CLASSES)) < 0 &&
	    signature_output_index(s, STR(SCORES)) < 0)
		return err_set(err, ERR_STATE,
			       "Expected classification signature outputs to contain at least one of "
			       "\"classes\" or \"scores\". Signature '%s' has '%s'",
			       s->name, s->outputs[0].alias);
	return 0;
}

int inference_prepare(struct predict *p, enum inference_kind kind, const struct example_list *examples,
		      struct err *err)
{
	const int64_t dims[] = {(int64_t)examples->count};
	int r = check_signature(p->signature, kind, err);

	if (r < 0)
		return r;
	p->inputs = arena_try_alloc(&p->arena, 1, sizeof(*p->inputs));
	if (!p->inputs)
		return err_set(err, ERR_TOO_LARGE, "request needs more memory than one request may use");
	*p->inputs = (struct named_tensor){.name = STR(INPUTS)};
	r = tensor_set_shape(&p->inputs->tensor, DT_STRING, 1, dims, err);
	p->inputs->tensor.strings = examples->items;
	p->input_count = 1;
	p->count.examples = examples->count;
	return r;
}

static const struct tensor *output_of(const struct predict *p, const char *alias)
{
	for (size_t i = 0; i < p->output_count; i++)
		if (strcmp(p->signature->outputs[p->output_index[i]].alias, alias) == 0)
			return &p->outputs[i];
	return NULL;
}

static int check_classes(const struct tensor *t, const char *what, enum dtype dtype, size_t examples,
			 struct err *err)
{
	char shape[256];

	if (!t)
		return 0;
	if (t->dtype != dtype)
		return err_set(err, ERR_INVALID, "Expected %s Tensor of %s. Got: %s", what,
			       dtype == DT_STRING ? "DT_STRING" : "DT_FLOAT",
			       dtype_info((uint64_t)t->dtype)->enum_name);
	tensor_format_shape(t->rank, t->dims, shape, sizeof(shape));
	if (t->rank != 2)
		return err_set(err, ERR_INVALID,
			       "Expected %s Tensor shape: [batch_size num_classes] but got %s", what, shape);
	if ((size_t)t->dims[0] != examples)
		return err_set(err, ERR_INVALID, "Expected %s output batch size of %zu. Got: %lld", what,
			       examples, (long long)t->dims[0]);
	return 0;
}

static int read_classes(const struct predict *p, struct inference_result *ret, struct err *err)
{
	const struct tensor *labels = output_of(p, CLASSES), *scores = output_of(p, SCORES);
	int r = check_classes(labels, CLASSES, DT_STRING, ret->examples, err);

	if (r >= 0)
		r = check_classes(scores, SCORES, DT_FLOAT, ret->examples, err);
	if (r < 0)
		return r;
	if (labels && scores && labels->dims[1] != scores->dims[1])
		return err_set(err, ERR_INVALID,
			       "Tensors class and score should match in dim_size(1). Got %lld vs. %lld",
			       (long long)labels->dims[1], (long long)scores->dims[1]);
	ret->labels = labels ? labels->strings : NULL;
	ret->scores = scores ? scores->data : NULL;
	ret->classes = labels ? (size_t)labels->dims[1] : scores ? (size_t)scores->dims[1] : 0;
	return 0;
}

static int read_values(const struct predict *p, struct inference_result *ret, struct err *err)
{
	const struct tensor *t = output_of(p, OUTPUTS);
	char shape[256];

	tensor_format_shape(t->rank, t->dims, shape, sizeof(shape));
	if (t->rank != 1 && !(t->rank == 2 && t->dims[1] == 1))
		return err_set(
		    err, ERR_INVALID,
		    "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but "
		    "got %s",
		    shape);
	if ((size_t)t->dims[0] != ret->examples)
		return err_set(err, ERR_INVALID,
			       "Input batch size did not match output batch size: %zu vs. %lld",
			       ret->examples, (long long)t->dims[0]);
	if (t->dtype != DT_FLOAT)
		return err_set(err, ERR_INVALID, "Expected output Tensor of DT_FLOAT. Got: %s",
			       dtype_info((uint64_t)t->dtype)->enum_name);
	ret->scores = t->data;
	ret->classes = 1;
	return 0;
}

int inference_read(const struct predict *p, enum inference_kind kind, struct inference_result *ret,
		   struct err *err)
{
	*ret = (struct inference_result){.kind = kind, .examples = p->inputs->tensor.count};
	return kind == INFERENCE_CLASSIFY ? read_classes(p, ret, err) : read_values(p, ret, err);
}

/* tensorflow_serving/apis/classification.proto and regression.proto: every number here is 1 but SCORE. */
enum { LIST = 1, CLASS = 1, LABEL = 1, SCORE = 2, VALUE = 1 };

void inference_encode(const struct inference_result *result, struct buf *b)
{
	struct pb_mark list, class;

	for (size_t i = 0; i < result->examples; i++) {
		list = pb_begin(b, LIST, result->kind == INFERENCE_REGRESS ? 5 : result->classes * 16);
		for (size_t k = 0; k < result->classes; k++) {
			size_t at = i * result->classes + k;
			if (result->kind == INFERENCE_REGRESS) {
				pb_add_float(b, VALUE, result->scores[at]);
				continue;
			}
			class = pb_begin(b, CLASS, 0);
			if (result->labels)
				pb_add_str(b, LABEL, result->labels[at]);
			if (result->scores)
				pb_add_float(b, SCORE, result->scores[at]);
			pb_close(b, class);
		}
		pb_close(b, list);
	}
}

static void write_label(struct str label, struct buf *b)
{
	if (utf8_is(label)) {
		json_text_write_string(b, label);
		return;
	}
	buf_adds(b, "{\"b64\":\"");
	base64_encode(b, label);
	buf_adds(b, "\"}");
}

void inference_write_json(const struct inference_result *result, struct buf *b)
{
	buf_adds(b, "{\"results\":[");
	for (size_t i = 0; i < result->examples; i++) {
		buf_adds(b, i ? "," : "");
		if (result->kind == INFERENCE_REGRESS) {
			json_write_float(b, result->scores[i]);
			continue;
		}
		buf_addc(b, '[');
		for (size_t k = 0; k < result->classes; k++) {
			size_t at = i * result->classes + k;
			buf_adds(b, k ? ",[" : "[");
			write_label(result->labels ? result->labels[at] : (struct str){"", 0}, b);
			buf_addc(b, ',');
			json_write_float(b, result->scores ? result->scores[at] : 0);
			buf_addc(b, ']');
		}
		buf_addc(b, ']');
	}
	buf_adds(b, "]}");
}
