/* SPDX-License-Identifier: Apache-2.0 */
/* Unix sockets in a task's folder: who may write there may connect. Addresses go through the folder's
 * descriptor, so that the length of its path does not matter. */
#ifndef LOCAL_TASK_SOCKET_H
#define LOCAL_TASK_SOCKET_H

#include "base/err.h"

#define FOLDER_PORT_SOCKET "port.sock"	     /* the shim: hands out the model's listening socket */
#define FOLDER_CONTROL_SOCKET "control.sock" /* the model server, this one alone */

/* All return a descriptor (owned, close-on-exec, not blocking) or -code. */
int task_socket_listen(int folder_fd, const char *name, struct err *err); /* one that is there is replaced */
/* ERR_NOT_FOUND: there is none; ERR_UNAVAILABLE: nobody listens, or too many ask at once. */
int task_socket_connect(int folder_fd, const char *name, struct err *err);
/* What the next message on 'fd' brings; waits at most a second for it. */
int task_socket_receive(int fd, struct err *err);
int task_socket_send(int fd, int sent_fd, struct err *err); /* sent_fd is borrowed; 0 on success */

#endif
