/* SPDX-License-Identifier: Apache-2.0 */
/* Running a simulation: events, the store's commits as events, crashes, and the invariants. */
#include <stdio.h>
#include <stdlib.h>
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "sim/sim.h"
#include "store/store_usage.h"

void sim_break(struct sim *s, const char *fmt, ...)
{
	if (s->broken[0])
		return;
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(s->broken, sizeof(s->broken), fmt, ap);
	va_end(ap);
	world_trace(s, "BROKEN %s", s->broken);
}

/* ---- what clients are told ---- */

static struct sim_told *told_of(struct sim *s, const char *id)
{
	struct sim_told *t = map_get(s->told, id);
	if (!t) {
		t = MEM_NEW(struct sim_told);
		snprintf(t->id, sizeof(t->id), "%s", id);
		t->terminal = -1;
		map_set(s->told, id, t);
	}
	return t;
}

static void told_state(struct sim *s, const char *id, enum job_state state)
{
	struct sim_told *t = told_of(s, id);
	if (t->terminal >= 0 && t->terminal != (int)state)
		sim_break(s, "'%s' was %s and is %s now", id, job_state_word((enum job_state)t->terminal),
			  job_state_word(state));
	if (job_state_is_terminal(state))
		t->terminal = (int)state;
}

void sim_note_told(struct sim *s, const char *id)
{
	told_of(s, id);
}

static void on_watch(void *arg, const struct job *job, const struct service *service)
{
	struct sim *s = arg;
	if (s->is_doomed)
		return;
	if (job) {
		world_trace(s, "told %s %s %lld %s", job->id, job_state_word(job->state),
			    (long long)job->attempt, job->reason);
		told_state(s, job->id, job->state);
	} else {
		world_trace(s, "told %s %s %lld", service->id, service_state_word(service->state),
			    (long long)service->attempt);
	}
}

/* ---- failpoints ---- */

static struct sim *hooked;

#ifdef CLOUDML_FAILPOINTS

static void on_failpoint(const char *name)
{
	struct sim *s = hooked;
	if (!s || s->is_doomed || !s->ctl || s->dies_in == 0 || --s->dies_in > 0)
		return;
	world_trace(s, "dies at %s", name);
	s->is_doomed = true;
	s->deaths++;
}

static void hook(struct sim *s)
{
	hooked = s;
	failpoint_hook = on_failpoint;
}
#else
static void hook(struct sim *s)
{
	hooked = s;
}
#endif

bool sim_is_doomed(void)
{
	return hooked && hooked->is_doomed;
}

static void bury(struct sim *s)
{
	if (!s->is_doomed)
		return;
	sim_crash(s);
	sim_start(s);
}

/* ---- start, crash ---- */

static void wake_at(void *arg, int64_t monotonic_ms)
{
	((struct sim *)arg)->wake_ms = monotonic_ms;
}

static void on_ready(void *arg)
{
	((struct sim *)arg)->is_ready = true;
}

void sim_start(struct sim *s)
{
	struct err err = ERR_INIT;
	struct ctl_config config = {.store = s->store,
				    .backend = &s->backend,
				    .catalogue = &s->catalogue,
				    .clock = &s->clock,
				    .rng = &s->ids,
				    .wake_at = wake_at,
				    .wake_arg = s};
	world_trace(s, "start");
	EXPECT_OK(ctl_new(&config, &s->ctl, &err), &err);
	ctl_on_ready(s->ctl, on_ready, s);
	s->watches[0] = ctl_watch_new(s->ctl, "default", on_watch, s);
	s->watches[1] = ctl_watch_new(s->ctl, "other", on_watch, s);
}

void sim_crash(struct sim *s)
{
	if (!s->ctl)
		return;
	world_trace(s, "crash");
	s->backend.ops->close(&s->backend);
	ctl_watch_free(s->watches[0]);
	ctl_watch_free(s->watches[1]);
	ctl_free(s->ctl);
	store_drop(s->store);
	s->ctl = NULL;
	s->is_doomed = false; /* a death at a failpoint is over with the crash that came first */
	s->wake_ms = -1;
	s->is_ready = false;
	sim_check_all(s);
}

void sim_reboot(struct sim *s)
{
	sim_crash(s);
	world_trace(s, "reboot");
	world_lose_all(s);
}

static int make_orgs(struct store_tx *tx, void *arg, struct err *err)
{
	int r = store_org_insert(tx, "default", 0, err);
	return r < 0 ? r : store_org_insert(tx, "other", 0, err);
}

