/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets in a task's folder. */
#include "local/task_socket.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/mem.h"

#define BACKLOG 64
#define RECEIVE_MS 1000

static struct sockaddr_un address_of(int folder_fd, const char *name)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%d/%.60s", folder_fd, name);
	return a;
}

static int socket_new(struct err *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	return fd < 0 ? err_sys(err, errno, "cannot make a socket") : fd;
}

int task_socket_listen(int folder_fd, const char *name, struct err *err)
{
	struct sockaddr_un a = address_of(folder_fd, name);
	CLEANUP(fd) int fd = socket_new(err);
	if (fd < 0)
		return fd;
	unlinkat(folder_fd, name, 0);
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0)
		return err_sys(err, errno, "cannot listen on '%s'", name);
	int r = fd;
	fd = -1;
	return r;
}

int task_socket_connect(int folder_fd, const char *name, struct err *err)
{
	struct sockaddr_un a = address_of(folder_fd, name);
	CLEANUP(fd) int fd = socket_new(err);
	if (fd < 0)
		return fd;
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		bool refused = errno == ECONNREFUSED || errno == EAGAIN;
		return refused ? err_set(err, ERR_UNAVAILABLE, "'%s' takes no connection: %s", name,
					 strerror(errno))
			       : err_sys(err, errno, "cannot connect to '%s'", name);
	}
	int r = fd;
	fd = -1;
	return r;
}

int task_socket_send(int fd, int sent_fd, struct err *err)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec io = {&byte, 1};
	struct msghdr m = {
	    .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &sent_fd, sizeof(int));
	return sendmsg(fd, &m, MSG_NOSIGNAL) == 1 ? 0 : err_sys(err, errno, "cannot pass a descriptor");
}

int task_socket_receive(int fd, struct err *err)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec io = {&byte, 1};
	struct msghdr m = {
	    .msg_iov = &io, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	if (poll(&wait, 1, RECEIVE_MS) <= 0)
		return err_set(err, ERR_UNAVAILABLE, "no descriptor was passed in time");
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	const struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(int)))
		return err_set(err, ERR_UNAVAILABLE, "no descriptor was passed");
	int ret;
	memcpy(&ret, CMSG_DATA(c), sizeof(ret));
	return ret;
}
