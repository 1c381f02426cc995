/* SPDX-License-Identifier: Apache-2.0 */
/* An open file of the mount: one window of bytes, which grows while the file is read in order. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "mount/mount_int.h"

static atomic_size_t window_total, open_count; /* of all files */

struct mount_file {
	struct mount_store *store;
	char *path;
	struct mount_object object;
	pthread_mutex_t lock; /* of what follows */
	char *window;	      /* 'room' bytes, 'len' of them from 'at' on are known */
	size_t room, len, want;
	int64_t at;
};

int mount_file_open(struct mount_store *s, const char *path, struct mount_file **ret)
{
	struct mount_object object;
	int r = mount_store_stat(s, path, &object);
	if (r < 0)
		return r;
	if (atomic_fetch_add(&open_count, 1) >= MOUNT_OPEN_MAX) {
		atomic_fetch_sub(&open_count, 1);
		return -ENFILE;
	}
	struct mount_file *f = MEM_NEW(struct mount_file);
	f->store = s;
	f->path = mem_strdup(path);
	f->object = object;
	f->want = MOUNT_WINDOW_MIN;
	pthread_mutex_init(&f->lock, NULL);
	*ret = f;
	return 0;
}

void mount_file_free(struct mount_file *f)
{
	atomic_fetch_sub(&window_total, f->room);
	atomic_fetch_sub(&open_count, 1);
	pthread_mutex_destroy(&f->lock);
	free(f->window);
	free(f->path);
	free(f);
}

const struct mount_object *mount_file_object(const struct mount_file *f)
{
	return &f->object;
}

/* Room for 'want' bytes, or for the least when all files together have enough. */
static void make_room(struct mount_file *f)
{
	if (f->room >= f->want)
		return;
	size_t more = f->want - f->room;
	if (f->room && atomic_load(&window_total) + more > MOUNT_CACHE_BYTES) {
		f->want = f->room;
		return;
	}
	free(f->window);
	f->window = mem_alloc(f->want);
	f->room = f->want;
	f->len = 0;
	atomic_fetch_add(&window_total, more);
}

static int fill(struct mount_file *f, int64_t offset)
{
	bool in_order = f->len && offset == f->at + (int64_t)f->len;
	f->want = in_order ? f->want * 2 : MOUNT_WINDOW_MIN;
	if (f->want > MOUNT_WINDOW_MAX)
		f->want = MOUNT_WINDOW_MAX;
	make_room(f);
	int64_t left = f->object.size - offset;
	size_t size = left < (int64_t)f->want ? (size_t)left : f->want;
	f->len = 0;
	int r = mount_store_read(f->store, f->path, &f->object, offset, size, f->window);
	if (r < 0)
		return r;
	f->at = offset;
	f->len = size;
	return 0;
}

ssize_t mount_file_read(struct mount_file *f, char *ret, size_t size, int64_t offset)
{
	size_t done = 0;
	int r = 0;
	pthread_mutex_lock(&f->lock);
	while (done < size && offset < f->object.size) {
		if (offset < f->at || offset >= f->at + (int64_t)f->len)
			r = fill(f, offset);
		if (r < 0)
			break;
		size_t from = (size_t)(offset - f->at), n = f->len - from;
		n = n < size - done ? n : size - done;
		memcpy(ret + done, f->window + from, n);
		done += n;
		offset += (int64_t)n;
	}
	pthread_mutex_unlock(&f->lock);
	return done ? (ssize_t)done : r;
}
