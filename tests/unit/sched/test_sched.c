/* SPDX-License-Identifier: Apache-2.0 */
/* The rules, one story each: order, fair share, gangs, reservation and backfill, quotas, preemption. */
#include "sched_cases.h"

#include "base/mem.h"

#define NONE QUOTA_NONE
#define CPUS(n) ((struct quota_limit){{(n)*1000, NONE, NONE}, NONE})

TEST(what_fits_starts_by_priority_then_submission)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 8, 0);
	WAITS(c, "x", .cpu = 1);
	WAITS(c, "y", .cpu = 1);
	WAITS(c, "urgent", .cpu = 1, .priority = 90);
	EXPECT_PASS(c, "urgent x y");
	EXPECT_PASS(c, "");
	assert_int_equal(sched_waiting(c->s), 0);
}

TEST(what_comes_back_goes_to_its_old_place)
{
	CLEANUP(case) struct the_case *c = case_new(1, 1, 8, 0);
	struct sched_item *r = RUNS(c, "r", .cpu = 1);
	WAITS(c, "new", .cpu = 1, .seq = 200);
	WAITS(c, "newest", .cpu = 1, .seq = 300);
	WAITS(c, "old", .cpu = 1, .seq = 100);
	case_end(c, r);
	EXPECT_PASS(c, "old");
}

TEST(the_reason_names_what_is_short_and_who_holds_it)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 8, 2);
	RUNS(c, "mine", .cpu = 3, .gib = 5, .gpu = 1);
	RUNS(c, "secret", .org = "b", .gpu = 1, .gib = 1);
	struct sched_item *memory = WAITS(c, "m", .gib = 4), *cpu = WAITS(c, "c", .cpu = 2),
			  *gpu = WAITS(c, "g", .gpu = 1, .gib = 4, .org = "c");
	EXPECT_PASS(c, "");
	EXPECT_REASON(c, memory,
		      "insufficient_memory: needs 4 GiB memory, 2 GiB free; held by mine and others");
	EXPECT_REASON(c, cpu, "insufficient_cpu: needs 2 cores, 1 free; held by mine");
	EXPECT_REASON(c, gpu, "insufficient_gpu: needs 1 GPU, 0 free; held by other work");
	assert_null(strstr(case_why(c, memory), "secret"));
}

TEST(the_organisation_with_the_least_dominant_share_goes_next)
{
	CLEANUP(case) struct the_case *c = case_new(1, 10, 100, 0);
	RUNS(c, "a0", .org = "a", .cpu = 4);		/* share 0.4 */
	RUNS(c, "b0", .org = "b", .cpu = 1, .gib = 50); /* share 0.5, by memory */
	WAITS(c, "b1", .org = "b", .cpu = 1);
	WAITS(c, "a1", .org = "a", .cpu = 2);
	WAITS(c, "a2", .org = "a", .cpu = 1);
	WAITS(c, "c1", .org = "c", .cpu = 1);
	EXPECT_PASS(c, "c1 a1 b1 a2"); /* c 0, a 0.4, then a has 0.6 */
}

TEST(weight_counts_in_fair_share)
{
	CLEANUP(case) struct the_case *c = case_new(1, 9, 90, 0);
	struct quota q;
	quota_init(&q);
	q.weight = 2 * QUOTA_WEIGHT;
	sched_quota_set(c->s, "b", &q);
	for (int i = 0; i < 9; i++)
		WAITS(c, "a", .org = "a", .cpu = 1);
	for (int i = 0; i < 9; i++)
		WAITS(c, "b", .org = "b", .cpu = 1);
	case_pass(c);
	assert_true(sched_share(c->s, "a") == sched_share(c->s, "b"));
	struct quota_limit used[PURPOSE_COUNT];
	sched_quota_used(c->s, "b", used);
	assert_int_equal(used[PURPOSE_TRAINING].most.cpu_milli, 6000);
}

