/* SPDX-License-Identifier: Apache-2.0 */
/* Python workers of one model: N processes, each with memory that it shares with the server.
 *
 * That memory is PYTHON_SLOTS slots, used round about. A run takes a worker and one of its slots; the request
 * lies at the slot's start, the answer behind it. An answer may be read in place for as long as its reader
 * likes while the worker goes on in another slot; the last free slot is never left to a reader, so that
 * nobody ever waits for one. A thread per worker starts it, passes on what it prints, and starts it again
 * when it ends. Thread-safe. */
#ifndef SERVING_PYTHON_POOL_H
#define SERVING_PYTHON_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"

#define PYTHON_SLOTS 3
#define PYTHON_PROCESSES_MAX 64

struct python_pool;
struct python_worker;

struct python_pool_options {
	const char *environment, *model; /* copied */
	int processes, threads;		 /* threads: of each */
	size_t slot_bytes;
	int64_t run_timeout_ms; /* for a run, and for waiting for a worker */
};

/* A worker that is ours, and a slot of it. */
struct python_turn {
	struct python_worker *worker;
	int slot;
	void *memory; /* cap bytes, aligned to a page */
	size_t cap;
};

/* Starts all workers and waits until they have loaded the model. On failure none is left, and err says why in
 * the worker's own words. */
int python_pool_new(const struct python_pool_options *options, struct python_pool **ret, struct err *err);
/* Ends the processes. No turn may be open and no slot kept. NULL is fine. */
void python_pool_free(struct python_pool *p);
/* What the workers said when the model was loaded (JSON), a view. */
struct str python_pool_hello(const struct python_pool *p);

/* Waits for a worker. ERR_UNAVAILABLE when there is none in time. On success the turn must be ended by one of
 * python_turn_done and python_turn_fail. */
int python_turn_begin(struct python_pool *p, struct python_turn *ret, struct err *err);
/* The request of 'size' bytes lies in turn->memory: hands it over and waits for the answer, a view of the
 * slot. On failure the caller calls python_turn_fail, which says the worker's end. */
int python_turn_ask(struct python_turn *t, size_t size, const void **ret, size_t *ret_size, struct err *err);
/* May the answer be read in place after the turn? */
bool python_turn_may_keep(const struct python_turn *t);
/* The worker is free for others; the slot too unless 'keep'. */
void python_turn_done(struct python_turn *t, bool keep);
/* Ends the worker's process (it is started anew) and adds its end to err. */
void python_turn_fail(struct python_turn *t, struct err *err);
void python_slot_release(struct python_worker *w, int slot);

#endif
