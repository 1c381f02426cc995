/* SPDX-License-Identifier: Apache-2.0 */
/* Random clusters: the invariants of scheduling hold after every event, and what explanations say comes true.
 * SEEDS=N, SIM_SEED=S. */
#include <stdio.h>
#include <stdlib.h>
#include "sim/cluster.h"

#define EVENTS 150

static const struct kind {
	const char *name;
	struct cluster_options o;
} kinds[] = {
    {"one order, exact durations", {.nodes = 3, .orgs = 1, .gangs = true, .knowledge = KNOWS_EXACTLY}},
    {"one order, durations at most", {.nodes = 4, .orgs = 1, .gangs = true, .knowledge = KNOWS_MOST}},
    {"one machine, durations at most", {.nodes = 1, .orgs = 1, .knowledge = KNOWS_MOST}},
    {"one order, nothing known", {.nodes = 3, .orgs = 1, .gangs = true, .knowledge = KNOWS_NOTHING}},
    {"quotas",
     {.nodes = 3, .orgs = 3, .gangs = true, .quotas = true, .knowledge = KNOWS_ROUGHLY, .later = true}},
    {"priorities and losses",
     {.nodes = 4, .orgs = 3, .gangs = true, .priorities = true, .losses = true, .knowledge = KNOWS_ROUGHLY}},
    {"all of it",
     {.nodes = 5,
      .orgs = 4,
      .gangs = true,
      .quotas = true,
      .borrowing = true,
      .preemptible = true,
      .priorities = true,
      .losses = true,
      .later = true,
      .knowledge = KNOWS_ROUGHLY}},
};

static struct cluster totals;

static void one_event(struct cluster *c)
{
	uint64_t dice = rng_below(&c->rng, 100);
	if (dice < 45)
		cluster_submit(c);
	else if (dice < 90)
		cluster_wait(c);
	else if (dice < 92)
		cluster_cancel(c);
	else if (dice < 94 && c->o.losses)
		cluster_lose_node(c);
	else if (dice < 95 && c->o.quotas)
		cluster_change_quota(c);
	cluster_pass(c);
	if (rng_below(&c->rng, 3) == 0)
		cluster_explain(c);
}

static void break_by_the_first(struct cluster *c)
{
	struct sched_why why;
	for (size_t i = 0; i < CLUSTER_WORK_MAX; i++) {
		if (!c->work[i].is_here || c->work[i].runs)
			continue;
		sched_why(c->s, &c->work[i].item, c->now_ms, &why);
		cluster_break(c, "%s waits, nothing runs, and nothing starts: %s: %s", c->work[i].name,
			      sched_why_word(why.code), why.message);
	}
}

/* Nothing new comes, nothing is held back any more: then everything starts, and ends. */
static void drain(struct cluster *c)
{
	cluster_bring_back(c);
	for (int i = 0; i < c->o.orgs; i++) {
		quota_init(&c->quotas[i]);
		sched_quota_set(c->s, cluster_org(i), &c->quotas[i]);
	}
	for (int i = 0; i < 20000 && !c->broken[0] && (cluster_waiting(c) || cluster_running(c)); i++) {
		cluster_pass(c);
		if (!cluster_wait(c) && cluster_waiting(c))
			break_by_the_first(c);
	}
	if (cluster_waiting(c))
		cluster_break(c, "%zu never started", cluster_waiting(c));
}

static void run_seed(uint64_t seed, const struct kind *k)
{
	struct cluster *c = cluster_new(seed, k->o);
	for (int i = 0; i < EVENTS && !c->broken[0]; i++)
		one_event(c);
	if (!c->broken[0])
		drain(c);
	totals.starts += c->starts;
	totals.stops += c->stops;
	totals.explained += c->explained;
	totals.changes_tried += c->changes_tried;
	totals.promises += c->promises;
	if (c->broken[0])
		fail_msg("%s, SIM_SEED=%llu: %s", k->name, (unsigned long long)seed, c->broken);
	cluster_free(c);
}

TEST(invariants_hold_in_random_clusters)
{
	const char *one = getenv("SIM_SEED"), *many = getenv("SEEDS");
	uint64_t first = one ? strtoull(one, NULL, 10) : 1;
	uint64_t count = one ? 1 : many ? strtoull(many, NULL, 10) : 150;
	for (uint64_t seed = first; seed < first + count; seed++)
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			run_seed(seed, &kinds[i]);
	print_message(
	    "%llu seeds: %zu starts, %zu stops, %zu promises, %zu explanations, %zu changes tried\n",
	    (unsigned long long)count, totals.starts, totals.stops, totals.promises, totals.explained,
	    totals.changes_tried);
	if (one)
		return;
	assert_true(totals.stops > 0 && totals.promises > 0 && totals.changes_tried > 0);
}

/* Jobs that fill a node each, of one length: the position is the order in which they start, and the forecast
 * is the time. */
