/* SPDX-License-Identifier: Apache-2.0 */
/* Decisions as tables: what runs, what waits in order, what starts and why the rest does not. */
#include <stdlib.h>
#include "base/mem.h"
#include "sched/sched.h"
#include "unit/test.h"

#define GIB (INT64_C(1) << 30)
#define ITEMS 8

/* One letter for each waiting item: S starts, c m g insufficient, r reserved. */
struct row {
	const char *name;
	struct sched_item running[ITEMS], queued[ITEMS];
	const char *expected;
	const char *first_message; /* part of the first message that is not empty */
};

#define JOB(name_, org_, cpu, gib, priority_, seq_)                                                          \
	{                                                                                                    \
		.org = org_, .name = name_, .want = {(cpu)*1000, (gib)*GIB, 0}, .priority = priority_,       \
		.seq = seq_                                                                                  \
	}
#define MODEL(name_, cpu, gib, seq_)                                                                         \
	{                                                                                                    \
		.org = "a", .name = name_, .want = {(cpu)*1000, (gib)*GIB, 0},                               \
		.priority = SCHED_PRIORITY_SERVICE, .seq = seq_, .is_permanent = true                        \
	}

static const struct row rows[] = {
    {"all fit", {{0}}, {JOB("x", "a", 2, 2, 50, 1), JOB("y", "a", 2, 6, 50, 2)}, "SS", NULL},
    {"the sum does not fit",
     {{0}},
     {JOB("x", "a", 2, 2, 50, 1), JOB("y", "a", 3, 2, 50, 2)},
     "Sc",
     "needs 3 cores, 2 free"},
    {"memory is named before cores",
     {JOB("r", "a", 4, 6, 50, 1)},
     {JOB("x", "a", 1, 4, 50, 2)},
     "m",
     "needs 4 GiB memory, 2 GiB free; held by r"},
    {"another organisation is not named",
     {JOB("secret", "b", 4, 6, 50, 1)},
     {JOB("x", "a", 1, 4, 50, 2)},
     "m",
     "2 GiB free; held by other work"},
    {"own names, then the others",
     {JOB("mine", "a", 1, 3, 50, 1), JOB("secret", "b", 1, 3, 50, 2)},
     {JOB("x", "a", 1, 4, 50, 3)},
     "m",
     "held by mine and others"},
    {"a small one goes beside the head's need",
     {JOB("r", "a", 1, 4, 50, 1)},
     {JOB("head", "a", 1, 6, 50, 2), JOB("small", "a", 1, 2, 50, 3), JOB("next", "a", 1, 1, 50, 4)},
     "mSr",
     "needs 6 GiB"},
    {"what overtook counts against the next to overtake",
     {JOB("r", "a", 1, 4, 50, 1), JOB("small", "a", 1, 2, 50, 3)},
     {JOB("head", "a", 1, 6, 50, 2), JOB("next", "a", 1, 1, 50, 4)},
     "mr",
     "needs 6 GiB"},
    {"what runs before the head does not",
     {JOB("r", "a", 1, 4, 50, 1), JOB("q", "a", 1, 2, 50, 2)},
     {JOB("head", "a", 1, 6, 50, 3), JOB("next", "a", 1, 2, 50, 4)},
     "mS",
     "needs 6 GiB"},
    {"a running job of lower priority is behind the head",
     {JOB("low", "a", 1, 4, 1, 1)},
     {JOB("head", "a", 1, 6, 50, 2), JOB("next", "a", 1, 2, 50, 3)},
     "mr",
     "needs 6 GiB"},
    {"a model that runs will not end for the head",
     {MODEL("m", 1, 2, 1)},
     {JOB("head", "a", 4, 6, 50, 2), JOB("next", "a", 1, 1, 50, 3)},
     "cr",
     "needs 4 cores, 3 free; held by m"},
    {"a model that starts ahead of the head counts too",
     {JOB("r", "a", 2, 4, 50, 1)},
     {MODEL("m", 1, 1, 9), JOB("head", "a", 1, 6, 50, 2), JOB("next", "a", 1, 2, 50, 3)},
     "Smr",
     "needs 6 GiB"},
    {"what can never fit reserves nothing",
     {{0}},
     {JOB("huge", "a", 1, 9, 50, 1), JOB("next", "a", 1, 8, 50, 2)},
     "mS",
     "more than this machine has"},
};

static size_t count_of(const struct sched_item *items)
{
	size_t n = 0;
	while (n < ITEMS && items[n].name)
		n++;
	return n;
}

static char letter(const struct sched_decision *d)
{
	if (d->start)
		return 'S';
	return strncmp(d->reason, "insufficient_", 13) == 0 ? d->reason[13] : d->reason[0];
}

TEST(decisions_follow_the_table)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *row = &rows[i];
		struct sched_snapshot s = {
		    .capacity = {4000, 8 * GIB, 0}, .running = row->running, .queued = row->queued};
		struct sched_decision d[ITEMS];
		char got[ITEMS + 1] = "";
		const char *message = "";
		s.running_count = count_of(row->running);
		s.queued_count = count_of(row->queued);
		sched_decide(&s, d);
		for (size_t k = 0; k < s.queued_count; k++) {
			got[k] = letter(&d[k]);
			if (!message[0])
				message = d[k].message;
			assert_int_equal(d[k].start, d[k].message[0] == 0);
			assert_null(strstr(d[k].message, "secret"));
		}
		EXPECT_STR(row->name, got, row->expected);
		if (row->first_message && !strstr(message, row->first_message))
			fail_msg("row '%s' says '%s'", row->name, message);
	}
}

