/* SPDX-License-Identifier: Apache-2.0 */
/* REST predict bodies, read as several signatures; what reads must write and read again to the same elements.
 * The first byte chooses the signature. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/json_tensor.h"

#define MEMORY_MAX ((size_t)1 << 20)

static struct signature_tensor tensors[] = {
    {.alias = "x", .dtype = DT_FLOAT, .unknown_rank = true},
    {.alias = "s_bytes", .dtype = DT_STRING, .unknown_rank = true},
    {.alias = "i", .dtype = DT_INT32, .unknown_rank = true},
    {.alias = "b", .dtype = DT_BOOL, .unknown_rank = true},
    {.alias = "h", .dtype = DT_HALF, .unknown_rank = true},
    {.alias = "u", .dtype = DT_UINT64, .unknown_rank = true},
    {.alias = "d", .dtype = DT_DOUBLE, .unknown_rank = true},
};
static const struct signature signatures[] = {
    {"a", "", 1, 1, &tensors[0], &tensors[0], NULL},
    {"b", "", 1, 1, &tensors[1], &tensors[1], NULL},
    {"c", "", 2, 2, &tensors[2], &tensors[2], NULL},
    {"d", "", 3, 3, &tensors[4], &tensors[4], NULL},
};

static void write_and_read(const struct json_predict_head *head, const struct signature *s,
			   struct named_tensor *inputs)
{
	static const size_t index[] = {0, 1, 2};
	struct arena arena = ARENA_INIT(8 * MEMORY_MAX);
	struct tensor tensor[3];
	struct json_predict_head again = *head;
	struct named_tensor *read;
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	size_t count;

	for (size_t i = 0; i < s->input_count; i++)
		tensor[i] = inputs[i].tensor;
	int r = json_predict_write(head->rows, s, index, tensor, s->input_count, &b, &err);
	assert(r == 0);
	const char *values = strchr(b.data, ':') + 1;
	again.body = (struct str){b.data, b.len};
	again.values = (struct str){values, b.len - (size_t)(values - b.data) - 1};
	if (!head->rows || tensor[0].dims[0] > 0) {
		r = json_predict_inputs(&again, s, &arena, &read, &count, &err);
		assert(r == 0);
		for (size_t i = 0; i < s->input_count; i++)
			assert(read[i].tensor.count == tensor[i].count);
	}
	buf_done(&b);
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT(MEMORY_MAX);
	struct json_predict_head head;
	struct named_tensor *inputs;
	struct err err = ERR_INIT;
	size_t count;

	if (size == 0)
		return 0;
	char *text = mem_strndup("", 0);
	text = mem_realloc(text, size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	const struct signature *s = &signatures[data[0] % ARRAY_LEN(signatures)];
	int r = json_predict_scan((struct str){text, size - 1}, &arena, &head, &err);
	if (r >= 0)
		r = json_predict_inputs(&head, s, &arena, &inputs, &count, &err);
	if (r >= 0)
		write_and_read(&head, s, inputs);
	free(text);
	arena_done(&arena);
	return 0;
}
