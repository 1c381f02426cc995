/* SPDX-License-Identifier: Apache-2.0 */
/* What lies in the folders of models: a look at the disk, on a worker thread. */
#ifndef SERVING_MODEL_SCAN_H
#define SERVING_MODEL_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/err.h"
#include "serving/model_config.h"

struct scan_version {
	int64_t number;
	char *path;
	int64_t bytes;
	uint64_t print;
};

/* One model: what to look for, and what was found. */
struct scan_item {
	char *name, *base_path; /* owned */
	struct version_policy policy;
	int64_t folder_time_ns; /* when it was last read whole; 0: read it. Afterwards: of this time, 0 when a
				 * version was not complete yet */
	bool unchanged;		/* the folder's time is still that one: nothing was read */
	size_t count;		/* sorted, newest first, chosen by the policy */
	struct scan_version *versions;
	struct err err;
};

/* Never fails as a whole: item->err says why nothing was found. */
void model_scan(struct scan_item *item);
void scan_item_done(struct scan_item *item);

/* Size of all files at 'path' and a hash of their names, sizes and times: two equal prints before and after
 * mean that nothing changed between. ERR_TOO_LARGE past a limit of files. */
int model_print(const char *path, int64_t *ret_bytes, uint64_t *ret_print, struct err *err);

/* A folder's name that is a number, leading zeros allowed; else -1. */
int64_t model_version_of(const char *name);

#endif