TEST(a_gang_is_placed_whole_or_not_at_all)
{
	CLEANUP(case) struct the_case *c = case_new(3, 4, 8, 0);
	struct sched_item *r = RUNS(c, "r", .cpu = 3);
	struct sched_item *gang = WAITS(c, "gang", .cpu = 2, .tasks = 6);
	EXPECT_PASS(c, "");
	EXPECT_REASON(c, gang, "insufficient_cpu: needs 12 cores, 9 free");
	case_end(c, r);
	EXPECT_PASS(c, "gang");
	assert_int_equal(gang->slot_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(gang->slots[i].tasks, 2);
}

TEST(a_gang_may_find_enough_in_all_but_scattered)
{
	CLEANUP(case) struct the_case *c = case_new(3, 4, 8, 0);
	for (int i = 0; i < 3; i++)
		RUNS(c, "r", .cpu = 3);
	struct sched_item *gang = WAITS(c, "gang", .cpu = 1, .tasks = 4);
	WAITS(c, "three", .cpu = 1, .tasks = 3);
	EXPECT_PASS(c, "");
	EXPECT_REASON(c, gang, "insufficient_cpu: needs 4 cores, 3 free");
	CLEANUP(case) struct the_case *d = case_new(2, 4, 8, 0);
	RUNS(d, "r", .cpu = 1, .gib = 6);
	RUNS(d, "q", .cpu = 3, .gib = 3);
	struct sched_item *both = WAITS(d, "both", .cpu = 2, .gib = 4);
	EXPECT_PASS(d, "");
	EXPECT_REASON(d, both, "insufficient_nodes: enough is free in all, but only 0 of 1 tasks find room");
}

TEST(labels_choose_the_node)
{
	CLEANUP(case) struct the_case *c = case_new(2, 4, 8, 0);
	char *const ssd[] = {(char *)"disk=ssd", NULL}, *const tape[] = {(char *)"disk=tape", NULL};
	struct resources capacity = {4000, 8 * GIB, 0};
	struct err err = ERR_INIT;
	EXPECT_OK(sched_node_set(c->s, "z", &capacity, ssd, &err), &err);
	struct sched_item *x = WAITS(c, "x", .cpu = 3, .labels = ssd),
			  *y = WAITS(c, "y", .cpu = 3, .labels = ssd),
			  *t = WAITS(c, "t", .cpu = 1, .labels = tape), *any = WAITS(c, "any", .cpu = 3);
	EXPECT_PASS(c, "x any");
	EXPECT_STR("x", sched_node_name(x->slots[0].node), "z");
	assert_string_not_equal(sched_node_name(any->slots[0].node), "z");
	EXPECT_REASON(c, y, "insufficient_cpu: needs 3 cores, 1 free");
	EXPECT_REASON(c, t, "no_such_node: no node has the labels 'disk=tape'");
	struct sched_item ask = {.org = "a", .want = {1000, GIB, 0}, .labels = tape};
	EXPECT_ERR(sched_check(c->s, &ask, &err), ERR_INVALID, &err,
		   "no node has the label 'disk=tape'; nodes have disk=ssd; leave it out");
	EXPECT_OK(sched_node_set(c->s, "n000", &capacity, tape, &err), &err);
	EXPECT_PASS(c, "t");
	EXPECT_OK(sched_check(c->s, &ask, &err), &err);
	char *const both[] = {(char *)"disk=ssd", (char *)"disk=tape", NULL};
	ask.labels = both;
	EXPECT_ERR(
	    sched_check(c->s, &ask, &err), ERR_INVALID, &err,
	    "no node has all of the labels in node_labels; nodes have disk=ssd, disk=tape; leave some");
}

TEST(work_without_gpus_leaves_those_nodes_alone_while_it_can)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 8, 4);
	struct resources plain = {4000, 8 * GIB, 0};
	struct err err = ERR_INIT;
	EXPECT_OK(sched_node_set(c->s, "zz", &plain, NULL, &err), &err);
	struct sched_item *x = WAITS(c, "x", .cpu = 2), *g = WAITS(c, "g", .cpu = 1, .gpu = 1);
	EXPECT_PASS(c, "x g");
	EXPECT_STR("x", sched_node_name(x->slots[0].node), "zz");
	EXPECT_STR("g", sched_node_name(g->slots[0].node), "n000");
}

