/* SPDX-License-Identifier: Apache-2.0 */
/* Small random snapshots, decided a second time the slow way: no buckets, heaps or trees, only the rules of
 * the design page read from arrays. The first round of a pass must start the same items in the same order. */
#include "sched_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

#define NODES 3
#define ORGS 3
#define ITEMS 9

struct slow_item {
	const struct sched_item *item;
	bool has_started, is_aside;
	int64_t on[NODES]; /* tasks; of what runs */
};
struct slow {
	struct the_case *c;
	int64_t cpu[NODES], gib[NODES], beside_cpu[NODES], beside_gib[NODES], capacity_cpu, capacity_gib;
	bool is_reserved[NODES];
	struct slow_item waits[ITEMS], runs[2 * ITEMS];
	size_t wait_count, run_count;
	const struct sched_item *head, *quota_head[ORGS];
	int64_t head_ms, used_cpu[ORGS], used_gib[ORGS], behind[ORGS];
	char started[ITEMS * 8];
};

static int org_of(const struct sched_item *item)
{
	return item->org[0] - 'a';
}

static int64_t tasks_of(const struct sched_item *item)
{
	return item->tasks ? item->tasks : 1;
}

static double share(const struct slow *w, int org)
{
	double cpu = (double)w->used_cpu[org] / (double)w->capacity_cpu,
	       gib = (double)w->used_gib[org] / (double)w->capacity_gib;
	return cpu > gib ? cpu : gib;
}

/* ---- places: node after node, as many tasks as go in ---- */

static int64_t room(const struct slow *w, int n, const struct sched_item *item, bool ignores_head)
{
	int64_t cpu = w->cpu[n], gib = w->gib[n];
	if (w->is_reserved[n] && !ignores_head) {
		cpu = cpu < w->beside_cpu[n] ? cpu : w->beside_cpu[n];
		gib = gib < w->beside_gib[n] ? gib : w->beside_gib[n];
	}
	int64_t by_cpu = cpu / item->want.cpu_milli, by_gib = gib / item->want.memory_bytes;
	int64_t fits = by_cpu < by_gib ? by_cpu : by_gib;
	return cpu < 0 || gib < 0 || fits < 0 ? 0 : fits;
}

static bool find_place(const struct slow *w, const struct sched_item *item, bool ignores_head,
		       int64_t ret[NODES])
{
	int64_t left = tasks_of(item);
	for (int n = 0; n < NODES; n++) {
		int64_t fits = room(w, n, item, ignores_head);
		ret[n] = fits < left ? fits : left;
		left -= ret[n];
	}
	return left == 0;
}

static void take(struct slow *w, const struct sched_item *item, const int64_t on[NODES], int sign)
{
	for (int n = 0; n < NODES; n++) {
		w->cpu[n] -= sign * on[n] * item->want.cpu_milli;
		w->gib[n] -= sign * on[n] * item->want.memory_bytes;
	}
}

/* ---- quotas: of cores only ---- */

static int64_t quota_of(const struct slow *w, int org)
{
	char name[2] = {(char)('a' + org), 0};
	return sched_quota(w->c->s, name)->purposes[PURPOSE_TRAINING].most.cpu_milli;
}

static bool is_owed(const struct slow *w, const struct sched_item *item)
{
	int org = org_of(item);
	int64_t most = quota_of(w, org), needs = item->want.cpu_milli * tasks_of(item);
	const struct sched_item *head = w->quota_head[org];
	if (most < 0)
		return true;
	if (w->used_cpu[org] + needs > most)
		return false;
	return !head || head == item ||
	       head->want.cpu_milli * tasks_of(head) + w->behind[org] + needs <= most;
}

static bool may_borrow(const struct slow *w, const struct sched_item *item)
{
	return sched_quota(w->c->s, item->org)->borrow;
}

static bool goes_before(const struct sched_item *a, const struct sched_item *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->seq < b->seq;
}

static void keep_quota(struct slow *w, const struct sched_item *item)
{
	int org = org_of(item);
	if (w->quota_head[org] || quota_of(w, org) < 0 ||
	    item->want.cpu_milli * tasks_of(item) > quota_of(w, org))
		return;
	w->quota_head[org] = item;
	for (size_t i = 0; i < w->run_count; i++) {
		const struct sched_item *r = w->runs[i].item;
		if (org_of(r) == org && !goes_before(r, item))
			w->behind[org] += r->want.cpu_milli * tasks_of(r);
	}
}

