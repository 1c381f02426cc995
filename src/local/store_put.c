/* SPDX-License-Identifier: Apache-2.0 */
/* Into the store: outputs, logs, metrics. The tree was written by untrusted code. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/store_copy.h"
#include "local/store_seen.h"
#include "local/text_clean.h"

#define COPY_BYTES ((size_t)256 << 10)
/* Of a whole tree: holes cost their writer nothing, and the store all. */
#define HOLES_BYTES_MAX ((int64_t)1 << 30)

static int copy_in(const struct store_place *at, struct blob_put *put, int fd, int64_t most, struct err *err)
{
	CLEANUP(free) char *block = mem_alloc(COPY_BYTES);
	while (most > 0) {
		ssize_t n = read(fd, block, most < (int64_t)COPY_BYTES ? (size_t)most : COPY_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot read");
		if (n == 0)
			return 0;
		int r = at->store->ops->put_write(put, block, (size_t)n, err);
		if (r < 0)
			return r;
		most -= n;
	}
	return 0;
}

/* All but the commit, of the first 'most' bytes. */
static int put_begin(const struct store_place *at, const char *key, const char *content_type, int fd,
		     int64_t most, struct blob_put **ret, struct err *err)
{
	struct blob_put_options o = {.content_type = content_type, .expected_size = -1};
	int r = at->store->ops->put_begin(at->store, at->org, at->bucket, key, &o, ret, err);
	if (r < 0)
		return r;
	r = copy_in(at, *ret, fd, most, err);
	if (r < 0)
		at->store->ops->put_abort(*ret);
	return r;
}

int store_put_fd(const struct store_place *at, const char *key, const char *content_type, int fd,
		 struct err *err)
{
	struct blob_put *put = NULL;
	struct blob_info info;
	int r = put_begin(at, key, content_type, fd, INT64_MAX, &put, err);
	return r < 0 ? r : at->store->ops->put_commit(put, &info, err);
}

int store_put_bytes(const struct store_place *at, const char *key, const char *content_type, const void *data,
		    size_t len, struct err *err)
{
	struct blob_put_options o = {.content_type = content_type, .expected_size = (int64_t)len};
	return blob_put(at->store, at->org, at->bucket, key, &o, data, len, NULL, err);
}

/* ---- trees ---- */

struct walk {
	const struct store_place *at;
	struct store_put_how how;
	struct store_put_stats *stats;
	int64_t now_ms; /* Unix time */
	int64_t holes_bytes;
	struct err refusal; /* the first */
};

/* The name is shown in the log: a line end in it must not begin a line. */
static void skip_entry(struct walk *w, const char *name)
{
	if (!w->stats->skipped++)
		text_clean(name, strlen(name), w->stats->first_skipped, sizeof(w->stats->first_skipped));
}

/* Smaller ones may still fit. */
static void refuse_entry(struct walk *w, const char *name, int64_t size, struct err *err)
{
	if (!w->stats->refused++) {
		text_clean(name, strlen(name), w->stats->first_refused, sizeof(w->stats->first_refused));
		w->refusal = *err;
	}
	w->stats->refused_bytes += size;
	*err = (struct err)ERR_INIT;
}

static bool takes_holes(struct walk *w, const struct stat *st)
{
	int64_t holes = st->st_size - st->st_blocks * 512;
	if (holes <= 0)
		return true;
	if (holes > HOLES_BYTES_MAX - w->holes_bytes)
		return false;
	w->holes_bytes += holes;
	return true;
}

static bool is_settled(const struct walk *w, const struct stat *st)
{
	int64_t changed_ms = (int64_t)st->st_ctim.tv_sec * 1000 + st->st_ctim.tv_nsec / 1000000;
	return !w->how.settled_ms || w->now_ms - changed_ms >= w->how.settled_ms;
}

/* TensorBoard's event files are only ever added to, and their readers know a record that is not whole: what
 * is there of them is worth something at any time. By their name, as TensorBoard finds them. */
static bool is_appended(const char *key)
{
	const char *slash = strrchr(key, '/');
	return strstr(slash ? slash + 1 : key, "tfevents") != NULL;
}

/* Files in memory only have no writing back: what is written to a mapping of them may leave no trace. */
static bool keeps_times(int fd)
{
	struct statfs fs;
	return fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC;
}

/* Of a tree that may still change. */
static int put_seen(struct walk *w, const char *key, int fd, const struct stat *st, struct err *err)
{
	struct store_seen *seen = w->how.seen;
	bool is_last = !w->how.settled_ms, grows = !is_last && is_appended(key);
	const struct blob_ops *ops = w->at->store->ops;
	struct blob_put *put = NULL;
	struct blob_info info;
	struct stat after;
	if (is_last)
		store_seen_mark(seen, key);
	if ((!grows && !is_settled(w, st)) || store_seen_has(seen, key, st, is_last ? w->at : NULL))
		return 0;
	/* Pages that are mapped and dirty change without a trace in the file's times until they are written
	 * back. */
	if (!is_last && fsync(fd) < 0)
		return 0;
	int r = put_begin(w->at, key, "", fd, grows ? st->st_size : INT64_MAX, &put, err);
	if (r < 0)
		return r;
	bool has_changed = !grows && (fstat(fd, &after) < 0 || !store_seen_same(st, &after));
	if (has_changed && !is_last) {
		ops->put_abort(put);
		return 0;
	}
	r = ops->put_commit(put, &info, err);
	if (r >= 0 && !has_changed)
		store_seen_add(seen, key, st, info.etag, keeps_times(fd));
	return r;
}

static int put_folder(struct walk *w, const char *prefix, int folder_fd, int depth, struct err *err);

static int put_entry(struct walk *w, const char *prefix, int folder_fd, const char *name, int depth,
		     struct err *err)
{
	struct stat st;
	struct err why = ERR_INIT;
	CLEANUP(free) char *key = mem_printf("%s/%s", prefix, name);
	if (fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, errno, "cannot look at '%s'", key);
	bool is_folder = S_ISDIR(st.st_mode);
	if ((!is_folder && !S_ISREG(st.st_mode)) || uri_key_check(key, false, &why) < 0) {
		skip_entry(w, name);
		return 0;
	}
	CLEANUP(fd) int fd = path_open(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, err);
	if (fd < 0)
		return fd == -ERR_NOT_FOUND ? 0 : err_wrap(err, "saving '%s'", key);
	if (is_folder)
		return put_folder(w, key, fd, depth + 1, err);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !takes_holes(w, &st)) {
		skip_entry(w, name);
		return 0;
	}
	if (++w->stats->files > STORE_TREE_FILES_MAX) { /* what is over is named, not waited for */
		w->stats->files--;
		skip_entry(w, name);
		return 0;
	}
	w->stats->bytes += st.st_size;
	int r = w->how.seen ? put_seen(w, key, fd, &st, err) : store_put_fd(w->at, key, "", fd, err);
	if (r == -ERR_QUOTA) {
		refuse_entry(w, name, st.st_size, err);
		return 0;
	}
	return r < 0 ? err_wrap(err, "saving '%s'", key) : 0;
}

