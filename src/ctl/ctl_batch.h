/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of batches share. Seen by the room ctl only. */
#ifndef CTL_CTL_BATCH_H
#define CTL_CTL_BATCH_H

#include "ctl/ctl_int.h"

/* Names of a batch's jobs, before any of them is refused. Returns owned (map_free). */
struct map *batch_names(struct job *const *jobs, size_t count);
/* Jobs (NULL = refused) with their ids: in 'after', names of the batch become ids. What waits for itself or
 * for a refused job is refused: freed, set NULL, with the reason in its item. Returns how many are left;
 * ret_order[] holds their indexes, each behind those it waits for. */
size_t batch_order(struct job **jobs, struct ctl_batch_item *items, size_t count, struct map *names,
		   size_t *ret_order);

#endif
