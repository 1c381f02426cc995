/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the container half share. */
#ifndef LOCAL_CONTAINER_INT_H
#define LOCAL_CONTAINER_INT_H

#include <limits.h>
#include "base/buf.h"
#include "local/cgroup.h"
#include "local/container.h"
#include "local/runtime_int.h"

#define CONTAINER_TOOLS "/.cloudml" /* inside; init and plan */
#define CONTAINER_RECORD_BYTES_MAX 65536

/* Descriptors of the container: the caller's from 3 on, then ours in this order; -1 = not there. */
struct container_fds {
	int record, oom, peak, event, gate;
	int count; /* of all, for --preserve-fds */
};
void container_fds_number(const struct container_spec *spec, enum cgroup_mode mode,
			  struct container_fds *ret);

/* Every field of a spec; ERR_INVALID. */
int container_check(const struct container_spec *spec, struct err *err);
int container_name_check(const char *name, struct err *err);

/* The plan of cloudml-init (docs/formats/init-plan.md). Appends. */
void container_plan_format(const struct container_spec *spec, const struct container_fds *fds,
			   struct buf *ret);

/* The record, read from its text. */
struct container_record {
	bool started, ended;
	char running[CONTAINER_STAGE_NAME_MAX + 1]; /* started and not ended; "" = none */
	struct container_progress progress;
	char failed[CONTAINER_STAGE_NAME_MAX + 1]; /* "" = none */
	int exit_code, exit_signal;
	int64_t oom_kills, peak_bytes; /* -1 unknown */
	bool stopped, killed;
	int64_t started_ms, ended_ms;
};
int container_record_parse(const char *text, struct container_record *ret, struct err *err);

struct cgroup_tree container_tree(const struct runtime *r);

#endif
