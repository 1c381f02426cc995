/* SPDX-License-Identifier: Apache-2.0 */
/* The faulty file system: every file is a wrapper that passes on, counts, and fails when told. */
#include <string.h>
#include <sqlite3.h>
#include "unit/store/fault_vfs.h"

struct fault_vfs fault_vfs;

struct fault_file {
	sqlite3_file base;
	sqlite3_file *real; /* behind this struct, in the same allocation */
};

static sqlite3_vfs *real_vfs;
static sqlite3_vfs our_vfs;

static sqlite3_file *real(sqlite3_file *f)
{
	return ((struct fault_file *)f)->real;
}

static int is_due(int count, int at)
{
	int due = at && (count == at || (fault_vfs.for_ever && count > at));
	fault_vfs.failed += due;
	return due;
}

static int file_close(sqlite3_file *f)
{
	return real(f)->pMethods ? real(f)->pMethods->xClose(real(f)) : SQLITE_OK;
}

static int file_read(sqlite3_file *f, void *data, int len, sqlite3_int64 offset)
{
	return real(f)->pMethods->xRead(real(f), data, len, offset);
}

static int file_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 offset)
{
	if (is_due(++fault_vfs.writes, fault_vfs.fail_write_at))
		return fault_vfs.write_code;
	return real(f)->pMethods->xWrite(real(f), data, len, offset);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	return real(f)->pMethods->xTruncate(real(f), size);
}

static int file_sync(sqlite3_file *f, int flags)
{
	if (is_due(++fault_vfs.syncs, fault_vfs.fail_sync_at))
		return SQLITE_IOERR_FSYNC;
	return real(f)->pMethods->xSync(real(f), flags);
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	return real(f)->pMethods->xFileSize(real(f), size);
}

static int file_lock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xLock(real(f), level);
}

static int file_unlock(sqlite3_file *f, int level)
{
	return real(f)->pMethods->xUnlock(real(f), level);
}

static int file_check_lock(sqlite3_file *f, int *result)
{
	return real(f)->pMethods->xCheckReservedLock(real(f), result);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	return real(f)->pMethods->xFileControl(real(f), op, arg);
}

static int file_sector(sqlite3_file *f)
{
	return real(f)->pMethods->xSectorSize(real(f));
}

static int file_traits(sqlite3_file *f)
{
	return real(f)->pMethods->xDeviceCharacteristics(real(f));
}

/* Version 1: no shared memory, which the store does without. */
static const sqlite3_io_methods methods = {
    1,	       file_close,  file_read,	     file_write,   file_truncate, file_sync,   file_size,
    file_lock, file_unlock, file_check_lock, file_control, file_sector,	  file_traits,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct fault_file *file = (struct fault_file *)f;
	file->real = (sqlite3_file *)(file + 1);
	int rc = real_vfs->xOpen(real_vfs, name, file->real, flags, ret_flags);
	file->base.pMethods = file->real->pMethods ? &methods : NULL;
	return rc;
}

void fault_vfs_install(void)
{
	if (real_vfs)
		return;
	real_vfs = sqlite3_vfs_find(NULL);
	our_vfs = *real_vfs;
	our_vfs.zName = "fault";
	our_vfs.szOsFile = (int)sizeof(struct fault_file) + real_vfs->szOsFile;
	our_vfs.xOpen = vfs_open;
	sqlite3_vfs_register(&our_vfs, 1);
}

void fault_vfs_reset(void)
{
	memset(&fault_vfs, 0, sizeof(fault_vfs));
	fault_vfs.write_code = SQLITE_FULL;
}
