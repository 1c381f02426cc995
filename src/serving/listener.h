/* SPDX-License-Identifier: Apache-2.0 */
/* The ports, each for everything: accepts connections and tells HTTP/2 from HTTP/1 by their first bytes. */
#ifndef SERVING_LISTENER_H
#define SERVING_LISTENER_H

#include "serving/server.h"

struct listener;

/* Binds, or takes the inherited socket; the second port and the Unix socket when they are wanted; logs the
 * addresses. */
int listener_new(struct server *s, struct listener **ret, struct err *err);
/* The models are loaded: with a control socket the other sockets accept from now on. */
void listener_open(struct listener *l);
/* Stops accepting; connections that have not said yet what they are may still do so. */
void listener_stop(struct listener *l);
/* Also closes connections that have not said yet what they are. NULL is fine. */
void listener_free(struct listener *l);

#endif
