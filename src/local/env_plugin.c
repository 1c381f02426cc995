/* SPDX-License-Identifier: Apache-2.0 */
/* TensorFlow's file system in environments. */
#include "local/env_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

/* One line, as site.py wants it. Last on the path: a module of the user's with this name goes first. The
 * package is imported when TensorFlow is asked for, so that nobody else pays for reading it. */
static const char line[] =
    "import os, sys; os.path.isdir('/.cloudml/python/cloudml_fds') and (sys.path.append('/.cloudml/python'), "
    "sys.meta_path.insert(0, type('cloudml', (), {'find_spec': lambda name, path=None, target=None: "
    "__import__('cloudml_fds').find_late(name) if name == 'tensorflow' else None})))\n";

/* A finished environment is written by us alone, but its builder may have left anything under our names. */
static bool is_there(int folder_fd)
{
	char have[sizeof(line)];
	struct stat st;
	CLEANUP(fd)
	int fd = openat(folder_fd, ENV_PLUGIN_FILE, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (size_t)st.st_size == sizeof(line) - 1 &&
	       read(fd, have, sizeof(have)) == (ssize_t)sizeof(line) - 1 &&
	       memcmp(have, line, sizeof(line) - 1) == 0;
}

static int write_line(int folder_fd, const char *name, struct err *err)
{
	unlinkat(folder_fd, name, 0); /* of a process with our id that died */
	CLEANUP(fd)
	int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0 || fchmod(fd, 0644) < 0)
		return err_sys(err, errno, "cannot make '%s' in an environment", name);
	int r = fd_write_all(fd, line, sizeof(line) - 1, err);
	if (r == 0)
		r = fd_sync(fd, err);
	if (r == 0 && renameat(folder_fd, name, folder_fd, ENV_PLUGIN_FILE) < 0)
		r = err_sys(err, errno, "cannot put '%s' into an environment", ENV_PLUGIN_FILE);
	if (r < 0)
		unlinkat(folder_fd, name, 0);
	return r;
}

int env_plugin_hook(const char *path, const char *python, struct err *err)
{
	char name[64];
	CLEANUP(free) char *packages = mem_printf("lib/%s/site-packages", python);
	CLEANUP(fd) int env_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (env_fd < 0)
		return err_sys(err, errno, "cannot open the environment '%s'", path);
	CLEANUP(fd) int folder_fd = path_open(env_fd, packages, O_RDONLY | O_DIRECTORY, 0, err);
	if (folder_fd < 0)
		return folder_fd;
	if (is_there(folder_fd))
		return 0;
	snprintf(name, sizeof(name), ENV_PLUGIN_FILE ".%ld", (long)getpid());
	return write_line(folder_fd, name, err);
}

/* Takes path. Clean, as a mount wants it. */
static char *package_at(char *path)
{
	CLEANUP(free) char *owned = path;
	CLEANUP(free) char *library = mem_printf("%s/libcloudml_fds.so", path);
	return access(library, R_OK) == 0 ? realpath(path, NULL) : NULL;
}

char *env_plugin_find(void)
{
	static const char *const places[] = {"python", "../libexec/cloudml/python",
					     "../../plugins/tensorflow"};
	const char *libexec = getenv("CLOUDML_LIBEXEC");
	CLEANUP(free) char *self = NULL;
	char *ret = libexec && *libexec ? package_at(mem_printf("%s/python/cloudml_fds", libexec)) : NULL;
	if (ret || path_of_program(&self, NULL) < 0)
		return ret;
	*strrchr(self, '/') = 0;
	for (size_t i = 0; i < ARRAY_LEN(places) && !ret; i++)
		ret = package_at(mem_printf("%s/%s/cloudml_fds", self, places[i]));
	return ret;
}