static void catalogue_fill(struct catalogue *c)
{
	static const char *const files[] = {
	    "{\"name\": \"python\", \"versions\": [{\"version\": \"3.11\", \"default\": true}]}",
	    "{\"name\": \"tensorflow\", \"versions\": [{\"version\": \"2.0\", \"default\": true}]}",
	};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(json) json_t *file = json_loads(files[i], 0, NULL);
		struct err err = ERR_INIT;
		assert_non_null(file);
		EXPECT_OK(catalogue_add(c, file, &err), &err);
	}
}

struct sim *sim_new_with(struct sim_options options)
{
	struct sim *s = MEM_NEW(struct sim);
	struct err err = ERR_INIT;
	options.seed = options.seed ? options.seed : 1;
	options.cpu_milli = options.cpu_milli ? options.cpu_milli : 4000;
	options.memory_bytes = options.memory_bytes ? options.memory_bytes : 8 * GIB;
	s->options = options;
	s->wake_ms = -1;
	log_set_level(LOG_ERROR);
	world_init(s);
	hook(s);
	catalogue_fill(&s->catalogue);
	EXPECT_OK(store_open(&(struct store_config){.path = ":memory:"}, &s->store, &err), &err);
	EXPECT_OK(store_run(s->store, make_orgs, NULL, &err), &err);
	sim_start(s);
	return s;
}

void sim_free(struct sim *s)
{
	char broken[sizeof(s->broken)];
	memcpy(broken, s->broken, sizeof(broken));
	s->dies_in = 0;
	sim_crash(s);
	hook(NULL);
	store_close(s->store);
	catalogue_done(&s->catalogue);
	world_done(s);
	free(s);
	if (broken[0])
		fail_msg("invariant: %s", broken);
}

/* ---- events ---- */

static void on_store_deliver(struct sim_event *e)
{
	struct sim *s = e->sim;
	s->store_busy = false;
	world_trace(s, "deliver");
	store_pump_deliver(s->store);
}

static void on_store_commit(struct sim_event *e)
{
	struct sim *s = e->sim;
	world_trace(s, "commit %zu", store_queued(s->store));
	store_pump_commit(s->store);
	world_after(s, (int64_t)rng_below(&s->world, 3), on_store_deliver, "", 0);
}

static void store_wake(struct sim *s)
{
	if (s->store_busy || !store_queued(s->store))
		return;
	s->store_busy = true;
	world_after(s, (int64_t)rng_below(&s->world, 6), on_store_commit, "", 0);
}

bool sim_step(struct sim *s)
{
	bury(s);
	store_wake(s);
	struct sim_event *e =
	    list_empty(&s->events) ? NULL : LIST_ENTRY(s->events.next, struct sim_event, node);
	bool is_wake = s->ctl && s->wake_ms >= 0 && (!e || s->wake_ms <= e->at_ms);
	if (!e && !is_wake)
		return false;
	s->steps++;
	if (is_wake) {
		s->now_ms = s->wake_ms > s->now_ms ? s->wake_ms : s->now_ms;
		s->wake_ms = -1;
		ctl_tick(s->ctl);
	} else {
		s->now_ms = e->at_ms;
		list_remove(&e->node);
		e->fn(e);
		free(e);
	}
	bury(s);
	if (s->in_use.memory_bytes > s->peak.memory_bytes)
		s->peak = s->in_use;
	return true;
}

static int64_t next_at(struct sim *s)
{
	store_wake(s);
	int64_t at =
	    list_empty(&s->events) ? INT64_MAX : LIST_ENTRY(s->events.next, struct sim_event, node)->at_ms;
	return s->ctl && s->wake_ms >= 0 && s->wake_ms < at ? s->wake_ms : at;
}

void sim_run(struct sim *s, int64_t ms)
{
	int64_t end = s->now_ms + ms;
	while (next_at(s) <= end)
		sim_step(s);
	s->now_ms = end;
}

/* The hourly expiry always lies ahead, so idle means: only wakes that are far away. */
void sim_until_idle(struct sim *s, int64_t max_ms)
{
	int64_t end = s->now_ms + max_ms;
	while (next_at(s) <= end && (!list_empty(&s->events) || next_at(s) < s->now_ms + 1800 * SEC))
		sim_step(s);
}

/* ---- invariants ---- */

/* It failed by the end of an attempt, not while it waited. */
static bool is_of_attempt(const struct job *job)
{
	return strcmp(job->reason, fail_word(job->fail)) == 0 && job->fail != FAIL_DEPENDENCY;
}

