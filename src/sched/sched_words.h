/* SPDX-License-Identifier: Apache-2.0 */
/* Amounts and words for explanations. Seen by the room sched only. */
#ifndef SCHED_SCHED_WORDS_H
#define SCHED_SCHED_WORDS_H

#include "sched/sched_int.h"

/* The resources in the order in which people look for the reason. */
enum resource_kind { KIND_GPU, KIND_MEMORY, KIND_CPU, KIND_COUNT };

/* sched_why.c */
int64_t amount_of(const struct resources *r, enum resource_kind k);
/* The most that one node has of each, and the sum, among those with the labels. */
void nodes_measure(const struct sched *s, uint64_t mask, struct resources *ret_most,
		   struct resources *ret_sum);
static inline int64_t *amount_at(struct resources *r, enum resource_kind k)
{
	return k == KIND_GPU ? &r->gpu : k == KIND_MEMORY ? &r->memory_bytes : &r->cpu_milli;
}

/* sched_text.c */
const char *kind_word(enum resource_kind k); /* "gpu": as the field of a specification */
const char *kind_format(enum resource_kind k, int64_t n, char ret[64]); /* "2 GiB of memory", "1 core" */
void why_text(const struct sched *s, const struct sched_item *item, int64_t now_ms, struct sched_why *w);

/* sched_order.c: what waits, in the order in which a pass would look at it, were there always room. */
/* Calls fn for each until it returns false. 'like' says for what it waits: what waits for something else, so
 * that it is not before 'like', is left out. */
void order_walk(struct sched *s, const struct sched_item *like,
		bool (*fn)(void *arg, const struct sched_item *item), void *arg);

/* sched_forecast.c */
struct forecast {
	int64_t start_ms; /* -1 = not known */
	enum sched_basis basis;
	const struct sched_item *freed_by;
	int64_t freed_ms;
};
/* When would the last of 'items' start, all of them in order? */
void forecast(struct sched *s, const struct sched_item *const *items, size_t count, int64_t now_ms,
	      struct forecast *ret);

/* sched_change.c */
void find_changes(struct sched *s, const struct sched_item *item, int64_t now_ms,
		  struct sched_explanation *ret);

#endif
