/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: what may start now, and why the rest waits. Pure: a snapshot in, decisions out; no clock, no
 * I/O, no memory kept between calls.
 *
 * The order is priority (greater first), then submission. The first item that does not fit is the head: what
 * it needs is reserved. An item behind the head starts only beside that need: the head, everything that runs
 * and is ordered behind the head, and the item itself must fit into what the machine has for jobs together.
 * So whatever overtakes can never hold what the head waits for, and the head starts, at the latest, when what
 * is ordered before it has ended: no starvation by smaller jobs, and no estimate of durations is needed.
 *
 * Messages name work only within the reader's organisation.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include <stddef.h>
#include "core/quota.h"

#define SCHED_DEPTH 256		   /* items of the queue that one snapshot holds at most */
#define SCHED_PRIORITY_SERVICE 101 /* services go before jobs (0 to 100) */

struct sched_item {
	const char *org, *name; /* views for the call */
	enum purpose purpose;
	struct resources want;
	int64_t priority, seq;
	bool is_permanent; /* a service, which will not end by itself */
};
struct sched_snapshot {
	struct resources capacity;
	const struct sched_item *running;
	size_t running_count;
	const struct sched_item *queued; /* in order: sched_compare */
	size_t queued_count;
};
struct sched_decision {
	bool start;
	char reason[32]; /* "insufficient_cpu", "insufficient_memory", "insufficient_gpu", "reserved"; "" when
			    it starts */
	char message[480]; /* for people; "" when it starts */
};

/* < 0 when a goes before b. */
int sched_compare(const struct sched_item *a, const struct sched_item *b);
/* One decision for each queued item. The sum of what runs and what starts never exceeds the capacity in any
 * resource that is not exceeded already. */
void sched_decide(const struct sched_snapshot *s, struct sched_decision *ret);
/* 0, or ERR_INVALID with the largest request that fits when 'want' can never start: "memory 64 GiB is more
 * than …". */
int sched_check(const struct resources *want, const struct resources *capacity, struct err *err);

#endif
