/* SPDX-License-Identifier: Apache-2.0 */
/* Dynamic batching: requests for one signature that wait at the same time run as one.
 *
 * A lane is the queue of one signature of one version (batch_queue.h says when what runs). Lanes are looked
 * at when the loop has delivered all events of a turn, so that requests which arrived together run together
 * without any of them having waited. When a batch fails, its members run one by one: each gets the answer it
 * would have got alone. */
#ifndef SERVING_BATCHER_H
#define SERVING_BATCHER_H

#include "serving/batch_queue.h"
#include "serving/predict.h"

struct batcher;
struct batch_lane;

/* Keeps 'rules'. */
struct batcher *batcher_new(struct server *s, const struct batch_rules *rules);
void batcher_free(struct batcher *b);
/* Takes over a request that was checked; false when it is to run by itself: requests of its signature do not
 * run in batches, or nothing waits that it could run with (then p->passing is set, and batcher_passed must
 * follow its run). On true 'done' is called exactly once, possibly before it returns (ERR_BUSY, ERR_INVALID:
 * too large). */
bool batcher_takes(struct batcher *b, struct predict *p);
void batcher_passed(struct predict *p);
/* The request waits (p->lane is set) and nobody wants it any more: it ends as cancelled. */
void batcher_remove(struct predict *p);
void batcher_before_wait(struct batcher *b);
/* A version's lanes, none of which has requests. */
void batch_lanes_free(struct batch_lane *lanes);

#endif
