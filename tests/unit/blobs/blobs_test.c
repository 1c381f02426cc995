/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of this room's tests. */
#include "unit/blobs/blobs_test.h"

#include <dirent.h>
#include "base/digest.h"

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
	struct blob_put *p = NULL;
	int r = s->ops->put_begin(s, ORG, BUCKET, key, NULL, (int64_t)len, NULL, &p, err);
	if (r < 0)
		return r;
	r = s->ops->put_write(p, data, len, err);
	if (r < 0) {
		s->ops->put_abort(p);
		return r;
	}
	return s->ops->put_commit(p, NULL, err);
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
	int r = s->ops->get_open(s, ORG, BUCKET, key, &g, &info, err);
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

char *store_keys(struct blob_store *s, const char *prefix, const char *after, char delimiter, size_t limit)
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

size_t count_entries(const char *dir, const char *below)
{
	CLEANUP(free) char *path = mem_printf("%s/%s", dir, below);
	CLEANUP(dir) DIR *d = opendir(path);
	assert_non_null(d);
	size_t count = 0;
	while (readdir(d))
		count++;
	return count - 2;
}
