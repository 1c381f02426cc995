/* SPDX-License-Identifier: Apache-2.0 */
/* One container on an event loop: output as it comes, one call at the end. Between container.h and those who
 * run something (a task, the building of an environment). */
#ifndef LOCAL_SANDBOX_H
#define LOCAL_SANDBOX_H

#include "local/container.h"
#include "loop/loop.h"

struct sandbox;

struct sandbox_handlers {
	/* Output in order. false: cannot be taken now (disk full); the same bytes are offered again every
	 * second and the program waits meanwhile. */
	bool (*output)(void *arg, const char *data, size_t len);
	/* All output was handed over and nothing is left of the container. Once; the sandbox may be freed in
	 * it. */
	void (*ended)(void *arg, const struct container_result *result);
	void *arg;
};

/* Keeps spec (until freed), copies handlers. Removes what a dead predecessor of that name left. Returns
 * owned. */
int sandbox_start(struct loop *l, const struct container_spec *spec, const struct sandbox_handlers *handlers,
		  struct sandbox **ret, struct err *err);
/* SIGTERM now, SIGKILL after grace_ms. A later call may only shorten the grace. */
void sandbox_stop(struct sandbox *s, int64_t grace_ms);
/* Only after 'ended' (or never started). NULL is fine. */
void sandbox_free(struct sandbox *s);

#endif
