/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-made clusters. */
#include "sched_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

struct the_case *case_new(int nodes, int64_t cpu, int64_t gib, int64_t gpu)
{
	struct the_case *c = MEM_NEW(struct the_case);
	struct resources capacity = {cpu * 1000, gib * GIB, gpu};
	struct err err = ERR_INIT;
	c->s = sched_new();
	c->now_ms = 1000 * SEC;
	for (int i = 0; i < nodes; i++) {
		char name[16];
		snprintf(name, sizeof(name), "n%03d", i);
		EXPECT_OK(sched_node_set(c->s, name, &capacity, NULL, &err), &err);
	}
	return c;
}

void case_free(struct the_case *c)
{
	if (!c)
		return;
	sched_free(c->s);
	free(c);
}

struct sched_item *case_add(struct the_case *c, bool runs, struct given g)
{
	assert_true(c->count < CASE_ITEMS);
	struct sched_item *item = &c->items[c->count++];
	*item = (struct sched_item){.org = g.org ? g.org : "a",
				    .user = g.user ? g.user : "u",
				    .name = g.name,
				    .labels = g.labels,
				    .purpose = g.purpose,
				    .want = {g.cpu * 1000, g.gib * GIB, g.gpu},
				    .tasks = g.tasks,
				    .priority = g.permanent  ? SCHED_PRIORITY_SERVICE
						: g.priority ? g.priority
							     : 50,
				    .seq = g.seq ? g.seq : (int64_t)c->count * 10,
				    .not_before_ms = g.after ? c->now_ms + g.after * SEC : 0,
				    .estimate_ms = g.estimate * SEC,
				    .basis = g.estimate ? SCHED_BASIS_HISTORY : SCHED_BASIS_NONE,
				    .limit_ms = g.limit * SEC,
				    .is_permanent = g.permanent,
				    .is_preemptible = g.preemptible};
	if (runs)
		sched_run(c->s, item, c->now_ms, NULL);
	else
		sched_add(c->s, item);
	return item;
}

const char *case_pass(struct the_case *c)
{
	static char text[1000];
	const struct sched_decision *d;
	size_t n = sched_pass(c->s, c->now_ms, &d), len = 0;
	text[0] = '\0';
	for (size_t i = 0; i < n; i++)
		if (d[i].verb != SCHED_WAIT)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s", len ? " " : "",
						d[i].verb == SCHED_PREEMPT ? "-" : "", d[i].item->name);
	return text;
}

void case_end(struct the_case *c, struct sched_item *item)
{
	sched_remove(c->s, item);
}

void case_quota(struct the_case *c, const char *org, struct quota_limit training, bool borrow)
{
	struct quota q;
	quota_init(&q);
	q.purposes[PURPOSE_TRAINING] = training;
	q.borrow = borrow;
	sched_quota_set(c->s, org, &q);
}

const char *case_why(struct the_case *c, const struct sched_item *item)
{
	static char text[600];
	struct sched_why why;
	sched_why(c->s, item, c->now_ms, &why);
	snprintf(text, sizeof(text), "%s: %s", sched_why_word(why.code), why.message);
	return text;
}
