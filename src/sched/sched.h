/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler: what starts now and where, what is stopped for it, and why the rest waits. Pure: no clock,
 * no I/O; time is an argument. What it knows is in an index (struct sched) that the caller keeps in step:
 * nodes, quotas, items that wait and items that run. The same index gives the same decisions.
 *
 * Ideas (docs/design/0009-scheduling.md has the rules and what was refused):
 * - Order: what is within its organisation's quota goes before what borrows; then priority (greater first);
 *   then fair share: the organisation whose dominant share is least (DRF, Ghodsi et al. 2011), by weight;
 * then submission. An organisation is overtaken by fair share at most SCHED_OVERTAKEN_MAX times in a row.
 * - A gang (tasks > 1) is placed as a whole or not at all.
 * - The first item that does not fit is the head: its nodes are reserved for when it is expected to fit, by
 * the estimates of what runs. Behind it an item starts only where it delays nothing: beside what is reserved,
 * or, when its own limit says that it has ended by then, on it. When the ends are not known, only beside.
 * - What is within a quota may stop what others (or lower priorities, when they agreed) hold, just enough of
 * it, only when it then fits, and never again for the same need. What was stopped is ordered behind what
 * stopped it, so the two can never chase each other.
 * - Items alike (organisation, user, purpose, priority, shape) wait in one bucket; a pass looks at buckets,
 * not at items: O(log buckets + log nodes) for each placement, whatever the length of the queue.
 *
 * Invariants: no node is ever filled beyond its capacity, no quota beyond itself unless borrowed; a gang runs
 * whole; the head's expected start moves back only when something goes before it (by priority, quota or fair
 * share), or when what runs takes longer than was expected.
 */
#ifndef SCHED_SCHED_H
#define SCHED_SCHED_H

#include <stddef.h>
#include "base/list.h"
#include "core/quota.h"

#define SCHED_PRIORITY_SERVICE 101 /* services go before jobs (0 to 100) */
#define SCHED_OVERTAKEN_MAX 1000
#define SCHED_TESTS_MAX 1000		     /* buckets that do not fit and are looked at in one pass */
#define SCHED_LABELS_MAX 64		     /* different labels of all nodes */
#define SCHED_GRACE_MS (30 * INT64_C(1000))  /* what is stopped for others has that long to end */
#define SCHED_STEADY_MS (30 * INT64_C(1000)) /* nobody is stopped for others before it has run so long */

struct sched;

/* Where an estimate of a duration comes from. */
#define SCHED_BASIS_TABLE(X)                                                                                 \
	X(SCHED_BASIS_NONE, "unknown")	  /* nothing is known */                                             \
	X(SCHED_BASIS_HISTORY, "history") /* what runs of the same name took */                              \
	X(SCHED_BASIS_LIMIT, "limit")	  /* max_duration: at the latest */
enum sched_basis {
#define SCHED_BASIS_ENUM(code, word) code,
	SCHED_BASIS_TABLE(SCHED_BASIS_ENUM)
#undef SCHED_BASIS_ENUM
};
const char *sched_basis_word(enum sched_basis b);

enum sched_state { SCHED_OUT, SCHED_LATER, SCHED_WAITING, SCHED_RUNNING, SCHED_STOPPING };

struct sched_node;
struct sched_slot {
	struct sched_node *node;
	int64_t tasks;
};

/* Something that wants resources. Belongs to the caller, who fills in the first part before the item is added
 * and leaves it alone until it is removed; the strings are views that live as long. */
struct sched_item {
	const char *org, *user, *name;
	char *const *labels; /* that each node must have; NULL = any node */
	enum purpose purpose;
	struct resources want; /* of one task */
	int64_t tasks;	       /* in the gang; 0 is 1 */
	int64_t priority, seq;
	int64_t not_before_ms;
	int64_t estimate_ms; /* how long it is expected to run; 0 = not known */
	enum sched_basis basis;
	int64_t grace_ms;    /* that it has to end when it is stopped; 0 = SCHED_GRACE_MS */
	int64_t limit_ms;    /* it is stopped by then, for certain; 0 = no limit */
	bool is_permanent;   /* will not end by itself: a service */
	bool is_preemptible; /* may be stopped for a higher priority */

	/* The scheduler's. */
	enum sched_state state;
	bool is_backfilled, is_borrowing, is_released;
	uint64_t claimed;		   /* number of the last pass in which room was being made for it */
	uint64_t head_since, started_pass; /* numbers of passes; 0 = was not yet */
	int64_t started_ms, end_ms;	   /* while it runs; end_ms INT64_MAX = not known */
	struct sched_bucket *bucket;
	struct sched_user *owner;
	struct sched_slot *slots, slot; /* where it runs; one slot is kept in place */
	size_t slot_count;
	size_t later_slot;
	struct list node; /* among what runs of its organisation */
};

struct sched *sched_new(void);
void sched_free(struct sched *s); /* items are the caller's; NULL is fine */

/* Adds a node, or changes it; ERR_LIMIT when there are too many different labels. Copies. A node that is
 * removed takes nothing new; the caller removes what ran on it. */
int sched_node_set(struct sched *s, const char *name, const struct resources *capacity, char *const *labels,
		   struct err *err);
void sched_node_remove(struct sched *s, const char *name);
void sched_capacity(const struct sched *s, struct resources *ret); /* of all nodes together */
void sched_used(const struct sched *s, struct resources *ret);
const char *sched_node_name(const struct sched_node *n);

