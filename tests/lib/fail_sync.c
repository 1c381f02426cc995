/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into a server by tests: while the file named by FAIL_SYNC exists, no database log can be synced.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int must_fail(int fd)
{
	const char *mark = getenv("FAIL_SYNC");
	char link[64], target[4096];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = mark ? readlink(link, target, sizeof(target) - 1) : -1;
	if (len < 4 || memcmp(target + len - 4, "-wal", 4) != 0 || access(mark, F_OK) != 0)
		return 0;
	errno = EIO;
	return 1;
}

static int pass_on(const char *name, int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
	return real ? real(fd) : -1;
}

int fsync(int fd)
{
	return must_fail(fd) ? -1 : pass_on("fsync", fd);
}

int fdatasync(int fd)
{
	return must_fail(fd) ? -1 : pass_on("fdatasync", fd);
}
