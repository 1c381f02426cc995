/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads at once, and a process that is killed in the middle of its uploads. */
#include "unit/blobs/blobs_test.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/digest.h"

#define WRITERS 4
#define ROUNDS 40

struct worker {
	struct blob_store *store;
	int number;
	int failures; /* cmocka's asserts must stay on the main thread */
	char last_error[480];
};

static void note_failure(struct worker *w, const struct err *err)
{
	w->failures++;
	snprintf(w->last_error, sizeof(w->last_error), "%s", err->msg);
}

/* Content of one writer: 'number' repeated; a mixture of two writers shows. */
static void *write_one_key(void *arg)
{
	struct worker *w = arg;
	char content[20000];
	memset(content, 'a' + w->number, sizeof(content));
	for (int i = 0; i < ROUNDS; i++) {
		struct err err = ERR_INIT;
		if (store_put(w->store, "one", content, (size_t)(1000 + 997 * w->number), &err) < 0)
			note_failure(w, &err);
	}
	return NULL;
}

static void *read_one_key(void *arg)
{
	struct worker *w = arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct err err = ERR_INIT;
		struct blob_get *g = NULL;
		struct blob_info info;
		char content[20000];
		int r = w->store->ops->get_open(w->store, ORG, BUCKET, "one", NULL, &g, &info, &err);
		if (r < 0) {
			note_failure(w, &err);
			continue;
		}
		ssize_t n = w->store->ops->get_read(g, 0, content, sizeof(content), &err);
		w->store->ops->get_close(g);
		if (n != info.size_bytes || n != 1000 + 997 * (content[0] - 'a') ||
		    memcmp(content, content + 1, (size_t)n - 1) != 0)
			note_failure(w, &(struct err){.msg = "mixed content"});
	}
	return NULL;
}

/* Puts and removes in one folder, so that it vanishes under the neighbours' hands. */
static void *put_and_remove(void *arg)
{
	struct worker *w = arg;
	char key[32];
	snprintf(key, sizeof(key), "x/y/z/%d", w->number);
	for (int i = 0; i < ROUNDS; i++) {
		struct err err = ERR_INIT;
		struct blob_info info;
		if (store_put(w->store, key, "v", 1, &err) < 0 ||
		    w->store->ops->stat(w->store, ORG, BUCKET, key, NULL, &info, NULL, &err) < 0 ||
		    w->store->ops->remove(w->store, ORG, BUCKET, key, &err) < 0)
			note_failure(w, &err);
	}
	return NULL;
}

static void run_workers(struct blob_store *s, void *(*const *fns)(void *), size_t count)
{
	pthread_t threads[2 * WRITERS];
	struct worker workers[2 * WRITERS];
	memset(workers, 0, sizeof(workers));
	for (size_t i = 0; i < count; i++) {
		workers[i].store = s;
		workers[i].number = (int)i;
		assert_int_equal(pthread_create(&threads[i], NULL, fns[i], &workers[i]), 0);
	}
	for (size_t i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < count; i++)
		EXPECT_STR("worker", workers[i].last_error, "");
}

TEST(one_key_written_by_many_is_always_whole)
{
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	char first[1000];
	memset(first, 'a', sizeof(first));
	struct err err = ERR_INIT;
	EXPECT_OK(store_put(s, "one", first, sizeof(first), &err), &err);
	void *(*fns[2 * WRITERS])(void *);
	for (int i = 0; i < 2 * WRITERS; i++)
		fns[i] = i < WRITERS ? write_one_key : read_one_key;
	run_workers(s, fns, 2 * WRITERS);
	assert_int_equal(count_files(dir), 0);
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
	assert_string_equal(keys, "one");
}

/* Blocks are hashed beside: what many upload at once, in odd pieces, some of it given up, has the right
 * hashes.
 */
static void *put_large(void *arg)
{
	struct worker *w = arg;
	enum { SIZE = 1500000, PIECE = 7001 };
	char *content = mem_alloc(SIZE);
	for (int i = 0; i < 6; i++) {
		struct err err = ERR_INIT;
		struct blob_put *put = NULL;
		struct blob_info info;
		char key[32], sha256[DIGEST_HEX_LEN + 1];
		size_t size = (size_t)(SIZE - 1000 * i - w->number);
		memset(content, 'a' + w->number + i, SIZE);
		snprintf(key, sizeof(key), "large/%d", w->number);
		digest_of(content, size, sha256);
		struct blob_put_options o = {.expected_size = (int64_t)size,
					     .expected_sha256 = sha256,
					     .etag = i % 2 ? BLOB_HASH_MD5 : BLOB_HASH_SHA256};
		int r = w->store->ops->put_begin(w->store, ORG, BUCKET, key, &o, &put, &err);
		for (size_t at = 0; at < size && r >= 0; at += PIECE)
			r = w->store->ops->put_write(put, content + at, size - at < PIECE ? size - at : PIECE,
						     &err);
		if (r >= 0 && i % 3 == 2) {
			w->store->ops->put_abort(put);
			continue;
		}
		if (r < 0 || w->store->ops->put_commit(put, &info, &err) < 0)
			note_failure(w, &err);
	}
	free(content);
	return NULL;
}

