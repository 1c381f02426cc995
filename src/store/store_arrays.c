/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays: how many elements were made and how many are in each state, one small row for each array. */
#include <string.h>
#include "base/mem.h"
#include "store/store_int.h"

/* One statement for each column: names of columns are not placeholders. */
static const char *const move_sql[JOB_STATE_COUNT] = {
#define MOVE(state, word, terminal) "UPDATE job_arrays SET " word " = " word " + ? WHERE id = ?",
    JOB_STATE_TABLE(MOVE)
#undef MOVE
};

static int count_add(struct store_tx *tx, const char *array, const char *word, int by, struct err *err)
{
	enum job_state state;
	int r = job_state_parse(word, &state, err);
	if (r >= 0)
		r = sql_exec(tx, err, move_sql[state], "ds", by, array);
	if (r == 0)
		return err_set(err, ERR_CORRUPT, "array '%s' has no counts", array);
	return r < 0 ? r : 0;
}

int store_array_born(struct store_tx *tx, const struct job *job, struct err *err)
{
	int r = 0;
	if (job->spec.array.count)
		r = sql_exec(tx, err, "INSERT INTO job_arrays(id) VALUES(?)", "s", job->id);
	if (r < 0 || !job->array_id[0])
		return r < 0 ? r : 0;
	r = sql_exec(tx, err, "UPDATE job_arrays SET made = made + 1 WHERE id = ? AND made = ?", "si",
		     job->array_id, job->array_index);
	if (r == 0)
		return err_set(err, ERR_CONFLICT, "element %lld of array '%s' is not the next one",
			       (long long)job->array_index, job->array_id);
	return r < 0 ? r : count_add(tx, job->array_id, job_state_word(job->state), 1, err);
}

int store_array_moved(struct store_tx *tx, const char *array, const char *before, const char *after,
		      struct err *err)
{
	int r = count_add(tx, array, before, -1, err);
	return r < 0 ? r : count_add(tx, array, after, 1, err);
}

int store_array_read(struct store_tx *tx, struct job *array, struct err *err)
{
	struct sql_stmt *st;
	int r = sql_query(tx, &st, err,
			  "SELECT made, submitted, queued, starting, running, completed, failed, cancelled "
			  "FROM job_arrays WHERE id = ?",
			  "s", array->id);
	if (r < 0 || (r = sql_step(tx, st, err)) < 0)
		return r;
	if (r == 0)
		return err_set(err, ERR_CORRUPT, "array '%s' has no counts", array->id);
	array->elements.made = sql_column_int(st, 0);
	for (int s = 0; s < JOB_STATE_COUNT; s++)
		array->elements.by_state[s] = sql_column_int(st, 1 + s);
	sql_reset(st);
	return 0;
}

int store_array_delete(struct store_tx *tx, const char *org, const char *id, struct err *err)
{
	int64_t one;
	int r = sql_int(tx, &one, err, "SELECT seq FROM jobs WHERE org = ? AND array_id = ? LIMIT 1", "ss",
			org, id);
	if (r > 0)
		return err_set(err, ERR_STATE,
			       "array '%s' has elements; delete them first ('cloudml jobs delete' does that)",
			       id);
	return r < 0 ? r : sql_exec(tx, err, "DELETE FROM job_arrays WHERE id = ?", "s", id);
}
