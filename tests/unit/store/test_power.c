/* SPDX-License-Identifier: Apache-2.0 */
/* Power cuts at random points, and memory that runs out: what was acknowledged stays. POWER_CUTS=N for more.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "unit/store/power_vfs.h"
#include "unit/store/store_fixture.h"

#define PATH "/power.db"
#define CUTS 1000
#define ROUNDS_OF_ONE_DISK 25 /* then the disk is new again: checks are of its size */
#define JOBS_MAX 2000
#define CHECKPOINT_PAGES 60 /* so that copying the log is met by cuts as well */

/* What was acknowledged, by number of the job. */
struct ledger {
	int64_t version[JOBS_MAX];			/* 0 = not acknowledged */
	bool is_deleted[JOBS_MAX], is_unsure[JOBS_MAX]; /* a change was not answered: either is right */
	int count;
};
struct change {
	struct ledger *ledger;
	int number;
	enum { INSERT, MOVE, END, DELETE } what;
	bool is_answered;
};

static const char *job_id(int number)
{
	static char id[16];
	snprintf(id, sizeof(id), "p%d", number);
	return id;
}

static int change_run(struct store_tx *tx, void *arg, struct err *err)
{
	struct change *c = arg;
	CLEANUP(job) struct job *job = NULL;
	if (c->what == INSERT) {
		job = fixture_job(job_id(c->number), "power");
		struct event e = {.type = "Normal", .reason = "submitted", .actor = "ada"};
		snprintf(e.subject, sizeof(e.subject), "%s", job->id);
		int r = store_job_insert(tx, job, err);
		return r < 0 ? r : store_event_insert(tx, "default", &e, err);
	}
	if (c->what == DELETE)
		return store_job_delete(tx, "default", job_id(c->number), err);
	int r = store_job_get(tx, "default", job_id(c->number), &job, err);
	if (r < 0)
		return r;
	int64_t before = job->version++;
	job->state = c->what == END ? JOB_COMPLETED : JOB_RUNNING;
	job->ended_ms = c->what == END ? 5 : 0;
	r = store_job_update(tx, job, before, err);
	return r < 0 ? r : (int)job->version;
}

static void change_done(void *arg, int r, const struct err *err)
{
	struct change *c = arg;
	struct ledger *l = c->ledger;
	if (r >= 0) {
		l->version[c->number] = c->what == INSERT ? 1 : r > 0 ? r : l->version[c->number];
		l->is_deleted[c->number] = c->what == DELETE;
	} else if (power_is_off() || err->code == ERR_NO_MEMORY) {
		l->is_unsure[c->number] = true;
	}
	free(c);
}

static void submit_change(struct store *s, struct ledger *l, int number, int what)
{
	struct change *c = MEM_NEW(struct change);
	*c = (struct change){.ledger = l, .number = number, .what = what};
	store_submit(s, change_run, change_done, c);
}

/* Batches of new jobs, moves and deletions until the power goes or 'batches' are through. */
static void work(struct store *s, struct ledger *l, int batches)
{
	for (int b = 0; b < batches && !power_is_off(); b++) {
		int requests = 1 + (int)rng_below(&test_rng, 6);
		for (int i = 0; i < requests && l->count < JOBS_MAX; i++) {
			int what = (int)rng_below(&test_rng, 5);
			int number = l->count ? (int)rng_below(&test_rng, (uint64_t)l->count) : 0;
			if (what > DELETE || !l->count)
				what = INSERT;
			submit_change(s, l, what == INSERT ? l->count++ : number, what);
		}
		while (store_pump(s))
			;
	}
}

