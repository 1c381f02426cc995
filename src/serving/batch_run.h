/* SPDX-License-Identifier: Apache-2.0 */
/* One batch: requests whose rows run as one, or one request that runs in pieces. */
#ifndef SERVING_BATCH_RUN_H
#define SERVING_BATCH_RUN_H

#include "serving/predict.h"

struct batch_run {
	const struct batch_rules *rules;
	size_t count;
	struct predict **members; /* of one version and signature */
	int64_t rows;		  /* of all together */
	size_t bytes_max;	  /* of one joined input */
	uint64_t runs;		  /* of the model that were needed */
	int64_t filled;		  /* rows that it saw in them */
	bool is_unfit; /* the model's outputs do not have a row for each row of its inputs: never again */
};

void batch_run_init(struct batch_run *b, const struct batch_rules *rules, size_t count, int64_t rows,
		    size_t bytes_max);
void batch_run_done(struct batch_run *b);
/* Computes the members' outputs or errors. On either thread. */
void batch_run(struct batch_run *b);

#endif
