/* SPDX-License-Identifier: Apache-2.0 */
/* The task folder as files: see docs/formats/task-folder.md. Used by the server and by the shim. */
#ifndef LOCAL_TASK_FOLDER_H
#define LOCAL_TASK_FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include "core/task.h"

#define FOLDER_SPEC "spec.json"
#define FOLDER_PLAN "plan.json"
#define FOLDER_STATUS "status.json"
#define FOLDER_STOP "stop.json"
#define FOLDER_EXIT "exit.json"
#define FOLDER_WEIGHTS "weights" /* of a model, as in core/service.h; else those of the specification */
#define FOLDER_SERVING_CONFIG "serving.config" /* the model server's, when there are weights */
#define FOLDER_LOCK "lock"
#define FOLDER_STARTED "started"
#define FOLDER_COLLECTED "collected"
#define FOLDER_UNSAVED "unsaved" /* what of it the store did not take, for people */
#define FOLDER_LOG "log"
#define FOLDER_METRICS "metrics.jsonl"
#define FOLDER_OUTPUT "output"

/* plan.json: what the server decided for this task. */
struct task_plan {
	char *title; /* of the framework: "TensorFlow 2.21 (CPU)" */
	char **packages;
	char **env;
	int64_t download_bytes, disk_bytes;
	int64_t uid_base;
	int64_t env_uid_base; /* of the environment's builder */
	char *bind_address;
	int64_t port_first, port_last;
};
void task_plan_done(struct task_plan *p);
static inline void cleanup_task_plan(struct task_plan *p)
{
	task_plan_done(p);
}

struct task_stop {
	enum fail_class why;
	int64_t grace_ms;
};
/* exit.json */
struct task_exit {
	int exit_code, exit_signal;
	enum fail_class fail;
	char message[480];
	int64_t started_ms, ended_ms; /* Unix time; started 0 = the program never ran */
};

/* All take the folder's descriptor (borrowed). Reading: ERR_NOT_FOUND when the file is absent. */
int folder_read_spec(int folder_fd, struct task_spec *ret, struct err *err); /* into an initialised spec */
int folder_read_plan(int folder_fd, struct task_plan *ret, struct err *err);
int folder_read_status(int folder_fd, struct task_status *ret, struct err *err);
int folder_read_stop(int folder_fd, struct task_stop *ret, struct err *err);
int folder_read_exit(int folder_fd, struct task_exit *ret, struct err *err);
int folder_write_spec(int folder_fd, const struct task_spec *spec, struct err *err);	   /* durable */
int folder_write_plan(int folder_fd, const struct task_plan *plan, struct err *err);	   /* durable */
int folder_write_status(int folder_fd, const struct task_status *status, struct err *err); /* atomic */
int folder_write_stop(int folder_fd, const struct task_stop *stop, struct err *err);	   /* durable */
/* Durable, once: ERR_EXISTS when there is one already, which then stays. */
int folder_write_exit(int folder_fd, const struct task_exit *record, struct err *err);
int folder_write_mark(int folder_fd, const char *name, struct err *err); /* an empty file, durable */
bool folder_has(int folder_fd, const char *name);
/* Whether a shim is alive: somebody holds the lock. */
bool folder_is_locked(int folder_fd);

/* The status that an exit record makes of the last status: TASK_EXITED with its facts. */
void task_status_exited(struct task_status *status, const struct task_exit *record);
/* A first status made from the spec. */
void task_status_of_spec(struct task_status *ret, const struct task_spec *spec);

#endif
