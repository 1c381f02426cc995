/* SPDX-License-Identifier: Apache-2.0 */
/* Segments: the files of the log. */
#include "blobs/blobs_int.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

#define GROW_BYTES (1 << 20) /* given to the file ahead of the writing, so that a sync changes no size */
#define WINDOW_BYTES (4 << 20)
#define RECORD_MAX                                                                                           \
	(RECORD_HEADER_BYTES + BLOB_KEY_MAX + BLOB_UPLOAD_ID_MAX + RECORD_BODY_MAX + RECORD_DATA_MAX +       \
	 RECORD_ALIGN)

static void name_format(uint32_t id, char ret[16])
{
	snprintf(ret, 16, "%08x", id);
}

static int compare_ids(const void *a, const void *b)
{
	uint32_t x = (*(struct segment *const *)a)->id, y = (*(struct segment *const *)b)->id;
	return x < y ? -1 : x > y;
}

static int open_one(struct blobs *b, uint32_t id, struct err *err)
{
	char name[16];
	name_format(id, name);
	CLEANUP(fd) int fd = path_open(b->segments_fd, name, O_RDWR, 0, err);
	struct stat st;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys(err, errno, "cannot look at segment %s", name);
	struct segment *s = MEM_NEW(struct segment);
	*s = (struct segment){.id = id, .fd = fd, .end = (uint64_t)st.st_size};
	atomic_init(&s->refs, 1);
	fd = -1;
	b->segments = mem_realloc(b->segments, (b->segment_count + 1) * sizeof(*b->segments));
	b->segments[b->segment_count++] = s;
	return 0;
}

