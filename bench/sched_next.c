/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to choose the next job: one ends, one starts, so many wait. The scheduler's pass (with
 * removal and, every time, another submission) beside one indexed claim in SQLite (the same queue as a table
 * with an index over what waits; no other work in the transaction). Then the pass alone with quotas: such
 * that the organisations borrow from each other until the machine is full, and such that they never fill it.
 * Usage: sched-next [WAITING...]
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/rng.h"
#include "sched/sched.h"

#define ROUNDS 5
#define CHOICES 2000
#define ORGS 10
#define SHAPES 8
#define GIB (INT64_C(1) << 30)

struct queue_of {
	struct sched *sched;
	struct sched_item *items;
	size_t count, next; /* 'next' = where the next submission is kept */
	struct sched_item *running[64];
	size_t running_count;
	struct rng rng;
	int64_t seq, now_ms;
	sqlite3 *db;
	sqlite3_stmt *insert, *claim;
};

static void check(int r, struct queue_of *q)
{
	if (r == SQLITE_OK || r == SQLITE_ROW || r == SQLITE_DONE)
		return;
	fprintf(stderr, "sched-next: %s\n", sqlite3_errmsg(q->db));
	exit(1);
}

static void submit(struct queue_of *q, struct sched_item *item)
{
	static const char *const orgs[ORGS] = {"o0", "o1", "o2", "o3", "o4", "o5", "o6", "o7", "o8", "o9"};
	*item = (struct sched_item){.org = orgs[rng_below(&q->rng, ORGS)],
				    .user = "u",
				    .name = "n",
				    .want = {1000, GIB * (int64_t)(1 + rng_below(&q->rng, SHAPES)), 0},
				    .priority = 10 * (int64_t)rng_below(&q->rng, 10),
				    .estimate_ms = 1000 * (int64_t)(1 + rng_below(&q->rng, 1000)),
				    .seq = ++q->seq};
	sched_add(q->sched, item);
	sqlite3_bind_int64(q->insert, 1, item->priority);
	sqlite3_bind_int64(q->insert, 2, item->seq);
	check(sqlite3_step(q->insert), q);
	sqlite3_reset(q->insert);
}

static void take_decisions(struct queue_of *q)
{
	const struct sched_decision *d;
	size_t n = sched_pass(q->sched, q->now_ms, &d);
	for (size_t i = 0; i < n; i++)
		if (d[i].verb == SCHED_START)
			q->running[q->running_count++] = d[i].item;
}

enum quotas { NO_QUOTAS, BORROWING, STRICT };

static void set_quotas(struct queue_of *q, enum quotas quotas)
{
	char name[] = "o0";
	struct quota quota;
	for (int i = 0; i < ORGS && quotas; i++) {
		name[1] = (char)('0' + i);
		quota_init(&quota);
		quota.purposes[PURPOSE_TRAINING].count = 1;
		quota.borrow = quotas == BORROWING;
		sched_quota_set(q->sched, name, &quota);
	}
}

static void queue_init(struct queue_of *q, size_t count, enum quotas quotas)
{
	struct resources capacity = {16000, 1024 * GIB, 0};
	struct err err = ERR_INIT;
	*q = (struct queue_of){.sched = sched_new(), .count = count, .now_ms = 1};
	q->items = mem_alloc((count + ROUNDS * CHOICES) * sizeof(*q->items));
	rng_seed(&q->rng, 1);
	if (sched_node_set(q->sched, "local", &capacity, NULL, &err) < 0)
		exit(1);
	set_quotas(q, quotas);
	check(sqlite3_open(":memory:", &q->db), q);
	check(sqlite3_exec(
		  q->db,
		  "CREATE TABLE job (seq INTEGER PRIMARY KEY, priority INTEGER, state INTEGER, spec TEXT);"
		  "CREATE INDEX next ON job (state, priority DESC, seq)",
		  NULL, NULL, NULL),
	      q);
	check(sqlite3_prepare_v2(
		  q->db, "INSERT INTO job (priority, seq, state, spec) VALUES (?, ?, 0, hex(zeroblob(200)))",
		  -1, &q->insert, NULL),
	      q);
	check(sqlite3_prepare_v2(q->db,
				 "UPDATE job SET state = 1 WHERE seq = (SELECT seq FROM job WHERE state = 0 "
				 "ORDER BY priority DESC, seq LIMIT 1)",
				 -1, &q->claim, NULL),
	      q);
	check(sqlite3_exec(q->db, "BEGIN", NULL, NULL, NULL), q);
	for (; q->next < count; q->next++)
		submit(q, &q->items[q->next]);
	check(sqlite3_exec(q->db, "COMMIT", NULL, NULL, NULL), q);
	take_decisions(q);
}

