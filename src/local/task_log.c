/* SPDX-License-Identifier: Apache-2.0 */
/* The task's log file. */
#include "local/task_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/unit.h"
#include "local/fd_drop.h"
#include "local/task_folder.h"
#include "local/text_clean.h"

int task_log_open(struct task_log *l, int folder_fd, int64_t limit_bytes, struct err *err)
{
	*l = (struct task_log){.limit_bytes = limit_bytes};
	l->fd = openat(folder_fd, FOLDER_LOG, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;
	if (l->fd < 0 || fstat(l->fd, &st) < 0)
		return err_sys(err, errno, "cannot open the task's log");
	l->bytes = st.st_size;
	return 0;
}

static void end_line(struct task_log *l)
{
	char clean[TASK_LOG_LINE_MAX];
	if (text_clean(l->line, l->line_len, clean, sizeof(clean)))
		memcpy(l->last_line, clean, sizeof(clean));
	l->line_len = 0;
}

static void watch_lines(struct task_log *l, const char *data, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (data[i] == '\n' || data[i] == '\r')
			end_line(l);
		else if (l->line_len < sizeof(l->line))
			l->line[l->line_len++] = data[i];
	}
}

static bool append(struct task_log *l, const char *data, size_t len)
{
	while (l->partly < len) {
		ssize_t n = write(l->fd, data + l->partly, len - l->partly);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		l->partly += (size_t)n;
		l->bytes += n;
		l->unsynced = true;
	}
	l->partly = 0;
	return true;
}

static void note_truncation(struct task_log *l)
{
	char limit[32];
	unit_format_bytes(l->limit_bytes, limit);
	CLEANUP(free)
	char *note =
	    mem_printf("\ncloudml: the log has reached its limit of %s; what follows is not kept\n", limit);
	l->truncated = true;
	struct err ignored = ERR_INIT;
	fd_write_all(l->fd, note, strlen(note), &ignored);
}

bool task_log_write(struct task_log *l, const char *data, size_t len)
{
	if (!l->truncated) {
		int64_t start = l->bytes - (int64_t)l->partly; /* where this offer begins in the file */
		size_t room = start < l->limit_bytes ? (size_t)(l->limit_bytes - start) : 0;
		if (!append(l, data, len < room ? len : room))
			return false;
		if (len > room)
			note_truncation(l);
	}
	watch_lines(l, data, len);
	return true;
}

void task_log_note(struct task_log *l, const char *text)
{
	CLEANUP(free) char *line = mem_printf("cloudml: %s\n", text);
	struct err ignored = ERR_INIT;
	if (l->truncated || fd_write_all(l->fd, line, strlen(line), &ignored) < 0)
		return;
	l->bytes += (int64_t)strlen(line);
	l->unsynced = true;
}

int task_log_sync(struct task_log *l, struct err *err)
{
	if (!l->unsynced)
		return 0;
	l->unsynced = false;
	return fdatasync(l->fd) < 0 ? err_sys(err, errno, "cannot flush the task's log") : 0;
}

void task_log_end_line(struct task_log *l)
{
	end_line(l);
}

void task_log_close(struct task_log *l)
{
	fd_drop(&l->fd);
}
