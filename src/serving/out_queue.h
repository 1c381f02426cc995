/* SPDX-License-Identifier: Apache-2.0 */
/* What a connection still has to send: bytes of its own with views of foreign memory between them, so that a
 * large tensor goes from where the runtime left it to the kernel. */
#ifndef SERVING_OUT_QUEUE_H
#define SERVING_OUT_QUEUE_H

#include <stdbool.h>
#include "base/buf.h"
#include "serving/shared.h"

struct out_view {
	size_t at; /* how many of the own bytes go before it */
	const char *data;
	size_t len;
	struct shared *memory; /* one reference */
};
struct out_queue {
	struct buf bytes;
	size_t sent; /* of bytes */
	struct out_view *views;
	size_t view_count, view_cap, view_first; /* those before view_first are sent */
	size_t waiting;				 /* bytes to send, of both kinds */
};

void out_queue_done(struct out_queue *q);
void out_queue_add(struct out_queue *q, const void *data, size_t len); /* copies */
/* Takes a reference on 'memory' until the bytes are sent. */
void out_queue_add_view(struct out_queue *q, const void *data, size_t len, struct shared *memory);
/* Sends what the socket takes. False when the connection is broken. */
bool out_queue_send(struct out_queue *q, int fd);

#endif
