/* SPDX-License-Identifier: Apache-2.0 */
/* The files of one environment and of uv's caches. Everything here blocks on the disk. */
#ifndef LOCAL_ENV_FILES_H
#define LOCAL_ENV_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "core/job.h"
#include "local/env_key.h"

struct env_files {
	char key[ENV_KEY_LEN + 1];
	char *envs;		    /* DATA/envs */
	char *path;		    /* DATA/envs/KEY */
	char *build;		    /* DATA/envs/KEY.build */
	char *container;	    /* its container's name */
	char *cache;		    /* DATA/envs/cache/NAME */
	int lock_fd, cache_lock_fd; /* -1 = not held */
};
/* Names of containers are the machine's; several data folders may want the same environment. Returns owned.
 */
char *env_container_name(const char *data_folder, const char *key);
void env_files_init(struct env_files *f, const char *data_folder, const struct env_want *want);
void env_files_done(struct env_files *f); /* lets the locks go */

bool env_files_ready(const struct env_files *f); /* finished; notes the use */
/* Becomes the builder. ERR_CONFLICT: somebody else is. */
int env_files_lock(struct env_files *f, struct err *err);
/* As the builder: ends and removes what a dead one left, makes KEY.build/env for uid_base + 1000 with the
 * cache in it. */
int env_files_begin(struct env_files *f, int64_t uid_base, struct err *err);
/* As the builder, after begin: the files of a finished environment, linked; folders and links belong to
 * uid_base + 1000, files stay their builder's, so that this one can add and remove but not change them. */
int env_files_seed(struct env_files *f, const char *base, int64_t uid_base, struct err *err);
/* As the builder: the cache back to its place, then KEY.build/env becomes KEY and record KEY.json (takes
 * record). */
int env_files_commit(struct env_files *f, json_t *record, struct err *err);
void env_files_abandon(struct env_files *f); /* the cache back to its place, the rest removed */
/* What is below KEY.build/env: bytes on the disk; Python sources and compiled ones, without those of the
 * cache. */
struct env_measure {
	int64_t bytes, sources, compiled;
};
void env_files_measure(const struct env_files *f, struct env_measure *ret);

int env_files_write_progress(const struct env_files *f, const struct progress *p, struct err *err);
int env_files_read_progress(const struct env_files *f, struct progress *ret, struct err *err);

#endif
