/* SPDX-License-Identifier: Apache-2.0 */
/* One prediction, whatever protocol it came by: resolve, check, compute, hand back. */
#ifndef SERVING_PREDICT_H
#define SERVING_PREDICT_H

#include <stdatomic.h>
#include "base/arena.h"
#include "serving/batch_queue.h"
#include "serving/metrics.h"
#include "serving/model.h"
#include "serving/server.h"

struct predict {
	struct server *server;
	struct loop_job job;
	struct batch_item item;	    /* in the queue of a batcher */
	struct batch_lane *lane;    /* NULL unless it waits there */
	struct batch_lane *passing; /* the lane it did not have to wait in, while it runs */
	atomic_bool cancelled;	    /* nobody wants the answer any more */
	struct arena arena;	    /* everything the request needs */

	/* Filled by the protocol before predict_start. */
	struct model_spec spec;
	int64_t deadline_ns; /* of the monotonic clock; INT64_MAX = none */
	size_t input_count;
	struct named_tensor *inputs;
	size_t filter_count; /* output_filter; 0 = all outputs */
	struct str *filter;
	struct metric_request count; /* api and entry; the rest is filled in when it is counted */
	void *owner;
	void (*done)(
	    struct predict *p); /* once; err.code != 0 or outputs are there; frees p sooner or later */

	/* After predict_resolve. */
	struct model_version *version;
	const struct signature *signature;

	/* The answer: outputs[i] belongs to signature->outputs[output_index[i]]. */
	size_t output_count;
	size_t *output_index;
	struct tensor *outputs;
	struct err err;

	const struct tensor **ordered; /* inputs in the signature's order */
	int64_t run_ns, started_ns;
	int64_t queued_ns, run_start_ns; /* moments: decoded, begun to compute */
	int64_t counted_bytes;		 /* of server->request_bytes: the arena after decoding */
};

/* An arena of 'memory_max' bytes bounds what the request may use beside its message. */
struct predict *predict_new(struct server *server, size_t memory_max);
/* Counts the request with what p->err says now (METRIC_NONE: not at all). */
void predict_free(struct predict *p);
/* Version and signature from spec. ERR_NOT_FOUND, ERR_STATE (no such signature). */
int predict_resolve(struct predict *p, struct err *err);
/* Checks, runs inline or on a worker, and calls done exactly once, possibly before it returns. Resolves first
 * when that has not been done. */
void predict_start(struct predict *p);
/* Nobody waits for the answer any more: what has not begun to compute is left out. May call done. */
void predict_cancel(struct predict *p);

/* For the batcher. predict_run on either thread: touches only this request, and the runtime, which is
 * thread-safe. predict_begins is false, and the error set, when the request must not run any more.
 * predict_finish on the loop's thread. predict_is_short: is a run short enough for the loop's thread? */
void predict_run(struct predict *p);
bool predict_begins(struct predict *p);
void predict_finish(struct predict *p);
/* Is it worth while, and right, to send the elements of output i from where they lie? */
bool predict_may_view(const struct predict *p, size_t i);
struct model_metrics *predict_metrics(struct predict *p); /* of its model; it must be resolved */
bool predict_is_short(const struct server *s, const struct model_version *v);

#endif
