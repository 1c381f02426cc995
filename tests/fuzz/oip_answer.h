/* SPDX-License-Identifier: Apache-2.0 */
/* A prediction that hands back a request's inputs, for the harnesses of the Open Inference Protocol. */
#ifndef FUZZ_OIP_ANSWER_H
#define FUZZ_OIP_ANSWER_H

#include "base/mem.h"
#include "serving/oip.h"

struct oip_answer {
	struct model_version version;
	struct signature signature;
	struct predict predict;
};

static inline void oip_answer_init(struct oip_answer *a, const struct oip_request *q, struct arena *arena)
{
	*a = (struct oip_answer){.version = {.number = 7, .model_name = "m"}};
	a->signature.output_count = q->input_count;
	a->signature.outputs = arena_alloc(arena, (q->input_count + 1) * sizeof(*a->signature.outputs));
	a->predict.version = &a->version;
	a->predict.signature = &a->signature;
	a->predict.output_count = q->input_count;
	a->predict.output_index = arena_alloc(arena, (q->input_count + 1) * sizeof(size_t));
	a->predict.outputs = arena_alloc(arena, (q->input_count + 1) * sizeof(struct tensor));
	for (size_t i = 0; i < q->input_count; i++) {
		a->signature.outputs[i].alias = "x";
		a->predict.output_index[i] = i;
		a->predict.outputs[i] = q->inputs[i].tensor;
	}
}

#endif
