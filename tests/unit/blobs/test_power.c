/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts of the object store under load: what was acknowledged is there, what was not is there whole or
 * not at all, and the store's own check finds nothing. POWER_CUTS=N for more than CI does.
 */
#include "unit/blobs/blobs_test.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "base/digest.h"
#include "unit/blobs/power_disk.h"

#define CUTS 120
#define CUTS_OF_ONE_RUN 25
#define RUNS_OF_ONE_DISK 6 /* then it is new again: checks are of its size */
#define WORKERS 3
#define KEYS 4 /* of each worker; half of them in the bucket that keeps versions */
#define STEPS 14
#define SEGMENT_LEN 60000 /* so that the log has many */
#define KEPT "kept"
#define ROOM_WANTED (256u << 20)

struct step {
	size_t begun, ended; /* positions of the disk */
	bool is_refused, is_unsure;
	char *after; /* what the store said of the key then; NULL when refused */
};
struct key {
	char name[16], upload[BLOB_UPLOAD_ID_MAX + 1];
	struct blob_part parts[2];
	int part_count;
	const char *bucket;
	char *first; /* what it was when the run began */
	struct step *steps;
	size_t step_count;
};
struct worker {
	pthread_t thread;
	struct blob_store *store;
	struct rng rng;
	struct key keys[KEYS];
	bool may_fail;
	unsigned *count; /* of contents, over all runs */
};

static unsigned contents[WORKERS];
static char *large; /* longer than what lies in records */
#define LARGE_BYTES (RECORD_DATA_MAX + 30000)

/* ---- what the store says of one key ---- */

static void note_versions(struct buf *b, struct blob_store *s, const struct key *k)
{
	struct err err = ERR_INIT;
	struct blob_list l = {0};
	int r = s->ops->list_versions(s, ORG, k->bucket, k->name, NULL, NULL, 0, 1000, &l, &err);
	if (r == -ERR_NOT_FOUND)
		return;
	EXPECT_OK(r, &err);
	for (size_t i = 0; i < l.count; i++) {
		const struct blob_info *info = &l.entries[i].info;
		CLEANUP(free) char *attributes = NULL;
		struct blob_info stat;
		if (!info->is_delete_marker)
			EXPECT_OK(
			    s->ops->stat(s, ORG, k->bucket, k->name, info->version, &stat, &attributes, &err),
			    &err);
		buf_printf(b, "version %s %s %lld at %lld%s '%s'\n", info->version, info->etag,
			   (long long)info->size_bytes, (long long)info->modified_ms,
			   info->is_delete_marker ? " gone" : "", attributes ? attributes : "");
	}
	blob_list_done(&l);
}

static void note_uploads(struct buf *b, struct blob_store *s, const struct key *k)
{
	struct err err = ERR_INIT;
	struct blob_list l = {0};
	if (s->ops->upload_list(s, ORG, k->bucket, k->name, NULL, NULL, 1000, &l, &err) < 0)
		return;
	for (size_t i = 0; i < l.count; i++) {
		struct blob_parts parts = {0};
		const char *id = l.entries[i].upload_id;
		buf_printf(b, "upload %s\n", id);
		EXPECT_OK(s->ops->part_list(s, ORG, k->bucket, k->name, id, 0, 1000, &parts, &err), &err);
		for (size_t p = 0; p < parts.count; p++)
			buf_printf(b, " part %d %s\n", parts.items[p].number, parts.items[p].etag);
		free(parts.items);
	}
	blob_list_done(&l);
}

static char *describe(struct blob_store *s, const struct key *k)
{
	struct buf b = BUF_INIT;
	buf_adds(&b, "");
	note_versions(&b, s, k);
	note_uploads(&b, s, k);
	return buf_steal(&b);
}

/* ---- load ---- */

static int put_content(struct worker *w, struct key *k, struct err *err)
{
	char text[64], hex[DIGEST_HEX_LEN + 1];
	snprintf(text, sizeof(text), "%s content %u", k->name, ++*w->count);
	bool is_large = rng_below(&w->rng, 8) == 0;
	struct buf b = BUF_INIT;
	buf_adds(&b, text);
	if (is_large)
		buf_add(&b, large, LARGE_BYTES);
	else
		buf_add(&b, large, rng_below(&w->rng, 3000));
	struct blob_put_options o = {.expected_size = (int64_t)b.len, .attributes = text};
	struct blob_info info;
	int r = blob_put(w->store, ORG, k->bucket, k->name, &o, b.data, b.len, &info, err);
	digest_of(b.data, b.len, hex);
	if (r == 0)
		assert_string_equal(info.etag, hex);
	buf_done(&b);
	return r;
}

