/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between fork and exec of the runtime: namespaces, the container's root, slirp4netns; then the watcher, the
 * small process that stays. Only system calls. The runtime does not stay: it would copy the container's
 * output and keep, in the case of runc, more than 10 MB for each container.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "local/container_launch.h"
#include "local/task_socket.h"

#define HIGH_FD 256 /* above everything that we put in place */
#define WATCH_EARLY_MAX 16
#define SLIRP_STEP_MS 100
#define SLIRP_STEPS 300

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

/* In a child: waits until the namespace exists, then becomes slirp4netns. */
static _Noreturn void slirp_exec(struct launch *l, pid_t runtime)
{
	char byte, own[64] = "/proc/";
	size_t n = 6 + format_number(own + 6, runtime);
	strcpy(own + n, "/ns/net");
	char *path = l->shared[0] ? l->shared : own;
	close(l->entered[PIPE_WRITE]);
	if (read(l->entered[PIPE_READ], &byte, 1) != 1)
		_exit(0);
	/* A shared one outlives this container. */
	char *end = l->shared[0] ? "--mtu=65520" : "--exit-fd=4";
	char *argv[] = {(char *)l->slirp, "--configure", "--mtu=65520",	      "--disable-host-loopback",
			"--ready-fd=3",	  end,		 "--netns-type=path", path,
			"tap0",		  NULL};
	const int fds[] = {l->null, l->null, l->null, l->gate[PIPE_WRITE], l->leave[PIPE_READ]};
	char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	if (!place_fds(fds, 5))
		_exit(126);
	syscall(SYS_close_range, l->shared[0] ? 4 : 5, ~0u, 0);
	execve(argv[0], argv, env);
	_exit(127);
}

