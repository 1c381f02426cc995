/* SPDX-License-Identifier: Apache-2.0 */
/* TLS in front of the transports: does the handshake on an accepted connection, then passes plain bytes
 * between it and one end of a socket pair whose other end is a connection like any other. So HTTP/1 and
 * HTTP/2 know nothing of TLS, and their limits and deadlines hold as they are.
 *
 * Memory of a connection: GnuTLS's session and at most one record (16 KiB) that the other side does not take
 * yet; three descriptors. Handshakes end after --header_timeout. */
#ifndef SERVING_TLS_H
#define SERVING_TLS_H

#include <sys/socket.h>
#include "serving/server.h"

struct tls;

/* Where decrypted connections go; takes the descriptor, which counts as a connection of its own
 * (server->relays says how many have one). */
typedef void tls_ready_fn(void *arg, int fd, const struct sockaddr_storage *address, socklen_t address_len);

/* Reads the files of the options. */
int tls_new(struct server *s, struct tls **ret, struct err *err);
/* Before the first tls_accept; 'ready' is called until tls_drain. */
void tls_on_ready(struct tls *t, tls_ready_fn *ready, void *arg);
/* Connections that are open end. NULL is fine. */
void tls_free(struct tls *t);
/* Nothing new: connections that have not shaken hands end, the others go on. NULL is fine. */
void tls_drain(struct tls *t);
/* Takes a connection whose first byte begins a handshake, still in the socket. It counts already. */
void tls_accept(struct tls *t, int fd, const struct sockaddr_storage *address, socklen_t address_len);
/* Ends the oldest connection that only waits for its client to go. False when there is none. */
bool tls_drop_closing(struct tls *t);

#endif
