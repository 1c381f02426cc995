/* SPDX-License-Identifier: Apache-2.0 */
/* A task's metrics: appended by the shim as lines, read as series by the server. */
#ifndef LOCAL_TASK_SERIES_H
#define LOCAL_TASK_SERIES_H

#include <stdint.h>
#include <jansson.h>
#include "base/err.h"

#define TASK_SERIES_BYTES_MAX ((int64_t)64 << 20) /* of the file; then nothing more is kept */
#define TASK_SERIES_NAMES_MAX 80
#define TASK_SERIES_POINTS_MAX 4000 /* of one series as read; beyond, every other point is dropped */

struct task_series {
	int fd;
	int64_t bytes;
};
int task_series_open(struct task_series *s, int folder_fd, struct err *err);
/* Best effort: a full disk loses points, not the task. Values that are no numbers are left out. */
void task_series_add(struct task_series *s, const char *name, int64_t now_ms, int64_t step, double value);
void task_series_close(struct task_series *s);

/* {"loss": [[unix_ms, step, value], …], …}, whatever could be read; a torn last line is left out. An absent
 * file is an empty object. Blocks. Returns owned. */
int task_series_read(int folder_fd, json_t **ret, struct err *err);

#endif
