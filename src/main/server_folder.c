/* SPDX-License-Identifier: Apache-2.0 */
/* The data folder: one server at a time, its token, its address for the command line. */
#include "main/server.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"

#define GONE_WAIT_MS 5000
#define GONE_STEP_MS 20

/* The lock file holds the pid of whoever has it; the lock itself is the kernel's. 0 when it does not say. */
static int holder(int dir_fd)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int pid = 0;
	if (fd_read_file(dir_fd, "run/lock", 64, &text, NULL) == 0)
		sscanf(buf_str(&text), "%d", &pid);
	return pid;
}

/* A process that has ended has no command line. */
static bool is_gone(int pid)
{
	CLEANUP(free) char *path = mem_printf("/proc/%d/cmdline", pid);
	CLEANUP(buf) struct buf line = BUF_INIT;
	return access("/proc/self/cmdline", R_OK) == 0 &&
	       (fd_read_file(AT_FDCWD, path, 65536, &line, NULL) < 0 || !line.len);
}

/* A server that was killed may hold its lock for a moment longer: its threads end one by one, and a child
 * that it was just starting has the descriptor until it executes its program. */
static int take_lock(int dir_fd, struct err *err)
{
	for (int waited_ms = 0;; waited_ms += GONE_STEP_MS) {
		int fd = fd_lock_file(dir_fd, "run/lock", false, err);
		if (fd != -ERR_CONFLICT || waited_ms >= GONE_WAIT_MS)
			return fd;
		int pid = holder(dir_fd);
		if (pid <= 0 || !is_gone(pid))
			return fd;
		usleep(GONE_STEP_MS * 1000);
	}
}

static int refuse_second(int dir_fd, const char *path, struct err *err)
{
	int pid = holder(dir_fd);
	if (pid <= 0)
		return err_set(err, ERR_CONFLICT, "another server already uses '%s'", path);
	return err_set(
	    err, ERR_CONFLICT,
	    "another server (pid %d) already uses '%s'; stop it with 'cloudml down' or give another "
	    "folder with --data",
	    pid, path);
}

/* Copies of the metadata that nobody took; whoever asked for them is gone. */
static void remove_snapshots(int dir_fd)
{
	CLEANUP(fd) int fd = openat(dir_fd, "run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(dir) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	if (!d)
		return;
	fd = -1;
	for (struct dirent *e; (e = readdir(d));)
		if (str_starts(e->d_name, "snapshot-"))
			unlinkat(dirfd(d), e->d_name, 0);
}

int server_folder_take(const char *path, struct server_folder *ret, struct err *err)
{
	int r = path_make_absolute_dirs(path, 0700, err);
	if (r < 0)
		return r;
	CLEANUP(fd) int dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return err_sys(err, errno, "cannot open the data folder '%s'", path);
	if (fchmod(dir_fd, 0700) < 0)
		return err_sys(err, errno, "cannot make the data folder '%s' private", path);
	r = path_mkdirs(dir_fd, "run", 0700, err);
	if (r < 0)
		return err_wrap(err, "in the data folder '%s'", path);
	CLEANUP(fd) int lock_fd = take_lock(dir_fd, err);
	if (lock_fd == -ERR_CONFLICT)
		return refuse_second(dir_fd, path, err);
	if (lock_fd < 0)
		return lock_fd;
	char pid[32];
	int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(lock_fd, 0) < 0 || pwrite(lock_fd, pid, (size_t)n, 0) != n)
		return err_sys(err, errno, "cannot write '%s/run/lock'", path);
	remove_snapshots(dir_fd);
	*ret = (struct server_folder){dir_fd, lock_fd};
	dir_fd = lock_fd = -1;
	return 0;
}

int server_folder_write_token(const struct server_folder *f, const char *token, struct err *err)
{
	char line[256];
	int n = snprintf(line, sizeof(line), "%s\n", token);
	return fd_write_file(f->dir_fd, "root-token", line, (size_t)n, 0600, err);
}

bool server_folder_has_token(const struct server_folder *f)
{
	return faccessat(f->dir_fd, "root-token", R_OK, 0) == 0;
}

int server_folder_announce(const struct server_folder *f, const char *endpoint, struct err *err)
{
	CLEANUP(json)
	json_t *j = json_pack("{s:s, s:i, s:s, s:I}", "endpoint", endpoint, "pid", (int)getpid(), "version",
			      CLOUDML_VERSION, "started_ms", (json_int_t)clock_wall_ms(&clock_real));
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write_pretty(j, &text);
	return fd_write_file_fast(f->dir_fd, "run/server.json", text.data, text.len, 0600, err);
}

void server_folder_leave(struct server_folder *f)
{
	if (f->dir_fd < 0)
		return;
	unlinkat(f->dir_fd, "run/server.json", 0);
	close(f->lock_fd);
	close(f->dir_fd);
	f->dir_fd = f->lock_fd = -1;
}