/* What a job's own history says that it held, against what the accounting says. */
static int check_usage_of(struct store_tx *tx, const struct job *job, struct err *err)
{
	struct store_events history = {0};
	struct usage_rows rows = {0};
	struct usage told = {0};
	int64_t started_ms = 0, charged = 0;
	bool is_held = false;
	struct usage_query q = {.org = job->org, .owner = job->id, .last_day = INT64_C(1) << 30};
	int r = store_event_list(tx, job->org, job->id, 0, STORE_EVENTS_PER_SUBJECT, &history, err);
	for (size_t i = 0; r >= 0 && i < history.count; i++) {
		const struct event *e = &history.items[i];
		bool ends = strcmp(e->reason, "retry") == 0 || strcmp(e->reason, "completed") == 0 ||
			    strcmp(e->reason, "failed") == 0 || strcmp(e->reason, "cancelled") == 0;
		charged += strcmp(e->reason, "retry") == 0 && !strstr(e->message, "(preempted)");
		if (strcmp(e->reason, "starting") == 0) {
			started_ms = e->time_ms;
			is_held = true;
		} else if (is_held && ends) {
			struct resources held = job->spec.limits;
			held.cpu_milli *= job->spec.tasks;
			held.memory_bytes *= job->spec.tasks;
			held.gpu *= job->spec.tasks;
			usage_add_span(&told, &held, started_ms, e->time_ms);
			told.attempts++;
			is_held = false;
		}
	}
	if (r >= 0)
		r = store_usage_query(tx, &q, &rows, err);
	struct usage kept = rows.count ? rows.items[0].sum : (struct usage){0};
	if (r >= 0 && history.count < STORE_EVENTS_PER_SUBJECT &&
	    (kept.cpu_milli_ms != told.cpu_milli_ms || kept.memory_mib_ms != told.memory_mib_ms ||
	     kept.gpu_ms != told.gpu_ms || kept.attempts != told.attempts || kept.running))
		r = err_set(
		    err, ERR_STATE,
		    "'%s' held %lld mcpu ms in %lld attempts by its history, %lld in %lld by the accounting",
		    job->id, (long long)told.cpu_milli_ms, (long long)told.attempts,
		    (long long)kept.cpu_milli_ms, (long long)kept.attempts);
	int64_t last = job->state == JOB_FAILED && fail_is_charged(job->fail) && is_of_attempt(job);
	if (r >= 0 && history.count < STORE_EVENTS_PER_SUBJECT && job->charged != charged + last)
		r = err_set(err, ERR_STATE, "'%s' was charged %lld attempts, its history says %lld", job->id,
			    (long long)job->charged, (long long)(charged + last));
	if (r >= 0 && job->charged > job_spec_retry_limit(&job->spec) + 1)
		r = err_set(err, ERR_STATE, "'%s' was charged %lld attempts, more than it may have", job->id,
			    (long long)job->charged);
	store_events_done(&history);
	usage_rows_done(&rows);
	return r < 0 ? r : 0;
}

/* What the accounting says runs: the attempts that jobs hold, and the replicas that are ready. */
static int check_running(struct store_tx *tx, const char *org, struct err *err)
{
	struct store_jobs jobs = {0};
	struct store_services services = {0};
	struct usage_rows rows = {0};
	struct usage_query q = {.org = org, .last_day = INT64_C(1) << 30};
	int64_t held = 0;
	int r = store_job_live(tx, &jobs, err);
	if (r >= 0)
		r = store_service_live(tx, &services, err);
	if (r >= 0)
		r = store_usage_query(tx, &q, &rows, err);
	for (size_t i = 0; i < jobs.count; i++)
		held += strcmp(jobs.items[i]->org, org) == 0 && !jobs.items[i]->spec.array.count &&
			(jobs.items[i]->state == JOB_STARTING || jobs.items[i]->state == JOB_RUNNING);
	for (size_t i = 0; i < services.count; i++) {
		const struct service *m = services.items[i];
		for (size_t k = 0; k < m->replica_count; k++)
			held += strcmp(m->org, org) == 0 && m->state != SERVICE_FAILED &&
				m->replicas[k].ready_ms != 0;
	}
	int64_t told = rows.count ? rows.items[0].sum.running : 0;
	store_jobs_done(&jobs);
	store_services_done(&services);
	usage_rows_done(&rows);
	if (r >= 0 && told != held)
		return err_set(err, ERR_STATE, "%lld attempts of '%s' run, the accounting says %lld",
			       (long long)held, org, (long long)told);
	return r < 0 ? r : 0;
}

