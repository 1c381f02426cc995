/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests run together, and when: a queue that knows neither threads nor tensors; time is an argument.
 *
 * A request never waits while the queue is idle: the first one goes at once and alone. What arrives while as
 * many batches run as may is taken together when one of them ends. Only when that batch had company does the
 * next one wait for as much company again, and no longer than rules->wait_ns after its oldest request came.
 * Oldest first; only requests that 'same' says fit run together. */
#ifndef SERVING_BATCH_QUEUE_H
#define SERVING_BATCH_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "base/list.h"

#define BATCH_SIZES_MAX 64

struct batch_rules {
	int64_t rows_max; /* of one batch */
	int64_t wait_ns;
	int allowed_count; /* 0 = any size; else ascending, the last is rows_max */
	int64_t allowed[BATCH_SIZES_MAX];
	int64_t enqueued_max;	  /* batches' worth of rows that may wait */
	int threads;		  /* batches of one queue that run at the same time */
	bool pad_shapes;	  /* requests of different shapes are padded to the largest */
	int64_t request_rows_max; /* of one request; one of more than rows_max runs in pieces */
};

/* Embedded in a request. */
struct batch_item {
	struct list node;
	int64_t rows; /* >= 1 */
	int64_t arrived_ns, deadline_ns;
};

struct batch_queue {
	const struct batch_rules *rules;
	bool (*same)(const struct batch_item *a, const struct batch_item *b);
	struct list items;
	int64_t rows;	    /* waiting */
	int64_t oldest_due; /* no deadline is earlier than this */
	int running;
	int company; /* requests of the last batch */
};

/* Keeps 'rules'. */
void batch_queue_init(struct batch_queue *q, const struct batch_rules *rules,
		      bool (*same)(const struct batch_item *a, const struct batch_item *b));
/* Keeps the item until it is taken or removed. ERR_BUSY when as much waits as may, ERR_INVALID when the
 * request has more rows than a request may have. */
int batch_queue_add(struct batch_queue *q, struct batch_item *item, struct err *err);
void batch_queue_remove(struct batch_queue *q, struct batch_item *item);
/* Appends to 'ret' what is to run now as one batch and returns its rows (more than rows_max: one request that
 * runs in pieces); the caller tells its end by batch_queue_ran. 0 = nothing now, *ret_due says when to ask
 * again unless something happens before (INT64_MAX: only then). Requests whose deadline has passed are
 * appended to 'expired'. */
int64_t batch_queue_take(struct batch_queue *q, int64_t now_ns, struct list *ret, struct list *expired,
			 int64_t *ret_due);
void batch_queue_ran(struct batch_queue *q);
/* A request that need not queue, because nothing waits or runs and the one before had no company: true, and
 * it counts as a batch that runs now. */
bool batch_queue_passes(struct batch_queue *q, const struct batch_item *item);
/* The size a batch of so many rows is filled up to. */
int64_t batch_fill(const struct batch_rules *rules, int64_t rows);

#endif
