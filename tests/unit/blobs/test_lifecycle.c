/* SPDX-License-Identifier: Apache-2.0 */
/* Life-cycle rules: read, kept with a bucket, carried out at any time that is asked for. */
#include "unit/blobs/blobs_test.h"

#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "core/lifecycle.h"
#include "main/server_lifecycle.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)

static void set_rules(struct blob_store *s, const char *text)
{
	struct err err = ERR_INIT;
	CLEANUP(json) json_t *list = json_loads(text, 0, NULL);
	CLEANUP(lifecycle) struct lifecycle l = {0};
	CLEANUP(free) char *attributes = NULL;
	EXPECT_OK(lifecycle_parse(list, &l, &err), &err);
	EXPECT_OK(lifecycle_into_bucket("{\"cors\":\"kept\"}", &l, &attributes, &err), &err);
	assert_non_null(strstr(attributes, "kept"));
	EXPECT_OK(s->ops->bucket_set(s, ORG, BUCKET, BLOB_VERSIONING_OFF, attributes, &err), &err);
}

static int64_t time_of(struct blob_store *s, const char *key)
{
	struct err err = ERR_INIT;
	struct blob_info info;
	EXPECT_OK(s->ops->stat(s, ORG, BUCKET, key, NULL, &info, NULL, &err), &err);
	return info.modified_ms;
}

static void expect_keys(struct blob_store *s, const char *expected)
{
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 1000);
	assert_string_equal(keys, expected);
}

TEST(objects_go_when_they_are_older_than_their_rule_says)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	store_puts(s, "logs/a", "1");
	store_puts(s, "other", "1");
	set_rules(s, "[{\"prefix\": \"logs/\", \"expire\": \"30d\"}]");
	int64_t put_ms = time_of(s, "logs/a");
	assert_int_equal(lifecycle_walk(s, ORG, put_ms + 30 * DAY_MS, 0, NULL), 0);
	expect_keys(s, "logs/a other");
	assert_int_equal(lifecycle_walk(s, ORG, put_ms + 30 * DAY_MS + 1, 0, NULL), 1);
	expect_keys(s, "other");
	assert_int_equal(lifecycle_walk(s, "strangers", put_ms + 99 * DAY_MS, 0, NULL), 0);
}

TEST(the_newest_checkpoints_stay_whole)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	static const char *const keys[] = {"c/checkpoint",
					   "c/ckpt-2.data-00000-of-00002",
					   "c/ckpt-2.data-00001-of-00002",
					   "c/ckpt-2.index",
					   "c/ckpt-10.index",
					   "c/ckpt-9.data-00000-of-00001",
					   "c/ckpt-9.index",
					   "d/step_1/w",
					   "d/step_1/x/y",
					   "d/step_2/w",
					   "d/notes/readme"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		store_puts(s, keys[i], "1");
	set_rules(s, "[{\"prefix\": \"c/\", \"keep_last\": 2}, {\"prefix\": \"d/\", \"keep_last\": 1}]");
	/* All have nearly the same time, so that those of the same millisecond are told apart by number: put
	 * the ones that shall stay once more, last. */
	for (int64_t before = time_of(s, "d/step_2/w"); time_of(s, "c/ckpt-9.index") <= before;)
		store_puts(s, "c/ckpt-9.index", "2");
	for (int64_t before = time_of(s, "c/ckpt-9.index"); time_of(s, "c/ckpt-10.index") <= before;)
		store_puts(s, "c/ckpt-10.index", "2");
	assert_int_equal(lifecycle_walk(s, ORG, 0, 0, NULL), 5);
	expect_keys(s,
		    "c/checkpoint c/ckpt-10.index c/ckpt-9.data-00000-of-00001 c/ckpt-9.index d/notes/readme "
		    "d/step_2/w");
	assert_int_equal(lifecycle_walk(s, ORG, 0, 0, NULL), 0);
}

static char *version_keys(struct blob_store *s)
{
	struct err err = ERR_INIT;
	struct blob_list l = {0};
	struct buf b = BUF_INIT;
	EXPECT_OK(s->ops->list_versions(s, ORG, BUCKET, NULL, NULL, NULL, 0, 1000, &l, &err), &err);
	for (size_t i = 0; i < l.count; i++)
		buf_printf(&b, "%s%s%s", i ? " " : "", l.entries[i].key,
			   l.entries[i].info.is_delete_marker ? "!" : "");
	blob_list_done(&l);
	return b.len ? buf_steal(&b) : mem_strdup("");
}

