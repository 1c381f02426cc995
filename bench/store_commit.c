/* SPDX-License-Identifier: Apache-2.0 */
/* Durable rows a second in the metadata store: one by one, and with grouped commits. Usage: store-commit
 * FOLDER|postgresql://… [SECONDS] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "base/json.h"
#include "store/store.h"

static unsigned next_id;

static int make_org(struct store_tx *tx, void *arg, struct err *err)
{
	int r = store_org_insert(tx, "default", 1, err);
	return r == -ERR_EXISTS ? 0 : r;
}

static int insert(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(job) struct job *job = job_new();
	char *command[] = {(char *)"true", NULL};
	free(job->spec.name);
	job->spec.name = mem_strdup("bench");
	job->spec.command = strings_copy(command);
	snprintf(job->id, sizeof(job->id), "j%u", ++next_id);
	snprintf(job->org, sizeof(job->org), "default");
	snprintf(job->user, sizeof(job->user), "root");
	struct event e = {
	    .subject = "", .time_ms = 1, .type = "Normal", .reason = "submitted", .actor = "root"};
	snprintf(e.subject, sizeof(e.subject), "%s", job->id);
	int r = store_job_insert(tx, job, err);
	return r < 0 ? r : store_event_insert(tx, job->org, &e, err);
}

static void fail(const struct err *err)
{
	fprintf(stderr, "store-commit: %s\n", err->msg);
	exit(1);
}

/* 'in_flight' requests always wait; each answered one is followed by another. */
struct run {
	struct store *store;
	int64_t rows, end_ns;
	int in_flight;
};

static void on_done(void *arg, int r, const struct err *err)
{
	struct run *run = arg;
	if (r < 0)
		fail(err);
	run->rows++;
	run->in_flight--;
	if (clock_monotonic_ns() < run->end_ns) {
		run->in_flight++;
		store_submit(run->store, insert, on_done, run);
	}
}

static double rows_per_second(struct store *s, int in_flight, double seconds)
{
	int64_t start = clock_monotonic_ns();
	struct run run = {.store = s, .in_flight = in_flight, .end_ns = start + (int64_t)(seconds * 1e9)};
	for (int i = 0; i < in_flight; i++)
		store_submit(s, insert, on_done, &run);
	while (run.in_flight)
		store_pump(s);
	return (double)run.rows * 1e9 / (double)(clock_monotonic_ns() - start);
}

int main(int argc, char **argv)
{
	struct err err = ERR_INIT;
	struct store *s = NULL;
	static const int in_flight[] = {1, 8, 64, 512};
	char path[4096], wal[4200];
	if (argc < 2) {
		fprintf(stderr, "usage: store-commit FOLDER|postgresql://... [SECONDS]\n");
		return 2;
	}
	double seconds = argc > 2 ? atof(argv[2]) : 3;
	snprintf(path, sizeof(path), "%s/bench-meta.db", argv[1]);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	unlink(path);
	unlink(wal);
	const char *database = strncmp(argv[1], "postgres", 8) == 0 ? argv[1] : NULL;
	if (store_open(&(struct store_config){.path = path, .database = database}, &s, &err) < 0 ||
	    store_run(s, make_org, NULL, &err) < 0)
		fail(&err);
	printf("requests in flight   durable jobs/s (job + event + counter, synced)\n");
	for (size_t i = 0; i < ARRAY_LEN(in_flight); i++)
		printf("%18d   %14.0f\n", in_flight[i], rows_per_second(s, in_flight[i], seconds));
	store_close(s);
	unlink(path);
	unlink(wal);
	return 0;
}
