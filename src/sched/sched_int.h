/* SPDX-License-Identifier: Apache-2.0 */
/* What only the room sched sees: queues, heaps, organisations, nodes, and the pass over them. */
#ifndef SCHED_SCHED_INT_H
#define SCHED_SCHED_INT_H

#include "base/map.h"
#include "sched/sched.h"

#define SCHED_LEVELS (SCHED_PRIORITY_SERVICE + 1)
#define SCHED_NEVER INT64_MAX

/* ---- sched_heap.c: a binary heap of pointers that know their slot (from 1; 0 = not in it) ---- */
struct heap {
	void **a;
	size_t count, cap, slot_offset;
	bool (*before)(const void *a, const void *b);
};
void heap_init(struct heap *h, size_t slot_offset, bool (*before)(const void *, const void *));
void heap_done(struct heap *h);
void heap_push(struct heap *h, void *x);
void heap_remove(struct heap *h, void *x); /* nothing when it is not in the heap */
void heap_fix(struct heap *h, void *x);	   /* its key has changed; nothing when it is not in the heap */
static inline void *heap_top(const struct heap *h)
{
	return h->count ? h->a[1] : NULL;
}

/* ---- sched_queue.c: items in order of submission, in one array with holes ---- */
struct queue_entry {
	int64_t seq;
	struct sched_item *item; /* NULL = a hole */
};
struct queue {
	struct queue_entry *a;
	size_t head, tail, cap, holes; /* a[head] and a[tail - 1] are no holes */
};
void queue_insert(struct queue *q, struct sched_item *item);
void queue_remove(struct queue *q, const struct sched_item *item);
static inline size_t queue_count(const struct queue *q)
{
	return q->tail - q->head - q->holes;
}
static inline struct sched_item *queue_first(const struct queue *q)
{
	return q->head < q->tail ? q->a[q->head].item : NULL;
}

/* ---- sched_org.c: organisations, users, levels, buckets ---- */

struct sched_org {
	struct sched *sched;
	char *name;
	struct quota quota;
	struct quota_limit used[PURPOSE_COUNT];
	bool is_over[PURPOSE_COUNT]; /* what runs exceeds the quota */
	bool is_limited;
	size_t waiting[PURPOSE_COUNT]; /* in buckets */
	struct resources used_all;
	double share;
	struct map *users;
	struct list levels;		   /* of org_level, those with something that waits */
	struct list running;		   /* of sched_item */
	struct {			   /* of the present pass */
		struct sched_item *head;   /* first that its quota holds back: the quota is kept for it */
		struct quota_limit behind; /* what runs and is ordered behind it */
	} pass[PURPOSE_COUNT];
	struct list touched;	    /* in the pass: 'pass' is not empty */
	uint64_t led_pass;	    /* whose heads of quotas are complete */
	struct resources walk_used; /* of the present walk over the order */
	double walk_share;
};
struct sched_user {
	struct sched_org *org;
	char *name;
	int64_t running;
};
/* What waits of one organisation at one priority. */
struct org_level {
	struct sched_org *org;
	struct level *level;
	struct heap buckets; /* by the submission of their first item */
	size_t slot;	     /* in the level's heap */
	size_t count;	     /* buckets, those set aside included */
	int64_t mark;	     /* starts of the level when it last had its turn */
	bool is_urgent;
	struct list of_org, overtaken;
	struct list shut; /* in the pass: passed by */
};
struct level {
	struct heap orgs;      /* org_level: urgent, then share, then submission */
	struct list overtaken; /* org_level, least mark first */
	int64_t starts;
	size_t items;
};
struct sched_bucket {
	struct org_level *level;
	char **labels;
	uint64_t mask;
	bool has_unknown_label;
	struct queue queue;
	size_t slot;	   /* in its org_level's heap */
	struct list aside; /* in the pass */
	char *key;
};

/* ---- sched_node.c: nodes, and a tree over what is free in them ---- */

struct sched_node {
	char *name;
	char **labels;
	struct resources capacity, free;
	uint64_t mask;
	size_t index; /* in the tree */
	bool is_gone;
	/* Reserved for the head: what is left for those that would still run then. */
	bool is_reserved;
	struct resources beside;
};
struct node_tree {
	size_t leaves;
	struct resources *most; /* of each subtree, by component */
	uint64_t *labels;
};
/* Slots that are being gathered. */
struct slots {
	struct sched_slot *a;
	size_t count, cap;
};

struct claim {
	struct sched_node *node;
	struct resources taken; /* for what preempts */
};

struct sched {
	struct map *orgs, *buckets, *node_map;
	struct level levels[SCHED_LEVELS];
	struct heap later; /* items by not_before_ms */
	struct sched_node **nodes;
	size_t node_count, node_cap;
	struct node_tree tree;
	char *labels[SCHED_LABELS_MAX];
	size_t label_count;
	struct resources capacity, used;
	struct sched_item **running; /* by end_ms, then seq */
	size_t running_count, running_cap, waiting;
	size_t over_count, preemptible_count, stopping_count;
	/* No bucket wants less of anything; perhaps more, since the one that did is gone. */
	struct resources least_want;
	bool least_is_old;
	size_t limited_count; /* organisations with any limit of what may run */
	bool is_cut;	      /* the last pass may have ended before it came to every head of a quota */
	uint64_t pass_number;
	int64_t again_ms; /* when something is old enough to be stopped; -1 = never */
	/* The last pass; stays for explanations until the next one. */
	struct sched_item *head;
	int64_t head_start_ms; /* -1 = not known */
	struct claim *claims;
	size_t claim_count, claim_cap;
	struct sched_decision *decisions;
	size_t decision_count, decision_cap;
	struct list aside, touched, shut;
	struct slots scratch;
};

