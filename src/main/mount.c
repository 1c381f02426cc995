/* SPDX-License-Identifier: Apache-2.0 */
/* cloudml-mount: what 'cloudml store mount' and 'unmount' become. The server is in the environment. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/mem.h"
#include "mount/mount.h"

/* fusermount3 does it for every user; it says itself what it does not like. */
static int detach(const char *folder, const char *how, struct err *err)
{
	int status = 0;
	pid_t pid = fork();
	if (pid == 0) {
		execlp("fusermount3", "fusermount3", how, folder, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_sys(err, errno, "cannot start fusermount3");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
		return err_set(err, ERR_UNSUPPORTED, "there is no fusermount3; install the package fuse3");
	if (status)
		return err_set(err, ERR_STATE, "cannot unmount '%s': see who uses it with 'fuser -vm %s'",
			       folder, folder);
	return 0;
}

static bool is_dead(const char *folder)
{
	struct stat st;
	return stat(folder, &st) < 0 && errno == ENOTCONN;
}

static int resolve(const char *folder, char **ret, struct err *err)
{
	*ret = mount_resolve(folder);
	return *ret ? 0 : err_sys(err, errno, "cannot find the folder '%s'", folder);
}

static int do_mount(char **argv, struct err *err)
{
	CLEANUP(free) char *folder = NULL;
	const char *endpoint = getenv("CLOUDML_ENDPOINT");
	struct stat st;
	if (!endpoint)
		return err_set(err, ERR_INVALID, "no CLOUDML_ENDPOINT; use 'cloudml store mount'");
	int r = resolve(argv[2], &folder, err);
	if (r < 0)
		return r;
	if (mount_is_ours(folder)) {
		if (!is_dead(folder))
			return err_set(err, ERR_EXISTS,
				       "'%s' is mounted already; end that with 'cloudml store unmount'",
				       folder);
		r = detach(folder, "-uz", err);
	}
	if (r >= 0 && stat(folder, &st) < 0)
		r = err_sys(err, errno, "cannot look at '%s'", folder);
	else if (r >= 0 && !S_ISDIR(st.st_mode))
		r = err_set(err, ERR_INVALID, "'%s' is not a folder", folder);
	const struct mount_options o = {.endpoint = endpoint,
					.token = getenv("CLOUDML_TOKEN"),
					.bucket = argv[0],
					.prefix = argv[1],
					.folder = folder,
					.foreground = argv[3] != NULL};
	return r < 0 ? r : mount_run(&o, err);
}

static int do_unmount(const char *text, struct err *err)
{
	CLEANUP(free) char *folder = NULL;
	int r = resolve(text, &folder, err);
	if (r < 0)
		return r;
	if (!mount_is_ours(folder))
		return err_set(err, ERR_STATE, "'%s' is not a folder that 'cloudml store mount' has mounted",
			       folder);
	return detach(folder, is_dead(folder) ? "-uz" : "-u", err);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	int r;
	if ((argc == 5 || argc == 6) && !strcmp(argv[1], "mount"))
		r = do_mount(argv + 2, &err);
	else if (argc == 3 && !strcmp(argv[1], "unmount"))
		r = do_unmount(argv[2], &err);
	else
		r = err_set(&err, ERR_INVALID, "this is a part of 'cloudml store mount'; use that");
	if (r < 0)
		fprintf(stderr, "cloudml: %s\n", err.msg);
	return r < 0 ? err_exit(err.code) : 0;
}
