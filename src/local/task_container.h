/* SPDX-License-Identifier: Apache-2.0 */
/* The container of a task: what its specification means in stages, mounts and variables. */
#ifndef LOCAL_TASK_CONTAINER_H
#define LOCAL_TASK_CONTAINER_H

#include "core/task.h"
#include "local/container.h"
#include "local/env_vars.h"
#include "local/task_folder.h"

#define TASK_CONTAINER_STAGES_MAX 8
#define TASK_CONTAINER_MOUNTS_MAX 10

struct task_container {
	struct container_spec spec; /* points into the rest */
	struct container_stage stages[TASK_CONTAINER_STAGES_MAX];
	struct container_mount mounts[TASK_CONTAINER_MOUNTS_MAX];
	struct env_vars vars;
	char **strings; /* owned; everything that was made for it */
	size_t string_count;
	char **argv[TASK_CONTAINER_STAGES_MAX]; /* owned arrays of strings owned elsewhere */
	char network_name[TASK_NAME_MAX + 1];	/* of a gang */
	int fds[3];
	int store_fd; /* the socket inside, for the store; -1 = none, the caller's once it is there */
};

struct task_container_config {
	const struct task_spec *spec; /* kept, as all of these, until task_container_done */
	const struct task_plan *plan;
	const char *folder;		     /* absolute */
	const char *data_folder;	     /* absolute */
	const char *env_path;		     /* finished environment */
	int listen_fd, ready_fd, control_fd; /* TASK_MODEL; TASK_TENSORBOARD: the last two */
	const char *store_secret;	     /* not of TASK_MODEL; NULL = it has no key for the store */
	bool has_config;		     /* TASK_MODEL: FOLDER_SERVING_CONFIG is there */
};
/* Makes the folders that the program writes to. ERR_NOT_FOUND, ERR_UNSUPPORTED (a program of ours is
 * missing), ERR_IO. */
int task_container_make(struct task_container *c, const struct task_container_config *config,
			struct err *err);
/* Of the network that the tasks of a gang share. */
void task_container_network_name(const struct task_spec *spec, char ret[TASK_NAME_MAX + 1]);
void task_container_done(struct task_container *c);

#endif