TEST(what_never_fits_is_explained_with_the_largest_that_does)
{
	const struct resources capacity = {4000, 8 * GIB, 0}, with_gpu = {4000, 8 * GIB, 2};
	const struct {
		struct resources want;
		const struct resources *capacity;
		const char *message;
	} table[] = {
	    {{5000, GIB, 0},
	     &capacity,
	     "cpu 5 is more than this machine has for jobs (4); ask for 4 at most"},
	    {{1000, 64 * GIB, 0}, &capacity, "memory 64 GiB is more than this machine has for jobs (8 GiB)"},
	    {{1000, GIB, 1}, &capacity, "this machine has no GPU for jobs"},
	    {{1000, GIB, 3}, &with_gpu, "gpu 3 is more than this machine has for jobs (2)"},
	};
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		struct err err = ERR_INIT;
		EXPECT_ERR(sched_check(&table[i].want, table[i].capacity, &err), ERR_INVALID, &err,
			   table[i].message);
	}
	struct err err = ERR_INIT;
	EXPECT_OK(sched_check(&(struct resources){4000, 8 * GIB, 2}, &with_gpu, &err), &err);
}

static struct sched_item random_item(int64_t seq, bool may_be_model)
{
	struct sched_item item = {
	    .org = "a", .name = "x", .seq = seq, .priority = (int64_t)rng_below(&test_rng, 5)};
	item.want = (struct resources){(int64_t)(1 + rng_below(&test_rng, 4)) * 1000,
				       (int64_t)(1 + rng_below(&test_rng, 8)) * GIB, 0};
	if (may_be_model && rng_below(&test_rng, 6) == 0) {
		item.is_permanent = true;
		item.priority = SCHED_PRIORITY_SERVICE;
		item.want = (struct resources){500, GIB / 2, 0};
	}
	return item;
}

static int by_order(const void *a, const void *b)
{
	return sched_compare(a, b);
}

/* Small jobs without end; now and then a large one. Each job lasts at most 20 turns, so once all that was
 * ordered before it has ended, 20 turns later, the large one runs. */
TEST(a_large_job_starts_among_small_ones_without_end)
{
	struct sched_snapshot s = {.capacity = {8000, 8 * GIB, 0}};
	struct sched_item running[64], queued[20];
	int64_t ends[64], seq = 0, waited = 0, large_started = 0;
	size_t running_count = 0, queued_count = 0;
	for (int64_t now = 0; now < 5000; now++) {
		for (size_t i = running_count; i-- > 0;) {
			if (ends[i] <= now) {
				running[i] = running[--running_count];
				ends[i] = ends[running_count];
			}
		}
		bool has_large = false;
		for (size_t i = 0; i < queued_count; i++)
			has_large |= queued[i].want.memory_bytes > GIB;
		while (queued_count < ARRAY_LEN(queued)) {
			bool is_large = !has_large;
			has_large |= is_large;
			queued[queued_count++] =
			    (struct sched_item){.org = "a",
						.name = "x",
						.priority = 50,
						.seq = ++seq,
						.want = {1000, is_large ? 6 * GIB : GIB, 0}};
		}
		struct sched_decision d[ARRAY_LEN(queued)];
		s.running = running;
		s.running_count = running_count;
		s.queued = queued;
		s.queued_count = queued_count;
		sched_decide(&s, d);
		bool head_is_large = queued[0].want.memory_bytes > GIB;
		waited = head_is_large && !d[0].start ? waited + 1 : 0;
		large_started += head_is_large && d[0].start;
		assert_true(waited <= 21);
		size_t kept = 0;
		struct resources used = {0};
		for (size_t i = 0; i < queued_count; i++) {
			if (!d[i].start) {
				queued[kept++] = queued[i];
				continue;
			}
			running[running_count] = queued[i];
			ends[running_count++] = now + 1 + (int64_t)rng_below(&test_rng, 20);
		}
		queued_count = kept;
		for (size_t i = 0; i < running_count; i++)
			resources_add(&used, &running[i].want);
		assert_true(resources_fit(&used, &s.capacity));
	}
	assert_true(large_started > 50);
}

TEST(random_snapshots_never_overfill)
{
	for (int round = 0; round < 5000; round++) {
		struct sched_item queued[32];
		struct sched_decision d[32];
		struct resources used = {0}, capacity = {4000, 8 * GIB, 0};
		size_t n = rng_below(&test_rng, 32);
		for (size_t i = 0; i < n; i++)
			queued[i] = random_item((int64_t)i, true);
		qsort(queued, n, sizeof(queued[0]), by_order);
		struct sched_snapshot s = {.capacity = capacity, .queued = queued, .queued_count = n};
		sched_decide(&s, d);
		for (size_t i = 0; i < n; i++)
			if (d[i].start)
				resources_add(&used, &queued[i].want);
		assert_true(resources_fit(&used, &capacity));
		if (n)
			assert_true(d[0].start || !resources_fit(&queued[0].want, &capacity));
	}
}
