/* SPDX-License-Identifier: Apache-2.0 */
/* Objects that were read lately are read again without waiting, and never older than they are. */
#include "unit/blobs/blobs_test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WRITES 300

/* The content read at once; NULL when that is not possible. Owned. */
static char *at_once(struct blob_store *s, const char *org, const char *key)
{
	struct blob_get *g = NULL;
	struct blob_info info;
	struct err err = ERR_INIT;
	if (s->ops->get_open_at_once(s, org, BUCKET, key, &g, &info) <= 0)
		return NULL;
	char *text = mem_alloc((size_t)info.size_bytes + 1);
	ssize_t n = s->ops->get_read(g, 0, text, (size_t)info.size_bytes, &err);
	s->ops->get_close(g);
	assert_int_equal(n, info.size_bytes);
	return text;
}

static void read_once(struct blob_store *s, const char *key)
{
	CLEANUP(buf) struct buf b = BUF_INIT;
	struct err err = ERR_INIT;
	EXPECT_OK(store_get(s, key, &b, &err), &err);
}

/* The page cache may refuse now and then: it is asked again. */
static char *at_once_again(struct blob_store *s, const char *key)
{
	char *text = NULL;
	for (int i = 0; i < 1000 && !text; i++) {
		read_once(s, key);
		text = at_once(s, ORG, key);
	}
	return text;
}

/* Whether the page cache of this file system answers without waiting is not ours to promise. */
static bool is_possible(struct blob_store *s)
{
	store_puts(s, "probe", "p");
	CLEANUP(free) char *text = at_once_again(s, "probe");
	return text != NULL;
}

TEST(what_was_read_is_read_again_at_once_by_its_owner_only)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	if (!is_possible(s))
		return;
	store_puts(s, "k", "first");
	CLEANUP(free) char *before = at_once(s, ORG, "k");
	assert_null(before);
	CLEANUP(free) char *text = at_once_again(s, "k");
	assert_string_equal(text, "first");
	CLEANUP(free) char *other = at_once(s, "other", "k");
	assert_null(other);
}

TEST(every_change_of_an_object_is_seen_at_once)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	struct err err = ERR_INIT;
	if (!is_possible(s))
		return;
	store_puts(s, "k", "first");
	read_once(s, "k");
	store_puts(s, "k", "second");
	CLEANUP(free) char *replaced = at_once(s, ORG, "k");
	assert_null(replaced);
	read_once(s, "k");
	EXPECT_OK(s->ops->set_attributes(s, ORG, BUCKET, "k", NULL, "{\"x\":1}", &err), &err);
	struct blob_get *g = NULL;
	struct blob_info info;
	for (int i = 0, got = 0; i < 1000 && !got; i++) {
		read_once(s, "k");
		got = s->ops->get_open_at_once(s, ORG, BUCKET, "k", &g, &info);
	}
	assert_non_null(g);
	assert_string_equal(s->ops->get_attributes(g), "{\"x\":1}");
	s->ops->get_close(g);
	EXPECT_OK(s->ops->remove(s, ORG, BUCKET, "k", &err), &err);
	CLEANUP(free) char *removed = at_once(s, ORG, "k");
	assert_null(removed);
}

TEST(damage_is_never_read_at_once)
{
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	if (!is_possible(s))
		return;
	store_puts(s, "k", "content that will be damaged");
	read_once(s, "k");
	const char *segment = "segments/00000001";
	store_damage(dir, segment, find_bytes(dir, segment, "content that will be damaged"));
	CLEANUP(free) char *text = at_once(s, ORG, "k");
	assert_null(text);
	struct err err = ERR_INIT;
	CLEANUP(buf) struct buf b = BUF_INIT;
	EXPECT_ERR(store_get(s, "k", &b, &err), ERR_CORRUPT, &err, "is damaged");
}

struct reader {
	struct blob_store *store;
	atomic_int newest; /* the last number that was acknowledged */
	atomic_bool stop;
	int stale, seen;
};

/* Fills what is remembered, as fast as it can. */
static void *read_slowly(void *arg)
{
	struct reader *r = arg;
	while (!atomic_load(&r->stop)) {
		struct blob_get *g = NULL;
		struct blob_info info;
		struct err err = ERR_INIT;
		if (r->store->ops->get_open(r->store, ORG, BUCKET, "n", NULL, &g, &info, &err) == 0)
			r->store->ops->get_close(g);
	}
	return NULL;
}

static void *read_at_once(void *arg)
{
	struct reader *r = arg;
	int most = 0;
	while (!atomic_load(&r->stop)) {
		int before = atomic_load(&r->newest);
		CLEANUP(free) char *text = at_once(r->store, ORG, "n");
		if (!text)
			continue;
		int got = atoi(text);
		r->seen++;
		r->stale += got < before || got < most;
		most = got > most ? got : most;
	}
	return NULL;
}

TEST(nobody_reads_an_older_object_than_was_acknowledged_or_seen)
{
	CLEANUP(store) struct blob_store *s = store_open(test_dir());
	if (!is_possible(s))
		return;
	struct reader r = {.store = s};
	pthread_t threads[2];
	store_puts(s, "n", "0");
	assert_int_equal(pthread_create(&threads[0], NULL, read_slowly, &r), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, read_at_once, &r), 0);
	for (int i = 1; i <= WRITES; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%d", i);
		store_puts(s, "n", text);
		atomic_store(&r.newest, i);
	}
	atomic_store(&r.stop, true);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	assert_int_equal(r.stale, 0);
}