static int verify(struct store_tx *tx, void *arg, struct err *err)
{
	struct ledger *l = arg;
	for (int i = 0; i < l->count; i++) {
		struct err missing = ERR_INIT;
		CLEANUP(job) struct job *job = NULL;
		int r = store_job_get(tx, "default", job_id(i), &job, &missing);
		if (r < 0 && r != -ERR_NOT_FOUND)
			return err_set(err, missing.code, "%s", missing.msg);
		bool is_there = r >= 0, must = l->version[i] && !l->is_deleted[i];
		if (!l->is_unsure[i] && is_there != must)
			return err_set(err, ERR_CORRUPT, "job %d is %s", i, must ? "lost" : "back");
		if (l->is_unsure[i] && !is_there && must && l->version[i] == 1)
			must = false; /* its end or deletion may have been durable */
		if (is_there && job->version < l->version[i])
			return err_set(err, ERR_CORRUPT, "job %d has version %d, %d was acknowledged", i,
				       (int)job->version, (int)l->version[i]);
		l->version[i] = is_there ? job->version : l->version[i];
		l->is_deleted[i] = !is_there && l->version[i];
		l->is_unsure[i] = false;
	}
	return store_check(tx, err);
}

static int make_org(struct store_tx *tx, void *arg, struct err *err)
{
	int r = store_org_insert(tx, "default", 1, err);
	return r == -ERR_EXISTS ? 0 : r;
}

static struct store *open_store(struct err *err)
{
	struct store *s = NULL;
	struct store_config config = {.path = PATH, .checkpoint_pages = CHECKPOINT_PAGES};
	return store_open(&config, &s, err) < 0 ? NULL : s;
}

static struct store *open_new(void)
{
	struct err err = ERR_INIT;
	struct store *s = open_store(&err);
	if (!s || store_run(s, make_org, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	return s;
}

/* Cuts also meet the reading of the log at the next start, a few times. */
static struct store *come_back(int *cuts)
{
	for (;;) {
		struct err err = ERR_INIT;
		power_return(&test_rng);
		if (rng_below(&test_rng, 4) == 0)
			power_cut_after(1 + (int)rng_below(&test_rng, 12));
		struct store *s = open_store(&err);
		if (s && !power_is_off()) {
			power_cut_after(0);
			return s;
		}
		if (!power_is_off())
			fail_msg("the store does not open after a power cut: %s", err.msg);
		store_close(s);
		++*cuts;
	}
}

TEST(power_cuts_lose_nothing_acknowledged)
{
	const char *wanted = getenv("POWER_CUTS");
	int cuts = 0, target = wanted ? atoi(wanted) : CUTS;
	int64_t acknowledged = 0;
	struct ledger *l = MEM_NEW(struct ledger);
	power_vfs_install();
	store_close(open_new());
	power_keep_image();
	struct store *s = NULL;
	for (int round = 0; cuts < target; round++) {
		struct err err = ERR_INIT;
		if (round % ROUNDS_OF_ONE_DISK == 0) {
			store_close(s);
			memset(l, 0, sizeof(*l));
			power_restore_image();
			s = open_new();
		}
		power_cut_after(1 + (int)rng_below(&test_rng, 150));
		int before = l->count;
		work(s, l, 1000);
		assert_true(power_is_off() || l->count == JOBS_MAX);
		store_close(s);
		cuts++;
		s = come_back(&cuts);
		EXPECT_OK(store_run(s, verify, l, &err), &err);
		for (int i = before; i < l->count; i++)
			acknowledged += l->version[i] > 0;
	}
	store_close(s);
	free(l);
	assert_true(acknowledged > target);
	print_message("%d power cuts, %lld jobs acknowledged: 0 lost\n", cuts, (long long)acknowledged);
}

TEST(power_cuts_while_a_store_is_made_leave_one_that_can_be_made)
{
	struct err err = ERR_INIT;
	power_vfs_install();
	for (int n = 1;; n++) {
		memset(&err, 0, sizeof(err));
		power_cut_after(0);
		power_restore_image();
		sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
		vfs->xDelete(vfs, PATH, 1);
		vfs->xDelete(vfs, PATH "-wal", 1);
		power_cut_after(n);
		struct store *s = open_store(&err);
		bool was_cut = power_is_off();
		store_close(s);
		power_return(&test_rng);
		s = open_new();
		EXPECT_OK(fixture_check(s, &err), &err);
		store_close(s);
		if (!was_cut)
			break;
	}
}
