/* SPDX-License-Identifier: Apache-2.0 */
/* Packs a folder with libarchive into an unlinked temporary file. */
#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/unit.h"
#include "cli/gitignore.h"
#include "cli/package.h"

static const char *const always_ignored =
    ".git/\n.hg/\n.svn/\n__pycache__/\n*.pyc\n.venv/\nvenv/\nnode_modules/\n"
    ".ipynb_checkpoints/\n.mypy_cache/\n.pytest_cache/\n.DS_Store\n";
static const char *const ignore_files[] = {".gitignore", ".cloudmlignore"};

struct entry {
	char *path;
	struct stat st;
};
struct walk {
	int root;
	struct gitignore *ignore;
	struct entry *entries;
	size_t count;
};

void package_done(struct package *p)
{
	if (p->fd >= 0)
		close(p->fd);
	*p = PACKAGE_INIT;
}

static void walk_done(struct walk *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->entries[i].path);
	free(w->entries);
	gitignore_free(w->ignore);
	if (w->root >= 0)
		close(w->root);
}

static int walk_folder(struct walk *w, const char *folder, int depth, struct err *err);

static int walk_entry(struct walk *w, const char *folder, const char *name, int depth, struct err *err)
{
	CLEANUP(free) char *path = *folder ? mem_printf("%s/%s", folder, name) : mem_strdup(name);
	struct stat st;
	if (fstatat(w->root, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot look at '%s'", path);
	if (gitignore_match(w->ignore, path, S_ISDIR(st.st_mode)))
		return 0;
	if (S_ISDIR(st.st_mode))
		return walk_folder(w, path, depth + 1, err);
	if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
		return 0;
	if (path_check(path, strlen(path), err) < 0)
		return err_wrap(err, "packing '%s'", path);
	if (w->count >= PACKAGE_FILES_MAX)
		return err_set(
		    err, ERR_TOO_LARGE,
		    "more than %d files; leave data out with a .cloudmlignore file and keep it in the store "
		    "('cloudml store cp')",
		    PACKAGE_FILES_MAX);
	if (w->count % 256 == 0)
		w->entries = mem_realloc(w->entries, (w->count + 256) * sizeof(*w->entries));
	w->entries[w->count++] = (struct entry){STEAL(path), st};
	return 0;
}

static void read_ignore_files(struct walk *w, const char *folder)
{
	for (size_t i = 0; i < ARRAY_LEN(ignore_files); i++) {
		CLEANUP(buf) struct buf text = BUF_INIT;
		CLEANUP(free) char *path = mem_printf("%s%s%s", folder, *folder ? "/" : "", ignore_files[i]);
		if (fd_read_file(w->root, path, 1 << 20, &text, NULL) >= 0)
			gitignore_add(w->ignore, folder, buf_str(&text), text.len);
	}
}

static int walk_folder(struct walk *w, const char *folder, int depth, struct err *err)
{
	if (depth > 64)
		return err_set(err, ERR_INVALID, "folders nest deeper than 64 at '%s'", folder);
	int fd = openat(w->root, *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_sys(err, errno, "cannot open folder '%s'", *folder ? folder : ".");
	CLEANUP(dir) DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_set(err, ERR_NO_MEMORY, "no memory to list '%s'", folder);
	}
	read_ignore_files(w, folder);
	int r = 0;
	for (struct dirent *e; r >= 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			r = walk_entry(w, folder, e->d_name, depth, err);
	return r;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->path, ((const struct entry *)b)->path);
}

static int walk_start(const char *path, struct walk *w, struct err *err)
{
	*w = (struct walk){.root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .ignore = gitignore_new()};
	if (w->root < 0)
		return err_sys(err, errno, "cannot open folder '%s'", path);
	gitignore_add(w->ignore, "", always_ignored, strlen(always_ignored));
	int r = walk_folder(w, "", 0, err);
	if (r >= 0 && w->count)
		qsort(w->entries, w->count, sizeof(*w->entries), by_path);
	return r;
}

/* A link is kept when its target stays below the folder. */
static int link_check(const char *path, const char *target, struct err *err)
{
	int depth = 0;
	for (const char *p = path; *p; p++)
		depth += *p == '/';
	CLEANUP(free) char *copy = mem_strdup(target);
	char *save = NULL;
	for (char *s = strtok_r(copy, "/", &save); s && depth >= 0; s = strtok_r(NULL, "/", &save))
		depth += !strcmp(s, "..") ? -1 : strcmp(s, ".") != 0;
	if (target[0] == '/' || depth < 0)
		return err_set(err, ERR_INVALID,
			       "the link '%s' points out of the folder (to '%s'); copy the file or ignore it",
			       path, target);
	return 0;
}

static int copy_content(struct archive *a, int root, const struct entry *e, struct err *err)
{
	CLEANUP(fd) int fd = openat(root, e->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	CLEANUP(free) char *chunk = mem_alloc(262144);
	if (fd < 0)
		return err_sys(err, errno, "cannot read '%s'", e->path);
	for (int64_t left = e->st.st_size; left > 0;) {
		ssize_t n = read(fd, chunk, left < 262144 ? (size_t)left : 262144);
		if (n < 0)
			return err_sys(err, errno, "cannot read '%s'", e->path);
		if (n == 0)
			return err_set(err, ERR_CONFLICT,
				       "'%s' became shorter while it was packed; try again", e->path);
		if (archive_write_data(a, chunk, (size_t)n) < 0)
			return err_set(err, ERR_IO, "packing '%s': %s", e->path, archive_error_string(a));
		left -= n;
	}
	return 0;
}

static int pack_entry(struct archive *a, int root, const struct entry *e, struct err *err)
{
	char target[PATH_CLEAN_MAX + 1];
	struct archive_entry *entry = archive_entry_new();
	archive_entry_set_pathname(entry, e->path);
	archive_entry_set_mtime(entry, 0, 0);
	int r = 0;
	if (S_ISLNK(e->st.st_mode)) {
		ssize_t n = readlinkat(root, e->path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		r = n < 0 ? err_sys(err, errno, "cannot read link '%s'", e->path)
			  : link_check(e->path, target, err);
		archive_entry_set_filetype(entry, AE_IFLNK);
		archive_entry_set_symlink(entry, target);
	} else {
		archive_entry_set_filetype(entry, AE_IFREG);
		archive_entry_set_perm(entry, e->st.st_mode & 0111 ? 0755 : 0644);
		archive_entry_set_size(entry, e->st.st_size);
	}
	if (r >= 0 && archive_write_header(a, entry) != ARCHIVE_OK)
		r = err_set(err, ERR_IO, "packing '%s': %s", e->path, archive_error_string(a));
	if (r >= 0 && S_ISREG(e->st.st_mode))
		r = copy_content(a, root, e, err);
	archive_entry_free(entry);
	return r;
}

static int digest_file(struct package *p, struct err *err)
{
	struct digest d;
	CLEANUP(free) char *chunk = mem_alloc(262144);
	digest_init(&d);
	p->size_bytes = 0;
	for (ssize_t n; (n = pread(p->fd, chunk, 262144, p->size_bytes)) != 0; p->size_bytes += n) {
		if (n < 0)
			return err_sys(err, errno, "cannot read the archive");
		digest_update(&d, chunk, (size_t)n);
	}
	digest_hex(&d, p->sha256);
	return 0;
}

static int temporary_file(struct err *err)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd >= 0)
		return fd;
	char name[] = "/tmp/cloudml-package-XXXXXX";
	fd = mkostemp(name, O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, errno, "cannot make a temporary file");
	unlink(name);
	return fd;
}

static int sum_up(const struct walk *w, struct package *p, const char *path, struct err *err)
{
	for (size_t i = 0; i < w->count; i++) {
		int64_t size = S_ISREG(w->entries[i].st.st_mode) ? w->entries[i].st.st_size : 0;
		p->content_bytes += size;
		if (size > p->largest_bytes) {
			p->largest_bytes = size;
			snprintf(p->largest, sizeof(p->largest), "%s", w->entries[i].path);
		}
	}
	p->files = (int64_t)w->count;
	char total[32], largest[32];
	unit_format_bytes(p->content_bytes, total);
	unit_format_bytes(p->largest_bytes, largest);
	if (!w->count)
		return err_set(err, ERR_INVALID, "the folder '%s' has no files to run", path);
	if (p->content_bytes > PACKAGE_BYTES_MAX)
		return err_set(err, ERR_TOO_LARGE,
			       "the folder '%s' holds %s (largest: '%s', %s), too much for a package; keep "
			       "data in the store "
			       "('cloudml store cp') and leave it out with a .cloudmlignore file",
			       path, total, p->largest, largest);
	return 0;
}

int package_folder(const char *path, struct package *ret, struct err *err)
{
	struct walk w;
	struct package p = PACKAGE_INIT;
	int r = walk_start(path, &w, err);
	if (r >= 0)
		r = sum_up(&w, &p, path, err);
	if (r >= 0)
		r = p.fd = temporary_file(err);
	if (r >= 0) {
		struct archive *a = archive_write_new();
		archive_write_set_format_pax_restricted(a);
		archive_write_add_filter_gzip(a);
		archive_write_set_filter_option(a, "gzip", "timestamp", NULL);
		archive_write_set_filter_option(a, "gzip", "compression-level", "6");
		if (archive_write_open_fd(a, p.fd) != ARCHIVE_OK)
			r = err_set(err, ERR_IO, "cannot start the archive: %s", archive_error_string(a));
		for (size_t i = 0; i < w.count && r >= 0; i++)
			r = pack_entry(a, w.root, &w.entries[i], err);
		if (archive_write_close(a) != ARCHIVE_OK && r >= 0)
			r = err_set(err, ERR_IO, "cannot finish the archive: %s", archive_error_string(a));
		archive_write_free(a);
	}
	walk_done(&w);
	if (r >= 0)
		r = digest_file(&p, err);
	if (r < 0) {
		package_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

int package_archive(const char *path, struct package *ret, struct err *err)
{
	static const char *const extensions[] = {".tar.gz", ".whl", ".zip", ".tgz", ".tar.xz", ".tar.bz2"};
	struct package p = PACKAGE_INIT;
	const char *slash = strrchr(path, '/');
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++)
		if (str_ends(path, extensions[i]))
			p.file_name = slash ? slash + 1 : path;
	if (!p.file_name)
		return err_set(err, ERR_INVALID,
			       "'%s' is neither a folder nor a .tar.gz, .zip or .whl package", path);
	p.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p.fd < 0)
		return err_sys(err, errno, "cannot open '%s'", path);
	int r = digest_file(&p, err);
	if (r >= 0 && !p.size_bytes)
		r = err_set(err, ERR_INVALID, "'%s' is empty", path);
	if (r < 0) {
		package_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

int package_each_file(const char *folder, package_file_fn *fn, void *arg, struct err *err)
{
	struct walk w;
	int r = walk_start(folder, &w, err);
	for (size_t i = 0; i < w.count && r >= 0; i++)
		if (S_ISREG(w.entries[i].st.st_mode))
			r = fn(arg, w.root, w.entries[i].path, w.entries[i].st.st_size);
	walk_done(&w);
	return r < 0 ? r : 0;
}
