/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a backup: walks the data folder, folder by folder without following links, and hashes what it
 * packs. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
#include "client/client.h"

/* What a platform cannot make again. Environments can be made again, tasks are for as long as they run,
 * secrets are made anew. */
static const char *const kept[] = {"checkpoints", "uids.json"};
/* Of the object store its log and data files are the truth; the index is made again. */
static const char *const kept_of_objects[] = {"format", "epoch"};
#define SEGMENT_NAME_MAX 64

struct writer {
	struct archive *a;
	int fd; /* borrowed */
	struct err failure;
	FILE *manifest; /* spooled: it is as long as the folder has files */
	char *chunk;
	struct backup_cut cut;
	struct backup_sum sum;
	backup_progress_fn *progress;
	void *arg;
};

void backup_line(const char *digest_hex, int64_t size, const char *path, char **ret)
{
	CLEANUP(free) char *encoded = client_escape(path, true);
	*ret = mem_printf("%s %lld %s\n", digest_hex, (long long)size, encoded);
}

/* libarchive never hears of a failed write (it would leak what it holds): what follows is dropped, and the
 * first error is kept for whoever asks. */
static la_ssize_t write_bytes(struct archive *a, void *arg, const void *data, size_t len)
{
	struct writer *w = arg;
	if (!w->failure.code)
		fd_write_all(w->fd, data, len, &w->failure);
	return (la_ssize_t)len;
}

static int written(const struct writer *w, la_ssize_t rc, const char *path, struct err *err)
{
	if (!w->failure.code && rc >= 0)
		return 0;
	if (w->failure.code)
		return err_set(err, w->failure.code, "writing '%s': %s", path, w->failure.msg);
	return err_set(err, ERR_IO, "writing '%s': %s", path, archive_error_string(w->a));
}

static int put_header(struct writer *w, const char *path, const struct stat *st, const char *link,
		      struct err *err)
{
	struct archive_entry *e = archive_entry_new();
	archive_entry_copy_stat(e, st);
	archive_entry_set_pathname(e, path);
	archive_entry_set_nlink(e, 1);
	if (link)
		archive_entry_set_symlink(e, link);
	int r = written(w, archive_write_header(w->a, e), path, err);
	archive_entry_free(e);
	return r;
}

static int tell_progress(struct writer *w, struct err *err)
{
	return w->progress ? w->progress(w->arg, &w->sum, err) : 0;
}

static int note_file(struct writer *w, struct digest *d, int64_t size, const char *path, struct err *err)
{
	char hex[DIGEST_HEX_LEN + 1];
	CLEANUP(free) char *line = NULL;
	digest_hex(d, hex);
	backup_line(hex, size, path, &line);
	if (fputs(line, w->manifest) < 0)
		return err_sys(err, errno, "noting the digest of '%s'", path);
	w->sum.files++;
	w->sum.bytes += size;
	return tell_progress(w, err);
}

/* Exactly as many bytes as the header says: a file that becomes shorter meanwhile (a checkpoint that is being
 * written) is filled with zeros. */
static int put_bytes(struct writer *w, int fd, const char *path, const struct stat *st, struct err *err)
{
	struct digest d;
	int r = put_header(w, path, st, NULL, err);
	digest_init(&d);
	for (int64_t left = st->st_size; r >= 0 && left > 0;) {
		size_t want = left < BACKUP_CHUNK ? (size_t)left : BACKUP_CHUNK;
		ssize_t n = read(fd, w->chunk, want);
		if (n < 0)
			return err_sys(err, errno, "cannot read '%s'", path);
		if (n == 0) {
			memset(w->chunk, 0, want);
			n = (ssize_t)want;
		}
		digest_update(&d, w->chunk, (size_t)n);
		r = written(w, archive_write_data(w->a, w->chunk, (size_t)n), path, err);
		left -= n;
		if (r >= 0)
			r = tell_progress(w, err);
	}
	return r < 0 ? r : note_file(w, &d, st->st_size, path, err);
}

static int put_file(struct writer *w, int fd, const char *path, struct err *err)
{
	struct stat st;
	return fstat(fd, &st) < 0 ? err_sys(err, errno, "cannot look at '%s'", path)
				  : put_bytes(w, fd, path, &st, err);
}

static int put_entry(struct writer *w, int dir_fd, const char *name, const char *path, int depth,
		     struct err *err);

static int put_folder(struct writer *w, int dir_fd, const char *path, int depth, struct err *err)
{
	CLEANUP(dir) DIR *d = fdopendir(dir_fd); /* takes it */
	int r = 0;
	if (!d) {
		close(dir_fd);
		return err_set(err, ERR_NO_MEMORY, "no memory to list '%s'", path);
	}
	if (depth > BACKUP_DEPTH_MAX)
		return err_set(err, ERR_INVALID, "folders nest deeper than %d at '%s'", BACKUP_DEPTH_MAX,
			       path);
	for (struct dirent *e; r >= 0 && (e = readdir(d));) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		CLEANUP(free) char *below = mem_printf("%s/%s", path, e->d_name);
		r = put_entry(w, dirfd(d), e->d_name, below, depth + 1, err);
	}
	return r;
}

