/* SPDX-License-Identifier: Apache-2.0 */
/* Seeded random days: users, faults, crashes and reboots; the invariants hold at every event. SEEDS=N,
 * SIM_SEED=S. */
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "sim/sim.h"

#define EVENTS_MIN 200
#define INTENTS_MAX 60

/* One wish of a client, repeated with its key until it is acknowledged. */
struct intent {
	struct sim_request q;
	char name[16], key[16], more[80];
	const char *org;
	struct sim_submit_options o;
	bool is_acked;
};

struct day {
	struct sim *s;
	struct rng rng;
	struct intent intents[INTENTS_MAX];
	size_t count;
};

static uint64_t below(struct day *d, uint64_t n)
{
	return rng_below(&d->rng, n);
}

static void intent_send(struct day *d, struct intent *i)
{
	i->o.key = i->key;
	i->o.org = i->org;
	sim_submit_begin(d->s, i->name, i->o, &i->q);
}

static void act_submit(struct day *d)
{
	static const enum fail_class ends[] = {FAIL_NONE, FAIL_NONE, FAIL_NONE,	       FAIL_NONE,
					       FAIL_USER, FAIL_LOST, FAIL_ENVIRONMENT, FAIL_OUT_OF_MEMORY,
					       FAIL_USER, FAIL_LOST};
	if (d->count == INTENTS_MAX)
		return;
	struct intent *i = &d->intents[d->count];
	snprintf(i->name, sizeof(i->name), "job-%zu", d->count);
	snprintf(i->key, sizeof(i->key), "key-%zu", d->count++);
	i->org = below(d, 4) ? "default" : "other";
	i->o = (struct sim_submit_options){.role = ROLE_MEMBER,
					   .cpu_milli = 500 * (int64_t)(1 + below(d, 8)),
					   .memory_bytes = GIB / 2 * (int64_t)(1 + below(d, 16)),
					   .priority = 1 + (int64_t)below(d, 100),
					   .max_retries = (int64_t)below(d, 4)};
	int64_t most = 4000 / i->o.cpu_milli, by_memory = 8 * GIB / i->o.memory_bytes;
	most = by_memory < most ? by_memory : most;
	i->o.tasks = most > 1 && below(d, 2) ? 1 + (int64_t)below(d, (uint64_t)most) : 1;
	sim_plan_set(d->s, i->name,
		     (struct sim_plan){.prepare_ms = (int64_t)below(d, 5000),
				       .run_ms = (int64_t)below(d, 20000),
				       .fail = ends[below(d, ARRAY_LEN(ends))],
				       .fails = (int)below(d, 3),
				       .bad_task = (int64_t)below(d, 8),
				       .ignores_stop = below(d, 5) == 0});
	/* Every fourth starts after an earlier one of its organisation. */
	const struct intent *first = &d->intents[below(d, d->count)];
	static const char *const conditions[] = {"", ":ok", ":any", ":failed"};
	if (first != i && first->is_acked && first->org == i->org && below(d, 2)) {
		char id[sizeof(first->q.id)];
		memcpy(id, first->q.id, sizeof(id));
		snprintf(i->more, sizeof(i->more), "{\"after\": [\"%s%s\"]}", id,
			 conditions[below(d, ARRAY_LEN(conditions))]);
		i->o.more = i->more;
	}
	if (!i->o.more && below(d, 4) == 0) {
		snprintf(i->more, sizeof(i->more), "{\"array\": {\"count\": %d, \"max_running\": %d}}",
			 3 + (int)below(d, 30), 1 + (int)below(d, 3));
		i->o.more = i->more;
	} else if (!i->o.more && below(d, 3) == 0) {
		snprintf(i->more, sizeof(i->more), "{\"preemptible\": true}");
		i->o.more = i->more;
	}
	intent_send(d, i);
}

static void collect(struct day *d)
{
	for (size_t i = 0; i < d->count; i++) {
		struct intent *n = &d->intents[i];
		if (n->is_acked || !n->q.is_done)
			continue;
		if (n->q.err.code == 0) {
			n->is_acked = true;
			sim_note_told(d->s, n->q.id);
		} else if (d->s->ctl && n->q.err.code == ERR_CANCELLED)
			intent_send(d, n); /* the server went away before it answered */
		else if (n->q.err.code == ERR_STATE && n->o.more) {
			n->o.more = NULL; /* what it was to start after has ended otherwise already */
			intent_send(d, n);
		} else if (n->q.err.code != ERR_CANCELLED)
			sim_break(d->s, "submit was refused: %s", n->q.err.msg);
	}
}

static void act_cancel(struct day *d)
{
	if (!d->count)
		return;
	struct intent *i = &d->intents[below(d, d->count)];
	if (i->is_acked)
		sim_cancel_begin(d->s, below(d, 8) ? i->org : "other", i->q.id);
}

static void act_model(struct day *d)
{
	char name[16];
	snprintf(name, sizeof(name), "model-%u", (unsigned)below(d, 3));
	if (below(d, 2)) {
		sim_plan_set(d->s, name,
			     (struct sim_plan){.prepare_ms = (int64_t)below(d, 2000),
					       .run_ms = (int64_t)below(d, 3000),
					       .fail = below(d, 2) ? FAIL_USER : FAIL_NONE,
					       .fails = (int)below(d, 4)});
		sim_model_create_begin(d->s, "default", name);
	} else if (below(d, 2)) {
		sim_model_update_begin(d->s, name, (int64_t)below(d, 4), 1 + (int64_t)below(d, 3));
	} else {
		sim_model_delete_begin(d->s, "default", name);
	}
}

