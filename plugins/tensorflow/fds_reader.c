/* SPDX-License-Identifier: Apache-2.0 */
/* Ranged reads with read-ahead. */
#include "fds_file.h"

#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

#define FIRST_BYTES ((size_t)128 << 10) /* fetched when a file is opened: most small files are whole then */
#define LEAST_BYTES ((size_t)64 << 10)	/* fetched at a time when reads jump about */

struct fds_reader {
	struct fds_store *store;
	struct fds_path at;
	size_t ahead_max;
	pthread_mutex_t lock;
	struct fds_object object; /* as the last answer had it */
	bool is_end_told;
	char *window;
	int64_t start; /* offset of the window */
	size_t len, cap;
	int64_t next; /* where the last read ended: a read from there is one in order */
	size_t ahead;
};

/* What an answer says of the object. One that only grew, as a log does, is the same file. */
static int note(struct fds_reader *r, const struct fds_object *o, struct err *err)
{
	if (o->size < 0)
		return 0;
	bool is_other = o->etag[0] && strcmp(o->etag, r->object.etag) != 0;
	if (o->size < r->object.size || (is_other && o->size == r->object.size))
		return err_set(err, ERR_CONFLICT, "'fds://%s/%.300s' was replaced while it was read",
			       r->at.bucket, r->at.key);
	if (o->size > r->object.size)
		r->is_end_told = false;
	r->object.size = o->size;
	if (o->etag[0])
		memcpy(r->object.etag, o->etag, sizeof(o->etag));
	return 0;
}

static int fetch_window(struct fds_reader *r, int64_t offset, size_t len, struct err *err)
{
	struct fds_object o;
	r->len = 0;
	if (len > r->cap) {
		free(r->window);
		r->window = malloc(len);
		r->cap = r->window ? len : 0;
		if (!r->window)
			return err_set(err, ERR_NO_MEMORY, "no memory to read %zu bytes ahead", len);
	}
	ssize_t got = fds_object_read(r->store, &r->at, offset, r->window, len, &o, err);
	int e = got < 0 ? (int)got : note(r, &o, err);
	if (e < 0)
		return e;
	r->start = offset;
	r->len = (size_t)got;
	return 0;
}

int fds_reader_open(struct fds_store *s, const struct fds_path *at, struct fds_reader **ret, struct err *err)
{
	const struct fds_config *config = fds_store_config(s, err);
	if (!config)
		return -err->code;
	struct fds_reader *r = MEM_NEW(struct fds_reader);
	r->store = s;
	r->at = *at;
	r->ahead_max = config->read_ahead_bytes;
	pthread_mutex_init(&r->lock, NULL);
	int e = 0;
	if (r->ahead_max) {
		r->object.size = -1;
		e = fetch_window(r, 0, FIRST_BYTES < r->ahead_max ? FIRST_BYTES : r->ahead_max, err);
	}
	/* No bytes and no size: an empty object, or a store that does not say it. */
	if (e >= 0 && (!r->ahead_max || r->object.size < 0))
		e = fds_object_stat(s, at, &r->object, err);
	if (e < 0) {
		fds_reader_free(r);
		return e;
	}
	*ret = r;
	return 0;
}

void fds_reader_free(struct fds_reader *r)
{
	if (!r)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r->window);
	free(r);
}

static size_t take_from_window(struct fds_reader *r, int64_t offset, char *data, size_t len)
{
	if (offset < r->start || offset >= r->start + (int64_t)r->len)
		return 0;
	size_t at = (size_t)(offset - r->start), n = r->len - at;
	if (n > len)
		n = len;
	memcpy(data, r->window + at, n);
	return n;
}

/* How much to fetch for a read of len bytes that the window does not have. */
static size_t window_size(struct fds_reader *r, bool in_order, size_t len)
{
	if (!in_order)
		r->ahead = LEAST_BYTES;
	else if (r->ahead < r->ahead_max)
		r->ahead = r->ahead ? r->ahead * 2 : FIRST_BYTES * 2;
	if (r->ahead > r->ahead_max)
		r->ahead = r->ahead_max;
	return len > r->ahead ? len : r->ahead;
}

/* What is long goes straight into the caller's memory; others may read meanwhile. */
static ssize_t read_straight(struct fds_reader *r, int64_t offset, char *data, size_t len, struct err *err)
{
	struct fds_object o;
	pthread_mutex_unlock(&r->lock);
	ssize_t got = fds_object_read(r->store, &r->at, offset, data, len, &o, err);
	pthread_mutex_lock(&r->lock);
	int e = got < 0 ? (int)got : note(r, &o, err);
	return e < 0 ? e : got;
}

/* The next bytes of a read; 0 at the end. */
static ssize_t read_some(struct fds_reader *r, int64_t offset, char *data, size_t len, bool in_order,
			 struct err *err)
{
	size_t n = take_from_window(r, offset, data, len);
	if (n)
		return (ssize_t)n;
	if (offset >= r->object.size && !r->is_end_told) {
		r->is_end_told = true;
		return 0;
	}
	if (len >= r->ahead_max)
		return read_straight(r, offset, data, len, err);
	int e = fetch_window(r, offset, window_size(r, in_order, len), err);
	if (e < 0)
		return e;
	return (ssize_t)take_from_window(r, offset, data, len);
}

ssize_t fds_reader_read(struct fds_reader *r, int64_t offset, char *data, size_t len, struct err *err)
{
	size_t done = 0;
	ssize_t n = 1;
	pthread_mutex_lock(&r->lock);
	bool in_order = offset == r->next;
	while (done < len && n > 0) {
		n = read_some(r, offset + (int64_t)done, data + done, len - done, in_order, err);
		if (n > 0)
			done += (size_t)n;
	}
	r->next = offset + (int64_t)done;
	pthread_mutex_unlock(&r->lock);
	return n < 0 ? n : (ssize_t)done;
}
