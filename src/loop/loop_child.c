/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes. posix_spawn instead of uv_spawn, because that one leaves descriptors open which somebody
 * made without O_CLOEXEC; a pidfd per child instead of SIGCHLD, because it names one process and needs no
 * handler. */
#include "loop/loop_int.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/mem.h"

struct loop_child {
	struct loop *loop;
	struct loop_fd *watch;
	struct list orphan;
	pid_t pid;
	int pidfd;
	bool ended;
	void (*on_exit)(void *arg, int exit_code, int signal_number);
	void *arg;
};

static void child_drop(struct loop_child *c)
{
	list_remove(&c->orphan);
	loop_fd_free(c->watch);
	cleanup_fd(&c->pidfd);
	free(c);
}

static void on_pidfd(void *arg, int events)
{
	struct loop_child *c = arg;
	int status;
	pid_t pid;
	do
		pid = waitpid(c->pid, &status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return;
	loop_fd_free(STEAL(c->watch));
	c->ended = true;
	if (!list_empty(&c->orphan)) {
		child_drop(c);
		return;
	}
	bool known = pid > 0; /* else somebody else reaped it */
	int code = known && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	int signal_number = known && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (c->on_exit)
		c->on_exit(c->arg, code, signal_number);
}

/* The child's descriptors, copied above all targets, so that giving one never overwrites another. */
struct fd_plan {
	int *copies;
	size_t count;
};

static void cleanup_fd_plan(struct fd_plan *p)
{
	for (size_t i = 0; i < p->count; i++)
		cleanup_fd(&p->copies[i]);
	free(p->copies);
}

static int plan_fds(const struct loop_spawn *spawn, struct fd_plan *plan, struct err *err)
{
	CLEANUP(fd) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null_fd < 0)
		return err_sys(err, errno, "cannot open /dev/null");
	size_t count = spawn->fd_count < 3 ? 3 : spawn->fd_count;
	plan->copies = mem_alloc(count * sizeof(*plan->copies));
	for (; plan->count < count; plan->count++) {
		int fd = plan->count < spawn->fd_count ? spawn->fds[plan->count] : -1;
		int copy = fcntl(fd >= 0 ? fd : null_fd, F_DUPFD_CLOEXEC, (int)count);
		if (copy < 0)
			return err_sys(err, errno, "cannot copy descriptor %d", fd);
		plan->copies[plan->count] = copy;
	}
	return 0;
}

static int add_actions(posix_spawn_file_actions_t *actions, const struct loop_spawn *spawn,
		       const struct fd_plan *plan)
{
	int r = 0;
	for (size_t i = 0; i < plan->count && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(actions, plan->copies[i], (int)i);
	if (r == 0)
		r = posix_spawn_file_actions_addclosefrom_np(actions, (int)plan->count);
	if (r == 0 && spawn->cwd)
		r = posix_spawn_file_actions_addchdir_np(actions, spawn->cwd);
	return r;
}

/* The child starts with no signal blocked or ignored, whatever we do with them. */
static void set_attributes(posix_spawnattr_t *attr, bool detached)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	sigdelset(&all, SIGKILL);
	sigdelset(&all, SIGSTOP);
	posix_spawnattr_setsigmask(attr, &none);
	posix_spawnattr_setsigdefault(attr, &all);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
					   (detached ? POSIX_SPAWN_SETSID : 0));
}

static int spawn_process(const struct loop_spawn *spawn, pid_t *ret, struct err *err)
{
	CLEANUP(fd_plan) struct fd_plan plan = {0};
	int r = plan_fds(spawn, &plan, err);
	if (r < 0)
		return r;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	set_attributes(&attr, spawn->detached);
	r = add_actions(&actions, spawn, &plan);
	if (r == 0)
		r = posix_spawnp(ret, spawn->argv[0], &actions, &attr, spawn->argv,
				 spawn->env ? spawn->env : environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return r ? err_sys(err, r, "cannot start '%s'", spawn->argv[0]) : 0;
}

static int watch_child(struct loop_child *c, struct err *err)
{
	c->pidfd = pidfd_open(c->pid, 0);
	if (c->pidfd < 0)
		return err_sys(err, errno, "cannot open a descriptor of process %d", (int)c->pid);
	c->watch = loop_fd_new(c->loop, c->pidfd, LOOP_READ, on_pidfd, c, err);
	return c->watch ? 0 : -err->code;
}

int loop_child_new(struct loop *l, const struct loop_spawn *spawn, struct loop_child **ret, struct err *err)
{
	struct loop_child *c = MEM_NEW(struct loop_child);
	struct err e = ERR_INIT;
	c->loop = l;
	c->pidfd = -1;
	c->on_exit = spawn->on_exit;
	c->arg = spawn->arg;
	list_init(&c->orphan);
	int r = spawn_process(spawn, &c->pid, &e);
	if (r == 0 && (r = watch_child(c, &e)) < 0) {
		kill(c->pid, SIGKILL); /* nobody could tell how it ends: better that it never was */
		waitpid(c->pid, NULL, 0);
	}
	if (r < 0) {
		child_drop(c);
		if (err)
			*err = e;
		return r;
	}
	*ret = c;
	return 0;
}

pid_t loop_child_pid(const struct loop_child *c)
{
	return c->pid;
}

void loop_child_kill(struct loop_child *c, int signal_number)
{
	if (!c->ended)
		pidfd_send_signal(c->pidfd, signal_number, NULL, 0);
}

void loop_child_free(struct loop_child *c)
{
	if (!c)
		return;
	if (c->ended)
		child_drop(c);
	else
		list_append(&c->loop->orphans, &c->orphan);
}

void loop_children_done(struct loop *l)
{
	struct loop_child *c;
	LIST_EACH(c, &l->orphans, orphan)
	child_drop(c);
}
