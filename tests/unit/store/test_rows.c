/* SPDX-License-Identifier: Apache-2.0 */
/* Rows: jobs and their guards, lists, counters, services, events, idempotency keys. */
#include <stdio.h>
#include <stdlib.h>
#include "base/json.h"
#include "base/mem.h"
#include "unit/store/store_fixture.h"

/* Most tests are one request. */
#define IN_STORE(fn)                                                                                         \
	do {                                                                                                 \
		struct err err_ = ERR_INIT;                                                                  \
		struct store *s_ = fixture_open(":memory:");                                                 \
		EXPECT_OK(store_run(s_, fn, NULL, &err_), &err_);                                            \
		EXPECT_OK(fixture_check(s_, &err_), &err_);                                                  \
		store_close(s_);                                                                             \
	} while (0)

static int round_trip(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(job) struct job *job = fixture_job("j1", "a");
	CLEANUP(job) struct job *read = NULL;
	CLEANUP(json) json_t *before = NULL, *after = NULL;
	job->spec.limits.memory_bytes = 123456789;
	job->spec.max_retries = 7;
	EXPECT_OK(store_job_insert(tx, job, err), err);
	assert_int_equal(job->version, 1);
	EXPECT_OK(store_job_get(tx, "default", "j1", &read, err), err);
	before = job_format(job);
	after = job_format(read);
	assert_true(json_equal(before, after));
	EXPECT_ERR(store_job_insert(tx, job, err), ERR_EXISTS, err, "j1");
	return 0;
}

TEST(a_job_is_read_as_it_was_written)
{
	IN_STORE(round_trip);
}

static int guards(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(job) struct job *job = fixture_job("j1", "a");
	EXPECT_OK(store_job_insert(tx, job, err), err);
	job->version = 2;
	job->attempt = 3;
	job->state = JOB_RUNNING;
	EXPECT_ERR(store_job_update(tx, job, 5, err), ERR_CONFLICT, err, "moved meanwhile");
	EXPECT_OK(store_job_update(tx, job, 1, err), err);
	job->version = 3;
	job->attempt = 2; /* a stale fencing token */
	EXPECT_ERR(store_job_update(tx, job, 2, err), ERR_CONFLICT, err, "moved meanwhile");
	job->attempt = 3;
	job->state = JOB_COMPLETED;
	job->ended_ms = 2000;
	EXPECT_OK(store_job_update(tx, job, 2, err), err);
	job->version = 4;
	job->state = JOB_FAILED; /* terminal states never change */
	EXPECT_ERR(store_job_update(tx, job, 3, err), ERR_CONFLICT, err, "it is completed");
	return 0;
}

TEST(a_move_needs_the_version_the_attempt_and_a_live_row)
{
	IN_STORE(guards);
}

static struct job *element_of(const struct job *array, int64_t index, const char *id)
{
	struct job *job = fixture_job(id, "many");
	job->state = JOB_QUEUED;
	memcpy(job->array_id, array->id, sizeof(job->array_id));
	job->array_index = index;
	return job;
}

static int array_rows(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(job) struct job *array = fixture_job("ja", "many");
	CLEANUP(job) struct job *other = fixture_job("jb", "other");
	array->spec.array.count = 3;
	EXPECT_OK(store_job_insert(tx, array, err), err);
	EXPECT_OK(store_job_insert(tx, other, err), err);
	CLEANUP(job) struct job *first = element_of(array, 0, "j0");
	CLEANUP(job) struct job *second = element_of(array, 1, "j1");
	CLEANUP(job) struct job *read = NULL;
	EXPECT_OK(store_job_insert(tx, first, err), err);
	EXPECT_OK(store_job_insert(tx, second, err), err);
	first->version = 2;
	first->state = JOB_CANCELLED;
	first->ended_ms = 2000;
	EXPECT_OK(store_job_update(tx, first, 1, err), err);
	EXPECT_OK(store_job_get(tx, "default", "ja", &read, err), err);
	assert_int_equal(read->elements.made, 2);
	assert_int_equal(read->elements.by_state[JOB_QUEUED], 1);
	assert_int_equal(read->elements.by_state[JOB_CANCELLED], 1);
	struct store_jobs page = {0};
	struct store_list_query q = {.org = "default", .state = -1, .limit = 10};
	EXPECT_OK(store_job_list(tx, &q, &page, err), err);
	assert_int_equal(page.count, 2);
	assert_string_equal(page.items[0]->id, "jb");
	store_jobs_done(&page);
	q.array = "ja";
	EXPECT_OK(store_job_list(tx, &q, &page, err), err);
	assert_int_equal(page.count, 2);
	assert_string_equal(page.items[0]->id, "j1");
	assert_int_equal(page.items[0]->array_index, 1);
	store_jobs_done(&page);
	q.state = JOB_CANCELLED;
	EXPECT_OK(store_job_list(tx, &q, &page, err), err);
	assert_int_equal(page.count, 1);
	store_jobs_done(&page);
	EXPECT_OK(store_check(tx, err), err);
	array->version = 2;
	array->state = JOB_CANCELLED;
	array->ended_ms = 3000;
	EXPECT_OK(store_job_update(tx, array, 1, err), err);
	EXPECT_OK(store_job_delete(tx, "default", "j0", err), err);
	EXPECT_ERR(store_job_delete(tx, "default", "ja", err), ERR_STATE, err, "has elements");
	*err = ERR_INIT;
	return store_check(tx, err); /* an ended element that is gone stays counted */
}

