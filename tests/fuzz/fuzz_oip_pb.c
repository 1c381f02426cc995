/* SPDX-License-Identifier: Apache-2.0 */
/* ModelInferRequest: the fields of a typed reply have the numbers of a request's, so that what reads must
 * write and read again to the same tensors. */
#include <assert.h>
#include <string.h>
#include "net/pb.h"
#include "oip_answer.h"
#include "serving/oip_repository.h"

#define MEMORY_MAX ((size_t)1 << 20)

static void check_same(const struct tensor *a, const struct tensor *b)
{
	assert(a->dtype == b->dtype && a->rank == b->rank && a->count == b->count && a->bytes == b->bytes);
	assert(a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
	for (size_t i = 0; a->dtype == DT_STRING && i < a->count; i++)
		assert(a->strings[i].len == b->strings[i].len &&
		       memcmp(a->strings[i].data, b->strings[i].data, a->strings[i].len) == 0);
}

/* A raw reply becomes a request when the number of its raw field is a request's. */
static void copy_as_request(const struct buf *reply, struct buf *ret)
{
	struct pb p;
	struct pb_field f;

	pb_init(&p, reply->data, reply->len);
	while (pb_next(&p, &f))
		pb_add_str(ret, f.number == 6 ? 7 : f.number, f.bytes);
}

static void round_trip(struct oip_request *q, bool raw, struct arena *arena)
{
	struct arena other = ARENA_INIT(16 * MEMORY_MAX);
	struct oip_request again;
	struct oip_answer a;
	struct buf b = BUF_INIT, request = BUF_INIT;
	struct err err = ERR_INIT;
	int r;

	q->raw = raw;
	oip_answer_init(&a, q, arena);
	r = oip_pb_reply(q, &a.predict, true, &b, NULL, &err);
	assert(r >= 0 && b.len <= oip_pb_reply_size(q, &a.predict) + q->id.len);
	copy_as_request(&b, &request);
	r = oip_pb_decode((struct str){buf_str(&request), request.len}, NULL, &other, &again, &err);
	assert(r >= 0 && again.input_count == q->input_count);
	for (size_t i = 0; i < q->input_count; i++)
		check_same(&q->inputs[i].tensor, &again.inputs[i].tensor);
	buf_done(&b);
	buf_done(&request);
	arena_done(&other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = ARENA_INIT(MEMORY_MAX);
	struct arena more = ARENA_INIT(8 * MEMORY_MAX);
	struct str bytes = {size > 0 ? (const char *)data : "", size};
	struct oip_request q;
	struct err err = ERR_INIT;

	assert(oip_pb_payload(bytes.data, size) <= size);
	if (oip_pb_decode(bytes, NULL, &arena, &q, &err) >= 0) {
		round_trip(&q, false, &more);
		round_trip(&q, true, &more);
	}
	oip_change_parameters_pb(bytes, &err);
	arena_done(&arena);
	arena_done(&more);
	return 0;
}
