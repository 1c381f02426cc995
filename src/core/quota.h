/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The quota of an organisation: what its work may hold at the same time, by purpose.
 *
 * Work within the quota is owed to the organisation: it goes before work that exceeds one, and may take back
 * what others borrowed. With 'borrow', work beyond the quota starts too while nobody who is owed waits for
 * it, and is stopped with a grace (class preempted, started again later) when somebody does. Without it, and
 * for what does not end by itself (model services), the quota is the end. -1 is no limit; without any limit
 * nothing is ever borrowed. A limit below what is held already stops nothing: what exceeds it counts as
 * borrowed from then on, or just ends.
 */
#ifndef CORE_QUOTA_H
#define CORE_QUOTA_H

#include <jansson.h>
#include "core/core.h"

/* purpose, word */
#define PURPOSE_TABLE(X)                                                                                     \
	X(PURPOSE_TRAINING, "training")	      /* jobs */                                                     \
	X(PURPOSE_MODELS, "models")	      /* replicas of model services */                               \
	X(PURPOSE_DEVELOPMENT, "development") /* notebooks, TensorBoards */
enum purpose {
#define PURPOSE_ENUM(purpose, word) purpose,
	PURPOSE_TABLE(PURPOSE_ENUM)
#undef PURPOSE_ENUM
	    PURPOSE_COUNT
};
const char *purpose_word(enum purpose p);
int purpose_parse(const char *word, enum purpose *ret, struct err *err); /* ERR_INVALID names them */

#define QUOTA_NONE INT64_C(-1)
#define QUOTA_WEIGHT 100		 /* the usual weight */
#define QUOTA_USER_QUEUED INT64_C(50000) /* the usual limit */

struct quota_limit {
	struct resources most; /* each may be QUOTA_NONE */
	int64_t count;	       /* of tasks at the same time, or QUOTA_NONE */
};
struct quota_storage { /* in the store, all versions; each may be QUOTA_NONE */
	int64_t bytes, objects;
};
struct quota {
	struct quota_limit purposes[PURPOSE_COUNT];
	bool borrow;	      /* default true */
	int64_t weight;	      /* in fair share: twice the weight, twice the share; 1 to 10000 */
	int64_t user_running; /* jobs of one user that run at the same time, or QUOTA_NONE */
	int64_t user_queued;  /* unfinished jobs of one user; more are refused; or QUOTA_NONE */
	struct quota_storage storage;
};
void quota_init(struct quota *q); /* no limits but QUOTA_USER_QUEUED */

/* {"training": {"cpu": 8, "memory": "64G", "gpu": 4, "count": -1}, "models": {…}, "development": {…},
 * "storage":
 * {"bytes": "1T", "objects": -1}, "borrow": true, "weight": 100, "user_running": -1, "user_queued": 50000}.
 * Reads into an initialised quota; what is absent stays as it is, so that a patch is a parse. ERR_INVALID. */
int quota_parse(const json_t *j, struct quota *ret, struct err *err);
json_t *quota_format(const struct quota *q);		     /* every field; returns owned */
json_t *quota_limit_format(const struct quota_limit *l);     /* also for what is used; returns owned */
json_t *quota_storage_format(const struct quota_storage *s); /* also for what is used; returns owned */
json_t *quota_schema(void);				     /* JSON Schema 2020-12; returns owned */

#endif
