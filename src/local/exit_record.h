/* SPDX-License-Identifier: Apache-2.0 */
/* From what was observed to the exit record: class and a sentence for people. Pure. */
#ifndef LOCAL_EXIT_RECORD_H
#define LOCAL_EXIT_RECORD_H

#include "core/task.h"
#include "local/container.h"
#include "local/task_folder.h"

/* Names of a job's stages, in order of running. */
#define STAGE_UNPACK "unpack"
#define STAGE_INSTALL "install"
#define STAGE_CHECK "check"
#define STAGE_PREPARE "prepare"
#define STAGE_RUN "run"
#define STAGE_FINISH "finish"
#define STAGE_SERVE "serve"

struct exit_facts {
	const struct task_spec *spec;
	const struct container_result *result;
	bool stop_wanted; /* and then: */
	enum fail_class why;
	const char *last_line;	 /* of the log, cleaned; "" when there was none */
	const char *serve_error; /* what the model server said on its pipe; NULL when it said nothing */
};
void exit_record_make(const struct exit_facts *facts, struct task_exit *ret);
/* The task ended before its container: the environment, the package or our own fault. */
void exit_record_of_err(const struct err *err, bool stop_wanted, enum fail_class why, struct task_exit *ret);

#endif
