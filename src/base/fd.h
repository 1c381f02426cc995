/* SPDX-License-Identifier: Apache-2.0 */
/* Whole reads and writes, durable files, locks. */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/buf.h"
#include "base/err.h"

int fd_write_all(int fd, const void *data, size_t len, struct err *err);
int fd_read_all(int fd, size_t max_bytes, struct buf *ret,
		struct err *err); /* appends; ERR_TOO_LARGE past max */
int fd_read_file(int dir_fd, const char *path, size_t max_bytes, struct buf *ret, struct err *err);
int fd_sync(int fd, struct err *err);
/* Writes 'path' so that after return either the old or the new content is there, durably: temporary file,
 * fsync, rename, fsync of the folder. dir_fd may be AT_FDCWD. */
int fd_write_file(int dir_fd, const char *path, const void *data, size_t len, mode_t mode, struct err *err);
/* As above without the fsyncs: atomic for readers, not durable. For status files. */
int fd_write_file_fast(int dir_fd, const char *path, const void *data, size_t len, mode_t mode,
		       struct err *err);
/* Exclusive flock(2) on a file that is created when absent. Returns the fd that holds the lock (owned);
 * -ERR_CONFLICT when somebody else has it and wait is false. */
int fd_lock_file(int dir_fd, const char *path, bool wait, struct err *err);
int fd_set_nonblock(int fd, struct err *err);

#endif