TEST(positions_and_forecasts_come_true)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct cluster *c = cluster_new(seed, (struct cluster_options){.nodes = 2,
									       .orgs = 1,
									       .priorities = true,
									       .whole_node = true,
									       .knowledge = KNOWS_EXACTLY});
		for (int i = 0; i < 30; i++)
			cluster_submit(c);
		cluster_pass(c);
		int64_t expected[CLUSTER_WORK_MAX] = {0}, position[CLUSTER_WORK_MAX] = {0};
		int64_t before = (int64_t)c->starts;
		for (size_t i = 0; i < CLUSTER_WORK_MAX; i++) {
			struct sched_explanation e;
			if (!c->work[i].is_here || c->work[i].runs)
				continue;
			sched_explain(c->s, &c->work[i].item, c->now_ms, &e);
			expected[i] = e.start_ms;
			position[i] = e.position;
		}
		while (cluster_waiting(c) && !c->broken[0]) {
			assert_true(cluster_wait(c));
			cluster_pass(c);
			for (size_t i = 0; i < CLUSTER_WORK_MAX; i++) {
				const struct work *w = &c->work[i];
				if (!position[i] || !w->runs)
					continue;
				assert_int_equal(w->order - before, position[i]);
				assert_int_equal(w->item.started_ms, expected[i]);
				position[i] = 0;
			}
		}
		EXPECT_STR("broken", c->broken, "");
		cluster_free(c);
	}
}

/* Organisations that always have work waiting: over time each has its part, whatever the shape of its work.
 */
TEST(dominant_shares_of_backlogged_organisations_converge)
{
	static const struct resources shapes[] = {{1000, 4 * GIB, 0}, {3000, 1 * GIB, 0}, {1000, 1 * GIB, 0}};
	struct cluster *c = cluster_new(7, (struct cluster_options){.nodes = 0, .orgs = 3});
	struct resources capacity = {90000, 180 * GIB, 0};
	struct err err = ERR_INIT;
	double sum[3] = {0}, weight[3] = {1, 1, 2};
	int64_t measured = 0, last_ms;
	EXPECT_OK(sched_node_set(c->s, "big", &capacity, NULL, &err), &err);
	c->quotas[2].weight = 2 * QUOTA_WEIGHT;
	sched_quota_set(c->s, cluster_org(2), &c->quotas[2]);
	for (int turn = 0; turn < 4000; turn++) {
		for (int org = 0; org < 3; org++)
			while (cluster_waiting_of(c, org) < 40)
				cluster_submit_like(
				    c, org,
				    (struct sched_item){.user = "u", .want = shapes[org], .priority = 50},
				    SEC * (20 + (int64_t)rng_below(&c->rng, 20)));
		cluster_pass(c);
		last_ms = c->now_ms;
		assert_true(cluster_wait(c));
		if (turn < 500)
			continue;
		measured += c->now_ms - last_ms;
		for (int org = 0; org < 3; org++)
			sum[org] += sched_share(c->s, cluster_org(org)) * (double)(c->now_ms - last_ms);
	}
	for (int org = 0; org < 3; org++) {
		double mean = sum[org] / (double)measured, other = sum[(org + 1) % 3] / (double)measured;
		print_message("%s: %.3f (weight %.0f)\n", cluster_org(org), mean, weight[org]);
		assert_true(mean > other - 3.0 / 90 && mean < other + 3.0 / 90); /* the largest job's part */
	}
	EXPECT_STR("broken", c->broken, "");
	cluster_free(c);
}

/* A large one of an organisation that has more than its share waits for others a bounded number of times. */
TEST(fair_share_overtakes_a_bounded_number_of_times)
{
	struct cluster *c = cluster_new(3, (struct cluster_options){.nodes = 0, .orgs = 2});
	struct resources capacity = {10000, 100 * GIB, 0};
	struct err err = ERR_INIT;
	EXPECT_OK(sched_node_set(c->s, "big", &capacity, NULL, &err), &err);
	struct sched_item service = {.user = "u",
				     .want = {5000, GIB, 0},
				     .priority = SCHED_PRIORITY_SERVICE,
				     .purpose = PURPOSE_MODELS,
				     .is_permanent = true};
	cluster_submit_like(c, 0, service, 1000000 * SEC);
	cluster_pass(c);
	struct work *large = cluster_submit_like(
	    c, 0, (struct sched_item){.user = "u", .want = {5000, GIB, 0}, .priority = 50}, SEC);
	size_t before = c->starts;
	while (!large->runs && c->starts < before + SCHED_OVERTAKEN_MAX + 100) {
		while (cluster_waiting(c) < 20)
			cluster_submit_like(
			    c, 1, (struct sched_item){.user = "u", .want = {1000, GIB, 0}, .priority = 50},
			    SEC * (1 + (int64_t)rng_below(&c->rng, 3)));
		cluster_pass(c);
		if (!large->runs)
			assert_true(cluster_wait(c));
	}
	assert_true(large->runs);
	assert_true(c->starts > before + SCHED_OVERTAKEN_MAX / 2);
	cluster_free(c);
}