TEST(an_array_counts_its_elements_in_their_transactions)
{
	IN_STORE(array_rows);
}

static int next_element(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(job) struct job *array = fixture_job("ja", "many");
	array->spec.array.count = 3;
	EXPECT_OK(store_job_insert(tx, array, err), err);
	CLEANUP(job) struct job *late = element_of(array, 1, "j1");
	EXPECT_ERR(store_job_insert(tx, late, err), ERR_CONFLICT, err, "not the next one");
	return 0;
}

static int roll_back(struct store_tx *tx, void *arg, struct err *err)
{
	int r = next_element(tx, arg, err);
	return r < 0 ? r : err_set(err, ERR_STATE, "undone");
}

TEST(elements_are_made_in_the_order_of_their_indexes)
{
	struct err err = ERR_INIT;
	struct store *s = fixture_open(":memory:");
	EXPECT_ERR(store_run(s, roll_back, NULL, &err), ERR_STATE, &err, "undone");
	store_close(s);
}

static int budget(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(job) struct job *job = fixture_job("j1", "a");
	CLEANUP(job) struct job *read = NULL;
	EXPECT_OK(store_job_insert(tx, job, err), err);
	job->version = 2;
	job->attempt = 5;
	job->state = JOB_QUEUED;
	job->charged = 3;
	job->retry_at_ms = 123456789012;
	EXPECT_OK(store_job_update(tx, job, 1, err), err);
	EXPECT_OK(store_job_get(tx, "default", "j1", &read, err), err);
	assert_int_equal(read->attempt, 5);
	assert_int_equal(read->charged, 3);
	assert_int_equal(read->retry_at_ms, 123456789012);
	return 0;
}

TEST(a_move_keeps_what_was_charged_and_when_the_next_attempt_may_start)
{
	IN_STORE(budget);
}

static void count_into(void *arg, const char *org, enum job_state state, int64_t count)
{
	((int64_t *)arg)[state] = count;
}

static int counters(struct store_tx *tx, void *arg, struct err *err)
{
	int64_t counts[JOB_STATE_COUNT] = {0};
	char id[16];
	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "j%d", i);
		CLEANUP(job) struct job *job = fixture_job(id, "a");
		EXPECT_OK(store_job_insert(tx, job, err), err);
		job->version = 2;
		job->state = i < 2 ? JOB_FAILED : JOB_QUEUED;
		job->ended_ms = i < 2 ? 2000 : 0;
		EXPECT_OK(store_job_update(tx, job, 1, err), err);
	}
	EXPECT_ERR(store_job_delete(tx, "default", "j4", err), ERR_STATE, err, "cancel it first");
	EXPECT_ERR(store_job_delete(tx, "other", "j0", err), ERR_NOT_FOUND, err, "no job");
	EXPECT_OK(store_job_delete(tx, "default", "j0", err), err);
	EXPECT_OK(store_job_counts(tx, count_into, counts, err), err);
	assert_int_equal(counts[JOB_SUBMITTED], 0);
	assert_int_equal(counts[JOB_QUEUED], 3);
	assert_int_equal(counts[JOB_FAILED], 1);
	return 0;
}

TEST(counters_follow_the_jobs)
{
	IN_STORE(counters);
}