int segments_open(struct blobs *b, struct err *err)
{
	int fd = path_open(b->segments_fd, ".", O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return fd;
	CLEANUP(dir) DIR *d = fdopendir(fd);
	if (!d) {
		close(fd);
		return err_sys(err, errno, "cannot read the folder of segments");
	}
	for (struct dirent *e; (e = readdir(d));) {
		if (strlen(e->d_name) != 8 || strspn(e->d_name, "0123456789abcdef") != 8)
			continue;
		int r = open_one(b, (uint32_t)strtoul(e->d_name, NULL, 16), err);
		if (r < 0)
			return r;
	}
	if (b->segment_count)
		qsort(b->segments, b->segment_count, sizeof(*b->segments), compare_ids);
	return 0;
}

void segments_close(struct blobs *b)
{
	for (size_t i = 0; i < b->segment_count; i++)
		segment_unref(b->segments[i]);
	free(b->segments);
	b->segments = NULL;
	b->segment_count = 0;
}

struct segment *segment_last(struct blobs *b)
{
	return b->segment_count ? b->segments[b->segment_count - 1] : NULL;
}

int segment_add(struct blobs *b, struct err *err)
{
	struct segment *last = segment_last(b);
	uint32_t id = last ? last->id + 1 : 1;
	char name[16];
	name_format(id, name);
	int r = fd_write_file(b->segments_fd, name, SEGMENT_HEADER, SEGMENT_HEADER_BYTES, 0600, err);
	if (r < 0)
		return r;
	pthread_rwlock_wrlock(&b->names);
	r = open_one(b, id, err);
	pthread_rwlock_unlock(&b->names);
	return r;
}

struct segment *segment_ref(struct blobs *b, uint32_t id)
{
	struct segment *found = NULL;
	pthread_rwlock_rdlock(&b->names);
	for (size_t low = 0, high = b->segment_count; low < high && !found;) {
		size_t middle = (low + high) / 2;
		if (b->segments[middle]->id == id)
			found = b->segments[middle];
		else if (b->segments[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	if (found)
		atomic_fetch_add(&found->refs, 1);
	pthread_rwlock_unlock(&b->names);
	return found;
}

void segment_unref(struct segment *s)
{
	if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
		return;
	close(s->fd);
	free(s);
}

int segment_write(struct segment *s, const struct buf *bytes, struct err *err)
{
	uint64_t at = s->end, end = s->end + bytes->len;
	/* Room ahead is a help only: file systems without it work, and a full disk shows in the write. */
	if (at / GROW_BYTES != end / GROW_BYTES || at == SEGMENT_HEADER_BYTES)
		(void)!fallocate(s->fd, 0, (off_t)at, (off_t)(end - at) + GROW_BYTES);
	for (size_t done = 0; done < bytes->len;) {
		ssize_t n = pwrite(s->fd, bytes->data + done, bytes->len - done, (off_t)(at + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(err, errno, "cannot write the log of objects");
		done += (size_t)n;
	}
	return 0;
}

int segment_truncate(struct segment *s, uint64_t end, struct err *err)
{
	if (ftruncate(s->fd, (off_t)end) < 0)
		return err_sys(err, errno, "cannot shorten segment %08x", s->id);
	return fd_sync(s->fd, err);
}

int segment_seal(struct segment *s, struct err *err)
{
	return segment_truncate(s, s->end, err);
}

int segment_remove(struct blobs *b, uint32_t id, struct err *err)
{
	char name[16];
	struct segment *gone = NULL;
	name_format(id, name);
	pthread_rwlock_wrlock(&b->names);
	for (size_t i = 0; i + 1 < b->segment_count && !gone; i++)
		if (b->segments[i]->id == id) {
			gone = b->segments[i];
			memmove(&b->segments[i], &b->segments[i + 1],
				(b->segment_count - i - 1) * sizeof(*b->segments));
			b->segment_count--;
		}
	pthread_rwlock_unlock(&b->names);
	segment_unref(gone);
	if (unlinkat(b->segments_fd, name, 0) < 0 && errno != ENOENT)
		return err_sys(err, errno, "cannot remove segment %s", name);
	return fd_sync(b->segments_fd, err);
}

void scan_begin(struct segment_scan *s, struct segment *segment, uint64_t offset)
{
	*s = (struct segment_scan){.segment = segment, .offset = offset, .next = offset, .window_at = offset};
}

void scan_end(struct segment_scan *s)
{
	buf_done(&s->window);
}

/* Makes at least 'len' bytes from s->next on visible, fewer at the end of the file. */
static int scan_fill(struct segment_scan *s, size_t len, const char **ret, size_t *ret_len, struct err *err)
{
	size_t passed = (size_t)(s->next - s->window_at);
	if (passed <= s->window.len && s->window.len - passed < len && !s->at_end) {
		buf_consume(&s->window, passed);
		s->window_at = s->next;
		passed = 0;
		buf_reserve(&s->window, WINDOW_BYTES);
		while (s->window.len < len && !s->at_end) {
			ssize_t n =
			    pread(s->segment->fd, s->window.data + s->window.len,
				  WINDOW_BYTES - s->window.len, (off_t)(s->window_at + s->window.len));
			if (n < 0 && errno != EINTR)
				return err_sys(err, errno, "cannot read segment %08x", s->segment->id);
			s->at_end = n == 0;
			s->window.len += n > 0 ? (size_t)n : 0;
		}
	}
	if (passed > s->window.len)
		passed = s->window.len; /* the last record's padding was never written */
	*ret = s->window.data + passed;
	*ret_len = s->window.len - passed;
	return 0;
}

int scan_next(struct segment_scan *s, struct record *ret, struct place *ret_place, struct err *err)
{
	const char *bytes;
	size_t len, size;
	int r = scan_fill(s, RECORD_MAX, &bytes, &len, err);
	if (r < 0)
		return r;
	enum record_result result = record_parse(bytes, len, true, ret, &size);
	if (result != RECORD_OK)
		return (int)result;
	s->offset = s->next;
	s->next += size;
	*ret_place = (struct place){.segment = s->segment->id,
				    .offset = s->offset,
				    .data = s->offset + (uint64_t)(ret->data.data - bytes),
				    .size = size};
	return RECORD_OK;
}

int scan_skip(struct segment_scan *s, struct err *err)
{
	for (;;) {
		const char *bytes;
		size_t len, size;
		struct record ignored;
		s->next += RECORD_ALIGN;
		int r = scan_fill(s, RECORD_MAX, &bytes, &len, err);
		if (r < 0)
			return r;
		if (len < RECORD_HEADER_BYTES)
			return 0;
		if (record_parse(bytes, len, true, &ignored, &size) == RECORD_OK)
			return 1;
	}
}
