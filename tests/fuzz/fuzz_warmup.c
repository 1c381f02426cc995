/* SPDX-License-Identifier: Apache-2.0 */
/* Warm-up records: a PredictionLog, once as it is and once with the frame of a TFRecord, asked of a model
 * that checks what it gets. */
#include <assert.h>
#include <string.h>
#include "base/crc32c.h"
#include "base/mem.h"
#include "serving/inference.h"
#include "serving/tfrecord.h"
#include "serving/warmup.h"

#define MEMORY_MAX ((size_t)1 << 20)

static struct signature_tensor floats = {.alias = "x", .dtype = DT_FLOAT, .rank = 2, .dims = {-1, 4}},
			       examples = {.alias = "inputs", .dtype = DT_STRING, .rank = 1, .dims = {-1}};
static struct signature items[] = {
    {.name = "classify", .method_name = INFERENCE_METHOD_CLASSIFY, .input_count = 1, .inputs = &examples},
    {.name = "regress", .method_name = INFERENCE_METHOD_REGRESS, .input_count = 1, .inputs = &examples},
    {.name = SIGNATURE_DEFAULT,
     .method_name = SIGNATURE_METHOD_PREDICT,
     .input_count = 1,
     .inputs = &floats,
     .output_count = 1,
     .outputs = &floats},
};
static const struct signature_set set = {ARRAY_LEN(items), items};

static const struct signature_set *signatures(const struct runtime_model *m)
{
	return &set;
}

static int run(struct runtime_model *m, const struct signature *s, const struct tensor *const *inputs,
	       const size_t *outputs, size_t output_count, struct tensor *ret, struct err *err)
{
	const struct tensor *t = inputs[0];
	unsigned sum = 0;

	assert(s->input_count == 1 && t->dtype == s->inputs[0].dtype && t->rank == s->inputs[0].rank);
	if (t->dtype == DT_FLOAT) {
		assert(t->dims[1] == 4 && t->bytes == t->count * sizeof(float));
		for (size_t i = 0; i < t->bytes; i++)
			sum += ((const unsigned char *)t->data)[i];
	} else {
		for (size_t i = 0; i < t->count; i++)
			for (size_t k = 0; k < t->strings[i].len; k++)
				sum += (unsigned char)t->strings[i].data[k];
	}
	for (size_t i = 0; i < output_count; i++)
		ret[i] = (struct tensor){.dtype = DT_FLOAT};
	return sum == 7 ? err_set(err, ERR_INTERNAL, "the model fails") : 0;
}

static const struct runtime_ops ops = {.name = "fuzz", .signatures = signatures, .run = run};

static void add_little(struct buf *b, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		buf_addc(b, (char)(v >> (8 * i)));
}

static uint32_t masked(const void *data, size_t len)
{
	uint32_t crc = crc32c(0, data, len);

	return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static void try(const struct buf *file)
{
	struct runtime_model model = {.ops = &ops};
	struct err err = ERR_INIT;
	int count = 0;
	int r = warmup_run_records(&model, (struct str){file->data, file->len}, MEMORY_MAX, &count, &err);

	assert(r == -err.code && count >= 0 && count <= WARMUP_RECORDS_MAX + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf) struct buf plain = BUF_INIT, framed = BUF_INIT;

	buf_add(&plain, data, size);
	try(&plain);
	add_little(&framed, size, 8);
	add_little(&framed, masked(framed.data, 8), 4);
	buf_add(&framed, data, size);
	add_little(&framed, masked(data, size), 4);
	try(&framed);
	return 0;
}
