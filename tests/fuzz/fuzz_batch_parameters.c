/* SPDX-License-Identifier: Apache-2.0 */
/* BatchingParameters in text: rules that are read can be kept. */
#include <assert.h>
#include "serving/batch_parameters.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	struct batch_rules rules;
	struct err err = ERR_INIT;
	int r;

	buf_add(&text, data, size);
	r = batch_parameters_parse((struct str){buf_str(&text), size}, 3, &rules, &err);
	assert(r == -err.code);
	if (r < 0)
		return 0;
	assert(rules.rows_max >= 1 && rules.rows_max <= rules.request_rows_max);
	assert(rules.wait_ns >= 0 && rules.threads >= 1 && rules.enqueued_max >= 1);
	assert(rules.allowed_count >= 0 && rules.allowed_count <= BATCH_SIZES_MAX);
	for (int i = 1; i < rules.allowed_count; i++)
		assert(rules.allowed[i] > rules.allowed[i - 1]);
	assert(batch_fill(&rules, 1) >= 1 && batch_fill(&rules, rules.rows_max) == rules.rows_max);
	return 0;
}
