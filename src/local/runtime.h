/* SPDX-License-Identifier: Apache-2.0 */
/* The OCI runtime of this machine and how its control groups are mounted; found once per process. */
#ifndef LOCAL_RUNTIME_H
#define LOCAL_RUNTIME_H

#include <stdbool.h>
#include <jansson.h>
#include "base/err.h"

enum cgroup_mode {
	CGROUP_NONE,
	CGROUP_V1,
	CGROUP_HYBRID, /* v1 controllers, an empty v2 tree below unified/ */
	CGROUP_V2,
};
const char *cgroup_mode_word(enum cgroup_mode m); /* "none", "v1", "hybrid", "v2" */

struct runtime {
	char name[16];	  /* "crun" or "runc" */
	char path[256];	  /* absolute */
	char version[64]; /* "" until runtime_version() */
	enum cgroup_mode cgroup;
	bool rootless;	   /* always false at present: without root detection fails */
	bool hide_unified; /* started in a private mount namespace without the v2 tree of a hybrid machine */
	char slirp_path[256]; /* "" = NETWORK_EGRESS is not possible */
	char why[200];	      /* "crun: about twice as fast as runc" */
};

/* crun when there, else runc; CLOUDML_RUNTIME=runc|crun decides otherwise. Starts no program. The answer is
 * kept for the life of the process. ERR_UNSUPPORTED lists everything that is missing. */
int runtime_detect(struct runtime *ret, struct err *err);
/* Asks the program; fills r->version. */
int runtime_version(struct runtime *r, struct err *err);

#endif
