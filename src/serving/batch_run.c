/* SPDX-License-Identifier: Apache-2.0 */
/* Joins the inputs of a batch, runs the model, hands out the rows of its outputs. */
#include "serving/batch_run.h"

#include <stdlib.h>
#include "base/clock.h"
#include "base/mem.h"
#include "serving/batch_tensor.h"

void batch_run_init(struct batch_run *b, const struct batch_rules *rules, size_t count, int64_t rows,
		    size_t bytes_max)
{
	*b = (struct batch_run){.rules = rules, .count = count, .rows = rows, .bytes_max = bytes_max};
	b->members = mem_alloc(count * sizeof(struct predict *));
}

void batch_run_done(struct batch_run *b)
{
	free(b->members);
}

static void tensors_done(struct tensor *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		tensor_done(&items[i]);
}

/* Runs the model on 'rows' rows of 'inputs'; the outputs must have as many. */
static int run_model(struct batch_run *b, const struct tensor *const *inputs, int64_t rows,
		     struct tensor *outputs, struct err *err)
{
	const struct predict *p = b->members[0];
	struct runtime_model *model = p->version->runtime;
	int r = model->ops->run(model, p->signature, inputs, p->output_index, p->output_count, outputs, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < p->output_count; i++) {
		if (outputs[i].rank > 0 && outputs[i].dims[0] == rows)
			continue;
		b->is_unfit = true;
		tensors_done(outputs, p->output_count);
		return err_set(err, ERR_STATE, "output '%s' has not a row for each row of the inputs",
			       p->signature->outputs[p->output_index[i]].alias);
	}
	return 0;
}

/* Joins input i of every part; parts[k][i] are the tensors. */
static int join_all(const struct tensor *const *const *parts, size_t part_count, size_t tensor_count,
		    int64_t rows, size_t bytes_max, struct tensor *ret, struct err *err)
{
	CLEANUP(free) const struct tensor **column = mem_alloc(part_count * sizeof(*column));
	int r = 0;

	for (size_t i = 0; i < tensor_count; i++) {
		for (size_t k = 0; k < part_count; k++)
			column[k] = parts[k][i];
		r = batch_join(column, part_count, rows, bytes_max, &ret[i], err);
		if (r < 0) {
			tensors_done(ret, i);
			return r;
		}
	}
	return r;
}

static void pointers_to(const struct tensor *items, size_t count, const struct tensor **ret)
{
	for (size_t i = 0; i < count; i++)
		ret[i] = &items[i];
}

/* The rows of 'parts' as one run, filled up to an allowed size. */
static int run_joined(struct batch_run *b, const struct tensor *const *const *parts, size_t part_count,
		      int64_t rows, struct tensor *outputs, struct err *err)
{
	size_t count = b->members[0]->signature->input_count;
	int64_t filled = batch_fill(b->rules, rows);
	struct tensor inputs[SIGNATURE_TENSORS_MAX];
	const struct tensor *pointers[SIGNATURE_TENSORS_MAX];
	int r;

	b->runs++;
	b->filled += filled;
	if (part_count == 1 && filled == rows)
		return run_model(b, parts[0], rows, outputs, err);
	r = join_all(parts, part_count, count, filled, b->bytes_max, inputs, err);
	if (r < 0)
		return r;
	pointers_to(inputs, count, pointers);
	r = run_model(b, pointers, filled, outputs, err);
	tensors_done(inputs, count);
	return r;
}

static void hand_out(struct batch_run *b, const struct tensor *outputs)
{
	size_t count = b->members[0]->output_count;
	struct batch_share *share = batch_share_new(outputs, count);
	int64_t first = 0;

	for (size_t k = 0; k < b->count; k++) {
		struct predict *p = b->members[k];
		for (size_t i = 0; i < count; i++)
			batch_share_rows(share, i, first, p->item.rows, &p->outputs[i]);
		first += p->item.rows;
	}
	shared_unref(&share->shared);
}

static int run_together(struct batch_run *b, struct err *err)
{
	CLEANUP(free)
	const struct tensor *const **parts = mem_alloc(b->count * sizeof(*parts));
	struct tensor outputs[SIGNATURE_TENSORS_MAX];
	int r;

	for (size_t k = 0; k < b->count; k++)
		parts[k] = b->members[k]->ordered;
	r = run_joined(b, parts, b->count, b->rows, outputs, err);
	if (r >= 0)
		hand_out(b, outputs);
	return r;
}

