/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a backup: into a folder beside the one that is wanted, which is renamed when every digest was
 * right. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "cli/backup.h"

struct reader {
	struct archive *a, *disk;
	const char *file;
	FILE *manifest; /* what we have seen, in the order of the archive */
	char *chunk;
	json_t *head; /* NULL until it was there */
	bool is_complete;
	struct backup_sum sum;
	backup_progress_fn *progress;
	void *arg;
};

static int damaged(const struct reader *r, struct err *err, const char *what)
{
	return err_set(err, ERR_CORRUPT, "the backup '%s' is damaged: %s; use another one", r->file, what);
}

static int archive_failed(const struct reader *r, struct err *err)
{
	const char *why = archive_error_string(r->a);
	return damaged(r, err, why ? why : "it cannot be read");
}

/* Bytes of the entry at hand, one chunk. 0 at the end. */
static ssize_t next_chunk(struct reader *r, struct err *err)
{
	ssize_t n = archive_read_data(r->a, r->chunk, BACKUP_CHUNK);
	return n < 0 ? archive_failed(r, err) : n;
}

static int read_head(struct reader *r, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	ssize_t n;
	int64_t format = 0;
	while ((n = next_chunk(r, err)) > 0 && text.len <= BACKUP_HEAD_BYTES_MAX)
		buf_add(&text, r->chunk, (size_t)n);
	if (n < 0)
		return (int)n;
	if (json_parse(text.data ? text.data : "", text.len, BACKUP_HEAD_BYTES_MAX, &r->head, err) < 0)
		return damaged(r, err, "its first entry cannot be read");
	format = json_integer_value(json_object_get(r->head, "format"));
	if (format < 1 || format > BACKUP_FORMAT)
		return err_set(err, ERR_UNSUPPORTED,
			       "the backup '%s' has format %lld, this program knows %d; use a newer cloudml",
			       r->file, (long long)format, BACKUP_FORMAT);
	return 0;
}

/* Both manifests have the order of the archive. The first line that differs names the file. */
static int compare_manifests(struct reader *r, struct err *err)
{
	CLEANUP(file) FILE *theirs = tmpfile();
	ssize_t n;
	if (!theirs)
		return err_sys(err, errno, "cannot make a temporary file");
	while ((n = next_chunk(r, err)) > 0)
		if (fwrite(r->chunk, 1, (size_t)n, theirs) != (size_t)n)
			return err_sys(err, errno, "cannot write a temporary file");
	if (n < 0)
		return (int)n;
	rewind(theirs);
	rewind(r->manifest);
	char *ours = NULL, *line = NULL;
	size_t ours_cap = 0, line_cap = 0;
	int result = 0;
	for (;;) {
		ssize_t a = getline(&ours, &ours_cap, r->manifest), b = getline(&line, &line_cap, theirs);
		if (a < 0 && b < 0)
			break;
		if (a >= 0 && b >= 0 && !strcmp(ours, line))
			continue;
		const char *space = strrchr(b < 0 ? ours : line, ' ');
		CLEANUP(free)
		char *what = mem_printf("'%.*s' is not what was backed up",
					space ? (int)strcspn(space + 1, "\n") : 0, space ? space + 1 : "");
		result = damaged(r, err, what);
		break;
	}
	free(ours);
	free(line);
	r->is_complete = result == 0;
	return result;
}

static int keep_content(struct reader *r, const char *path, struct err *err)
{
	struct digest d;
	int64_t size = 0;
	ssize_t n;
	char hex[DIGEST_HEX_LEN + 1];
	digest_init(&d);
	while ((n = next_chunk(r, err)) > 0) {
		digest_update(&d, r->chunk, (size_t)n);
		size += n;
		if (archive_write_data(r->disk, r->chunk, (size_t)n) < 0)
			return err_sys(err, archive_errno(r->disk), "writing '%s'", path);
	}
	if (n < 0)
		return (int)n;
	digest_hex(&d, hex);
	CLEANUP(free) char *line = NULL;
	backup_line(hex, size, path, &line);
	if (fputs(line, r->manifest) < 0)
		return err_sys(err, errno, "cannot write a temporary file");
	r->sum.files++;
	r->sum.bytes += size;
	return r->progress ? r->progress(r->arg, &r->sum, err) : 0;
}

static int keep_entry(struct reader *r, struct archive_entry *e, struct err *err)
{
	CLEANUP(free) char *path = mem_strdup(archive_entry_pathname(e));
	mode_t type = archive_entry_filetype(e);
	if (!path || (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK) || archive_entry_hardlink(e))
		return damaged(r, err, "it has an entry that a backup does not have");
	if (archive_write_header(r->disk, e) != ARCHIVE_OK)
		return archive_errno(r->disk) == ENOSPC
			   ? err_sys(err, ENOSPC, "writing '%s'", path)
			   : err_set(err, ERR_IO, "writing '%s': %s", path, archive_error_string(r->disk));
	return type == AE_IFREG ? keep_content(r, path, err) : 0;
}

