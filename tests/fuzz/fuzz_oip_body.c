/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies with binary tensors: up to the first line feed the value of Inference-Header-Content-Length, behind
 * it the body. Tensors that read as bytes must write as the same bytes. The raw form is tried on three
 * signatures.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "serving/oip.h"

#define MEMORY_MAX ((size_t)1 << 20)

static struct signature_tensor tensors[] = {
    {.alias = "x", .dtype = DT_FLOAT, .rank = 2, .dims = {-1, 4}},
    {.alias = "s", .dtype = DT_STRING, .rank = 2, .dims = {-1, -1}},
    {.alias = "h", .dtype = DT_HALF, .rank = 3, .dims = {2, -1, INT64_MAX}},
};

static void round_trip(const struct oip_request *q)
{
	struct arena arena = ARENA_INIT(4 * MEMORY_MAX);
	struct buf b = BUF_INIT, again = BUF_INIT;
	struct err err = ERR_INIT;

	for (size_t i = 0; i < q->input_count; i++) {
		struct tensor t = q->inputs[i].tensor;
		buf_clear(&b);
		buf_clear(&again);
		oip_binary_write(&t, &b);
		assert(b.len == oip_binary_size(&t));
		int r = oip_binary_read((struct str){buf_str(&b), b.len}, NULL, &arena, &t, &err);
		assert(r >= 0);
		oip_binary_write(&t, &again);
		assert(again.len == b.len && (b.len == 0 || memcmp(again.data, b.data, b.len) == 0));
	}
	buf_done(&b);
	buf_done(&again);
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT(MEMORY_MAX);
	struct oip_request q;
	struct err err = ERR_INIT;
	const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t head = line ? (size_t)(line - data) : 0, start = line ? head + 1 : 0;
	char *length = mem_strndup((const char *)data, head), *body = mem_alloc(size - start + 1);
	struct str bytes = {body, size - start};

	if (bytes.len > 0)
		memcpy(body, data + start, bytes.len);
	if (oip_body_decode(bytes, length, &arena, &q, &err) >= 0)
		round_trip(&q);
	for (size_t i = 0; i < ARRAY_LEN(tensors); i++) {
		const struct signature s = {"a", "", 1, 1, &tensors[i], &tensors[i], NULL};
		if (oip_raw_decode(bytes, &s, &arena, &q, &err) >= 0)
			round_trip(&q);
	}
	free(length);
	free(body);
	arena_done(&arena);
	return 0;
}
