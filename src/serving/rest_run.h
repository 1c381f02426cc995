/* SPDX-License-Identifier: Apache-2.0 */
/* A JSON body run by a model: predict, classify or regress, whoever wants the answer. */
#ifndef SERVING_REST_RUN_H
#define SERVING_REST_RUN_H

#include "base/buf.h"
#include "serving/rest_route.h"
#include "serving/http.h"

/* Calls 'done' exactly once, possibly before it returns: err->code 0 and the answer's JSON (taken), or an
 * error. Borrows 'route'. 'body' ends with a NUL that is not counted and stays until then. The call that
 * waits for it gives the deadline and is what the client leaves: its 'cancel' and 'user' are used until
 * 'done'. */
void rest_run(struct http_call *call, const struct rest_route *route, struct str body,
	      void (*done)(void *arg, const struct err *err, struct buf *takes_json), void *arg);

/* The HTTP status of an error as TensorFlow Serving maps its codes. */
int rest_status(int code);
/* Appends {"error": …}. */
void rest_write_error(const struct err *err, struct buf *b);

#endif
