/* SPDX-License-Identifier: Apache-2.0 */
/* What can never start is refused when it is submitted, with the largest that would fit. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "sched/sched_words.h"

/* The nodes as if nothing ran. */
struct empty {
	struct resources most; /* by component */
	int64_t tasks;	       /* of the shape, on all nodes together */
	size_t nodes;	       /* with the labels */
};

static int64_t times(int64_t capacity, int64_t want)
{
	return want > 0 ? capacity / want : INT64_MAX;
}

static void measure(const struct sched *s, const struct shape *sh, struct empty *ret)
{
	*ret = (struct empty){0};
	for (size_t i = 0; i < s->node_count; i++) {
		const struct sched_node *n = s->nodes[i];
		int64_t fits = INT64_MAX;
		if (n->is_gone || (n->mask & sh->mask) != sh->mask)
			continue;
		ret->nodes++;
		for (int k = 0; k < KIND_COUNT; k++) {
			int64_t have = amount_of(&n->capacity, (enum resource_kind)k),
				n_fit = times(have, amount_of(&sh->want, (enum resource_kind)k));
			fits = n_fit < fits ? n_fit : fits;
			if (have > amount_of(&ret->most, (enum resource_kind)k))
				*amount_at(&ret->most, (enum resource_kind)k) = have;
		}
		ret->tasks += fits;
	}
}

/* The most of one resource on a node that has enough of the others. */
static int64_t most_beside(const struct sched *s, const struct shape *sh, enum resource_kind k)
{
	int64_t most = 0;
	for (size_t i = 0; i < s->node_count; i++) {
		const struct sched_node *n = s->nodes[i];
		struct resources want = sh->want;
		*amount_at(&want, k) = 0;
		if (n->is_gone || (n->mask & sh->mask) != sh->mask || !resources_fit(&want, &n->capacity))
			continue;
		if (amount_of(&n->capacity, k) > most)
			most = amount_of(&n->capacity, k);
	}
	return most;
}

static const char *where(const struct sched *s)
{
	return s->node_count == 1 ? "this machine" : "any node";
}

static int refuse_kind(const struct sched *s, const struct shape *sh, enum resource_kind k, int64_t most,
		       struct err *err)
{
	char asked[64], have[64];
	if (k == KIND_GPU && most <= 0)
		return err_set(err, ERR_INVALID,
			       "gpu %lld: %s has no GPU for jobs; leave gpu out to run on the CPU",
			       (long long)sh->want.gpu, s->node_count == 1 ? "this machine" : "no node");
	kind_format(k, amount_of(&sh->want, k), asked);
	kind_format(k, most, have);
	*strrchr(asked, ' ') = *strrchr(have, ' ') = '\0'; /* without the unit's name */
	return err_set(err, ERR_INVALID, "%s %s is more than %s has for jobs (%s); ask for %s at most",
		       kind_word(k), asked, where(s), have, have);
}

/* "; nodes have disk=ssd, zone=a", cut where it becomes long. */
static void labels_format(const struct sched *s, char *ret, size_t cap)
{
	uint64_t mask = 0;
	for (size_t i = 0; i < s->node_count; i++)
		mask |= s->nodes[i]->is_gone ? 0 : s->nodes[i]->mask;
	snprintf(ret, cap, mask ? "; nodes have" : "; nodes have no labels");
	for (size_t i = 0, n = 0; i < s->label_count; i++) {
		size_t len = strlen(ret);
		if (!(mask >> i & 1))
			continue;
		if (len + strlen(s->labels[i]) + 10 > cap) {
			snprintf(ret + len, cap - len, ", …");
			return;
		}
		snprintf(ret + len, cap - len, "%s %s", n++ ? "," : "", s->labels[i]);
	}
}

static int check_capacity(const struct sched *s, const struct shape *sh, struct err *err)
{
	struct empty e;
	char labels[300];
	measure(s, sh, &e);
	if (!e.nodes && sh->mask) {
		labels_format(s, labels, sizeof(labels));
		return err_set(err, ERR_INVALID,
			       "no node has all of the labels in node_labels%s; leave some of them out",
			       labels);
	}
	for (int k = 0; k < KIND_COUNT; k++)
		if (amount_of(&sh->want, (enum resource_kind)k) > amount_of(&e.most, (enum resource_kind)k))
			return refuse_kind(s, sh, (enum resource_kind)k,
					   amount_of(&e.most, (enum resource_kind)k), err);
	if (e.tasks >= sh->tasks)
		return 0;
	if (e.tasks > 0)
		return err_set(err, ERR_INVALID,
			       "%lld tasks of this size are more than all nodes together have room for "
			       "(%lld); ask for %lld at most",
			       (long long)sh->tasks, (long long)e.tasks, (long long)e.tasks);
	for (int k = 0; k < KIND_COUNT; k++) {
		char most[64], asked[64];
		int64_t n = most_beside(s, sh, (enum resource_kind)k);
		if (n <= 0)
			continue;
		return err_set(
		    err, ERR_INVALID,
		    "no node has all of what is asked for in one place; with the rest as it is, ask "
		    "for %s at most instead of %s",
		    kind_format((enum resource_kind)k, n, most),
		    kind_format((enum resource_kind)k, amount_of(&sh->want, (enum resource_kind)k), asked));
	}
	return err_set(err, ERR_INVALID, "no node has all of what is asked for in one place; ask for less");
}

static int check_quota(struct sched *s, const struct sched_item *item, struct err *err)
{
	static const struct quota_limit nothing = {{0}, 0};
	static const enum resource_kind kinds[] = {KIND_CPU, KIND_MEMORY, KIND_GPU};
	const struct quota *q = &org_get(s, item->org)->quota;
	struct quota_limit needs = item_needs(item);
	char asked[64], most[64];
	int which = 0;
	if ((q->borrow && !item->is_permanent) ||
	    quota_fits(&q->purposes[item->purpose], &nothing, &needs, &which))
		return 0;
	int64_t limit = quota_limit_of(&q->purposes[item->purpose], which),
		want = quota_limit_of(&needs, which);
	if (which == 3) {
		snprintf(asked, sizeof(asked), "%lld tasks", (long long)want);
		snprintf(most, sizeof(most), "%lld", (long long)limit);
	} else {
		kind_format(kinds[which], want, asked);
		kind_format(kinds[which], limit, most);
	}
	return err_set(
	    err, ERR_QUOTA,
	    "%s is more than the quota of '%s' for %s allows (%s); ask for less, or an administrator "
	    "for more",
	    asked, item->org, purpose_word(item->purpose), most);
}

int sched_check(struct sched *s, const struct sched_item *item, struct err *err)
{
	struct shape sh;
	if (!item_shape(s, item, &sh)) {
		for (size_t i = 0; item->labels[i]; i++) {
			char *const one[] = {item->labels[i], NULL};
			char labels[300];
			uint64_t mask;
			if (shape_mask(s, one, &mask))
				continue;
			labels_format(s, labels, sizeof(labels));
			return err_set(err, ERR_INVALID,
				       "node_labels: no node has the label '%.100s'%s; leave it out",
				       item->labels[i], labels);
		}
	}
	int r = check_capacity(s, &sh, err);
	return r < 0 ? r : check_quota(s, item, err);
}
