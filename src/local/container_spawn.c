/* SPDX-License-Identifier: Apache-2.0 */
/* Starting a container: everything that has to be ready before fork. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/container_launch.h"
#include "local/task_socket.h"

static void close_pair(int pair[2])
{
	cleanup_fd(&pair[0]);
	cleanup_fd(&pair[1]);
	pair[0] = pair[1] = -1;
}

static void cleanup_launch(struct launch *l)
{
	close_pair(l->input);
	close_pair(l->gate);
	close_pair(l->leave);
	close_pair(l->entered);
	close_pair(l->inside);
	close_pair(l->report);
	cleanup_fd(&l->null);
	oci_rootfs_done(&l->root);
}

static int make_pipe(int pair[2], struct err *err)
{
	if (pipe2(pair, O_CLOEXEC) < 0) {
		pair[0] = pair[1] = -1;
		return err_sys(err, errno, "cannot make a pipe");
	}
	return 0;
}

static int make_folders(struct err *err)
{
	static const char *const folders[] = {RUNTIME_FOLDER, RUNTIME_STATE, CONTAINER_ROOT, NETNS_FOLDER};
	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (mkdir(folders[i], 0711) < 0 && errno != EEXIST)
			return err_sys(err, errno, "cannot make '%s'", folders[i]);
	return 0;
}

static int record_create(const char *folder, struct err *err)
{
	char path[PATH_MAX];
	path_format(path, sizeof(path), "%s/run", folder);
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make '%s'", path);
	path_format(path, sizeof(path), "%s/run/init-exit", folder);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_sys(err, errno, "cannot make '%s'", path) : fd;
}

static void collect_fds(struct launch *l, const struct container_spec *spec, int output, int record,
			const struct cgroup_watch *w)
{
	const int standard[] = {l->input[PIPE_READ], output, output};
	const int own[] = {record, w->oom, w->peak, w->event, l->gate[PIPE_READ]};
	for (size_t i = 0; i < ARRAY_LEN(standard); i++)
		l->fds[l->fd_count++] = standard[i];
	for (size_t i = 0; i < spec->fd_count; i++)
		l->fds[l->fd_count++] = spec->fds[i];
	for (size_t i = 0; i < ARRAY_LEN(own); i++)
		if (own[i] >= 0)
			l->fds[l->fd_count++] = own[i];
}

static int build_root(struct launch *l, const struct container_spec *spec, const struct runtime *r,
		      struct err *err)
{
	CLEANUP(buf) struct buf plan = BUF_INIT;
	struct container_fds fds;
	container_fds_number(spec, r->cgroup, &fds);
	container_plan_format(spec, &fds, &plan);
	return oci_rootfs_build(spec, &plan, &l->root, err);
}

static int make_inside(struct launch *l, const struct container_spec *spec, struct err *err)
{
	l->inside_port = spec->inside_port;
	if (l->inside_port && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, l->inside) < 0) {
		l->inside[PIPE_READ] = l->inside[PIPE_WRITE] = -1;
		return err_sys(err, errno, "cannot make a pair of sockets");
	}
	return 0;
}

static int launch_init(struct launch *l, const struct container_spec *spec, const struct runtime *r,
		       struct err *err)
{
	*l = (struct launch){.null = -1,
			     .input = {-1, -1},
			     .gate = {-1, -1},
			     .leave = {-1, -1},
			     .entered = {-1, -1},
			     .inside = {-1, -1},
			     .report = {-1, -1}};
	l->hide_unified = r->hide_unified;
	if (spec->network_name)
		snprintf(l->shared, sizeof(l->shared), NETNS_FOLDER "/%s", spec->network_name);
	l->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (l->null < 0)
		return err_sys(err, errno, "cannot open '/dev/null'");
	int e = build_root(l, spec, r, err);
	e = e < 0 ? e : make_pipe(l->report, err);
	e = e < 0 ? e : make_pipe(l->input, err);
	e = e < 0 ? e : make_inside(l, spec, err);
	if (e < 0 || spec->network != NETWORK_EGRESS)
		return e;
	l->slirp = r->slirp_path;
	netns_blocked_find("/etc/resolv.conf", &l->blocked);
	e = make_pipe(l->gate, err);
	e = e < 0 ? e : make_pipe(l->leave, err);
	return e < 0 ? e : make_pipe(l->entered, err);
}

/* Forks and waits until the runtime's program runs. */
static int launch_run(struct launch *l, pid_t *ret_pid, struct err *err)
{
	struct launch_failure f;
	pid_t pid = fork();
	if (pid < 0)
		return err_sys(err, errno, "cannot start a process");
	if (pid == 0)
		launch_child(l);
	cleanup_fd(&l->report[PIPE_WRITE]);
	l->report[PIPE_WRITE] = -1;
	ssize_t n;
	do
		n = read(l->report[PIPE_READ], &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(f)) {
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
		return err_sys(err, f.sys, "%.*s", (int)sizeof(f.what), f.what);
	}
	*ret_pid = pid;
	return 0;
}

