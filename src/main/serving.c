/* SPDX-License-Identifier: Apache-2.0 */
/* cloudml-serving: flags, then the room 'serving'. */
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/err.h"
#include "main/serving_flags.h"
#include "serving/serving.h"

#define FIRST_INHERITED_FD 3

static int processors(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

/* systemd's socket activation. */
static bool has_listen_fds(void)
{
	const char *count = getenv("LISTEN_FDS"), *pid = getenv("LISTEN_PID");

	return count && strcmp(count, "1") == 0 && (!pid || atol(pid) == (long)getpid());
}

int main(int argc, char **argv)
{
	struct serving_options o;
	struct err err = ERR_INIT;
	int r;

	serving_options_init(&o);
	o.model_name = "default";
	o.runtime_path = getenv("VIRTUAL_ENV");
	o.threads = processors();
	if (has_listen_fds())
		o.listen_fd = FIRST_INHERITED_FD;
	r = serving_flags_parse(argc, argv, &o, &err);
	if (r == 0)
		r = serving_run(&o, &err);
	if (r >= 0)
		return 0;
	fprintf(stderr, "cloudml-serving: %s\n", err.msg);
	return err_exit(err.code);
}