/* ---- the head, and what goes before it ---- */

TEST(a_small_one_starts_beside_what_the_head_needs)
{
	CLEANUP(case) struct the_case *c = case_new(1, 8, 8, 0);
	RUNS(c, "r", .gib = 4);
	struct sched_item *head = WAITS(c, "head", .gib = 6);
	WAITS(c, "small", .gib = 2);
	struct sched_item *next = WAITS(c, "next", .gib = 1);
	EXPECT_PASS(c, "small");
	EXPECT_REASON(c, head, "needs 6 GiB memory, 2 GiB free; held by r, small");
	EXPECT_REASON(c, next, "reserved: would fit now, but would delay 'head', which goes first");
	EXPECT_PASS(c, ""); /* what overtook does not count as ending */
}

TEST(another_organisations_head_is_not_named)
{
	CLEANUP(case) struct the_case *d = case_new(1, 8, 8, 0);
	RUNS(d, "r", .gib = 6, .org = "b");
	WAITS(d, "secret", .gib = 8, .org = "c");
	struct sched_item *next = WAITS(d, "next", .gib = 2);
	EXPECT_PASS(d, "");
	EXPECT_REASON(d, next, "reserved: would fit now, but would delay other work");
}

TEST(what_surely_ends_in_time_starts_on_the_heads_place)
{
	CLEANUP(case) struct the_case *c = case_new(1, 8, 8, 0);
	RUNS(c, "r", .gib = 4, .estimate = 100);
	WAITS(c, "head", .gib = 8);
	WAITS(c, "long", .gib = 1, .limit = 101);
	WAITS(c, "guessed", .gib = 1, .estimate = 10);
	WAITS(c, "short", .gib = 1, .limit = 100);
	EXPECT_PASS(c, "short"); /* an estimate is no promise */
}

TEST(the_head_is_not_delayed_where_ends_are_not_known)
{
	CLEANUP(case) struct the_case *c = case_new(1, 8, 8, 0);
	struct sched_item *r = RUNS(c, "r", .gib = 4);
	WAITS(c, "head", .gib = 8);
	WAITS(c, "short", .gib = 1, .limit = 1);
	EXPECT_PASS(c, "");
	case_end(c, r);
	EXPECT_PASS(c, "head");
}

TEST(other_nodes_than_the_heads_are_free_for_all)
{
	CLEANUP(case) struct the_case *c = case_new(2, 8, 8, 0);
	RUNS(c, "r", .cpu = 2, .estimate = 50);
	RUNS(c, "q", .cpu = 8, .estimate = 500);
	WAITS(c, "head", .cpu = 8);
	WAITS(c, "long", .cpu = 4);
	EXPECT_PASS(c, "");
	CLEANUP(case) struct the_case *d = case_new(2, 8, 8, 0);
	RUNS(d, "r", .cpu = 2, .estimate = 50);
	RUNS(d, "q", .cpu = 7, .estimate = 500);
	WAITS(d, "head", .cpu = 8);
	WAITS(d, "one", .cpu = 1);
	WAITS(d, "another", .cpu = 1);
	EXPECT_PASS(d, "one"); /* beside q, not beside r, which is the head's place */
}

TEST(what_only_a_service_stands_in_the_way_of_reserves_nothing)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 8, 0);
	RUNS(c, "model", .cpu = 1, .permanent = true, .purpose = PURPOSE_MODELS);
	struct sched_item *head = WAITS(c, "head", .cpu = 4);
	WAITS(c, "next", .cpu = 3);
	EXPECT_PASS(c, "next");
	struct sched_explanation e;
	sched_explain(c->s, head, c->now_ms, &e);
	assert_true(e.why.is_permanent);
	assert_int_equal(e.start_ms, -1);
}

TEST(what_no_node_could_hold_stops_nobody)
{
	CLEANUP(case) struct the_case *c = case_new(2, 4, 8, 0);
	WAITS(c, "huge", .cpu = 5);
	WAITS(c, "next", .cpu = 4);
	EXPECT_PASS(c, "next");
}

/* ---- quotas ---- */