/* sched_org.c */
struct sched_org *org_get(struct sched *s, const char *name);
struct sched_user *user_get(struct sched_org *org, const char *name);
void org_free(void *org);
double org_share(const struct sched_org *org, const struct resources *used);
void org_share_update(struct sched_org *org); /* after its use, its quota or the capacity has changed */
void org_use(struct sched_org *org, const struct sched_item *item, int sign);
bool quota_fits(const struct quota_limit *limit, const struct quota_limit *used,
		const struct quota_limit *more, int *ret_short); /* which: 0 cpu, 1 memory, 2 gpu, 3 count */
struct quota_limit item_needs(const struct sched_item *item);
void quota_limit_add(struct quota_limit *sum, const struct quota_limit *more, int sign);
int64_t quota_limit_of(const struct quota_limit *l, int which);

/* sched_bucket.c */
void bucket_join(struct sched *s, struct sched_item *item);
void bucket_leave(struct sched *s, struct sched_item *item);
void bucket_aside(struct sched_bucket *b); /* out of the order until it is put back */
void bucket_back(struct sched_bucket *b);
void org_level_aside(struct org_level *ol); /* the same for all that waits in it */
void org_level_back(struct org_level *ol);
struct sched_bucket *level_top(struct level *l);
void level_age(struct level *l);
void level_started(struct org_level *ol); /* its first item has had its turn */
void levels_init(struct sched *s);
void least_want_refresh(struct sched *s);
bool limit_is_none(const struct quota_limit *l);
bool shape_mask(const struct sched *s, char *const *labels, uint64_t *ret); /* false: an unknown label */
bool item_before(const struct sched_item *a, const struct sched_item *b);   /* by priority and submission */

/* sched_node.c */
struct shape {
	struct resources want;
	int64_t tasks;
	uint64_t mask;
};
int64_t item_tasks(const struct sched_item *item);
static inline int64_t item_grace(const struct sched_item *item)
{
	return item->grace_ms ? item->grace_ms : SCHED_GRACE_MS;
}
int64_t stopping_end(const struct sched *s, int64_t now_ms); /* when all that is being stopped has ended */
bool item_shape(const struct sched *s, const struct sched_item *item,
		struct shape *ret); /* false: no label */
struct resources node_usable(const struct sched_node *n);
void node_take(struct sched *s, struct sched_node *n, const struct resources *want, int64_t tasks);
void node_give(struct sched *s, struct sched_node *n, const struct resources *want, int64_t tasks);
void node_update(struct sched *s, struct sched_node *n);
/* Finds room for the whole shape, and takes it. 'ret' is overwritten. */
bool place(struct sched *s, const struct shape *sh, struct slots *ret);
void unplace(struct sched *s, const struct shape *sh, const struct slots *slots);
void item_release(struct sched *s, const struct sched_item *item); /* gives back what it holds */
void item_occupy(struct sched *s, const struct sched_item *item);
int64_t place_most(struct sched *s, const struct shape *sh); /* how many tasks of the shape find room */
void slots_add(struct slots *l, struct sched_node *n, int64_t tasks);
void resources_most(struct resources *most, const struct resources *r); /* of each the greater */
void nodes_free(struct sched *s);
void tree_rebuild(struct sched *s);

/* sched.c */
void item_start(struct sched *s, struct sched_item *item, int64_t now_ms, const struct slots *slots);

/* sched_reserve.c */
void reservation_clear(struct sched *s);
/* Makes 'head' the head. False when nothing that ends would make room for it: then nothing is reserved. */
bool reserve(struct sched *s, struct sched_item *head, int64_t now_ms);
/* Room beside the reservation, or for what has surely ended by then on it. Takes it. */
bool place_behind(struct sched *s, const struct shape *sh, int64_t limit_ms, int64_t now_ms,
		  struct slots *ret);
bool place_would_fit_behind(struct sched *s, const struct shape *sh, int64_t limit_ms, int64_t now_ms);
void reservation_show(struct sched *s, bool is_shown); /* false: as if there were none */
/* What is placed there stays taken until the reservation is cleared. */
void claim_taken(struct sched *s, const struct shape *sh, const struct slots *slots);

/* sched_preempt.c: 1 room is being made and is claimed, 0 it cannot be made. Adds decisions. */
int preempt_for(struct sched *s, struct sched_item *item, int64_t now_ms);
void decision_add(struct sched *s, struct sched_item *item, enum sched_verb verb);

/* sched_pass.c */
enum quota_verdict { QUOTA_OWED, QUOTA_BORROWS, QUOTA_OVER };
bool user_may_run(const struct sched_item *item);
/* After a pass: finds the heads of the organisation's quotas that it did not come to. */
void quota_heads_complete(struct sched_org *org);
enum quota_verdict quota_judge(const struct sched_item *item, int *ret_short);

#endif
