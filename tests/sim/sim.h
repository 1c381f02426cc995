/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A platform in one thread under virtual time: the real controller, scheduler and store, with a simulated
 * clock, random numbers and machine. Nothing waits and nothing is random but by the seed: a run replays byte
 * for byte (sim_trace).
 *
 * The machine outlives the controller: sim_crash() drops the controller and whatever the store had not
 * committed (or had committed but not told), sim_start() makes a new one that meets the tasks again. The
 * workload itself marks its starts and ends; the invariants are read from its marks, not from the
 * controller's own records.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "base/buf.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "ctl/ctl.h"
#include "unit/test.h"

#define SEC INT64_C(1000)
#define GIB (INT64_C(1) << 30)

/* What the workload of a name does in each attempt. */
struct sim_plan {
	int64_t prepare_ms, run_ms; /* run_ms -1 = until it is stopped; models run for ever */
	enum fail_class fail;	    /* how it ends */
	int fails;		    /* in so many attempts, then it ends well; 0 = in every one */
	int refuse;		    /* the first so many launches are refused with 'refuse_code' */
	int refuse_code;
	bool ignores_stop; /* dies only at the end of the grace */
	int64_t bad_task;  /* of a gang: only this one fails or is refused, the others do well */
};

struct sim_options {
	uint64_t seed;
	int64_t cpu_milli, memory_bytes, gpu; /* 4 cores, 8 GiB */
	int64_t attach_ms;		      /* how long the machine takes to report */
};

struct sim_event {
	struct list node;
	int64_t at_ms;
	uint64_t order;
	void (*fn)(struct sim_event *e);
	struct sim *sim;
	char name[TASK_NAME_MAX + 1]; /* of a task, when it is about one */
	uint64_t stamp;		      /* of the task or of the attachment that it belongs to */
};

/* A task as it really is. */
struct sim_task {
	struct task_status status;
	char job_name[CORE_NAME_MAX + 1];
	struct resources limits;
	struct sim_plan plan;
	int64_t index, tasks;
	uint64_t stamp;
	bool is_alive, ended_well, is_stopping;
	char place[40]; /* owner and slot: no two tasks live in one place */
	enum fail_class stopped_as;
};

/* The workload's own marks of one owner. */
struct sim_marks {
	int64_t starts, live, successes;
};

/* What a client was told, and must stay true. */
struct sim_told {
	char id[16];
	bool is_deleted;
	int terminal; /* -1 = not seen to end */
};

struct sim_request {
	bool is_done;
	struct err err;
	char id[16];
	int state;
	bool replayed;
	char reason[32], message[480];
	int64_t attempt, revision;
	enum service_update_state update;
	size_t count, ready; /* replicas */
};

struct sim {
	struct clock clock;
	struct rng world; /* delays and faults */
	struct rng ids;	  /* of the controller */
	struct backend backend;
	int64_t now_ms, wall_offset_ms;
	uint64_t order, stamp;
	struct list events;
	struct map *tasks; /* name -> sim_task */
	struct map *plans; /* name -> sim_plan */
	struct map *marks; /* owner -> sim_marks */
	struct map *told;  /* id -> sim_told */
	struct sim_options options;
	struct resources in_use, peak;
	struct backend_observer observer;
	bool is_observed;
	uint64_t attachment;
	struct catalogue catalogue;
	struct store *store;
	struct ctl *ctl;
	struct ctl_watch *watches[2];
	int64_t wake_ms; /* -1 = none */
	bool store_busy, is_ready;
	/* Failpoints: the server dies at the n-th that it comes to. What it does after it, up to the end of
	 * the turn, has no effect on anybody. */
	int64_t dies_in; /* 0 = not */
	bool is_doomed;
	size_t deaths;
	int refuse_percent, lose_percent; /* faults of the random workload */
	size_t steps;
	struct buf trace;
	char broken[400]; /* the first invariant that did not hold; "" = all do */
};

struct sim *sim_new_with(struct sim_options options);
#define sim_new(...) sim_new_with((struct sim_options){__VA_ARGS__})
void sim_free(struct sim *s);

