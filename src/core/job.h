/* SPDX-License-Identifier: Apache-2.0 */
/* The job: a wish to run code to the end; its specification, its states and its record. */
#ifndef CORE_JOB_H
#define CORE_JOB_H

#include <jansson.h>
#include "core/core.h"

/* state, word, terminal */
#define JOB_STATE_TABLE(X)                                                                                   \
	X(JOB_SUBMITTED, "submitted", 0) /* waits for the end of other jobs */                               \
	X(JOB_QUEUED, "queued", 0)	 /* waits for resources; reason says which */                        \
	X(JOB_STARTING, "starting", 0)	 /* placed: environment, package, container are being made */        \
	X(JOB_RUNNING, "running", 0)	 /* the user's code runs */                                          \
	X(JOB_COMPLETED, "completed", 1)                                                                     \
	X(JOB_FAILED, "failed", 1)                                                                           \
	X(JOB_CANCELLED, "cancelled", 1)
enum job_state {
#define JOB_STATE_ENUM(state, word, terminal) state,
	JOB_STATE_TABLE(JOB_STATE_ENUM)
#undef JOB_STATE_ENUM
	    JOB_STATE_COUNT
};
const char *job_state_word(enum job_state s);
int job_state_parse(const char *word, enum job_state *ret, struct err *err);
bool job_state_is_terminal(enum job_state s);
bool job_state_may_move(enum job_state from, enum job_state to); /* the one table of allowed moves */

/* Why a task ended badly; decides the retry. class, word, retried by default (counts against max_retries) */
#define FAIL_TABLE(X)                                                                                        \
	X(FAIL_NONE, "none", 0)                                                                              \
	X(FAIL_USER, "user_error", 1) /* the program exited non-zero or by a signal of its own */            \
	X(FAIL_OUT_OF_MEMORY, "out_of_memory", 0)                                                            \
	X(FAIL_LOST, "lost", 1) /* the task vanished: machine restarted, shim killed */                      \
	X(FAIL_PREEMPTED, "preempted", 1)                                                                    \
	X(FAIL_ENVIRONMENT, "environment", 0) /* environment or package could not be built */                \
	X(FAIL_TIMEOUT, "timeout", 0)	      /* max_duration passed */                                      \
	X(FAIL_HUNG, "hung", 1)		      /* hang_timeout passed without a sign of life */               \
	X(FAIL_PLATFORM, "platform", 1)	      /* our own fault: disk full, runtime broken */                 \
	X(FAIL_DEPENDENCY, "dependency", 0)   /* a job that it was to start after ended otherwise */         \
	X(FAIL_ELEMENTS, "elements", 0)	      /* of an array: some of its elements failed */                 \
	X(FAIL_QUOTA, "quota",                                                                               \
	  0) /* it ended well, but its output is more than its organisation may store */                     \
	X(FAIL_CANCELLED, "cancelled", 0)
enum fail_class {
#define FAIL_ENUM(code, word, retried) code,
	FAIL_TABLE(FAIL_ENUM)
#undef FAIL_ENUM
	    FAIL_COUNT
};
const char *fail_word(enum fail_class c);
int fail_parse(const char *word, enum fail_class *ret); /* -1 when unknown */
bool fail_is_retried(enum fail_class c);

/* What has to become of a job that another one starts after. */
#define JOB_AFTER_TABLE(X)                                                                                   \
	X(JOB_AFTER_OK, "ok")	      /* completed */                                                        \
	X(JOB_AFTER_ANY, "any")	      /* ended, however */                                                   \
	X(JOB_AFTER_FAILED, "failed") /* failed or cancelled */
enum job_after {
#define JOB_AFTER_ENUM(code, word) code,
	JOB_AFTER_TABLE(JOB_AFTER_ENUM)
#undef JOB_AFTER_ENUM
	    JOB_AFTER_COUNT
};
#define JOB_AFTER_MAX 100 /* of one job */
const char *job_after_word(enum job_after on);
/* "JOB" or "JOB:CONDITION". ERR_INVALID. */
int job_after_parse(const char *text, char ret_job[CORE_NAME_MAX + 1], enum job_after *ret_on,
		    struct err *err);
int job_after_judge(enum job_after on, enum job_state state); /* 1 met, 0 not yet, -1 never */