static void queue_done(struct queue_of *q)
{
	sched_free(q->sched);
	sqlite3_finalize(q->insert);
	sqlite3_finalize(q->claim);
	sqlite3_close(q->db);
	free(q->items);
}

/* One ends; the pass chooses what starts in its place. */
static double ours_us(struct queue_of *q)
{
	int64_t spent_ns = 0;
	for (int i = 0; i < CHOICES; i++) {
		size_t k = rng_below(&q->rng, q->running_count);
		struct sched_item *ended = q->running[k];
		q->running[k] = q->running[--q->running_count];
		q->now_ms += 100;
		int64_t start = clock_monotonic_ns();
		sched_remove(q->sched, ended);
		take_decisions(q);
		spent_ns += clock_monotonic_ns() - start;
		submit(q, &q->items[q->next++]);
	}
	return (double)spent_ns / 1000 / CHOICES;
}

static double sqlite_us(struct queue_of *q)
{
	int64_t start = clock_monotonic_ns();
	for (int i = 0; i < CHOICES; i++) {
		check(sqlite3_step(q->claim), q);
		sqlite3_reset(q->claim);
	}
	return (double)(clock_monotonic_ns() - start) / 1000 / CHOICES;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static void measure_quotas(size_t count, enum quotas quotas, const char *what)
{
	struct queue_of q;
	double ours[ROUNDS];
	queue_init(&q, count, quotas);
	for (int i = 0; i < ROUNDS; i++)
		ours[i] = ours_us(&q);
	qsort(ours, ROUNDS, sizeof(ours[0]), by_value);
	printf("%9zu   %6.2f us (%.2f to %.2f)   %s\n", count, ours[ROUNDS / 2], ours[0], ours[ROUNDS - 1],
	       what);
	queue_done(&q);
}

static void measure(size_t count)
{
	struct queue_of q;
	double ours[ROUNDS], theirs[ROUNDS];
	queue_init(&q, count, NO_QUOTAS);
	for (int i = 0; i < ROUNDS; i++) {
		ours[i] = ours_us(&q);
		theirs[i] = sqlite_us(&q);
	}
	qsort(ours, ROUNDS, sizeof(ours[0]), by_value);
	qsort(theirs, ROUNDS, sizeof(theirs[0]), by_value);
	printf("%9zu   %6.2f us (%.2f to %.2f)   %6.2f us (%.2f to %.2f)\n", count, ours[ROUNDS / 2], ours[0],
	       ours[ROUNDS - 1], theirs[ROUNDS / 2], theirs[0], theirs[ROUNDS - 1]);
	queue_done(&q);
	measure_quotas(count, BORROWING, "quotas, borrowing");
	measure_quotas(count, STRICT, "quotas that leave the machine half empty");
}

int main(int argc, char **argv)
{
	static const size_t usual[] = {100, 10000, 1000000};
	printf("  waiting   pass: one ends, the next starts   SQLite in memory: one indexed claim\n");
	for (int i = 1; i < argc; i++)
		measure((size_t)strtoull(argv[i], NULL, 10));
	for (size_t i = 0; i < ARRAY_LEN(usual) && argc == 1; i++)
		measure(usual[i]);
	return 0;
}
