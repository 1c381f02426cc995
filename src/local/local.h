/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Containers on this machine: the backend behind core/backend.h.
 *
 * Ideas. A task is a folder, DATA/tasks/NAME, and a shim process that owns it: the shim makes the
 * environment, runs the container, writes the log and the exit record. The server only writes the wish
 * (spec.json, stop.json) and reads what the shim says (status.json, exit.json), so that it may die and come
 * back at any moment. A lock on the folder's file "lock" is held as long as the shim lives: no lock and no
 * exit record = lost.
 *
 * Invariants: one shim per folder (lock); status only moves forward; exit.json is written once, durably,
 * before the shim ends; nothing of a task is outside its folder, its cgroup and its runtime state, all named
 * after it.
 *
 * May use base, loop, core. Never calls store or ctl. container.h is the half that speaks to the OCI runtime.
 */
#ifndef LOCAL_LOCAL_H
#define LOCAL_LOCAL_H

#include "core/backend.h"
#include "core/blob.h"
#include "core/framework.h"
#include "loop/loop.h"

#define LOCAL_SECRET_MAX 64

struct local_config {
	const char *data_folder;	   /* absolute; has or gets tasks/, envs/ */
	const char *bind_address;	   /* of model services; "127.0.0.1" */
	int port_first, port_last;	   /* range of model services, 18500 to 18999 */
	const struct catalogue *catalogue; /* kept */
	struct blob_store *blobs; /* kept: packages and models come from here, outputs and logs go here */
	struct loop *loop;	  /* kept */
	struct clock *clock;	  /* kept */
	char *const *labels;	  /* of this machine, "key=value"; NULL = none; copied */
	/* The secret of the key that the program of an attempt has for the store (core/store_layout.h); "" =
	 * it has none. Written nowhere but into the container's environment. NULL = none has one. */
	void (*store_secret)(void *arg, const char *access_key, char ret[LOCAL_SECRET_MAX + 1]);
	void *store_secret_arg;
};
/* ERR_UNSUPPORTED names what this machine lacks. Returns owned; close by ops->close. */
int local_new(const struct local_config *config, struct backend **ret, struct err *err);

/* The programs below get the arguments behind `cloudml`: argv[0] is "shim" or "unpack". */
/* The shim: `cloudml shim TASK_FOLDER`. Runs one task to its end; returns the exit status of the process. */
int local_shim_main(int argc, char **argv);
/* `cloudml unpack ARCHIVE FOLDER` (made when absent; ARCHIVE may be the folder of the one archive): inside
 * the sandbox, as the job's user; tar (gz, xz, zst), zip. Refuses links out, devices, absolute paths and
 * "..", more than 200,000 entries, 20 GiB, or a ratio above 200. */
int local_unpack_main(int argc, char **argv);

/* What this machine offers: array of {"check", "ok", "detail", "hint"}; returns owned. */
int local_doctor(const char *data_folder, json_t **ret, struct err *err);

#endif
