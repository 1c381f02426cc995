/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and latency of a model, read from the series of its servers and summed. */
#ifndef API_MODEL_SERIES_H
#define API_MODEL_SERIES_H

#include <stddef.h>

#define MODEL_SERIES_BOUNDS_MAX 64

struct model_series {
	double requests, errors, in_flight;
	/* Microseconds, ascending, and how many requests took at most so long. */
	double bounds[MODEL_SERIES_BOUNDS_MAX], below[MODEL_SERIES_BOUNDS_MAX];
	size_t bound_count;
};

/* Adds what 'text' says of the model. Changes text. */
void model_series_read(struct model_series *f, char *text, const char *model);
void model_series_add(struct model_series *sum, const struct model_series *f);
double model_series_quantile_us(const struct model_series *f, double q); /* -1 without requests */

#endif
