/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of this room's tests. */
#include "unit/blobs/blobs_test.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>
#include "base/digest.h"
#include "base/fd.h"

struct blob_store *store_open(const char *dir)
{
	struct err err = ERR_INIT;
	struct blob_store *s = NULL;
	EXPECT_OK(blobs_open(dir, &s, &err), &err);
	EXPECT_OK(s->ops->bucket_create(s, ORG, BUCKET, &err), &err);
	return s;
}

void store_close(struct blob_store *s)
{
	if (s)
		s->ops->close(s);
}

int store_put(struct blob_store *s, const char *key, const void *data, size_t len, struct err *err)
{
	struct blob_put_options o = {.expected_size = (int64_t)len};
	return blob_put(s, ORG, BUCKET, key, &o, data, len, NULL, err);
}

void store_puts(struct blob_store *s, const char *key, const char *text)
{
	struct err err = ERR_INIT;
	EXPECT_OK(store_put(s, key, text, strlen(text), &err), &err);
}

int store_get(struct blob_store *s, const char *key, struct buf *ret, struct err *err)
{
	struct blob_get *g = NULL;
	struct blob_info info;
	int r = s->ops->get_open(s, ORG, BUCKET, key, NULL, &g, &info, err);
	if (r < 0)
		return r;
	char chunk[4096], hex[DIGEST_HEX_LEN + 1];
	ssize_t n = 1;
	for (int64_t offset = 0; n > 0; offset += n) {
		n = s->ops->get_read(g, offset, chunk, sizeof(chunk), err);
		if (n > 0)
			buf_add(ret, chunk, (size_t)n);
	}
	s->ops->get_close(g);
	if (n < 0)
		return (int)n;
	assert_int_equal(ret->len, info.size_bytes);
	digest_of(ret->len ? ret->data : "", ret->len, hex);
	assert_string_equal(hex, info.etag);
	return 0;
}

char *store_keys(struct blob_store *s, const char *prefix, const char *after, const char *delimiter,
		 size_t limit)
{
	struct err err = ERR_INIT;
	struct blob_list list = {0};
	struct buf b = BUF_INIT;
	EXPECT_OK(s->ops->list(s, ORG, BUCKET, prefix, after, delimiter, limit, &list, &err), &err);
	for (size_t i = 0; i < list.count; i++)
		buf_printf(&b, "%s%s", i ? " " : "", list.entries[i].key);
	if (list.truncated)
		buf_adds(&b, "+");
	blob_list_done(&list);
	return buf_steal(&b);
}

static size_t count_folder(const char *path)
{
	CLEANUP(dir) DIR *d = opendir(path);
	assert_non_null(d);
	size_t count = 0;
	while (readdir(d))
		count++;
	return count - 2;
}

size_t count_files(const char *dir)
{
	size_t count = 0;
	for (int i = 0; i < 256; i++) {
		CLEANUP(free) char *path = mem_printf("%s/objects/files/%02x", dir, i);
		count += count_folder(path);
	}
	return count;
}

void store_damage(const char *dir, const char *file, off_t at)
{
	CLEANUP(free) char *path = mem_printf("%s/objects/%s", dir, file);
	CLEANUP(fd) int fd = open(path, O_RDWR);
	unsigned char c;
	assert_int_equal(pread(fd, &c, 1, at), 1);
	c ^= 0x40;
	assert_int_equal(pwrite(fd, &c, 1, at), 1);
}

off_t find_bytes(const char *dir, const char *file, const char *text)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	CLEANUP(free) char *path = mem_printf("%s/objects/%s", dir, file);
	EXPECT_OK(fd_read_file(AT_FDCWD, path, 64 << 20, &b, &err), &err);
	char *found = memmem(b.data, b.len, text, strlen(text));
	assert_non_null(found);
	return found - b.data;
}