static int check_output(const struct container_spec *spec, int output_fd, struct err *err)
{
	struct stat st;
	if (fstat(output_fd, &st) < 0)
		return err_sys(err, errno, "bad output of container '%s'", spec->name);
	if (!S_ISFIFO(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(err, ERR_INVALID, "the output of container '%s' must be a pipe or a file",
			       spec->name);
	return 0;
}

int container_spawn(const struct container_spec *spec, int output_fd, pid_t *ret_pid, struct err *err)
{
	struct runtime runtime;
	struct cgroup_watch watch = {-1, -1, -1};
	char bundle[PATH_MAX], pid_path[PATH_MAX], log[PATH_MAX], state[PATH_MAX], preserve[16];
	CLEANUP(launch)
	struct launch l = {.null = -1,
			   .input = {-1, -1},
			   .gate = {-1, -1},
			   .leave = {-1, -1},
			   .entered = {-1, -1},
			   .inside = {-1, -1},
			   .report = {-1, -1}};
	CLEANUP(fd) int record = -1;
	int r = container_check(spec, err);
	r = r < 0 ? r : check_output(spec, output_fd, err);
	r = r < 0 ? r : runtime_detect(&runtime, err);
	r = r < 0 ? r : make_folders(err);
	if (r < 0)
		return r;
	struct cgroup_tree tree = container_tree(&runtime);
	path_format(state, sizeof(state), RUNTIME_STATE "/%s", spec->name);
	if (access(state, F_OK) == 0)
		return err_set(err, ERR_EXISTS, "container '%s' exists", spec->name);
	path_format(bundle, sizeof(bundle), "%s/bundle", spec->folder);
	path_format(pid_path, sizeof(pid_path), "%s/bundle/pid", spec->folder);
	path_format(log, sizeof(log), "%s/bundle/runtime.log", spec->folder);
	r = launch_init(&l, spec, &runtime, err);
	r = r < 0 ? r : (record = record_create(spec->folder, err));
	r = r < 0 ? r : cgroup_make(&tree, spec->name, err);
	r = r < 0 ? r : cgroup_watch_open(&tree, spec->name, &watch, err);
	if (r >= 0) {
		collect_fds(&l, spec, output_fd, record, &watch);
		snprintf(preserve, sizeof(preserve), "%d", l.fd_count - 3);
		char *argv[] = {
		    runtime.path, "--root",	      RUNTIME_STATE, "--log",	 log,	 "run",
		    "--detach",	  "--pid-file",	      pid_path,	     "--bundle", bundle, "--preserve-fds",
		    preserve,	  (char *)spec->name, NULL};
		l.pid_path = pid_path;
		memcpy(l.argv, argv, sizeof(argv));
		r = launch_run(&l, ret_pid, err);
		/* It was sent before the runtime was started. */
		if (r >= 0 && spec->inside_port)
			*spec->inside_fd = task_socket_receive(l.inside[PIPE_READ], NULL);
	}
	cleanup_fd(&watch.oom);
	cleanup_fd(&watch.peak);
	cleanup_fd(&watch.event);
	if (r >= 0)
		return 0;
	cgroup_remove(&tree, spec->name);
	return err_wrap(err, "starting container '%s'", spec->name);
}
