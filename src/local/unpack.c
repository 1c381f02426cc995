/* SPDX-License-Identifier: Apache-2.0 */
/* Archives: one entry after the other, each checked before anything is created. */
#include "local/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#define BLOCK_BYTES 65536

const struct unpack_limits unpack_limits_default = {
    .entries = 200000,
    .bytes = (int64_t)20 << 30,
    .ratio = 200,
    .ratio_free_bytes = (int64_t)16 << 20,
};

struct unpacking {
	struct archive *archive;
	int folder_fd;
	int64_t archive_bytes; /* of the whole file, -1 unknown */
	const struct unpack_limits *limits;
	struct unpack_stats stats;
};

static void cleanup_archive(struct archive **a)
{
	int saved = errno;
	if (*a)
		archive_read_free(*a);
	errno = saved;
}

static int archive_failed(struct archive *a, struct err *err)
{
	const char *text = archive_error_string(a);
	if (archive_errno(a) == ENOMEM)
		return err_set(err, ERR_NO_MEMORY,
			       "the archive needs more memory than there is to be unpacked");
	return err_set(err, ERR_INVALID,
		       "the archive is damaged or of an unknown kind (%s); it must be a tar file, plain "
		       "or compressed with gzip, bzip2, xz or zstd, or a zip file",
		       text ? text : "no detail");
}

/* "./a/b/" becomes "a/b"; "" stands for the folder itself. */
static char *plain_path(const char *path)
{
	while (path[0] == '.' && path[1] == '/') {
		path += 2;
		while (*path == '/')
			path++;
	}
	size_t len = strlen(path);
	while (len > 1 && path[len - 1] == '/')
		len--;
	return len == 1 && path[0] == '.' ? mem_strdup("") : mem_strndup(path, len);
}

static size_t path_depth(const char *path)
{
	size_t depth = 0;
	for (; *path; path++)
		depth += *path == '/';
	return depth;
}

/* All folders above an entry are real ones (opened without following links). So a target that first climbs at
 * most to the top and then only descends stays inside, also when it descends through other such links. */
static int link_target_check(const char *path, const char *target, struct err *err)
{
	size_t climb = 0;
	const char *p = target;
	while (strncmp(p, "../", 3) == 0 || strcmp(p, "..") == 0) {
		climb++;
		p += p[2] ? 3 : 2;
	}
	if (climb > path_depth(path))
		return err_set(err, ERR_INVALID, "link '%s' points out of the archive, to '%s'", path,
			       target);
	if (!*p && climb)
		return 0;
	CLEANUP(free) char *rest = plain_path(p);
	if (!*rest)
		return 0;
	if (path_check(rest, strlen(rest), err) < 0)
		return err_set(err, ERR_INVALID,
			       "link '%s' points out of the archive or is not clean, to '%s'", path, target);
	return 0;
}

static int make_parents(struct unpacking *u, const char *path, struct err *err)
{
	const char *slash = strrchr(path, '/');
	if (!slash)
		return 0;
	CLEANUP(free) char *parent = mem_strndup(path, slash - path);
	return path_mkdirs(u->folder_fd, parent, 0755, err);
}

/* Opens the folder that 'path' is in and gives the last name. Returns the fd (owned). */
static int open_parent(struct unpacking *u, const char *path, const char **ret_name, struct err *err)
{
	const char *slash = strrchr(path, '/');
	*ret_name = slash ? slash + 1 : path;
	if (!slash) {
		int fd = fcntl(u->folder_fd, F_DUPFD_CLOEXEC, 3);
		return fd < 0 ? err_sys(err, errno, "cannot duplicate a descriptor") : fd;
	}
	CLEANUP(free) char *parent = mem_strndup(path, slash - path);
	return path_open(u->folder_fd, parent, O_RDONLY | O_DIRECTORY, 0, err);
}

/* A later entry of the same name replaces an earlier file or link, as tar does; never a folder. */
static int clear_name(struct unpacking *u, const char *path, int *ret_parent_fd, const char **ret_name,
		      struct err *err)
{
	int r = make_parents(u, path, err);
	if (r < 0)
		return r;
	CLEANUP(fd) int parent_fd = open_parent(u, path, ret_name, err);
	if (parent_fd < 0)
		return parent_fd;
	if (unlinkat(parent_fd, *ret_name, 0) < 0 && errno != ENOENT)
		return err_set(err, ERR_INVALID, "'%s' is in the archive as a folder and as a file", path);
	*ret_parent_fd = parent_fd;
	parent_fd = -1;
	return 0;
}

static int count_bytes(struct unpacking *u, int64_t n, struct err *err)
{
	u->stats.bytes += n;
	if (u->stats.bytes > u->limits->bytes)
		return err_set(err, ERR_TOO_LARGE, "the archive unpacks to more than %lld MiB",
			       (long long)(u->limits->bytes >> 20));
	if (u->archive_bytes >= 0 && u->stats.bytes > u->limits->ratio_free_bytes &&
	    u->stats.bytes / u->limits->ratio > u->archive_bytes)
		return err_set(err, ERR_TOO_LARGE, "the archive unpacks to more than %lld times its size",
			       (long long)u->limits->ratio);
	return 0;
}

static int write_content(struct unpacking *u, int fd, struct err *err)
{
	char block[BLOCK_BYTES];
	for (;;) {
		la_ssize_t n = archive_read_data(u->archive, block, sizeof(block));
		if (n == 0)
			return 0;
		if (n == ARCHIVE_RETRY)
			continue;
		if (n < 0)
			return archive_failed(u->archive, err);
		int r = count_bytes(u, n, err);
		if (r == 0)
			r = fd_write_all(fd, block, n, err);
		if (r < 0)
			return r;
	}
}

