/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, durable replacement of a file, locks. */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/rng.h"

#define READ_STEP_BYTES ((size_t)64 << 10)

int fd_write_all(int fd, const void *data, size_t len, struct err *err)
{
	const char *p = data;
	while (len) {
		ssize_t n = write(fd, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot write");
		p += n;
		len -= n;
	}
	return 0;
}

/* A regular file says how long it is: one allocation, one read. */
static size_t first_step(int fd, size_t max_bytes)
{
	struct stat st;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return READ_STEP_BYTES;
	return (uint64_t)st.st_size < max_bytes ? (size_t)st.st_size + 1 : max_bytes + 1;
}

int fd_read_all(int fd, size_t max_bytes, struct buf *ret, struct err *err)
{
	if (max_bytes > SIZE_MAX / 2)
		max_bytes = SIZE_MAX / 2;
	size_t total = 0, step = first_step(fd, max_bytes);
	for (;;) {
		if (step > max_bytes - total + 1)
			step = max_bytes - total + 1; /* one more, to see that there is more */
		buf_reserve(ret, step);
		ssize_t n = read(fd, ret->data + ret->len, step);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot read");
		if (n == 0)
			return 0;
		total += n;
		if (total > max_bytes) {
			ret->data[ret->len] = 0;
			return err_set(err, ERR_TOO_LARGE, "more than %zu bytes", max_bytes);
		}
		ret->len += n;
		ret->data[ret->len] = 0;
		step = READ_STEP_BYTES;
	}
}

int fd_read_file(int dir_fd, const char *path, size_t max_bytes, struct buf *ret, struct err *err)
{
	CLEANUP(fd) int fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open '%s'", path);
	int r = fd_read_all(fd, max_bytes, ret, err);
	return r < 0 ? err_wrap(err, "reading '%s'", path) : 0;
}

int fd_sync(int fd, struct err *err)
{
	/* Never retried: after a failed fsync the kernel may have dropped the dirty pages. */
	return fsync(fd) < 0 ? err_sys(err, errno, "cannot fsync") : 0;
}

/* A temporary file beside the target, so that the rename stays within one file system. */
struct replacement {
	int dir_fd;
	char tmp[300];
	const char *name;
};

static int write_temporary(struct replacement *w, const void *data, size_t len, mode_t mode, bool durable,
			   struct err *err)
{
	CLEANUP(fd)
	int fd = openat(w->dir_fd, w->tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot create '%s'", w->tmp);
	int r = fd_write_all(fd, data, len, err);
	if (r == 0 && fchmod(fd, mode & 07777) < 0)
		r = err_sys(err, errno, "cannot chmod '%s'", w->tmp);
	if (r == 0 && durable)
		r = fd_sync(fd, err);
	if (r == 0 && renameat(w->dir_fd, w->tmp, w->dir_fd, w->name) < 0)
		r = err_sys(err, errno, "cannot rename '%s' to '%s'", w->tmp, w->name);
	if (r < 0)
		unlinkat(w->dir_fd, w->tmp, 0);
	return r;
}

static int replace_file(int dir_fd, const char *path, const void *data, size_t len, mode_t mode, bool durable,
			struct err *err)
{
	const char *slash = strrchr(path, '/');
	CLEANUP(free)
	char *folder = slash ? mem_strndup(path, slash == path ? 1 : slash - path) : mem_strdup(".");
	CLEANUP(fd) int folder_fd = openat(dir_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return err_sys(err, errno, "cannot open folder '%s'", folder);
	struct replacement w = {.dir_fd = folder_fd, .name = slash ? slash + 1 : path};
	char id[13];
	rng_id(&rng_system, id, sizeof(id) - 1);
	snprintf(w.tmp, sizeof(w.tmp), ".%.200s.%s.tmp", w.name, id);
	int r = write_temporary(&w, data, len, mode, durable, err);
	if (r == 0 && durable)
		r = fd_sync(folder_fd, err);
	return r < 0 ? err_wrap(err, "writing '%s'", path) : 0;
}

int fd_write_file(int dir_fd, const char *path, const void *data, size_t len, mode_t mode, struct err *err)
{
	return replace_file(dir_fd, path, data, len, mode, true, err);
}

int fd_write_file_fast(int dir_fd, const char *path, const void *data, size_t len, mode_t mode,
		       struct err *err)
{
	return replace_file(dir_fd, path, data, len, mode, false, err);
}

int fd_lock_file(int dir_fd, const char *path, bool wait, struct err *err)
{
	CLEANUP(fd) int fd = openat(dir_fd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot open lock '%s'", path);
	int r;
	do
		r = flock(fd, LOCK_EX | (wait ? 0 : LOCK_NB));
	while (r < 0 && errno == EINTR);
	if (r < 0 && errno == EWOULDBLOCK)
		return err_set(err, ERR_CONFLICT, "'%s' is locked by another process", path);
	if (r < 0)
		return err_sys(err, errno, "cannot lock '%s'", path);
	int locked = fd;
	fd = -1;
	return locked;
}

int fd_set_nonblock(int fd, struct err *err)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_sys(err, errno, "cannot make descriptor %d non-blocking", fd);
	return 0;
}
