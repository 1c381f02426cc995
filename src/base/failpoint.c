/* SPDX-License-Identifier: Apache-2.0 */
/* Failpoints by environment. */
#include "base/failpoint.h"

#ifdef CLOUDML_FAILPOINTS
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void (*failpoint_hook)(const char *name);

static pthread_once_t once = PTHREAD_ONCE_INIT;
static char *wanted, *token;
static atomic_long left;

static void read_environment(void)
{
	const char *rule = getenv("CLOUDML_FAILPOINT");
	char *copy = rule ? strdup(rule) : NULL;
	char *number = copy ? strchr(copy, ':') : NULL;
	char *file = number ? strchr(number + 1, ':') : NULL;
	if (!file) {
		free(copy);
		return;
	}
	*number = *file = 0;
	left = strtol(number + 1, NULL, 10);
	token = file + 1;
	wanted = copy;
}

void failpoint(const char *name)
{
	if (failpoint_hook) {
		failpoint_hook(name);
		return;
	}
	pthread_once(&once, read_environment);
	if (!wanted || strcmp(name, wanted) != 0 || atomic_fetch_sub(&left, 1) != 1)
		return;
	if (unlink(token) == 0)
		kill(getpid(), SIGKILL);
}
#else
/* A file of the language has something in it. */
typedef int failpoints_are_off;
#endif