TEST(a_pass_that_ends_early_still_knows_whom_a_quota_is_kept_for)
{
	CLEANUP(case) struct the_case *c = case_new(1, 8, 64, 0);
	case_quota(c, "a", CPUS(8), false);
	RUNS(c, .name = "x", .cpu = 4, .gib = 1);
	RUNS(c, .name = "y", .org = "b", .cpu = 4, .gib = 1);
	WAITS(c, .name = "head", .org = "b", .cpu = 4, .gib = 1, .priority = 90);
	WAITS(c, .name = "large", .cpu = 8, .gib = 1);
	struct sched_item *small = WAITS(c, .name = "small", .cpu = 1, .gib = 1);
	EXPECT_PASS(c, "");
	EXPECT_REASON(c, small, "quota_cpu: ");
	EXPECT_REASON(c, small, "large");
}

/* More shapes than a pass makes room for: those that their quota shuts out are passed by, the others start.
 */
TEST(who_is_beyond_the_quota_stands_in_nobodys_way)
{
	CLEANUP(case) struct the_case *c = case_new(1, 8, 64, 0);
	case_quota(c, "a", CPUS(2), false);
	RUNS(c, .name = "x", .cpu = 2, .gib = 1);
	for (int i = 0; i < 30; i++)
		WAITS(c, .name = "shape", .cpu = 1, .gib = 1 + i, .priority = 90);
	struct sched_item *b = WAITS(c, .name = "b", .org = "b", .cpu = 6, .gib = 1);
	struct sched_item *last = WAITS(c, .name = "last", .org = "b", .cpu = 1, .gib = 1);
	EXPECT_PASS(c, "b");
	EXPECT_REASON(c, &c->items[1], "quota_cpu: ");
	EXPECT_REASON(c, &c->items[30], "quota_cpu: ");
	EXPECT_REASON(c, last, "cpu: ");
	case_end(c, b);
	EXPECT_PASS(c, "last");
	case_quota(c, "a", CPUS(3), true);
	EXPECT_PASS(c, "shape shape shape shape shape");
}

TEST(the_quota_is_the_end_where_nothing_may_be_borrowed)
{
	CLEANUP(case) struct the_case *c = case_new(1, 10, 100, 0);
	case_quota(c, "a", CPUS(3), false);
	WAITS(c, "x", .cpu = 2);
	struct sched_item *y = WAITS(c, "y", .cpu = 2);
	WAITS(c, "b", .org = "b", .cpu = 8);
	EXPECT_PASS(c, "x b");
	EXPECT_REASON(c, y,
		      "quota_cpu: needs 2 cores, the quota of 'a' for training has 1 left of 3; held by x");
}

TEST(the_count_of_tasks_and_each_purpose_have_limits_of_their_own)
{
	CLEANUP(case) struct the_case *c = case_new(1, 10, 100, 0);
	case_quota(c, "a", (struct quota_limit){{NONE, NONE, NONE}, 2}, false);
	WAITS(c, "gang", .cpu = 1, .tasks = 2);
	struct sched_item *x = WAITS(c, "x", .cpu = 1);
	WAITS(c, "notebook", .cpu = 1, .purpose = PURPOSE_DEVELOPMENT);
	EXPECT_PASS(c, "gang notebook");
	EXPECT_REASON(c, x, "quota_count: needs 1 task, the quota of 'a' for training has 0 left of 2");
}

TEST(a_large_one_is_not_starved_by_small_ones_of_its_quota)
{
	CLEANUP(case) struct the_case *c = case_new(1, 100, 100, 0);
	case_quota(c, "a", CPUS(8), false);
	RUNS(c, "r", .cpu = 4);
	struct sched_item *large = WAITS(c, "large", .cpu = 8);
	struct sched_item *small = WAITS(c, "small", .cpu = 1);
	EXPECT_PASS(c, "");
	EXPECT_REASON(c, large, "needs 8 cores, the quota of 'a' for training has 4 left of 8");
	EXPECT_REASON(c, small, "which 'large' goes first to");
}

