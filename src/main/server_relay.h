/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a waiting server does with its clients: it passes their bytes to the server that has the database, and
 * the answers back, whatever they are. While there is nobody to pass them to it answers 503 itself.
 */
#ifndef MAIN_SERVER_RELAY_H
#define MAIN_SERVER_RELAY_H

#include "base/err.h"
#include "loop/loop.h"

#define RELAY_CONNECTIONS_MAX 1024 /* more are closed at once */

struct relay;
/* Listens. port 0 takes a free one. */
int relay_new(struct loop *l, const char *address, int port, struct relay **ret, struct err *err);
int relay_port(const struct relay *r);
/* "HOST:PORT" for connections from now on; "" = nobody. */
void relay_target(struct relay *r, const char *address);
void relay_free(struct relay *r); /* breaks connections off; NULL is fine */

#endif