/* One event; false when there is none. Then for a time, then until nothing is left to do (at most max_ms). */
bool sim_step(struct sim *s);
void sim_run(struct sim *s, int64_t ms);
void sim_until_idle(struct sim *s, int64_t max_ms);
void sim_crash(struct sim *s); /* the server */
void sim_start(struct sim *s);
void sim_reboot(struct sim *s); /* the machine below it: every task is lost */
void sim_break(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sim_check_all(struct sim *s); /* every invariant; the store must be idle */
void sim_check_settled(struct sim *s);
void sim_note_told(struct sim *s, const char *id); /* a client knows that it exists */
bool sim_is_doomed(void);			   /* nobody hears what the server says now */

void sim_plan_set(struct sim *s, const char *name, struct sim_plan plan);
struct sim_submit_options {
	const char *org, *key, *body, *framework, *package;
	const char *more; /* further fields of the specification, as JSON */
	int64_t cpu_milli, memory_bytes, gpu, priority, max_retries, max_duration_ms, tasks;
	enum role role;
};
/* Starts the request; ends when 'ret' is_done. ret must live as long. */
void sim_submit_begin(struct sim *s, const char *name, struct sim_submit_options o, struct sim_request *ret);
struct sim_request sim_submit_with(struct sim *s, const char *name, struct sim_submit_options o);
#define sim_submit(s, name, ...)                                                                             \
	sim_submit_with(s, name, (struct sim_submit_options){.role = ROLE_MEMBER, ##__VA_ARGS__})
struct sim_request sim_get(struct sim *s, const char *org, const char *id);
struct sim_request sim_cancel(struct sim *s, const char *org, const char *id);
struct sim_request sim_delete(struct sim *s, const char *org, const char *id);
struct sim_request sim_model_create(struct sim *s, const char *org, const char *name);
void sim_on_result(void *arg, const struct ctl_result *result, const struct err *err); /* of a sim_request */
struct sim_model_wish { /* what is 0 or NULL stays as it is */
	int64_t replicas, version, grace_ms;
	const char *weights;
};
struct sim_request sim_model_create_with(struct sim *s, const char *name, struct sim_model_wish w);
struct sim_request sim_model_update_with(struct sim *s, const char *name, struct sim_model_wish w);
#define sim_model_update(s, name, ...) sim_model_update_with(s, name, (struct sim_model_wish){__VA_ARGS__})
/* Runs until the update is no longer rolling; *ret_fewest is how few replicas served meanwhile. */
struct sim_request sim_until_updated(struct sim *s, const char *name, size_t *ret_fewest);
size_t sim_serving(struct sim *s); /* tasks that are ready and were not asked to end */
struct sim_task *sim_serving_one(struct sim *s, const char *part); /* of a name with this part; NULL = none */
void sim_hang(struct sim *s, struct sim_task *t); /* alive, and its health checks fail from now on */
struct sim_request sim_model_delete(struct sim *s, const char *org, const char *name);
struct sim_request sim_model_get(struct sim *s, const char *org, const char *name, char ret_address[64]);
/* A request without a wait, whose answer may never come. */
void sim_cancel_begin(struct sim *s, const char *org, const char *id);
/* Made of revision 1, which it may not have any more: then it is refused. */
void sim_model_update_begin(struct sim *s, const char *name, int64_t replicas, int64_t version);
void sim_model_delete_begin(struct sim *s, const char *org, const char *name);
void sim_model_create_begin(struct sim *s, const char *org, const char *name);
void sim_principal(struct principal *ret, const char *org, enum role role);
struct sim_marks *sim_marks_of(struct sim *s, const char *owner);
/* Runs until the newest job of the name is in that state; fails after an hour. */
void sim_until_state(struct sim *s, const char *name, enum job_state state);
void sim_until_model(struct sim *s, const char *name, enum service_state state);

#define EXPECT_STATE(s, name, expected)                                                                      \
	EXPECT_STR(name, job_state_word((enum job_state)sim_get(s, "default", name).state),                  \
		   job_state_word(expected))
#define EXPECT_WHY(s, name, part)                                                                            \
	do {                                                                                                 \
		struct sim_request why_ = sim_get(s, "default", name);                                       \
		if (!strstr(why_.message, part))                                                             \
			fail_msg("'%s' says '%s'; expected '%s' in it", name, why_.message, part);           \
	} while (0)
#define EXPECT_STARTS(s, name, expected)                                                                     \
	assert_int_equal(sim_marks_of(s, sim_get(s, "default", name).id)->starts, expected)

/* sim_world.c */
void world_init(struct sim *s);
void world_done(struct sim *s);
struct sim_event *world_after(struct sim *s, int64_t ms, void (*fn)(struct sim_event *e), const char *name,
			      uint64_t stamp);
void world_trace(struct sim *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void world_lose_all(struct sim *s);
void world_kill(struct sim *s, struct sim_task *t, enum fail_class fail);

#endif