TEST(what_borrows_goes_after_what_is_owed)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 100, 0);
	case_quota(c, "a", CPUS(1), true);
	WAITS(c, "a1", .org = "a", .cpu = 1, .priority = 90);
	WAITS(c, "a2", .org = "a", .cpu = 1, .priority = 90);
	WAITS(c, "a3", .org = "a", .cpu = 1, .priority = 90);
	WAITS(c, "b1", .org = "b", .cpu = 2, .priority = 10);
	EXPECT_PASS(c, "a1 b1 a2");
}

TEST(what_is_permanent_never_borrows)
{
	CLEANUP(case) struct the_case *c = case_new(1, 10, 100, 0);
	struct quota q;
	struct err err = ERR_INIT;
	quota_init(&q);
	q.purposes[PURPOSE_MODELS].count = 1;
	sched_quota_set(c->s, "a", &q);
	WAITS(c, "m1", .cpu = 1, .permanent = true, .purpose = PURPOSE_MODELS);
	struct sched_item *m2 = WAITS(c, "m2", .cpu = 1, .permanent = true, .purpose = PURPOSE_MODELS);
	EXPECT_PASS(c, "m1");
	EXPECT_REASON(c, m2, "quota_count");
	q.purposes[PURPOSE_MODELS].count = 0;
	sched_quota_set(c->s, "a", &q);
	EXPECT_ERR(sched_check(c->s, m2, &err), ERR_QUOTA, &err,
		   "1 tasks is more than the quota of 'a' for models allows (0)");
}

TEST(one_user_runs_no_more_than_the_limit)
{
	CLEANUP(case) struct the_case *c = case_new(1, 10, 100, 0);
	struct quota q;
	quota_init(&q);
	q.user_running = 1;
	sched_quota_set(c->s, "a", &q);
	WAITS(c, "x", .user = "ada", .cpu = 1);
	struct sched_item *y = WAITS(c, "y", .user = "ada", .cpu = 1);
	WAITS(c, "z", .user = "bob", .cpu = 1);
	EXPECT_PASS(c, "x z");
	EXPECT_REASON(c, y,
		      "user_limit: 1 jobs of 'ada' run already, which is the limit for one user; held by x");
}

/* ---- times ---- */

TEST(nothing_starts_before_its_time)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 8, 0);
	struct sched_item *later = WAITS(c, "later", .cpu = 1, .after = 60);
	WAITS(c, "now", .cpu = 1);
	EXPECT_PASS(c, "now");
	assert_int_equal(sched_next_ms(c->s), c->now_ms + 60 * SEC);
	EXPECT_REASON(c, later, "start_after: starts no earlier than in 1m");
	c->now_ms += 59999;
	EXPECT_PASS(c, "");
	c->now_ms += 1;
	EXPECT_PASS(c, "later");
	assert_int_equal(sched_next_ms(c->s), -1);
}

/* ---- preemption ---- */

TEST(what_is_owed_takes_back_what_was_borrowed)
{
	CLEANUP(case) struct the_case *c = case_new(1, 6, 100, 0);
	case_quota(c, "a", CPUS(2), true);
	case_quota(c, "b", CPUS(4), true);
	for (int i = 0; i < 3; i++)
		WAITS(c, i == 0 ? "a0" : i == 1 ? "a1" : "a2", .org = "a", .cpu = 2);
	EXPECT_PASS(c, "a0 a1 a2");
	c->now_ms += SEC;
	struct sched_item *b = WAITS(c, "b", .org = "b", .cpu = 2);
	EXPECT_LATER_PASS(c, "-a2");
	EXPECT_REASON(c, b, "preempting");
	EXPECT_PASS(c, ""); /* nobody else is stopped for the same need */
	struct sched_item *late = WAITS(c, "late", .org = "c", .cpu = 1);
	EXPECT_LATER_PASS(c, "-a1"); /* owed as well: without a quota everything is */
	case_end(c, &c->items[2]);
	EXPECT_PASS(c, "b");
	EXPECT_REASON(c, late, "preempting");
}

