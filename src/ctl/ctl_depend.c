/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs that start after others: resolved when they are submitted, then kept beside the jobs they wait for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_int.h"

/* One job waits for the end of another. */
struct ctl_wait {
	struct list by_job, by_upstream;
	struct ctl_job *cj;
	char upstream[16];
	enum job_after on;
	bool is_met;
};

struct ctl_upstream {
	struct list waits;
};

/* ---- at submission, on the database thread ---- */

static int resolve_one(struct store_tx *tx, struct job *job, size_t i, int *ret_judged, struct err *err)
{
	CLEANUP(job) struct job *upstream = NULL;
	char name[CORE_NAME_MAX + 1];
	enum job_after on;
	int r = job_after_parse(job->spec.after[i], name, &on, err);
	if (r >= 0)
		r = store_job_get(tx, job->org, name, &upstream, err);
	if (r == -ERR_NOT_FOUND)
		return err_set(err, ERR_INVALID,
			       "after: there is no job '%s'; submit it first, or see 'cloudml jobs list'",
			       name);
	if (r < 0)
		return r;
	*ret_judged = job_after_judge(on, upstream->state);
	if (*ret_judged < 0)
		return err_set(err, ERR_STATE,
			       "after: job '%s' has ended already (%s), so '%s' can never be; remove it from "
			       "'after'",
			       name, job_state_word(upstream->state), job_after_word(on));
	free(job->spec.after[i]);
	job->spec.after[i] = mem_printf("%s:%s", upstream->id, job_after_word(on));
	if (*ret_judged == 0 && !job->message[0])
		snprintf(job->message, sizeof(job->message), "waits for the end of job '%s' (%s)",
			 upstream->spec.name, upstream->id);
	return 0;
}

int depend_resolve(struct store_tx *tx, struct job *job, struct err *err)
{
	size_t count = strings_count(job->spec.after), open = 0;
	char before[sizeof(job->message)];
	if (!count)
		return 0;
	memcpy(before, job->message, sizeof(before));
	job->message[0] = 0;
	for (size_t i = 0; i < count; i++) {
		int judged = 0, r = resolve_one(tx, job, i, &judged, err);
		if (r < 0)
			return r;
		open += judged == 0;
	}
	if (!open) {
		memcpy(job->message, before, sizeof(before));
		return 0;
	}
	job->state = JOB_SUBMITTED;
	job->queued_ms = 0;
	snprintf(job->reason, sizeof(job->reason), "dependency");
	size_t len = strlen(job->message);
	if (open > 1)
		snprintf(job->message + len, sizeof(job->message) - len, " and of %zu more", open - 1);
	return 0;
}

/* ---- in memory ---- */

static struct ctl_upstream *upstream_of(struct ctl *c, const char *id)
{
	struct ctl_upstream *u = map_get(c->upstreams, id);
	if (!u) {
		u = MEM_NEW(struct ctl_upstream);
		list_init(&u->waits);
		map_set(c->upstreams, id, u);
	}
	return u;
}

static void wait_judge(struct ctl_wait *w, int judged, enum job_state state, const char *name)
{
	struct ctl_job *cj = w->cj;
	if (judged == 0 || w->is_met)
		return;
	w->is_met = true;
	cj->waits_open--;
	if (judged < 0 && !cj->waits_broken[0])
		snprintf(cj->waits_broken, sizeof(cj->waits_broken),
			 "it was to start after job '%s' (%s) with the condition '%s', but that job is %s",
			 name, w->upstream, job_after_word(w->on), job_state_word(state));
	job_dirty(cj);
}

/* While a job is not in memory it has ended: what its end means was judged when the wait was resolved, or is
 * read from its row (after a restart: tx). */
static int wait_begin(struct ctl_job *cj, const char *text, struct store_tx *tx, struct err *err)
{
	struct ctl *c = cj->ctl;
	struct ctl_wait *w = MEM_NEW(struct ctl_wait);
	char name[CORE_NAME_MAX + 1];
	int r = job_after_parse(text, name, &w->on, err);
	if (r < 0) {
		free(w);
		return r;
	}
	w->cj = cj;
	snprintf(w->upstream, sizeof(w->upstream), "%.15s", name);
	list_append(&cj->waits, &w->by_job);
	list_append(&upstream_of(c, w->upstream)->waits, &w->by_upstream);
	cj->waits_open++;
	if (map_get(c->jobs, w->upstream))
		return 0;
	CLEANUP(job) struct job *upstream = NULL;
	r = tx ? store_job_get(tx, cj->job->org, w->upstream, &upstream, err) : 0;
	if (r == -ERR_NOT_FOUND)
		wait_judge(w, -1, JOB_CANCELLED, "deleted");
	else if (r < 0)
		return r;
	else
		wait_judge(w, upstream ? job_after_judge(w->on, upstream->state) : 1,
			   upstream ? upstream->state : JOB_COMPLETED, upstream ? upstream->spec.name : "");
	*err = ERR_INIT;
	return 0;
}

int depend_begin(struct ctl_job *cj, struct store_tx *tx, struct err *err)
{
	int r = 0;
	for (size_t i = 0; r >= 0 && cj->job->spec.after && cj->job->spec.after[i]; i++)
		r = wait_begin(cj, cj->job->spec.after[i], tx, err);
	job_dirty(cj);
	return r;
}

void depend_end(struct ctl_job *cj)
{
	struct ctl_wait *w;
	LIST_EACH(w, &cj->waits, by_job)
	{
		struct ctl_upstream *u = map_get(cj->ctl->upstreams, w->upstream);
		list_remove(&w->by_job);
		list_remove(&w->by_upstream);
		if (u && list_empty(&u->waits)) {
			map_delete(cj->ctl->upstreams, w->upstream);
			free(u);
		}
		free(w);
	}
	cj->waits_open = 0;
}

void depend_tell(struct ctl *c, const struct job *ended)
{
	struct ctl_upstream *u = map_get(c->upstreams, ended->id);
	struct ctl_wait *w;
	if (!u)
		return;
	LIST_EACH(w, &u->waits, by_upstream)
	{
		wait_judge(w, job_after_judge(w->on, ended->state), ended->state, ended->spec.name);
	}
}

const struct job *depend_who(struct ctl *c, const char *id)
{
	struct ctl_upstream *u = map_get(c->upstreams, id);
	return u ? LIST_ENTRY(u->waits.next, struct ctl_wait, by_upstream)->cj->job : NULL;
}

void depend_advance(struct ctl_job *cj)
{
	if (cj->waits_broken[0])
		job_fail(cj, "dependency", FAIL_DEPENDENCY, cj->waits_broken);
	else if (cj->waits_open == 0)
		job_queue(cj);
}