static int lists(struct store_tx *tx, void *arg, struct err *err)
{
	char id[16];
	int64_t before = 0;
	int seen = 0;
	for (int i = 0; i < 25; i++) {
		snprintf(id, sizeof(id), "j%d", i);
		CLEANUP(job) struct job *job = fixture_job(id, i % 2 ? "odd" : "even");
		EXPECT_OK(store_job_insert(tx, job, err), err);
		job->version = 2;
		job->state = JOB_COMPLETED;
		job->ended_ms = 2000;
		if (i < 10)
			EXPECT_OK(store_job_update(tx, job, 1, err), err);
	}
	for (bool more = true; more;) {
		struct store_jobs page = {0};
		struct store_list_query q = {
		    .org = "default", .state = -1, .before_seq = before, .limit = 10};
		EXPECT_OK(store_job_list(tx, &q, &page, err), err);
		for (size_t i = 0; i < page.count; i++) {
			snprintf(id, sizeof(id), "j%d", 24 - seen++);
			assert_string_equal(page.items[i]->id, id);
			before = page.items[i]->seq;
		}
		more = page.more;
		store_jobs_done(&page);
	}
	assert_int_equal(seen, 25);
	const struct {
		struct store_list_query q;
		size_t count;
		bool more;
	} rows[] = {
	    {{.org = "default", .state = -1, .name = "odd", .limit = 100}, 12, false},
	    {{.org = "default", .state = JOB_COMPLETED, .limit = 100}, 10, false},
	    {{.org = "default", .state = JOB_COMPLETED, .name = "even", .limit = 5}, 5, false},
	    {{.org = "default", .state = JOB_COMPLETED, .name = "even", .limit = 4}, 4, true},
	    {{.org = "other", .state = -1, .limit = 100}, 0, false},
	};
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct store_jobs page = {0};
		EXPECT_OK(store_job_list(tx, &rows[i].q, &page, err), err);
		assert_int_equal(page.count, rows[i].count);
		assert_int_equal(page.more, rows[i].more);
		store_jobs_done(&page);
	}
	struct store_jobs live = {0};
	EXPECT_OK(store_job_live(tx, &live, err), err);
	assert_int_equal(live.count, 15);
	assert_string_equal(live.items[0]->id, "j10");
	store_jobs_done(&live);
	CLEANUP(job) struct job *newest = NULL;
	EXPECT_OK(store_job_get(tx, "default", "odd", &newest, err), err);
	assert_string_equal(newest->id, "j23");
	return 0;
}

TEST(lists_are_newest_first_filtered_and_paged)
{
	IN_STORE(lists);
}

static struct service *model(const char *id, const char *name)
{
	struct service *s = service_new();
	snprintf(s->id, sizeof(s->id), "%s", id);
	snprintf(s->org, sizeof(s->org), "default");
	snprintf(s->user, sizeof(s->user), "ada");
	free(s->spec.name);
	s->spec.name = mem_strdup(name);
	s->spec.uri = mem_strdup("fds://default/m/");
	s->state = SERVICE_STARTING;
	s->attempt = 1;
	return s;
}

static int services(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(service) struct service *a = model("m1", "a");
	CLEANUP(service) struct service *b = model("m2", "a");
	CLEANUP(service) struct service *read = NULL;
	EXPECT_OK(store_service_insert(tx, a, err), err);
	EXPECT_ERR(store_service_insert(tx, b, err), ERR_EXISTS, err, "model 'a' exists");
	a->version = 2;
	a->state = SERVICE_READY;
	snprintf(a->address, sizeof(a->address), "127.0.0.1:18500");
	EXPECT_OK(store_service_update(tx, a, 1, err), err);
	EXPECT_ERR(store_service_update(tx, a, 1, err), ERR_CONFLICT, err, "moved");
	EXPECT_OK(store_service_get(tx, "default", "a", &read, err), err);
	assert_string_equal(read->address, "127.0.0.1:18500");
	assert_int_equal(read->state, SERVICE_READY);
	CLEANUP(service) struct service *none = NULL;
	EXPECT_ERR(store_service_get(tx, "other", "a", &none, err), ERR_NOT_FOUND, err, "no model");
	struct event e = {.subject = "model/a", .type = "Normal", .reason = "ready"};
	EXPECT_OK(store_event_insert(tx, "default", &e, err), err);
	EXPECT_OK(store_service_delete(tx, "m1", err), err);
	EXPECT_OK(store_service_insert(tx, b, err), err);
	return 0;
}

