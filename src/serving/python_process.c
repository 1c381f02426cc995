/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and ending the process of a Python worker, see python_process.h. */
#include "serving/python_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"

#define FD_ABOVE 16 /* where ours lie while the child's 0 to 5 are laid out */

enum child_fd { CHILD_MEMORY = 3, CHILD_SOCKET, CHILD_SOURCE, CHILD_FD_END };

extern char **environ;

/* What a child is given; all above FD_ABOVE and closed on exec. */
struct hand {
	int null, errors, memory, socket, source;
};

static void hand_done(struct hand *h)
{
	int *fds[] = {&h->null, &h->errors, &h->memory, &h->socket, &h->source};

	for (size_t i = 0; i < ARRAY_LEN(fds); i++)
		cleanup_fd(fds[i]);
}

/* Takes fd; returns it moved upwards. */
static int lift(int fd)
{
	int up = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FD_ABOVE);

	cleanup_fd(&fd);
	return up;
}

static int source_fd(void)
{
	CLEANUP(fd) int fd = memfd_create("cloudml_worker.py", MFD_CLOEXEC);
	int r;

	if (fd < 0 || fd_write_all(fd, python_worker_source, python_worker_source_len, NULL) < 0 ||
	    lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	r = fd;
	fd = -1;
	return r;
}

static int hand_make(struct hand *h, int memory_fd, struct python_process *p, struct err *err)
{
	int pair[2] = {-1, -1}, pipe_fds[2] = {-1, -1};

	*h = (struct hand){-1, -1, -1, -1, -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0 ||
	    pipe2(pipe_fds, O_CLOEXEC) < 0) {
		int sys = errno;
		cleanup_fd(&pair[0]);
		cleanup_fd(&pair[1]);
		return err_sys(err, sys, "cannot make the socket and the pipe of a Python worker");
	}
	p->socket = pair[0];
	p->errors = pipe_fds[0];
	h->socket = lift(pair[1]);
	h->errors = lift(pipe_fds[1]);
	h->memory = fcntl(memory_fd, F_DUPFD_CLOEXEC, FD_ABOVE);
	h->null = lift(open("/dev/null", O_RDONLY | O_CLOEXEC));
	h->source = lift(source_fd());
	if (h->socket < 0 || h->errors < 0 || h->memory < 0 || h->null < 0 || h->source < 0)
		return err_sys(err, errno, "cannot prepare the descriptors of a Python worker");
	return fd_set_nonblock(p->errors, err);
}

/* Our environment and the number of threads in all the words that numeric libraries know; what the user says
 * wins. */
static char **make_environment(int threads)
{
	static const char *const names[] = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"};
	size_t n = strings_count(environ);
	char **all = mem_alloc((n + ARRAY_LEN(names) + 1) * sizeof(*all));

	for (size_t i = 0; i < n; i++)
		all[i] = mem_strdup(environ[i]);
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!getenv(names[i]))
			all[n++] = mem_printf("%s=%d", names[i], threads);
	return all;
}

static int spawn(const struct python_start *how, const struct hand *h, pid_t *ret)
{
	static const int reset[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP};
	CLEANUP(free) char *python = mem_printf("%s/bin/python", how->environment);
	CLEANUP(free) char *bytes = mem_printf("%zu", how->slot_bytes);
	CLEANUP(free) char *hello = mem_printf("%d", how->hello_slot);
	CLEANUP(free) char *threads = mem_printf("%d", how->threads);
	CLEANUP(strings) char **environment = make_environment(how->threads);
	char boot[] = "exec(compile(open(5).read(), 'cloudml_worker.py', 'exec'))";
	char *argv[] = {python, (char[]){"-u"}, (char[]){"-B"}, (char[]){"-c"},	    boot,
			bytes,	hello,		threads,	(char *)how->model, NULL};
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, defaults;
	int r;

	sigemptyset(&none);
	sigemptyset(&defaults);
	for (size_t i = 0; i < ARRAY_LEN(reset); i++)
		sigaddset(&defaults, reset[i]);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setflags(&attributes,
				 POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &defaults);
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_adddup2(&files, h->null, STDIN_FILENO);
	posix_spawn_file_actions_adddup2(&files, h->errors, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, h->errors, STDERR_FILENO);
	posix_spawn_file_actions_adddup2(&files, h->memory, CHILD_MEMORY);
	posix_spawn_file_actions_adddup2(&files, h->socket, CHILD_SOCKET);
	posix_spawn_file_actions_adddup2(&files, h->source, CHILD_SOURCE);
	posix_spawn_file_actions_addclosefrom_np(&files, CHILD_FD_END);
	r = posix_spawn(ret, python, &files, &attributes, argv, environment);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	return r;
}

int python_process_start(const struct python_start *how, struct python_process *p, struct err *err)
{
	struct hand h;
	int sys, r;

	*p = PYTHON_PROCESS_INIT;
	r = hand_make(&h, how->memory_fd, p, err);
	if (r >= 0) {
		sys = spawn(how, &h, &p->pid);
		if (sys) {
			p->pid = 0;
			r = err_sys(err, sys, "cannot start '%s/bin/python'", how->environment);
		}
	}
	hand_done(&h);
	if (r < 0) {
		python_process_close(p);
		*p = PYTHON_PROCESS_INIT;
	}
	return r;
}

static void remember(struct python_process *p, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (c == '\n') {
			if (p->line_len > 0)
				memcpy(p->last, p->line, sizeof(p->last));
			p->line_len = 0;
			p->line[0] = 0;
		} else if (p->line_len < PYTHON_LINE_MAX && c >= 0x20 && c < 0x7f) {
			p->line[p->line_len++] = (char)c;
			p->line[p->line_len] = 0;
		}
	}
}

bool python_process_listen(struct python_process *p)
{
	char bytes[4096];
	ssize_t n;

	for (;;) {
		n = read(p->errors, bytes, sizeof(bytes));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 && errno == EAGAIN;
		remember(p, bytes, (size_t)n);
		fd_write_all(STDERR_FILENO, bytes, (size_t)n, NULL);
	}
}

int python_process_end(struct python_process *p)
{
	int status = 0;

	if (p->pid <= 0)
		return 0;
	kill(-p->pid, SIGKILL); /* a process that has ended by itself keeps its own status */
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	p->pid = 0;
	python_process_listen(p);
	shutdown(p->socket, SHUT_RDWR);
	return status;
}

void python_process_close(struct python_process *p)
{
	cleanup_fd(&p->socket);
	cleanup_fd(&p->errors);
	p->socket = p->errors = -1;
}

const char *python_process_last_line(const struct python_process *p)
{
	return p->line_len > 0 ? p->line : p->last;
}
