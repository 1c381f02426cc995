/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes and what is free in them. The tree holds, for each half, the most that is free of each resource and
 * every label that occurs: the first node that fits is found by going down where the maxima still fit. Nodes
 * without GPUs come first, so that work without GPUs leaves those with GPUs alone while it can. */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "sched/sched_int.h"

int64_t item_tasks(const struct sched_item *item)
{
	return item->tasks > 0 ? item->tasks : 1;
}

bool item_shape(const struct sched *s, const struct sched_item *item, struct shape *ret)
{
	*ret = (struct shape){.want = item->want, .tasks = item_tasks(item)};
	return shape_mask(s, item->labels, &ret->mask);
}

/* ---- the tree ---- */

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* What may be given away in a node: what is free, and when it is reserved no more than is beside that. */
struct resources node_usable(const struct sched_node *n)
{
	if (n->is_gone)
		return (struct resources){-1, -1, -1};
	if (!n->is_reserved)
		return n->free;
	return (struct resources){least(n->free.cpu_milli, n->beside.cpu_milli),
				  least(n->free.memory_bytes, n->beside.memory_bytes),
				  least(n->free.gpu, n->beside.gpu)};
}

void resources_most(struct resources *sum, const struct resources *r)
{
	sum->cpu_milli = most(sum->cpu_milli, r->cpu_milli);
	sum->memory_bytes = most(sum->memory_bytes, r->memory_bytes);
	sum->gpu = most(sum->gpu, r->gpu);
}

static void tree_pull(struct node_tree *t, size_t i)
{
	const struct resources *a = &t->most[2 * i], *b = &t->most[2 * i + 1];
	t->most[i] = (struct resources){most(a->cpu_milli, b->cpu_milli),
					most(a->memory_bytes, b->memory_bytes), most(a->gpu, b->gpu)};
	t->labels[i] = t->labels[2 * i] | t->labels[2 * i + 1];
}

void node_update(struct sched *s, struct sched_node *n)
{
	struct node_tree *t = &s->tree;
	size_t i = t->leaves + n->index;
	t->most[i] = node_usable(n);
	t->labels[i] = n->mask;
	for (i /= 2; i >= 1; i /= 2)
		tree_pull(t, i);
}

void tree_rebuild(struct sched *s)
{
	struct node_tree *t = &s->tree;
	t->leaves = 1;
	while (t->leaves < s->node_count)
		t->leaves *= 2;
	t->most = mem_realloc(t->most, 2 * t->leaves * sizeof(*t->most));
	t->labels = mem_realloc(t->labels, 2 * t->leaves * sizeof(*t->labels));
	for (size_t i = 0; i < t->leaves; i++) {
		bool is_node = i < s->node_count;
		t->most[t->leaves + i] = is_node ? node_usable(s->nodes[i]) : (struct resources){-1, -1, -1};
		t->labels[t->leaves + i] = is_node ? s->nodes[i]->mask : 0;
	}
	for (size_t i = t->leaves - 1; i >= 1; i--)
		tree_pull(t, i);
}

/* The first node at or after 'from' that fits; NULL when there is none. */
static struct sched_node *tree_find(const struct sched *s, const struct shape *sh, size_t from)
{
	const struct node_tree *t = &s->tree;
	size_t at = 1, low = 0, width = t->leaves;
	if (from >= s->node_count)
		return NULL;
	for (;;) {
		bool may = low + width > from && resources_fit(&sh->want, &t->most[at]) &&
			   (t->labels[at] & sh->mask) == sh->mask;
		if (may && width == 1)
			return low < s->node_count ? s->nodes[low] : NULL;
		if (may) {
			at *= 2;
			width /= 2;
			continue;
		}
		while (at & 1) { /* up from a right half, then over to the next one */
			if (at == 1)
				return NULL;
			at /= 2;
			low -= width;
			width *= 2;
		}
		if (at == 1)
			return NULL;
		at++;
		low += width;
	}
}

/* ---- giving and taking ---- */

static void add_times(struct resources *sum, const struct resources *r, int64_t n)
{
	sum->cpu_milli += r->cpu_milli * n;
	sum->memory_bytes += r->memory_bytes * n;
	sum->gpu += r->gpu * n;
}

void node_take(struct sched *s, struct sched_node *n, const struct resources *want, int64_t tasks)
{
	add_times(&n->free, want, -tasks);
	node_update(s, n);
}

void node_give(struct sched *s, struct sched_node *n, const struct resources *want, int64_t tasks)
{
	add_times(&n->free, want, tasks);
	node_update(s, n);
}

void slots_add(struct slots *l, struct sched_node *n, int64_t tasks)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 8;
		l->a = mem_realloc(l->a, l->cap * sizeof(*l->a));
	}
	l->a[l->count++] = (struct sched_slot){n, tasks};
}

static int64_t times(int64_t free_now, int64_t want)
{
	return want > 0 ? free_now / want : INT64_MAX;
}

/* How many tasks of the shape the node takes; at least one, for it was found. */
static int64_t node_fits(const struct sched_node *n, const struct shape *sh)
{
	struct resources u = node_usable(n);
	return least(
	    least(times(u.cpu_milli, sh->want.cpu_milli), times(u.memory_bytes, sh->want.memory_bytes)),
	    times(u.gpu, sh->want.gpu));
}

/* All tasks are alike, so that filling one node after the other finds a place whenever there is one. */
static int64_t place_some(struct sched *s, const struct shape *sh, struct slots *ret)
{
	int64_t left = sh->tasks;
	ret->count = 0;
	for (size_t from = 0; left > 0;) {
		struct sched_node *n = tree_find(s, sh, from);
		if (!n)
			break;
		int64_t take = least(left, node_fits(n, sh));
		slots_add(ret, n, take);
		node_take(s, n, &sh->want, take);
		left -= take;
		from = n->index + 1;
	}
	return sh->tasks - left;
}