static int put_link(struct writer *w, int dir_fd, const char *name, const char *path, const struct stat *st,
		    struct err *err)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot read the link '%s'", path);
	target[n] = 0;
	return put_header(w, path, st, target, err);
}

/* What goes meanwhile is not there; what is no file, folder or link is not kept. */
static int put_entry(struct writer *w, int dir_fd, const char *name, const char *path, int depth,
		     struct err *err)
{
	struct stat st;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot look at '%s'", path);
	if (S_ISLNK(st.st_mode))
		return put_link(w, dir_fd, name, path, &st, err);
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		return 0;
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (S_ISDIR(st.st_mode) ? O_DIRECTORY : 0);
	CLEANUP(fd) int fd = openat(dir_fd, name, flags);
	if (fd < 0)
		return errno == ENOENT || errno == ELOOP ? 0 : err_sys(err, errno, "cannot open '%s'", path);
	if (S_ISREG(st.st_mode))
		return put_file(w, fd, path, err);
	int r = put_header(w, path, &st, NULL, err);
	int folder = fd;
	fd = -1;
	return r < 0 ? (close(folder), r) : put_folder(w, folder, path, depth, err);
}

/* The segment that follows 'last' in order, by its name; false when there is none. */
static bool next_segment(int dir_fd, const char *last, char ret[SEGMENT_NAME_MAX])
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(dir) DIR *d = fd < 0 ? NULL : fdopendir(fd);
	ret[0] = 0;
	for (struct dirent *e; d && (e = readdir(d));)
		if (e->d_name[0] != '.' && strlen(e->d_name) < SEGMENT_NAME_MAX &&
		    strcmp(e->d_name, last) > 0 && (!*ret || strcmp(e->d_name, ret) < 0))
			snprintf(ret, SEGMENT_NAME_MAX, "%s", e->d_name);
	return *ret != 0;
}

