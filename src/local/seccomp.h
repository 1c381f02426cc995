/* SPDX-License-Identifier: Apache-2.0 */
/* The system calls that code in a container may make; the only copy of the list. */
#ifndef LOCAL_SECCOMP_H
#define LOCAL_SECCOMP_H

#include <jansson.h>
#include "base/buf.h"

/* The object "linux.seccomp" of an OCI runtime specification 1.0.2. Returns owned. */
json_t *seccomp_format(void);
/* One line per rule, for people and for the golden test: "clone arg0 & 0x7e020000 == 0". Appends. */
void seccomp_describe(struct buf *ret);

#endif
