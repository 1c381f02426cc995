/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a container. Its namespace is made by us, not by the runtime, and so belongs to the host's
 * root: nothing inside can change it, not even a root of the container. With egress, slirp4netns carries TCP,
 * UDP and DNS out of it; the addresses of this machine and the link-local ones (metadata services) are
 * unreachable.
 */
#ifndef LOCAL_NETNS_H
#define LOCAL_NETNS_H

#include <stdint.h>
#include "base/buf.h"
#include "core/job.h"

#define NETNS_BLOCKED_MAX 64

/* IPv4 networks in network byte order that a container must not reach. */
struct netns_blocked {
	struct {
		uint32_t address;
		uint8_t prefix;
	} networks[NETNS_BLOCKED_MAX];
	unsigned count;
};
/* Link-local addresses and every address of this machine, without its name servers. */
void netns_blocked_find(const char *resolv_path, struct netns_blocked *ret);

/* Puts the calling process into a new network namespace: loopback up, 'blocked' (may be NULL) unreachable.
 * Only system calls: may be used between fork and exec of a program with threads. Returns 0 or -errno. */
int netns_enter_new(const struct netns_blocked *blocked);

/* A network that several containers share is a file in NETNS_FOLDER on which it is mounted; beside it lies
 * the number of the slirp4netns that serves it. Both change only under the lock. */
#define NETNS_FOLDER "/run/cloudml/net"
#define NETNS_LOCK NETNS_FOLDER "/.lock"
#define NETNS_SLIRP_SUFFIX ".slirp"
#define NETNS_PATH_MAX 160
/* Enters it as netns_enter_new, or makes it: 1 it was there, 0 it was made, or -errno. Only system calls. The
 * caller holds the lock. */
int netns_enter_shared(const char *path, const struct netns_blocked *blocked);
/* Ends slirp4netns and unmounts. Nothing may use it any more. Idempotent; takes the lock. */
int netns_remove_shared(const char *path, struct err *err);

/* A socket that listens on 127.0.0.1 of the calling process's network. Only system calls. Returns it (owned,
 * not blocking, close-on-exec) or -errno. */
int netns_listen(int port);

/* What /etc/resolv.conf of a container says: the host's servers that can be reached from there, else slirp's
 * own. */
void netns_resolv_conf(const char *host_path, enum network_mode network, struct buf *ret);

#endif
