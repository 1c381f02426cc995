/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made clusters: a scheduler with the items that a test gives it, by name. */
#ifndef TESTS_UNIT_SCHED_CASES_H
#define TESTS_UNIT_SCHED_CASES_H

#include "sched/sched.h"
#include "unit/test.h"

#define GIB (INT64_C(1) << 30)
#define SEC INT64_C(1000)
#define CASE_ITEMS 64

struct given {
	const char *name, *org, *user;
	int64_t cpu, gib, gpu, tasks, priority, seq, estimate, limit, after; /* cores, GiB, seconds */
	bool permanent, preemptible;
	char *const *labels;
	enum purpose purpose;
};
struct the_case {
	struct sched *s;
	struct sched_item items[CASE_ITEMS];
	size_t count;
	int64_t now_ms;
};

struct the_case *case_new(int nodes, int64_t cpu, int64_t gib, int64_t gpu);
void case_free(struct the_case *c);
static inline void cleanup_case(struct the_case **c)
{
	case_free(*c);
}
/* Without an organisation "a", without a user "u", without a priority 50; seq is the order of the calls. */
struct sched_item *case_add(struct the_case *c, bool runs, struct given g);
#define WAITS(c, ...) case_add(c, false, (struct given){__VA_ARGS__})
#define RUNS(c, ...) case_add(c, true, (struct given){__VA_ARGS__})
/* One pass at the present time; "x y -z": x and y start, z is stopped. */
const char *case_pass(struct the_case *c);
void case_end(struct the_case *c, struct sched_item *item); /* it has ended */
void case_quota(struct the_case *c, const char *org, struct quota_limit training, bool borrow);
const char *case_why(struct the_case *c, const struct sched_item *item); /* "word: message" */
#define EXPECT_PASS(c, expected) EXPECT_STR("pass", case_pass(c), expected)
#define EXPECT_LATER_PASS(c, expected)                                                                       \
	do {                                                                                                 \
		(c)->now_ms += SCHED_STEADY_MS;                                                              \
		EXPECT_PASS(c, expected);                                                                    \
	} while (0)
#define EXPECT_REASON(c, item, part)                                                                         \
	do {                                                                                                 \
		const char *why_ = case_why(c, item);                                                        \
		if (!strstr(why_, part))                                                                     \
			fail_msg("'%s' says '%s'; expected '%s' in it", (item)->name, why_, part);           \
	} while (0)

#endif
