/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs and their counters. The guards of a move (version, attempt, not terminal) are part of the statement.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "store/store_int.h"
#include "store/store_usage.h"

#define JOB_COLUMNS                                                                                          \
	"seq, id, org, user, spec, state, reason, message, version, attempt, cancel_requested, created_ms, " \
	"queued_ms, "                                                                                        \
	"started_ms, running_ms, ended_ms, deadline_ms, exit_code, exit_signal, fail, output_uri, "          \
	"charged, retry_at_ms, array_id, array_index"
/* A list of words would be made into a table of its own with every statement. */
#define JOB_LIVE "ended_ms = 0"

void store_jobs_done(struct store_jobs *l)
{
	for (size_t i = 0; i < l->count; i++)
		job_free(l->items[i]);
	free(l->items);
	*l = (struct store_jobs){0};
}

static int count_add(struct store_tx *tx, const char *org, const char *state, int by, struct err *err)
{
	int r = sql_exec(tx, err, "UPDATE job_counts SET count = count + ? WHERE org = ? AND state = ?",
			 "dss", by, org, state);
	if (r == 0)
		r = sql_exec(tx, err, "INSERT INTO job_counts(org, state, count) VALUES(?, ?, ?)", "ssd", org,
			     state, by);
	return r < 0 ? r : 0;
}

int store_job_insert_uncounted(struct store_tx *tx, struct job *job, struct buf *spec_text, struct err *err)
{
	if (!spec_text->len) {
		CLEANUP(json) json_t *spec = job_spec_format(&job->spec);
		json_write(spec, spec_text);
	}
	int r = sql_exec(tx, err,
			 "INSERT INTO jobs(id, org, user, name, spec, state, reason, message, version, "
			 "attempt, cancel_requested, "
			 "created_ms, queued_ms, started_ms, running_ms, ended_ms, deadline_ms, exit_code, "
			 "exit_signal, fail, "
			 "output_uri, born, array_id, array_index) VALUES(?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, "
			 "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
			 "?) "
			 "ON CONFLICT DO NOTHING",
			 "ssssssssidiiiiiiddssdsi", job->id, job->org, job->user, job->spec.name,
			 buf_str(spec_text), job_state_word(job->state), job->reason, job->message,
			 job->attempt, (int)job->cancel_requested, job->created_ms, job->queued_ms,
			 job->started_ms, job->running_ms, job->ended_ms, job->deadline_ms, job->exit_code,
			 job->exit_signal, fail_word(job->fail), job->output_uri,
			 job->state == JOB_QUEUED ? 2 : 1, job->array_id, job->array_index);
	if (r == 0)
		return err_set(err, ERR_EXISTS, "job '%s' exists already", job->id);
	/* RETURNING would give each row a journal of its own, whose end is as dear as the transaction is
	 * long. */
	if (r > 0)
		r = tx->ops->last_seq(tx, &job->seq, err);
	if (r >= 0)
		r = store_array_born(tx, job, err);
	if (r < 0)
		return r;
	job->version = 1;
	return 0;
}

int store_jobs_count(struct store_tx *tx, const char *org, enum job_state state, int more, struct err *err)
{
	return more ? count_add(tx, org, job_state_word(state), more, err) : 0;
}

int store_job_insert(struct store_tx *tx, struct job *job, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int r = store_job_insert_uncounted(tx, job, &text, err);
	return r < 0 ? r : store_jobs_count(tx, job->org, job->state, 1, err);
}

static bool holds(const char *state)
{
	return strcmp(state, job_state_word(JOB_STARTING)) == 0 ||
	       strcmp(state, job_state_word(JOB_RUNNING)) == 0;
}

/* An attempt begins with the move to starting and ends with the one out of running or starting. */
static int account(struct store_tx *tx, const struct job *job, const char *org, const char *before,
		   const char *after, struct err *err)
{
	struct usage_attempt a = {.owner = job->id,
				  .attempt = job->attempt,
				  .org = org,
				  .user = job->user,
				  .kind = USAGE_KIND_JOB,
				  .name = job->spec.name ? job->spec.name : "",
				  .held = job_spec_held(&job->spec),
				  .started_ms = job->started_ms};
	if (!holds(before) && holds(after))
		return store_usage_start(tx, &a, err);
	if (holds(before) && !holds(after))
		return store_usage_stop(tx, job->id, job->attempt,
					job->ended_ms ? job->ended_ms : job->queued_ms, err);
	return 0;
}

