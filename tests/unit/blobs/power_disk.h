/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk that remembers the order of things. While it records, every write, truncation, sync, rename, link
 * and removal below one folder is kept beside being done (the calls of libc are overlaid in the program that
 * links this file). From that any state can be made in which a power cut may leave the folder: what was
 * synced is there; of the rest each file and each folder has kept nothing, all, a beginning, some, or some
 * sectors.
 */
#ifndef TESTS_UNIT_BLOBS_POWER_DISK_H
#define TESTS_UNIT_BLOBS_POWER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include "base/rng.h"

/* From now on; what is below 'dir' at this moment is durable. Nothing is really synced meanwhile. */
void power_begin(const char *dir);
void power_end(void);	     /* keeps what was recorded until the next power_begin */
size_t power_position(void); /* so many operations have been recorded */
/* Makes 'dir' (another folder) what a cut before operation number 'cut' has left. */
void power_cut(size_t cut, const char *dir, struct rng *rng);
void power_wipe(const char *dir); /* of all that is in it */

/* The n-th sync from now fails once (EIO), and what it had to sync may be lost for ever. 0 = none. */
void power_fail_sync(int n);
/* From the n-th write on, 'count' of them find no space; the first one is written by half. */
void power_fill(int n, int count);
bool power_has_failed(void); /* one of the two has happened */

#endif
