/* SPDX-License-Identifier: Apache-2.0 */
/* A task's metrics: lines of JSON arrays ["name", unix_ms, step, value]. */
#include "local/task_series.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "local/fd_drop.h"
#include "local/task_folder.h"

#define LINE_MAX_BYTES 512

int task_series_open(struct task_series *s, int folder_fd, struct err *err)
{
	struct stat st;
	s->fd =
	    openat(folder_fd, FOLDER_METRICS, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return err_sys(err, errno, "cannot open the task's metrics");
	s->bytes = st.st_size;
	return 0;
}

void task_series_add(struct task_series *s, const char *name, int64_t now_ms, int64_t step, double value)
{
	if (!isfinite(value) || s->bytes >= TASK_SERIES_BYTES_MAX)
		return;
	CLEANUP(json)
	json_t *j = json_pack("[s, I, I, f]", name, (json_int_t)now_ms, (json_int_t)step, value);
	CLEANUP(buf) struct buf line = BUF_INIT;
	if (!j)
		return;
	json_write(j, &line);
	buf_addc(&line, '\n');
	if (line.len > LINE_MAX_BYTES)
		return;
	ssize_t n = write(s->fd, line.data, line.len);
	if (n > 0)
		s->bytes += n;
}

void task_series_close(struct task_series *s)
{
	fd_drop(&s->fd);
}

struct series {
	json_t *points; /* borrowed from the result */
	size_t stride, skipped;
};

/* Keeps the points evenly spread: at the limit every other one goes and from then on half as many are kept.
 */
static void thin(struct series *s)
{
	size_t kept = 0, n = json_array_size(s->points);
	for (size_t i = 0; i < n; i += 2)
		json_array_set(s->points, kept++, json_array_get(s->points, i));
	while (json_array_size(s->points) > kept)
		json_array_remove(s->points, json_array_size(s->points) - 1);
	s->stride *= 2;
}

static void take_point(struct map *all, json_t *result, const json_t *line)
{
	const char *name = json_string_value(json_array_get(line, 0));
	if (!name || json_array_size(line) != 4)
		return;
	struct series *s = map_get(all, name);
	if (!s) {
		if (map_count(all) >= TASK_SERIES_NAMES_MAX)
			return;
		s = MEM_NEW(struct series);
		s->points = json_array();
		s->stride = 1;
		json_object_set_new(result, name, s->points);
		map_set(all, name, s);
	}
	if (++s->skipped < s->stride)
		return;
	s->skipped = 0;
	json_array_append_new(s->points, json_pack("[O, O, O]", json_array_get(line, 1),
						   json_array_get(line, 2), json_array_get(line, 3)));
	if (json_array_size(s->points) >= TASK_SERIES_POINTS_MAX)
		thin(s);
}

int task_series_read(int folder_fd, json_t **ret, struct err *err)
{
	CLEANUP(json) json_t *result = json_object();
	CLEANUP(map) struct map *all = map_new(free);
	int fd = openat(folder_fd, FOLDER_METRICS, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot open the task's metrics");
	CLEANUP(file) FILE *f = fd >= 0 ? fdopen(fd, "r") : NULL;
	char text[LINE_MAX_BYTES + 2];
	while (f && fgets(text, sizeof(text), f)) {
		size_t len = strlen(text);
		if (!len || text[len - 1] != '\n')
			continue;
		CLEANUP(json) json_t *line = json_loadb(text, len - 1, 0, NULL);
		if (line && json_is_array(line))
			take_point(all, result, line);
	}
	*ret = STEAL(result);
	return 0;
}
