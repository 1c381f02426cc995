/* SPDX-License-Identifier: Apache-2.0 */
/* The task's log file as its writer sees it: append only, bounded, flushed about every second. */
#ifndef LOCAL_TASK_LOG_H
#define LOCAL_TASK_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define TASK_LOG_BYTES_MAX ((int64_t)1 << 30)
#define TASK_LOG_LINE_MAX 400

struct task_log {
	int fd;
	int64_t bytes, limit_bytes;
	bool truncated, unsynced;
	size_t partly;			  /* of the bytes offered last, how many are written */
	char line[TASK_LOG_LINE_MAX * 2]; /* being written */
	size_t line_len;
	char last_line[TASK_LOG_LINE_MAX]; /* last one with something in it, cleaned */
};
int task_log_open(struct task_log *l, int folder_fd, int64_t limit_bytes, struct err *err);
/* All of it or false (disk full): then offer the same bytes again. */
bool task_log_write(struct task_log *l, const char *data, size_t len);
/* A line of ours; best effort. */
void task_log_note(struct task_log *l, const char *text);
int task_log_sync(struct task_log *l, struct err *err); /* nothing when nothing is new */
void task_log_end_line(struct task_log *l);		/* a last line without newline counts too */
void task_log_close(struct task_log *l);

#endif
