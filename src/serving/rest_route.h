/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of TensorFlow Serving's REST API. */
#ifndef SERVING_REST_ROUTE_H
#define SERVING_REST_ROUTE_H

#include "base/arena.h"
#include "base/err.h"
#include "serving/model.h"

enum rest_verb { REST_PREDICT, REST_CLASSIFY, REST_REGRESS, REST_STATUS, REST_METADATA };

struct rest_route {
	enum rest_verb verb;
	struct model_spec spec; /* name, version and label are set; views of the path or the arena */
	int64_t timeout_ms;	/* what the client allows, set by the protocol; 0 = nothing said */
};

/* POST /v1/models/NAME[/versions/N|/labels/L]:predict|:classify|:regress
 * GET  /v1/models/NAME[/versions/N|/labels/L][/metadata]
 * Words are matched without regard to case; name and label are percent-decoded, once, into the arena.
 * ERR_INVALID "Malformed request: METHOD PATH" below /v1/, ERR_NOT_FOUND elsewhere. */
int rest_route_parse(const char *method, const char *path, struct arena *arena, struct rest_route *ret,
		     struct err *err);
/* Percent-decodes one part of a path; false when malformed, empty, too long, or with a NUL. */
bool rest_path_decode(struct str s, struct arena *arena, struct str *ret);

/* Percent-decodes one segment into the arena; false when malformed, empty, too long, or with a NUL. */
bool rest_path_decode(struct str s, struct arena *arena, struct str *ret);

#endif