static int put_part(struct worker *w, struct key *k, struct err *err)
{
	char text[64];
	struct blob_put *p = NULL;
	struct blob_info info;
	int number = k->part_count + 1;
	struct blob_put_options o = {.expected_size = -1, .etag = BLOB_HASH_MD5};
	snprintf(text, sizeof(text), "%s part %u", k->name, ++*w->count);
	int r = w->store->ops->part_begin(w->store, ORG, k->bucket, k->name, k->upload, number, &o, &p, err);
	if (r == 0 && (r = w->store->ops->put_write(p, text, strlen(text), err)) < 0)
		w->store->ops->put_abort(STEAL(p));
	if (r == 0)
		r = w->store->ops->put_commit(p, &info, err);
	if (r < 0)
		return r;
	struct blob_part *part = &k->parts[k->part_count++];
	*part = (struct blob_part){.number = number};
	memcpy(part->etag, info.etag, sizeof(part->etag));
	return 0;
}

/* One call on an upload: begun, given its part, completed or given up. */
static int upload_step(struct worker *w, struct key *k, struct err *err)
{
	const struct blob_ops *o = w->store->ops;
	struct blob_put_options options = {.expected_size = -1, .etag = BLOB_HASH_MD5};
	if (!k->upload[0]) {
		k->part_count = 0;
		return o->upload_begin(w->store, ORG, k->bucket, k->name, &options, k->upload, err);
	}
	if (k->part_count == 0)
		return put_part(w, k, err);
	int r = rng_below(&w->rng, 3) ? o->upload_complete(w->store, ORG, k->bucket, k->name, k->upload,
							   k->parts, 1, &options, NULL, err)
				      : o->upload_abort(w->store, ORG, k->bucket, k->name, k->upload, err);
	if (r >= 0)
		k->upload[0] = 0;
	return r;
}

static int call(struct worker *w, struct key *k, struct err *err)
{
	const struct blob_ops *o = w->store->ops;
	struct key *other = &w->keys[rng_below(&w->rng, KEYS)];
	char text[32];
	int r;
	switch (rng_below(&w->rng, 9)) {
	case 0:
		return o->remove(w->store, ORG, k->bucket, k->name, err);
	case 1:
		snprintf(text, sizeof(text), "note %u", ++*w->count);
		r = o->set_attributes(w->store, ORG, k->bucket, k->name, NULL, text, err);
		return r == -ERR_NOT_FOUND || r == -ERR_METHOD ? 0 : r;
	case 2:
		r = o->copy(w->store, ORG, other->bucket, other->name, NULL, k->bucket, k->name,
			    &OPTIONS(.expected_size = -1), NULL, err);
		return r == -ERR_NOT_FOUND || r == -ERR_METHOD ? 0 : r;
	case 3:
	case 4:
	case 5:
		return upload_step(w, k, err);
	default:
		return put_content(w, k, err);
	}
}

static void take_step(struct worker *w, struct key *k)
{
	struct err err = ERR_INIT;
	k->steps = mem_realloc(k->steps, (k->step_count + 1) * sizeof(*k->steps));
	struct step *s = &k->steps[k->step_count++];
	*s = (struct step){.begun = power_position()};
	int r = call(w, k, &err);
	s->ended = power_position();
	s->is_refused = r < 0;
	/* Of what failed as the disk failed nobody knows; what found no space has not happened. */
	s->is_unsure = r < 0 && err.code != ERR_DISK_FULL;
	if (r < 0 && !w->may_fail)
		fail_msg("%s: %s", k->name, err.msg);
	else if (r >= 0)
		s->after = describe(w->store, k);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	for (int i = 0; i < STEPS; i++)
		take_step(w, &w->keys[rng_below(&w->rng, KEYS)]);
	return NULL;
}

