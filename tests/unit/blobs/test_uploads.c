/* SPDX-License-Identifier: Apache-2.0 */
/* Multipart uploads. */
#include "unit/blobs/blobs_test.h"

#include <stdlib.h>

#define PART (5 << 20)

static char part_bytes[PART];

static struct blob_part put_part(struct blob_store *s, const char *id, int number, char fill, size_t len)
{
	struct err err = ERR_INIT;
	struct blob_put *p = NULL;
	struct blob_info info;
	struct blob_put_options o = {.expected_size = (int64_t)len, .etag = BLOB_HASH_MD5};
	memset(part_bytes, fill, len);
	EXPECT_OK(s->ops->part_begin(s, ORG, BUCKET, "k", id, number, &o, &p, &err), &err);
	if (len)
		EXPECT_OK(s->ops->put_write(p, part_bytes, len, &err), &err);
	s->ops->put_attributes(p, "crc32=AAAA");
	EXPECT_OK(s->ops->put_commit(p, &info, &err), &err);
	struct blob_part part = {.number = number};
	memcpy(part.etag, info.etag, sizeof(part.etag));
	return part;
}

static void begin(struct blob_store *s, char id[BLOB_UPLOAD_ID_MAX + 1])
{
	struct err err = ERR_INIT;
	struct blob_put_options o = {.expected_size = -1, .content_type = "a/b", .attributes = "{\"u\":1}"};
	EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, "k", &o, id, &err), &err);
}

TEST(parts_become_one_object)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	char id[BLOB_UPLOAD_ID_MAX + 1];
	begin(s, id);
	put_part(s, id, 2, 'x', 10); /* replaced */
	struct blob_part parts[3] = {put_part(s, id, 1, 'a', PART), put_part(s, id, 2, 'b', PART),
				     put_part(s, id, 9, 'c', 3)};
	put_part(s, id, 5, 'd', 4); /* not taken */
	struct blob_parts listed = {0};
	EXPECT_OK(s->ops->part_list(s, ORG, BUCKET, "k", id, 1, 2, &listed, &err), &err);
	assert_int_equal(listed.count, 2);
	assert_true(listed.truncated);
	assert_int_equal(listed.items[1].number, 5);
	assert_string_equal(listed.items[1].checksum, "crc32=AAAA");
	free(listed.items);
	store_close(s);
	s = store_open(dir);
	struct blob_info info;
	EXPECT_OK(s->ops->upload_complete(s, ORG, BUCKET, "k", id, parts, 3, &OPTIONS(.expected_size = -1),
					  &info, &err),
		  &err);
	assert_int_equal(info.size_bytes, 2 * PART + 3);
	assert_string_equal(info.etag + 32, "-3");
	assert_string_equal(info.content_type, "a/b");
	assert_int_equal(count_files(dir), 3);
	struct blob_get *g = NULL;
	char text[8];
	int64_t at, size;
	EXPECT_OK(s->ops->get_open(s, ORG, BUCKET, "k", NULL, &g, &info, &err), &err);
	assert_string_equal(s->ops->get_attributes(g), "{\"u\":1}");
	assert_int_equal(s->ops->get_read(g, PART - 2, text, 4, &err), 4);
	assert_memory_equal(text, "aabb", 4);
	assert_int_equal(s->ops->get_read(g, 2 * PART - 1, text, 8, &err), 4);
	assert_memory_equal(text, "bccc", 4);
	EXPECT_OK(s->ops->get_part(g, 3, &at, &size, &err), &err);
	assert_int_equal(at, 2 * PART);
	assert_int_equal(size, 3);
	s->ops->get_close(g);
	EXPECT_ERR(s->ops->upload_abort(s, ORG, BUCKET, "k", id, &err), ERR_NOT_FOUND, &err, "no upload");
	int64_t bytes, objects;
	EXPECT_OK(s->ops->usage(s, ORG, &bytes, &objects, &err), &err);
	assert_int_equal(bytes, 2 * PART + 3);
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "k", &err), &err);
	assert_int_equal(count_files(dir), 0);
}

TEST(what_is_wrong_with_the_parts_is_said)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	char id[BLOB_UPLOAD_ID_MAX + 1];
	begin(s, id);
	struct blob_part one = put_part(s, id, 1, 'a', 5), two = put_part(s, id, 2, 'b', 0);
	struct blob_put_options o = {.expected_size = -1};
	struct blob_part turned[] = {two, one}, small[] = {one, two}, missing[] = {{.number = 7}};
	EXPECT_ERR(s->ops->upload_complete(s, ORG, BUCKET, "k", id, turned, 2, &o, NULL, &err), ERR_INVALID,
		   &err, "1 follows 2");
	EXPECT_ERR(s->ops->upload_complete(s, ORG, BUCKET, "k", id, small, 2, &o, NULL, &err), ERR_TOO_LARGE,
		   &err, "smaller than 5 MiB");
	EXPECT_ERR(s->ops->upload_complete(s, ORG, BUCKET, "k", id, missing, 1, &o, NULL, &err), ERR_INVALID,
		   &err, "not uploaded");
	memset(one.etag, '0', 32);
	EXPECT_ERR(s->ops->upload_complete(s, ORG, BUCKET, "k", id, &one, 1, &o, NULL, &err), ERR_INVALID,
		   &err, "another ETag");
	EXPECT_ERR(s->ops->upload_complete(s, ORG, BUCKET, "k", "nobody", &one, 1, &o, NULL, &err),
		   ERR_NOT_FOUND, &err, "no upload");
	struct blob_put *p = NULL;
	EXPECT_ERR(s->ops->part_begin(s, ORG, BUCKET, "k", id, 0, &o, &p, &err), ERR_INVALID, &err,
		   "part number");
}

TEST(an_aborted_upload_of_parts_leaves_nothing)
{
	struct err err = ERR_INIT;
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	char id[BLOB_UPLOAD_ID_MAX + 1], other[BLOB_UPLOAD_ID_MAX + 1];
	begin(s, id);
	begin(s, other);
	put_part(s, id, 1, 'a', 5);
	struct blob_list l = {0};
	EXPECT_OK(s->ops->upload_list(s, ORG, BUCKET, "", NULL, NULL, 1, &l, &err), &err);
	assert_int_equal(l.count, 1);
	assert_true(l.truncated);
	CLEANUP(free) char *first = mem_strdup(l.entries[0].upload_id);
	blob_list_done(&l);
	EXPECT_OK(s->ops->upload_list(s, ORG, BUCKET, "", "k", first, 5, &l, &err), &err);
	assert_int_equal(l.count, 1);
	assert_string_not_equal(l.entries[0].upload_id, first);
	blob_list_done(&l);
	EXPECT_ERR(s->ops->bucket_delete(s, ORG, BUCKET, &err), ERR_STATE, &err, "not empty");
	EXPECT_OK(s->ops->upload_abort(s, ORG, BUCKET, "k", id, &err), &err);
	EXPECT_OK(s->ops->upload_abort(s, ORG, BUCKET, "k", other, &err), &err);
	assert_int_equal(count_files(dir), 0);
	EXPECT_OK(s->ops->bucket_delete(s, ORG, BUCKET, &err), &err);
}