TEST(older_versions_go_so_long_after_they_were_replaced)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct err err = ERR_INIT;
	set_rules(s, "[{\"prefix\": \"v/\", \"noncurrent\": \"7d\"}]");
	struct blob_bucket bucket = {0};
	EXPECT_OK(s->ops->bucket_stat(s, ORG, BUCKET, &bucket, &err), &err);
	free(bucket.attributes);
	EXPECT_OK(s->ops->bucket_set(s, ORG, BUCKET, BLOB_VERSIONING_ON, NULL, &err), &err);
	for (int i = 0; i < 3; i++) {
		store_puts(s, "v/a", "1");
		store_puts(s, "w", "1");
	}
	store_puts(s, "v/gone", "1");
	int64_t replaced_ms = time_of(s, "v/gone"); /* not before the last of v/a came */
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "v/gone", &err), &err);
	assert_int_equal(lifecycle_walk(s, ORG, replaced_ms, 0, NULL), 0);
	CLEANUP(free) char *all = version_keys(s);
	assert_string_equal(all, "v/a v/a v/a v/gone! v/gone w w w");
	assert_int_equal(lifecycle_walk(s, ORG, replaced_ms + 8 * DAY_MS, 0, NULL), 3);
	CLEANUP(free) char *left = version_keys(s);
	assert_string_equal(left, "v/a v/gone! w w w");
}

TEST(uploads_that_nobody_ends_are_forgotten)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct err err = ERR_INIT;
	struct blob_put_options o = {.expected_size = -1};
	char in[BLOB_UPLOAD_ID_MAX + 1], out[BLOB_UPLOAD_ID_MAX + 1], *attributes = NULL;
	EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, "u/a", &o, in, &err), &err);
	EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, "w", &o, out, &err), &err);
	set_rules(s, "[{\"prefix\": \"u/\", \"abort_uploads\": \"1d\"}]");
	store_puts(s, "probe", "1");
	int64_t begun_ms = time_of(s, "probe"); /* not before the uploads began */
	assert_int_equal(lifecycle_walk(s, ORG, begun_ms, 0, NULL), 0);
	assert_int_equal(lifecycle_walk(s, ORG, begun_ms + 2 * DAY_MS, 0, NULL), 1);
	EXPECT_ERR(s->ops->upload_stat(s, ORG, BUCKET, "u/a", in, &attributes, &err), ERR_NOT_FOUND, &err,
		   "no upload");
	err = (struct err)ERR_INIT;
	EXPECT_OK(s->ops->upload_stat(s, ORG, BUCKET, "w", out, &attributes, &err), &err);
	assert_null(attributes);
}

static bool has_upload(struct blob_store *s, const char *key, const char *id)
{
	struct err err = ERR_INIT;
	char *attributes = NULL;
	int r = s->ops->upload_stat(s, ORG, BUCKET, key, id, &attributes, &err);
	free(attributes);
	assert_true(r == 0 || r == -ERR_NOT_FOUND);
	return r == 0;
}

static int64_t put_part(struct blob_store *s, const char *key, const char *id, int number)
{
	struct err err = ERR_INIT;
	struct blob_put_options o = {.expected_size = -1};
	struct blob_put *put = NULL;
	struct blob_info info;
	EXPECT_OK(s->ops->part_begin(s, ORG, BUCKET, key, id, number, &o, &put, &err), &err);
	EXPECT_OK(s->ops->put_write(put, "12345", 5, &err), &err);
	EXPECT_OK(s->ops->put_commit(put, &info, &err), &err);
	return info.modified_ms;
}