static int child_listen(struct launch *l)
{
	int fd = netns_listen(l->inside_port);
	int r = fd < 0 ? fd : task_socket_send(l->inside[PIPE_WRITE], fd, NULL) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static pid_t slirp_fork(struct launch *l)
{
	pid_t self = getpid(), slirp = l->slirp ? fork() : 0;
	if (l->slirp && slirp == 0)
		slirp_exec(l, self);
	if (slirp < 0)
		child_fail(l, "starting slirp4netns", errno);
	return slirp;
}

static void child_listen_inside(struct launch *l)
{
	int r = l->inside_port ? child_listen(l) : 0;
	if (r < 0)
		child_fail(l, "listening in the container's network", -r);
}

/* Returns slirp4netns, 0 without egress. */
static pid_t child_network(struct launch *l)
{
	pid_t slirp = slirp_fork(l);
	int r = netns_enter_new(l->slirp ? &l->blocked : NULL);
	if (r < 0)
		child_fail(l, "making a network namespace", -r);
	child_listen_inside(l);
	if (l->slirp && write(l->entered[PIPE_WRITE], "1", 1) != 1)
		child_fail(l, "starting slirp4netns", errno);
	return slirp;
}

/* Waits until it serves the network, and leaves its number for who removes it. */
static void slirp_serve_shared(struct launch *l, pid_t slirp)
{
	struct pollfd ready = {.fd = l->gate[PIPE_READ], .events = POLLIN};
	char path[NETNS_PATH_MAX + 8], number[24];
	strcpy(path, l->shared);
	strcat(path, NETNS_SLIRP_SUFFIX);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	size_t n = format_number(number, slirp);
	if (fd < 0 || write(fd, number, n) != (ssize_t)n)
		child_fail(l, "noting slirp4netns", errno);
	close(fd);
	if (write(l->entered[PIPE_WRITE], "1", 1) != 1)
		child_fail(l, "starting slirp4netns", errno);
	/* The byte stays for init. */
	for (int i = 0; poll(&ready, 1, SLIRP_STEP_MS) != 1; i++)
		if (i == SLIRP_STEPS || waitpid(slirp, NULL, WNOHANG) != 0)
			child_fail(l, "starting slirp4netns", ETIMEDOUT);
}

/* The first container of a network makes it, with its slirp4netns, while the others wait. */
static void child_network_shared(struct launch *l)
{
	int lock = open(NETNS_LOCK, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) < 0)
		child_fail(l, "locking the networks", errno);
	pid_t slirp = slirp_fork(l);
	int r = netns_enter_shared(l->shared, l->slirp ? &l->blocked : NULL);
	if (r < 0)
		child_fail(l, "entering a shared network", -r);
	if (r == 0 && slirp > 0) {
		slirp_serve_shared(l, slirp);
	} else if (slirp > 0) {
		kill(slirp, SIGKILL);
		waitpid(slirp, NULL, 0);
		if (write(l->gate[PIPE_WRITE], "1", 1) != 1)
			child_fail(l, "opening the gate", errno);
	}
	child_listen_inside(l);
	close(lock);
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

static _Noreturn void runtime_exec(struct launch *l)
{
	/* Nothing of the caller's environment reaches the runtime; LISTEN_FDS would change its descriptors.
	 */
	char *env[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	int report = fcntl(l->report[PIPE_WRITE], F_DUPFD_CLOEXEC, 2 * HIGH_FD);
	l->report[PIPE_WRITE] = report;
	if (!place_fds(l->fds, l->fd_count))
		child_fail(l, "passing descriptors", errno);
	syscall(SYS_close_range, l->fd_count, ~0u, 1u << 2 /* CLOSE_RANGE_CLOEXEC */);
	execve(l->argv[0], l->argv, env);
	child_fail(l, "running the container runtime", errno);
}

/* Nothing may be held that others wait for the end of, or have locked, but the pipe that keeps slirp4netns
 * alive. */
static void watcher_close_all(struct launch *l)
{
	if (l->slirp)
		dup2(l->leave[PIPE_WRITE], 0);
	else
		close(0);
	syscall(SYS_close_range, 1, ~0u, 0);
}

static int exit_code_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The process number that the runtime left in a file; 0 when it did not. */
static pid_t read_pid(const char *path)
{
	char text[24];
	pid_t pid = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof(text));
	close(fd);
	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
		pid = pid * 10 + (text[i] - '0');
	return pid;
}

struct dead {
	pid_t pid;
	int status;
};

static struct dead wait_any(void)
{
	struct dead d;
	do
		d.pid = waitpid(-1, &d.status, 0);
	while (d.pid < 0 && errno == EINTR);
	return d;
}

/* The runtime starts the container and ends; its process 1 then is our child, among others that the runtime
 * left. Returns how process 1 ended: a wait status; 125 << 8 when there was none. */
static int watch(pid_t runtime, const char *pid_path)
{
	struct dead early[WATCH_EARLY_MAX], d;
	size_t count = 0;
	while ((d = wait_any()).pid != runtime) {
		if (d.pid < 0)
			return 125 << 8;
		early[count++ % WATCH_EARLY_MAX] = d;
	}
	pid_t init = d.status == 0 ? read_pid(pid_path) : 0;
	if (init == 0)
		return 125 << 8;
	for (size_t i = 0; i < count && i < WATCH_EARLY_MAX; i++)
		if (early[i].pid == init)
			return early[i].status;
	do
		d = wait_any();
	while (d.pid > 0 && d.pid != init);
	return d.pid == init ? d.status : 125 << 8;
}

void launch_child(struct launch *l)
{
	sigset_t all;
	/* The watcher ends with the container, not before. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	setsid();
	prctl(PR_SET_NAME, "cloudml-watch");
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
		child_fail(l, "becoming the parent of the container", errno);
	pid_t slirp = 0; /* that ends with the container */
	if (l->shared[0])
		child_network_shared(l);
	else
		slirp = child_network(l);
	child_mounts(l);
	pid_t runtime = fork();
	if (runtime == 0)
		runtime_exec(l);
	if (runtime < 0)
		child_fail(l, "starting a process", errno);
	watcher_close_all(l);
	int code = exit_code_of(watch(runtime, l->pid_path));
	if (slirp > 0 && waitpid(slirp, NULL, WNOHANG) == 0) {
		kill(slirp, SIGKILL);
		waitpid(slirp, NULL, 0);
	}
	_exit(code);
}
