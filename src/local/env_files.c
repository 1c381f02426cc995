/* SPDX-License-Identifier: Apache-2.0 */
/* The files of one environment and of uv's caches. */
#include "local/env_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/digest.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "local/container.h"
#include "local/fd_drop.h"

#define SEED_DEPTH_MAX 64

char *env_container_name(const char *data_folder, const char *key)
{
	char hex[DIGEST_HEX_LEN + 1];
	digest_of(data_folder, strlen(data_folder), hex);
	return mem_printf("env-%s-%.8s", key, hex);
}

void env_files_init(struct env_files *f, const char *data_folder, const struct env_want *want)
{
	CLEANUP(strings) char **requirements = env_requirements(want->requirements);
	env_key(want, f->key);
	f->envs = mem_printf("%s/envs", data_folder);
	f->path = mem_printf("%s/%s", f->envs, f->key);
	f->build = mem_printf("%s.build", f->path);
	f->container = env_container_name(data_folder, f->key);
	f->cache = mem_printf("%s/cache/%s", f->envs, requirements[0] ? want->org : "_shared");
	f->lock_fd = f->cache_lock_fd = -1;
}

void env_files_done(struct env_files *f)
{
	fd_drop(&f->lock_fd);
	fd_drop(&f->cache_lock_fd);
	free(f->envs);
	free(f->path);
	free(f->build);
	free(f->container);
	free(f->cache);
}

bool env_files_ready(const struct env_files *f)
{
	CLEANUP(free) char *record = mem_printf("%s.json", f->path);
	if (access(f->path, F_OK) < 0 || access(record, F_OK) < 0)
		return false;
	utimensat(AT_FDCWD, record, NULL, 0); /* time of last use, for whoever makes room */
	return true;
}

