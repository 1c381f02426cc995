/* SPDX-License-Identifier: Apache-2.0 */
/* Data files: content, then a CRC-32C for each block of it, then a footer. */
#include "blobs/blobs_int.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/crc32c.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#define FOOTER_MAGIC 0x464c4d43u /* "CMLF" */

struct footer { /* as on the disk, little-endian */
	uint32_t magic, block_bytes;
	uint64_t size;
};

static void name_format(uint64_t id, char ret[32])
{
	snprintf(ret, 32, "%02x/%016llx", (unsigned)(id % FILE_FOLDERS), (unsigned long long)id);
}

int files_open(struct blobs *b, struct err *err)
{
	int r = 0;
	for (int i = 0; i < FILE_FOLDERS && r == 0; i++) {
		char name[32];
		snprintf(name, sizeof(name), "%02x", i);
		if (mkdirat(b->files_fd, name, 0700) < 0 && errno != EEXIST)
			r = err_sys(err, errno, "cannot make the folder of data files '%s'", name);
	}
	return r < 0 ? r : fd_sync(b->files_fd, err);
}

int file_begin(struct blobs *b, struct file_writer *ret, struct err *err)
{
	char name[32];
	uint64_t id = atomic_fetch_add(&b->next_file, 1);
	name_format(id, name);
	int fd = path_open(b->files_fd, name, O_RDWR | O_CREAT | O_EXCL, 0600, err);
	if (fd < 0)
		return err_wrap(err, "beginning a data file");
	*ret = (struct file_writer){.id = id, .fd = fd};
	return 0;
}

static void block_end(struct file_writer *w)
{
	if (w->block_count == w->block_cap) {
		w->block_cap = w->block_cap ? 2 * w->block_cap : 64;
		w->crcs = mem_realloc(w->crcs, w->block_cap * sizeof(*w->crcs));
	}
	w->crcs[w->block_count++] = htole32(w->crc);
	w->crc = 0;
	w->filled = 0;
}

int file_write(struct file_writer *w, const void *data, size_t len, struct err *err)
{
	int r = fd_write_all(w->fd, data, len, err);
	if (r < 0)
		return r;
	w->size_bytes += (int64_t)len;
	for (const char *p = data; len > 0;) {
		size_t n = FILE_BLOCK_BYTES - w->filled < len ? FILE_BLOCK_BYTES - w->filled : len;
		w->crc = crc32c(w->crc, p, n);
		w->filled += n;
		p += n;
		len -= n;
		if (w->filled == FILE_BLOCK_BYTES)
			block_end(w);
	}
	return 0;
}

static int sync_folder(struct blobs *b, uint64_t id, struct err *err)
{
	char name[32];
	snprintf(name, sizeof(name), "%02x", (unsigned)(id % FILE_FOLDERS));
	CLEANUP(fd) int fd = path_open(b->files_fd, name, O_RDONLY | O_DIRECTORY, 0, err);
	return fd < 0 ? fd : fd_sync(fd, err);
}

static void writer_done(struct file_writer *w)
{
	cleanup_fd(&w->fd);
	free(w->crcs);
	w->crcs = NULL;
}

int file_finish(struct blobs *b, struct file_writer *w, struct err *err)
{
	if (w->filled)
		block_end(w);
	struct footer f = {htole32(FOOTER_MAGIC), htole32(FILE_BLOCK_BYTES),
			   htole64((uint64_t)w->size_bytes)};
	int r = fd_write_all(w->fd, w->crcs, w->block_count * sizeof(*w->crcs), err);
	if (r == 0)
		r = fd_write_all(w->fd, &f, sizeof(f), err);
	if (r == 0 && fdatasync(w->fd) < 0)
		r = err_sys(err, errno, "cannot make a data file durable");
	if (r == 0)
		r = sync_folder(b, w->id, err);
	if (r == 0)
		writer_done(w);
	return r;
}

void file_abort(struct blobs *b, struct file_writer *w)
{
	if (!w->id)
		return;
	writer_done(w);
	file_remove(b, w->id);
	w->id = 0;
}

void file_remove(struct blobs *b, uint64_t id)
{
	char name[32];
	if (hold_file(b, id))
		return;
	name_format(id, name);
	/* What stays behind is found and removed after the next start that follows a crash. */
	(void)!unlinkat(b->files_fd, name, 0);
	atomic_store(&b->unsynced[id % FILE_FOLDERS], true);
}

int files_sync_removed(struct blobs *b, struct err *err)
{
	int r = 0;
	for (uint64_t i = 0; i < FILE_FOLDERS && r == 0; i++)
		if (atomic_exchange(&b->unsynced[i], false))
			r = sync_folder(b, i, err);
	return r;
}

int file_link(struct blobs *b, uint64_t id, uint64_t *ret, struct err *err)
{
	char from[32], to[32];
	*ret = atomic_fetch_add(&b->next_file, 1);
	name_format(id, from);
	name_format(*ret, to);
	if (linkat(b->files_fd, from, b->files_fd, to, 0) < 0)
		return err_sys(err, errno, "cannot copy a data file");
	return sync_folder(b, *ret, err);
}

