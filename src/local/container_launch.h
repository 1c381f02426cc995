/* SPDX-License-Identifier: Apache-2.0 */
/* What container_spawn.c prepares and container_child.c does between fork and exec. */
#ifndef LOCAL_CONTAINER_LAUNCH_H
#define LOCAL_CONTAINER_LAUNCH_H

#include "local/container_int.h"
#include "local/netns.h"
#include "local/oci_rootfs.h"

#define LAUNCH_FDS_MAX (CONTAINER_FDS_MAX + 8)

enum { PIPE_READ, PIPE_WRITE };

/* Everything the child needs, made before fork. */
struct launch {
	char *argv[20];
	const char *slirp;    /* NULL = no egress */
	const char *pid_path; /* where the runtime writes the number of process 1 */
	struct oci_rootfs root;
	bool hide_unified;
	struct netns_blocked blocked;
	char shared[NETNS_PATH_MAX]; /* the network's file; "" = one of its own */
	int fds[LAUNCH_FDS_MAX];     /* become 0, 1, 2, … of the runtime */
	int fd_count;
	int null;
	int input[2];	 /* a pipe whose other end is closed: the runtimes chown the standard streams, devices
			    too */
	int gate[2];	 /* slirp4netns says that it is ready; init reads */
	int leave[2];	 /* held open by the watcher; slirp4netns ends at end of file */
	int entered[2];	 /* the child says that the namespace exists */
	int inside_port; /* 0 = none */
	int inside[2];	 /* sockets; the child sends the one that listens inside */
	int report[2];	 /* closed by exec, else what failed */
};

struct launch_failure {
	int sys;
	char what[60];
};

/* In the child of fork. Makes the namespaces, starts the runtime and slirp4netns, then stays as the watcher:
 * the parent of the container's process 1, which exits as that did (128 + signal when a signal ended it).
 * Only system calls: the parent may have threads. */
_Noreturn void launch_child(struct launch *l);

#endif
