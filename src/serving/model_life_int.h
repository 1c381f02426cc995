/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the life of models: versions (model_life.c), configurations and folders (model_reload.c), memory
 * (model_memory.c). */
#ifndef SERVING_MODEL_LIFE_INT_H
#define SERVING_MODEL_LIFE_INT_H

#include "serving/model_life.h"
#include "serving/model_scan.h"
#include "serving/server_loop_int.h"

struct scan {
	struct loop_job job;
	struct model_life *life;
	int64_t generation;
	size_t count;
	struct scan_item *items;
};

struct config_read {
	struct loop_job job;
	bool running;
	struct buf text;
	struct err err;
};

struct model_life {
	struct server *server;
	struct registry *registry;
	struct worker_pool pool;
	struct runtime_options runtime;
	struct list reloads; /* the first one is being done */
	int64_t generation;  /* of the configuration */
	struct scan *scan;   /* being done; NULL when none */
	bool scan_again, polling;
	struct loop_timer poll, config_poll;
	struct config_read config_read;
	struct buf config_text; /* as it was last read */
};

/* Brings the versions of a model nearer to what is wanted. */
void model_reconcile(struct model_life *l, struct model *m);
void model_reload_check(struct model_life *l);
void model_version_start(struct model_life *l, struct model_version *v);

/* Is there memory for the version? If not, versions unused for long begin to go (only when 'evict'). Returns
 * 1 yes, 0 not yet or no, -ERR_LIMIT never. */
int model_memory_make(struct model_life *l, struct model_version *v, bool evict, struct err *err);

#endif
