/* SPDX-License-Identifier: Apache-2.0 */
/* Counting of requests, see metrics.h. */
#include "serving/metrics.h"

#include <stdlib.h>
#include <string.h>
#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"

#define NS_PER_US 1000.0
#define NAME_MAX_BYTES 1024

struct metrics {
	struct map *models; /* name → struct model_metrics */
};

static void model_metrics_free(void *p)
{
	free(((struct model_metrics *)p)->batching);
	free(p);
}

struct metrics *metrics_new(void)
{
	struct metrics *m = MEM_NEW(struct metrics);

	m->models = map_new(model_metrics_free);
	return m;
}

void metrics_free(struct metrics *m)
{
	if (!m)
		return;
	map_free(m->models);
	free(m);
}

static void fill_bounds(double *bounds, int count, double first, double factor)
{
	for (int i = 0; i < count; i++, first *= factor)
		bounds[i] = first;
}

const double *metrics_latency_bounds(void)
{
	static double bounds[METRIC_LATENCY_BOUNDS]; /* filled by the loop's thread, which alone reads it */

	if (bounds[0] == 0)
		fill_bounds(bounds, METRIC_LATENCY_BOUNDS, 10, 1.8);
	return bounds;
}

const double *metrics_example_bounds(void)
{
	static double bounds[METRIC_EXAMPLE_BOUNDS];

	if (bounds[0] == 0)
		fill_bounds(bounds, METRIC_EXAMPLE_BOUNDS, 1, 2);
	return bounds;
}

const double *metrics_queue_bounds(void)
{
	static double bounds[METRIC_QUEUE_BOUNDS];

	if (bounds[0] == 0)
		fill_bounds(bounds, METRIC_QUEUE_BOUNDS, 100, 1.2);
	return bounds;
}

static void histogram_add(struct histogram *h, const double *bounds, int bound_count, double value)
{
	int low = 0, high = bound_count;

	while (low < high) {
		int middle = (low + high) / 2;
		if (value <= bounds[middle])
			high = middle;
		else
			low = middle + 1;
	}
	h->counts[low]++;
	h->count++;
	h->sum += value;
}

void histogram_merge(struct histogram *to, const struct histogram *from)
{
	for (size_t i = 0; i < ARRAY_LEN(to->counts); i++)
		to->counts[i] += from->counts[i];
	to->count += from->count;
	to->sum += from->sum;
}

double histogram_quantile(const struct histogram *h, const double *bounds, int bound_count, double part)
{
	double wanted = part * (double)h->count, before = 0;

	if (h->count == 0)
		return 0;
	for (int i = 0; i < bound_count; i++) {
		double inside = (double)h->counts[i], low = i ? bounds[i - 1] : 0;
		if (inside > 0 && before + inside >= wanted)
			return low + (bounds[i] - low) * ((wanted - before) / inside);
		before += inside;
	}
	return bounds[bound_count - 1];
}

struct model_metrics *metrics_place(struct metrics *m, struct str model)
{
	char name[NAME_MAX_BYTES + 1];
	struct model_metrics *found;

	if (model.len > NAME_MAX_BYTES)
		model.len = NAME_MAX_BYTES;
	memcpy(name, model.data, model.len);
	name[model.len] = 0;
	found = map_get(m->models, name);
	if (!found) {
		found = MEM_NEW(struct model_metrics);
		map_set(m->models, name, found);
	}
	return found;
}

void metrics_count(struct metrics *m, struct str model, const struct metric_request *r)
{
	metrics_add(metrics_place(m, model), r);
}

static struct batch_metrics *batching_of(struct model_metrics *m)
{
	if (!m->batching)
		m->batching = MEM_NEW(struct batch_metrics);
	return m->batching;
}

static void rows_add(struct histogram *h, int64_t rows)
{
	histogram_add(h, metrics_example_bounds(), METRIC_EXAMPLE_BOUNDS, (double)rows);
}

void metrics_add_batch(struct model_metrics *to, const struct metric_batch *b)
{
	struct batch_metrics *of = batching_of(to);

	of->runs += b->runs;
	rows_add(&of->rows, b->filled_rows);
	rows_add(&of->padding, b->filled_rows - b->rows);
}

void metrics_add_queued(struct model_metrics *to, int64_t queue_ns, int64_t rows)
{
	struct batch_metrics *of = batching_of(to);

	histogram_add(&of->queue_us, metrics_queue_bounds(), METRIC_QUEUE_BOUNDS,
		      (double)queue_ns / NS_PER_US);
	rows_add(&of->request_rows, rows);
}

void metrics_add(struct model_metrics *to, const struct metric_request *r)
{
	int status = err_grpc(r->code);

	to->status[status >= 0 && status < METRIC_STATUS_COUNT ? status : 2]++;
	if (r->examples > 0) {
		histogram_add(&to->examples, metrics_example_bounds(), METRIC_EXAMPLE_BOUNDS,
			      (double)r->examples);
		to->example_total += (double)r->examples;
	}
	if (r->code != 0)
		return; /* how fast something fails says nothing about the model */
	histogram_add(&to->latency_us[r->api][r->entry], metrics_latency_bounds(), METRIC_LATENCY_BOUNDS,
		      (double)r->latency_ns / NS_PER_US);
	histogram_add(&to->run_us[r->api], metrics_latency_bounds(), METRIC_LATENCY_BOUNDS,
		      (double)r->run_ns / NS_PER_US);
}

const struct model_metrics *metrics_of(const struct metrics *m, const char *model)
{
	return map_get(m->models, model);
}

bool metrics_next(const struct metrics *m, size_t *pos, const char **ret_model,
		  const struct model_metrics **ret)
{
	void *value;

	if (!map_next(m->models, pos, ret_model, &value))
		return false;
	*ret = value;
	return true;
}
