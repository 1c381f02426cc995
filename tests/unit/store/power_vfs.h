/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file system in memory, for SQLite, that forgets like a disk without power: what was not synced is there,
 * is not there, or is there by sectors, each write for itself.
 */
#ifndef TESTS_UNIT_STORE_POWER_VFS_H
#define TESTS_UNIT_STORE_POWER_VFS_H

#include <stdbool.h>
#include "base/rng.h"

void power_vfs_install(void); /* the default from now on; once */
/* The power goes when so many writes, truncations and syncs more have been begun; that one and all later ones
 * fail. 0 = never. */
void power_cut_after(int operations);
bool power_is_off(void);
/* Whoever has files open has closed them. Decides what the disk has kept. */
void power_return(struct rng *rng);
/* Files as they are now, and again as they were then. */
void power_keep_image(void);
void power_restore_image(void);

#endif
