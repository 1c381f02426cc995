/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets in a task's folder: a descriptor is passed, what nobody listens on is said. */
#include "unit/test.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "local/task_socket.h"

TEST(a_descriptor_is_passed_through_a_socket_in_the_folder)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int folder = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int server = task_socket_listen(folder, FOLDER_PORT_SOCKET, &err);
	EXPECT_OK(server, &err);
	CLEANUP(fd) int client = task_socket_connect(folder, FOLDER_PORT_SOCKET, &err);
	EXPECT_OK(client, &err);
	CLEANUP(fd) int peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	assert_true(peer >= 0);
	EXPECT_OK(task_socket_send(peer, folder, &err), &err);
	CLEANUP(fd) int passed = task_socket_receive(client, &err);
	EXPECT_OK(passed, &err);
	struct stat a, b;
	assert_int_equal(fstat(folder, &a) + fstat(passed, &b), 0);
	assert_true(passed != folder && a.st_ino == b.st_ino);
	assert_true(fcntl(passed, F_GETFD) & FD_CLOEXEC);
}

TEST(a_peer_that_ends_passes_nothing)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int folder = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int server = task_socket_listen(folder, FOLDER_PORT_SOCKET, &err);
	CLEANUP(fd) int client = task_socket_connect(folder, FOLDER_PORT_SOCKET, &err);
	EXPECT_OK(client, &err);
	close(accept4(server, NULL, NULL, SOCK_CLOEXEC));
	EXPECT_ERR(task_socket_receive(client, &err), ERR_UNAVAILABLE, &err, "no descriptor");
}

TEST(a_socket_that_is_not_there_and_one_that_nobody_listens_on_differ)
{
	struct err err = ERR_INIT;
	CLEANUP(fd) int folder = open(test_dir(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EXPECT_ERR(task_socket_connect(folder, FOLDER_CONTROL_SOCKET, &err), ERR_NOT_FOUND, &err,
		   "control.sock");
	err = ERR_INIT;
	close(task_socket_listen(folder, FOLDER_CONTROL_SOCKET, &err));
	EXPECT_ERR(task_socket_connect(folder, FOLDER_CONTROL_SOCKET, &err), ERR_UNAVAILABLE, &err,
		   "no connection");
	err = ERR_INIT;
	CLEANUP(fd) int again = task_socket_listen(folder, FOLDER_CONTROL_SOCKET, &err);
	EXPECT_OK(again, &err);
}
