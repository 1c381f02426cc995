/* SPDX-License-Identifier: Apache-2.0 */
/* The life of models and versions: from a configuration to folders to what is in memory, and out again.
 *
 * Rules: a version that is no longer wanted serves until a wanted one can (or has ended trying); it leaves
 * memory after its last request. What does not load is tried again a few times, and after that when its files
 * change. Loading, unloading and looking at folders happen on threads of their own; everything here is called
 * on the loop's thread. */
#ifndef SERVING_MODEL_LIFE_H
#define SERVING_MODEL_LIFE_H

#include "base/list.h"
#include "serving/model.h"
#include "serving/server.h"

struct model_life;

/* A new configuration on its way. */
struct reload {
	struct list node;
	struct model_config_list *config; /* taken */
	/* Optional: sets 'config' when the turn comes, for what depends on the reloads before. */
	void (*prepare)(struct reload *r);
	bool impatient; /* done does not wait for versions that failed to load and are tried again */
	bool scanned;
	/* Once: when every model has a version that can serve, with its labels and weights set; or the first
	 * reason why not. May free r. */
	void (*done)(struct reload *r, const struct err *err);
};

int model_life_new(struct server *s, struct model_life **ret, struct err *err);
/* Ends the threads, waiting for a load that runs, and unloads what was loaded and not taken. NULL is fine. */
void model_life_free(struct model_life *l);

/* Makes the registry serve exactly the models of r->config, one reload after the other. Keeps r until done.
 */
void model_life_reload(struct model_life *l, struct reload *r);
/* The configuration that the options ask for, read now: of the file, or of one model. *ret is owned. */
int model_life_configured(struct model_life *l, struct model_config_list **ret, struct err *err);
/* From now on looks at folders and at the configuration file from time to time, as the options say. */
void model_life_poll(struct model_life *l);

/* A request needs a parked version: it is loaded. False when that cannot be. */
bool model_life_demand(struct model_version *v);
void model_life_unused(struct model_version *v); /* the last request of a version that goes has ended */

#endif