static int read_entry(struct reader *r, struct archive_entry *e, struct err *err)
{
	const char *path = archive_entry_pathname(e);
	bool is_head = path && !strcmp(path, BACKUP_HEAD);
	if (is_head != !r->head)
		return err_set(err, ERR_INVALID, "'%s' is no backup of Cloud-ML", r->file);
	if (r->is_complete)
		return damaged(r, err, "something follows its end");
	if (is_head)
		return read_head(r, err);
	if (path && !strcmp(path, BACKUP_MANIFEST))
		return compare_manifests(r, err);
	return keep_entry(r, e, err);
}

static int read_archive(struct reader *r, struct err *err)
{
	struct archive_entry *e;
	int rc = ARCHIVE_OK, result = 0;
	if (archive_read_open_filename(r->a, r->file, BACKUP_CHUNK) != ARCHIVE_OK)
		return archive_errno(r->a) == ENOENT
			   ? err_set(err, ERR_NOT_FOUND, "there is no file '%s'", r->file)
			   : err_set(err, ERR_INVALID, "'%s' is no backup: %s", r->file,
				     archive_error_string(r->a));
	while (result >= 0 && (rc = archive_read_next_header(r->a, &e)) == ARCHIVE_OK)
		result = read_entry(r, e, err);
	if (result < 0)
		return result;
	if (rc != ARCHIVE_EOF && !r->head)
		return err_set(err, ERR_INVALID, "'%s' is no backup of Cloud-ML", r->file);
	if (rc != ARCHIVE_EOF)
		return archive_failed(r, err);
	return r->is_complete ? 0 : damaged(r, err, "its end is missing");
}

/* Into the present folder. */
static int extract(struct reader *r, struct err *err)
{
	int flags = ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
		    ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS |
		    ARCHIVE_EXTRACT_NO_OVERWRITE;
	if (geteuid() == 0)
		flags |= ARCHIVE_EXTRACT_OWNER;
	r->a = archive_read_new();
	archive_read_support_format_tar(r->a);
	r->disk = archive_write_disk_new();
	archive_write_disk_set_options(r->disk, flags);
	r->chunk = mem_alloc(BACKUP_CHUNK);
	r->manifest = tmpfile();
	int result = r->manifest ? read_archive(r, err) : err_sys(err, errno, "cannot make a temporary file");
	if (archive_write_close(r->disk) != ARCHIVE_OK && result >= 0) /* modes and times of folders */
		result = err_set(err, ERR_IO, "restoring: %s", archive_error_string(r->disk));
	archive_write_free(r->disk);
	archive_read_free(r->a);
	if (r->manifest)
		fclose(r->manifest);
	free(r->chunk);
	return result;
}

static int check_empty(const char *folder, struct err *err)
{
	CLEANUP(dir) DIR *d = opendir(folder);
	if (!d)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot open '%s'", folder);
	for (struct dirent *e; (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			return err_set(
			    err, ERR_EXISTS,
			    "the folder '%s' is not empty; restore into a new one with --data FOLDER",
			    folder);
	return 0;
}

static int sync_and_name(int dir_fd, const char *partial, const char *folder, struct err *err)
{
	if (syncfs(dir_fd) < 0)
		return err_sys(err, errno, "cannot sync '%s'", partial);
	if (rename(partial, folder) < 0)
		return err_sys(err, errno, "cannot name the folder '%s'", folder);
	CLEANUP(free) char *parent = mem_printf("%s/..", folder);
	CLEANUP(fd) int parent_fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return parent_fd < 0 ? err_sys(err, errno, "cannot open '%s'", parent) : fd_sync(parent_fd, err);
}

int backup_restore(const char *file, const char *folder, backup_progress_fn *progress, void *arg,
		   json_t **ret_head, struct backup_sum *ret, struct err *err)
{
	struct reader reader = {.progress = progress, .arg = arg};
	CLEANUP(free) char *partial = mem_printf("%s.restoring", folder);
	CLEANUP(free) char *absolute = realpath(file, NULL);
	if (!absolute)
		return errno == ENOENT ? err_set(err, ERR_NOT_FOUND, "there is no file '%s'", file)
				       : err_sys(err, errno, "cannot open '%s'", file);
	reader.file = absolute;
	int r = check_empty(folder, err);
	if (r >= 0)
		r = path_remove_tree(AT_FDCWD, partial, err);
	if (r >= 0)
		r = path_make_absolute_dirs(partial, 0700, err);
	if (r < 0)
		return r;
	CLEANUP(fd) int dir_fd = open(partial, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0 || fchdir(dir_fd) < 0)
		return err_sys(err, errno, "cannot enter '%s'", partial);
	r = extract(&reader, err);
	if (here < 0 || fchdir(here) < 0)
		here = -1; /* it is gone: nothing below is relative */
	if (r >= 0)
		r = sync_and_name(dir_fd, partial, folder, err);
	if (r < 0) {
		path_remove_tree(AT_FDCWD, partial, NULL);
		json_decref(reader.head);
		return r;
	}
	*ret_head = reader.head;
	*ret = reader.sum;
	return 0;
}