/* The outputs of all pieces, one set behind the other, as one set. */
static int join_outputs(struct predict *p, struct tensor *pieces, size_t piece_count, struct err *err)
{
	size_t count = p->output_count;
	CLEANUP(free) const struct tensor **column = mem_alloc(piece_count * sizeof(*column));
	int r = 0;

	for (size_t i = 0; i < count && r >= 0; i++) {
		for (size_t k = 0; k < piece_count; k++)
			column[k] = &pieces[k * count + i];
		r = batch_join(column, piece_count, p->item.rows, TENSOR_BYTES_MAX, &p->outputs[i], err);
		if (r < 0)
			tensors_done(p->outputs, i);
	}
	return r;
}

/* A piece of one request: 'rows' rows from 'first' on, without a copy. */
static int run_piece(struct batch_run *b, int64_t first, int64_t rows, struct tensor *outputs,
		     struct err *err)
{
	struct predict *p = b->members[0];
	size_t count = p->signature->input_count;
	struct tensor views[SIGNATURE_TENSORS_MAX];
	const struct tensor *pointers[SIGNATURE_TENSORS_MAX];
	const struct tensor *const *part = pointers;
	int r;

	for (size_t i = 0; i < count; i++)
		batch_rows(p->ordered[i], first, rows, &views[i]);
	pointers_to(views, count, pointers);
	r = run_joined(b, &part, 1, rows, outputs, err);
	if (r < 0)
		return r;
	for (size_t i = 0; i < p->output_count; i++) /* rows that filled it up */
		if (outputs[i].dims[0] > rows) {
			struct tensor whole = outputs[i];
			batch_rows(&whole, 0, rows, &outputs[i]);
			outputs[i].owner = whole.owner;
			outputs[i].release = whole.release;
		}
	return 0;
}

/* Joined strings would be views of pieces that are gone: such a request runs as a whole. */
static int check_numbers(const struct predict *p, struct tensor *outputs, struct err *err)
{
	for (size_t i = 0; i < p->output_count; i++)
		if (outputs[i].dtype == DT_STRING) {
			tensors_done(outputs, p->output_count);
			return err_set(err, ERR_UNSUPPORTED, "strings are not put together from pieces");
		}
	return 0;
}

static int run_pieces(struct batch_run *b, struct err *err)
{
	struct predict *p = b->members[0];
	size_t piece_count = (size_t)((b->rows + b->rules->rows_max - 1) / b->rules->rows_max), done = 0;
	CLEANUP(free)
	struct tensor *pieces = mem_try_alloc(piece_count * (p->output_count + 1), sizeof(*pieces));
	int64_t first = 0;
	int r =
	    pieces ? 0 : err_set(err, ERR_NO_MEMORY, "no memory for %zu pieces of a request", piece_count);

	for (; done < piece_count && r >= 0; done += r >= 0) {
		int64_t rows = b->rows - first < b->rules->rows_max ? b->rows - first : b->rules->rows_max;
		r = run_piece(b, first, rows, &pieces[done * p->output_count], err);
		if (r >= 0)
			r = check_numbers(p, &pieces[done * p->output_count], err);
		first += rows;
	}
	if (r >= 0)
		r = join_outputs(p, pieces, piece_count, err);
	if (pieces)
		tensors_done(pieces, done * p->output_count);
	return r;
}

/* Members that must not run any more go to the end and do not count. */
static size_t drop_late(struct batch_run *b)
{
	size_t alive = 0;

	for (size_t k = 0; k < b->count; k++) {
		struct predict *p = b->members[k];
		if (!predict_begins(p)) {
			b->rows -= p->item.rows;
			continue;
		}
		b->members[k] = b->members[alive];
		b->members[alive++] = p;
	}
	return alive;
}

void batch_run(struct batch_run *b)
{
	int64_t start = clock_monotonic_ns(), spent;
	size_t all = b->count;
	struct err err = ERR_INIT;
	int r;

	b->count = drop_late(b);
	if (b->count == 1 && b->rows <= b->rules->rows_max && batch_fill(b->rules, b->rows) == b->rows) {
		predict_run(b->members[0]);
		b->runs++;
		b->filled += b->rows;
	} else if (b->count > 0) {
		r = b->rows > b->rules->rows_max ? run_pieces(b, &err) : run_together(b, &err);
		spent = clock_monotonic_ns() - start;
		for (size_t k = 0; k < b->count; k++) {
			if (r >= 0) {
				b->members[k]->run_ns = spent;
				continue;
			}
			predict_run(b->members[k]);
			b->runs++;
		}
	}
	b->count = all;
}
