/* SPDX-License-Identifier: Apache-2.0 */
/* Removal of a tree that a stranger may have made. A folder that is not empty is moved up beneath the top
 * instead of being walked into, so neither depth of nesting nor length of names costs stack, descriptors or
 * path length. */
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/rng.h"

/* A folder that was made unreadable is opened up first; it is ours to remove. */
static DIR *open_folder(int dir_fd, const char *name)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return NULL;
	if (S_ISDIR(st.st_mode) && (st.st_mode & 0700) != 0700)
		fchmodat(dir_fd, name, 0700, 0);
	int fd = openat(dir_fd, name, flags);
	if (fd < 0)
		return NULL;
	DIR *d = fdopendir(fd);
	if (!d)
		close(fd);
	return d;
}

/* 1 when the entry is gone, 0 when it is a folder that is not empty, -1 with errno. */
static int remove_entry(int dir_fd, const char *name)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
		return 1;
	if (errno != EISDIR && errno != EPERM)
		return -1;
	if (unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 1;
	return errno == ENOTEMPTY || errno == EEXIST ? 0 : -1;
}

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int move_up(int dir_fd, const char *name, int top_fd)
{
	char up[32] = "rm-";
	rng_id(&rng_system, up + 3, 20);
	if (renameat(dir_fd, name, top_fd, up) == 0)
		return 0;
	if (errno != EACCES) /* its '..' is written when it moves: needs write permission on it */
		return -1;
	fchmodat(dir_fd, name, 0700, 0);
	return renameat(dir_fd, name, top_fd, up);
}

/* Empties the folder 'name' of top: files go, full folders move to top. */
static int empty_folder(int top_fd, const char *name)
{
	CLEANUP(dir) DIR *d = open_folder(top_fd, name);
	if (!d)
		return -1;
	for (struct dirent *e; (errno = 0, e = readdir(d));) {
		if (is_dots(e->d_name))
			continue;
		int r = remove_entry(dirfd(d), e->d_name);
		if (r == 0)
			r = move_up(dirfd(d), e->d_name, top_fd);
		if (r < 0)
			return -1;
	}
	return errno ? -1 : 0;
}

/* One pass over top. 1 when something was left to do, 0 when it was empty, -1 with errno. */
static int sweep(DIR *top)
{
	int found = 0;
	rewinddir(top);
	for (struct dirent *e; (errno = 0, e = readdir(top));) {
		if (is_dots(e->d_name))
			continue;
		found = 1;
		int r = remove_entry(dirfd(top), e->d_name);
		if (r == 0)
			r = empty_folder(dirfd(top), e->d_name);
		if (r < 0)
			return -1;
	}
	return errno ? -1 : found;
}

static int remove_folder(int parent_fd, const char *name)
{
	CLEANUP(dir) DIR *top = open_folder(parent_fd, name);
	if (!top)
		return errno == ENOENT ? 0 : -1;
	int r;
	while ((r = sweep(top)) > 0)
		;
	if (r < 0)
		return -1;
	return unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -1 : 0;
}

/* The folder that holds the last part of 'path'. An absolute path of ours is resolved as usual. */
static int open_parent(int dir_fd, const char *path, const char *slash, struct err *err)
{
	const int flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
	CLEANUP(free)
	char *parent = slash ? mem_strndup(path, slash == path ? 1 : slash - path) : mem_strdup(".");
	if (dir_fd != AT_FDCWD)
		return path_open(dir_fd, parent, flags, 0, err);
	int fd = open(parent, flags);
	return fd < 0 ? err_sys(err, errno, "cannot open folder '%s'", parent) : fd;
}

int path_remove_tree(int dir_fd, const char *path, struct err *err)
{
	struct err e = ERR_INIT;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	CLEANUP(fd) int parent_fd = open_parent(dir_fd, path, slash, &e);
	if (parent_fd == -ERR_NOT_FOUND)
		return 0;
	if (parent_fd < 0)
		return err_set(err, e.code, "cannot remove '%s': %s", path, e.msg);
	int r = remove_entry(parent_fd, name);
	if (r == 0)
		r = remove_folder(parent_fd, name);
	return r < 0 ? err_sys(err, errno, "cannot remove '%s'", path) : 0;
}