void unplace(struct sched *s, const struct shape *sh, const struct slots *slots)
{
	for (size_t i = 0; i < slots->count; i++)
		node_give(s, slots->a[i].node, &sh->want, slots->a[i].tasks);
}

bool place(struct sched *s, const struct shape *sh, struct slots *ret)
{
	if (place_some(s, sh, ret) == sh->tasks)
		return true;
	unplace(s, sh, ret);
	ret->count = 0;
	return false;
}

int64_t place_most(struct sched *s, const struct shape *sh)
{
	struct slots found = {0};
	int64_t n = place_some(s, sh, &found);
	unplace(s, sh, &found);
	free(found.a);
	return n;
}

void item_release(struct sched *s, const struct sched_item *item)
{
	for (size_t i = 0; i < item->slot_count; i++)
		node_give(s, item->slots[i].node, &item->want, item->slots[i].tasks);
}

void item_occupy(struct sched *s, const struct sched_item *item)
{
	for (size_t i = 0; i < item->slot_count; i++)
		node_take(s, item->slots[i].node, &item->want, item->slots[i].tasks);
}

/* ---- the set of nodes ---- */

const char *sched_node_name(const struct sched_node *n)
{
	return n->name;
}

static int nodes_compare(const void *pa, const void *pb)
{
	const struct sched_node *a = *(struct sched_node *const *)pa, *b = *(struct sched_node *const *)pb;
	if (a->capacity.gpu != b->capacity.gpu)
		return a->capacity.gpu < b->capacity.gpu ? -1 : 1;
	return strcmp(a->name, b->name);
}

static void nodes_sort(struct sched *s)
{
	qsort(s->nodes, s->node_count, sizeof(*s->nodes), nodes_compare);
	for (size_t i = 0; i < s->node_count; i++)
		s->nodes[i]->index = i;
	tree_rebuild(s);
}

static void capacity_update(struct sched *s)
{
	const char *name;
	void *org, *b;
	s->capacity = (struct resources){0};
	for (size_t i = 0; i < s->node_count; i++)
		if (!s->nodes[i]->is_gone)
			resources_add(&s->capacity, &s->nodes[i]->capacity);
	for (size_t i = 0; map_next(s->orgs, &i, &name, &org);)
		org_share_update(org);
	for (size_t i = 0; map_next(s->buckets, &i, &name, &b);) {
		struct sched_bucket *bucket = b;
		bucket->has_unknown_label = !shape_mask(s, bucket->labels, &bucket->mask);
	}
}

/* Labels are known by their place in a table; they come from nodes only, never from who submits. */
static int labels_learn(struct sched *s, char *const *labels, uint64_t *ret, struct err *err)
{
	for (size_t i = 0; labels && labels[i]; i++) {
		uint64_t mask;
		char *const one[] = {labels[i], NULL};
		if (shape_mask(s, one, &mask))
			continue;
		if (s->label_count == SCHED_LABELS_MAX)
			return err_set(err, ERR_LIMIT, "nodes have more than %d different labels",
				       SCHED_LABELS_MAX);
		s->labels[s->label_count++] = mem_strdup(labels[i]);
	}
	shape_mask(s, labels, ret);
	return 0;
}

static struct sched_node *node_new(struct sched *s, const char *name)
{
	struct sched_node *n = MEM_NEW(struct sched_node);
	n->name = mem_strdup(name);
	if (s->node_count == s->node_cap) {
		s->node_cap = s->node_cap ? s->node_cap * 2 : 8;
		s->nodes = mem_realloc(s->nodes, s->node_cap * sizeof(struct sched_node *));
	}
	s->nodes[s->node_count++] = n;
	map_set(s->node_map, name, n);
	return n;
}

static bool same_resources(const struct resources *a, const struct resources *b)
{
	return a->cpu_milli == b->cpu_milli && a->memory_bytes == b->memory_bytes && a->gpu == b->gpu;
}

int sched_node_set(struct sched *s, const char *name, const struct resources *capacity, char *const *labels,
		   struct err *err)
{
	uint64_t mask = 0;
	struct sched_node *n = map_get(s->node_map, name);
	int r = labels_learn(s, labels, &mask, err);
	if (r < 0)
		return r;
	if (n && !n->is_gone && n->mask == mask && same_resources(&n->capacity, capacity))
		return 0;
	reservation_clear(s);
	if (!n)
		n = node_new(s, name);
	resources_sub(&n->free, &n->capacity);
	resources_add(&n->free, capacity);
	n->capacity = *capacity;
	n->mask = mask;
	n->is_gone = false;
	strings_free(n->labels);
	n->labels = labels ? strings_copy(labels) : NULL;
	nodes_sort(s);
	capacity_update(s);
	return 0;
}

void sched_node_remove(struct sched *s, const char *name)
{
	struct sched_node *n = map_get(s->node_map, name);
	if (!n || n->is_gone)
		return;
	reservation_clear(s);
	n->is_gone = true;
	node_update(s, n);
	capacity_update(s);
}

void nodes_free(struct sched *s)
{
	for (size_t i = 0; i < s->node_count; i++) {
		free(s->nodes[i]->name);
		strings_free(s->nodes[i]->labels);
		free(s->nodes[i]);
	}
	free(s->nodes);
	free(s->tree.most);
	free(s->tree.labels);
}
