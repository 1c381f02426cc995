/* SPDX-License-Identifier: Apache-2.0 */
/* One call from outside about one noun, on its way through the store. Seen by the room ctl only. */
#ifndef CTL_CTL_CALL_H
#define CTL_CTL_CALL_H

#include "ctl/ctl_int.h"

struct ctl_call {
	struct ctl_op op;
	struct principal who;
	char id[CORE_NAME_MAX + 1]; /* or a name */
	enum service_kind kind;	    /* of a service */
	bool has_key, replayed;
	char key[STORE_IDEMPOTENCY_KEY_MAX + 2], body_sha256[65];
	struct job *job; /* owned; read from the store, or to be inserted */
	struct service *service;
	struct service
	    *wish;	/* owned; of an update: its specification, and the revision that it is made of */
	int64_t now_ms; /* for the keys */
	struct err overtaken; /* an answer of an update unless it is found to be a repetition */
	struct event event;
	struct err refusal; /* found before the store was asked; answered by the same way, later */
	ctl_done_fn *done;
	void *arg;
};
struct ctl_call *call_new(const struct principal *who, const char *id, const struct ctl_idempotency *idem,
			  ctl_done_fn *done, void *arg);
void call_submit(struct ctl *c, struct ctl_call *call);
void call_answer(struct ctl_call *call, const struct ctl_result *result,
		 const struct err *err); /* once; later ones are dropped */
/* What is held in memory knows more (progress, why it waits) and is never older than a row just read. */
const struct job *job_freshest(struct ctl *c, const struct job *row);
int check_bucket(const char *what, const char *uri, const char *org, struct err *err);
int resolve_framework(struct ctl *c, char **name, char **version, struct err *err);

/* ctl_job_submit.c. May 'who' have this and 'more' further live jobs? Fills in the framework's version. */
int submit_check(struct ctl *c, const struct principal *who, struct job_spec *spec, int64_t more,
		 struct err *err);
/* Everything of a new job but its id and specification, which must be there. */
void job_fill(struct ctl *c, const struct principal *who, struct job *job);
/* The id that follows from a text which says what the job is: the same text, the same job. */
void job_id_of(const char *text, char ret[16]);
struct ctl_job *job_born(struct ctl *c, struct job *job); /* takes job; after the commit */

#endif
