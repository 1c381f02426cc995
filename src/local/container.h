/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One container on this machine: the half of room local that knows runc, crun, control groups, namespaces and
 * seccomp. The other half (shim, task folders, backend) says what to run and reads what became of it.
 *
 * Ideas. (1) A container is a list of stages that cloudml-init, PID 1 inside, runs one after another; it
 * appends a line to the record FOLDER/run/init-exit at every start and end, through a descriptor that the
 * stages do not have, so that the user's code cannot forge it. (2) Everything is found by the container's
 * name: state in /run/cloudml, control group cloudml/NAME. Whoever comes after a crash can signal, measure
 * and clean up. (3) Nothing here needs the event loop; all calls are thread-safe for different names and take
 * milliseconds (container_cleanup up to a few seconds when processes die slowly: call it from a pool thread
 * or from a shim that has nothing else to do).
 *
 * Invariants: the user's code runs as container uid and gid 1000 (host: uid_base + 1000), without
 * capabilities, with no_new_privs, under the allow-list of seccomp.c, on a read-only root made of the host's
 * /usr and a generated /etc. The writable places are /tmp, /dev/shm and the mounts with 'writable'. Standard
 * input is /dev/null.
 *
 * Life: container_prepare, container_spawn, waitpid(pid) by the caller, container_result, container_cleanup.
 */
#ifndef LOCAL_CONTAINER_H
#define LOCAL_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <jansson.h>
#include "core/core.h"
#include "core/job.h"
#include "local/runtime.h"

#define CONTAINER_UID 1000	  /* of the user's code inside; gid the same */
#define CONTAINER_UID_COUNT 65536 /* host ids uid_base … uid_base + 65535 belong to the container */
#define CONTAINER_STAGE_NAME_MAX 23
#define CONTAINER_STAGES_MAX 16
#define CONTAINER_MOUNTS_MAX 64
#define CONTAINER_FDS_MAX 16
#define CONTAINER_NAME_MAX 95 /* [A-Za-z0-9][A-Za-z0-9_.-]* */

/* A file or folder of the host, recursive bind, nosuid, nodev. 'target' is absolute and clean; its mount
 * point is made in the skeleton. Where the container shall write, the source must be writable for uid_base +
 * 1000: the caller chowns. */
struct container_mount {
	const char *source, *target;
	bool writable;
};

/* argv[0] is looked up in PATH of env. 'cwd' NULL = "/". A failing stage ends the sequence, except that later
 * stages with 'always' still run; the first failing stage is the one that is reported. Each stage is its own
 * session and process group. Processes that a stage left behind live until the last stage ends. */
struct container_stage {
	const char *name; /* [a-z][a-z0-9_-]*, at most CONTAINER_STAGE_NAME_MAX */
	char *const *argv;
	const char *cwd;
	bool always;
};

struct container_spec {
	const char *name;
	const char *folder;   /* absolute task folder; FOLDER/bundle and FOLDER/run/init-exit are ours */
	const char *hostname; /* NULL = name, cut to 63 */
	const struct container_stage *stages;
	size_t stage_count;
	char *const *env; /* NULL-terminated "KEY=value", whole: nothing is added to it */
	const struct container_mount *mounts;
	size_t mount_count;
	struct resources limits; /* cpu_milli and memory_bytes must be > 0; gpu must be 0 */
	int64_t max_processes;	 /* > 0 */
	int64_t
	    tmp_bytes; /* size of /tmp (tmpfs, counts as the container's memory); 0 = half of memory_bytes */
	enum network_mode network;
	/* NULL = a network of its own. Else the containers that name it share one, loopback included, which
	 * is made by the first of them and stays until container_network_remove. All ask for the same mode.
	 */
	const char *network_name;
	uid_t uid_base; /* host uid that container uid 0 maps to; at least 65536 */
	const int *fds; /* become descriptors 3, 4, … of every stage; set LISTEN_FDS in env yourself */
	size_t fd_count;
	int64_t grace_ms; /* from SIGTERM to SIGKILL, by init */
	/* Not 0: 127.0.0.1 of the container's network listens on this port before anything of it runs, and
	 * *inside_fd is the socket after container_spawn: the caller's, not blocking. It keeps the network
	 * alive: close it when the container has ended. */
	int inside_port;
	int *inside_fd;
};

