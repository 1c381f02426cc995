/* SPDX-License-Identifier: Apache-2.0 */
/* Listing: examples, and a comparison with a sorted array over random keys. */
#include "unit/blobs/blobs_test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

TEST(keys_come_in_the_byte_order_of_whole_keys)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	static const char *const keys[] = {"a", "a/b", "a-b",	   "a0",  "a/b/c",
					   "A", "b/x", "\xc3\xa9", "a.b", "a!"};
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		store_puts(s, keys[i], keys[i]);
	CLEANUP(free) char *all = store_keys(s, "", NULL, 0, 1000);
	assert_string_equal(all, "A a a! a-b a.b a/b a/b/c a0 b/x \xc3\xa9");
	CLEANUP(free) char *rolled = store_keys(s, "", NULL, "/", 1000);
	assert_string_equal(rolled, "A a a! a-b a.b a/ a0 b/ \xc3\xa9");
	CLEANUP(free) char *inside = store_keys(s, "a/", NULL, "/", 1000);
	assert_string_equal(inside, "a/b a/b/");
	CLEANUP(free) char *partial = store_keys(s, "a/b", NULL, "/", 1000);
	assert_string_equal(partial, "a/b a/b/");
}

TEST(pages_go_on_after_the_last_entry)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	store_puts(s, "a/1", "");
	store_puts(s, "a/2", "");
	store_puts(s, "b", "");
	CLEANUP(free) char *first = store_keys(s, "", NULL, "/", 1);
	assert_string_equal(first, "a/+");
	CLEANUP(free) char *second = store_keys(s, "", "a/", "/", 1);
	assert_string_equal(second, "b");
	CLEANUP(free) char *exact = store_keys(s, "", NULL, 0, 3);
	assert_string_equal(exact, "a/1 a/2 b"); /* full, and nothing follows */
	CLEANUP(free) char *none = store_keys(s, "", NULL, 0, 0);
	assert_string_equal(none, "");
}

TEST(any_byte_may_be_the_delimiter)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	store_puts(s, "a-b", "");
	store_puts(s, "a-c", "");
	store_puts(s, "b/d-e", "");
	CLEANUP(free) char *rolled = store_keys(s, "", NULL, "-", 10);
	assert_string_equal(rolled, "a- b/d-");
	CLEANUP(free) char *below = store_keys(s, "a", NULL, "-", 1);
	assert_string_equal(below, "a-");
}

TEST(odd_prefixes_match_nothing_and_harm_nothing)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	store_puts(s, "a/b", "");
	static const char *const prefixes[] = {"..", "../",   "/",    "a//",  "a/../", "./",
					       "\\", "a/\\/", "a/\\", "a/b/", "z/"};
	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
		CLEANUP(free) char *keys = store_keys(s, prefixes[i], NULL, 0, 10);
		EXPECT_STR(prefixes[i], keys, "");
		CLEANUP(free) char *rolled = store_keys(s, prefixes[i], NULL, "/", 10);
		EXPECT_STR(prefixes[i], rolled, "");
	}
}

#define MODEL_KEYS 300

struct model {
	char *keys[MODEL_KEYS];
	size_t count;
};

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *random_key(void)
{
	static const char letters[] = "ab-0.";
	struct buf b = BUF_INIT;
	size_t segments = 1 + rng_below(&test_rng, 4);
	for (size_t i = 0; i < segments; i++) {
		size_t start = b.len + (i > 0);
		buf_adds(&b, i ? "/" : "");
		for (size_t n = 1 + rng_below(&test_rng, 3); n--;)
			buf_addc(&b, letters[rng_below(&test_rng, 5)]);
		if (strspn(b.data + start, ".") == b.len - start) /* "." and ".." are no segments */
			buf_addc(&b, 'x');
	}
	return buf_steal(&b);
}

static bool model_has(const struct model *m, const char *key)
{
	for (size_t i = 0; i < m->count; i++)
		if (strcmp(m->keys[i], key) == 0)
			return true;
	return false;
}

