/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of one batch that start after each other: names become ids, cycles are refused, and an order is found
 * in which every job comes after those it waits for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "ctl/ctl_batch.h"

enum colour { WHITE, GREY, BLACK };

struct graph {
	struct job **jobs;
	struct ctl_batch_item *items;
	size_t count;
	struct map *names; /* name → index + 1, or AMBIGUOUS */
	unsigned char *colours;
	size_t *path, depth;
	size_t *order, ordered;
};
#define AMBIGUOUS ((void *)(uintptr_t)-1)

struct map *batch_names(struct job *const *jobs, size_t count)
{
	struct map *names = map_new(NULL);
	for (size_t i = 0; i < count; i++) {
		const char *name = jobs[i] ? jobs[i]->spec.name : NULL;
		if (name)
			map_set(names, name, map_get(names, name) ? AMBIGUOUS : (void *)(uintptr_t)(i + 1));
	}
	return names;
}

static void refuse(struct graph *g, size_t i)
{
	job_free(g->jobs[i]);
	g->jobs[i] = NULL;
}

static void refuse_cycle(struct graph *g, size_t i, size_t back)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	size_t from = g->depth;
	while (from > 0 && g->path[from - 1] != back)
		from--;
	for (size_t at = from ? from - 1 : 0; at < g->depth && text.len < 300; at++)
		buf_printf(&text, "%s → ", g->jobs[g->path[at]]->spec.name);
	err_set(&g->items[i].err, ERR_INVALID,
		"after: %s%s is a cycle: none of them could ever start; remove one of these dependencies",
		buf_str(&text), g->jobs[back]->spec.name);
}

static void visit(struct graph *g, size_t i);

/* False when the job cannot be made because of it. */
static bool follow(struct graph *g, size_t i, size_t k)
{
	struct job *job = g->jobs[i];
	struct err *err = &g->items[i].err;
	char name[CORE_NAME_MAX + 1];
	enum job_after on;
	if (job_after_parse(job->spec.after[k], name, &on, err) < 0)
		return false;
	void *found = map_get(g->names, name);
	if (!found)
		return true; /* a job that is there already: looked up by the transaction */
	if (found == AMBIGUOUS) {
		err_set(err, ERR_INVALID,
			"after: several jobs of this batch have the name '%s'; name them apart", name);
		return false;
	}
	size_t to = (size_t)(uintptr_t)found - 1;
	if (g->jobs[to] && g->colours[to] == GREY) {
		refuse_cycle(g, i, to);
		return false;
	}
	if (g->jobs[to] && g->colours[to] == WHITE)
		visit(g, to);
	if (!g->jobs[to]) {
		err_set(err, ERR_INVALID, "after: job '%s' of this batch was refused", name);
		return false;
	}
	free(job->spec.after[k]);
	job->spec.after[k] = mem_printf("%s:%s", g->jobs[to]->id, job_after_word(on));
	return true;
}

/* As deep as the longest chain: at most CTL_BATCH_MAX. */
static void visit(struct graph *g, size_t i)
{
	size_t count = strings_count(g->jobs[i]->spec.after);
	bool is_good = true;
	g->colours[i] = GREY;
	g->path[g->depth++] = i;
	for (size_t k = 0; is_good && k < count; k++)
		is_good = follow(g, i, k);
	g->depth--;
	g->colours[i] = BLACK;
	if (is_good)
		g->order[g->ordered++] = i;
	else
		refuse(g, i);
}

size_t batch_order(struct job **jobs, struct ctl_batch_item *items, size_t count, struct map *names,
		   size_t *ret_order)
{
	struct graph g = {.jobs = jobs, .items = items, .count = count, .names = names, .order = ret_order};
	g.colours = mem_alloc(count + 1);
	g.path = mem_alloc((count + 1) * sizeof(*g.path));
	for (size_t i = 0; i < count; i++)
		if (jobs[i] && g.colours[i] == WHITE)
			visit(&g, i);
	free(g.colours);
	free(g.path);
	return g.ordered;
}
