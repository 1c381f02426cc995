/* SPDX-License-Identifier: Apache-2.0 */
/* Why a job waits, as JSON: what the scheduler knows, in the clocks and names of its readers. */
#include <stdio.h>
#include <string.h>
#include "base/mem.h"
#include "ctl/ctl_call.h"
#include "ctl/ctl_int.h"

/* What is short: word of the resource, of what it is short, and how amounts of it are written. */
static const struct shortage {
	enum sched_why_code code;
	const char *resource, *of;
} shortages[] = {
    {SCHED_WHY_CPU, "cpu", "capacity"},	      {SCHED_WHY_MEMORY, "memory", "capacity"},
    {SCHED_WHY_GPU, "gpu", "capacity"},	      {SCHED_WHY_NODES, "tasks", "nodes"},
    {SCHED_WHY_QUOTA_CPU, "cpu", "quota"},    {SCHED_WHY_QUOTA_MEMORY, "memory", "quota"},
    {SCHED_WHY_QUOTA_GPU, "gpu", "quota"},    {SCHED_WHY_QUOTA_COUNT, "count", "quota"},
    {SCHED_WHY_USER, "jobs", "user_running"},
};

static json_t *amount(const char *resource, int64_t n)
{
	return strcmp(resource, "cpu") == 0 ? json_real((double)n / 1000) : json_integer(n);
}

static json_t *unix_time(struct ctl *c, int64_t monotonic_ms)
{
	if (monotonic_ms < 0 || monotonic_ms == INT64_MAX)
		return json_null();
	return json_integer(ctl_wall(c) + monotonic_ms - ctl_now(c));
}

static const struct shortage *shortage_of(enum sched_why_code code)
{
	for (size_t i = 0; i < ARRAY_LEN(shortages); i++)
		if (shortages[i].code == code)
			return &shortages[i];
	return NULL;
}

static json_t *format_short(const struct sched_why *w)
{
	const struct shortage *s = shortage_of(w->code);
	if (!s)
		return json_null();
	json_t *j = json_pack("{s:s, s:s, s:o, s:o}", "resource", s->resource, "of", s->of, "wanted",
			      amount(s->resource, w->want), "available", amount(s->resource, w->have));
	if (strcmp(s->of, "quota") == 0 || w->code == SCHED_WHY_USER)
		json_object_set_new(j, "limit", amount(s->resource, w->limit));
	return j;
}

static json_t *format_holder(struct ctl *c, const struct sched_item *item)
{
	const struct ctl_want *w = CONTAINER_OF(item, struct ctl_want, live);
	int64_t end_ms = item->is_permanent || item->end_ms == INT64_MAX ? -1 : item->end_ms;
	return json_pack("{s:s, s:s, s:o, s:o}", "kind", w->id ? "job" : "model", "name", w->name, "id",
			 w->id ? json_string(w->id) : json_null(), "expected_end_ms", unix_time(c, end_ms));
}

static json_t *format_holders(struct ctl *c, const struct sched_why *w)
{
	const struct shortage *s = shortage_of(w->code);
	json_t *own = json_array();
	for (size_t i = 0; i < w->holder_count; i++)
		json_array_append_new(own, format_holder(c, w->holders[i]));
	return json_pack("{s:o, s:I, s:o}", "own", own, "own_more", (json_int_t)w->holders_more, "others",
			 amount(s ? s->resource : "tasks", w->held_by_others));
}

static json_t *format_changes(const struct sched_explanation *e)
{
	json_t *list = json_array();
	for (size_t i = 0; i < e->change_count; i++) {
		const struct sched_change *ch = &e->changes[i];
		bool is_cpu = strcmp(ch->field, "cpu") == 0 ||
			      (strncmp(ch->field, "quota.", 6) == 0 && strstr(ch->field, ".cpu"));
		json_array_append_new(list,
				      json_pack("{s:s, s:o, s:s}", "field", ch->field, "value",
						amount(is_cpu ? "cpu" : "", ch->value), "text", ch->text));
	}
	return list;
}

static json_t *format_freed_by(struct ctl *c, const struct sched_explanation *e)
{
	if (e->freed_ms < 0)
		return json_null();
	json_t *j = json_pack("{s:o}", "expected_ms", unix_time(c, e->freed_ms));
	if (e->freed_by && e->freed_by->state >= SCHED_RUNNING)
		json_object_set_new(j, "holder", format_holder(c, e->freed_by));
	return j;
}

static void add_waiting(struct ctl *c, const struct ctl_want *w, json_t *j)
{
	struct sched_explanation e;
	sched_explain(c->sched, &w->live, ctl_now(c), &e);
	json_object_set_new(j, "position", e.position ? json_integer(e.position) : json_null());
	json_object_set_new(j, "position_is_least", json_boolean(e.position_is_least));
	json_object_set_new(j, "ahead_own", json_integer(e.ahead_own));
	json_object_set_new(j, "short", format_short(&e.why));
	json_object_set_new(j, "held_by", format_holders(c, &e.why));
	json_object_set_new(j, "held_for_good", json_boolean(e.why.is_permanent));
	json_object_set_new(j, "freed_by", format_freed_by(c, &e));
	json_object_set_new(j, "expected_start_ms", unix_time(c, e.start_ms));
	json_object_set_new(j, "basis", json_string(sched_basis_word(e.basis)));
	json_object_set_new(j, "is_latest", json_boolean(e.is_latest));
	json_object_set_new(j, "borrows", json_boolean(e.is_borrowing));
	json_object_set_new(j, "changes", format_changes(&e));
}

/* A job that does not stand in the queue: before, between two attempts, or already placed. */
static void add_elsewhere(struct ctl *c, const struct ctl_job *cj, json_t *j)
{
	bool is_paused = cj && cj->job->state == JOB_QUEUED && cj->not_before_ms > ctl_now(c);
	bool runs = cj && cj->want.place == WANT_PLACED;
	json_object_set_new(j, "position", json_null());
	json_object_set_new(j, "expected_start_ms",
			    is_paused ? unix_time(c, cj->not_before_ms) : json_null());
	if (runs)
		json_object_set_new(j, "expected_end_ms", unix_time(c, cj->want.live.end_ms));
	json_object_set_new(j, "changes", json_array());
}

static int explain_run(struct store_tx *tx, struct ctl_op *op, struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	return store_job_get(tx, call->who.org, call->id, &call->job, err);
}

static void explain_finish(struct ctl_op *op, int r, const struct err *err)
{
	struct ctl_call *call = CONTAINER_OF(op, struct ctl_call, op);
	struct ctl *c = op->ctl;
	if (r < 0) {
		call_answer(call, NULL, err);
		return;
	}
	const struct ctl_job *cj = map_get(c->jobs, call->job->id);
	const struct job *job = job_freshest(c, call->job);
	CLEANUP(json)
	json_t *j = json_pack("{s:s, s:s, s:s, s:s}", "job", job->id, "name", job->spec.name, "state",
			      job_state_word(job->state), "reason", job->reason);
	json_t *message = json_string(job->message);
	json_object_set_new(j, "message", message ? message : json_string(""));
	if (cj && cj->want.place == WANT_WAITS)
		add_waiting(c, &cj->want, j);
	else
		add_elsewhere(c, cj, j);
	call_answer(call, &(struct ctl_result){.job = job, .explanation = j}, NULL);
}

void ctl_job_explain(struct ctl *c, const struct principal *who, const char *id, ctl_done_fn *done, void *arg)
{
	struct ctl_call *call = call_new(who, id, NULL, done, arg);
	call->op.run = explain_run;
	call->op.finish = explain_finish;
	call_submit(c, call);
}
