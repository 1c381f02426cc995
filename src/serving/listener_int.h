/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the listener: its sockets (listener.c), and connections whose protocol is not known yet
 * (listener_sniff.c). */
#ifndef SERVING_LISTENER_INT_H
#define SERVING_LISTENER_INT_H

#include <sys/socket.h>
#include <sys/stat.h>
#include "serving/listener.h"

#define SOCKETS_MAX 4 /* a port, a second port, a Unix socket, the control socket */

struct listen_socket {
	struct listener *listener;
	struct loop_source source;
	struct loop_timer pause;
	bool is_control;
	bool tls; /* connections must begin with a handshake */
};

struct listener {
	struct server *server;
	size_t count;
	struct listen_socket sockets[SOCKETS_MAX];
	bool waits;    /* those that are added do not accept yet */
	bool has_path; /* the Unix socket's file is ours to remove, as long as it is this one: */
	struct stat path_stat;
	struct list sniffing;
};

/* Takes an accepted connection and hands it on when its first bytes have come; counts it. */
void listener_sniff(struct listener *l, int fd, bool tls, const struct sockaddr_storage *address,
		    socklen_t address_len);
/* The same for what TLS has decrypted ('arg' is the listener). */
void listener_decrypted(void *arg, int fd, const struct sockaddr_storage *address, socklen_t address_len);
void listener_sniff_end(struct listener *l); /* closes those that have not said what they are */

#endif
