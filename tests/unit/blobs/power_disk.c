/* SPDX-License-Identifier: Apache-2.0 */
/* Recording, and the states that cuts leave. A node is a file or folder; names are entries of folder nodes.
 */
/* Both names of the calls with offsets are overlaid, so that neither may be an alias of the other. */
#undef _FILE_OFFSET_BITS
#include "unit/blobs/power_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "unit/test.h"

#define SECTOR 512
#define NAME_SIZE 64
#define ROOT 0

enum kind { WRITE, SIZE, GROW, ADD, DROP, RENAME, SYNC, SYNC_FAILED };
struct op {
	enum kind kind;
	int node; /* whose content or entries change, or what is synced */
	off_t offset;
	size_t len;
	char *data;			       /* owned; of a write */
	int child;			       /* ADD */
	char name[NAME_SIZE], from[NAME_SIZE]; /* of entries */
};
struct entry {
	char name[NAME_SIZE];
	int node;
};
struct node {
	ino_t ino; /* 0 = gone */
	bool is_folder;
	struct buf content; /* when the recording began */
	struct entry *entries;
	size_t entry_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool is_recording;
static struct node *nodes;
static size_t node_count, node_cap;
static struct op *ops;
static size_t op_count, op_cap;
static int sync_fails_in, full_from, full_left;
static bool has_failed;

/* ---- nodes ---- */

static int node_add(ino_t ino, bool is_folder)
{
	if (node_count == node_cap) {
		node_cap = node_cap ? 2 * node_cap : 512;
		nodes = mem_realloc(nodes, node_cap * sizeof(*nodes));
	}
	nodes[node_count] = (struct node){.ino = ino, .is_folder = is_folder};
	return (int)node_count++;
}

static int node_find(const struct stat *st)
{
	for (size_t i = node_count; i-- > 0;)
		if (nodes[i].ino == st->st_ino)
			return (int)i;
	return -1;
}

static void entry_set(struct node *folder, const char *name, int node)
{
	for (size_t i = 0; i < folder->entry_count; i++)
		if (strcmp(folder->entries[i].name, name) == 0) {
			folder->entries[i].node = node;
			return;
		}
	folder->entries = mem_realloc(folder->entries, (folder->entry_count + 1) * sizeof(struct entry));
	struct entry *e = &folder->entries[folder->entry_count++];
	snprintf(e->name, sizeof(e->name), "%s", name);
	e->node = node;
}

/* Returns its node, or -1. */
static int entry_take(struct node *folder, const char *name)
{
	for (size_t i = 0; i < folder->entry_count; i++)
		if (strcmp(folder->entries[i].name, name) == 0) {
			int node = folder->entries[i].node;
			folder->entries[i] = folder->entries[--folder->entry_count];
			return node;
		}
	return -1;
}

static void put(struct buf *b, off_t offset, const char *data, size_t len)
{
	size_t end = (size_t)offset + len;
	if (end > b->len) {
		size_t before = b->len;
		buf_reserve(b, end - before);
		memset(b->data + before, 0, end - before);
		b->len = end;
	}
	if (len)
		memcpy(b->data + offset, data, len);
}

static bool is_memory(const char *name) /* shared memory of SQLite: nothing of it lives after a cut */
{
	size_t len = strlen(name);
	return len > 4 && strcmp(name + len - 4, "-shm") == 0;
}

static void load(int node, int fd)
{
	struct stat st;
	CLEANUP(dir) DIR *d = fdopendir(fd);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (e->d_name[0] == '.' || is_memory(e->d_name))
			continue;
		assert_int_equal(fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW), 0);
		int child = node_find(&st);
		bool is_new = child < 0;
		if (is_new)
			child = node_add(st.st_ino, S_ISDIR(st.st_mode));
		entry_set(&nodes[node], e->d_name, child);
		int child_fd = openat(fd, e->d_name, O_RDONLY | O_CLOEXEC);
		assert_true(child_fd >= 0);
		if (nodes[child].is_folder) {
			load(child, child_fd);
			continue;
		}
		struct buf *b = &nodes[child].content;
		if (is_new && st.st_size) {
			buf_reserve(b, (size_t)st.st_size);
			assert_int_equal(pread(child_fd, b->data, (size_t)st.st_size, 0), st.st_size);
			b->len = (size_t)st.st_size;
		}
		close(child_fd);
	}
}

static void forget(void)
{
	for (size_t i = 0; i < node_count; i++) {
		buf_done(&nodes[i].content);
		free(nodes[i].entries);
	}
	for (size_t i = 0; i < op_count; i++)
		free(ops[i].data);
	node_count = op_count = 0;
}

static void forget_all(void)
{
	forget();
	free(nodes);
	free(ops);
}