static int unpack_file(struct unpacking *u, struct archive_entry *entry, const char *path, struct err *err)
{
	CLEANUP(fd) int parent_fd = -1;
	const char *name;
	int r = clear_name(u, path, &parent_fd, &name, err);
	if (r < 0)
		return r;
	mode_t mode = archive_entry_mode(entry) & 0111 ? 0755 : 0644;
	CLEANUP(fd)
	int fd = openat(parent_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_sys(err, errno, "cannot create '%s'", path);
	r = write_content(u, fd, err);
	if (r < 0)
		return err_wrap(err, "unpacking '%s'", path);
	if (archive_entry_mtime_is_set(entry)) {
		struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = archive_entry_mtime(entry)}};
		futimens(fd, times); /* a date that the file system cannot hold is no reason to fail */
	}
	return 0;
}

static int unpack_symlink(struct unpacking *u, struct archive_entry *entry, const char *path, struct err *err)
{
	const char *target = archive_entry_symlink(entry);
	if (!target || !*target)
		return err_set(err, ERR_INVALID, "link '%s' has no target", path);
	int r = link_target_check(path, target, err);
	if (r < 0)
		return r;
	CLEANUP(fd) int parent_fd = -1;
	const char *name;
	r = clear_name(u, path, &parent_fd, &name, err);
	if (r < 0)
		return r;
	return symlinkat(target, parent_fd, name) < 0 ? err_sys(err, errno, "cannot create link '%s'", path)
						      : 0;
}

static int unpack_hardlink(struct unpacking *u, const char *raw_target, const char *path, struct err *err)
{
	CLEANUP(free) char *target = plain_path(raw_target);
	if (path_check(target, strlen(target), err) < 0)
		return err_wrap(err, "target of link '%s'", path);
	if (strcmp(target, path) == 0)
		return 0;
	CLEANUP(fd) int target_fd = path_open(u->folder_fd, target, O_PATH | O_NOFOLLOW, 0, err);
	if (target_fd < 0)
		return err_set(err, ERR_INVALID,
			       "link '%s' points to '%s', which is not in the archive before it", path,
			       target);
	CLEANUP(fd) int parent_fd = -1;
	const char *name;
	int r = clear_name(u, path, &parent_fd, &name, err);
	if (r < 0)
		return r;
	return linkat(u->folder_fd, target, parent_fd, name, 0) < 0
		   ? err_sys(err, errno, "cannot link '%s' to '%s'", path, target)
		   : 0;
}

static int unpack_entry(struct unpacking *u, struct archive_entry *entry, struct err *err)
{
	const char *raw = archive_entry_pathname(entry);
	if (!raw)
		raw = archive_entry_pathname_utf8(entry);
	if (!raw || !*raw)
		return err_set(err, ERR_INVALID, "an entry of the archive has no readable name");
	if (++u->stats.entries > u->limits->entries)
		return err_set(err, ERR_TOO_LARGE, "the archive has more than %lld entries",
			       (long long)u->limits->entries);
	CLEANUP(free) char *path = plain_path(raw);
	if (!*path)
		return 0; /* the folder itself */
	int r = path_check(path, strlen(path), err);
	if (r < 0)
		return err_wrap(err, "a path in the archive");
	const char *hardlink = archive_entry_hardlink(entry);
	if (hardlink)
		return unpack_hardlink(u, hardlink, path, err);
	switch (archive_entry_filetype(entry)) {
	case AE_IFREG:
		return unpack_file(u, entry, path, err);
	case AE_IFDIR:
		r = path_mkdirs(u->folder_fd, path, 0755, err);
		return r < 0 ? err_wrap(err, "unpacking folder '%s'", path) : 0;
	case AE_IFLNK:
		return unpack_symlink(u, entry, path, err);
	default:
		return err_set(err, ERR_INVALID,
			       "'%s' is a device, pipe or socket; only files, folders and links are "
			       "unpacked",
			       path);
	}
}

static int open_archive(struct unpacking *u, int fd, struct err *err)
{
	struct archive *a = u->archive;
	archive_read_support_format_tar(a);
	archive_read_support_format_zip(a);
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_zstd(a);
	struct stat st;
	u->archive_bytes = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size : -1;
	if (archive_read_open_fd(a, fd, BLOCK_BYTES) != ARCHIVE_OK)
		return archive_failed(a, err);
	return 0;
}

int unpack_archive(int archive_fd, int folder_fd, const struct unpack_limits *limits,
		   struct unpack_stats *ret, struct err *err)
{
	CLEANUP(archive) struct archive *a = archive_read_new();
	if (!a)
		return err_set(err, ERR_NO_MEMORY, "no memory to read an archive");
	struct unpacking u = {.archive = a, .folder_fd = folder_fd, .limits = limits};
	int r = open_archive(&u, archive_fd, err);
	while (r == 0) {
		struct archive_entry *entry;
		int got = archive_read_next_header(a, &entry);
		if (got == ARCHIVE_EOF)
			break;
		if (got == ARCHIVE_RETRY)
			continue;
		r = got < ARCHIVE_WARN ? archive_failed(a, err) : unpack_entry(&u, entry, err);
	}
	if (ret)
		*ret = u.stats;
	return r;
}
