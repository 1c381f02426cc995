/* SPDX-License-Identifier: Apache-2.0 */
/* Reaching a container by its name: signals, counters, killing, cleaning up, listing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/netns.h"
#include "local/container_int.h"

#define CLEANUP_WAIT_MS 5000
#define CLEANUP_STEP_MS 2

static int find_tree(const char *name, struct cgroup_tree *ret, struct err *err)
{
	struct runtime runtime;
	int r = container_name_check(name, err);
	r = r < 0 ? r : runtime_detect(&runtime, err);
	if (r >= 0)
		*ret = container_tree(&runtime);
	return r;
}

/* A descriptor of init's process, so that the number cannot become somebody else's while we look. */
static int init_open(const struct cgroup_tree *tree, const char *name, bool *ret_listens)
{
	bool again;
	pid_t pid = cgroup_init(tree, name, "/proc", ret_listens);
	int fd = pid > 1 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	if (fd < 0 || cgroup_init(tree, name, "/proc", &again) == pid)
		return fd;
	close(fd);
	return -1;
}

int container_signal(const char *name, int signal_number, struct err *err)
{
	struct cgroup_tree tree;
	char state[PATH_MAX];
	bool listens = false;
	int r = find_tree(name, &tree, err);
	if (r < 0)
		return r;
	CLEANUP(fd) int fd = init_open(&tree, name, &listens);
	path_format(state, sizeof(state), RUNTIME_STATE "/%s", name);
	if (fd < 0 && access(state, F_OK) < 0)
		return err_set(err, ERR_NOT_FOUND, "container '%s' does not run", name);
	if (fd < 0 || !listens)
		return err_set(err, ERR_STATE, "container '%s' is starting or ending; try again", name);
	if (syscall(SYS_pidfd_send_signal, fd, signal_number, NULL, 0) < 0)
		return err_sys(err, errno, "cannot send signal %d to container '%s'", signal_number, name);
	return 0;
}

static void kill_once(const struct cgroup_tree *tree, const char *name, int *ret_count)
{
	bool listens;
	CLEANUP(fd) int fd = init_open(tree, name, &listens);
	/* The death of process 1 takes its whole process namespace with it, without a race. */
	if (fd >= 0)
		syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0);
	*ret_count = cgroup_kill(tree, name);
}

int container_kill(const char *name, struct err *err)
{
	struct cgroup_tree tree;
	int count, r = find_tree(name, &tree, err);
	if (r >= 0)
		kill_once(&tree, name, &count);
	return r;
}

int container_stats(const char *name, struct container_stats *ret, struct err *err)
{
	struct cgroup_tree tree;
	int r = find_tree(name, &tree, err);
	return r < 0 ? r : cgroup_stats(&tree, name, ret, err);
}

/* Until all processes are dead and all groups gone. */
static int cleanup_cgroups(const struct cgroup_tree *tree, const char *name, struct err *err)
{
	const struct timespec step = {0, CLEANUP_STEP_MS * 1000000L};
	int64_t until_ms = clock_monotonic_ms(&clock_real) + CLEANUP_WAIT_MS;
	for (;;) {
		int count = 0;
		if (cgroup_remove(tree, name))
			return 0;
		kill_once(tree, name, &count);
		if (clock_monotonic_ms(&clock_real) > until_ms)
			return err_set(err, ERR_STATE,
				       "%d processes of container '%s' do not die (stuck in the kernel?); "
				       "clean up again later",
				       count, name);
		/* There is no event for the last process of a version 1 group. */
		nanosleep(&step, NULL);
	}
}

int container_cleanup(const char *name, const char *folder, struct err *err)
{
	struct cgroup_tree tree;
	char path[PATH_MAX];
	int r = find_tree(name, &tree, err);
	r = r < 0 ? r : cleanup_cgroups(&tree, name, err);
	if (r < 0)
		return r;
	path_format(path, sizeof(path), RUNTIME_STATE "/%s", name);
	r = path_remove_tree(AT_FDCWD, path, err);
	if (r < 0)
		return err_wrap(err, "cleaning up container '%s'", name);
	if (!folder)
		return 0;
	path_format(path, sizeof(path), "%s/bundle", folder);
	r = path_remove_tree(AT_FDCWD, path, err);
	return r < 0 ? err_wrap(err, "cleaning up container '%s'", name) : 0;
}

int container_network_remove(const char *network_name, struct err *err)
{
	char path[NETNS_PATH_MAX];
	int r = container_name_check(network_name, err);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), NETNS_FOLDER "/%s", network_name);
	return netns_remove_shared(path, err);
}

static bool has_name(char *const *names, const char *name)
{
	for (; *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

int container_list(char ***ret, struct err *err)
{
	struct runtime runtime;
	CLEANUP(strings) char **names = NULL;
	int r = runtime_detect(&runtime, err);
	if (r < 0)
		return r;
	struct cgroup_tree tree = container_tree(&runtime);
	r = cgroup_list(&tree, &names, err);
	if (r < 0)
		return r;
	CLEANUP(dir) DIR *d = opendir(RUNTIME_STATE);
	size_t count = strings_count(names);
	for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
		if (e->d_name[0] == '.' || has_name(names, e->d_name))
			continue;
		names = mem_realloc(names, (count + 2) * sizeof(*names));
		names[count++] = mem_strdup(e->d_name);
		names[count] = NULL;
	}
	*ret = STEAL(names);
	return 0;
}
