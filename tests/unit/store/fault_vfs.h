/* SPDX-License-Identifier: Apache-2.0 */
/* A file system for SQLite, above the real one, whose writes and fsyncs fail on request. */
#ifndef TESTS_UNIT_STORE_FAULT_VFS_H
#define TESTS_UNIT_STORE_FAULT_VFS_H

struct fault_vfs {
	int writes, syncs; /* seen so far */
	int fail_write_at; /* this one fails, counted from 1; 0 = none */
	int fail_sync_at;
	int write_code; /* SQLITE_FULL or SQLITE_IOERR_WRITE */
	int for_ever;	/* all later ones fail too */
	int failed;	/* how many did */
};
extern struct fault_vfs fault_vfs;

void fault_vfs_install(void); /* the default from now on; once */
void fault_vfs_reset(void);

#endif
