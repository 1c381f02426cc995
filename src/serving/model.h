/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of models: name → versions. Read for every request, changed rarely; owned by the loop's
 * thread, so it has no locks. A request holds a reference on its version, so a version may be replaced while
 * requests run. */
#ifndef SERVING_MODEL_H
#define SERVING_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "serving/runtime.h"
#include "serving/server_loop.h"

/* number in tensorflow_serving/apis/get_model_status.proto, name on the wire */
#define VERSION_STATE_TABLE(X)                                                                               \
	X(VERSION_UNKNOWN, 0, "UNKNOWN")                                                                     \
	X(VERSION_START, 10, "START")                                                                        \
	X(VERSION_LOADING, 20, "LOADING")                                                                    \
	X(VERSION_AVAILABLE, 30, "AVAILABLE")                                                                \
	X(VERSION_UNLOADING, 40, "UNLOADING")                                                                \
	X(VERSION_END, 50, "END")

enum version_state {
#define VERSION_STATE_ENUM(name, number, word) name = number,
	VERSION_STATE_TABLE(VERSION_STATE_ENUM)
#undef VERSION_STATE_ENUM
};
const char *version_state_word(enum version_state s);

struct model_version {
	int refs; /* loop thread only */
	int64_t number;
	enum version_state state;
	struct err err; /* why the state is VERSION_END */
	char *path;
	struct runtime_model *runtime; /* NULL unless available or unloading */
	int64_t run_ns;		       /* moving average of a run; 0 = not measured yet */
	const char *model_name;	       /* view of the model's */
	struct batch_lane *lanes;      /* the batcher's, one for each signature in use */
};

#define MODEL_VERSIONS_MAX 64
struct model {
	char *name;
	size_t version_count; /* sorted, newest first */
	struct model_version *versions[MODEL_VERSIONS_MAX];
};

struct registry {
	struct map *models;
};

/* What a request asks for. All views. */
struct model_spec {
	struct str name, signature, label;
	bool has_version;
	int64_t version;
};

void registry_init(struct registry *r);
void registry_done(struct registry *r);
/* Adds the model with one version in state START. ERR_EXISTS. *ret is a view. */
int registry_add(struct registry *r, const char *name, int64_t number, const char *path,
		 struct model_version **ret, struct err *err);
struct model *registry_find(const struct registry *r, struct str name); /* NULL when absent; view */

/* The version a request means: the one it names, else the newest available one. On success *ret is a
 * reference of the caller's (model_version_unref). ERR_NOT_FOUND "Servable not found for request: …", which
 * clients look for. */
int registry_resolve(const struct registry *r, const struct model_spec *spec, struct model_version **ret,
		     struct err *err);
/* Why a status cannot be told: ERR_NOT_FOUND in the words of the original. */
int model_status_missing(const struct model_spec *spec, bool model_known, struct err *err);
/* Has every model an available version? */
bool registry_is_ready(const struct registry *r);
struct model_version *model_version_ref(struct model_version *v);
void model_version_unref(struct model_version *v); /* the last one unloads */
static inline void cleanup_model_version(struct model_version **v)
{
	if (*v)
		model_version_unref(*v);
}
const struct signature_set *model_version_signatures(const struct model_version *v);
void model_version_move(struct model_version *v,
			enum version_state to); /* asserts that the move is allowed */

/* Where the model lies: 'base' holds numbered folders (the highest is taken, or 'wanted' when it is >= 0), or
 * is itself a model (then the number is 'wanted', or 1). *ret_path is owned. ERR_NOT_FOUND, ERR_UNSUPPORTED.
 */
int model_locate(const char *base, int64_t wanted, int64_t *ret_number, char **ret_path, struct err *err);

#endif