/* When a failed attempt is repeated, and after what time. */
struct job_retry {
	int64_t limit; /* 0 to 100 repetitions; -1 = the specification's max_retries */
	char **on;     /* words of FAIL_TABLE; NULL = those that are retried by default */
	struct job_backoff {
		int64_t initial_ms; /* before the second attempt */
		int64_t factor;	    /* 1 to 10, with each further one */
		int64_t max_ms;
	} backoff;
};

enum network_mode {
	NETWORK_EGRESS, /* default: own namespace, outgoing traffic through a user-mode NAT, host's loopback
			   unreachable */
	NETWORK_NONE,	/* own namespace with loopback only */
};
const char *network_word(enum network_mode m);

#define JOB_WRITES_MAX 16 /* addresses that one job may name */
/* What the program may write in the store beside its own places (core/store_layout.h). */
struct job_store {
	char **write; /* fds:// addresses of buckets, folders and objects */
};

#define JOB_TASKS_MAX 64     /* of one job */
#define JOB_ARRAY_MAX 100000 /* elements of one array */
/* Many jobs of one specification, that differ in CLOUDML_ARRAY_INDEX. */
struct job_array {
	int64_t count;	     /* 0 = not an array */
	int64_t max_running; /* unfinished elements at a time; 0 = as many as there is room for */
};

#define JOB_LABELS_MAX 16 /* that one job may ask of a node */
/* Is 'label' a "key=value" that a node may have? 'what' names it in the error. ERR_INVALID. */
int job_label_check(const char *what, const char *label, struct err *err);

/* What the user asked for; JSON of POST /api/v1/jobs and of job.yaml (same fields). Immutable after
 * submission. */
struct job_spec {
	char *name;		 /* RFC 1123 label; default derived from module or command */
	char *framework;	 /* name in the catalogue; "python" by default */
	char *framework_version; /* "" = the catalogue's default; resolved at submission */
	char *package; /* fds:// address of a .tar.gz folder, sdist or wheel; NULL = no code, command only */
	char *package_kind;  /* "folder" (unpacked into the work folder, as cloudml run does) or "python"
				(installed) */
	char *module;	     /* python -m MODULE; exactly one of module and command */
	char **command;	     /* argv */
	char **args;	     /* appended to module or command */
	char **env;	     /* "KEY=value"; JSON object {KEY: value}; CLOUDML_* and LD_* names are refused */
	char **requirements; /* PEP 508 lines */
	struct resources limits; /* of each task; "cpu", "memory", "gpu"; defaults 1 core, 2 GiB, 0 */
	int64_t tasks;	       /* 1 to JOB_TASKS_MAX, default 1: they start, fail and start again together */
	char *prepare_command; /* sh -c, before; NULL = none */
	char *finish_command;  /* sh -c, after success or failure of the main command */
	int64_t max_retries;   /* 0 to 100, default 0; short for retry.limit */
	struct job_retry retry;
	char **after;		  /* "JOB:CONDITION": ids once submitted */
	int64_t grace_period_ms;  /* from SIGTERM to SIGKILL; default 10 s */
	int64_t hang_timeout_ms;  /* no output, step or processor time for so long: hung; 0 = not watched */
	int64_t queue_timeout_ms; /* not started so long after its submission: failed; 0 = waits for ever */
	int64_t max_duration_ms;  /* 0 = no limit */
	int64_t priority;	  /* 0 to 100, higher wins, default 50 */
	bool preemptible;	  /* work of higher priority may stop it; it starts again later */
	int64_t start_after_ms;	  /* Unix time; 0 = at once */
	int64_t deadline_ms;	  /* Unix time by which it must have ended; 0 = none */
	char **node_labels;	  /* "key=value" that a node must have, all of them */
	int64_t max_processes;	  /* pids limit, default 1024 */
	enum network_mode network;
	struct job_store store;
	struct job_array array;
};
void job_spec_init(struct job_spec *s); /* the defaults */
void job_spec_done(struct job_spec *s);
int job_spec_parse(const json_t *j, struct job_spec *ret, struct err *err); /* into an initialised spec */
json_t *job_spec_format(const struct job_spec *s); /* returns owned; only fields that are set */
bool job_spec_equal(const struct job_spec *a, const struct job_spec *b); /* formatted alike */
/* Does an end of this class count against the limit? Preemption is no fault of the job's. */
bool fail_is_charged(enum fail_class c);
/* Is an attempt that ended with 'class' repeated, when it was the job's charged one number 'charged' (from
 * 1)? That of a preempted one is not looked at. */
