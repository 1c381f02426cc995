/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of relative paths and opening beneath a folder. */
#include "base/path.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/mem.h"

static const char *segment_fault(const char *s, size_t len)
{
	if (len == 0)
		return "has an empty segment";
	if (len > PATH_SEGMENT_MAX)
		return "has a segment that is too long";
	if ((len == 1 && s[0] == '.') || (len == 2 && s[0] == '.' && s[1] == '.'))
		return "has a '.' or '..' segment";
	for (size_t i = 0; i < len; i++) {
		unsigned char c = s[i];
		if (c < 0x20 || c == 0x7f)
			return "has a control character";
		if (c == '\\')
			return "has a backslash";
	}
	return NULL;
}

/* NULL when the path is clean, else what is wrong with it. */
static const char *path_fault(const char *path, size_t len)
{
	if (len == 0)
		return "is empty";
	if (len > PATH_CLEAN_MAX)
		return "is too long";
	if (path[0] == '/')
		return "starts with '/'";
	if (path[len - 1] == '/')
		return "ends with '/'";
	for (size_t start = 0; start <= len;) {
		const char *slash = memchr(path + start, '/', len - start);
		size_t end = slash ? (size_t)(slash - path) : len;
		const char *fault = segment_fault(path + start, end - start);
		if (fault)
			return fault;
		start = end + 1;
	}
	return NULL;
}

int path_check(const char *path, size_t len, struct err *err)
{
	const char *fault = path_fault(path, len);
	if (!fault)
		return 0;
	char shown[81]; /* printable part of it, so that the message can be shown anywhere */
	size_t n = len < sizeof(shown) - 1 ? len : sizeof(shown) - 1;
	for (size_t i = 0; i < n; i++)
		shown[i] = (unsigned char)path[i] < 0x20 || (unsigned char)path[i] >= 0x7f ? '?' : path[i];
	shown[n] = 0;
	return err_set(err, ERR_INVALID, "path '%s' %s", shown, fault);
}

static int open_error(int sys, const char *path, struct err *err)
{
	switch (sys) {
	case EXDEV:
	case ELOOP:
		return err_set(err, ERR_INVALID,
			       "cannot open '%s': leads through a link or out of its folder", path);
	case ENOTDIR:
		return err_set(err, ERR_NOT_FOUND, "cannot open '%s': part of it is not a folder", path);
	case EISDIR:
	case ENAMETOOLONG:
		return err_set(err, ERR_INVALID, "cannot open '%s': %s", path, strerrordesc_np(sys));
	default:
		return err_sys(err, sys, "cannot open '%s'", path);
	}
}

int path_open(int dir_fd, const char *path, int flags, mode_t mode, struct err *err)
{
	bool creates = (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
	struct open_how how = {.flags = (unsigned int)flags | O_CLOEXEC,
			       .mode = creates ? mode & 07777 : 0,
			       .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
	long fd;
	int tries =
	    64; /* EAGAIN: something was renamed while the kernel walked; a stranger may do that for ever */
	do
		fd = syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
	while (fd < 0 && (errno == EINTR || (errno == EAGAIN && --tries)));
	return fd < 0 ? open_error(errno, path, err) : (int)fd;
}

static int make_dir(int dir_fd, const char *name, mode_t mode, struct err *err)
{
	if (mkdirat(dir_fd, name, mode) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot create folder '%s'", name);
	return 0;
}

int path_mkdirs(int dir_fd, const char *path, mode_t mode, struct err *err)
{
	CLEANUP(free) char *copy = mem_strdup(path);
	CLEANUP(fd) int held = -1;
	int at = dir_fd, r;
	char *rest = NULL;
	for (char *name = strtok_r(copy, "/", &rest); name; name = strtok_r(NULL, "/", &rest)) {
		r = make_dir(at, name, mode, err);
		if (r < 0)
			return err_wrap(err, "making '%s'", path);
		r = path_open(at, name, O_PATH | O_DIRECTORY, 0, err);
		if (r < 0)
			return err_wrap(err, "making '%s'", path);
		cleanup_fd(&held);
		at = held = r;
	}
	return 0;
}

int path_make_absolute_dirs(const char *path, mode_t mode, struct err *err)
{
	CLEANUP(free) char *copy = mem_strdup(path);
	for (char *p = copy + (copy[0] == '/');; p++) {
		if (*p != '/' && *p != 0)
			continue;
		char end = *p;
		*p = 0;
		if (*copy && mkdir(copy, mode) < 0 && errno != EEXIST)
			return err_sys(err, errno, "cannot create folder '%s'", copy);
		*p = end;
		if (!end)
			break;
	}
	struct stat st;
	if (stat(path, &st) < 0)
		return err_sys(err, errno, "cannot create folder '%s'", path);
	return S_ISDIR(st.st_mode) ? 0 : err_set(err, ERR_EXISTS, "'%s' is there and is not a folder", path);
}

int path_of_program(char **ret, struct err *err)
{
	static const char gone[] = " (deleted)"; /* what the kernel appends */
	char path[PATH_MAX + sizeof(gone)];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	if (n < 0)
		return err_sys(err, errno, "cannot read '/proc/self/exe'");
	path[n] = 0;
	if (str_ends(path, gone))
		path[n - (ssize_t)strlen(gone)] = 0;
	if (access(path, X_OK) < 0)
		return err_set(err, ERR_NOT_FOUND,
			       "our own program '%s' is gone from the disk; install it again", path);
	*ret = mem_strdup(path);
	return 0;
}

void path_format(char *ret, size_t cap, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(ret, cap, fmt, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < cap);
}