/* ---- the head ---- */

/* Everything here has started now. */
static int64_t end_of(const struct slow *w, const struct sched_item *r)
{
	int64_t length = r->estimate_ms ? r->estimate_ms : r->limit_ms;
	return length ? w->c->now_ms + length : INT64_MAX;
}

static bool ends_before(const struct slow *w, const struct sched_item *a, const struct sched_item *b)
{
	return end_of(w, a) != end_of(w, b) ? end_of(w, a) < end_of(w, b) : a->seq < b->seq;
}

static void keep_place(struct slow *w, const struct sched_item *item)
{
	bool is_gone[2 * ITEMS] = {false};
	int64_t on[NODES], now = w->c->now_ms, at = now;
	for (size_t round = 0; round <= w->run_count; round++) {
		size_t first = 2 * ITEMS;
		for (size_t i = 0; i < w->run_count; i++)
			if (!is_gone[i] &&
			    (first == 2 * ITEMS || ends_before(w, w->runs[i].item, w->runs[first].item)))
				first = i;
		if (first == 2 * ITEMS)
			break;
		bool knows_no_more = end_of(w, w->runs[first].item) == INT64_MAX;
		for (size_t i = 0; i < w->run_count; i++) {
			if (is_gone[i] || (i != first && !knows_no_more))
				continue;
			is_gone[i] = true;
			take(w, w->runs[i].item, w->runs[i].on, -1);
		}
		at = knows_no_more			   ? -1
		     : end_of(w, w->runs[first].item) > at ? end_of(w, w->runs[first].item)
							   : at;
		if (!find_place(w, item, false, on))
			continue;
		w->head = item;
		w->head_ms = at;
		for (int n = 0; n < NODES; n++) {
			w->is_reserved[n] = on[n] > 0;
			w->beside_cpu[n] = w->cpu[n] - on[n] * item->want.cpu_milli;
			w->beside_gib[n] = w->gib[n] - on[n] * item->want.memory_bytes;
		}
		break;
	}
	for (size_t i = 0; i < w->run_count; i++)
		if (is_gone[i])
			take(w, w->runs[i].item, w->runs[i].on, 1);
}

/* ---- the order ---- */

static bool is_like(const struct sched_item *a, const struct sched_item *b)
{
	return a->org == b->org && a->priority == b->priority && tasks_of(a) == tasks_of(b) &&
	       a->want.cpu_milli == b->want.cpu_milli && a->want.memory_bytes == b->want.memory_bytes &&
	       a->limit_ms == b->limit_ms;
}

static struct slow_item *next(struct slow *w)
{
	struct slow_item *best = NULL;
	for (size_t i = 0; i < w->wait_count; i++) {
		struct slow_item *x = &w->waits[i];
		if (x->has_started || x->is_aside)
			continue;
		if (!best || x->item->priority > best->item->priority) {
			best = x;
			continue;
		}
		double a = share(w, org_of(x->item)), b = share(w, org_of(best->item));
		if (x->item->priority == best->item->priority &&
		    (a < b || (a == b && x->item->seq < best->item->seq)))
			best = x;
	}
	return best;
}

static bool try_start(struct slow *w, struct slow_item *x)
{
	int64_t on[NODES], now = w->c->now_ms;
	const struct sched_item *item = x->item;
	bool beside = find_place(w, item, false, on);
	bool in_time = !beside && w->head && w->head_ms >= 0 && item->limit_ms &&
		       now + item->limit_ms <= w->head_ms && find_place(w, item, true, on);
	if (!beside && !in_time)
		return false;
	take(w, item, on, 1);
	for (int n = 0; n < NODES && beside && w->head; n++) {
		w->beside_cpu[n] -= on[n] * item->want.cpu_milli;
		w->beside_gib[n] -= on[n] * item->want.memory_bytes;
	}
	w->used_cpu[org_of(item)] += item->want.cpu_milli * tasks_of(item);
	w->used_gib[org_of(item)] += item->want.memory_bytes * tasks_of(item);
	if (w->quota_head[org_of(item)] == item)
		w->quota_head[org_of(item)] = NULL;
	else if (w->quota_head[org_of(item)])
		w->behind[org_of(item)] += item->want.cpu_milli * tasks_of(item);
	x->has_started = true;
	memcpy(x->on, on, sizeof(on));
	w->runs[w->run_count++] = *x;
	snprintf(w->started + strlen(w->started), sizeof(w->started) - strlen(w->started), "%s ", item->name);
	return true;
}