int store_job_update(struct store_tx *tx, const struct job *job, int64_t version_before, struct err *err)
{
	struct sql_stmt *st;
	char before[16], org[CORE_NAME_MAX + 1];
	assert(job_state_is_terminal(job->state) == (job->ended_ms != 0)); /* JOB_LIVE rests on it */
	int r = sql_query(tx, &st, err, "SELECT state, org FROM jobs WHERE id = ?", "s", job->id);
	if (r < 0 || (r = sql_step(tx, st, err)) < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no job '%s'", job->id);
	sql_text(st, 0, before, sizeof(before));
	sql_text(st, 1, org, sizeof(org));
	sql_reset(st);
	const char *after = job_state_word(job->state);
	r = sql_exec(
	    tx, err,
	    "UPDATE jobs SET state = ?, reason = ?, message = ?, version = ?, attempt = ?, cancel_requested "
	    "= ?, charged = ?, retry_at_ms = ?, "
	    "queued_ms = ?, started_ms = ?, running_ms = ?, ended_ms = ?, deadline_ms = ?, exit_code = ?, "
	    "exit_signal = ?, fail = ? WHERE id = ? AND version = ? AND attempt <= ? AND " JOB_LIVE,
	    "sssiidiiiiiiiddssii", after, job->reason, job->message, job->version, job->attempt,
	    (int)job->cancel_requested, job->charged, job->retry_at_ms, job->queued_ms, job->started_ms,
	    job->running_ms, job->ended_ms, job->deadline_ms, job->exit_code, job->exit_signal,
	    fail_word(job->fail), job->id, version_before, job->attempt);
	if (r == 0)
		return err_set(err, ERR_CONFLICT, "job '%s' has moved meanwhile (it is %s)", job->id, before);
	if (r < 0 || strcmp(before, after) == 0)
		return r < 0 ? r : 0;
	r = count_add(tx, org, before, -1, err);
	if (r >= 0)
		r = count_add(tx, org, after, 1, err);
	if (r >= 0 && job->array_id[0])
		r = store_array_moved(tx, job->array_id, before, after, err);
	return r < 0 || job->spec.array.count ? r : account(tx, job, org, before, after, err);
}

/* The specification that was read last: neighbours often have the same one. */
struct last_spec {
	struct buf text;
	const struct job_spec *spec; /* view of the job that was read last; NULL = none */
};

static int job_read_spec(struct sql_stmt *st, int column, struct last_spec *last, struct job_spec *ret,
			 struct err *err)
{
	CLEANUP(json) json_t *spec = NULL;
	const char *text = sql_column_text(st, column);
	size_t len = sql_column_bytes(st, column);
	if (last->spec && last->text.len == len && memcmp(last->text.data, text, len) == 0)
		return job_spec_copy(last->spec, ret);
	last->spec = NULL;
	last->text.len = 0;
	buf_add(&last->text, text, len);
	int r = json_parse(text, len, 2 * CORE_SPEC_BYTES_MAX, &spec, err);
	return r < 0 ? r : job_spec_parse(spec, ret, err);
}

static int job_read(struct sql_stmt *st, struct last_spec *last, struct job **ret, struct err *err)
{
	CLEANUP(job) struct job *job = job_new();
	char state[16], fail[32];
	job->seq = sql_column_int(st, 0);
	sql_text(st, 1, job->id, sizeof(job->id));
	sql_text(st, 2, job->org, sizeof(job->org));
	sql_text(st, 3, job->user, sizeof(job->user));
	sql_text(st, 5, state, sizeof(state));
	sql_text(st, 6, job->reason, sizeof(job->reason));
	sql_text(st, 7, job->message, sizeof(job->message));
	job->version = sql_column_int(st, 8);
	job->attempt = sql_column_int(st, 9);
	job->cancel_requested = sql_column_int(st, 10) != 0;
	job->created_ms = sql_column_int(st, 11);
	job->queued_ms = sql_column_int(st, 12);
	job->started_ms = sql_column_int(st, 13);
	job->running_ms = sql_column_int(st, 14);
	job->ended_ms = sql_column_int(st, 15);
	job->deadline_ms = sql_column_int(st, 16);
	job->exit_code = (int)sql_column_int(st, 17);
	job->exit_signal = (int)sql_column_int(st, 18);
	sql_text(st, 19, fail, sizeof(fail));
	sql_text(st, 20, job->output_uri, sizeof(job->output_uri));
	job->charged = sql_column_int(st, 21);
	job->retry_at_ms = sql_column_int(st, 22);
	sql_text(st, 23, job->array_id, sizeof(job->array_id));
	job->array_index = sql_column_int(st, 24);
	job->progress = PROGRESS_NONE;
	if (job_read_spec(st, 4, last, &job->spec, err) < 0 || job_state_parse(state, &job->state, err) < 0)
		return err_set(err, ERR_INTERNAL, "the row of job '%s' cannot be read: %s", job->id,
			       err->msg);
	if (fail_parse(fail, &job->fail) < 0)
		return err_set(err, ERR_INTERNAL, "the row of job '%s' has the unknown class '%s'", job->id,
			       fail);
	last->spec = &job->spec;
	*ret = STEAL(job);
	return 0;
}

/* Reads rows until the end or until 'limit' are there and one more is seen. A page (limit not SIZE_MAX) ends
 * early when its specifications are large: outsiders size them. */
static int jobs_read(struct store_tx *tx, struct sql_stmt *st, size_t limit, struct store_jobs *ret,
		     struct err *err)
{
	struct last_spec last = {.text = BUF_INIT};
	size_t cap = 0;
	int r;
	int64_t bytes = 0;
	while ((r = sql_step(tx, st, err)) > 0) {
		bytes += (int64_t)sql_column_bytes(st, 4);
		if (ret->count == limit ||
		    (limit != SIZE_MAX && ret->count && bytes > STORE_LIST_BYTES_MAX)) {
			ret->more = true;
			break;
		}
		if (ret->count == cap) {
			cap = cap ? cap * 2 : 16;
			ret->items = mem_realloc(ret->items, cap * sizeof(*ret->items));
		}
		r = job_read(st, &last, &ret->items[ret->count], err);
		if (r < 0)
			break;
		ret->count++;
	}
	sql_reset(st);
	buf_done(&last.text);
	for (size_t i = 0; r >= 0 && i < ret->count; i++)
		if (ret->items[i]->spec.array.count)
			r = store_array_read(tx, ret->items[i], err);
	if (r < 0)
		store_jobs_done(ret);
	return r < 0 ? r : 0;
}

int store_job_get(struct store_tx *tx, const char *org, const char *id, struct job **ret, struct err *err)
{
	struct sql_stmt *st;
	struct store_jobs found = {0};
	int r = sql_query(tx, &st, err, "SELECT " JOB_COLUMNS " FROM jobs WHERE id = ? AND org = ?", "ss", id,
			  org);
	if (r >= 0)
		r = jobs_read(tx, st, 1, &found, err);
	if (r >= 0 && !found.count) {
		r = sql_query(tx, &st, err,
			      "SELECT " JOB_COLUMNS
			      " FROM jobs WHERE org = ? AND name = ? ORDER BY seq DESC LIMIT 1",
			      "ss", org, id);
		if (r >= 0)
			r = jobs_read(tx, st, 1, &found, err);
	}
	if (r < 0)
		return r;
	if (!found.count)
		return err_set(err, ERR_NOT_FOUND, "there is no job '%s'; run 'cloudml jobs list'", id);
	*ret = STEAL(found.items[0]);
	store_jobs_done(&found);
	return 0;
}

/* One statement for each combination of filters, so that every one has its index. */
static const char *const list_sql[2][2] = {
    {"SELECT " JOB_COLUMNS
     " FROM jobs WHERE org = ?1 AND seq < ?2 AND array_id = ?4 ORDER BY seq DESC LIMIT ?3",
     "SELECT " JOB_COLUMNS
     " FROM jobs WHERE org = ?1 AND seq < ?2 AND array_id = ?4 AND state = ?5 ORDER BY seq DESC LIMIT ?3"},
    {"SELECT " JOB_COLUMNS
     " FROM jobs WHERE org = ?1 AND seq < ?2 AND name = ?5 AND ?4 IS NULL ORDER BY seq DESC LIMIT ?3",
     "SELECT " JOB_COLUMNS
     " FROM jobs WHERE org = ?1 AND seq < ?2 AND name = ?5 AND state = ?4 ORDER BY seq DESC LIMIT ?3"},
};

int store_job_list(struct store_tx *tx, const struct store_list_query *q, struct store_jobs *ret,
		   struct err *err)
{
	struct sql_stmt *st;
	int64_t before = q->before_seq > 0 ? q->before_seq : INT64_MAX;
	int64_t limit = q->limit < 1 ? 1 : q->limit > 1000 ? 1000 : q->limit;
	bool by_state = q->state >= 0 && q->state < JOB_STATE_COUNT;
	const char *sql = list_sql[q->name != NULL][by_state];
	const char *word = by_state ? job_state_word((enum job_state)q->state) : NULL;
	int r = q->name ? sql_query(tx, &st, err, sql, "siiss", q->org, before, limit + 1, word, q->name)
			: sql_query(tx, &st, err, sql, by_state ? "siiss" : "siis", q->org, before, limit + 1,
				    q->array ? q->array : "", word);
	return r < 0 ? r : jobs_read(tx, st, (size_t)limit, ret, err);
}

int store_job_live(struct store_tx *tx, struct store_jobs *ret, struct err *err)
{
	struct sql_stmt *st;
	int r =
	    sql_query(tx, &st, err, "SELECT " JOB_COLUMNS " FROM jobs WHERE " JOB_LIVE " ORDER BY seq", "");
	return r < 0 ? r : jobs_read(tx, st, SIZE_MAX, ret, err);
}

int store_job_delete(struct store_tx *tx, const char *org, const char *id, struct err *err)
{
	struct sql_stmt *st;
	char word[16];
	int r = sql_query(tx, &st, err, "SELECT state FROM jobs WHERE id = ? AND org = ?", "ss", id, org);
	if (r < 0 || (r = sql_step(tx, st, err)) < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no job '%s'; run 'cloudml jobs list'", id);
	sql_text(st, 0, word, sizeof(word));
	sql_reset(st);
	enum job_state state;
	r = job_state_parse(word, &state, err);
	if (r < 0)
		return r;
	if (!job_state_is_terminal(state))
		return err_set(err, ERR_STATE, "job '%s' is %s; cancel it first", id, word);
	r = store_array_delete(tx, org, id, err);
	if (r >= 0)
		r = sql_exec(tx, err, "DELETE FROM jobs WHERE id = ? AND org = ?", "ss", id, org);
	if (r >= 0)
		r = sql_exec(tx, err, "DELETE FROM events WHERE org = ? AND subject = ?", "ss", org, id);
	if (r >= 0)
		r = store_usage_forget(tx, id, err);
	return r < 0 ? r : count_add(tx, org, word, -1, err);
}

int store_job_counts(struct store_tx *tx,
		     void (*fn)(void *arg, const char *org, enum job_state state, int64_t count), void *arg,
		     struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err, "SELECT org, state, count FROM job_counts", "");
	while (r >= 0 && (r = sql_step(tx, st, err)) > 0) {
		char org[CORE_NAME_MAX + 1], word[16];
		enum job_state state;
		sql_text(st, 0, org, sizeof(org));
		sql_text(st, 1, word, sizeof(word));
		if (job_state_parse(word, &state, NULL) >= 0)
			fn(arg, org, state, sql_column_int(st, 2));
	}
	return r;
}
