/* SPDX-License-Identifier: Apache-2.0 */
/* Small kernel files of control groups; shared by the cgroup files only. */
#ifndef LOCAL_CGROUP_FILE_H
#define LOCAL_CGROUP_FILE_H

#include <limits.h>
#include <stdint.h>
#include "local/cgroup.h"

bool cgroup_is_v2(const struct cgroup_tree *t);
void cgroup_folder(const struct cgroup_tree *t, const char *controller, const char *name, char *ret,
		   size_t cap);
int cgroup_write(const char *path, const char *text, struct err *err);

#endif
