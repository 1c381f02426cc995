/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life-cycle rules of a bucket: what the store removes by itself. They are kept in the bucket's attributes,
 * which they share with what S3 clients set there.
 */
#ifndef CORE_LIFECYCLE_H
#define CORE_LIFECYCLE_H

#include <jansson.h>
#include "core/core.h"

#define LIFECYCLE_RULES_MAX 100
#define LIFECYCLE_EXPIRE_MIN_MS INT64_C(60000)
#define LIFECYCLE_EXPIRE_MAX_MS (INT64_C(100) * 365 * 24 * 3600 * 1000)

/* One or several. */
struct lifecycle_rule {
	char *prefix;	       /* owned; "" = the whole bucket */
	int64_t expire_ms;     /* objects older than this go; 0 = none do */
	int64_t noncurrent_ms; /* versions go so long after they were replaced; 0 = none do */
	int64_t abort_ms;      /* uploads in parts that began so long ago are forgotten; 0 = none are */
	int64_t keep_last;     /* so many checkpoints stay, the others go; 0 = all stay */
};
struct lifecycle {
	struct lifecycle_rule *rules; /* owned; count entries */
	size_t count;
};
/* [{"prefix": "logs/", "expire": "30d"}, {"prefix": "run/ckpt/", "keep_last": 3}]; each prefix once.
 * ERR_INVALID. */
int lifecycle_parse(const json_t *list, struct lifecycle *ret, struct err *err);
json_t *lifecycle_format(const struct lifecycle *l); /* expire in seconds; returns owned */
void lifecycle_done(struct lifecycle *l);
static inline void cleanup_lifecycle(struct lifecycle *l)
{
	lifecycle_done(l);
}

/* From a bucket's attributes (NULL or "" = none), and into them; returns owned. ERR_CORRUPT. */
int lifecycle_of_bucket(const char *attributes, struct lifecycle *ret, struct err *err);
int lifecycle_into_bucket(const char *attributes, const struct lifecycle *l, char **ret, struct err *err);

/* Length of the part of a name below a prefix that says which checkpoint it belongs to; 0 = none. A
 * checkpoint is a folder or all files of a name that ends in a number before its suffixes: "ckpt-100.index"
 * and "ckpt-100.data-00000-of-00001" are of "ckpt-100", "step_7/weights" is of "step_7", "checkpoint" is of
 * none.
 */
size_t lifecycle_checkpoint(const char *below);

#endif
