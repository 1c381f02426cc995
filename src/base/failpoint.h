/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Named places between an intent and its action, at which a test ends the process: FP("ctl.launch.after").
 *
 * In a test's environment CLOUDML_FAILPOINT="NAME:N:TOKEN" kills the process (SIGKILL) when it comes to NAME
 * for the N-th time, if it can remove the file TOKEN: so it happens once, also when many processes and their
 * successors have the same environment. A build of type 'release' has none of it (option 'failpoints').
 *
 * Names are ROOM.WHAT.WHEN. tests/e2e/cli/test_failpoints.py reads them from the source and kills a real
 * server at each; tests/sim kills the simulated one.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#ifdef CLOUDML_FAILPOINTS
void failpoint(const char *name);
/* For a simulation, where no process dies: called in place of the environment's rule. NULL = none. */
extern void (*failpoint_hook)(const char *name);
#define FP(name) failpoint(name)
#else
#define FP(name) ((void)0)
#endif

#endif
