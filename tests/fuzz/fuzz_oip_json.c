/* SPDX-License-Identifier: Apache-2.0 */
/* Infer requests in JSON: what reads must write as a reply whose tensors read again. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "oip_answer.h"

#define MEMORY_MAX ((size_t)1 << 20)

static void write_and_read(struct oip_request *q, struct arena *arena)
{
	struct arena other = ARENA_INIT(16 * MEMORY_MAX);
	struct oip_request again;
	struct oip_answer a;
	struct buf b = BUF_INIT, text = BUF_INIT;
	struct err err = ERR_INIT;
	size_t json_len;

	oip_answer_init(&a, q, arena);
	q->output_count = 0; /* all */
	q->binary_default = false;
	if (oip_json_reply(q, &a.predict, &b, &json_len, &err) >= 0) {
		const char *outputs = strstr(buf_str(&b), "\"outputs\":");
		assert(json_len == 0 && outputs);
		buf_add(&text, b.data, (size_t)(outputs - b.data));
		buf_adds(&text, "\"inputs\":");
		buf_adds(&text, outputs + strlen("\"outputs\":"));
		int r = oip_json_decode((struct str){text.data, text.len}, (struct str){"", 0}, &other,
					&again, &err);
		assert(r >= 0 && again.input_count == q->input_count);
		for (size_t i = 0; i < q->input_count; i++)
			assert(again.inputs[i].tensor.count == q->inputs[i].tensor.count &&
			       again.inputs[i].tensor.dtype == q->inputs[i].tensor.dtype);
	}
	buf_done(&b);
	buf_done(&text);
	arena_done(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT(MEMORY_MAX);
	struct arena more = ARENA_INIT(4 * MEMORY_MAX);
	struct oip_request q;
	struct err err = ERR_INIT;
	char *text = mem_strndup((const char *)data, 0);

	text = mem_realloc(text, size + 1);
	if (size > 0)
		memcpy(text, data, size);
	text[size] = 0;
	if (oip_json_decode((struct str){text, size}, (struct str){"", 0}, &arena, &q, &err) >= 0)
		write_and_read(&q, &more);
	else
		assert(err.code != 0 && err.msg[0]);
	free(text);
	arena_done(&arena);
	arena_done(&more);
	return 0;
}