/* Checks the spec (ERR_INVALID) and writes FOLDER/bundle: config.json, plan, skeleton of the root. Borrows
 * spec. A bundle that is there is replaced. ERR_UNSUPPORTED when containers cannot run here (says what is
 * missing). */
int container_prepare(const struct container_spec *spec, struct err *err);

/* Starts the prepared container as a child of the caller; its standard output and error, and the runtime's,
 * are output_fd (borrowed): a pipe or a file opened for append. The runtimes give it to the container's user,
 * so a device or a socket is refused (ERR_INVALID). The caller waits for *ret_pid, then calls
 * container_result. The record is there, empty, when this returns. ERR_EXISTS when a container of that name
 * exists. */
int container_spawn(const struct container_spec *spec, int output_fd, pid_t *ret_pid, struct err *err);

/* To init, which forwards TERM, INT, HUP and USR1 to the process group of the running stage. After TERM it
 * starts no stage without 'always' and kills everything grace_ms later. ERR_NOT_FOUND: no such container (any
 * more). ERR_STATE: init does not listen yet (the first milliseconds of a start): try again soon, or
 * container_kill. */
int container_signal(const char *name, int signal_number, struct err *err);

/* SIGKILL to everything in it. Success when there is nothing. */
int container_kill(const char *name, struct err *err);

struct container_stats {
	int64_t cpu_usec;
	int64_t memory_bytes;	   /* without file cache that can be dropped */
	int64_t memory_peak_bytes; /* with file cache; -1 unknown */
	int64_t processes;	   /* tasks (threads count) */
	int64_t oom_kills;
};
int container_stats(const char *name, struct container_stats *ret, struct err *err); /* ERR_NOT_FOUND */

/* What the record says. May be read at any time, also while the container runs and after a crash of whoever
 * watched. */
enum container_state {
	CONTAINER_STARTING, /* init did not write yet */
	CONTAINER_STAGE,    /* 'stage' runs (or the next one is about to) */
	CONTAINER_ENDED,    /* init wrote its last line */
};
struct container_progress {
	enum container_state state;
	char stage[CONTAINER_STAGE_NAME_MAX + 1]; /* running or last one started; "" before the first */
	int64_t stage_started_ms;		  /* Unix time */
};
/* Reads FOLDER/run/init-exit; watch that file with loop_dir_new(FOLDER/run). Absence is CONTAINER_STARTING.
 */
int container_progress(const char *folder, struct container_progress *ret, struct err *err);

struct container_result {
	bool ran;   /* false: init never started; message says what the runtime said */
	bool ended; /* init wrote its last line; false with ran: killed from outside or out of memory */
	char stage[CONTAINER_STAGE_NAME_MAX + 1]; /* first failing stage, "" when none failed */
	int exit_code;		      /* of that stage; 0 when none failed; -1 when ended by a signal */
	int exit_signal;	      /* 0 = none */
	bool out_of_memory;	      /* the memory limit killed something in it, and so all of it */
	bool stopped;		      /* init got SIGTERM */
	bool killed;		      /* … and had to kill after grace_ms */
	int64_t memory_peak_bytes;    /* -1 unknown */
	int64_t started_ms, ended_ms; /* Unix time; 0 unknown */
	char message[320];	      /* for people; "" on success */
};
/* After waitpid(wait_status) and before container_cleanup. With a wait_status of -1 (the child was somebody
 * else's) only the record counts. */
int container_result(const struct container_spec *spec, int wait_status, struct container_result *ret,
		     struct err *err);

/* Kills what is left and removes the runtime's state, control groups and FOLDER/bundle; the record stays.
 * Idempotent; folder may be NULL when only the name is known. */
int container_cleanup(const char *name, const char *folder, struct err *err);

/* The shared network of that name, when none of its containers is left. Idempotent. */
int container_network_remove(const char *network_name, struct err *err);

/* Names of the containers that have a control group or state here. Returns owned, NULL-terminated
 * (strings_free). */
int container_list(char ***ret, struct err *err);

/* Host path of a program of ours (cloudml-init, …): $CLOUDML_LIBEXEC/NAME, beside the running program, or
 * ../libexec/cloudml/NAME from there. Returns owned. ERR_NOT_FOUND lists where it looked. */
int container_find_program(const char *name, char **ret, struct err *err);

#endif