static void make_buckets(struct blob_store *s)
{
	struct err err = ERR_INIT;
	EXPECT_OK(s->ops->bucket_create(s, ORG, BUCKET, &err), &err);
	EXPECT_OK(s->ops->bucket_create(s, ORG, KEPT, &err), &err);
	EXPECT_OK(s->ops->bucket_set(s, ORG, KEPT, BLOB_VERSIONING_ON, NULL, &err), &err);
}

static void key_begin(struct key *k, struct blob_store *s)
{
	for (size_t i = 0; i < k->step_count; i++)
		free(k->steps[i].after);
	free(k->steps);
	free(k->first);
	k->steps = NULL;
	k->step_count = 0;
	k->upload[0] = 0; /* what a cut left of it stays as it is */
	k->first = s ? describe(s, k) : NULL;
}

static void workers_init(struct worker *workers)
{
	for (size_t i = 0; i < WORKERS; i++)
		for (size_t j = 0; j < KEYS; j++) {
			struct key *k = &workers[i].keys[j];
			snprintf(k->name, sizeof(k->name), "w%zu/k%zu", i, j);
			k->bucket = j % 2 ? KEPT : BUCKET;
		}
}

static void workers_done(struct worker *workers)
{
	for (size_t i = 0; i < WORKERS; i++)
		for (size_t j = 0; j < KEYS; j++)
			key_begin(&workers[i].keys[j], NULL);
}

static void load_store(struct blob_store *s, struct worker *workers, bool may_fail)
{
	struct err err = ERR_INIT;
	for (size_t i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];
		w->store = s;
		w->may_fail = may_fail;
		w->count = &contents[i];
		rng_seed(&w->rng, rng_u64(&test_rng));
		for (size_t j = 0; j < KEYS; j++)
			key_begin(&w->keys[j], s);
	}
	for (size_t i = 0; i < WORKERS; i++)
		assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	int r = blobs_compact(s, (int)rng_below(&test_rng, 102), &err);
	if (r < 0 && !may_fail)
		fail_msg("%s", err.msg);
	for (size_t i = 0; i < WORKERS; i++)
		pthread_join(workers[i].thread, NULL);
}

/* ---- what must be there after a cut ---- */

static void show_fault(void *arg, const char *what)
{
	print_message("check: %s\n", what);
}

static void check_store(struct blob_store *s)
{
	struct err err = ERR_INIT;
	struct blob_check check;
	struct blob_check_watch watch = {.found = show_fault};
	EXPECT_OK(blobs_check(s, &watch, &check, &err), &err);
	assert_int_equal(check.damaged, 0);
	assert_int_equal(check.faults, 0);
}

static void check_key(struct blob_store *s, const struct key *k, size_t cut)
{
	const char *must = k->first, * or = NULL;
	bool is_unsure = false;
	for (size_t i = 0; i < k->step_count && k->steps[i].begun < cut && !is_unsure; i++) {
		const struct step *step = &k->steps[i];
		bool is_over = step->ended <= cut;
		is_unsure = step->is_unsure || (step->is_refused && !is_over);
		if (!step->is_refused && is_over)
			must = step->after;
		else if (!step->is_refused) {
			or = step->after;
			break;
		}
	}
	CLEANUP(free) char *now = describe(s, k);
	if (is_unsure || strcmp(now, must) == 0 || (or &&strcmp(now, or) == 0))
		return;
	fail_msg("cut at %zu: key %s is\n%s--- acknowledged was\n%s--- under way was\n%s", cut, k->name, now,
		 must, or ? or : "nothing\n");
}

static void check_cut(const char *dir, const struct worker *workers, size_t cut)
{
	CLEANUP(store) struct blob_store *s = NULL;
	struct err err = ERR_INIT;
	EXPECT_OK(blobs_open(dir, &s, &err), &err);
	check_store(s);
	for (size_t i = 0; i < WORKERS; i++)
		for (size_t j = 0; j < KEYS; j++)
			check_key(s, &workers[i].keys[j], cut);
}

/* ---- the tests ---- */

enum fault { NO_FAULT, SYNC_FAULT, FULL_FAULT, FAULT_COUNT };
struct run {
	enum fault fault;
	int cuts, wanted, faults;
	long long acknowledged;
};

static void arm(enum fault fault)
{
	if (fault == SYNC_FAULT)
		power_fail_sync(4 + (int)rng_below(&test_rng, 9));
	if (fault == FULL_FAULT)
		power_fill(1 + (int)rng_below(&test_rng, 150), 1 + (int)rng_below(&test_rng, 20));
}

