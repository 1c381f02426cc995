/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of a Python worker: whatever they say, views stay within the message. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/mem.h"
#include "serving/python_message.h"
#include "serving/python_signature.h"

static struct signature_tensor tensors[] = {
    {.alias = "n", .dtype = DT_INT64}, {.alias = "s", .dtype = DT_STRING}, {.alias = "b", .dtype = DT_UINT8}};
static const struct signature signature = {.name = "serving_default", .output_count = 3, .outputs = tensors};

static void check_within(const struct tensor *t, const char *message, size_t size)
{
	for (size_t i = 0; t->dtype == DT_STRING && i < t->count; i++) {
		assert(t->strings[i].data >= message && t->strings[i].data <= message + size);
		assert(t->strings[i].len <= (size_t)(message + size - t->strings[i].data));
	}
	if (t->dtype != DT_STRING) {
		assert((const char *)t->data >= message && (const char *)t->data <= message + size);
		assert(t->bytes <= (size_t)(message + size - (const char *)t->data));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t wanted[] = {0, 1, 2};
	size_t room = (size + PYTHON_ALIGNMENT) / PYTHON_ALIGNMENT * PYTHON_ALIGNMENT;
	char *message = aligned_alloc(PYTHON_ALIGNMENT, room);
	struct arena arena = ARENA_INIT((size_t)1 << 20);
	struct signature described;
	struct str text;

	if (size > 0)
		memcpy(message, data, size);
	for (size_t count = 1; count <= ARRAY_LEN(wanted); count++) {
		struct tensor t[ARRAY_LEN(wanted)];
		struct err err = ERR_INIT;
		int r = python_message_decode(message, size, &signature, wanted, count, t, &err);
		assert(r == -err.code);
		for (size_t i = 0; i < count && r == 0; i++) {
			check_within(&t[i], message, size);
			r = python_message_copy_out(&t[i], &err);
			tensor_done(&t[i]);
		}
	}
	struct err err = ERR_INIT;
	if (python_message_hello(message, size, &text, &err) >= 0)
		python_signature_parse(text, &arena, &described, &err);
	arena_done(&arena);
	free(message);
	return 0;
}
