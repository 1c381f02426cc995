/* SPDX-License-Identifier: Apache-2.0 */
/* PredictRequest: what decodes must encode and decode again to the same tensors. */
#include <assert.h>
#include <string.h>
#include "serving/predict_pb.h"
#include "serving/signature.h"
#include "serving/tensor_pb.h"

#define MEMORY_MAX ((size_t)1 << 20)

static void check_same(const struct tensor *a, const struct tensor *b)
{
	assert(a->dtype == b->dtype && a->rank == b->rank && a->count == b->count && a->bytes == b->bytes);
	assert(a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
	for (size_t i = 0; a->dtype == DT_STRING && i < a->count; i++)
		assert(a->strings[i].len == b->strings[i].len &&
		       memcmp(a->strings[i].data, b->strings[i].data, a->strings[i].len) == 0);
}

static void round_trip(const struct tensor *t, bool as_content)
{
	struct arena arena = ARENA_INIT(4 * MEMORY_MAX);
	struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	struct tensor again;

	tensor_pb_encode(t, as_content, &b);
	int r = tensor_pb_decode((struct str){b.data, b.len}, NULL, &arena, &again, &err);
	assert(r == 0);
	check_same(t, &again);
	buf_done(&b);
	arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT(MEMORY_MAX);
	struct predict_request request;
	struct signature_set set;
	struct err err = ERR_INIT;
	int r = predict_pb_decode((struct str){(const char *)data, size}, NULL, &arena, &request, &err);

	assert(predict_pb_payload(data, size) <= size);
	for (size_t i = 0; r >= 0 && i < request.input_count; i++) {
		round_trip(&request.inputs[i].tensor, false);
		round_trip(&request.inputs[i].tensor, true);
	}
	arena_done(&arena);
	arena = ARENA_INIT(MEMORY_MAX);
	signature_decode(data, size, &arena, &set, &err);
	arena_done(&arena);
	return 0;
}
