/* SPDX-License-Identifier: Apache-2.0 */
/* When requests run together, told by a clock that the test moves. */
#include <string.h>
#include "base/mem.h"
#include "serving/batch_parameters.h"
#include "serving/batch_queue.h"
#include "unit/test.h"

#define MS 1000000

struct request {
	struct batch_item item;
	int shape;
};

static bool same_shape(const struct batch_item *a, const struct batch_item *b)
{
	return CONTAINER_OF(a, struct request, item)->shape == CONTAINER_OF(b, struct request, item)->shape;
}

struct fixture {
	struct batch_rules rules;
	struct batch_queue queue;
	struct list batch, expired;
	int64_t now, due;
};

static void setup(struct fixture *f)
{
	*f =
	    (struct fixture){.rules = {.rows_max = 8, .request_rows_max = 8, .enqueued_max = 2, .threads = 1},
			     .now = 100 * (int64_t)MS};
	batch_queue_init(&f->queue, &f->rules, same_shape);
	list_init(&f->batch);
	list_init(&f->expired);
}

static int add(struct fixture *f, struct request *r, int64_t rows, int shape, struct err *err)
{
	r->item.rows = rows;
	r->item.arrived_ns = f->now;
	if (!r->item.deadline_ns)
		r->item.deadline_ns = INT64_MAX;
	r->shape = shape;
	return batch_queue_add(&f->queue, &r->item, err);
}

static int length(const struct list *l)
{
	int n = 0;

	for (const struct list *i = l->next; i != l; i = i->next)
		n++;
	return n;
}

static int64_t take(struct fixture *f)
{
	list_init(&f->batch);
	return batch_queue_take(&f->queue, f->now, &f->batch, &f->expired, &f->due);
}

TEST(an_idle_queue_runs_the_first_request_at_once)
{
	struct fixture f;
	struct request a = {0};

	setup(&f);
	f.rules.wait_ns = 5 * MS;
	assert_int_equal(add(&f, &a, 1, 0, NULL), 0);
	assert_int_equal(take(&f), 1);
	assert_ptr_equal(f.batch.next, &a.item.node);
	assert_int_equal(f.queue.rows, 0);
}

TEST(what_arrives_meanwhile_runs_together)
{
	struct fixture f;
	struct request r[4] = {0};

	setup(&f);
	add(&f, &r[0], 1, 0, NULL);
	assert_int_equal(take(&f), 1);
	add(&f, &r[1], 2, 0, NULL);
	add(&f, &r[2], 3, 0, NULL);
	assert_int_equal(take(&f), 0);
	assert_int_equal(f.due, INT64_MAX);
	batch_queue_ran(&f.queue);
	assert_int_equal(take(&f), 5);
	assert_int_equal(length(&f.batch), 2);
}

TEST(a_batch_holds_no_more_rows_than_it_may)
{
	struct fixture f;
	struct request r[3] = {0};

	setup(&f);
	for (int i = 0; i < 3; i++)
		assert_int_equal(add(&f, &r[i], 5, 0, NULL), 0);
	assert_int_equal(take(&f), 5);
	assert_int_equal(length(&f.batch), 1);
	assert_int_equal(take(&f), 0);
	batch_queue_ran(&f.queue);
	assert_int_equal(take(&f), 5);
	assert_ptr_equal(f.batch.next, &r[1].item.node);
}

TEST(different_shapes_run_apart_and_the_oldest_goes_first)
{
	struct fixture f;
	struct request r[4] = {0};

	setup(&f);
	for (int i = 0; i < 4; i++)
		add(&f, &r[i], 1, i % 2, NULL);
	assert_int_equal(take(&f), 2);
	assert_ptr_equal(f.batch.next, &r[0].item.node);
	assert_ptr_equal(f.batch.prev, &r[2].item.node);
	batch_queue_ran(&f.queue);
	assert_int_equal(take(&f), 2);
	assert_ptr_equal(f.batch.next, &r[1].item.node);
	assert_ptr_equal(f.batch.prev, &r[3].item.node);
}

