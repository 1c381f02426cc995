/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Progress and metrics from the output of unmodified programs. Fed with bytes as they arrive; understands:
 * "Epoch 3/10" (Keras, PyTorch loops), Keras progress bars ("120/469 ━━━━ 2s 3ms/step - accuracy: 0.91 -
 * loss: 0.3", with \r and \b), tqdm ("45%|####  | 450/1000 [00:12<00:15, 36.2it/s, loss=0.3]"), "step
 * 100/1000", "[12/100]", "name: value" and "name=value" pairs beside them, Lightning and XGBoost lines
 * ("[10]\ttrain-rmse:0.31"), and our own explicit lines: "cloudml: progress=0.4", "cloudml: metric loss=0.3
 * step=12".
 *
 * Bounded: lines over 4 KiB are cut, at most 64 metric names. No clock: times are arguments.
 */
#ifndef CORE_PROGRESS_H
#define CORE_PROGRESS_H

#include "core/job.h"

#define PROGRESS_METRICS_MAX 64

struct progress_watch;

struct progress_watch *progress_watch_new(void);
void progress_watch_free(struct progress_watch *w);
/* on_metric may be NULL; name is a view for the call; step -1 when unknown. */
void progress_watch_feed(struct progress_watch *w, const char *data, size_t len, int64_t now_ms,
			 void (*on_metric)(void *arg, const char *name, int64_t step, double value),
			 void *arg);
/* true when it changed since the last call. */
bool progress_watch_get(struct progress_watch *w, int64_t now_ms, struct progress *ret);

#endif