/* The last one that counts, up to where it counts: what follows there is not yet told, or came later. */
static int put_cut_segment(struct writer *w, int dir_fd, const char *name, const char *path, struct err *err)
{
	struct stat st;
	CLEANUP(fd) int fd = openat(dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot open '%s'", path);
	if (!S_ISREG(st.st_mode) || st.st_size < w->cut.end)
		return err_set(err, ERR_CORRUPT, "'%s' is shorter than the server says; is '--data' right?",
			       path);
	st.st_size = w->cut.end;
	return put_bytes(w, fd, path, &st, err);
}

/* In ascending order. With a cut the log ends there; its segment must be among them. */
static int put_segments(struct writer *w, int objects_fd, struct err *err)
{
	char name[SEGMENT_NAME_MAX], last[SEGMENT_NAME_MAX] = "", cut[SEGMENT_NAME_MAX] = "";
	bool is_cut = w->cut.segment == 0;
	struct stat st;
	CLEANUP(fd) int fd = openat(objects_fd, "segments", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot open 'objects/segments'");
	snprintf(cut, sizeof(cut), "%08x", w->cut.segment);
	int r = put_header(w, "objects/segments", &st, NULL, err);
	while (r >= 0 && !(w->cut.segment && is_cut) && next_segment(fd, last, name)) {
		CLEANUP(free) char *path = mem_printf("objects/segments/%s", name);
		is_cut |= !strcmp(name, cut);
		r = w->cut.segment && is_cut ? put_cut_segment(w, fd, name, path, err)
					     : put_entry(w, fd, name, path, 0, err);
		memcpy(last, name, sizeof(last));
	}
	return r < 0 || is_cut ? r : err_set(err, ERR_CORRUPT, "there is no 'objects/segments/%s'", cut);
}

/* The log before the data files that it names: those are there before their record is. */
static int put_objects(struct writer *w, int root_fd, struct err *err)
{
	struct stat st;
	CLEANUP(fd) int fd = openat(root_fd, "objects", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot open 'objects'");
	int r = put_header(w, "objects", &st, NULL, err);
	for (size_t i = 0; i < ARRAY_LEN(kept_of_objects) && r >= 0; i++) {
		CLEANUP(free) char *path = mem_printf("objects/%s", kept_of_objects[i]);
		r = put_entry(w, fd, kept_of_objects[i], path, 0, err);
	}
	if (r >= 0)
		r = put_segments(w, fd, err);
	return r < 0 ? r : put_entry(w, fd, "files", "objects/files", 0, err);
}

static int put_text(struct writer *w, const char *path, const char *text, size_t len, struct err *err)
{
	struct stat st = {.st_mode = S_IFREG | 0600, .st_size = (off_t)len};
	int r = put_header(w, path, &st, NULL, err);
	return r < 0 ? r : written(w, archive_write_data(w->a, text, len), path, err);
}

static int put_manifest(struct writer *w, struct err *err)
{
	struct stat st = {.st_mode = S_IFREG | 0600};
	if (fflush(w->manifest) != 0 || (st.st_size = ftello(w->manifest)) < 0)
		return err_sys(err, errno, "noting digests");
	rewind(w->manifest);
	int r = put_header(w, BACKUP_MANIFEST, &st, NULL, err);
	for (size_t n; r >= 0 && (n = fread(w->chunk, 1, BACKUP_CHUNK, w->manifest)) > 0;)
		r = written(w, archive_write_data(w->a, w->chunk, n), BACKUP_MANIFEST, err);
	if (r >= 0 && ferror(w->manifest))
		r = err_set(err, ERR_IO, "cannot read the digests again");
	return r;
}

static int put_metadata(struct writer *w, const char *metadata, struct err *err)
{
	CLEANUP(fd) int fd = open(metadata, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, errno, "cannot open the copy of the metadata");
	return put_file(w, fd, BACKUP_METADATA, err);
}

static int put_all(struct writer *w, const char *data_folder, const json_t *head, const char *metadata,
		   struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write_pretty(head, &text);
	CLEANUP(fd) int root = open(data_folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return err_sys(err, errno, "cannot open the data folder '%s'", data_folder);
	int r = put_text(w, BACKUP_HEAD, text.data, text.len, err);
	if (r >= 0 && metadata)
		r = put_metadata(w, metadata, err);
	if (r >= 0)
		r = put_objects(w, root, err);
	for (size_t i = 0; i < ARRAY_LEN(kept) && r >= 0; i++)
		r = put_entry(w, root, kept[i], kept[i], 0, err);
	w->sum.is_read = true;
	if (r >= 0)
		r = tell_progress(w, err);
	return r < 0 ? r : put_manifest(w, err);
}

static int write_archive(int fd, const char *data_folder, const json_t *head, const char *metadata,
			 const struct backup_cut *cut, backup_progress_fn *progress, void *arg,
			 struct backup_sum *ret, struct err *err)
{
	struct writer w = {
	    .fd = fd, .cut = *cut, .progress = progress, .arg = arg, .chunk = mem_alloc(BACKUP_CHUNK)};
	int r = 0;
	w.manifest = tmpfile();
	w.a = archive_write_new();
	archive_write_set_format_pax(w.a);
	archive_write_set_options(w.a, "hdrcharset=BINARY"); /* names are bytes, whatever the locale is */
	if (!w.manifest)
		r = err_sys(err, errno, "cannot make a temporary file");
	else
		r = written(&w, archive_write_open(w.a, &w, NULL, write_bytes, NULL), "the backup", err);
	if (r >= 0)
		r = put_all(&w, data_folder, head, metadata, err);
	if (r >= 0)
		r = written(&w, archive_write_close(w.a), "the backup", err);
	archive_write_free(w.a);
	if (w.manifest)
		fclose(w.manifest);
	free(w.chunk);
	*ret = w.sum;
	return r;
}

/* The name appears when all is on the disk. */
static int publish(const char *partial, const char *file, int fd, struct err *err)
{
	CLEANUP(free) char *folder = mem_strdup(file);
	char *slash = strrchr(folder, '/');
	if (slash)
		slash[slash == folder] = 0;
	int r = fd_sync(fd, err);
	if (r >= 0 && renameat2(AT_FDCWD, partial, AT_FDCWD, file, RENAME_NOREPLACE) < 0)
		r = err_sys(err, errno, "cannot name the backup '%s'", file);
	CLEANUP(fd) int dir_fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r >= 0 && dir_fd >= 0 ? fd_sync(dir_fd, err) : r;
}

int backup_write(const char *file, const char *data_folder, const json_t *head, const char *metadata,
		 const struct backup_cut *cut, backup_progress_fn *progress, void *arg,
		 struct backup_sum *ret, struct err *err)
{
	CLEANUP(free) char *partial = mem_printf("%s.partial", file);
	if (access(file, F_OK) == 0)
		return err_set(err, ERR_EXISTS, "'%s' exists already; choose another name", file);
	CLEANUP(fd) int fd = open(partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_sys(err, errno, "cannot write '%s'", partial);
	int r = write_archive(fd, data_folder, head, metadata, cut, progress, arg, ret, err);
	if (r >= 0)
		r = publish(partial, file, fd, err);
	if (r < 0)
		unlink(partial);
	return r;
}