TEST(model_names_are_unique_while_they_live)
{
	IN_STORE(services);
}

static int events(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(job) struct job *job = fixture_job("j1", "a");
	struct store_events found = {0};
	job->state = JOB_QUEUED;
	EXPECT_OK(store_job_insert(tx, job, err), err);
	for (int i = 0; i < STORE_EVENTS_PER_SUBJECT + 50; i++) {
		struct event e = {
		    .subject = "j1", .time_ms = i, .type = "Normal", .reason = "x", .actor = "ada"};
		snprintf(e.message, sizeof(e.message), "event %d", i);
		EXPECT_OK(store_event_insert(tx, "default", &e, err), err);
	}
	EXPECT_OK(store_event_list(tx, "default", "j1", 0, 2000, &found, err), err);
	assert_int_equal(found.count, STORE_EVENTS_PER_SUBJECT + JOB_BIRTH_EVENTS);
	assert_string_equal(found.items[0].reason, "submitted");
	assert_string_equal(found.items[1].reason, "queued");
	assert_string_equal(found.items[JOB_BIRTH_EVENTS].message, "event 50");
	for (size_t i = 1; i < found.count; i++)
		assert_true(found.items[i - 1].seq < found.items[i].seq);
	int64_t last = found.items[found.count - 2].seq;
	store_events_done(&found);
	EXPECT_OK(store_event_list(tx, "default", "j1", last, 2000, &found, err), err);
	assert_int_equal(found.count, 1);
	store_events_done(&found);
	EXPECT_OK(store_event_list(tx, "other", "j1", 0, 2000, &found, err), err);
	assert_int_equal(found.count, 0);
	return 0;
}

TEST(events_are_kept_in_order_up_to_a_limit)
{
	IN_STORE(events);
}

static int idempotency(struct store_tx *tx, void *arg, struct err *err)
{
	char id[16] = "", longest[200];
	const int64_t now = 10 * STORE_IDEMPOTENCY_KEPT_MS;
	assert_int_equal(store_idempotency_find(tx, "default", "k", "body", now, id, err), 0);
	EXPECT_OK(store_idempotency_insert(tx, "default", "k", "body", "j1", now, err), err);
	assert_int_equal(store_idempotency_find(tx, "default", "k", "body", now, id, err), 1);
	assert_string_equal(id, "j1");
	assert_int_equal(store_idempotency_find(tx, "other", "k", "body", now, id, err), 0);
	EXPECT_ERR(store_idempotency_find(tx, "default", "k", "other", now, id, err), ERR_CONFLICT, err,
		   "'k'");
	assert_int_equal(
	    store_idempotency_find(tx, "default", "k", "other", now + STORE_IDEMPOTENCY_KEPT_MS, id, err), 0);
	EXPECT_OK(store_idempotency_expire(tx, now + STORE_IDEMPOTENCY_KEPT_MS, err), err);
	memset(longest, 'k', sizeof(longest));
	longest[STORE_IDEMPOTENCY_KEY_MAX + 1] = 0;
	EXPECT_ERR(store_idempotency_find(tx, "default", longest, "b", now, id, err), ERR_INVALID, err,
		   "printable");
	EXPECT_ERR(store_idempotency_find(tx, "default", "", "b", now, id, err), ERR_INVALID, err,
		   "printable");
	EXPECT_ERR(store_idempotency_find(tx, "default", "a\nb", "b", now, id, err), ERR_INVALID, err,
		   "printable");
	return 0;
}

TEST(idempotency_keys_belong_to_an_organisation_and_expire)
{
	IN_STORE(idempotency);
}

static int hostile(struct store_tx *tx, void *arg, struct err *err)
{
	CLEANUP(job) struct job *none = NULL;
	const char *name = "x' OR '1'='1";
	EXPECT_ERR(store_job_get(tx, "default", name, &none, err), ERR_NOT_FOUND, err, "no job");
	CLEANUP(job) struct job *job = fixture_job("j1", "a");
	snprintf(job->message, sizeof(job->message), "'); DROP TABLE jobs; --");
	EXPECT_OK(store_job_insert(tx, job, err), err);
	CLEANUP(job) struct job *read = NULL;
	EXPECT_OK(store_job_get(tx, "default", "j1", &read, err), err);
	assert_string_equal(read->message, "'); DROP TABLE jobs; --");
	return 0;
}

TEST(text_is_never_a_statement)
{
	IN_STORE(hostile);
}
