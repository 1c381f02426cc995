/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations in words for people. Work of other organisations is never named. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/unit.h"
#include "sched/sched_words.h"

const char *kind_word(enum resource_kind k)
{
	return k == KIND_GPU ? "gpu" : k == KIND_MEMORY ? "memory" : "cpu";
}

static const char *amount_format(enum resource_kind k, int64_t n, char ret[64])
{
	char text[32];
	if (k == KIND_MEMORY)
		unit_format_bytes(n, text);
	else if (k == KIND_CPU)
		unit_format_cpu(n, text);
	else
		snprintf(text, sizeof(text), "%lld", (long long)n);
	snprintf(ret, 64, "%s", text);
	return ret;
}

const char *kind_format(enum resource_kind k, int64_t n, char ret[64])
{
	char text[64];
	const char *unit = k == KIND_MEMORY ? "memory"
			   : k == KIND_CPU  ? (n == 1000 ? "core" : "cores")
					    : (n == 1 ? "GPU" : "GPUs");
	snprintf(ret, 64, "%.40s %s", amount_format(k, n, text), unit);
	return ret;
}

__attribute__((format(printf, 2, 3))) static void add(struct sched_why *w, const char *fmt, ...)
{
	size_t len = strlen(w->message);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(w->message + len, sizeof(w->message) - len, fmt, ap);
	va_end(ap);
}

static void add_holders(struct sched_why *w)
{
	size_t shown = w->holder_count < 3 ? w->holder_count : 3;
	bool has_others = w->holder_count > shown || w->holders_more || w->held_by_others;
	for (size_t i = 0; i < shown; i++)
		add(w, "%s%s", i ? ", " : "; held by ", w->holders[i]->name);
	if (has_others)
		add(w, "%s", shown ? " and others" : "; held by other work");
}

static void capacity_text(struct sched_why *w, enum resource_kind k)
{
	char want[64], have[64];
	add(w, "needs %s, %s free", kind_format(k, w->want, want), amount_format(k, w->have, have));
	add_holders(w);
}

static void quota_text(const struct sched_item *item, struct sched_why *w, enum resource_kind k)
{
	char want[64], have[64], limit[64];
	bool is_count = w->code == SCHED_WHY_QUOTA_COUNT;
	if (is_count)
		snprintf(want, sizeof(want), "%lld %s", (long long)w->want, w->want == 1 ? "task" : "tasks");
	else
		kind_format(k, w->want, want);
	add(w, "needs %s, the quota of '%s' for %s has %s left of %s", want, item->owner->org->name,
	    purpose_word(item->purpose), amount_format(is_count ? KIND_GPU : k, w->have, have),
	    amount_format(is_count ? KIND_GPU : k, w->limit, limit));
	if (w->head)
		add(w, ", which '%s' goes first to", w->head->name);
	else
		add_holders(w);
}

static void reserved_text(const struct sched_item *item, struct sched_why *w)
{
	if (w->head)
		add(w, "would fit now, but would delay '%s', which goes first", w->head->name);
	else
		add(w, "would fit now, but would delay other work, which goes first");
}

static void labels_text(const struct sched_item *item, struct sched_why *w)
{
	add(w, "no node has the labels");
	for (size_t i = 0; item->labels && item->labels[i]; i++)
		add(w, "%s '%.60s'", i ? "," : "", item->labels[i]);
}

static void later_text(const struct sched_item *item, int64_t now_ms, struct sched_why *w)
{
	char left[32];
	unit_format_duration(item->not_before_ms > now_ms ? item->not_before_ms - now_ms : 0, left);
	add(w, "starts no earlier than in %s", left);
}

void why_text(const struct sched *s, const struct sched_item *item, int64_t now_ms, struct sched_why *w)
{
	switch (w->code) {
	case SCHED_WHY_TURN:
		add(w, "waits for its turn");
		break;
	case SCHED_WHY_LATER:
		later_text(item, now_ms, w);
		break;
	case SCHED_WHY_CPU:
		capacity_text(w, KIND_CPU);
		break;
	case SCHED_WHY_MEMORY:
		capacity_text(w, KIND_MEMORY);
		break;
	case SCHED_WHY_GPU:
		capacity_text(w, KIND_GPU);
		break;
	case SCHED_WHY_NODES:
		add(w, "enough is free in all, but only %lld of %lld tasks find room on one node each",
		    (long long)w->have, (long long)w->want);
		add_holders(w);
		break;
	case SCHED_WHY_LABELS:
		labels_text(item, w);
		break;
	case SCHED_WHY_RESERVED:
		reserved_text(item, w);
		break;
	case SCHED_WHY_QUOTA_CPU:
		quota_text(item, w, KIND_CPU);
		break;
	case SCHED_WHY_QUOTA_MEMORY:
		quota_text(item, w, KIND_MEMORY);
		break;
	case SCHED_WHY_QUOTA_GPU:
	case SCHED_WHY_QUOTA_COUNT:
		quota_text(item, w, KIND_GPU);
		break;
	case SCHED_WHY_USER:
		add(w, "%lld jobs of '%s' run already, which is the limit for one user", (long long)w->limit,
		    item->owner->name);
		add_holders(w);
		break;
	case SCHED_WHY_PREEMPTING:
		add(w, "starts as soon as what stands in its way has been stopped");
		break;
	}
}
