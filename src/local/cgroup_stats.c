/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the counters of a container's control groups. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/cgroup_file.h"

int cgroup_write(const char *path, const char *text, struct err *err)
{
	CLEANUP(fd) int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot open '%s'", path);
	if (write(fd, text, strlen(text)) < 0)
		return err_sys(err, errno, "cannot write '%s' to '%s'", text, path);
	return 0;
}

/* The number in a file, or behind 'key' at the start of a line; -1 when unknown ("max" too). */
static int64_t read_number(const char *folder, const char *file, const char *key)
{
	char path[PATH_MAX], *end;
	CLEANUP(buf) struct buf text = BUF_INIT;
	path_format(path, sizeof(path), "%s/%s", folder, file);
	if (fd_read_file(AT_FDCWD, path, 65536, &text, NULL) < 0)
		return -1;
	const char *at = buf_str(&text);
	size_t n = key ? strlen(key) : 0;
	while (key && !(strncmp(at, key, n) == 0 && at[n] == ' ')) {
		at = strchr(at, '\n');
		if (!at)
			return -1;
		at++;
	}
	at += n;
	int64_t value = strtoll(at, &end, 10);
	return end == at ? -1 : value;
}

static int64_t without_cache(int64_t usage, int64_t inactive_file)
{
	return inactive_file > 0 && inactive_file < usage ? usage - inactive_file : usage;
}

static void stats_v1(const struct cgroup_tree *t, const char *name, struct container_stats *ret)
{
	char memory[PATH_MAX], cpu[PATH_MAX], pids[PATH_MAX];
	cgroup_folder(t, "memory", name, memory, sizeof(memory));
	cgroup_folder(t, "cpuacct", name, cpu, sizeof(cpu));
	cgroup_folder(t, "pids", name, pids, sizeof(pids));
	int64_t nanoseconds = read_number(cpu, "cpuacct.usage", NULL);
	ret->cpu_usec = nanoseconds < 0 ? -1 : nanoseconds / 1000;
	ret->memory_bytes = without_cache(read_number(memory, "memory.usage_in_bytes", NULL),
					  read_number(memory, "memory.stat", "total_inactive_file"));
	ret->memory_peak_bytes = read_number(memory, "memory.max_usage_in_bytes", NULL);
	ret->processes = read_number(pids, "pids.current", NULL);
	ret->oom_kills = read_number(memory, "memory.oom_control", "oom_kill");
}

static void stats_v2(const struct cgroup_tree *t, const char *name, struct container_stats *ret)
{
	char folder[PATH_MAX];
	cgroup_folder(t, "", name, folder, sizeof(folder));
	ret->cpu_usec = read_number(folder, "cpu.stat", "usage_usec");
	ret->memory_bytes = without_cache(read_number(folder, "memory.current", NULL),
					  read_number(folder, "memory.stat", "inactive_file"));
	ret->memory_peak_bytes = read_number(folder, "memory.peak", NULL);
	ret->processes = read_number(folder, "pids.current", NULL);
	ret->oom_kills = read_number(folder, "memory.events", "oom_kill");
}

int cgroup_stats(const struct cgroup_tree *t, const char *name, struct container_stats *ret, struct err *err)
{
	struct container_stats s = {0};
	if (cgroup_is_v2(t))
		stats_v2(t, name, &s);
	else
		stats_v1(t, name, &s);
	if (s.memory_bytes < 0)
		return err_set(err, ERR_NOT_FOUND, "no control group of container '%s'", name);
	*ret = s;
	return 0;
}

void cgroup_final(const struct cgroup_tree *t, const char *name, int64_t *ret_oom_kills,
		  int64_t *ret_peak_bytes)
{
	char folder[PATH_MAX];
	bool v2 = cgroup_is_v2(t);
	cgroup_folder(t, "memory", name, folder, sizeof(folder));
	*ret_oom_kills = read_number(folder, v2 ? "memory.events" : "memory.oom_control", "oom_kill");
	*ret_peak_bytes = read_number(folder, v2 ? "memory.peak" : "memory.max_usage_in_bytes", NULL);
}
