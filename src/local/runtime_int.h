/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed places of the container half. */
#ifndef LOCAL_RUNTIME_INT_H
#define LOCAL_RUNTIME_INT_H

#include <stdbool.h>
#include <stddef.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define RUNTIME_FOLDER "/run/cloudml"	      /* 0711, root */
#define RUNTIME_STATE RUNTIME_FOLDER "/state" /* --root of the runtime */

/* Where a container's root is bound, in the private mount namespace of its runtime. */
#define CONTAINER_ROOT RUNTIME_FOLDER "/root"

/* Absolute path of a program in the system's folders; "" and false when it is not installed. */
bool runtime_find_program(const char *name, char *ret, size_t cap);

#endif
