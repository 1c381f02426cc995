/* SPDX-License-Identifier: Apache-2.0 */
/* Relative paths from strangers: checked once, opened beneath a folder, never joined by hand. */
#ifndef BASE_PATH_H
#define BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include "base/err.h"

#define PATH_CLEAN_MAX 1024  /* bytes of a clean path, without NUL */
#define PATH_SEGMENT_MAX 255 /* bytes of one segment */

/* Refuses (ERR_INVALID, says what): empty, leading or trailing '/', empty segment, "." or "..", NUL or other
 * control character, backslash, too long. 'len' bytes, not NUL-terminated. */
int path_check(const char *path, size_t len, struct err *err);
/* openat2(2) with RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | O_CLOEXEC. Returns the fd (owned) or -code. */
int path_open(int dir_fd, const char *path, int flags, mode_t mode, struct err *err);
/* mkdir -p of 'path' beneath dir_fd. */
int path_mkdirs(int dir_fd, const char *path, mode_t mode, struct err *err);
/* mkdir -p of an absolute path of ours. */
int path_make_absolute_dirs(const char *path, mode_t mode, struct err *err);
/* Removes a tree of ours below dir_fd; never follows links; absence is success. */
int path_remove_tree(int dir_fd, const char *path, struct err *err);
/* Where the running program lies on the disk, or its successor after an upgrade. Returns owned; ERR_NOT_FOUND
 * when nothing is there any more. */
int path_of_program(char **ret, struct err *err);
/* "a/b" from printf parts; aborts when it does not fit; for paths made of our own parts only. */
void path_format(char *ret, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
