/* SPDX-License-Identifier: Apache-2.0 */
/* One container of a test: a shell script in the stage "run", what it printed and what became of it. */
#ifndef E2E_CONTAINER_TRIAL_H
#define E2E_CONTAINER_TRIAL_H

#include <stdlib.h>
#include "base/buf.h"
#include "local/container.h"
#include "unit/test.h"

#define TRIAL_UID_BASE 1879048192u

struct trial {
	struct container_spec spec;
	char name[64], work[256];
	int number;
	const char *folder;
	char *script[4];
	struct container_stage stage;
	struct container_mount mount;
	int output; /* read end of its standard output and error */
	pid_t pid;
	struct container_result result;
	struct buf text; /* all it printed */
};

/* A container that runs 'script' with 128 MiB, one core, 64 processes, no network, a writable /work. The test
 * may change t->spec before trial_start. Tests are skipped (77) where containers cannot run. */
void trial_init(struct trial *t, const char *script);
void trial_start(struct trial *t);
void trial_read_until(struct trial *t, const char *word); /* waits until it printed 'word' */
void trial_wait(struct trial *t);			  /* to its end; fills result and text */
void trial_run(struct trial *t, const char *script);	  /* all of the above */
void trial_done(struct trial *t);			  /* cleans up and checks that nothing is left */

#define EXPECT_PRINTS(t, part) trial_expect_prints(t, part, __FILE__, __LINE__)
void trial_expect_prints(const struct trial *t, const char *part, const char *file, int line);

#endif
