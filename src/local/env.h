/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Environments: the folder that a task sees at /env, built once. See docs/formats/environments.md.
 *
 * One of all shims that want the same environment builds it, in a container of its own; the others wait and
 * show the builder's progress. A builder that dies lets go of its lock and the next one begins again.
 */
#ifndef LOCAL_ENV_H
#define LOCAL_ENV_H

#include "core/job.h"
#include "local/env_key.h"
#include "loop/loop.h"

struct env_build;

struct env_config {
	const char *data_folder; /* all borrowed until 'done' */
	struct env_want want;
	const char *title;		    /* for people */
	int64_t download_bytes, disk_bytes; /* of the catalogue; 0 unknown */
	int64_t uid_base;		    /* of the builder */
	int64_t
	    shared_uid_base; /* of the builder of the same without requirements, on which this one is built */
	/* How far it is; borrowed. */
	void (*progress)(void *arg, const struct progress *progress);
	/* A line for the task's log, without newline: what will be downloaded, once. */
	void (*announce)(void *arg, const char *line);
	/* Once. path is the folder to mount, a view; NULL with an error: ERR_CANCELLED, ERR_BACKEND with uv's
	 * reason, ERR_DISK_FULL, ERR_UNSUPPORTED. env_build_free may be called in it. */
	void (*done)(void *arg, const char *path, const struct err *err);
	void *arg;
};
/* Returns owned; 'done' comes later, never from inside. */
struct env_build *env_build_new(struct loop *l, const struct env_config *config);
void env_build_cancel(struct env_build *b); /* done comes with ERR_CANCELLED */
void env_build_free(struct env_build *b);   /* after done; NULL is fine */

/* After a builder's death: ends its container when nobody builds. Blocks; for a pool thread. */
void env_clean_orphan(const char *data_folder, const char *key);

#endif
