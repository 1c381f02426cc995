/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and latencies of requests, one set a model, in TensorFlow Serving's buckets and under its names.
 * Everything is counted on the loop's thread: plain additions, no lock, and no allocation but for the first
 * request of a model. */
#ifndef SERVING_METRICS_H
#define SERVING_METRICS_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"

struct server;

/* API, its name in gRPC's series, in REST's */
#define METRIC_API_TABLE(X)                                                                                  \
	X(METRIC_PREDICT, "Predict", "predict")                                                              \
	X(METRIC_CLASSIFY, "Classify", "classify")                                                           \
	X(METRIC_REGRESS, "Regress", "regress")                                                              \
	X(METRIC_MULTI_INFERENCE, "MultiInference", "multi_inference")

enum metric_api {
#define METRIC_API_ENUM(name, grpc, rest) name,
	METRIC_API_TABLE(METRIC_API_ENUM)
#undef METRIC_API_ENUM
	    METRIC_API_COUNT,
	METRIC_NONE = METRIC_API_COUNT /* not counted */
};
enum metric_entry { METRIC_GRPC, METRIC_REST, METRIC_ENTRY_COUNT };

#define METRIC_STATUS_COUNT 17	 /* google.rpc.Code */
#define METRIC_LATENCY_BOUNDS 33 /* 10 µs * 1.8^i: up to 20 minutes */
#define METRIC_EXAMPLE_BOUNDS 15 /* 2^i */
#define METRIC_QUEUE_BOUNDS 52	 /* 100 µs * 1.2^i: up to a second */
#define METRIC_BOUNDS_MAX METRIC_QUEUE_BOUNDS

struct histogram {
	uint64_t counts[METRIC_BOUNDS_MAX + 1]; /* not cumulative; the last used one has no upper bound */
	uint64_t count;
	double sum;
};
struct model_metrics {
	uint64_t status[METRIC_STATUS_COUNT];
	struct histogram latency_us[METRIC_API_COUNT][METRIC_ENTRY_COUNT]; /* of requests that succeeded */
	struct histogram run_us[METRIC_API_COUNT];
	struct histogram examples;
	double example_total;
	struct batch_metrics *batching; /* NULL until the first batch */
};
/* What the batcher did for a model. */
struct batch_metrics {
	uint64_t runs;
	struct histogram queue_us;     /* from arrival to the begin of the run, of each request */
	struct histogram request_rows; /* of each request */
	struct histogram rows;	       /* of each batch, those that fill it up included */
	struct histogram padding;      /* rows of each batch that only fill it up */
};
struct metric_batch {
	uint64_t runs;
	int64_t rows, filled_rows; /* of the requests; as the model saw them */
};
struct metric_request {
	enum metric_api api;
	enum metric_entry entry;
	int code; /* ERR_ code, 0 = success */
	int64_t latency_ns, run_ns;
	size_t examples; /* tensorflow.Examples; 0 = the request has none */
};

struct metrics *metrics_new(void);
void metrics_free(struct metrics *m);
/* 'model' is a name that the server knows, or "" for requests that name none of its models: strangers must
 * not make series. */
void metrics_count(struct metrics *m, struct str model, const struct metric_request *r);
/* The same in two steps, for those who keep the first one's result: valid as long as 'm'. */
struct model_metrics *metrics_place(struct metrics *m, struct str model);
void metrics_add(struct model_metrics *to, const struct metric_request *r);
/* A batch that has run, and each of its requests. */
void metrics_add_batch(struct model_metrics *to, const struct metric_batch *b);
void metrics_add_queued(struct model_metrics *to, int64_t queue_ns, int64_t rows);
/* NULL when the model had no request yet; view. */
const struct model_metrics *metrics_of(const struct metrics *m, const char *model);

/* The upper bounds of the buckets: METRIC_LATENCY_BOUNDS, METRIC_EXAMPLE_BOUNDS or METRIC_QUEUE_BOUNDS of
 * them. */
const double *metrics_latency_bounds(void);
const double *metrics_example_bounds(void);
const double *metrics_queue_bounds(void);
/* Adds 'from' to 'to'. */
void histogram_merge(struct histogram *to, const struct histogram *from);
/* The value below which 'part' (0 to 1) of the values lie, interpolated inside its bucket; 0 when empty. */
double histogram_quantile(const struct histogram *h, const double *bounds, int bound_count, double part);

/* Appends everything in Prometheus's text format, version 0.0.4. */
void metrics_write(const struct server *s, struct buf *b);
/* For metrics_write: name and numbers of each model, in the order of their first requests. */
bool metrics_next(const struct metrics *m, size_t *pos, const char **ret_model,
		  const struct model_metrics **ret);

#endif
