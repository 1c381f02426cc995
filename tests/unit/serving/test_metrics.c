/* SPDX-License-Identifier: Apache-2.0 */
/* Counting of requests and the quantiles that people are shown. */
#include <math.h>
#include "serving/metrics.h"
#include "unit/test.h"

#define US 1000

static void count(struct metrics *m, const char *model, int64_t us, int code)
{
	const struct metric_request r = {.api = METRIC_CLASSIFY,
					 .entry = METRIC_REST,
					 .code = code,
					 .latency_ns = us * US,
					 .run_ns = us * US / 2,
					 .examples = 3};

	metrics_count(m, str_from(model), &r);
}

TEST(requests_are_counted_by_model_and_status)
{
	struct metrics *m = metrics_new();
	const struct model_metrics *a;
	const char *name;
	size_t pos = 0;

	assert_null(metrics_of(m, "a"));
	count(m, "a", 100, 0);
	count(m, "a", 100, 0);
	count(m, "a", 1, ERR_NOT_FOUND);
	count(m, "", 1, ERR_NOT_FOUND);
	a = metrics_of(m, "a");
	assert_int_equal(a->status[0], 2);
	assert_int_equal(a->status[5], 1);
	assert_int_equal(a->latency_us[METRIC_CLASSIFY][METRIC_REST].count, 2);
	assert_int_equal(a->latency_us[METRIC_CLASSIFY][METRIC_GRPC].count, 0);
	assert_int_equal(a->examples.count, 3);
	assert_true(a->example_total == 9);
	assert_true(a->run_us[METRIC_CLASSIFY].sum == 100);
	assert_true(metrics_next(m, &pos, &name, &a));
	assert_string_equal(name, "a");
	assert_true(metrics_next(m, &pos, &name, &a));
	assert_string_equal(name, "");
	assert_false(metrics_next(m, &pos, &name, &a));
	metrics_free(m);
}

TEST(a_value_at_a_bound_belongs_to_that_bucket_and_huge_ones_to_the_last)
{
	struct metrics *m = metrics_new();
	const struct histogram *h;

	count(m, "a", 10, 0);
	count(m, "a", 11, 0);
	count(m, "a", 0, 0);
	count(m, "a", (int64_t)1 << 40, 0);
	h = &metrics_of(m, "a")->latency_us[METRIC_CLASSIFY][METRIC_REST];
	assert_int_equal(h->counts[0], 2);
	assert_int_equal(h->counts[1], 1);
	assert_int_equal(h->counts[METRIC_LATENCY_BOUNDS], 1);
	assert_int_equal(h->count, 4);
	metrics_free(m);
}

TEST(batches_are_counted_with_their_rows_and_the_time_of_each_request)
{
	const struct metric_batch filled = {1, 5, 8}, alone = {1, 1, 1};
	struct metrics *m = metrics_new();
	struct model_metrics *of = metrics_place(m, STR("a"));

	assert_ptr_equal(metrics_of(m, "a"), of);
	assert_null(of->batching);
	metrics_add_batch(of, &filled);
	metrics_add_batch(of, &alone);
	metrics_add_queued(of, 150 * US, 2);
	assert_int_equal(of->batching->runs, 2);
	assert_true(of->batching->rows.sum == 9 && of->batching->padding.sum == 3);
	assert_int_equal(of->batching->padding.counts[0], 1);
	assert_int_equal(of->batching->queue_us.counts[3], 1); /* 100 * 1.2^3 = 172.8 */
	assert_true(of->batching->request_rows.sum == 2);
	metrics_free(m);
}

TEST(quantiles_lie_within_the_bucket_of_the_value)
{
	const double *bounds = metrics_latency_bounds();
	struct metrics *m = metrics_new();
	struct histogram sum = {0};
	double p50, p99;

	assert_true(histogram_quantile(&sum, bounds, METRIC_LATENCY_BOUNDS, 0.5) == 0);
	for (int i = 0; i < 98; i++)
		count(m, "a", 100, 0);
	count(m, "a", 50000, 0);
	count(m, "a", 50000, 0);
	histogram_merge(&sum, &metrics_of(m, "a")->latency_us[METRIC_CLASSIFY][METRIC_REST]);
	p50 = histogram_quantile(&sum, bounds, METRIC_LATENCY_BOUNDS, 0.5);
	p99 = histogram_quantile(&sum, bounds, METRIC_LATENCY_BOUNDS, 0.99);
	assert_true(p50 > 100 / 1.8 && p50 < 100 * 1.8);
	assert_true(p99 > 50000 / 1.8 && p99 < 50000 * 1.8);
	histogram_merge(&sum, &sum);
	assert_int_equal(sum.count, 200);
	metrics_free(m);
}

TEST(bounds_are_those_of_the_original)
{
	const double *latency = metrics_latency_bounds(), *examples = metrics_example_bounds();

	assert_true(latency[0] == 10 && latency[1] == 18 && fabs(latency[2] - 32.4) < 1e-9);
	assert_true(latency[METRIC_LATENCY_BOUNDS - 1] > 20 * 60e6);
	assert_true(examples[0] == 1 && examples[METRIC_EXAMPLE_BOUNDS - 1] == 16384);
}
