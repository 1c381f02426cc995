/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accounting in the store: a row for each attempt, written by the transaction that starts it and closed,
 * once, by the one that ends it, and sums by organisation, day, user and kind, kept by that same transaction.
 * A question reads sums and what still runs; only a question about single jobs reads their attempts.
 */
#ifndef STORE_STORE_USAGE_H
#define STORE_STORE_USAGE_H

#include "core/usage.h"
#include "store/store.h"

#define USAGE_KIND_JOB "job"
#define USAGE_KIND_MODEL "model"

struct usage_attempt {
	const char *owner; /* id of the job or service; views */
	int64_t attempt;
	const char *org, *user, *kind, *name;
	struct resources held;
	int64_t started_ms;
};
/* Once for each attempt; again is success and changes nothing. */
int store_usage_start(struct store_tx *tx, const struct usage_attempt *a, struct err *err);
/* Nothing when it never started or has stopped already. */
int store_usage_stop(struct store_tx *tx, const char *owner, int64_t attempt, int64_t now_ms,
		     struct err *err);
/* Brings the attempts of a service in step with its replicas: those that are ready have started, no others
 * run. With state SERVICE_DELETED or SERVICE_FAILED none. */
int store_usage_service(struct store_tx *tx, const struct service *s, int64_t now_ms, struct err *err);
/* The attempts of a job or service that is deleted; the sums stay. */
int store_usage_forget(struct store_tx *tx, const char *owner, struct err *err);

enum usage_by { USAGE_BY_NOTHING, USAGE_BY_DAY, USAGE_BY_USER, USAGE_BY_JOB };
struct usage_query {
	const char *org;
	const char *user;	     /* NULL = all */
	const char *owner;	     /* id of a job or service; NULL = all */
	int64_t first_day, last_day; /* both included */
	int64_t now_ms;		     /* until when what runs counts */
	enum usage_by by;
	size_t limit; /* USAGE_BY_JOB: at most so many attempts are read, the newest */
};
struct usage_row {
	char org[CORE_NAME_MAX + 1];
	char user[CORE_NAME_MAX + 1], owner[16], name[CORE_NAME_MAX + 1], kind[8]; /* "" = not by it */
	int64_t day;								   /* -1 = not by day */
	struct usage sum;
};
struct usage_rows {
	struct usage_row *items; /* owned; in order of day, user or start */
	size_t count;
	bool more;
};
void usage_rows_done(struct usage_rows *l);
/* Adds to 'ret'. */
int store_usage_query(struct store_tx *tx, const struct usage_query *q, struct usage_rows *ret,
		      struct err *err);

/* Of jobs: sums against the attempts they are made of, and attempts that run against jobs that do. For tests:
 * it holds as long as no job was deleted. ERR_CORRUPT. */
int store_usage_check(struct store_tx *tx, struct err *err);

#endif
