/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control groups of containers, as files; 'tree' says where, so that tests bring a tree of their own.
 *
 * Version 1 and hybrid: the runtime uses CTRL/cloudml/NAME; we make memory/cloudml/NAME beforehand, for init
 * to watch. Version 2: we make cloudml/NAME and the runtime uses cloudml/NAME/c; the counters of the outer
 * one include the inner one. All stay until cgroup_remove.
 */
#ifndef LOCAL_CGROUP_H
#define LOCAL_CGROUP_H

#include <stdint.h>
#include "local/container.h"

struct cgroup_tree {
	enum cgroup_mode mode;
	const char *root; /* "/sys/fs/cgroup" */
};

enum cgroup_mode cgroup_mode_detect(const char *root);
/* Space-separated controllers among cpu, memory, pids that cannot be used; "" = all can. */
void cgroup_missing(const struct cgroup_tree *t, char *ret, size_t cap);

/* "/cloudml/NAME" or "/cloudml/NAME/c": linux.cgroupsPath. */
void cgroup_oci_path(const struct cgroup_tree *t, const char *name, char *ret, size_t cap);
int cgroup_make(const struct cgroup_tree *t, const char *name, struct err *err);

/* Descriptors for cloudml-init, owned by the caller; all -1 in version 2, where the kernel does their work.
 */
struct cgroup_watch {
	int oom, peak, event;
};
int cgroup_watch_open(const struct cgroup_tree *t, const char *name, struct cgroup_watch *ret,
		      struct err *err);

int cgroup_stats(const struct cgroup_tree *t, const char *name, struct container_stats *ret, struct err *err);
/* Kills by the memory limit so far and the peak, -1 when unknown; also after the last process is gone. */
void cgroup_final(const struct cgroup_tree *t, const char *name, int64_t *ret_oom_kills,
		  int64_t *ret_peak_bytes);
/* SIGKILL to everything in it once. Returns how many processes were seen, 0 when it is empty or not there. */
int cgroup_kill(const struct cgroup_tree *t, const char *name);
/* One pass over all controllers. True when nothing is left. */
bool cgroup_remove(const struct cgroup_tree *t, const char *name);
/* Process 1 of the container as the host numbers it; 0 = none yet or any more. *ret_listens: it is
 * cloudml-init and waits for signals. */
pid_t cgroup_init(const struct cgroup_tree *t, const char *name, const char *proc_root, bool *ret_listens);
int cgroup_list(const struct cgroup_tree *t, char ***ret, struct err *err); /* returns owned */

#endif