TEST(large_objects_that_come_at_the_same_time_are_hashed_right)
{
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	void *(*fns[WRITERS])(void *);
	for (int i = 0; i < WRITERS; i++)
		fns[i] = put_large;
	run_workers(s, fns, WRITERS);
	assert_int_equal(count_files(dir), WRITERS);
}

TEST(keys_come_and_go_at_the_same_time)
{
	const char *dir = test_dir();
	CLEANUP(store) struct blob_store *s = store_open(dir);
	void *(*fns[WRITERS])(void *);
	for (int i = 0; i < WRITERS; i++)
		fns[i] = put_and_remove;
	run_workers(s, fns, WRITERS);
	CLEANUP(free) char *keys = store_keys(s, "", NULL, 0, 10);
	assert_string_equal(keys, "");
	assert_int_equal(count_files(dir), 0);
}

/* Every third one is too large for the log. */
static size_t content_size(int i)
{
	return i % 3 ? (size_t)(i % 5000) : (size_t)(150000 + i);
}

/* The child tells each step by one byte: 'b' begun, 'w' written, 'c' committed and acknowledged. */
static void upload_for_ever(const char *dir, int report)
{
	struct err err = ERR_INIT;
	struct blob_store *s = NULL;
	if (blobs_open(dir, &s, &err) < 0 || s->ops->bucket_create(s, ORG, BUCKET, &err) < 0)
		_exit(1);
	for (int i = 0;; i++) {
		struct blob_put *p = NULL;
		char key[32];
		static char content[200000];
		snprintf(key, sizeof(key), "d%d/k%d", i % 3, i);
		memset(content, 'a' + i % 26, sizeof(content));
		if (s->ops->put_begin(s, ORG, BUCKET, key, &OPTIONS(.expected_size = -1), &p, &err) < 0 ||
		    write(report, "b", 1) != 1 || s->ops->put_write(p, content, content_size(i), &err) < 0 ||
		    write(report, "w", 1) != 1 || s->ops->put_commit(p, NULL, &err) < 0 ||
		    write(report, "c", 1) != 1)
			_exit(1);
	}
}

/* Returns how many uploads the child has acknowledged when it was killed. */
static int run_and_kill(const char *dir, size_t after_steps)
{
	int report[2];
	assert_int_equal(pipe(report), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		close(report[0]);
		upload_for_ever(dir, report[1]);
	}
	close(report[1]);
	int acknowledged = 0;
	char step;
	for (size_t i = 0; read(report[0], &step, 1) == 1; i++) {
		acknowledged += step == 'c';
		if (i == after_steps)
			kill(child, SIGKILL);
	}
	close(report[0]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	return acknowledged;
}

TEST(a_kill_leaves_whole_objects_only_and_all_that_was_acknowledged)
{
	for (int round = 0; round < 25; round++) {
		struct err err = ERR_INIT;
		const char *dir = test_dir();
		int acknowledged = run_and_kill(dir, rng_below(&test_rng, 60));
		CLEANUP(store) struct blob_store *s = store_open(dir);
		for (int i = 0; i < acknowledged; i++) {
			char key[32];
			CLEANUP(buf) struct buf b = BUF_INIT;
			snprintf(key, sizeof(key), "d%d/k%d", i % 3, i);
			EXPECT_OK(store_get(s, key, &b, &err), &err);
			assert_int_equal(b.len, content_size(i));
		}
		struct blob_list list = {0};
		EXPECT_OK(s->ops->list(s, ORG, BUCKET, "", NULL, 0, 1000, &list, &err), &err);
		assert_true((int)list.count == acknowledged || (int)list.count == acknowledged + 1);
		for (size_t i = 0; i < list.count; i++) {
			CLEANUP(buf) struct buf b = BUF_INIT;
			EXPECT_OK(store_get(s, list.entries[i].key, &b, &err), &err);
		}
		size_t large = 0;
		for (size_t i = 0; i < list.count; i++)
			large += list.entries[i].info.size_bytes > RECORD_DATA_MAX;
		assert_int_equal(count_files(dir), large); /* nothing is left of what was interrupted */
		blob_list_done(&list);
	}
}