TEST(nobody_is_stopped_who_has_only_just_started)
{
	CLEANUP(case) struct the_case *c = case_new(1, 2, 100, 0);
	RUNS(c, "spot", .cpu = 2, .priority = 10, .preemptible = true);
	WAITS(c, "urgent", .cpu = 2, .priority = 80);
	EXPECT_PASS(c, "");
	assert_int_equal(sched_next_ms(c->s), c->now_ms + SCHED_STEADY_MS);
	c->now_ms += SCHED_STEADY_MS;
	EXPECT_PASS(c, "-spot");
	assert_int_equal(sched_next_ms(c->s), -1);
}

TEST(who_borrows_does_not_put_its_own_owed_work_at_risk)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 100, 0);
	case_quota(c, "a", CPUS(2), true);
	WAITS(c, "owed", .org = "a", .cpu = 2, .priority = 1);
	EXPECT_PASS(c, "owed");
	WAITS(c, "borrowed", .org = "a", .cpu = 2, .priority = 90);
	EXPECT_PASS(c, "borrowed");
	WAITS(c, "b", .org = "b", .cpu = 2);
	EXPECT_LATER_PASS(c, "-borrowed");
}

TEST(what_was_stopped_does_not_come_back_before_what_stopped_it)
{
	CLEANUP(case) struct the_case *c = case_new(1, 2, 100, 0);
	case_quota(c, "a", CPUS(0), true);
	struct sched_item *a = WAITS(c, "a", .org = "a", .cpu = 2, .priority = 90);
	EXPECT_PASS(c, "a");
	struct sched_item *b = WAITS(c, "b", .org = "b", .cpu = 2, .priority = 1);
	EXPECT_LATER_PASS(c, "-a");
	case_end(c, a);
	sched_add(c->s, a);
	EXPECT_PASS(c, "b");
	EXPECT_PASS(c, "");
	case_end(c, b);
	EXPECT_PASS(c, "a");
}

TEST(nobody_is_stopped_in_vain)
{
	CLEANUP(case) struct the_case *c = case_new(1, 6, 100, 0);
	case_quota(c, "a", CPUS(0), true);
	WAITS(c, "a", .org = "a", .cpu = 2);
	EXPECT_PASS(c, "a");
	RUNS(c, "b", .org = "b", .cpu = 4);
	WAITS(c, "large", .org = "c", .cpu = 4);
	EXPECT_PASS(c, ""); /* 2 would not be enough */
	WAITS(c, "small", .org = "c", .cpu = 2, .priority = 60);
	EXPECT_LATER_PASS(c, "-a");
}

TEST(only_those_that_are_needed_are_stopped)
{
	CLEANUP(case) struct the_case *c = case_new(1, 8, 100, 0);
	case_quota(c, "a", CPUS(0), true);
	WAITS(c, "large", .org = "a", .cpu = 6, .priority = 20);
	EXPECT_PASS(c, "large");
	c->now_ms += SEC;
	WAITS(c, "small", .org = "a", .cpu = 2, .priority = 10);
	EXPECT_PASS(c, "small");
	c->now_ms += SCHED_STEADY_MS;
	WAITS(c, "b", .org = "b", .cpu = 6);
	EXPECT_PASS(
	    c, "-large"); /* small goes first, but alone it makes no room and with large it is not needed */
}

TEST(a_higher_priority_stops_only_those_that_agreed)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 100, 0);
	RUNS(c, "firm", .cpu = 2, .priority = 10);
	RUNS(c, "spot", .cpu = 2, .priority = 10, .preemptible = true, .org = "b");
	WAITS(c, "same", .cpu = 2, .priority = 10);
	EXPECT_PASS(c, "");
	WAITS(c, "urgent", .cpu = 2, .priority = 80);
	EXPECT_LATER_PASS(c, "-spot");
	WAITS(c, "more", .cpu = 2, .priority = 90);
	EXPECT_PASS(c, "");
}

TEST(within_a_quota_lower_priorities_that_agreed_make_room)
{
	CLEANUP(case) struct the_case *c = case_new(1, 100, 100, 0);
	case_quota(c, "a", CPUS(4), false);
	RUNS(c, "spot", .cpu = 4, .priority = 10, .preemptible = true);
	WAITS(c, "urgent", .cpu = 2, .priority = 80);
	EXPECT_LATER_PASS(c, "-spot");
}

