/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of the Open Inference Protocol over HTTP. */
#ifndef SERVING_OIP_ROUTE_H
#define SERVING_OIP_ROUTE_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/err.h"
#include "serving/model.h"

/* The header that says how much of a body is JSON; tensors as bytes follow. */
#define OIP_HEADER_LENGTH "Inference-Header-Content-Length"

/* verb, method, pattern: NAME and VERSION stand for one part each, a star for everything that follows. The
 * first row that fits counts. */
#define OIP_ROUTE_TABLE(X)                                                                                   \
	X(OIP_SERVER, "GET", "v2")                                                                           \
	X(OIP_OPENAPI, "GET", "openapi.json")                                                                \
	X(OIP_LIVE, "GET", "v2/health/live")                                                                 \
	X(OIP_READY, "GET", "v2/health/ready")                                                               \
	X(OIP_MODELS, "GET", "v2/models")                                                                    \
	X(OIP_MODELS, "GET", "v1/models")                                                                    \
	X(OIP_STATS, "GET", "v2/models/stats")                                                               \
	X(OIP_MODEL, "GET", "v2/models/NAME")                                                                \
	X(OIP_MODEL, "GET", "v2/models/NAME/versions/VERSION")                                               \
	X(OIP_MODEL_READY, "GET", "v2/models/NAME/ready")                                                    \
	X(OIP_MODEL_READY, "GET", "v2/models/NAME/versions/VERSION/ready")                                   \
	X(OIP_CONFIG, "GET", "v2/models/NAME/config")                                                        \
	X(OIP_CONFIG, "GET", "v2/models/NAME/versions/VERSION/config")                                       \
	X(OIP_STATS, "GET", "v2/models/NAME/stats")                                                          \
	X(OIP_STATS, "GET", "v2/models/NAME/versions/VERSION/stats")                                         \
	X(OIP_INFER, "POST", "v2/models/NAME/infer")                                                         \
	X(OIP_INFER, "POST", "v2/models/NAME/versions/VERSION/infer")                                        \
	X(OIP_INDEX, "POST", "v2/repository/index")                                                          \
	X(OIP_LOAD, "POST", "v2/repository/models/NAME/load")                                                \
	X(OIP_UNLOAD, "POST", "v2/repository/models/NAME/unload")                                            \
	X(OIP_NOT_OFFERED, "", "v2/models/NAME/generate")                                                    \
	X(OIP_NOT_OFFERED, "", "v2/models/NAME/generate_stream")                                             \
	X(OIP_NOT_OFFERED, "", "v2/models/NAME/versions/VERSION/generate")                                   \
	X(OIP_NOT_OFFERED, "", "v2/models/NAME/versions/VERSION/generate_stream")                            \
	X(OIP_NOT_OFFERED, "", "v2/models/NAME/trace/*")                                                     \
	X(OIP_NOT_OFFERED, "", "v2/trace/*")                                                                 \
	X(OIP_NOT_OFFERED, "", "v2/logging")                                                                 \
	X(OIP_NOT_OFFERED, "", "v2/systemsharedmemory/*")                                                    \
	X(OIP_NOT_OFFERED, "", "v2/cudasharedmemory/*")

enum oip_verb {
	OIP_SERVER,
	OIP_OPENAPI,
	OIP_LIVE,
	OIP_READY,
	OIP_MODELS,
	OIP_MODEL,
	OIP_MODEL_READY,
	OIP_CONFIG,
	OIP_STATS,
	OIP_INFER,
	OIP_INDEX,
	OIP_LOAD,
	OIP_UNLOAD,
	OIP_NOT_OFFERED
};

struct oip_route {
	enum oip_verb verb;
	struct model_spec spec; /* name (empty: the path has none) and version */
	const char *allowed;	/* with ERR_METHOD: the method that is meant */
};

/* Is the path one of this protocol's? */
bool oip_route_takes(const char *path);
/* Name and version are percent-decoded, once, into the arena. ERR_NOT_FOUND, ERR_METHOD, ERR_UNSUPPORTED
 * (known but not offered), ERR_INVALID (malformed name or version). */
int oip_route_parse(const char *method, const char *path, struct arena *arena, struct oip_route *ret,
		    struct err *err);
/* "" is no version: the newest. ERR_INVALID. */
int oip_version_parse(struct str text, struct model_spec *ret, struct err *err);

#endif
