/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics in Prometheus's text format: TensorFlow Serving's series, then the process's own. */
#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/mem.h"
#include "net/grpc.h"
#include "serving/copies.h"
#include "serving/http.h"
#include "serving/metrics.h"
#include "serving/model.h"

#define TEXT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define US_PER_S 1e6

static const char *const api_grpc[] = {
#define API_GRPC(name, grpc, rest) grpc,
    METRIC_API_TABLE(API_GRPC)
#undef API_GRPC
};
static const char *const api_rest[] = {
#define API_REST(name, grpc, rest) rest,
    METRIC_API_TABLE(API_REST)
#undef API_REST
};

static void begin(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_printf(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: only these three need an escape. */
static void add_label(struct buf *b, const char *name, const char *value)
{
	buf_printf(b, "%s=\"", name);
	for (; *value; value++) {
		if (*value == '\n')
			buf_adds(b, "\\n");
		else if (*value == '"' || *value == '\\')
			buf_printf(b, "\\%c", *value);
		else
			buf_addc(b, *value);
	}
	buf_addc(b, '"');
}

/* 'labels' is without braces; "" when there are none. */
static void add_histogram(struct buf *b, const char *name, const char *labels, const struct histogram *h,
			  const double *bounds, int bound_count)
{
	const char *comma = labels[0] ? "," : "";
	uint64_t sum = 0;

	for (int i = 0; i < bound_count; i++) {
		sum += h->counts[i];
		buf_printf(b, "%s_bucket{%s%sle=\"%.15g\"} %llu\n", name, labels, comma, bounds[i],
			   (unsigned long long)sum);
	}
	buf_printf(b, "%s_bucket{%s%sle=\"+Inf\"} %llu\n", name, labels, comma, (unsigned long long)h->count);
	buf_printf(b, "%s_sum{%s} %.15g\n", name, labels, h->sum);
	buf_printf(b, "%s_count{%s} %llu\n", name, labels, (unsigned long long)h->count);
}

static void write_counts(const struct metrics *m, struct buf *b)
{
	static const char name[] = ":tensorflow:serving:request_count";
	const struct model_metrics *of;
	const char *model;

	begin(b, name, "counter", "Requests by model and status.");
	for (size_t i = 0; metrics_next(m, &i, &model, &of);)
		for (int status = 0; status < METRIC_STATUS_COUNT; status++) {
			if (of->status[status] == 0)
				continue;
			buf_printf(b, "%s{", name);
			add_label(b, "model_name", model);
			buf_addc(b, ',');
			add_label(b, "status", grpc_status_name(status));
			buf_printf(b, "} %llu\n", (unsigned long long)of->status[status]);
		}
}

static void write_latencies(const struct metrics *m, struct buf *b)
{
	static const char name[] = ":tensorflow:serving:request_latency";
	const struct model_metrics *of;
	const char *model;

	begin(b, name, "histogram", "Time of successful requests in microseconds.");
	for (size_t i = 0; metrics_next(m, &i, &model, &of);)
		for (int api = 0; api < METRIC_API_COUNT; api++)
			for (int entry = 0; entry < METRIC_ENTRY_COUNT; entry++) {
				CLEANUP(buf) struct buf labels = BUF_INIT;
				if (of->latency_us[api][entry].count == 0)
					continue;
				add_label(&labels, "model_name", model);
				buf_printf(&labels, ",API=\"%s\",entrypoint=\"%s\"",
					   entry == METRIC_GRPC ? api_grpc[api] : api_rest[api],
					   entry == METRIC_GRPC ? "GRPC" : "REST");
				add_histogram(b, name, buf_str(&labels), &of->latency_us[api][entry],
					      metrics_latency_bounds(), METRIC_LATENCY_BOUNDS);
			}
}

static const char *runtime_of(const struct server *s, const char *model)
{
	const struct model *m = registry_find(&s->registry, str_from(model));

	for (size_t i = 0; m && i < m->version_count; i++)
		if (m->versions[i]->runtime && m->versions[i]->runtime->ops == &runtime_onnx)
			return "ONNX";
	return "TF1"; /* the original's name for a session of the graph */
}

static void write_runs(const struct server *s, struct buf *b)
{
	static const char name[] = ":tensorflow:serving:runtime_latency";
	const struct model_metrics *of;
	const char *model;

	begin(b, name, "histogram", "Time in the model of successful requests in microseconds.");
	for (size_t i = 0; metrics_next(s->metrics, &i, &model, &of);)
		for (int api = 0; api < METRIC_API_COUNT; api++) {
			CLEANUP(buf) struct buf labels = BUF_INIT;
			if (of->run_us[api].count == 0)
				continue;
			add_label(&labels, "model_name", model);
			buf_printf(&labels, ",API=\"%s\",runtime=\"%s\"", api_grpc[api],
				   runtime_of(s, model));
			add_histogram(b, name, buf_str(&labels), &of->run_us[api], metrics_latency_bounds(),
				      METRIC_LATENCY_BOUNDS);
		}
}

static void write_examples(const struct metrics *m, struct buf *b)
{
	static const char counts[] = ":tensorflow:serving:request_example_counts";
	static const char total[] = ":tensorflow:serving:request_example_count_total";
	const struct model_metrics *of;
	const char *model;

	begin(b, counts, "histogram", "Examples in a request.");
	for (size_t i = 0; metrics_next(m, &i, &model, &of);) {
		CLEANUP(buf) struct buf labels = BUF_INIT;
		if (of->examples.count == 0)
			continue;
		add_label(&labels, "model", model);
		add_histogram(b, counts, buf_str(&labels), &of->examples, metrics_example_bounds(),
			      METRIC_EXAMPLE_BOUNDS);
	}
	begin(b, total, "counter", "Examples of all requests.");
	for (size_t i = 0; metrics_next(m, &i, &model, &of);) {
		if (of->examples.count == 0)
			continue;
		buf_printf(b, "%s{", total);
		add_label(b, "model", model);
		buf_printf(b, "} %.15g\n", of->example_total);
	}
}

static void add_number(struct buf *b, const char *name, const char *type, const char *help, double value)
{
	begin(b, name, type, help);
	buf_printf(b, "%s %.15g\n", name, value);
}

/* Histograms of the batcher: the first three under the original's names. */
static const struct {
	const char *name, *label, *help;
	size_t offset;
	const double *(*bounds)(void);
	int bound_count;
} batch_series[] = {
    {":tensorflow:serving:batching_session:queuing_latency", "thread_pool_name",
     "Time of requests in the queue of their model in microseconds.",
     offsetof(struct batch_metrics, queue_us), metrics_queue_bounds, METRIC_QUEUE_BOUNDS},
    {":tensorflow:serving:batching:input_batch_size_v2", "model_name", "Rows of a request.",
     offsetof(struct batch_metrics, request_rows), metrics_example_bounds, METRIC_EXAMPLE_BOUNDS},
    {":tensorflow:serving:batching:padding_size_v2", "model_name", "Rows that only fill a batch up.",
     offsetof(struct batch_metrics, padding), metrics_example_bounds, METRIC_EXAMPLE_BOUNDS},
    {"cloudml_serving_batch_rows", "model_name", "Rows of a batch as the model saw it.",
     offsetof(struct batch_metrics, rows), metrics_example_bounds, METRIC_EXAMPLE_BOUNDS},
};

static void write_batches(const struct metrics *m, struct buf *b)
{
	const struct model_metrics *of;
	const char *model;
	uint64_t runs = 0;

	for (size_t k = 0; k < ARRAY_LEN(batch_series); k++) {
		begin(b, batch_series[k].name, "histogram", batch_series[k].help);
		for (size_t i = 0; metrics_next(m, &i, &model, &of);) {
			CLEANUP(buf) struct buf labels = BUF_INIT;
			if (!of->batching)
				continue;
			add_label(&labels, batch_series[k].label, model);
			add_histogram(b, batch_series[k].name, buf_str(&labels),
				      (const void *)((const char *)of->batching + batch_series[k].offset),
				      batch_series[k].bounds(), batch_series[k].bound_count);
		}
	}
	for (size_t i = 0; metrics_next(m, &i, &model, &of);)
		runs += of->batching ? of->batching->runs : 0;
	add_number(b, ":tensorflow:serving:batching_session:wrapped_run_count", "counter",
		   "Runs of models that the batcher has started.", (double)runs);
}

static void write_states(const struct server *s, struct buf *b)
{
	static const char name[] = "cloudml_serving_model_version_state";
	const char *model;
	void *value;

	begin(b, name, "gauge", "1 for each version in the state that it is in.");
	for (size_t i = 0; map_next(s->registry.models, &i, &model, &value);) {
		const struct model *m = value;
		for (size_t k = 0; k < m->version_count; k++) {
			buf_printf(b, "%s{", name);
			add_label(b, "model_name", model);
			buf_printf(b, ",version=\"%lld\",state=\"%s\"} 1\n",
				   (long long)m->versions[k]->number,
				   version_state_word(m->versions[k]->state));
		}
	}
}

static int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n > 3 ? n - 3 : 0; /* ".", ".." and the folder itself */
}

static void write_copies(struct buf *b)
{
	static const char name[] = "cloudml_serving_copied_bytes_total";

	begin(b, name, "counter", "Bytes of gRPC messages and their tensors moved inside the process.");
	buf_printf(b, "%s{direction=\"in\"} %llu\n%s{direction=\"out\"} %llu\n", name,
		   (unsigned long long)copies_total(COPY_IN), name,
		   (unsigned long long)copies_total(COPY_OUT));
}

static void write_process(const struct server *s, struct buf *b)
{
	unsigned long total = 0, resident = 0;
	struct rusage usage = {0};
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%lu %lu", &total, &resident) != 2)
		total = resident = 0;
	if (f)
		fclose(f);
	getrusage(RUSAGE_SELF, &usage);
	add_number(b, "cloudml_serving_open_connections", "gauge", "Open connections of all kinds.",
		   server_clients(s));
	add_number(b, "cloudml_serving_requests_in_flight", "gauge", "Requests that are being answered.",
		   s->calls);
	add_number(b, "cloudml_serving_request_memory_bytes", "gauge", "Memory of requests in flight.",
		   (double)s->request_bytes);
	add_number(b, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.",
		   (double)resident * (double)sysconf(_SC_PAGESIZE));
	add_number(b, "process_virtual_memory_bytes", "gauge", "Virtual memory in bytes.",
		   (double)total * (double)sysconf(_SC_PAGESIZE));
	add_number(b, "process_open_fds", "gauge", "Open file descriptors.", open_files());
	add_number(b, "process_cpu_seconds_total", "counter", "Processor time of the process in seconds.",
		   (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / US_PER_S);
}

void metrics_write(const struct server *s, struct buf *b)
{
	write_counts(s->metrics, b);
	write_latencies(s->metrics, b);
	write_runs(s, b);
	write_examples(s->metrics, b);
	if (s->batcher)
		write_batches(s->metrics, b);
	write_states(s, b);
	write_copies(b);
	write_process(s, b);
}

void metrics_handle(struct http_call *c)
{
	struct buf b = BUF_INIT;

	metrics_write(c->server, &b);
	http_reply(c, 200, TEXT_TYPE, &b);
}
