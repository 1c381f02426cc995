/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of cloudml-init: see docs/formats/init-plan.md. C library only. */
#ifndef MAIN_INIT_PLAN_H
#define MAIN_INIT_PLAN_H

#include <stdbool.h>
#include <stddef.h>

#define INIT_PLAN_BYTES_MAX (1024 * 1024)
#define INIT_PLAN_STAGES_MAX 16
#define INIT_PLAN_ARGS_MAX 4096

struct init_stage {
	const char *name, *cwd;
	bool always;
	char **argv; /* NULL-terminated; views of the plan's bytes */
};

struct init_plan {
	long grace_ms;
	int fds;			    /* descriptors of the stages, from 3 on */
	int record, gate, oom, peak, event; /* -1 = none */
	struct init_stage stages[INIT_PLAN_STAGES_MAX];
	size_t stage_count;
	char *args[INIT_PLAN_ARGS_MAX + INIT_PLAN_STAGES_MAX];
	size_t arg_count;
};

/* 'data' (len bytes, changed never, viewed by *ret) comes from a file. NULL on success, else what is wrong.
 */
const char *init_plan_parse(char *data, size_t len, struct init_plan *ret);

#endif
