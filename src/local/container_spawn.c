/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the runtime. Between fork and exec the child makes the network namespace, starts slirp4netns
 * beside it, hides the version 2 tree from crun on hybrid machines and arranges the descriptors, by system
 * calls only: the caller may have threads.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/container_int.h"
#include "local/netns.h"
#include "local/oci_rootfs.h"

#define HIGH_FD 256 /* above everything that we put in place */
#define LAUNCH_FDS_MAX (CONTAINER_FDS_MAX + 8)

enum { PIPE_READ, PIPE_WRITE };

/* Everything the child needs, made before fork. */
struct launch {
	char *argv[20];
	const char *slirp; /* NULL = no egress */
	struct oci_rootfs root;
	bool hide_unified;
	struct netns_blocked blocked;
	int fds[LAUNCH_FDS_MAX]; /* become 0, 1, 2, … */
	int fd_count;
	int null;
	int input[2];	/* a pipe whose other end is closed: the runtimes chown the standard streams, devices
			   too */
	int gate[2];	/* slirp4netns says that it is ready; init reads */
	int leave[2];	/* held open by the runtime; slirp4netns ends at end of file */
	int entered[2]; /* the child says that the namespace exists */
	int report[2];	/* closed by exec, else what failed */
};

struct launch_failure {
	int sys;
	char what[60];
};

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

static _Noreturn void child_fail(struct launch *l, const char *what, int sys)
{
	struct launch_failure f = {.sys = sys};
	strncpy(f.what, what, sizeof(f.what) - 1);
	if (write(l->report[PIPE_WRITE], &f, sizeof(f)) < 0)
		_exit(126);
	_exit(127);
}

/* fds[i] becomes i. What else lay there is closed. */
static bool place_fds(const int *fds, int count)
{
	int high[LAUNCH_FDS_MAX];
	for (int i = 0; i < count; i++) {
		high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, HIGH_FD);
		if (high[i] < 0)
			return false;
	}
	for (int i = 0; i < count; i++)
		if (dup2(high[i], i) < 0)
			return false;
	return true;
}

static size_t format_number(char *ret, long n)
{
	char digits[24];
	size_t count = 0;
	do
		digits[count++] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	for (size_t i = 0; i < count; i++)
		ret[i] = digits[count - 1 - i];
	ret[count] = 0;
	return count;
}

/* In a process of its own: waits until the namespace exists, then becomes slirp4netns. */
static _Noreturn void slirp_exec(struct launch *l, pid_t runtime)
{
	char byte, path[64] = "/proc/";
	size_t n = 6 + format_number(path + 6, runtime);
	strcpy(path + n, "/ns/net");
	close(l->entered[PIPE_WRITE]);
	if (read(l->entered[PIPE_READ], &byte, 1) != 1)
		_exit(0);
	char *argv[] = {(char *)l->slirp, "--configure", "--mtu=65520",	      "--disable-host-loopback",
			"--ready-fd=3",	  "--exit-fd=4", "--netns-type=path", path,
			"tap0",		  NULL};
	const int fds[] = {l->null, l->null, l->null, l->gate[PIPE_WRITE], l->leave[PIPE_READ]};
	char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	if (!place_fds(fds, 5))
		_exit(126);
	syscall(SYS_close_range, 5, ~0u, 0);
	execve(argv[0], argv, env);
	_exit(127);
}

static void child_network(struct launch *l)
{
	pid_t self = getpid();
	if (l->slirp) {
		/* By way of a process in between, so that the runtime, which waits for all its children, does
		 * not wait for this one. */
		pid_t pid = fork(), second = pid == 0 ? fork() : -1;
		if (pid == 0 && second == 0)
			slirp_exec(l, self);
		if (pid == 0)
			_exit(second < 0);
		int status = 1;
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status != 0)
			child_fail(l, "starting slirp4netns", pid < 0 ? errno : EAGAIN);
	}
	int r = netns_enter_new(l->slirp ? &l->blocked : NULL);
	if (r < 0)
		child_fail(l, "making a network namespace", -r);
	if (l->slirp && write(l->entered[PIPE_WRITE], "1", 1) != 1)
		child_fail(l, "starting slirp4netns", errno);
}