TEST(after_company_the_next_batch_waits_for_as_much_but_not_longer_than_it_may)
{
	struct fixture f;
	struct request r[6] = {0};

	setup(&f);
	f.rules.wait_ns = 5 * MS;
	for (int i = 0; i < 3; i++)
		add(&f, &r[i], 1, 0, NULL);
	assert_int_equal(take(&f), 3);
	batch_queue_ran(&f.queue);
	add(&f, &r[3], 1, 0, NULL);
	assert_int_equal(take(&f), 0);
	assert_int_equal(f.due, f.now + 5 * MS);
	f.now += 2 * MS;
	add(&f, &r[4], 1, 0, NULL);
	assert_int_equal(take(&f), 0);
	f.now = f.due;
	assert_int_equal(take(&f), 2);
	batch_queue_ran(&f.queue);
	/* one alone: waits once more, then never again */
	r[0] = r[1] = (struct request){0};
	add(&f, &r[0], 1, 0, NULL);
	assert_int_equal(take(&f), 0);
	f.now = f.due;
	assert_int_equal(take(&f), 1);
	batch_queue_ran(&f.queue);
	add(&f, &r[1], 1, 0, NULL);
	assert_int_equal(take(&f), 1);
}

TEST(as_much_company_as_before_ends_the_wait)
{
	struct fixture f;
	struct request r[4] = {0};

	setup(&f);
	f.rules.wait_ns = 5 * MS;
	add(&f, &r[0], 1, 0, NULL);
	add(&f, &r[1], 1, 0, NULL);
	assert_int_equal(take(&f), 2);
	batch_queue_ran(&f.queue);
	add(&f, &r[2], 1, 0, NULL);
	assert_int_equal(take(&f), 0);
	add(&f, &r[3], 1, 0, NULL);
	assert_int_equal(take(&f), 2);
}

TEST(a_passed_deadline_leaves_the_queue_and_the_next_one_is_told)
{
	struct fixture f;
	struct request r[3] = {{.item.deadline_ns = 0},
			       {.item.deadline_ns = 103 * (int64_t)MS},
			       {.item.deadline_ns = 107 * (int64_t)MS}};

	setup(&f);
	for (int i = 0; i < 3; i++)
		add(&f, &r[i], 1, i, NULL);
	assert_int_equal(take(&f), 1);
	assert_int_equal(take(&f), 0);
	assert_int_equal(f.due, 103 * (int64_t)MS);
	f.now = f.due;
	assert_int_equal(take(&f), 0);
	assert_int_equal(length(&f.expired), 1);
	assert_ptr_equal(f.expired.next, &r[1].item.node);
	assert_int_equal(f.due, 107 * (int64_t)MS);
	batch_queue_ran(&f.queue);
	assert_int_equal(take(&f), 1);
	assert_ptr_equal(f.batch.next, &r[2].item.node);
}

TEST(a_removed_request_never_runs)
{
	struct fixture f;
	struct request r[2] = {0};

	setup(&f);
	add(&f, &r[0], 3, 0, NULL);
	add(&f, &r[1], 1, 0, NULL);
	batch_queue_remove(&f.queue, &r[0].item);
	assert_int_equal(take(&f), 1);
	assert_ptr_equal(f.batch.next, &r[1].item.node);
	assert_int_equal(f.queue.rows, 0);
}

TEST(a_full_queue_and_a_request_that_is_too_large_are_refused)
{
	struct fixture f;
	struct request r[4] = {0};
	struct err err = ERR_INIT;

	setup(&f);
	assert_int_equal(add(&f, &r[0], 8, 0, &err), 0);
	assert_int_equal(add(&f, &r[1], 8, 0, &err), 0);
	assert_int_equal(add(&f, &r[2], 1, 0, &err), -ERR_BUSY);
	assert_int_equal(err_http(err.code), 429);
	assert_int_equal(err_grpc(err.code), 14);
	assert_int_equal(take(&f), 8);
	assert_int_equal(add(&f, &r[2], 1, 0, &err), 0);
	assert_int_equal(add(&f, &r[3], 9, 0, &err), -ERR_INVALID);
	f.rules.request_rows_max = 100;
	batch_queue_ran(&f.queue);
	assert_int_equal(take(&f), 8);
	batch_queue_ran(&f.queue);
	assert_int_equal(take(&f), 1);
	batch_queue_ran(&f.queue);
	assert_int_equal(add(&f, &r[3], 50, 0, &err), 0);
	assert_int_equal(take(&f), 50);
}