TEST(abandoned_uploads_go_without_a_rule_and_rules_go_first)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct err err = ERR_INIT;
	struct blob_put_options o = {.expected_size = -1};
	char ruled[BLOB_UPLOAD_ID_MAX + 1], left[BLOB_UPLOAD_ID_MAX + 1];
	EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, "u/a", &o, ruled, &err), &err);
	EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, "w", &o, left, &err), &err);
	int64_t last_ms = put_part(s, "w", left, 1); /* not before the uploads began */
	store_puts(s, "object", "1");
	set_rules(s,
		  "[{\"prefix\": \"u/\", \"abort_uploads\": \"30d\"}, {\"prefix\": \"\", \"keep_last\": 1}]");
	assert_int_equal(lifecycle_walk(s, ORG, last_ms + 99 * DAY_MS, 0, NULL),
			 1); /* 0 = only by the rule */
	assert_false(has_upload(s, "u/a", ruled));
	assert_true(has_upload(s, "w", left));
	EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, "u/b", &o, ruled, &err), &err);
	assert_int_equal(lifecycle_walk(s, ORG, last_ms + 7 * DAY_MS, 7 * DAY_MS, NULL), 0);
	assert_int_equal(lifecycle_walk(s, ORG, last_ms + 7 * DAY_MS + 1, 7 * DAY_MS, NULL), 1);
	assert_false(has_upload(s, "w", left));
	assert_true(has_upload(s, "u/b", ruled));
	expect_keys(s, "object");
}

TEST(an_upload_that_parts_still_come_for_is_not_abandoned)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct err err = ERR_INIT;
	struct blob_put_options o = {.expected_size = -1};
	char id[BLOB_UPLOAD_ID_MAX + 1];
	EXPECT_OK(s->ops->upload_begin(s, ORG, BUCKET, "w", &o, id, &err), &err);
	int64_t first_ms = put_part(s, "w", id, 1), last_ms = first_ms;
	while (last_ms <= first_ms)
		last_ms = put_part(s, "w", id, 2);
	assert_int_equal(lifecycle_walk(s, ORG, last_ms + DAY_MS, DAY_MS, NULL), 0);
	assert_int_equal(lifecycle_walk(s, ORG, last_ms + DAY_MS + 1, DAY_MS, NULL), 1);
	assert_false(has_upload(s, "w", id));
}

TEST(a_walk_that_is_told_to_stop_removes_nothing_more)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	atomic_bool stop = true;
	store_puts(s, "a", "1");
	set_rules(s, "[{\"expire\": \"1m\"}]");
	assert_int_equal(lifecycle_walk(s, ORG, time_of(s, "a") + DAY_MS, 0, &stop), 0);
	expect_keys(s, "a");
}

TEST(names_of_checkpoints_are_found)
{
	static const struct {
		const char *below, *name;
	} rows[] = {{"ckpt-100.index", "ckpt-100"},
		    {"ckpt-100.data-00000-of-00001", "ckpt-100"},
		    {"model.ckpt-7.meta", "model.ckpt-7"},
		    {"weights.0001.h5", "weights.0001"},
		    {"epoch_3", "epoch_3"},
		    {"100/w", "100"},
		    {"epoch=2-step=40/w", "epoch=2-step=40"},
		    {"step_7/8/w", "step_7"},
		    {"checkpoint", ""},
		    {"resnet50.h5", ""},
		    {"run-2b/w", ""},
		    {"notes/ckpt-1", ""},
		    {"", ""}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(free) char *name = mem_strndup(rows[i].below, lifecycle_checkpoint(rows[i].below));
		assert_string_equal(name, rows[i].name);
	}
}

TEST(bad_rules_are_refused_with_the_reason)
{
	static const struct {
		const char *text, *part;
	} rows[] = {{"{}", "list"},
		    {"[1]", "a life-cycle rule is"},
		    {"[{\"prefix\": \"a\"}]", "removes nothing"},
		    {"[{\"expire\": \"1s\"}]", "between a minute"},
		    {"[{\"keep_last\": 0}]", "keep_last"},
		    {"[{\"keep\": 3, \"expire\": \"1d\"}]", "unknown field"},
		    {"[{\"keep_last\": 1}, {\"expire\": \"1d\"}]", "two rules for ''"}};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct err err = ERR_INIT;
		struct lifecycle l = {0};
		CLEANUP(json) json_t *j = json_loads(rows[i].text, 0, NULL);
		EXPECT_ERR(lifecycle_parse(j, &l, &err), ERR_INVALID, &err, rows[i].part);
		assert_null(l.rules);
	}
}