void power_begin(const char *dir)
{
	static bool is_registered;
	struct stat st;
	if (!is_registered)
		atexit(forget_all);
	is_registered = true;
	forget();
	assert_int_equal(stat(dir, &st), 0);
	node_add(st.st_ino, true);
	load(ROOT, open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	sync_fails_in = full_from = full_left = 0;
	has_failed = false;
	is_recording = true;
}

void power_end(void)
{
	pthread_mutex_lock(&lock);
	is_recording = false;
	pthread_mutex_unlock(&lock);
}

size_t power_position(void)
{
	pthread_mutex_lock(&lock);
	size_t n = op_count;
	pthread_mutex_unlock(&lock);
	return n;
}

void power_fail_sync(int n)
{
	sync_fails_in = n;
}

void power_fill(int n, int count)
{
	full_from = n;
	full_left = count;
}

bool power_has_failed(void)
{
	return has_failed;
}

/* ---- recording; under the lock ---- */

static struct op *op_add(enum kind kind, int node)
{
	if (op_count == op_cap) {
		op_cap = op_cap ? 2 * op_cap : 4096;
		ops = mem_realloc(ops, op_cap * sizeof(*ops));
	}
	ops[op_count] = (struct op){.kind = kind, .node = node, .child = -1};
	return &ops[op_count++];
}

/* The node of the folder that 'path' is in, and its name there; -1 = not ours. */
static int folder_of(int dir_fd, const char *path, char name[NAME_SIZE])
{
	struct stat st;
	const char *slash = strrchr(path, '/');
	CLEANUP(free)
	char *folder = slash ? mem_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : NULL;
	snprintf(name, NAME_SIZE, "%s", slash ? slash + 1 : path);
	if (folder ? fstatat(dir_fd, folder, &st, 0) < 0 : dir_fd == AT_FDCWD || fstat(dir_fd, &st) < 0)
		return -1;
	return node_find(&st);
}

static void note_entry(int folder, const char *name, int child)
{
	struct op *op = op_add(ADD, folder);
	op->child = child;
	snprintf(op->name, sizeof(op->name), "%s", name);
}

/* A file that is met for the first time was made since: its name is where it is now. */
static int node_of(int fd)
{
	struct stat st;
	char link[32], path[4096], name[NAME_SIZE];
	if (!is_recording || fstat(fd, &st) < 0)
		return -1;
	int node = node_find(&st);
	if (node >= 0 || !S_ISREG(st.st_mode) || st.st_nlink == 0)
		return node;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return -1;
	path[n] = 0;
	int folder = folder_of(AT_FDCWD, path, name);
	if (folder < 0 || is_memory(name))
		return -1;
	node = node_add(st.st_ino, false);
	note_entry(folder, name, node);
	return node;
}

static void note_write(int node, off_t offset, const void *data, size_t len)
{
	struct op *op = op_add(WRITE, node);
	op->offset = offset;
	op->len = len;
	op->data = mem_alloc(len + 1);
	memcpy(op->data, data, len);
}

/* ---- libc's calls ---- */

/* What is left of a write when the disk is full: all, a half, nothing (-1). */
static ssize_t room_for(int node, size_t len)
{
	if (node < 0 || !full_from || --full_from > 0)
		return (ssize_t)len;
	bool is_first = !has_failed;
	has_failed = true;
	if (is_first && len > 1) {
		full_from = 1;
		return (ssize_t)(len / 2);
	}
	full_from = --full_left > 0;
	errno = ENOSPC;
	return -1;
}

static ssize_t write_at(int fd, const void *data, size_t len, off_t offset, bool is_positioned)
{
	pthread_mutex_lock(&lock);
	int node = node_of(fd);
	off_t at = is_positioned ? offset : node >= 0 ? lseek(fd, 0, SEEK_CUR) : 0;
	ssize_t n = room_for(node, len);
	if (node < 0 && !is_positioned) { /* a pipe may block */
		pthread_mutex_unlock(&lock);
		return syscall(SYS_write, fd, data, len);
	}
	if (n >= 0)
		n = is_positioned ? syscall(SYS_pwrite64, fd, data, (size_t)n, offset)
				  : syscall(SYS_write, fd, data, (size_t)n);
	if (n > 0 && node >= 0)
		note_write(node, at, data, (size_t)n);
	pthread_mutex_unlock(&lock);
	return n;
}

ssize_t write(int fd, const void *data, size_t len)
{
	return write_at(fd, data, len, 0, false);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
	return write_at(fd, data, len, offset, true);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
	return write_at(fd, data, len, offset, true);
}

static int sync_node(int fd, long number)
{
	pthread_mutex_lock(&lock);
	int node = node_of(fd), r = 0;
	if (node < 0) {
		pthread_mutex_unlock(&lock);
		return (int)syscall(number, fd);
	}
	if (sync_fails_in && --sync_fails_in == 0) {
		has_failed = true;
		op_add(SYNC_FAILED, node);
		errno = EIO;
		r = -1;
	} else
		op_add(SYNC, node);
	pthread_mutex_unlock(&lock);
	return r;
}

int fsync(int fd)
{
	return sync_node(fd, SYS_fsync);
}

int fdatasync(int fd)
{
	return sync_node(fd, SYS_fdatasync);
}

int ftruncate(int fd, off_t size)
{
	pthread_mutex_lock(&lock);
	int node = node_of(fd);
	int r = (int)syscall(SYS_ftruncate, fd, size);
	if (r == 0 && node >= 0)
		op_add(SIZE, node)->offset = size;
	pthread_mutex_unlock(&lock);
	return r;
}

int ftruncate64(int fd, off64_t size)
{
	return ftruncate(fd, size);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	pthread_mutex_lock(&lock);
	int node = node_of(fd);
	int r = (int)syscall(SYS_fallocate, fd, mode, offset, len);
	if (r == 0 && node >= 0)
		op_add(GROW, node)->offset = offset + len;
	pthread_mutex_unlock(&lock);
	return r;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t len)
{
	return fallocate(fd, mode, offset, len);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
	char name[NAME_SIZE];
	struct stat st;
	pthread_mutex_lock(&lock);
	int folder = is_recording ? folder_of(dir_fd, path, name) : -1;
	int node = folder >= 0 && fstatat(dir_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? node_find(&st) : -1;
	int r = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
	if (r == 0 && node >= 0) {
		struct op *op = op_add(DROP, folder);
		snprintf(op->name, sizeof(op->name), "%s", name);
		if (st.st_nlink == 1)
			nodes[node].ino = 0; /* the number will be used again */
	}
	pthread_mutex_unlock(&lock);
	return r;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	char name[NAME_SIZE], old[NAME_SIZE];
	struct stat st;
	pthread_mutex_lock(&lock);
	int folder = is_recording ? folder_of(to_fd, to, name) : -1;
	if (folder >= 0) {
		assert_int_equal(folder_of(from_fd, from, old), folder);
		if (fstatat(to_fd, to, &st, 0) == 0 && st.st_nlink == 1 && node_find(&st) >= 0)
			nodes[node_find(&st)].ino = 0;
	}
	int r = (int)syscall(SYS_renameat, from_fd, from, to_fd, to);
	if (r == 0 && folder >= 0) {
		struct op *op = op_add(RENAME, folder);
		snprintf(op->name, sizeof(op->name), "%s", name);
		snprintf(op->from, sizeof(op->from), "%s", old);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
	char name[NAME_SIZE];
	struct stat st;
	pthread_mutex_lock(&lock);
	int folder = is_recording ? folder_of(to_fd, to, name) : -1;
	int r = (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
	if (r == 0 && folder >= 0 && fstatat(to_fd, to, &st, 0) == 0) {
		int node = node_find(&st);
		assert_true(node >= 0);
		note_entry(folder, name, node);
	}
	pthread_mutex_unlock(&lock);
	return r;
}

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
	char name[NAME_SIZE];
	struct stat st;
	pthread_mutex_lock(&lock);
	int folder = is_recording ? folder_of(dir_fd, path, name) : -1;
	int r = (int)syscall(SYS_mkdirat, dir_fd, path, mode);
	if (r == 0 && folder >= 0 && fstatat(dir_fd, path, &st, 0) == 0)
		note_entry(folder, name, node_add(st.st_ino, true));
	pthread_mutex_unlock(&lock);
	return r;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- what a cut leaves ---- */

enum fate { NOTHING, ALL, BEGINNING, SOME, SECTORS, FATE_COUNT };
struct pending {
	const struct op **ops;
	size_t count;
	bool *is_lost_perhaps; /* its sync has failed: a later one does not write it */
};

static void apply(struct node *n, const struct op *op)
{
	switch (op->kind) {
	case WRITE:
		put(&n->content, op->offset, op->data, op->len);
		break;
	case SIZE:
		if ((size_t)op->offset < n->content.len) {
			n->content.len = (size_t)op->offset;
			break;
		}
		/* fall through */
	case GROW:
		if ((size_t)op->offset > n->content.len)
			put(&n->content, op->offset, "", 0);
		break;
	case ADD:
		entry_set(n, op->name, op->child);
		break;
	case DROP:
		entry_take(n, op->name);
		break;
	case RENAME: {
		int child = entry_take(n, op->from);
		if (child >= 0)
			entry_set(n, op->name, child);
		break;
	}
	case SYNC:
	case SYNC_FAILED:
		break;
	}
}

static void apply_sectors(struct node *n, const struct op *op, struct rng *rng)
{
	for (size_t at = 0; at < op->len; at += SECTOR)
		if (rng_below(rng, 2))
			put(&n->content, op->offset + (off_t)at, op->data + at,
			    op->len - at < SECTOR ? op->len - at : SECTOR);
}

static void settle(struct node *n, struct pending *p, struct rng *rng)
{
	enum fate fate = (enum fate)rng_below(rng, FATE_COUNT);
	size_t first_lost = fate == BEGINNING ? rng_below(rng, p->count + 1) : p->count;
	for (size_t i = 0; i < first_lost && fate != NOTHING; i++) {
		if (fate >= SOME && !rng_below(rng, 2))
			continue;
		if (fate == SECTORS && p->ops[i]->kind == WRITE)
			apply_sectors(n, p->ops[i], rng);
		else
			apply(n, p->ops[i]);
	}
}

/* All that is pending is durable now, but what a failed sync has dropped: of that nobody knows. */
static void make_durable(struct node *n, struct pending *p, struct rng *rng)
{
	for (size_t i = 0; i < p->count; i++)
		if (!p->is_lost_perhaps[i] || rng_below(rng, 2))
			apply(n, p->ops[i]);
	p->count = 0;
}

static void pending_add(struct pending *p, const struct op *op)
{
	p->ops = mem_realloc(p->ops, (p->count + 1) * sizeof(*p->ops));
	p->is_lost_perhaps = mem_realloc(p->is_lost_perhaps, p->count + 1);
	p->is_lost_perhaps[p->count] = false;
	p->ops[p->count++] = op;
}

static struct node *copy_nodes(void)
{
	struct node *copy = mem_alloc((node_count + 1) * sizeof(*copy));
	for (size_t i = 0; i < node_count; i++) {
		copy[i] = nodes[i];
		copy[i].content = (struct buf)BUF_INIT;
		buf_add(&copy[i].content, nodes[i].content.data ? nodes[i].content.data : "",
			nodes[i].content.len);
		copy[i].entries = mem_alloc((nodes[i].entry_count + 1) * sizeof(struct entry));
		if (nodes[i].entry_count)
			memcpy(copy[i].entries, nodes[i].entries,
			       nodes[i].entry_count * sizeof(struct entry));
	}
	return copy;
}

static void play(struct node *state, size_t cut, struct rng *rng)
{
	struct pending *p = mem_alloc((node_count + 1) * sizeof(*p));
	for (size_t i = 0; i < cut; i++) {
		struct pending *mine = &p[ops[i].node];
		if (ops[i].kind == SYNC)
			make_durable(&state[ops[i].node], mine, rng);
		else if (ops[i].kind == SYNC_FAILED)
			for (size_t j = 0; j < mine->count; j++)
				mine->is_lost_perhaps[j] = true;
		else
			pending_add(mine, &ops[i]);
	}
	for (size_t i = 0; i < node_count; i++) {
		settle(&state[i], &p[i], rng);
		free(p[i].ops);
		free(p[i].is_lost_perhaps);
	}
	free(p);
}

static void wipe(int fd)
{
	CLEANUP(dir) DIR *d = fdopendir(fd);
	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    syscall(SYS_unlinkat, fd, e->d_name, 0) == 0)
			continue;
		wipe(openat(fd, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		assert_int_equal(syscall(SYS_unlinkat, fd, e->d_name, AT_REMOVEDIR), 0);
	}
}

void power_wipe(const char *dir)
{
	wipe(open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* Files with two names become two files: none is written again. */
static void store_folder(const struct node *state, int node, int fd)
{
	for (size_t i = 0; i < state[node].entry_count; i++) {
		const struct entry *e = &state[node].entries[i];
		const struct node *child = &state[e->node];
		if (child->is_folder) {
			assert_int_equal(syscall(SYS_mkdirat, fd, e->name, 0700), 0);
			CLEANUP(fd) int below = openat(fd, e->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			store_folder(state, e->node, below);
			continue;
		}
		CLEANUP(fd) int file = openat(fd, e->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		assert_true(file >= 0);
		if (child->content.len)
			assert_int_equal(syscall(SYS_write, file, child->content.data, child->content.len),
					 child->content.len);
	}
}

void power_cut(size_t cut, const char *dir, struct rng *rng)
{
	struct node *state = copy_nodes();
	for (size_t i = 0; i < node_count; i++)
		if (!state[i].entries)
			state[i].entry_count = 0;
	play(state, cut, rng);
	power_wipe(dir);
	CLEANUP(fd) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	store_folder(state, ROOT, fd);
	for (size_t i = 0; i < node_count; i++) {
		buf_done(&state[i].content);
		free(state[i].entries);
	}
	free(state);
}