static int put_folder(struct walk *w, const char *prefix, int folder_fd, int depth, struct err *err)
{
	if (depth > STORE_TREE_DEPTH_MAX) {
		skip_entry(w, prefix);
		return 0;
	}
	CLEANUP(fd) int own_fd = openat(folder_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (own_fd < 0)
		return err_sys(err, errno, "cannot open '%s'", prefix);
	CLEANUP(dir) DIR *dir = fdopendir(own_fd);
	if (!dir)
		return err_sys(err, errno, "cannot read '%s'", prefix);
	own_fd = -1; /* dir's */
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = put_entry(w, prefix, folder_fd, e->d_name, depth, err);
	return r;
}

int store_put_tree(const struct store_place *at, const char *prefix, int folder_fd,
		   const struct store_put_how *how, struct store_put_stats *ret, struct err *err)
{
	*ret = (struct store_put_stats){0};
	struct walk w = {.at = at, .how = *how, .stats = ret, .now_ms = clock_wall_ms(&clock_real)};
	bool is_last = how->seen && !how->settled_ms;
	if (is_last)
		store_seen_begin_last(how->seen);
	int r = put_folder(&w, prefix, folder_fd, 0, err);
	if (r >= 0 && is_last)
		r = store_seen_end_last(how->seen, at, err);
	if (r >= 0 && ret->refused) {
		*err = w.refusal;
		r = -err->code;
	}
	return r;
}
