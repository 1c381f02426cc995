/* SPDX-License-Identifier: Apache-2.0 */
/* One Python worker as the operating system sees it: a process in a group of its own, a socket, a pipe of
 * errors. */
#ifndef SERVING_PYTHON_PROCESS_H
#define SERVING_PYTHON_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

#define PYTHON_LINE_MAX 200

struct python_start {
	const char *environment, *model; /* folders; the model may be a file */
	int memory_fd;			 /* borrowed */
	size_t slot_bytes;
	int hello_slot; /* where the first message goes */
	int threads;	/* that numeric libraries may use */
};

struct python_process {
	pid_t pid;	    /* 0 = none */
	int socket, errors; /* -1 = none */
	/* What came out of 'errors'. */
	char line[PYTHON_LINE_MAX + 1], last[PYTHON_LINE_MAX + 1];
	size_t line_len;
};
#define PYTHON_PROCESS_INIT ((struct python_process){.socket = -1, .errors = -1})

/* Runs the embedded worker. Nothing but its own descriptors is inherited. ERR_NOT_FOUND when the environment
 * has no Python. On failure *p is PYTHON_PROCESS_INIT. */
int python_process_start(const struct python_start *how, struct python_process *p, struct err *err);
/* Passes on what the process wrote to our own stderr and remembers the last line; does not block. False at
 * the end of the pipe. */
bool python_process_listen(struct python_process *p);
/* Kills the group, waits for the process, reads its last words. Returns its wait status. Descriptors stay
 * open, but the socket is shut down, so that whoever waits on it wakes up. */
int python_process_end(struct python_process *p);
void python_process_close(struct python_process *p);
/* View of the last line on stderr, "" when there was none. */
const char *python_process_last_line(const struct python_process *p);

/* The worker's text, see python/cloudml_worker.py. */
extern const unsigned char python_worker_source[];
extern const unsigned python_worker_source_len;

#endif
