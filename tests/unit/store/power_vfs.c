/* SPDX-License-Identifier: Apache-2.0 */
/* The forgetful disk: every file has what is durable and a list of changes that are not. */
#include "unit/store/power_vfs.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/mem.h"
#include "unit/test.h"

#define SECTOR 512
#define FILES_MAX 8
#define NAME_SIZE 256

struct change {
	sqlite3_int64 offset; /* of a write; the new size of a truncation */
	size_t len;
	char *data; /* owned; NULL = a truncation */
};
struct disk_file {
	char name[NAME_SIZE];
	struct buf durable, now;
	bool exists, exists_durably;
	struct change *changes;
	size_t change_count, change_cap;
};
struct open_file {
	sqlite3_file base;
	struct disk_file *file;
};

static struct disk_file disk[FILES_MAX];
static struct {
	char name[NAME_SIZE];
	struct buf content;
} image[FILES_MAX];
static int operations, cut_at;
static bool is_off;

/* ---- the disk ---- */

static void put(struct buf *b, sqlite3_int64 offset, const void *data, size_t len)
{
	size_t end = (size_t)offset + len;
	if (end > b->len) {
		size_t before = b->len;
		buf_reserve(b, end - before);
		memset(b->data + before, 0, end - before);
		b->len = end;
	}
	memcpy(b->data + offset, data, len);
}

static void resize(struct buf *b, sqlite3_int64 size)
{
	if ((size_t)size < b->len)
		b->len = (size_t)size;
	else
		put(b, size, "", 0);
}

static void copy(struct buf *to, const struct buf *from)
{
	buf_clear(to);
	buf_add(to, from->data ? from->data : "", from->len);
}

static void forget_changes(struct disk_file *f)
{
	for (size_t i = 0; i < f->change_count; i++)
		free(f->changes[i].data);
	f->change_count = 0;
}

static void note_change(struct disk_file *f, sqlite3_int64 offset, const void *data, size_t len)
{
	if (f->change_count == f->change_cap) {
		f->change_cap = f->change_cap ? f->change_cap * 2 : 64;
		f->changes = mem_realloc(f->changes, f->change_cap * sizeof(*f->changes));
	}
	struct change *c = &f->changes[f->change_count++];
	*c = (struct change){.offset = offset, .len = len};
	if (data) {
		c->data = mem_alloc(len + 1);
		memcpy(c->data, data, len);
	}
}

/* How much of what was not synced a disk has kept, in one cut. */
enum fate { NOTHING, ALL, BEGINNING, SOME, SECTORS, FATE_COUNT };

static void apply_sectors(struct disk_file *f, const struct change *c, struct rng *rng)
{
	for (size_t at = 0; at < c->len; at += SECTOR)
		if (rng_below(rng, 2))
			put(&f->durable, c->offset + (sqlite3_int64)at, c->data + at,
			    c->len - at < SECTOR ? c->len - at : SECTOR);
}

static void settle(struct disk_file *f, struct rng *rng)
{
	enum fate fate = (enum fate)rng_below(rng, FATE_COUNT);
	size_t first_lost = fate == BEGINNING ? rng_below(rng, f->change_count + 1) : f->change_count;
	for (size_t i = 0; i < first_lost && fate != NOTHING; i++) {
		const struct change *c = &f->changes[i];
		if (fate >= SOME && !rng_below(rng, 2))
			continue;
		if (!c->data)
			resize(&f->durable, c->offset);
		else if (fate == SECTORS)
			apply_sectors(f, c, rng);
		else
			put(&f->durable, c->offset, c->data, c->len);
	}
	forget_changes(f);
	if (!f->exists_durably)
		f->exists_durably = f->exists && rng_below(rng, 2);
	f->exists = f->exists_durably;
	if (!f->exists)
		buf_clear(&f->durable);
	copy(&f->now, &f->durable);
}

void power_return(struct rng *rng)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		settle(&disk[i], rng);
	is_off = false;
	cut_at = operations = 0;
}

void power_cut_after(int count)
{
	cut_at = count;
	operations = 0;
}

bool power_is_off(void)
{
	return is_off;
}

void power_keep_image(void)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		memcpy(image[i].name, disk[i].name, NAME_SIZE);
		if (!disk[i].exists)
			image[i].name[0] = 0;
		copy(&image[i].content, &disk[i].now);
	}
}

void power_restore_image(void)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		struct disk_file *f = &disk[i];
		forget_changes(f);
		memcpy(f->name, image[i].name, NAME_SIZE);
		f->exists = f->exists_durably = image[i].name[0] != 0;
		copy(&f->now, &image[i].content);
		copy(&f->durable, &image[i].content);
	}
	is_off = false;
	cut_at = operations = 0;
}

/* Counts; true when there is no power for this one. */
static bool no_power(void)
{
	if (cut_at && ++operations >= cut_at)
		is_off = true;
	return is_off;
}

