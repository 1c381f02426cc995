/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections to the store: blocking sockets that are kept between calls. Thread-safe; a process that was
 * forked does not use its parent's.
 */
#ifndef FDS_CONNECTION_H
#define FDS_CONNECTION_H

#include <pthread.h>
#include <sys/types.h>
#include <sys/uio.h>
#include "fds_config.h"
#include "fds_wire.h"

#define FDS_IDLE_MAX 32 /* connections kept */

struct fds_connection {
	int fd;
	bool is_used; /* has answered before: it may have been closed since */
	struct fds_wire wire;
};
struct fds_pool {
	pthread_mutex_t lock;
	pid_t owner;
	int count;
	struct fds_connection *idle[FDS_IDLE_MAX];
};
#define FDS_POOL_INIT                                                                                        \
	{                                                                                                    \
		.lock = PTHREAD_MUTEX_INITIALIZER                                                            \
	}

/* A kept connection or a new one. Returns owned: give it to _put or _free. ERR_UNAVAILABLE, ERR_TIMEOUT. */
int fds_pool_get(struct fds_pool *p, const struct fds_config *c, struct fds_connection **ret,
		 struct err *err);
void fds_pool_put(struct fds_pool *p,
		  struct fds_connection *n);	    /* takes; nothing of an answer is left in it */
void fds_connection_free(struct fds_connection *n); /* takes; NULL is fine */
void fds_pool_done(struct fds_pool *p);
/* Sends all of it; changes 'parts'. */
int fds_connection_send(struct fds_connection *n, struct iovec *parts, int count, struct err *err);

#endif
