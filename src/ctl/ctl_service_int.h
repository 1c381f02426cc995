/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about model services share. Seen by the room ctl only. */
#ifndef CTL_CTL_SERVICE_INT_H
#define CTL_CTL_SERVICE_INT_H

#include "ctl/ctl_int.h"

/* A wish from outside that becomes durable with a move: an update, or a delete that has an idempotency key.
 */
struct ctl_service_change {
	struct list node;
	struct service_spec spec; /* of an update */
	int64_t base_revision;	  /* that it was made of */
	char user[CORE_NAME_MAX + 1];
	char key[STORE_IDEMPOTENCY_KEY_MAX + 2], body_sha256[65]; /* key "" = none */
	ctl_done_fn *done;
	void *arg;
};
struct ctl_service_change *service_change_new(void);
void service_change_free(struct ctl_service_change *k);
/* Takes k. Exactly one of s and err. */
void service_change_answer(struct ctl_service_change *k, const struct service *s, const struct err *err);
void service_updates_refuse(struct ctl_service *cs, int code, const char *why);

/* Another update came first: the same one, sent twice at a time, when it had the same key; else it is refused
 * with err. Takes k. ctl_service_calls.c */
void service_update_overtaken(struct ctl_service *cs, struct ctl_service_change *k, const struct err *err);

enum purpose ctl_service_purpose(enum service_kind kind);

struct service_move {
	struct ctl_op op;
	struct ctl_service *cs;		   /* loop's thread only */
	struct service *after;		   /* owned; changed between begin and commit */
	struct ctl_service_change *change; /* owned; answered when the move is durable */
	int64_t version_before;
	struct event event;
};
struct service_move *service_move_begin(struct ctl_service *cs, const char *reason, const char *message);
void service_move_commit(struct service_move *m, const char *actor);
void service_move_to(struct ctl_service *cs, enum service_state to, const char *reason, const char *message,
		     const char *actor);

/* ctl_replica.c. True: a move was begun. */
bool replica_advance(struct ctl_service *cs, size_t i);
bool replica_is_ready(const struct ctl_service *cs, const struct replica *r);

/* ctl_rollout.c */
bool rollout_take_update(struct ctl_service *cs);
void rollout_advance(struct ctl_service *cs);
/* The release that an update brought cannot work: what served before serves again. */
void rollout_fail(struct ctl_service *cs, const char *why);

#endif