static void sweep(struct slow *w, bool borrows)
{
	for (struct slow_item *x; (x = next(w));) {
		bool may_start = is_owed(w, x->item) || (borrows && may_borrow(w, x->item));
		if (may_start && try_start(w, x))
			continue;
		keep_quota(w, x->item);
		if (!w->head && may_start)
			keep_place(w, x->item);
		for (size_t i = 0; i < w->wait_count; i++)
			w->waits[i].is_aside |= is_like(w->waits[i].item, x->item);
	}
}

static void decide(struct slow *w)
{
	sweep(w, false);
	for (size_t i = 0; i < w->wait_count; i++)
		w->waits[i].is_aside &= is_owed(w, w->waits[i].item) || !may_borrow(w, w->waits[i].item);
	sweep(w, true);
}

/* ---- random snapshots ---- */

static int64_t any(int64_t n)
{
	return (int64_t)rng_below(&test_rng, (uint64_t)n);
}

static void add_random(struct slow *w, bool runs)
{
	static const char *const orgs[ORGS] = {"a", "b", "c"};
	static char names[2 * ITEMS][8];
	size_t k = w->c->count;
	snprintf(names[k], sizeof(names[k]), "%c%zu", runs ? 'r' : 'w', k % 100);
	struct given g = {.name = names[k],
			  .org = orgs[any(ORGS)],
			  .cpu = 1 + any(4),
			  .gib = 1 + any(4),
			  .tasks = any(3) ? 1 : 1 + any(4),
			  .priority = any(3) ? 50 : 60,
			  .limit = any(3) ? 0 : 1 + any(100),
			  .estimate = any(2) ? 1 + any(100) : 0};
	if (runs)
		g.tasks = 1;
	struct sched_item *item = case_add(w->c, runs, g);
	struct slow_item *x = runs ? &w->runs[w->run_count++] : &w->waits[w->wait_count++];
	*x = (struct slow_item){.item = item};
	for (size_t i = 0; i < item->slot_count; i++)
		x->on[sched_node_name(item->slots[i].node)[3] - '0'] = item->slots[i].tasks;
	if (!runs)
		return;
	take(w, item, x->on, 1);
	w->used_cpu[org_of(item)] += item->want.cpu_milli;
	w->used_gib[org_of(item)] += item->want.memory_bytes;
}

static bool is_overfull(const struct slow *w)
{
	for (int n = 0; n < NODES; n++)
		if (w->cpu[n] < 0 || w->gib[n] < 0)
			return true;
	return false;
}

TEST(small_snapshots_are_decided_as_the_rules_say)
{
	size_t starts = 0, heads = 0, compared = 0;
	for (int round = 0; round < 20000; round++) {
		struct slow w = {.c = case_new(NODES, 6, 8, 0), .head_ms = -1};
		w.capacity_cpu = NODES * 6000;
		w.capacity_gib = NODES * 8 * GIB;
		for (int n = 0; n < NODES; n++) {
			w.cpu[n] = 6000;
			w.gib[n] = 8 * GIB;
		}
		for (int org = 0; org < ORGS; org++)
			if (any(2))
				case_quota(w.c,
					   org == 0   ? "a"
					   : org == 1 ? "b"
						      : "c",
					   (struct quota_limit){
					       {1000 * (1 + any(10)), QUOTA_NONE, QUOTA_NONE}, QUOTA_NONE},
					   any(2));
		for (int64_t i = any(6); i > 0; i--)
			add_random(&w, true);
		for (int64_t i = 1 + any(ITEMS - 1); i > 0; i--)
			add_random(&w, false);
		if (!is_overfull(&w)) { /* what runs was put somewhere by force */
			decide(&w);
			const char *got = case_pass(w.c);
			size_t len = strlen(w.started);
			w.started[len ? len - 1 : 0] = '\0';
			if (strncmp(got, w.started, strlen(w.started)) != 0)
				fail_msg("round %d: '%s' started, the rules say '%s'", round, got, w.started);
			starts += strlen(w.started) / 3;
			heads += w.head != NULL;
			compared++;
		}
		case_free(w.c);
	}
	print_message("%zu snapshots, about %zu starts, %zu with a head\n", compared, starts, heads);
	assert_true(compared > 10000 && heads > 1000);
}