/* Cuts while the store comes back from the first one, now and then. */
static void cut_again(struct run *run, const char *dir, const char *again, const struct worker *workers,
		      size_t cut)
{
	struct err err = ERR_INIT;
	struct blob_store *s = NULL;
	power_begin(dir);
	EXPECT_OK(blobs_open(dir, &s, &err), &err);
	size_t end = power_position();
	store_close(s);
	power_end();
	for (int i = 0; i < 3; i++, run->cuts++) {
		power_cut(rng_below(&test_rng, end + 1), again, &test_rng);
		check_cut(again, workers, cut);
	}
}

static void count_steps(struct run *run, const struct worker *workers)
{
	for (size_t i = 0; i < WORKERS; i++)
		for (size_t j = 0; j < KEYS; j++)
			for (size_t n = 0; n < workers[i].keys[j].step_count; n++)
				run->acknowledged += !workers[i].keys[j].steps[n].is_refused;
}

/* One life of the store on 'dir', cut at many places into 'left'; the last of those is the next 'dir'. */
static void live(struct run *run, const char *dir, const char *left, const char *again,
		 struct worker *workers)
{
	struct err err = ERR_INIT;
	CLEANUP(store) struct blob_store *s = NULL;
	power_begin(dir);
	EXPECT_OK(blobs_open(dir, &s, &err), &err);
	make_buckets(s);
	blobs_segment_bytes(s, SEGMENT_LEN);
	arm(run->fault);
	load_store(s, workers, run->fault != NO_FAULT);
	run->faults += power_has_failed();
	size_t end = power_position();
	store_close(STEAL(s));
	size_t closed = power_position();
	power_end();
	count_steps(run, workers);
	for (int i = 0; i < CUTS_OF_ONE_RUN; i++, run->cuts++) {
		size_t cut = rng_below(&test_rng, i % 5 ? end + 1 : closed + 1);
		power_cut(cut, left, &test_rng);
		check_cut(left, workers, cut);
	}
	size_t cut = rng_below(&test_rng, end + 1);
	power_cut(cut, left, &test_rng);
	cut_again(run, left, again, workers, cut);
}

/* In memory where there is room: nothing is synced really, and each cut writes the whole folder again. */
static void choose_folder(void)
{
	struct statvfs fs;
	if (statvfs("/dev/shm", &fs) == 0 && access("/dev/shm", W_OK) == 0 &&
	    (uint64_t)fs.f_bavail * fs.f_frsize > ROOM_WANTED)
		setenv("TMPDIR", "/dev/shm", 1);
}

static void run_until(struct run *run)
{
	choose_folder();
	const char *wanted = getenv("POWER_CUTS");
	const char *dirs[2] = {test_dir(), test_dir()}, *again = test_dir();
	struct worker *workers = mem_alloc(WORKERS * sizeof(*workers));
	large = mem_alloc(LARGE_BYTES);
	memset(large, 'x', LARGE_BYTES);
	workers_init(workers);
	run->wanted = wanted ? atoi(wanted) : CUTS;
	for (int lives = 0; run->cuts < run->wanted; lives++) {
		if (lives % RUNS_OF_ONE_DISK == 0)
			power_wipe(dirs[0]);
		live(run, dirs[0], dirs[1], again, workers);
		const char *next = dirs[1];
		dirs[1] = dirs[0];
		dirs[0] = next;
	}
	workers_done(workers);
	free(workers);
	free(large);
	print_message("%d power cuts, %d faults of the disk, %lld changes acknowledged: 0 lost\n", run->cuts,
		      run->faults, run->acknowledged);
	assert_true(run->acknowledged > 0);
}

TEST(power_cuts_of_the_object_store_lose_nothing_acknowledged)
{
	struct run run = {.fault = NO_FAULT};
	run_until(&run);
}

TEST(a_sync_that_failed_is_never_taken_for_done)
{
	struct run run = {.fault = SYNC_FAULT};
	run_until(&run);
	assert_true(run.faults > 0);
}

TEST(a_disk_that_was_full_in_the_middle_has_kept_what_was_acknowledged)
{
	struct run run = {.fault = FULL_FAULT};
	run_until(&run);
	assert_true(run.faults > 0);
}
