/* SPDX-License-Identifier: Apache-2.0 */
/* grpc.health.v1.Health: one answer, and answers for as long as the client watches. */
#ifndef SERVING_HEALTH_H
#define SERVING_HEALTH_H

#include "serving/server.h"

/* Tells those who watch what has changed. Called before each wait of the loop, so no change is missed,
 * whoever made it. */
void health_before_wait(struct server *s);

#endif