int file_open(struct blobs *b, const struct extent *e, struct file_reader *ret, struct err *err)
{
	char name[32];
	struct footer f;
	name_format(e->file, name);
	CLEANUP(fd) int fd = path_open(b->files_fd, name, O_RDONLY, 0, err);
	if (fd == -ERR_NOT_FOUND)
		return err_set(err, ERR_CORRUPT, "data file %s is missing", name);
	if (fd < 0)
		return fd;
	int64_t blocks = (e->size_bytes + FILE_BLOCK_BYTES - 1) / FILE_BLOCK_BYTES;
	off_t at = (off_t)(e->size_bytes + blocks * (int64_t)sizeof(uint32_t));
	ssize_t n = pread(fd, &f, sizeof(f), at);
	if (n < 0)
		return err_sys(err, errno, "cannot read data file %s", name);
	if (n != sizeof(f) || le32toh(f.magic) != FOOTER_MAGIC ||
	    le32toh(f.block_bytes) != FILE_BLOCK_BYTES || le64toh(f.size) != (uint64_t)e->size_bytes)
		return err_set(err, ERR_CORRUPT, "data file %s has another length than its object", name);
	*ret = (struct file_reader){.id = e->file, .fd = fd, .size_bytes = e->size_bytes, .block_at = -1};
	fd = -1;
	return 0;
}

void file_close(struct file_reader *f)
{
	cleanup_fd(&f->fd);
	free(f->block);
	f->block = NULL;
}

static int read_full(int fd, void *data, size_t len, int64_t offset, struct err *err)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (char *)data + done, len - done, (off_t)(offset + (int64_t)done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot read a data file");
		if (n == 0)
			return err_set(err, ERR_CORRUPT, "data file ends early");
		done += (size_t)n;
	}
	return 0;
}

/* Reads block number 'block' into 'data' and checks it. Returns its length. */
static ssize_t read_block(struct file_reader *f, int64_t block, unsigned char *data, struct err *err)
{
	int64_t start = block * FILE_BLOCK_BYTES;
	size_t len =
	    f->size_bytes - start < FILE_BLOCK_BYTES ? (size_t)(f->size_bytes - start) : FILE_BLOCK_BYTES;
	uint32_t crc;
	int r = read_full(f->fd, data, len, start, err);
	if (r == 0)
		r = read_full(f->fd, &crc, sizeof(crc), f->size_bytes + block * (int64_t)sizeof(crc), err);
	if (r < 0)
		return r;
	if (crc32c(0, data, len) != le32toh(crc))
		return err_set(err, ERR_CORRUPT, "data file %016llx is damaged at byte %lld",
			       (unsigned long long)f->id, (long long)start);
	return (ssize_t)len;
}

ssize_t file_read(struct file_reader *f, int64_t offset, void *data, size_t len, struct err *err)
{
	size_t done = 0;
	if (len > (uint64_t)(f->size_bytes - offset))
		len = (size_t)(f->size_bytes - offset);
	while (done < len) {
		int64_t at = offset + (int64_t)done, block = at / FILE_BLOCK_BYTES;
		size_t inside = (size_t)(at % FILE_BLOCK_BYTES);
		if (inside == 0 && len - done >= FILE_BLOCK_BYTES && f->block_at != block) {
			ssize_t n = read_block(f, block, (unsigned char *)data + done, err);
			if (n < 0)
				return n;
			done += (size_t)n;
			continue;
		}
		if (f->block_at != block) {
			if (!f->block)
				f->block = mem_alloc(FILE_BLOCK_BYTES);
			f->block_at = -1;
			ssize_t n = read_block(f, block, f->block, err);
			if (n < 0)
				return n;
			f->block_at = block;
		}
		size_t n = FILE_BLOCK_BYTES - inside < len - done ? FILE_BLOCK_BYTES - inside : len - done;
		memcpy((char *)data + done, f->block + inside, n);
		done += n;
	}
	return (ssize_t)done;
}

int file_verify(struct blobs *b, struct file_reader *f, int64_t offset, int64_t len, struct err *err)
{
	_Atomic uint64_t *known = &b->verified[f->id % VERIFIED_FILES];
	if (atomic_load(known) == f->id)
		return 0;
	unsigned char *data = mem_alloc(FILE_BLOCK_BYTES);
	ssize_t r = 0;
	for (int64_t i = offset / FILE_BLOCK_BYTES; i * FILE_BLOCK_BYTES < offset + len && r >= 0; i++)
		r = read_block(f, i, data, err);
	free(data);
	if (r >= 0 && offset == 0 && len == f->size_bytes)
		atomic_store(known, f->id);
	return r < 0 ? (int)r : 0;
}

static int folder_each(struct blobs *b, int number, void (*fn)(void *arg, uint64_t id), void *arg,
		       struct err *err)
{
	char name[32];
	snprintf(name, sizeof(name), "%02x", number);
	int fd = path_open(b->files_fd, name, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	CLEANUP(dir) DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_sys(err, errno, "cannot read a folder of data files");
	}
	for (struct dirent *e; (e = readdir(d));)
		if (strlen(e->d_name) == 16 && strspn(e->d_name, "0123456789abcdef") == 16)
			fn(arg, strtoull(e->d_name, NULL, 16));
	return 0;
}

int files_each(struct blobs *b, void (*fn)(void *arg, uint64_t id), void *arg, struct err *err)
{
	int r = 0;
	for (int i = 0; i < FILE_FOLDERS && r == 0; i++)
		r = folder_each(b, i, fn, arg, err);
	return r;
}
