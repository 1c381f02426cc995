/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies to start from in the form of a signature. */
#include <string.h>
#include "serving/inference.h"
#include "serving/json_text.h"
#include "serving/page.h"

#define ELEMENTS_MAX 2048 /* of one input; a bigger one is left to who knows what to send */

const char *page_verb(const struct signature *s)
{
	if (strcmp(s->method_name, INFERENCE_METHOD_CLASSIFY) == 0)
		return "classify";
	return strcmp(s->method_name, INFERENCE_METHOD_REGRESS) == 0 ? "regress" : "predict";
}

static int64_t size_of(const struct signature_tensor *t, int level)
{
	return t->dims[level] < 0 ? 1 : t->dims[level];
}

static bool is_small(const struct signature_tensor *t)
{
	int64_t count = 1;

	for (int i = 0; i < t->rank; i++)
		if (__builtin_mul_overflow(count, size_of(t, i), &count) || count > ELEMENTS_MAX)
			return false;
	return true;
}

static const char *zero_of(enum dtype dtype)
{
	switch (dtype) {
	case DT_STRING:
		return "\"text\"";
	case DT_BOOL:
		return "false";
	case DT_FLOAT:
	case DT_DOUBLE:
	case DT_HALF:
	case DT_BFLOAT16:
		return "0.0";
	default:
		return "0";
	}
}

/* Levels are bounded by TENSOR_RANK_MAX. */
static void add_value(const struct signature_tensor *t, int level, struct buf *b)
{
	if (level == t->rank) {
		buf_adds(b, zero_of(t->dtype));
		return;
	}
	buf_addc(b, '[');
	for (int64_t i = 0; i < size_of(t, level); i++) {
		buf_adds(b, i ? ", " : "");
		add_value(t, level + 1, b);
	}
	buf_addc(b, ']');
}

static void add_inputs(const struct signature *s, struct buf *b)
{
	buf_adds(b, "\"inputs\": {");
	for (size_t i = 0; i < s->input_count; i++) {
		buf_adds(b, i ? ",\n    " : "\n    ");
		json_text_write_string(b, str_from(s->inputs[i].alias));
		buf_adds(b, ": ");
		if (is_small(&s->inputs[i]))
			add_value(&s->inputs[i], 0, b);
		else
			buf_adds(b, "[]");
	}
	buf_adds(b, "\n  }");
}

void page_sample(const struct signature *s, struct buf *b)
{
	buf_adds(b, "{\n  \"signature_name\": ");
	json_text_write_string(b, str_from(s->name));
	buf_adds(b, ",\n  ");
	if (strcmp(page_verb(s), "predict") == 0)
		add_inputs(s, b);
	else
		buf_adds(b, "\"examples\": [{\"feature\": 0.0}]");
	buf_adds(b, "\n}");
}
