/* SPDX-License-Identifier: Apache-2.0 */
/* Removes the objects of an organisation that is being deleted. */
#include "main/server_purge.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"

struct purge_work {
	struct server_purge *purge;
	char org[CORE_NAME_MAX + 1];
	void (*done)(void *arg, int r, const struct err *err);
	void *arg;
	int r;
	struct err err;
};

static void remove_buckets(void *arg)
{
	struct purge_work *w = arg;
	struct blob_store *b = w->purge->blobs;
	struct blob_list list = {0};
	w->r = b->ops->bucket_list(b, w->org, &list, &w->err);
	for (size_t i = 0; i < list.count && w->r >= 0; i++)
		w->r = b->ops->bucket_remove(b, w->org, list.entries[i].key, &w->err);
	blob_list_done(&list);
}

static void removed(void *arg)
{
	struct purge_work *w = arg;
	w->purge->works--;
	if (!w->purge->is_closed)
		w->done(w->arg, w->r, &w->err);
	free(w);
}

void server_purge_org(void *purge, const char *org, void (*done)(void *arg, int r, const struct err *err),
		      void *arg)
{
	struct purge_work *w = MEM_NEW(struct purge_work);
	w->purge = purge;
	w->done = done;
	w->arg = arg;
	snprintf(w->org, sizeof(w->org), "%s", org);
	w->purge->works++;
	loop_work(w->purge->loop, remove_buckets, removed, w);
}

void server_purge_close(struct server_purge *p)
{
	p->is_closed = true;
	while (p->works)
		loop_run_once(p->loop, 100);
}