bool job_spec_retries(const struct job_spec *s, enum fail_class class, int64_t charged);
/* The wait before the attempt that follows charged one number 'charged'. */
int64_t job_spec_backoff_ms(const struct job_spec *s, int64_t charged);
int64_t job_spec_retry_limit(const struct job_spec *s);
struct resources job_spec_held(const struct job_spec *s); /* by all tasks together */
int job_spec_copy(const struct job_spec *s, struct job_spec *ret);
extern const char *const job_spec_fields[]; /* NULL-terminated names, for help, completion and OpenAPI */
json_t *job_spec_schema(void); /* JSON Schema 2020-12 of the specification, from the same table; owned */

/* What a program says about how far it is, see core/progress.h. */
struct progress {
	char phase[24];	     /* "queued", "environment", "package", "running", "saving" … */
	double percent;	     /* 0 to 100; -1 unknown */
	int64_t step, total; /* -1 unknown */
	int64_t eta_ms;	     /* -1 unknown */
	char text[160];	     /* "epoch 3/5  loss 0.21  accuracy 0.94" */
};
#define PROGRESS_NONE ((struct progress){.percent = -1, .step = -1, .total = -1, .eta_ms = -1})
json_t *progress_format(const struct progress *p);
void progress_parse(const json_t *j, struct progress *ret); /* lenient: what is missing is unknown */

struct job {
	char id[16]; /* "j" + 9 characters of base 32; unique for ever */
	char org[CORE_NAME_MAX + 1], user[CORE_NAME_MAX + 1];
	struct job_spec spec;
	enum job_state state;
	char reason[32];   /* word: "queued", "insufficient_memory", "out_of_memory" … */
	char message[480]; /* for people: what happened and what to do next */
	int64_t seq;	   /* order of submission; cursor of lists */
	int64_t version;   /* grows with every durable change */
	int64_t attempt;   /* fencing token; 0 before the first start */
	int64_t charged;   /* attempts that failed by themselves: what the retry's limit counts */
	/* Unix time: the next attempt starts no earlier; 0 = at once */
	int64_t retry_at_ms;
	bool cancel_requested;
	int64_t created_ms, queued_ms, started_ms, running_ms, ended_ms; /* Unix time; 0 = not yet */
	int64_t deadline_ms; /* of the present state, Unix time; 0 in a terminal state or when none */
	int exit_code;	     /* of the main command; -1 before the end */
	int exit_signal;     /* 0 = none */
	enum fail_class fail;
	struct progress progress; /* not durable */
	/* Of an element: its array and its index in it, from 0; "" = it is none. */
	char array_id[16];
	int64_t array_index;
	/* Of an array: how many elements were made, and how many of them are in each state. */
	struct job_elements {
		int64_t made, by_state[JOB_STATE_COUNT];
	} elements;
	/* fds://ORG/jobs/ID/output/ : stable over attempts */
	char output_uri[256];
};
struct job *job_new(void);
void job_free(struct job *job); /* NULL is fine */
static inline void cleanup_job(struct job **job)
{
	job_free(*job);
}
json_t *job_format(const struct job *job); /* the API's Job; returns owned */

/* One line of a job's or service's history; every move makes one. */
struct event {
	int64_t seq;
	char subject[CORE_NAME_MAX + 8]; /* job id or "model/NAME" */
	int64_t time_ms;
	char type[24];	 /* "Normal" or "Warning", as Kubernetes events */
	char reason[32]; /* word */
	char message[480];
	char actor[ACTOR_MAX + 1]; /* user, "ORG/USER" of another organisation, or "controller" */
};
json_t *event_format(const struct event *e);

/* The history that every job begins with; it follows from its row. is_queued: it waits for nothing but its
 * turn. Returns how many. Their seq is 1 and on: no event of a job that is written has such a one. */
#define JOB_BIRTH_EVENTS 2
#define JOB_BIRTH_MESSAGE "waits for its turn"
int job_birth_events(const char *id, const char *user, int64_t created_ms, bool is_queued,
		     struct event ret[JOB_BIRTH_EVENTS]);

#endif