TEST(a_lower_quota_stops_nothing_by_itself)
{
	CLEANUP(case) struct the_case *c = case_new(1, 4, 100, 0);
	RUNS(c, "x", .cpu = 4);
	case_quota(c, "a", CPUS(1), true);
	EXPECT_PASS(c, "");
	WAITS(c, "b", .org = "b", .cpu = 1);
	EXPECT_LATER_PASS(c, "-x"); /* what exceeds it counts as borrowed */
}

/* ---- nodes ---- */

TEST(a_node_that_is_gone_takes_nothing_new)
{
	CLEANUP(case) struct the_case *c = case_new(2, 4, 8, 0);
	struct sched_item *x = WAITS(c, "x", .cpu = 4, .tasks = 2);
	EXPECT_PASS(c, "x");
	sched_node_remove(c->s, "n000");
	case_end(c, x);
	sched_add(c->s, x);
	WAITS(c, "y", .cpu = 3);
	EXPECT_PASS(c, "y"); /* the gang waits for the node, and reserves nothing that there is not */
	EXPECT_REASON(c, x, "needs 4 cores, 1 free");
	struct resources back = {4000, 8 * GIB, 0};
	struct err err = ERR_INIT;
	EXPECT_OK(sched_node_set(c->s, "n000", &back, NULL, &err), &err);
	case_end(c, &c->items[1]);
	EXPECT_PASS(c, "x");
}

/* ---- what can never start ---- */

TEST(what_never_fits_is_refused_with_the_largest_that_does)
{
	struct resources gpus = {4000, 4 * GIB, 2};
	char *const tape[] = {(char *)"disk=tape", NULL};
	struct err err = ERR_INIT;
	CLEANUP(case) struct the_case *one = case_new(1, 4, 8, 0), *many = case_new(3, 4, 8, 0);
	EXPECT_OK(sched_node_set(many->s, "g", &gpus, NULL, &err), &err);
	const struct {
		struct the_case *c;
		struct sched_item item;
		const char *part; /* NULL = it fits */
	} rows[] = {
	    {one, {.want = {4000, 8 * GIB, 0}}, NULL},
	    {one,
	     {.want = {5000, GIB, 0}},
	     "cpu 5 is more than this machine has for jobs (4); ask for 4 at most"},
	    {one,
	     {.want = {1000, 64 * GIB, 0}},
	     "memory 64 GiB is more than this machine has for jobs (8 GiB)"},
	    {one, {.want = {1000, GIB, 1}}, "this machine has no GPU for jobs; leave gpu out"},
	    {many, {.want = {1000, GIB, 3}}, "gpu 3 is more than any node has for jobs (2)"},
	    {many, {.want = {4000, 2 * GIB, 0}, .tasks = 4}, NULL},
	    {many,
	     {.want = {4000, 2 * GIB, 0}, .tasks = 5},
	     "5 tasks of this size are more than all nodes together have room for (4); ask for 4 at most"},
	    {many,
	     {.want = {1000, 6 * GIB, 1}},
	     "in one place; with the rest as it is, ask for 4 GiB memory at most instead of 6 GiB memory"},
	    {many,
	     {.want = {1000, GIB, 0}, .labels = tape},
	     "no node has the label 'disk=tape'; nodes have no labels; leave it out"},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct sched_item item = rows[i].item;
		item.org = "a";
		if (rows[i].part)
			EXPECT_ERR(sched_check(rows[i].c->s, &item, &err), ERR_INVALID, &err, rows[i].part);
		else
			EXPECT_OK(sched_check(rows[i].c->s, &item, &err), &err);
	}
	case_quota(one, "a", CPUS(2), false);
	struct sched_item item = {.org = "a", .want = {3000, GIB, 0}};
	EXPECT_ERR(sched_check(one->s, &item, &err), ERR_QUOTA, &err,
		   "3 cores is more than the quota of 'a' for training allows (2 cores)");
	case_quota(one, "a", CPUS(2), true);
	EXPECT_OK(sched_check(one->s, &item, &err), &err);
}