TEST(as_many_batches_run_as_there_are_threads)
{
	struct fixture f;
	struct request r[3] = {0};

	setup(&f);
	f.rules.threads = 2;
	for (int i = 0; i < 3; i++)
		add(&f, &r[i], 8, 0, NULL);
	r[2].item.rows = 8;
	assert_int_equal(take(&f), 8);
	assert_int_equal(take(&f), 8);
	assert_int_equal(take(&f), 0);
}

TEST(a_request_passes_an_idle_queue_unless_the_last_one_had_company)
{
	struct fixture f;
	struct request a = {0}, b = {0}, c = {0};
	struct err err = ERR_INIT;

	setup(&f);
	a.item.rows = 3;
	assert_true(batch_queue_passes(&f.queue, &a.item));
	assert_false(batch_queue_passes(&f.queue, &a.item)); /* one runs */
	EXPECT_OK(add(&f, &b, 1, 0, &err), &err);
	assert_int_equal(take(&f), 0);
	batch_queue_ran(&f.queue);
	assert_false(batch_queue_passes(&f.queue, &a.item)); /* one waits */
	EXPECT_OK(add(&f, &c, 1, 0, &err), &err);
	assert_int_equal(take(&f), 2);
	batch_queue_ran(&f.queue);
	assert_false(batch_queue_passes(&f.queue, &a.item)); /* two went together */
	EXPECT_OK(add(&f, &b, 1, 0, &err), &err);
	f.now += MS;
	assert_int_equal(take(&f), 1);
	batch_queue_ran(&f.queue);
	f.rules.allowed[0] = 4;
	f.rules.allowed[1] = 8;
	f.rules.allowed_count = 2;
	assert_false(batch_queue_passes(&f.queue, &a.item)); /* must be filled up */
	a.item.rows = 4;
	assert_true(batch_queue_passes(&f.queue, &a.item));
}

TEST(parameters_are_read_from_text)
{
	struct batch_rules r;
	struct err err = ERR_INIT;

	assert_int_equal(batch_parameters_parse(STR(""), 3, &r, &err), 0);
	assert_int_equal(r.rows_max, 1000);
	assert_int_equal(r.threads, 3);
	assert_int_equal(batch_parameters_parse(STR("max_batch_size { value: 128 }\n"
						    "batch_timeout_micros { value: 2500 } # comment\n"
						    "max_enqueued_batches { value: 7 }\n"
						    "num_batch_threads { value: 4 }\n"
						    "thread_pool_name { value: 'x' }\n"
						    "enable_large_batch_splitting { value: true }\n"
						    "max_execution_batch_size { value: 32 }\n"
						    "pad_variable_length_inputs: true\n"
						    "allowed_batch_sizes: 8 allowed_batch_sizes: 32\n"),
						3, &r, &err),
			 0);
	assert_int_equal(r.rows_max, 32);
	assert_int_equal(r.request_rows_max, 128);
	assert_int_equal(r.wait_ns, 2500000);
	assert_int_equal(r.enqueued_max, 7);
	assert_int_equal(r.threads, 4);
	assert_true(r.pad_shapes);
	assert_int_equal(batch_fill(&r, 1), 8);
	assert_int_equal(batch_fill(&r, 9), 32);
	assert_int_equal(batch_fill(&r, 33), 33);
}

TEST(mistakes_in_parameters_are_named)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {"max_batch_size: 3", "'max_batch_size' must be written as"},
	    {"max_batch_size { value: 0 }", "max_batch_size"},
	    {"max_batch_size { number: 1 }", "'value' is understood"},
	    {"batch_size { value: 1 }", "no field of BatchingParameters"},
	    {"allowed_batch_sizes: 4 allowed_batch_sizes: 4", "ascend"},
	    {"max_batch_size { value: 16 } allowed_batch_sizes: 4", "must be the largest batch, 16"},
	    {"pad_variable_length_inputs { value: true }", "must be a value"},
	    {"enable_large_batch_splitting { value: true } max_batch_size { value: 4 }\n"
	     "max_execution_batch_size { value: 8 }",
	     "larger than max_batch_size"},
	    {"num_batch_threads { value: 1000 }", "value"},
	    {"max_batch_size {", "line 1"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct batch_rules r;
		struct err err = ERR_INIT;
		assert_true(batch_parameters_parse(str_from(rows[i].text), 1, &r, &err) < 0);
		if (i != 1 && !strstr(err.msg, rows[i].why))
			fail_msg("'%s': %s", rows[i].text, err.msg);
	}
}
