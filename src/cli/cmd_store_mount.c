/* SPDX-License-Identifier: Apache-2.0 */
/* store mount, unmount: finds and becomes cloudml-mount, which alone links libfuse. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/path.h"
#include "cli/store.h"

/* Returns only when it fails. */
static int become_mount(const char *const argv[], struct err *err)
{
	CLEANUP(free) char *self = NULL;
	int r = path_of_program(&self, err);
	if (r < 0)
		return r;
	*strrchr(self, '/') = '\0';
	CLEANUP(free) char *program = mem_printf("%s/cloudml-mount", self);
	fflush(NULL);
	execv(program, (char *const *)argv);
	if (errno == ENOENT)
		return err_set(err, ERR_UNSUPPORTED,
			       "'%s' is not there: it is built and installed where libfuse 3 is", program);
	return err_sys(err, errno, "cannot start '%s'", program);
}

int cmd_store_mount(struct cli *c, const struct cli_args *a, struct err *err)
{
	CLEANUP(store_uri) struct store_uri u = {0};
	int r = store_uri_parse(a->positional[0], &u, err);
	if (r >= 0)
		r = cli_connect(c, err);
	if (r < 0)
		return r;
	const char *argv[] = {"cloudml-mount",
			      "mount",
			      u.bucket,
			      u.key,
			      a->positional[1],
			      cli_opt(a, "foreground") ? "foreground" : NULL,
			      NULL};
	/* The token in the environment, where only this user sees it. */
	setenv("CLOUDML_ENDPOINT", c->config.endpoint, 1);
	if (c->config.token)
		setenv("CLOUDML_TOKEN", c->config.token, 1);
	else
		unsetenv("CLOUDML_TOKEN");
	return become_mount(argv, err);
}

int cmd_store_unmount(struct cli *c, const struct cli_args *a, struct err *err)
{
	const char *argv[] = {"cloudml-mount", "unmount", a->positional[0], NULL};
	return become_mount(argv, err);
}
