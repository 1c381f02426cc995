/* SPDX-License-Identifier: Apache-2.0 */
/* A model server's counters, from Prometheus's text. What a model's author made wrote it: nothing of it is
 * believed to be well formed. */
#include "api/model_series.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"

#define NAME_MAX_BYTES 64
#define COUNT_MAX 1e15
#define COUNT_SERIES ":tensorflow:serving:request_count{"
#define BUCKET_SERIES ":tensorflow:serving:request_latency_bucket{"
#define IN_FLIGHT_SERIES "cloudml_serving_requests_in_flight "

/* The value of a label in "{…}", cut at cap. */
static bool label(const char *line, const char *key, char *ret, size_t cap)
{
	char with[32];
	snprintf(with, sizeof(with), "%s=\"", key);
	const char *at = strstr(line, with);
	if (!at)
		return false;
	at += strlen(with);
	snprintf(ret, cap, "%.*s", (int)strcspn(at, "\"\n"), at);
	return true;
}

static double value(const char *line)
{
	const char *brace = strrchr(line, '}'), *space = strchr(brace ? brace : line, ' ');
	double v = space ? strtod(space, NULL) : 0;
	return v >= 0 && v <= COUNT_MAX ? v : 0;
}

static void add_bucket(struct model_series *f, double bound, double count)
{
	size_t i = 0;
	if (!(bound >= 0))
		return;
	while (i < f->bound_count && f->bounds[i] < bound)
		i++;
	if (i < f->bound_count && f->bounds[i] == bound) {
		f->below[i] += count;
		return;
	}
	if (f->bound_count == MODEL_SERIES_BOUNDS_MAX)
		return;
	memmove(&f->bounds[i + 1], &f->bounds[i], (f->bound_count - i) * sizeof(double));
	memmove(&f->below[i + 1], &f->below[i], (f->bound_count - i) * sizeof(double));
	f->bounds[i] = bound;
	f->below[i] = count;
	f->bound_count++;
}

static void read_line(struct model_series *f, const char *line, const char *model)
{
	char text[NAME_MAX_BYTES];
	bool is_count = str_starts(line, COUNT_SERIES), is_bucket = str_starts(line, BUCKET_SERIES);
	if (str_starts(line, IN_FLIGHT_SERIES))
		f->in_flight += value(line);
	if (!is_count && !is_bucket)
		return;
	if (!label(line, "model_name", text, sizeof(text)) || strcmp(text, model))
		return;
	if (is_bucket && label(line, "le", text, sizeof(text)))
		add_bucket(f, strtod(text, NULL), value(line));
	if (is_count)
		f->requests += value(line);
	if (is_count && label(line, "status", text, sizeof(text)) && strcmp(text, "OK"))
		f->errors += value(line);
}

/* What a model's author made wrote this: nothing of it is believed to be well formed. */
void model_series_read(struct model_series *f, char *text, const char *model)
{
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		read_line(f, line, model);
}

/* By even spread inside a bucket. */
double model_series_quantile_us(const struct model_series *f, double q)
{
	double total = f->bound_count ? f->below[f->bound_count - 1] : 0, want = q * total;
	double low = 0, count_low = 0;
	if (total <= 0)
		return -1;
	for (size_t i = 0; i < f->bound_count; i++) {
		double high = f->bounds[i], count = f->below[i] - count_low;
		if (f->below[i] >= want && count > 0)
			return isfinite(high) ? low + (high - low) * (want - count_low) / count : low;
		low = isfinite(high) ? high : low;
		count_low = f->below[i];
	}
	return low;
}

void model_series_add(struct model_series *sum, const struct model_series *f)
{
	sum->requests += f->requests;
	sum->errors += f->errors;
	sum->in_flight += f->in_flight;
	for (size_t i = 0; i < f->bound_count; i++)
		add_bucket(sum, f->bounds[i], f->below[i]);
}
