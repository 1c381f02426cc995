/* SPDX-License-Identifier: Apache-2.0 */
/* The registry of models: name → versions. Read for every request, changed rarely; owned by the loop's
 * thread, so it has no locks. A request holds a reference on its version, so a version may be replaced while
 * requests run.
 *
 * A version is 'wanted' while the model's policy chooses it. A wanted version that is 'parked' is not in
 * memory and is loaded when a request asks for it. What changes versions is model_life.h. */
#ifndef SERVING_MODEL_H
#define SERVING_MODEL_H

#include <stdbool.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/err.h"
#include "base/map.h"
#include "serving/model_config.h"
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

struct model;
struct model_life;

/* What predictions of a version took, in nanoseconds; times of those that succeeded, but for fail_ns. */
struct model_stats {
	uint64_t success_count, success_ns, fail_count, fail_ns;
	uint64_t input_ns, queue_ns, infer_ns, output_ns; /* parts of success_ns */
	uint64_t inference_count;			  /* rows: a batch counts as many as it has */
	uint64_t execution_count;
	uint64_t last_ms; /* since 1970 */
};

struct model_version {
	int refs; /* loop thread only */
	int64_t number;
	enum version_state state;
	struct err err; /* why the last load failed */
	char *path;
	struct runtime_model *runtime; /* NULL unless available or unloading */
	int64_t run_ns;		       /* moving average of a run; 0 = not measured yet */
	const char *model_name;	       /* view of the model's */
	struct model_stats stats;
	struct batch_lane *lanes; /* the batcher's, one for each signature in use */
	struct model *model;
	int64_t used; /* of registry.uses, at the last request */
	bool wanted, parked;

	/* Owned by model_life.c. */
	struct model_life *life; /* NULL in a registry without one */
	int64_t bytes;		 /* of its files, as they were found */
	uint64_t print;		 /* of its files when their load failed */
	uint64_t found_print;	 /* of its files as they were found */
	int tries;		 /* loads that failed */
	bool queued;		 /* waits for memory */
	struct loop_timer retry;
	struct loop_job job;
	struct runtime_model *loaded;  /* result of the load job */
	struct runtime_model *leaving; /* what the unload job takes out of memory */
	struct err job_err;
	uint64_t job_print;
};

struct model {
	char *name, *base_path;
	size_t name_len;
	struct model_metrics *metrics; /* view; NULL before its first request */
	struct version_policy policy;
	bool listed;		/* part of the configuration; else its versions go */
	bool scanned;		/* its folder has been looked at since it was listed */
	struct err err;		/* why nothing was found in its folder */
	int64_t folder_time_ns; /* of the folder when it was last read and complete; 0: read it again */
	size_t version_count;	/* sorted, newest first */
	struct model_version *versions[MODEL_VERSIONS_MAX];
	size_t label_count, weight_count;
	struct model_label labels[MODEL_LABELS_MAX]; /* names are owned */
	struct model_weight weights[MODEL_VERSIONS_MAX];
	uint64_t requests; /* that named neither version nor label: the counter that weights go by */
};

struct registry {
	struct map *models;
	struct model *last; /* that a request was for: the next one is likely for it, too */
	int64_t uses;
	bool starting; /* the first models are not all there yet: requests wait */
	/* A request needs a version that is parked or on its way ('v'), or the end of the start (NULL). It
	 * will be tried again, unless a negative error says that it cannot wait. May be NULL: then it fails.
	 */
	int (*on_demand)(struct registry *r, struct model_version *v, struct err *err);
};

/* What a request asks for. All views. */
struct model_spec {
	struct str name, signature, label;
	bool has_version;
	int64_t version;
};

void registry_init(struct registry *r);
void registry_done(struct registry *r);
struct model *registry_add(struct registry *r, const char *name); /* the one there is or a new one; view */
struct model *registry_find(const struct registry *r, struct str name); /* NULL when absent; view */
void registry_remove(struct registry *r, struct model *m); /* none of its versions may be in use */
/* A new version in state START. NULL when the model has too many; those that ended make room. View. */
struct model_version *model_add_version(struct model *m, int64_t number, const char *path);
struct model_version *model_find_version(const struct model *m, int64_t number); /* NULL when absent; view */

/* The version a request means: the one it names by number or label, else one by the model's weights, else the
 * newest available one. On success *ret is a reference of the caller's (model_version_unref). ERR_NOT_FOUND
 * "Servable not found for request: …", which clients look for; ERR_INVALID for an unknown label;
 * ERR_UNAVAILABLE when the version is on its way (see on_demand). */
int registry_resolve(struct registry *r, const struct model_spec *spec, struct model_version **ret,
		     struct err *err);
/* Why a status cannot be told: ERR_NOT_FOUND in the words of the original. */
int model_status_missing(const struct model_spec *spec, bool model_known, struct err *err);
/* Does a status request with this spec mean this version? By number, by label, or all. */
bool model_spec_matches(const struct model_spec *spec, const struct model *m, const struct model_version *v);
/* Can every listed model be asked? */
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

/* Replaces all labels. Each must name an available version, unless 'may_come' and the label is new: then
 * nothing is changed and ERR_STATE says which. Copies. */
int model_set_labels(struct model *m, const struct model_label *labels, size_t count, bool may_come,
		     struct err *err);
/* Replaces all weights; none: the newest version gets all. Each version with a weight must be there. */
int model_set_weights(struct model *m, const struct model_weight *weights, size_t count, struct err *err);

#endif
