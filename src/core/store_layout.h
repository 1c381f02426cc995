/* SPDX-License-Identifier: Apache-2.0 */
/* Where the things of a job lie in its organisation's own bucket: docs/store-layout.md. */
#ifndef CORE_STORE_LAYOUT_H
#define CORE_STORE_LAYOUT_H

#include "core/job.h"

#define STORE_JOB_OUTPUT "output"
#define STORE_JOB_CHECKPOINTS "checkpoints"
#define STORE_JOB_TENSORBOARD "tensorboard"
#define STORE_JOB_URI_MAX 160

/* "fds://ORG/jobs/ID/WHAT", without a slash at its end. */
void store_job_uri(const char *org, const char *id, const char *what, char ret[STORE_JOB_URI_MAX]);

/* The access key of one attempt, "job.ID.ATTEMPT"; also of a TensorBoard's. */
#define STORE_JOB_KEY_MAX 48
void store_job_key(const char *id, int64_t attempt, char ret[STORE_JOB_KEY_MAX]);
/* False for everything that store_job_key() does not make. */
bool store_job_key_parse(const char *key, char ret_id[16], int64_t *ret_attempt);

/* What the program of a job may write, as addresses of folders and objects: its own places and those that its
 * specification names. Returns owned (strings_free). */
char **store_job_writes(const struct job *job);
/* Is 'key' of 'bucket' one of these addresses, or below one? */
bool store_address_covers(const char *address, const char *bucket, const char *key);

#define STORE_TASK_KEY_MAX 96
/* Where a log or series of a job's task is kept: "jobs/ID/logs/ATTEMPT.log", of further tasks
 * "jobs/ID/logs/ATTEMPT-TASK.log". */
void store_task_key(const char *id, const char *what, int64_t attempt, int64_t task, const char *extension,
		    char ret[STORE_TASK_KEY_MAX]);

#endif
