/* SPDX-License-Identifier: Apache-2.0 */
/* What only the room sched sees. */
#ifndef SCHED_SCHED_INT_H
#define SCHED_SCHED_INT_H

#include "sched/sched.h"

/* sched_explain.c */
void explain_insufficient(const struct sched_snapshot *s, const struct sched_item *item,
			  const struct resources *free_now, struct sched_decision *ret);
void explain_reserved(const struct sched_item *item, const struct sched_item *head,
		      struct sched_decision *ret);

#endif
