/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way from a container to the store: connections that are accepted in the container's own network are
 * carried, byte by byte, to the server's socket DATA/run/s3.sock. Nothing else can be reached by it, and what
 * it carries is signed by the container's program, so that it need not look into it.
 *
 * A connection that comes while the server is away (it is restarted, upgraded) waits for it.
 */
#ifndef LOCAL_STORE_RELAY_H
#define LOCAL_STORE_RELAY_H

#include "loop/loop.h"

#define STORE_RELAY_PORT 8333		/* inside, at 127.0.0.1 */
#define STORE_RELAY_FOLDER "run"	/* in the data folder */
#define STORE_RELAY_SOCKET "s3.sock"	/* in that */
#define STORE_RELAY_CONNECTIONS_MAX 256 /* at a time; further ones wait in the socket's queue */
#define STORE_RELAY_PATIENCE_MS 60000	/* for a server that is away */

/* Of a shim's environment: the secret of its program's key for the store. */
#define STORE_SECRET_VARIABLE "CLOUDML_SHIM_STORE_SECRET"

struct store_relay;

/* Takes listen_fd, in any case; copies folder, where the server's socket is. Returns owned. */
int store_relay_new(struct loop *l, int listen_fd, const char *folder, struct store_relay **ret,
		    struct err *err);
size_t store_relay_count(const struct store_relay *r); /* connections */
/* Breaks off what is in progress. NULL is fine. */
void store_relay_free(struct store_relay *r);

#endif
