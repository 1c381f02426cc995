/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the Open Inference Protocol over HTTP, and what both transports share. */
#ifndef SERVING_OIP_REST_H
#define SERVING_OIP_REST_H

#include "serving/http.h"
#include "serving/model.h"
#include "serving/oip_route.h"
#include "serving/predict.h"

/* What is served, as an OpenAPI document: openapi.json. */
extern const unsigned char oip_openapi[];
extern const unsigned oip_openapi_len;

/* Ends the call with {"error": …}. */
void oip_rest_error(struct http_call *c, const struct err *err);
/* Ends the call at once or later; borrows the route. */
void oip_rest_infer(struct http_call *c, const struct oip_route *route);

#endif
