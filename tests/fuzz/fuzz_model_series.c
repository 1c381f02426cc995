/* SPDX-License-Identifier: Apache-2.0 */
/* The series of a model server: whatever it writes, sums are finite and bounds ascend. */
#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "api/model_series.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model_series f = {0}, sum = {0};
	char *text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = 0;
	model_series_read(&f, text, "m");
	free(text);
	model_series_add(&sum, &f);
	model_series_add(&sum, &f);
	assert(f.bound_count <= MODEL_SERIES_BOUNDS_MAX && sum.bound_count == f.bound_count);
	assert(f.requests >= 0 && f.errors >= 0 && f.errors <= f.requests);
	for (size_t i = 1; i < f.bound_count; i++)
		assert(f.bounds[i - 1] < f.bounds[i]);
	for (int i = 0; i <= 4; i++)
		assert(!isnan(model_series_quantile_us(&sum, i / 4.0)));
	return 0;
}
