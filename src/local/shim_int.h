/* SPDX-License-Identifier: Apache-2.0 */
/* The shim's one object. Files: shim.c (life), shim_report.c (status, metrics, log), shim_model.c (sockets
 * and pipe), shim_health.c (checks, weights), shim_store.c (the way to the store). */
#ifndef LOCAL_SHIM_INT_H
#define LOCAL_SHIM_INT_H

#include "core/progress.h"
#include "local/env.h"
#include "local/exit_record.h"
#include "local/local.h"
#include "local/sandbox.h"
#include "local/store_relay.h"
#include "local/task_container.h"
#include "local/task_folder.h"
#include "local/task_log.h"
#include "local/task_series.h"
#include "loop/loop.h"

struct shim {
	struct loop *loop;
	char *folder, *data_folder; /* absolute */
	int folder_fd, lock_fd;
	struct task_spec spec;
	struct task_plan plan;
	struct task_status status;
	char python[32];

	struct loop_dir *folder_watch;
	struct loop_signal *term_signal;
	bool stop_wanted;
	struct task_stop stop;

	struct env_build *env;
	char *env_path;
	struct task_container container;
	struct sandbox *sandbox;
	bool program_ran;	    /* the main stage was started */
	int64_t program_started_ms; /* Unix time */
	struct loop_timer *duration_timer;

	/* shim_report.c */
	struct task_log log;
	struct task_series series;
	struct progress_watch *progress;
	struct loop_timer *status_timer, *sample_timer;
	bool status_waits;
	int64_t status_written_ms; /* monotonic */
	int64_t sampled_ms, sampled_cpu_usec, sample_count;
	int64_t cpu_usec; /* as of the last look */

	/* Hang watch: the last sign of life (monotonic) and the processor time that was counted as one. */
	int64_t alive_ms, hang_cpu_usec;

	/* shim_model.c */
	int listen_fd, ready_fd, ready_write_fd, port;
	int port_fd, control_fd; /* listening sockets in the folder */
	struct loop_fd *port_watch;
	/* As wished, and as asked for; in force is what the status says. */
	char weights[TASK_WEIGHTS_MAX + 1], weights_asked[TASK_WEIGHTS_MAX + 1];
	struct loop_fd *ready_watch;
	char ready_text[8192];
	size_t ready_len;
	char *serve_error;

	/* shim_health.c */
	struct loop_timer *health_timer;
	struct shim_ask *health_ask, *weights_ask; /* on their way; NULL = none */
	int64_t unhealthy;			   /* checks that failed in a row */

	/* shim_store.c */
	char store_secret[LOCAL_SECRET_MAX + 1]; /* "" = the program has no key */
	struct store_relay *store_relay;

	struct task_exit record;
	struct loop_timer *exit_timer;
	int exit_status;
};

/* shim_report.c */
int shim_report_open(struct shim *s, struct err *err);
void shim_report_close(struct shim *s);
void shim_set_phase(struct shim *s, enum task_phase phase, const char *word);
void shim_set_progress(struct shim *s,
		       const struct progress *p); /* written soon, at most five times a second */
bool shim_take_output(struct shim *s, const char *data, size_t len);
void shim_sample_start(struct shim *s, void (*fn)(void *arg)); /* fn each time before a sample is taken */
void shim_sample(struct shim *s);

/* shim_model.c */
int shim_model_begin(struct shim *s, struct err *err); /* the service's socket can be asked for */
int shim_model_open(struct shim *s, struct err *err);  /* the sockets and the pipe of the server */
void shim_model_started(struct shim *s);	       /* the container has its copies */
void shim_model_close(struct shim *s);
void shim_model_read_weights(struct shim *s);

/* shim_store.c: the program's way to the store */
void shim_store_read_secret(struct shim *s);	      /* first of all: it leaves our environment */
int shim_store_open(struct shim *s, struct err *err); /* the container is started */
void shim_store_close(struct shim *s);

/* shim_health.c: asks the model server whether it is ready, and tells it its weights */
void shim_health_start(struct shim *s);
void shim_health_stop(struct shim *s);
void shim_weights_changed(struct shim *s); /* s->weights has what is wished */

#endif