/* An organisation that was never set has quota_init()'s. */
void sched_quota_set(struct sched *s, const char *org, const struct quota *q);
const struct quota *sched_quota(struct sched *s, const char *org); /* view until the next set */
void sched_quota_used(struct sched *s, const char *org, struct quota_limit ret[PURPOSE_COUNT]);
double sched_share(struct sched *s, const char *org); /* dominant share by weight: what the order goes by */

void sched_add(struct sched *s, struct sched_item *item); /* it waits */
/* It runs already: where it says (NULL: anywhere), also when there is no room for it. */
void sched_run(struct sched *s, struct sched_item *item, int64_t started_ms, const char *node);
void sched_remove(struct sched *s, struct sched_item *item); /* from wherever it is */
size_t sched_waiting(const struct sched *s);		     /* items, those with a later start included */

enum sched_verb {
	SCHED_START,   /* it runs from now on; item->slots says where */
	SCHED_PREEMPT, /* stop it, with a grace; it holds its resources until it is removed */
	SCHED_WAIT,    /* first of a bucket that does not start: ask sched_why() */
};
struct sched_decision {
	struct sched_item *item;
	enum sched_verb verb;
};
/* Decides, and enters its decisions into the index. The view is valid until the next call. */
size_t sched_pass(struct sched *s, int64_t now_ms, const struct sched_decision **ret);
int64_t sched_next_ms(const struct sched *s); /* the next time that something may start later; -1 = none */

/* Can 'item' ever start? 0, ERR_INVALID with the largest request that fits, ERR_QUOTA when the quota is less
 * and may not be exceeded. The item need not have been added. */
int sched_check(struct sched *s, const struct sched_item *item, struct err *err);

/* ---- why something waits ---- */

#define SCHED_WHY_TABLE(X)                                                                                   \
	X(SCHED_WHY_TURN, "queued")	     /* others go first, or the next pass will tell */               \
	X(SCHED_WHY_LATER, "start_after")    /* its time has not come */                                     \
	X(SCHED_WHY_CPU, "insufficient_cpu") /* free now is less than is wanted */                           \
	X(SCHED_WHY_MEMORY, "insufficient_memory")                                                           \
	X(SCHED_WHY_GPU, "insufficient_gpu")                                                                 \
	X(SCHED_WHY_NODES, "insufficient_nodes") /* enough in all, but not in one place */                   \
	X(SCHED_WHY_LABELS, "no_such_node")	 /* no node has the labels */                                \
	X(SCHED_WHY_RESERVED, "reserved")	 /* would fit, but would delay the head */                   \
	X(SCHED_WHY_QUOTA_CPU, "quota_cpu")	 /* the organisation's quota is used */                      \
	X(SCHED_WHY_QUOTA_MEMORY, "quota_memory")                                                            \
	X(SCHED_WHY_QUOTA_GPU, "quota_gpu")                                                                  \
	X(SCHED_WHY_QUOTA_COUNT, "quota_count")                                                              \
	X(SCHED_WHY_USER, "user_limit")	      /* as many jobs of the user run as may */                      \
	X(SCHED_WHY_PREEMPTING, "preempting") /* what stands in its way is being stopped */
enum sched_why_code {
#define SCHED_WHY_ENUM(code, word) code,
	SCHED_WHY_TABLE(SCHED_WHY_ENUM)
#undef SCHED_WHY_ENUM
};
const char *sched_why_word(enum sched_why_code c);

#define SCHED_HOLDERS_MAX 5
struct sched_why {
	enum sched_why_code code;
	int64_t want, have, limit; /* of the short resource: cpu in thousandths; 'limit' is a quota's */
	/* Who holds it: of the same organisation by name, all others as one sum. Views until the next pass.
	 */
	const struct sched_item *holders[SCHED_HOLDERS_MAX];
	size_t holder_count, holders_more;
	int64_t held_by_others;
	bool is_permanent; /* only what does not end by itself is in the way */
	const struct sched_item
	    *head;	   /* RESERVED: what would be delayed; NULL when it is another organisation's */
	char message[480]; /* all of it for people */
};
void sched_why(struct sched *s, const struct sched_item *item, int64_t now_ms, struct sched_why *ret);

/* ---- the whole explanation of one item that waits ---- */

#define SCHED_POSITION_MAX 10000 /* further back nobody counts */
#define SCHED_CHANGES_MAX 8
struct sched_change {
	const char *field; /* of the job's specification, or "quota.training.gpu" */
	int64_t value;	   /* milli cores, bytes, ms, or a number */
	char text[160];	   /* "ask for 2 GiB of memory at most" */
};
struct sched_explanation {
	struct sched_why why;
	int64_t position;	/* 1 = the next in the order; 0 = its time has not come */
	bool position_is_least; /* it is at least that */
	int64_t ahead_own;	/* of those before it, of the same organisation */
	int64_t start_ms;	/* expected; -1 = not known */
	enum sched_basis basis; /* the weakest that was used */
	bool is_latest;		/* it starts then at the latest when every estimate holds: it is the head */
	const struct sched_item
	    *freed_by;	   /* whose end makes the room; NULL when unknown or not the reader's */
	int64_t freed_ms;  /* when that is expected; -1 = not known */
	bool is_borrowing; /* it would run beyond the quota, and could be stopped again */
	/* With any one of them it would start at once, were it submitted so now. */
	struct sched_change changes[SCHED_CHANGES_MAX];
	size_t change_count;
};
void sched_explain(struct sched *s, const struct sched_item *item, int64_t now_ms,
		   struct sched_explanation *ret);

#endif