int env_files_lock(struct env_files *f, struct err *err)
{
	int r = path_make_absolute_dirs(f->envs, 0755, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *path = mem_printf("%s.lock", f->path);
	f->lock_fd = fd_lock_file(AT_FDCWD, path, false, err);
	return f->lock_fd < 0 ? f->lock_fd : 0;
}

static char *inner_cache(const struct env_files *f)
{
	return mem_printf("%s/env/.cache", f->build);
}

static void return_cache(struct env_files *f)
{
	CLEANUP(free) char *inner = inner_cache(f);
	struct err err = ERR_INIT;
	if (access(inner, F_OK) < 0)
		return;
	bool ours = f->cache_lock_fd >= 0;
	if (!ours) { /* began empty, or was left by a dead builder: kept when there is no other */
		CLEANUP(free) char *lock = mem_printf("%s.lock", f->cache);
		f->cache_lock_fd = fd_lock_file(AT_FDCWD, lock, false, &err);
	}
	if (f->cache_lock_fd >= 0 && access(f->cache, F_OK) < 0 && rename(inner, f->cache) < 0)
		log_warn("env.cache path=%s error=\"%s\"", f->cache, strerror(errno));
	fd_drop(&f->cache_lock_fd);
}

static int take_cache(struct env_files *f, struct err *err)
{
	CLEANUP(free) char *folder = mem_printf("%s/cache", f->envs);
	int r = path_make_absolute_dirs(folder, 0755, err);
	if (r < 0)
		return r;
	CLEANUP(free) char *lock = mem_printf("%s.lock", f->cache);
	struct err busy = ERR_INIT;
	f->cache_lock_fd = fd_lock_file(AT_FDCWD, lock, false, &busy);
	if (f->cache_lock_fd < 0)
		return 0; /* in use: begin with an empty one */
	CLEANUP(free) char *inner = inner_cache(f);
	if (rename(f->cache, inner) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot move the cache '%s'", f->cache);
	return 0;
}

static int remove_build(const struct env_files *f, struct err *err)
{
	return path_remove_tree(AT_FDCWD, f->build, err);
}

static int make_owned(const char *path, uid_t uid, struct err *err)
{
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return err_sys(err, errno, "cannot make folder '%s'", path);
	return lchown(path, uid, uid) < 0
		   ? err_sys(err, errno, "cannot give folder '%s' to user %u", path, uid)
		   : 0;
}

int env_files_begin(struct env_files *f, int64_t uid_base, struct err *err)
{
	int r = container_cleanup(f->container, f->build, err);
	if (r < 0)
		return r;
	return_cache(f);
	if (!env_files_ready(f))
		r = path_remove_tree(AT_FDCWD, f->path, err); /* renamed, but its record was not written */
	if (r == 0)
		r = remove_build(f, err);
	CLEANUP(free) char *run = mem_printf("%s/run", f->build);
	CLEANUP(free) char *env = mem_printf("%s/env", f->build);
	if (r == 0)
		r = path_make_absolute_dirs(run, 0755, err);
	if (r == 0)
		r = make_owned(env, (uid_t)uid_base + CONTAINER_UID, err);
	CLEANUP(free) char *tmp = mem_printf("%s/.tmp", env);
	if (r == 0)
		r = make_owned(tmp, (uid_t)uid_base + CONTAINER_UID, err);
	return r < 0 ? r : take_cache(f, err);
}

static int seed_folder(int from_fd, int to_fd, uid_t uid, int depth, struct err *err);

static int seed_link(int from_fd, int to_fd, const char *name, uid_t uid, struct err *err)
{
	char target[4096];
	ssize_t n = readlinkat(from_fd, name, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = 0;
	if (n <= 0 || symlinkat(target, to_fd, name) < 0 ||
	    fchownat(to_fd, name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "cannot copy link '%s'", name);
	return 0;
}

static int seed_entry(int from_fd, int to_fd, const char *name, uid_t uid, int depth, struct err *err)
{
	struct stat st;
	if (fstatat(from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "cannot look at '%s'", name);
	if (S_ISREG(st.st_mode))
		return linkat(from_fd, name, to_fd, name, 0) < 0
			   ? err_sys(err, errno, "cannot link '%s'", name)
			   : 0;
	if (S_ISLNK(st.st_mode))
		return seed_link(from_fd, to_fd, name, uid, err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	CLEANUP(fd) int inner_from = path_open(from_fd, name, O_RDONLY | O_DIRECTORY, 0, err);
	if (inner_from < 0)
		return inner_from;
	if ((mkdirat(to_fd, name, 0755) < 0 && errno != EEXIST) ||
	    fchownat(to_fd, name, uid, uid, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys(err, errno, "cannot make folder '%s'", name);
	CLEANUP(fd) int inner_to = path_open(to_fd, name, O_RDONLY | O_DIRECTORY, 0, err);
	return inner_to < 0 ? inner_to : seed_folder(inner_from, inner_to, uid, depth + 1, err);
}

static int seed_folder(int from_fd, int to_fd, uid_t uid, int depth, struct err *err)
{
	if (depth > SEED_DEPTH_MAX)
		return err_set(err, ERR_TOO_LARGE, "folders are nested too deep");
	int own_fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(dir) DIR *dir = own_fd < 0 ? NULL : fdopendir(own_fd);
	if (!dir)
		return err_sys(err, errno, "cannot read a folder");
	int r = 0;
	for (struct dirent *e; r == 0 && (e = readdir(dir));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = seed_entry(from_fd, to_fd, e->d_name, uid, depth, err);
	return r;
}

int env_files_seed(struct env_files *f, const char *base, int64_t uid_base, struct err *err)
{
	CLEANUP(free) char *env = mem_printf("%s/env", f->build);
	CLEANUP(fd) int from_fd = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(fd) int to_fd = open(env, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from_fd < 0 || to_fd < 0)
		return err_sys(err, errno, "cannot open an environment");
	return seed_folder(from_fd, to_fd, (uid_t)uid_base + CONTAINER_UID, 0, err);
}

/* Files were made by a package's installation: flush them before the record says that they are there. */
static int sync_tree(const char *path, struct err *err)
{
	CLEANUP(fd) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) < 0)
		return err_sys(err, errno, "cannot flush '%s'", path);
	return 0;
}

int env_files_commit(struct env_files *f, json_t *record, struct err *err)
{
	CLEANUP(json) json_t *owned = record;
	return_cache(f);
	CLEANUP(free) char *env = mem_printf("%s/env", f->build);
	CLEANUP(free) char *cache = inner_cache(f);
	CLEANUP(free) char *tmp = mem_printf("%s/env/.tmp", f->build);
	int r = path_remove_tree(AT_FDCWD, cache, err);
	if (r == 0)
		r = path_remove_tree(AT_FDCWD, tmp, err);
	if (r == 0)
		r = sync_tree(env, err);
	if (r < 0)
		return r;
	if (rename(env, f->path) < 0)
		return err_sys(err, errno, "cannot move the environment to '%s'", f->path);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write_pretty(owned, &text);
	CLEANUP(free) char *name = mem_printf("%s.json", f->path);
	r = fd_write_file(AT_FDCWD, name, text.data, text.len, 0644, err);
	struct err ignored = ERR_INIT;
	remove_build(f, &ignored);
	return r;
}

void env_files_abandon(struct env_files *f)
{
	struct err err = ERR_INIT;
	return_cache(f);
	if (remove_build(f, &err) < 0)
		log_warn("env.abandon path=%s error=\"%s\"", f->build, err.msg);
}

static _Thread_local struct env_measure walk;

/* A linked file counts once for each of its names' share, so that the sum is what the disk holds. */
static int add_entry(const char *path, const struct stat *st, int type, struct FTW *where)
{
	if (type == FTW_F || type == FTW_D)
		walk.bytes +=
		    st->st_blocks * 512 / (st->st_nlink > 1 && type == FTW_F ? (int64_t)st->st_nlink : 1);
	if (type == FTW_F && !strstr(path, "/env/.cache/")) {
		walk.sources += str_ends(path, ".py");
		walk.compiled += str_ends(path, ".pyc");
	}
	return 0;
}

void env_files_measure(const struct env_files *f, struct env_measure *ret)
{
	CLEANUP(free) char *env = mem_printf("%s/env", f->build);
	walk = (struct env_measure){0};
	nftw(env, add_entry, 32, FTW_PHYS);
	*ret = walk;
}

int env_files_write_progress(const struct env_files *f, const struct progress *p, struct err *err)
{
	CLEANUP(json) json_t *j = progress_format(p);
	CLEANUP(buf) struct buf text = BUF_INIT;
	json_write(j, &text);
	CLEANUP(free) char *path = mem_printf("%s.progress", f->path);
	return fd_write_file_fast(AT_FDCWD, path, text.data, text.len, 0644, err);
}

int env_files_read_progress(const struct env_files *f, struct progress *ret, struct err *err)
{
	CLEANUP(free) char *path = mem_printf("%s.progress", f->path);
	CLEANUP(json) json_t *j = NULL;
	int r = json_read_file(AT_FDCWD, path, 65536, &j, err);
	if (r == 0)
		progress_parse(j, ret);
	return r;
}