static void act_crash(struct day *d)
{
	/* Some of what is queued may be durable already, and nobody heard of it. */
	if (below(d, 2))
		store_pump_commit(d->s->store);
	if (below(d, 6) == 0)
		sim_reboot(d->s);
	else
		sim_crash(d->s);
	sim_run(d->s, (int64_t)below(d, 10000));
	sim_start(d->s);
}

static void act(struct day *d)
{
	uint64_t dice = below(d, 100);
	if (dice < 15)
		act_submit(d);
	else if (dice < 20)
		act_cancel(d);
	else if (dice < 23)
		act_model(d);
	else if (dice < 27)
		act_crash(d);
}

struct made {
	const struct day *day;
	size_t count, jobs;
};

static size_t elements; /* in all seeds */

static void count_jobs(void *arg, const char *org, enum job_state state, int64_t count)
{
	((struct made *)arg)->jobs += (size_t)count;
}

static int count_elements(struct store_tx *tx, void *arg, struct err *err)
{
	struct made *m = arg;
	for (size_t i = 0; i < m->day->count; i++) {
		CLEANUP(job) struct job *job = NULL;
		const struct intent *n = &m->day->intents[i];
		if (store_job_get(tx, n->org, n->q.id, &job, err) < 0)
			return -err->code;
		m->count += (size_t)job->elements.made;
	}
	return store_job_counts(tx, count_jobs, m, err);
}

static void settle(struct day *d)
{
	struct sim *s = d->s;
	s->refuse_percent = s->lose_percent = 0;
	s->dies_in = 0;
	for (int round = 0; round < 3; round++) {
		for (int m = 0; m < 3; m++) {
			char name[16];
			snprintf(name, sizeof(name), "model-%d", m);
			sim_model_delete_begin(s, "default", name);
		}
		sim_run(s, 3600 * SEC);
		collect(d);
	}
	sim_until_idle(s, 48 * 3600 * SEC);
	sim_check_settled(s);
	for (size_t i = 0; i < d->count; i++)
		if (!d->intents[i].is_acked)
			sim_break(s, "'%s' was never acknowledged", d->intents[i].name);
	/* As many jobs as wishes, and as elements of their arrays; of an element that ended while the server
	 * died nobody may have been told. */
	struct made made = {.day = d};
	struct err err = ERR_INIT;
	EXPECT_OK(store_run(s->store, count_elements, &made, &err), &err);
	elements += made.count;
	if (made.jobs != d->count + made.count || map_count(s->told) > made.jobs)
		sim_break(s, "%zu wishes and %zu elements made %zu jobs, %zu were told", d->count, made.count,
			  made.jobs, map_count(s->told));
}

static size_t deaths; /* at failpoints, in all seeds */

/* Plays one seed; returns the trace (owned), and what broke. */
static char *play(uint64_t seed, char broken[400])
{
	struct day *d = MEM_NEW(struct day);
	rng_seed(&d->rng, seed * 2654435761u + 1);
	d->s = sim_new(.seed = seed, .attach_ms = (int64_t)(seed % 5) * 500);
	d->s->refuse_percent = (int)(seed % 4) * 5;
	d->s->lose_percent = (int)(seed % 3) * 5;
	while (d->s->steps < EVENTS_MIN + seed % 400 && !d->s->broken[0]) {
		if (seed % 2 && !d->s->dies_in) /* every other server dies at failpoints too */
			d->s->dies_in = 1 + (int64_t)below(d, 40);
		act(d);
		collect(d);
		for (uint64_t n = below(d, 6); n > 0 && !d->s->broken[0]; n--)
			sim_step(d->s);
	}
	if (!d->s->broken[0])
		settle(d);
	memcpy(broken, d->s->broken, sizeof(d->s->broken));
	deaths += d->s->deaths;
	char *trace = mem_strdup(buf_str(&d->s->trace));
	d->s->broken[0] = 0;
	sim_free(d->s);
	free(d);
	return trace;
}

static void play_and_expect(uint64_t seed)
{
	char broken[400];
	CLEANUP(free) char *trace = play(seed, broken);
	if (!broken[0])
		return;
	size_t len = strlen(trace), from = len > 4000 ? len - 4000 : 0;
	print_error("%s\n", trace + from);
	print_error("seed %llu broke: %s\nreplay with SIM_SEED=%llu\n", (unsigned long long)seed, broken,
		    (unsigned long long)seed);
	fail();
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 0) : otherwise;
}

TEST(random_days_keep_every_invariant)
{
	uint64_t only = number_of("SIM_SEED", 0), seeds = number_of("SEEDS", 500),
		 first = number_of("SIM_FIRST", 1);
	if (only) {
		play_and_expect(only);
		return;
	}
	for (uint64_t seed = first; seed < first + seeds; seed++)
		play_and_expect(seed);
	print_message("%llu seeds, at least %d events each, %zu elements, %zu deaths at failpoints: 0 broken "
		      "invariants\n",
		      (unsigned long long)seeds, EVENTS_MIN, elements, deaths);
}

TEST(a_seed_replays_byte_for_byte)
{
	char broken[400];
	for (uint64_t seed = 1; seed <= 5; seed++) {
		CLEANUP(free) char *first = play(seed, broken);
		CLEANUP(free) char *second = play(seed, broken);
		assert_true(strlen(first) > 1000);
		assert_string_equal(first, second);
	}
}
