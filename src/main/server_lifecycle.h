/* SPDX-License-Identifier: Apache-2.0 */
/* Carries out the life-cycle rules of all buckets once an hour, on the pool, and forgets abandoned uploads.
 */
#ifndef MAIN_SERVER_LIFECYCLE_H
#define MAIN_SERVER_LIFECYCLE_H

#include <stdatomic.h>
#include "base/clock.h"
#include "base/map.h"
#include "core/blob.h"
#include "loop/loop.h"

#define LIFECYCLE_EVERY_MS (3600 * 1000)
#define LIFECYCLE_ABANDONED_MS (INT64_C(7) * 24 * 3600 * 1000)

/* One walk over an organisation's buckets as of now_ms; returns how many objects and uploads went, each with
 * a line in the log. An upload in parts that no rule for uploads is about goes when it began, and its last
 * part came, more than abandoned_ms ago; 0 = it stays. What cannot be done is told in the log and does not
 * keep the others. Blocks. stop may be NULL. */
int64_t lifecycle_walk(struct blob_store *blobs, const char *org, int64_t now_ms, int64_t abandoned_ms,
		       const atomic_bool *stop);

struct server_lifecycle {
	struct loop *loop;
	struct blob_store *blobs;
	struct clock *clock;
	int64_t abandoned_ms;
	struct map *orgs; /* names; the loop's */
	struct loop_timer *timer;
	char **walk; /* names of the walk under way, owned; NULL = none */
	size_t walk_count;
	atomic_bool stop;
};
/* Keeps loop, blobs and clock; abandoned_ms as above. */
void server_lifecycle_open(struct server_lifecycle *l, struct loop *loop, struct blob_store *blobs,
			   struct clock *clock, int64_t abandoned_ms);
void server_lifecycle_org(struct server_lifecycle *l, const char *org); /* there is such an organisation */
void server_lifecycle_close(struct server_lifecycle *l);		/* waits; of a closed one nothing */

#endif
