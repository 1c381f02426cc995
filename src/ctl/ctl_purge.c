/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How an organisation goes: its jobs are cancelled and its models stopped, then its objects are removed, then
 * its rows, a part at a time. Each step is looked at anew, so that a restart goes on from what it finds: the
 * row of the organisation, which says "deleting", is the last to go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/log.h"
#include "base/mem.h"
#include "ctl/ctl_admin_int.h"

#define LOOK_MS INT64_C(200) /* how often what still lives is looked at */

struct ctl_purge {
	struct ctl *ctl;
	char org[CORE_NAME_MAX + 1], actor[ACTOR_MAX + 1];
	struct ctl_timer look;
	bool busy, is_emptied;
	int64_t failures;
};

static void later(struct ctl_purge *p, int64_t ms)
{
	timer_set(p->ctl, &p->look, ctl_now(p->ctl) + ms);
}

static void failed(struct ctl_purge *p, const char *what, const struct err *err)
{
	log_warn("org.purge_failed org=%s step=%s error=\"%s\"", p->org, what, err->msg);
	later(p, ctl_backoff(p->ctl, ++p->failures));
}

/* ---- what lives ---- */

static void ignore(void *arg, const struct ctl_result *result, const struct err *err)
{
}

/* Asks everything that lives to end; true when nothing does. */
static bool end_live(struct ctl_purge *p)
{
	struct ctl *c = p->ctl;
	const char *id;
	void *value;
	bool any = false;
	for (size_t i = 0; map_next(c->jobs, &i, &id, &value);) {
		struct ctl_job *cj = value;
		if (strcmp(cj->job->org, p->org) != 0)
			continue;
		any = true;
		if (!cj->job->cancel_requested && list_empty(&cj->waiters)) {
			waiter_add(&cj->waiters, p->actor, ignore, NULL);
			job_dirty(cj);
		}
	}
	for (size_t i = 0; map_next(c->services, &i, &id, &value);) {
		struct ctl_service *cs = value;
		if (strcmp(cs->service->org, p->org) != 0)
			continue;
		any = true;
		if (cs->service->state != SERVICE_STOPPING && list_empty(&cs->waiters)) {
			waiter_add(&cs->waiters, p->actor, ignore, NULL);
			service_dirty(cs);
		}
	}
	return !any;
}

/* ---- objects ---- */

static void emptied(void *arg, int r, const struct err *err)
{
	struct ctl_purge *p = arg;
	p->busy = false;
	if (r < 0) {
		failed(p, "objects", err);
		return;
	}
	p->is_emptied = true;
	later(p, 0);
	ctl_pump(p->ctl);
}

/* ---- rows ---- */

struct purge_op {
	struct ctl_op op;
	struct ctl_purge *purge;
	char org[CORE_NAME_MAX + 1];
};

static int rows_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	return store_org_purge(tx, CONTAINER_OF(op, struct purge_op, op)->org, err);
}

static void rows_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_purge *p = CONTAINER_OF(op, struct purge_op, op)->purge;
	struct ctl *c = op->ctl;
	p->busy = false;
	if (r < 0) {
		failed(p, "rows", err);
	} else if (r > 0) {
		later(p, 0);
	} else {
		const char *org = CONTAINER_OF(op, struct purge_op, op)->org;
		log_info("org.purged org=%s", org);
		auth_drop_org(c, org);
		crons_forget(c, org);
		map_delete(c->counts, org);
		map_delete(c->quotas, org);
		map_delete(c->purges, org);
	}
}

static void rows_release(struct ctl_op *op)
{
	free(CONTAINER_OF(op, struct purge_op, op));
}

static void remove_rows(struct ctl_purge *p)
{
	struct purge_op *o = MEM_NEW(struct purge_op);
	o->op = (struct ctl_op){.run = rows_run, .finish = rows_finish, .release = rows_release};
	o->purge = p;
	memcpy(o->org, p->org, sizeof(o->org));
	p->busy = true;
	ctl_op_submit(p->ctl, &o->op);
}

/* ---- the steps ---- */

static void look(void *arg)
{
	struct ctl_purge *p = arg;
	struct ctl *c = p->ctl;
	if (p->busy)
		return;
	if (!c->attached || !end_live(p)) {
		p->is_emptied = false;
		later(p, LOOK_MS);
	} else if (!p->is_emptied && c->config.org_empty) {
		p->busy = true;
		c->config.org_empty(c->config.org_empty_arg, p->org, emptied, p);
	} else {
		remove_rows(p);
	}
}

void purge_begin(struct ctl *c, const struct org *o)
{
	if (map_get(c->purges, o->name))
		return;
	struct ctl_purge *p = MEM_NEW(struct ctl_purge);
	p->ctl = c;
	memcpy(p->org, o->name, sizeof(p->org));
	memcpy(p->actor, o->state_by, sizeof(p->actor));
	p->look = (struct ctl_timer){.fn = look, .arg = p};
	map_set(c->purges, o->name, p);
	later(p, 0);
}

void purge_resume(struct ctl *c)
{
	const char *name;
	void *value;
	for (size_t i = 0; map_next(c->orgs, &i, &name, &value);)
		if (((struct org *)value)->state == ORG_DELETING)
			purge_begin(c, value);
}

void purge_free(void *purge)
{
	struct ctl_purge *p = purge;
	timer_clear(p->ctl, &p->look);
	free(p);
}
