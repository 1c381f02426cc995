/* SPDX-License-Identifier: Apache-2.0 */
/* Closes a descriptor that outlives its scope and forgets it. */
#ifndef LOCAL_FD_DROP_H
#define LOCAL_FD_DROP_H

#include "base/mem.h"

static inline void fd_drop(int *fd)
{
	cleanup_fd(fd);
	*fd = -1;
}

#endif