/* Each index exactly one job, which follows from the array's id; an ended array has no element that lives. */
static int check_array(struct store_tx *tx, const struct job *array, struct err *err)
{
	struct store_list_query q = {.org = array->org, .state = -1, .array = array->id, .limit = 1000};
	struct store_jobs l = {0};
	int64_t seen[JOB_STATE_COUNT] = {0};
	int r = store_job_list(tx, &q, &l, err);
	for (size_t i = 0; r >= 0 && i < l.count; i++) {
		seen[l.items[i]->state]++;
		if (l.items[i]->array_index != (int64_t)(l.count - 1 - i))
			r = err_set(err, ERR_STATE, "element %zu of '%s' has index %lld", l.count - 1 - i,
				    array->id, (long long)l.items[i]->array_index);
		if (r >= 0 && job_state_is_terminal(array->state) &&
		    !job_state_is_terminal(l.items[i]->state))
			r = err_set(err, ERR_STATE, "array '%s' has ended before '%s'", array->id,
				    l.items[i]->id);
	}
	for (int s = 0; r >= 0 && s < JOB_STATE_COUNT; s++)
		if (seen[s] != array->elements.by_state[s])
			r = err_set(err, ERR_STATE, "array '%s' counts %lld elements %s, it has %lld",
				    array->id, (long long)array->elements.by_state[s],
				    job_state_word((enum job_state)s), (long long)seen[s]);
	if (r >= 0 && (int64_t)l.count != array->elements.made)
		r = err_set(err, ERR_STATE, "array '%s' has made %lld elements and has %zu", array->id,
			    (long long)array->elements.made, l.count);
	if (r >= 0 && array->state == JOB_COMPLETED && (int64_t)l.count != array->spec.array.count)
		r = err_set(err, ERR_STATE, "array '%s' is completed with %zu elements", array->id, l.count);
	store_jobs_done(&l);
	return r < 0 ? r : 0;
}

struct check {
	struct sim *sim;
	bool is_settled;
};

static int check_run(struct store_tx *tx, void *arg, struct err *err)
{
	struct check *check = arg;
	struct sim *s = check->sim;
	const char *id;
	void *value;
	int r = store_check(tx, err);
	bool was_deleted = false;
	for (size_t i = 0; map_next(s->told, &i, &id, &value);)
		was_deleted |= ((struct sim_told *)value)->is_deleted;
	if (r >= 0 && !was_deleted)
		r = store_usage_check(tx, err);
	if (r >= 0)
		r = check_running(tx, "default", err);
	if (r >= 0)
		r = check_running(tx, "other", err);
	for (size_t i = 0; r >= 0 && map_next(s->told, &i, &id, &value);) {
		struct sim_told *t = value;
		CLEANUP(job) struct job *job = NULL;
		struct err missing = ERR_INIT;
		bool found = store_job_get(tx, "default", id, &job, &missing) >= 0 ||
			     store_job_get(tx, "other", id, &job, &missing) >= 0;
		if (!found && !t->is_deleted)
			return err_set(err, ERR_CORRUPT, "acknowledged job '%s' is gone", id);
		if (!found)
			continue;
		told_state(s, id, job->state);
		if (!job->spec.array.count && job_state_is_terminal(job->state) &&
		    check_usage_of(tx, job, err) < 0)
			return -err->code;
		if (check->is_settled && !job_state_is_terminal(job->state))
			return err_set(err, ERR_STATE, "'%s' is still %s (%s: %s)", id,
				       job_state_word(job->state), job->reason, job->message);
		if (job->spec.array.count) {
			if (check_array(tx, job, err) < 0)
				return -err->code;
			continue;
		}
		int64_t successes = sim_marks_of(s, id)->successes;
		if (job->state == JOB_COMPLETED && successes != 1)
			return err_set(err, ERR_STATE, "'%s' is completed but succeeded %lld times", id,
				       (long long)successes);
		if (job_state_is_terminal(job->state) && job->state != JOB_COMPLETED && successes)
			return err_set(err, ERR_STATE, "'%s' is %s but has succeeded", id,
				       job_state_word(job->state));
	}
	return r;
}

static void check(struct sim *s, bool is_settled)
{
	struct err err = ERR_INIT;
	struct check c = {.sim = s, .is_settled = is_settled};
	if (store_run(s->store, check_run, &c, &err) < 0)
		sim_break(s, "%s", err.msg);
}

void sim_check_all(struct sim *s)
{
	check(s, false);
}

void sim_check_settled(struct sim *s)
{
	check(s, true);
	const char *name;
	void *value;
	for (size_t i = 0; map_next(s->tasks, &i, &name, &value);)
		sim_break(s, "task '%s' is an orphan (%s)", name,
			  task_phase_word(((struct sim_task *)value)->status.phase));
}
