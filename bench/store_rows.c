/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the metadata store takes as it grows: durable submits, reading one job, pages of a list, and the start
 * with many live jobs. Usage: store-rows FOLDER|postgresql://… [ROWS (1000000)] [LIVE (100000)]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "store/store.h"

#define IN_FLIGHT 64
#define READS 2000
#define PAGES 200
#define PAGE 50
#define SUBMITS 5000

static struct store *store;
static int64_t rows, wanted, live_rows;
static struct rng rng;
static bool is_timed; /* these rows are measured, not filling */

static void fail(const struct err *err)
{
	fprintf(stderr, "store-rows: %s\n", err->msg);
	exit(1);
}

static double since_ms(int64_t start_ns)
{
	return (double)(clock_monotonic_ns() - start_ns) / 1e6;
}

static int make_org(struct store_tx *tx, void *arg, struct err *err)
{
	int r = store_org_insert(tx, "default", 1, err);
	return r == -ERR_EXISTS ? 0 : r;
}

static int insert_one(struct store_tx *tx, int64_t number, struct err *err)
{
	CLEANUP(job) struct job *job = job_new();
	char *command[] = {(char *)"python", (char *)"train.py", NULL};
	free(job->spec.name);
	job->spec.name = mem_printf("bench-%lld", (long long)(number % 1000));
	job->spec.command = strings_copy(command);
	snprintf(job->id, sizeof(job->id), "j%lld", (long long)number);
	snprintf(job->org, sizeof(job->org), "default");
	snprintf(job->user, sizeof(job->user), "root");
	job->state = number < live_rows ? JOB_QUEUED : JOB_COMPLETED;
	job->ended_ms = number < live_rows ? 0 : 5;
	job->exit_code = 0;
	struct event e = {.time_ms = 1, .type = "Normal", .reason = "submitted", .actor = "root"};
	snprintf(e.subject, sizeof(e.subject), "%s", job->id);
	int r = store_job_insert(tx, job, err);
	return r < 0 ? r : store_event_insert_first(tx, job->org, &e, err);
}

static int insert(struct store_tx *tx, void *arg, struct err *err)
{
	return insert_one(tx, rows++, err);
}

static int insert_many(struct store_tx *tx, void *arg, struct err *err)
{
	int r = 0;
	for (int i = 0; i < 1000 && rows < wanted && r >= 0; i++)
		r = insert_one(tx, rows++, err);
	return r;
}

static int in_flight;

static void inserted(void *arg, int r, const struct err *err)
{
	if (r < 0)
		fail(err);
	in_flight--;
	if (is_timed && rows + in_flight < wanted) {
		in_flight++;
		store_submit(store, insert, inserted, NULL);
	}
}

static void fill(int64_t to)
{
	struct err err = ERR_INIT;
	wanted = to;
	while (rows < to)
		if (store_run(store, insert_many, NULL, &err) < 0)
			fail(&err);
}

/* Durable submits a second, as many clients that wait for their answers would do. */
static double submits(void)
{
	int64_t start = clock_monotonic_ns();
	is_timed = true;
	wanted = rows + SUBMITS;
	while (in_flight < IN_FLIGHT) {
		in_flight++;
		store_submit(store, insert, inserted, NULL);
	}
	while (in_flight)
		store_pump(store);
	is_timed = false;
	return SUBMITS / (since_ms(start) / 1e3);
}

static int get_many(struct store_tx *tx, void *arg, struct err *err)
{
	int r = 0;
	for (int i = 0; i < READS && r >= 0; i++) {
		CLEANUP(job) struct job *job = NULL;
		char id[24];
		snprintf(id, sizeof(id), "j%llu", (unsigned long long)rng_below(&rng, (uint64_t)rows));
		r = store_job_get(tx, "default", id, &job, err);
	}
	return r;
}

/* Pages that begin anywhere; state -1 = all. */
static int page_many(struct store_tx *tx, void *arg, struct err *err)
{
	int r = 0;
	for (int i = 0; i < PAGES && r >= 0; i++) {
		struct store_jobs page = {0};
		struct store_list_query q = {.org = "default", .state = (int)(intptr_t)arg, .limit = PAGE};
		q.before_seq = (int64_t)rng_below(&rng, (uint64_t)rows) + 1;
		r = store_job_list(tx, &q, &page, err);
		store_jobs_done(&page);
	}
	return r;
}

static int live(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_jobs found = {0};
	int r = store_job_live(tx, &found, err);
	int count = (int)found.count;
	store_jobs_done(&found);
	return r < 0 ? r : count;
}

static double us_of(store_fn *fn, void *arg, int count)
{
	struct err err = ERR_INIT;
	int64_t start = clock_monotonic_ns();
	if (store_run(store, fn, arg, &err) < 0)
		fail(&err);
	return since_ms(start) * 1e3 / count;
}

static void measure(void)
{
	int64_t before = rows;
	double get = us_of(get_many, NULL, READS), all = us_of(page_many, (void *)(intptr_t)-1, PAGES);
	double done = us_of(page_many, (void *)(intptr_t)JOB_COMPLETED, PAGES);
	printf("%9lld   %8.0f   %8.1f   %12.1f   %18.1f\n", (long long)before, submits(), get, all, done);
	fflush(stdout);
}

static void open_store(const struct store_config *config)
{
	struct err err = ERR_INIT;
	if (store_open(config, &store, &err) < 0 || store_run(store, make_org, NULL, &err) < 0)
		fail(&err);
}

static void measure_restart(const struct store_config *config)
{
	struct err err = ERR_INIT;
	store_close(store);
	int64_t start = clock_monotonic_ns();
	open_store(config);
	double opened = since_ms(start);
	int count = store_run(store, live, NULL, &err);
	if (count < 0)
		fail(&err);
	printf("start with %d live jobs: open %.0f ms, all of them read after %.0f ms\n", count, opened,
	       since_ms(start));
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "usage: store-rows FOLDER|postgresql://... [ROWS] [LIVE]\n");
		return 2;
	}
	bool is_postgres = strncmp(argv[1], "postgres", 8) == 0;
	int64_t most = argc > 2 ? atoll(argv[2]) : 1000000;
	live_rows = argc > 3 ? atoll(argv[3]) : 100000;
	CLEANUP(free) char *path = mem_printf("%s/bench-rows.db", is_postgres ? "" : argv[1]);
	CLEANUP(free) char *wal = mem_printf("%s-wal", path);
	struct store_config config = {.path = path, .database = is_postgres ? argv[1] : NULL};
	rng_seed(&rng, 1);
	unlink(path);
	unlink(wal);
	open_store(&config);
	printf("     rows   submits/s     get us   page of %d us   page by state of %d us\n", PAGE, PAGE);
	fill(100);
	measure();
	fill(live_rows);
	measure_restart(&config);
	measure();
	fill(most);
	measure();
	store_close(store);
	unlink(path);
	unlink(wal);
	return 0;
}
