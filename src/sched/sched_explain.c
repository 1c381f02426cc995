/* SPDX-License-Identifier: Apache-2.0 */
/* Why something waits, and what is too large for ever, in words for people. */
#include <stdio.h>
#include <string.h>
#include "base/unit.h"
#include "sched/sched_int.h"

#define HOLDERS_MAX 3

/* The resources in the order in which people look for the reason. */
enum kind { KIND_GPU, KIND_MEMORY, KIND_CPU, KIND_COUNT };

static int64_t amount(const struct resources *r, enum kind k)
{
	return k == KIND_GPU ? r->gpu : k == KIND_MEMORY ? r->memory_bytes : r->cpu_milli;
}

static const char *kind_word(enum kind k)
{
	return k == KIND_GPU ? "gpu" : k == KIND_MEMORY ? "memory" : "cpu";
}

static const char *format_amount(enum kind k, int64_t n, char ret[32])
{
	n = n < 0 ? 0 : n;
	if (k == KIND_MEMORY)
		unit_format_bytes(n, ret);
	else if (k == KIND_CPU)
		unit_format_cpu(n, ret);
	else
		snprintf(ret, 32, "%lld", (long long)n);
	return ret;
}

static const char *kind_unit(enum kind k)
{
	return k == KIND_GPU ? " GPUs" : k == KIND_MEMORY ? " memory" : " cores";
}

static enum kind kind_missing(const struct resources *want, const struct resources *have)
{
	for (int k = 0; k < KIND_COUNT; k++)
		if (amount(want, (enum kind)k) > amount(have, (enum kind)k))
			return (enum kind)k;
	return KIND_CPU;
}

static void add(char *text, size_t cap, const char *more)
{
	size_t len = strlen(text);
	snprintf(text + len, cap - len, "%s", more);
}

/* "; held by a, b and others": at most three of the organisation's own, everybody else without a name. */
static void add_holders(const struct sched_snapshot *s, const struct sched_item *item, enum kind k,
			char *text, size_t cap)
{
	size_t named = 0, others = 0;
	for (size_t i = 0; i < s->running_count; i++) {
		const struct sched_item *r = &s->running[i];
		if (amount(&r->want, k) <= 0)
			continue;
		if (strcmp(r->org, item->org) != 0 || named == HOLDERS_MAX) {
			others++;
			continue;
		}
		add(text, cap, named++ ? ", " : "; held by ");
		add(text, cap, r->name);
	}
	if (others)
		add(text, cap, named ? " and others" : "; held by other work");
}

void explain_insufficient(const struct sched_snapshot *s, const struct sched_item *item,
			  const struct resources *free_now, struct sched_decision *ret)
{
	char want[32], have[32];
	struct err err = ERR_INIT;
	enum kind k = kind_missing(&item->want, free_now);
	snprintf(ret->reason, sizeof(ret->reason), "insufficient_%s", kind_word(k));
	if (sched_check(&item->want, &s->capacity, &err) < 0) {
		snprintf(ret->message, sizeof(ret->message), "%s", err.msg);
		return;
	}
	snprintf(ret->message, sizeof(ret->message), "needs %s%s, %s free",
		 format_amount(k, amount(&item->want, k), want), kind_unit(k),
		 format_amount(k, amount(free_now, k), have));
	add_holders(s, item, k, ret->message, sizeof(ret->message));
}

void explain_reserved(const struct sched_item *item, const struct sched_item *head,
		      struct sched_decision *ret)
{
	snprintf(ret->reason, sizeof(ret->reason), "reserved");
	if (strcmp(item->org, head->org) == 0)
		snprintf(ret->message, sizeof(ret->message),
			 "would fit now, but would delay '%s', which goes first", head->name);
	else
		snprintf(ret->message, sizeof(ret->message),
			 "would fit now, but would delay other work, which goes first");
}

int sched_check(const struct resources *want, const struct resources *capacity, struct err *err)
{
	if (resources_fit(want, capacity))
		return 0;
	char asked[32], most[32];
	enum kind k = kind_missing(want, capacity);
	if (k == KIND_GPU && capacity->gpu <= 0)
		return err_set(err, ERR_INVALID,
			       "gpu %lld: this machine has no GPU for jobs; leave gpu out to run on the CPU",
			       (long long)want->gpu);
	format_amount(k, amount(want, k), asked);
	format_amount(k, amount(capacity, k), most);
	return err_set(err, ERR_INVALID,
		       "%s %s is more than this machine has for jobs (%s); ask for %s at most", kind_word(k),
		       asked, most, most);
}
