/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Front door of the mount: a part of the store as a folder, read-only, for programs that only know files.
 *
 * Ideas: a key is a path, a common prefix a folder, an object whose key ends in '/' an empty folder. Each
 * open file is one object as it was when it was opened: where versions are kept, that version is read;
 * elsewhere each piece is followed by a look at the object, and one that was replaced meanwhile gives ESTALE,
 * never bytes of two objects. For that reason the kernel's page cache is not used. Calls that fail for a
 * passing reason are repeated for MOUNT_PATIENCE_MS, then EIO.
 */
#ifndef MOUNT_MOUNT_H
#define MOUNT_MOUNT_H

#include <stdbool.h>
#include "base/err.h"

#define MOUNT_PATIENCE_MS 120000
#define MOUNT_CALL_MS 60000
#define MOUNT_KEY_MAX 1024
#define MOUNT_OPEN_MAX 1024
/* Of one open file; grows while it is read from front to back and MOUNT_CACHE_BYTES allow it. */
#define MOUNT_WINDOW_MIN (256 << 10)
#define MOUNT_WINDOW_MAX (8 << 20)
#define MOUNT_CACHE_BYTES (256 << 20)

struct mount_options {
	const char *endpoint, *token; /* token NULL = none */
	const char *bucket, *prefix;  /* prefix "" = the whole bucket */
	const char *folder;	      /* absolute; must exist */
	bool foreground;
};
/* Mounts and serves until unmounted or SIGTERM, SIGINT, SIGHUP; without 'foreground' the calling process ends
 * with status 0 once the folder is mounted. Borrows o. The bucket must be readable. */
int mount_run(const struct mount_options *o, struct err *err);

/* Is the path, as realpath() makes it, the place of a mount of ours, alive or dead? */
bool mount_is_ours(const char *folder);
/* The absolute path of a folder that may be a dead mount. Returns owned, NULL with errno. */
char *mount_resolve(const char *folder);

#endif