/* The task folder may be closed to others, and so to the container's root: its skeleton lies elsewhere. */
static void child_mounts(struct launch *l)
{
	if (unshare(CLONE_NEWNS) < 0)
		child_fail(l, "making a mount namespace", errno);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		child_fail(l, "making mounts private", errno);
	if (mount("cloudml", CONTAINER_ROOT, "tmpfs", 0, "mode=755") < 0)
		child_fail(l, "mounting the container's root", errno);
	int r = oci_rootfs_apply(&l->root, CONTAINER_ROOT);
	if (r < 0)
		child_fail(l, "making the container's root", -r);
	if (l->hide_unified && umount2(CGROUP_ROOT "/unified", MNT_DETACH) < 0)
		child_fail(l, "hiding the version 2 control groups from crun", errno);
}

static _Noreturn void child_exec(struct launch *l)
{
	/* Nothing of the caller's environment reaches the runtime; LISTEN_FDS would change its descriptors.
	 */
	char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	child_network(l);
	child_mounts(l);
	int report = fcntl(l->report[PIPE_WRITE], F_DUPFD_CLOEXEC, 2 * HIGH_FD);
	int leave = l->slirp ? fcntl(l->leave[PIPE_WRITE], F_DUPFD_CLOEXEC, 2 * HIGH_FD) : -1;
	l->report[PIPE_WRITE] = report;
	if (!place_fds(l->fds, l->fd_count))
		child_fail(l, "passing descriptors", errno);
	syscall(SYS_close_range, l->fd_count, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */);
	if (leave >= 0 && fcntl(leave, F_SETFD, 0) < 0)
		child_fail(l, "passing descriptors", errno);
	execve(l->argv[0], l->argv, env);
	child_fail(l, "running the container runtime", errno);
}

static int make_folders(struct err *err)
{
	static const char *const folders[] = {RUNTIME_FOLDER, RUNTIME_STATE, CONTAINER_ROOT};
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

static int launch_init(struct launch *l, const struct container_spec *spec, const struct runtime *r,
		       struct err *err)
{
	*l = (struct launch){.null = -1,
			     .input = {-1, -1},
			     .gate = {-1, -1},
			     .leave = {-1, -1},
			     .entered = {-1, -1},
			     .report = {-1, -1}};
	l->hide_unified = r->hide_unified;
	l->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (l->null < 0)
		return err_sys(err, errno, "cannot open '/dev/null'");
	int e = build_root(l, spec, r, err);
	e = e < 0 ? e : make_pipe(l->report, err);
	e = e < 0 ? e : make_pipe(l->input, err);
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
		child_exec(l);
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
	char bundle[PATH_MAX], log[PATH_MAX], state[PATH_MAX], preserve[16];
	CLEANUP(launch)
	struct launch l = {.null = -1,
			   .input = {-1, -1},
			   .gate = {-1, -1},
			   .leave = {-1, -1},
			   .entered = {-1, -1},
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
	path_format(log, sizeof(log), "%s/bundle/runtime.log", spec->folder);
	r = launch_init(&l, spec, &runtime, err);
	r = r < 0 ? r : (record = record_create(spec->folder, err));
	r = r < 0 ? r : cgroup_make(&tree, spec->name, err);
	r = r < 0 ? r : cgroup_watch_open(&tree, spec->name, &watch, err);
	if (r >= 0) {
		collect_fds(&l, spec, output_fd, record, &watch);
		snprintf(preserve, sizeof(preserve), "%d", l.fd_count - 3);
		char *argv[] = {
		    runtime.path,     "--root", RUNTIME_STATE,	    "--log", log, "run", "--bundle", bundle,
		    "--preserve-fds", preserve, (char *)spec->name, NULL};
		memcpy(l.argv, argv, sizeof(argv));
		r = launch_run(&l, ret_pid, err);
	}
	cleanup_fd(&watch.oom);
	cleanup_fd(&watch.peak);
	cleanup_fd(&watch.event);
	if (r >= 0)
		return 0;
	cgroup_remove(&tree, spec->name);
	return err_wrap(err, "starting container '%s'", spec->name);
}
