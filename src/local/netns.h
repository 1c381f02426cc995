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

/* A socket that listens on 127.0.0.1 of the calling process's network. Only system calls. Returns it (owned,
 * not blocking, close-on-exec) or -errno. */
int netns_listen(int port);

/* What /etc/resolv.conf of a container says: the host's servers that can be reached from there, else slirp's
 * own. */
void netns_resolv_conf(const char *host_path, enum network_mode network, struct buf *ret);

#endif
