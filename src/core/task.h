/* SPDX-License-Identifier: Apache-2.0 */
/* The task: one container. What ctl tells a backend, and what a backend reports. */
#ifndef CORE_TASK_H
#define CORE_TASK_H

#include <jansson.h>
#include "core/job.h"

#define TASK_NAME_MAX 95
#define TASK_WEIGHTS_MAX 400

enum task_kind { TASK_JOB, TASK_MODEL, TASK_TENSORBOARD };

/* Everything a backend needs to start a task; self-contained, formatted as JSON into the task's folder. */
struct task_spec {
	char name[TASK_NAME_MAX + 1]; /* deterministic: "<job id>-<attempt>-<role>-<index>" */
	char org[CORE_NAME_MAX + 1];
	char owner[16];	 /* job or service id */
	int64_t attempt; /* fencing token */
	enum task_kind kind;
	int64_t index,
	    tasks; /* TASK_JOB: which one, from 0, of how many of this attempt; 0 and 1 by default */
	char *framework, *framework_version; /* resolved: both non-empty, in the catalogue */
	char **requirements;
	char *package;	    /* fds:// or NULL */
	char *package_kind; /* "folder", "python" */
	char *model_uri;    /* TASK_MODEL: fds:// prefix or object; TASK_TENSORBOARD: what it reads */
	char *model_name;
	int64_t model_version;
	char *model_weights; /* TASK_MODEL: "1=900,2=100": these versions, with these weights; "" = by
				model_version */
	int64_t health_interval_ms,
	    health_failures; /* TASK_MODEL: from when it is ready; see core/service.h */
	char *module;
	char **command, **args, **env;
	char *prepare_command, *finish_command;
	struct resources limits;
	int64_t max_processes;
	int64_t max_duration_ms; /* 0 = none; the backend enforces it with class FAIL_TIMEOUT */
	int64_t grace_ms;	 /* from SIGTERM to SIGKILL when the backend stops it by itself */
	int64_t hang_timeout_ms; /* 0 = none; the backend enforces it with class FAIL_HUNG */
	enum network_mode network;
	int64_t port_hint; /* TASK_MODEL: the port of its owner, kept; 0 = any of the backend's range */
};
void task_spec_init(struct task_spec *t);
void task_spec_done(struct task_spec *t);
json_t *task_spec_format(const struct task_spec *t);
int task_spec_parse(const json_t *j, struct task_spec *ret, struct err *err);

/* phase, word, terminal. Only forward. */
#define TASK_PHASE_TABLE(X)                                                                                  \
	X(TASK_PREPARING, "preparing", 0) /* environment, package: progress says what */                     \
	X(TASK_RUNNING, "running", 0)	  /* the user's main command was started */                          \
	X(TASK_READY, "ready", 0)	  /* TASK_MODEL: answers requests on 'port' */                       \
	X(TASK_EXITED, "exited", 1)	  /* exit record written, what the store takes is durable in it */   \
	X(TASK_LOST, "lost", 1)		  /* no shim and no exit record */
enum task_phase {
#define TASK_PHASE_ENUM(phase, word, terminal) phase,
	TASK_PHASE_TABLE(TASK_PHASE_ENUM)
#undef TASK_PHASE_ENUM
	    TASK_PHASE_COUNT
};
const char *task_phase_word(enum task_phase p);

struct task_status {
	char name[TASK_NAME_MAX + 1];
	char owner[16];
	enum task_kind kind;
	int64_t attempt;
	enum task_phase phase;
	struct progress progress;
	int port;      /* 0 unless TASK_READY; tasks of one owner share it */
	int unhealthy; /* TASK_READY: so many health checks in a row failed, as many as were allowed; else 0
			*/
	char weights[TASK_WEIGHTS_MAX + 1]; /* TASK_MODEL: in force */
	int exit_code;			    /* TASK_EXITED */
	int exit_signal;
	enum fail_class fail; /* TASK_EXITED: FAIL_NONE when the exit status was 0 */
	char message[480];    /* for people; why it is unhealthy or has failed */
};
json_t *task_status_format(const struct task_status *s);
int task_status_parse(const json_t *j, struct task_status *ret, struct err *err);

#endif
