/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A cluster under virtual time around the scheduler alone: nodes that come and go, organisations with quotas,
 * work with gangs, priorities, limits and true durations. It keeps books of its own, made from decisions
 * only, and holds the scheduler to them after every event: no node and no quota is ever exceeded, gangs run
 * whole, nobody is stopped who may not be, what was promised is kept. The first thing that is broken ends a
 * run.
 */
#ifndef TESTS_SIM_CLUSTER_H
#define TESTS_SIM_CLUSTER_H

#include "sched/sched.h"
#include "unit/test.h"

#define SEC INT64_C(1000)
#define GIB (INT64_C(1) << 30)
#define CLUSTER_WORK_MAX 400
#define CLUSTER_NODES_MAX 8
#define CLUSTER_ORGS_MAX 4

/* What is known of durations. */
enum knowledge {
	KNOWS_NOTHING,
	KNOWS_EXACTLY, /* estimate = true duration */
	KNOWS_MOST,    /* estimate >= true duration */
	KNOWS_ROUGHLY, /* estimates may be wrong both ways; some have limits, which hold */
};
struct cluster_options {
	int nodes, orgs;
	bool gangs, quotas, borrowing, preemptible, priorities, losses, later, whole_node;
	enum knowledge knowledge;
};

struct work {
	struct sched_item item;
	char name[24];
	int64_t true_ms, end_at_ms, stopped_at_ms, promise_ms, bound_ms;
	bool is_here, runs;
	int64_t starts, stops, order; /* order: the how-manieth start of all */
};
struct cluster_node {
	char name[8];
	struct resources capacity;
	bool is_up;
	char *labels[2];
};
struct cluster {
	struct cluster_options o;
	struct sched *s;
	struct rng rng;
	int64_t now_ms, seq;
	struct cluster_node nodes[CLUSTER_NODES_MAX];
	struct quota quotas[CLUSTER_ORGS_MAX];
	struct work work[CLUSTER_WORK_MAX];
	size_t starts, stops, ends, passes, explained, changes_tried, promises;
	char broken[400];
};

struct cluster *cluster_new(uint64_t seed, struct cluster_options o);
void cluster_free(struct cluster *c);
const char *cluster_org(int i);
struct work *
cluster_submit(struct cluster *c); /* something random; NULL when there is no room in the books */
struct work *cluster_submit_like(struct cluster *c, int org, struct sched_item like, int64_t true_ms);
void cluster_pass(struct cluster *c);	   /* with every check */
bool cluster_wait(struct cluster *c);	   /* until the next thing ends; false: nothing runs, nothing comes */
void cluster_lose_node(struct cluster *c); /* or brings one back */
void cluster_bring_back(struct cluster *c); /* every node */
void cluster_change_quota(struct cluster *c);
void cluster_cancel(struct cluster *c);
void cluster_explain(struct cluster *c); /* something that waits: is what it says true? */
size_t cluster_waiting(const struct cluster *c);
size_t cluster_waiting_of(const struct cluster *c, int org);
size_t cluster_running(const struct cluster *c);
void cluster_break(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* cluster_check.c */
void cluster_check(struct cluster *c);
void cluster_check_start(struct cluster *c, const struct work *w);
void cluster_check_stop(struct cluster *c, const struct work *w);
void cluster_check_explanation(struct cluster *c, struct work *w, const struct sched_explanation *e);
void cluster_used(const struct cluster *c, const char *org, enum purpose p, struct quota_limit *ret);

#endif