/* The contract, straight from its words. */
static char *model_keys(const struct model *m, const char *prefix, const char *after, const char *delimiter,
			size_t limit)
{
	struct buf b = BUF_INIT;
	size_t count = 0, prefix_len = strlen(prefix);
	CLEANUP(free) char *last = mem_strdup("");
	for (size_t i = 0; i < m->count; i++) {
		const char *key = m->keys[i];
		if (strncmp(key, prefix, prefix_len) != 0)
			continue;
		const char *cut = delimiter ? strstr(key + prefix_len, delimiter) : NULL;
		CLEANUP(free)
		char *name =
		    cut ? mem_strndup(key, (size_t)(cut - key) + strlen(delimiter)) : mem_strdup(key);
		if ((after && strcmp(name, after) <= 0) || strcmp(name, last) == 0)
			continue;
		free(last);
		last = mem_strdup(name);
		if (count++ == limit) {
			buf_adds(&b, limit ? "+" : "");
			break;
		}
		buf_printf(&b, "%s%s", count > 1 ? " " : "", name);
	}
	return buf_steal(&b);
}

static char *random_part(const struct model *m)
{
	CLEANUP(free)
	char *key =
	    rng_below(&test_rng, 4) ? mem_strdup(m->keys[rng_below(&test_rng, m->count)]) : random_key();
	return mem_strndup(key, rng_below(&test_rng, strlen(key) + 1));
}

TEST(listing_equals_a_sorted_array)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct model m = {0};
	for (int i = 0; i < MODEL_KEYS; i++) {
		char *key = random_key();
		store_puts(s, key, "x");
		if (model_has(&m, key))
			free(key);
		else
			m.keys[m.count++] = key;
	}
	for (int i = 0; i < MODEL_KEYS / 4; i++) {
		size_t gone = rng_below(&test_rng, m.count);
		EXPECT_OK(s->ops->remove(s, ORG, BUCKET, m.keys[gone], &err), &err);
		free(m.keys[gone]);
		m.keys[gone] = m.keys[--m.count];
	}
	qsort(m.keys, m.count, sizeof(*m.keys), compare);
	for (int i = 0; i < 2000; i++) {
		CLEANUP(free) char *prefix = random_part(&m), *after = random_part(&m);
		static const char *const delimiters[] = {NULL, "/", "/a", "aa", "a/b"};
		const char *delimiter = delimiters[rng_below(&test_rng, ARRAY_LEN(delimiters))];
		size_t limit = rng_below(&test_rng, 3) ? 1 + rng_below(&test_rng, 20) : 1000;
		CLEANUP(free) char *actual = store_keys(s, prefix, after, delimiter, limit);
		CLEANUP(free) char *expected = model_keys(&m, prefix, after, delimiter, limit);
		CLEANUP(free)
		char *row = mem_printf("prefix '%s' after '%s' delimiter '%s' limit %zu", prefix, after,
				       delimiter ? delimiter : "", limit);
		EXPECT_STR(row, actual, expected);
	}
	for (size_t i = 0; i < m.count; i++)
		free(m.keys[i]);
}

TEST(a_folder_of_many_objects_is_paged_whole)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	enum { COUNT = 300 };
	for (int i = 0; i < COUNT; i++) {
		char key[32];
		snprintf(key, sizeof(key), "d/%05d", (i * 7919) % COUNT);
		store_puts(s, key, "");
	}
	CLEANUP(free) char *after = NULL;
	int seen = 0;
	for (bool more = true; more;) {
		struct blob_list list = {0};
		EXPECT_OK(s->ops->list(s, ORG, BUCKET, "d/", after, 0, 7, &list, &err), &err);
		for (size_t i = 0; i < list.count; i++, seen++)
			assert_int_equal(atoi(list.entries[i].key + 2), seen);
		free(after);
		after = mem_strdup(list.entries[list.count - 1].key);
		more = list.truncated;
		blob_list_done(&list);
	}
	assert_int_equal(seen, COUNT);
}