/* ---- as SQLite sees it ---- */

static struct disk_file *file_of(sqlite3_file *f)
{
	return ((struct open_file *)f)->file;
}

static int file_close(sqlite3_file *f)
{
	return SQLITE_OK;
}

static int file_read(sqlite3_file *f, void *data, int len, sqlite3_int64 offset)
{
	const struct buf *now = &file_of(f)->now;
	if (is_off)
		return SQLITE_IOERR_READ;
	size_t have = (size_t)offset < now->len ? now->len - (size_t)offset : 0;
	size_t take = have < (size_t)len ? have : (size_t)len;
	if (take)
		memcpy(data, now->data + offset, take);
	memset((char *)data + take, 0, (size_t)len - take);
	return take == (size_t)len ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int file_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 offset)
{
	struct disk_file *file = file_of(f);
	bool fails = no_power();
	if (fails && operations > cut_at)
		return SQLITE_IOERR_WRITE;
	note_change(file, offset, data, (size_t)len); /* the one that met the cut may have reached the disk */
	put(&file->now, offset, data, (size_t)len);
	return fails ? SQLITE_IOERR_WRITE : SQLITE_OK;
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	if (no_power())
		return SQLITE_IOERR_TRUNCATE;
	note_change(file_of(f), size, NULL, 0);
	resize(&file_of(f)->now, size);
	return SQLITE_OK;
}

static int file_sync(sqlite3_file *f, int flags)
{
	struct disk_file *file = file_of(f);
	if (no_power())
		return SQLITE_IOERR_FSYNC;
	copy(&file->durable, &file->now);
	forget_changes(file);
	file->exists_durably = true; /* SQLite syncs the folder with a new log, too */
	return SQLITE_OK;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size)
{
	*size = (sqlite3_int64)file_of(f)->now.len;
	return SQLITE_OK;
}

static int file_lock(sqlite3_file *f, int level)
{
	return SQLITE_OK;
}

static int file_check_lock(sqlite3_file *f, int *result)
{
	*result = 0;
	return SQLITE_OK;
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
	return SQLITE_NOTFOUND;
}

static int file_sector(sqlite3_file *f)
{
	return 4096;
}

static int file_traits(sqlite3_file *f)
{
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {
    1,	       file_close, file_read,	    file_write,	  file_truncate, file_sync,   file_size,
    file_lock, file_lock,  file_check_lock, file_control, file_sector,	 file_traits,
};

static struct disk_file *find(const char *name)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		if (disk[i].exists && strcmp(disk[i].name, name) == 0)
			return &disk[i];
	return NULL;
}

static struct disk_file *create(const char *name)
{
	struct disk_file *f = disk;
	while (f < disk + FILES_MAX && (f->exists || f->exists_durably))
		f++;
	assert_true(f < disk + FILES_MAX);
	forget_changes(f);
	buf_clear(&f->now);
	buf_clear(&f->durable);
	memcpy(f->name, name, strnlen(name, NAME_SIZE - 1) + 1);
	f->exists = true;
	f->exists_durably = false;
	return f;
}

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	struct open_file *open = (struct open_file *)f;
	open->base.pMethods = NULL;
	if (is_off)
		return SQLITE_CANTOPEN;
	open->file = find(name);
	if (!open->file && !(flags & SQLITE_OPEN_CREATE))
		return SQLITE_CANTOPEN;
	if (!open->file)
		open->file = create(name);
	open->base.pMethods = &methods;
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync_dir)
{
	struct disk_file *f = find(name);
	if (no_power())
		return SQLITE_IOERR_DELETE;
	if (!f)
		return SQLITE_IOERR_DELETE_NOENT;
	f->exists = false;
	f->exists_durably = !sync_dir && f->exists_durably;
	return SQLITE_OK;
}

static int vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *result)
{
	*result = find(name) != NULL;
	return SQLITE_OK;
}

static int vfs_full_name(sqlite3_vfs *vfs, const char *name, int cap, char *out)
{
	sqlite3_snprintf(cap, out, "%s", name);
	return SQLITE_OK;
}

static void free_disk(void)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		forget_changes(&disk[i]);
		free(disk[i].changes);
		buf_done(&disk[i].now);
		buf_done(&disk[i].durable);
		buf_done(&image[i].content);
	}
}

void power_vfs_install(void)
{
	static sqlite3_vfs ours;
	if (ours.zName)
		return;
	ours = *sqlite3_vfs_find(NULL); /* clocks and randomness */
	ours.iVersion = 1;
	ours.zName = "power";
	ours.szOsFile = (int)sizeof(struct open_file);
	ours.xOpen = vfs_open;
	ours.xDelete = vfs_delete;
	ours.xAccess = vfs_access;
	ours.xFullPathname = vfs_full_name;
	sqlite3_vfs_register(&ours, 1);
	atexit(free_disk);
}
