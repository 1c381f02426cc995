/* SPDX-License-Identifier: Apache-2.0 */
/* BatchingParameters in text to rules. */
#include "serving/batch_parameters.h"

#include <fcntl.h>
#include "base/arena.h"
#include "base/fd.h"
#include "base/mem.h"
#include "serving/text_proto.h"

#define ROWS_MAX (1 << 20)
#define US_PER_WAIT_MAX 60000000
#define NS_PER_US 1000

enum place {
	PLACE_ROWS,
	PLACE_WAIT,
	PLACE_ENQUEUED,
	PLACE_THREADS,
	PLACE_RUN_ROWS,
	PLACE_SPLIT,
	PLACE_PAD,
	PLACE_ALLOWED,
	PLACE_NONE,
	PLACE_COUNT
};

/* wrapped: the number is the field 'value' of a message */
static const struct {
	const char *name;
	bool wrapped, is_bool;
	enum place place;
	int64_t min, max;
} fields[] = {
    {"max_batch_size", true, false, PLACE_ROWS, 1, ROWS_MAX},
    {"batch_timeout_micros", true, false, PLACE_WAIT, 0, US_PER_WAIT_MAX},
    {"max_enqueued_batches", true, false, PLACE_ENQUEUED, 1, ROWS_MAX},
    {"num_batch_threads", true, false, PLACE_THREADS, 1, 64},
    {"max_execution_batch_size", true, false, PLACE_RUN_ROWS, 1, ROWS_MAX},
    {"enable_large_batch_splitting", true, true, PLACE_SPLIT, 0, 1},
    {"pad_variable_length_inputs", false, true, PLACE_PAD, 0, 1},
    {"allowed_batch_sizes", false, false, PLACE_ALLOWED, 1, ROWS_MAX},
    {"thread_pool_name", true, false, PLACE_NONE, 0, 0},
};

static int take(struct text_proto *t, const struct text_proto_field *f, size_t field, int64_t *values,
		struct batch_rules *rules, struct err *err)
{
	enum place place = fields[field].place;
	int64_t number = 0;
	bool on = false;
	int r = fields[field].is_bool
		    ? text_proto_bool(t, f, &on, err)
		    : text_proto_int(t, f, fields[field].min, fields[field].max, &number, err);

	if (r < 0)
		return r;
	if (place != PLACE_ALLOWED) {
		values[place] = fields[field].is_bool ? on : number;
		return 0;
	}
	if (rules->allowed_count == BATCH_SIZES_MAX)
		return err_set(err, ERR_INVALID, "more than %d allowed_batch_sizes", BATCH_SIZES_MAX);
	if (rules->allowed_count > 0 && rules->allowed[rules->allowed_count - 1] >= number)
		return text_proto_fail(t, f, "must ascend", err);
	rules->allowed[rules->allowed_count++] = number;
	return 0;
}

static int read_wrapped(struct text_proto *t, size_t field, int64_t *values, struct batch_rules *rules,
			struct err *err)
{
	struct text_proto_field f;
	int event, r;

	while ((event = text_proto_next(t, &f, err)) > 0 && event != TEXT_PROTO_CLOSE) {
		if (event != TEXT_PROTO_VALUE || !str_eq(f.name, "value"))
			return text_proto_fail(t, &f, "is unknown; 'value' is understood", err);
		r = fields[field].place == PLACE_NONE ? 0 : take(t, &f, field, values, rules, err);
		if (r < 0)
			return r;
	}
	return event;
}

static int read_fields(struct text_proto *t, int64_t *values, struct batch_rules *rules, struct err *err)
{
	struct text_proto_field f;
	int event, r;

	while ((event = text_proto_next(t, &f, err)) > 0) {
		size_t i = 0;
		while (i < ARRAY_LEN(fields) && !str_eq(f.name, fields[i].name))
			i++;
		if (i == ARRAY_LEN(fields))
			return text_proto_fail(t, &f, "is no field of BatchingParameters", err);
		if (fields[i].wrapped != (event == TEXT_PROTO_OPEN))
			return text_proto_fail(
			    t, &f, fields[i].wrapped ? "must be written as { value: … }" : "must be a value",
			    err);
		r = fields[i].wrapped ? read_wrapped(t, i, values, rules, err)
				      : take(t, &f, i, values, rules, err);
		if (r < 0)
			return r;
	}
	return event;
}

int batch_parameters_parse(struct str text, int threads, struct batch_rules *ret, struct err *err)
{
	int64_t values[PLACE_COUNT] = {[PLACE_ROWS] = 1000, [PLACE_ENQUEUED] = 10, [PLACE_THREADS] = threads};
	struct arena arena = ARENA_INIT(BATCH_PARAMETERS_BYTES_MAX);
	struct batch_rules rules = {0};
	struct text_proto t;
	int r = text_proto_init(&t, text, &arena, err);

	if (r >= 0)
		r = read_fields(&t, values, &rules, err);
	arena_done(&arena);
	if (r < 0)
		return r;
	rules.request_rows_max = rules.rows_max = values[PLACE_ROWS];
	if (values[PLACE_SPLIT] && values[PLACE_RUN_ROWS] > 0)
		rules.rows_max = values[PLACE_RUN_ROWS];
	if (rules.rows_max > rules.request_rows_max)
		return err_set(err, ERR_INVALID, "max_execution_batch_size is larger than max_batch_size");
	rules.wait_ns = values[PLACE_WAIT] * NS_PER_US;
	rules.enqueued_max = values[PLACE_ENQUEUED];
	rules.threads = (int)values[PLACE_THREADS];
	rules.pad_shapes = values[PLACE_PAD];
	if (rules.allowed_count > 0 && rules.allowed[rules.allowed_count - 1] != rules.rows_max)
		return err_set(err, ERR_INVALID,
			       "the last of allowed_batch_sizes is %lld, must be the largest batch, %lld",
			       (long long)rules.allowed[rules.allowed_count - 1], (long long)rules.rows_max);
	*ret = rules;
	return 0;
}

int batch_parameters_read(const char *path, int threads, struct batch_rules *ret, struct err *err)
{
	CLEANUP(buf) struct buf text = BUF_INIT;
	int r;

	if (!path || !path[0])
		return batch_parameters_parse(STR(""), threads, ret, err);
	r = fd_read_file(AT_FDCWD, path, BATCH_PARAMETERS_BYTES_MAX, &text, err);
	if (r >= 0)
		r = batch_parameters_parse((struct str){buf_str(&text), text.len}, threads, ret, err);
	return r < 0 ? err_wrap(err, "--batching_parameters_file '%s'", path) : 0;
}
